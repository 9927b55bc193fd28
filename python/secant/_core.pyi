from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Reals = NDArray[Any]  # all float64, or all float32

class _BuildInfo(TypedDict):
    compiler: str
    openmp: int
    isa: str
    usable_isas: tuple[str, ...]

class IndexedInputs:
    def __len__(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int]: ...

# A secant.backends.base.Parameters.
_Network = tuple[_Reals, _Reals, _Reals, _Reals, str, str, float]
_Inputs = NDArray[Any] | IndexedInputs
_Gradient = tuple[dict[str, _Reals] | None, dict[int, int], float, float]

def all_finite(a: NDArray[Any]) -> bool: ...
def build_info() -> _BuildInfo: ...
def cross_entropy(y: _Floats, t: NDArray[Any], log_offset: float) -> float: ...
def gradient(
    net: _Network,
    x: _Inputs,
    t: NDArray[Any],
    method: str,
    h: float,
    threads: int,
    with_loss: bool = ...,
) -> _Gradient: ...
def difference(
    address: int,
    data: int,
    x: _Floats,
    begin: int,
    end: int,
    scheme: str,
    h: float,
    threads: int,
) -> _Floats: ...
def index_inputs(
    x: NDArray[Any], values: _Floats | None = None
) -> IndexedInputs | None: ...
def max_threads() -> int: ...
def predict(net: _Network, x: _Inputs, n_threads: int) -> _Reals | None: ...
def train(
    net: _Network,
    x: _Inputs,
    t: NDArray[Any],
    indices: NDArray[np.int64],
    method: str,
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
    before: bool = False,
) -> bool: ...
def sigmoid(x: _Floats) -> _Floats: ...
def softmax(x: _Floats) -> _Floats: ...
