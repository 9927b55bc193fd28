"""The compiled backend: secant._core, with the checks of its results that Python makes."""

import math
from typing import cast

from secant import _core
from secant._common.validation import Array
from secant.backends.base import Gradients, Method, NumericalGradient, Parameters, require_proven
from secant.backends.plan import in_double, is_single, rounded
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
    grads, _, _ = _gradient(net, x, t, 1.0, "derivative", n_threads)
    return grads


def numerical_gradient(
    net: Parameters, x: Array, t: Array, h: float, method: Method, n_threads: int
) -> NumericalGradient:
    grads, samples, bound = _gradient(net, x, t, h, method, n_threads)
    if method == "series":
        require_proven(samples, h)
    return grads, samples, bound


def _gradient(net: Parameters, x: Array, t: Array, h: float, method: str, n_threads: int) -> NumericalGradient:
    """The gradient; in float64 where something on the way is beyond the range of float32 parameters."""
    named, samples, bound = _core.gradient(net, x, t, method, h, n_threads)
    grads = Gradients(**named)
    if is_single(net) and not math.isfinite(grads.b2[0]):
        wide, samples, bound = _gradient(in_double(net), x, t, h, method, n_threads)
        grads = rounded(wide, net)
        if not all(map(all_finite, grads)):
            grads.b2[:] = math.nan
    return grads, samples, bound
