"""The gradients: the central difference of every parameter, by its series or literally, and backpropagation."""

from functools import partial, reduce

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends.base import Gradients, Method, NumericalGradient, Parameters
from secant.backends.numpy.forward import cross_entropy, largest_row, predict
from secant.backends.numpy.series import summed_series
from secant.backends.plan import blocks, in_double, planned_gradient, rounded, total
from secant.differentiation.gradient import central_difference

_overflow_is_looked_for = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # by the caller, in the result


@_overflow_is_looked_for
def numerical_gradient(
    net: Parameters, x: Array, t: Array, h: float, method: Method, n_threads: int = 0
) -> NumericalGradient:
    return planned_gradient(net, x, t, h, method, partial(_by_series, h), partial(_by_loop, h))


@_overflow_is_looked_for
def gradient(net: Parameters, x: Array, t: Array, n_threads: int = 0) -> Gradients:
    return rounded(_by_series(0.0, in_double(net), x, t, 1), net)


def _by_loop(h: float, net: Parameters, x: Array, t: Array) -> Gradients:
    """Two losses of all samples for each parameter."""
    w1, b1, w2, b2 = (param.copy() for param in net[:4])
    own = net._replace(W1=w1, b1=b1, W2=w2, b2=b2)
    x = x.astype(np.float64)

    def loss(_: Floats) -> float:
        return cross_entropy(predict(own, x), t, net.log_offset)

    return Gradients(*(central_difference(loss, param, h) for param in own[:4]))


def _by_series(h: float, net: Parameters, x: Array, t: Array, order: int) -> Gradients:
    parts = (summed_series(net, x[block], t[block], h, order) for block in blocks(len(x), largest_row(net)))
    return Gradients(*(part / len(x) for part in reduce(total, parts)))
