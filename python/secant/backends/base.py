"""What a backend offers. Each is a module; the same names mean the same contract."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats
from secant.backends.activations import HiddenActivation as HiddenActivation
from secant.backends.activations import OutputActivation as OutputActivation
from secant.backends.inputs import Rows
from secant.errors import UnsupportedError

Method = Literal["auto", "series", "direct"]
AnyMethod = Method | Literal["derivative"]

LOG_OFFSET = 1e-7
"""Added to y before its logarithm is taken, as in the chapter: it keeps the loss finite
where y is 0.
"""
USUAL_STEP = 1e-4
"""The h of central differences, as in the chapter."""


class Parameters(NamedTuple):
    """A checked two-layer network and its settings.

    W1 is (I, H), b1 (H,), W2 (H, O) and b2 (O,).

    The arrays are all float64 or all float32.
    """

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    hidden_activation: HiddenActivation = "sigmoid"
    output_activation: OutputActivation = "sigmoid"
    log_offset: float = LOG_OFFSET


PARAM_NAMES = "W1", "b1", "W2", "b2"


@dataclass(frozen=True)
class GradientInfo:
    """How a numerical gradient was computed.

    Attributes
    ----------
    samples : dict of int to int
        How many samples of the mini-batch had a series of which order; the key 0 counts
        those that were evaluated directly. Empty for a network that is not built in:
        its loss was differenced as a whole.
    truncation_bound : float
        Upper bound on the truncation error of each component of the gradient.
    loss : float
        The loss of the mini-batch, at the parameters as they are.

    Notes
    -----
    Where float32 has no digits left for a gradient of float32 parameters, it is
    computed in float64 (docs/method.md). Then the samples and the bound are those of
    float64, whose orders are higher. Of the method "series" some samples may have no
    proven order there: they are evaluated directly, and the method is "mixed" or
    "direct".
    """

    samples: dict[int, int]
    truncation_bound: float
    loss: float

    @property
    def method(self) -> str:
        """Either "series", "direct", "mixed" or "generic".

        "mixed" means that samples differ, "generic" that the network is not built in.
        """
        if not self.samples:
            return "generic"
        if 0 not in self.samples:
            return "series"
        return "direct" if len(self.samples) == 1 else "mixed"

    @property
    def order(self) -> int:
        """The highest order of a series; 0 if there is none."""
        return max(self.samples, default=0)


def require_proven(samples: dict[int, int], h: float) -> None:
    """Raise the error of method "series" if no order is proven for some samples."""
    if 0 in samples:
        raise UnsupportedError(
            f"method 'series' has no proven order for {samples[0]} of"
            f" {sum(samples.values())} samples at h = {h:g}, with these inputs and"
            " weights: use 'auto' or 'direct', or a smaller h"
        )


class Batch(NamedTuple):
    """A checked mini-batch, in the form that every backend takes.

    ``x`` is (N, I), C-contiguous, uint8, float32 or, where the parameters are, float64;
    or what `Backend.prepare` returned. ``t`` is labels (N,) of any integer type, or
    weights (N, O) of bool, integers, float32 or float64, and C-contiguous. The elements
    of the arrays are not checked yet, and another thread may write to them.
    """

    net: Parameters
    x: Array
    t: Array


class Descent(NamedTuple):
    """How `Backend.train` descends.

    With ``before``, losses are computed before the update.
    """

    method: AnyMethod
    h: float
    learning_rate: float
    n_threads: int
    before: bool = False


class Differences(NamedTuple):
    """A gradient by the names of the parameters, and the fields of `GradientInfo`."""

    gradients: dict[str, Array]
    samples: dict[int, int]
    truncation_bound: float
    loss: float


class Fault(NamedTuple):
    """What is wrong with which argument, and where: the index of an element in C order.

    Without an index ``must`` is a whole sentence.
    """

    must: str
    which: str = ""
    where: int | None = None


class Backend(Protocol):
    """The operations every backend has.

    ``n_threads`` of 0 leaves the choice to the backend.
    """

    name: str

    def all_finite(self, array: Array) -> bool:
        """Whether no element is NaN or infinite."""

    def sigmoid(self, x: Floats) -> Floats:
        """1 / (1 + exp(-x)), in the shape of x."""

    def softmax(self, x: Floats) -> Floats:
        """exp(x) over its sum along the last axis."""

    def cross_entropy(self, y: Floats, t: Array, log_offset: float) -> float:
        """-sum(t log(y + log_offset)) / N of y (N, O); a t of 0 counts nothing.

        ``t`` as in `Batch`.

        NaN where a y or t is negative or NaN, or a label out of range. It is infinite,
        or NaN, where ``log_offset`` is 0, and so is the y of a target.
        """

    def prepare(self, x: Array | Rows) -> Array | Rows:
        """Return x in the form that `predict` and `train` read fastest.

        It is for inputs that are read many times.
        """

    def predict(self, net: Parameters, x: Array, n_threads: int) -> Array | Fault:
        """Return the network's output y (N, O), in the type of the parameters.

        ``x`` is as in `Batch`.
        """

    def gradient(
        self,
        batch: Batch,
        method: AnyMethod,
        h: float,
        n_threads: int,
        with_loss: bool = ...,
    ) -> Differences | Fault:
        """Return the central difference of the loss in every parameter.

        The method "derivative" returns the derivative.

        Without ``with_loss`` the loss that comes with it may be any finite number.

        Raises
        ------
        UnsupportedError
            If the method is "series", and no order is proven for a sample.
        """

    def train(
        self,
        batch: Batch,
        indices: NDArray[np.int64],
        descent: Descent,
        losses: list[float],
    ) -> Fault | None:
        """Update the parameters in place, mini-batch by mini-batch.

        Each row of ``indices`` (K, B) is a mini-batch, whose loss is appended.

        Training stops at the first loss that is not finite. If a call is interrupted,
        or finds a fault, it has appended the losses of the completed iterations, and
        the parameters are those after the last of them. But where numbers may be beyond
        what float32 can compute with, the fault is `BEYOND_FLOAT32`, and losses and
        parameters may be anything: `gradient` can do better.
        """
