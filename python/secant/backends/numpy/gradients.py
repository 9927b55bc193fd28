"""The gradients: the central difference of every parameter, by its series or literally, and backpropagation."""

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant.backends.base import GradientInfo, Gradients, Method, Parameters, require_proven
from secant.backends.numpy import bound
from secant.backends.numpy.central_difference import central_difference
from secant.backends.numpy.forward import cross_entropy, predict
from secant.backends.numpy.series import summed_series
from secant.validation import Floats

_BLOCK_ELEMENTS = 2**17
"""No array of a block of samples is larger: that fits the cache, and Ctrl-C does not wait long."""


def numerical_gradient(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, method: Method, n_threads: int = 0
) -> tuple[Gradients, GradientInfo]:
    if method == "direct":
        return _by_loop(net, x, t, h), GradientInfo({0: len(x)}, 0.0)
    orders, info = _proven_orders(net, x, t, h)
    if method == "series":
        require_proven(info, h)
    parts = []
    for order, count in info.samples.items():
        rows = orders == order
        mean = _by_series(net, x[rows], t[rows], h, order) if order else _by_loop(net, x[rows], t[rows], h)
        parts.append(Gradients(*(count / len(x) * part for part in mean)))
    return reduce(_sum, parts), info


def gradient(net: Parameters, x: NDArray[Any], t: NDArray[Any], n_threads: int = 0) -> Gradients:
    return _by_series(net, x, t, 1.0, 1)


def _by_loop(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float) -> Gradients:
    """Two losses of all samples for each parameter."""
    own = Parameters(net.W1.copy(), net.b1.copy(), net.W2.copy(), net.b2.copy(), net.output_activation)
    x = x.astype(np.float64)

    def loss(_: Floats) -> float:
        return cross_entropy(predict(own, x), t)

    return Gradients(*(central_difference(loss, param, h) for param in (own.W1, own.b1, own.W2, own.b2)))


def _by_series(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, order: int) -> Gradients:
    rows = 1 + _BLOCK_ELEMENTS // max(net.W1.shape + net.W2.shape)
    blocks = (summed_series(net, x[n : n + rows], t[n : n + rows], h, order) for n in range(0, len(x), rows))
    return Gradients(*(total / len(x) for total in reduce(_sum, blocks)))


def _sum(a: Gradients, b: Gradients) -> Gradients:
    return Gradients(*map(np.add, a, b))


def _proven_orders(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float
) -> tuple[NDArray[np.int64], GradientInfo]:
    """The smallest order that is proven for each sample, 0 where none is; and what that makes of the mini-batch."""
    mass = 1.0 if t.ndim == 1 else max(1.0, float(t.sum(axis=1).max()))
    largest_weight = float(np.abs(net.W2).max())
    table = np.empty((3, bound.DISCS))
    bound.fill_discs(table, net.output_activation == "sigmoid", largest_weight, mass)
    rho, hidden, output = table.tolist()
    largest = np.maximum(1.0, np.abs(x).max(axis=1))  # a bias is the weight of an input of 1
    orders = np.zeros(len(x), np.int64)
    for order in reversed(bound.ORDERS):
        if bound.largest_shift(rho, output, order) >= h:
            orders[largest <= bound.largest_shift(rho, hidden, order) / h] = order

    samples, cut = {}, 0.0
    for order, count in zip(*(a.tolist() for a in np.unique(orders, return_counts=True)), strict=True):
        samples[order] = count
        if order:
            r = h * float(largest[orders == order].max())
            cut = max(cut, bound.remainder(rho, hidden, order, r, h), bound.remainder(rho, output, order, h, h))
    return orders, GradientInfo(samples, cut)
