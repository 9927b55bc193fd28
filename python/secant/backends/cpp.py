"""The compiled backend: secant._core, with the checks of its results that Python makes."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from secant import _core
from secant._common.validation import Array
from secant.backends.base import Gradients, Method, NumericalGradient, Parameters, require_proven
from secant.datasets.pixels import NORMALIZED_VALUES, NormalizedPixels, Rows

name = "cpp"
finds_non_finite = True
sigmoid = _core.sigmoid
softmax = _core.softmax
cross_entropy = _core.cross_entropy
gradient_as_given = _core.gradient_as_given

Rows.register(_core.IndexedInputs)


def all_finite(array: Array) -> bool:
    return _core.all_finite(array if array.ndim == 2 else array.reshape(1, -1), 0)


def prepare(x: Array | Rows) -> Array | Rows:
    if isinstance(x, NormalizedPixels):
        return cast(Rows, _core.index_inputs(x.pixels, NORMALIZED_VALUES)) or x[:]
    return x if isinstance(x, Rows) else cast(Rows, _core.index_inputs(x)) or x


def predict(net: Parameters, x: Array, n_threads: int) -> Array:
    return _core.predict(net, x, n_threads)


def gradient(net: Parameters, x: Array, t: Array, n_threads: int) -> Gradients:
    grads, _, _ = _core.gradient(net, x, t, "derivative", 1.0, n_threads)
    return Gradients(**grads)


def numerical_gradient(
    net: Parameters, x: Array, t: Array, h: float, method: Method, n_threads: int
) -> NumericalGradient:
    grads, samples, bound = _core.gradient(net, x, t, method, h, n_threads)
    if method == "series":
        require_proven(samples, h)
    return Gradients(**grads), samples, bound


def train(
    net: Parameters,
    x: Array,
    t: Array,
    indices: NDArray[np.int64],
    method: str,
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
    before: bool = False,
) -> None:
    _core.train(net, x, t, indices, method, h, learning_rate, n_threads, losses, before)
