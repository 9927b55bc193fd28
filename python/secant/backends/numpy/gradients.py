"""The gradients: the central difference of every parameter, by its series or literally, and backpropagation."""

from functools import partial, reduce

import numpy as np

from secant._common.validation import Array
from secant.backends.base import Gradients, Method, NumericalGradient, Parameters
from secant.backends.numpy.direct import by_loop
from secant.backends.numpy.forward import largest_row
from secant.backends.numpy.series import summed_series
from secant.backends.plan import blocks, in_double, planned_gradient, rounded, total

_overflow_is_looked_for = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # by the caller, in the result


@_overflow_is_looked_for
def numerical_gradient(
    net: Parameters, x: Array, t: Array, h: float, method: Method, n_threads: int = 0
) -> NumericalGradient:
    return planned_gradient(net, x, t, h, method, partial(_by_series, h), partial(by_loop, h))


@_overflow_is_looked_for
def gradient(net: Parameters, x: Array, t: Array, n_threads: int = 0) -> Gradients:
    return rounded(_by_series(0.0, in_double(net), x, t, 1), net)


def _by_series(h: float, net: Parameters, x: Array, t: Array, order: int) -> Gradients:
    parts = (summed_series(net, x[block], t[block], h, order) for block in blocks(len(x), largest_row(net)))
    return Gradients(*(part / len(x) for part in reduce(total, parts)))
