"""The compiled backend: secant._core, with the checks of its results that Python makes."""

from typing import cast

from secant import _core
from secant._common.validation import Array
from secant.backends.base import Gradients, Method, NumericalGradient, Parameters, require_proven
from secant.datasets.pixels import NORMALIZED_VALUES, NormalizedPixels, Rows

name = "cpp"
finds_non_finite = True
sigmoid = _core.sigmoid
softmax = _core.softmax
cross_entropy = _core.cross_entropy
predict = _core.predict
train = _core.train
gradient_as_given = _core.gradient_as_given

Rows.register(_core.IndexedInputs)


def all_finite(array: Array) -> bool:
    return _core.all_finite(array if array.ndim == 2 else array.reshape(1, -1))


def prepare(x: Array | Rows) -> Array | Rows:
    if isinstance(x, NormalizedPixels):
        return cast(Rows, _core.index_inputs(x.pixels, NORMALIZED_VALUES)) or x[:]
    return x if isinstance(x, Rows) else cast(Rows, _core.index_inputs(x)) or x


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
