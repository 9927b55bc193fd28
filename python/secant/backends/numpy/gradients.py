"""The gradients: the central difference of every parameter, by its series or literally, and backpropagation."""

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import GradientInfo, Gradients, Method, Parameters, require_proven
from secant.backends.numpy.bound import DISCS, fill_discs, proven_order
from secant.backends.numpy.forward import cross_entropy, predict
from secant.backends.numpy.series import summed_series
from secant.differentiation.central_difference import central_difference

_BLOCK_ELEMENTS = 2**17
"""No array of a block of samples is larger: that fits the cache, and Ctrl-C does not wait long."""


_overflow_is_looked_for = np.errstate(over="ignore", invalid="ignore")  # by the caller, in the result


@_overflow_is_looked_for
def numerical_gradient(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, method: Method, n_threads: int = 0
) -> tuple[Gradients, GradientInfo]:
    if method == "direct":
        return _by_loop(net, x, t, h), GradientInfo({0: len(x)}, 0.0)
    proven, order, bound = _plan(net, x, t, h)
    by_series, by_loop = int(proven.sum()), int((~proven).sum())
    info = GradientInfo({key: count for key, count in ((0, by_loop), (order, by_series)) if count}, bound)
    if method == "series":
        require_proven(info, h)
    parts = []
    if by_series:
        parts.append(_scaled(by_series / len(x), _by_series(net, x[proven], t[proven], h, order)))
    if by_loop:
        parts.append(_scaled(by_loop / len(x), _by_loop(net, x[~proven], t[~proven], h)))
    return reduce(_sum, parts), info


@_overflow_is_looked_for
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


def _scaled(factor: float, a: Gradients) -> Gradients:
    return Gradients(*(factor * part for part in a))


def _plan(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float) -> tuple[NDArray[np.bool_], int, float]:
    """Which samples have a proven order, (N,); the one that suffices for all of them, and the bound of what it cuts."""
    discs = np.empty((3, DISCS))
    fill_discs(discs, net.output_activation == "sigmoid", float(np.abs(net.W2).max()))
    mass = 1.0 if t.ndim == 1 else float(t.sum(axis=1).max())
    inputs = np.abs(x).max(axis=1).astype(np.float64)  # the largest of each sample
    for largest in np.unique(inputs)[::-1].tolist():
        order, bound = proven_order(discs, h, largest, mass)
        if order:
            return inputs <= largest, order, bound
    return np.zeros(len(x), np.bool_), 0, 0.0
