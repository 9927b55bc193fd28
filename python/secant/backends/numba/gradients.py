"""The gradients: the central difference of every parameter, by its series or evaluated, and backpropagation."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import Gradients, Method, NumericalGradient, Parameters
from secant.backends.numba.compilation import choose_threads
from secant.backends.numba.direct import summed_differences, terms_of
from secant.backends.numba.forward import BLOCK_MULTIPLICATIONS, activations
from secant.backends.numba.series import summed_series
from secant.backends.plan import blocks, in_double, planned_gradient, rounded, total

_BY_TERMS, _EXACT = 3, 400
"""What the change of the loss is worth in multiplications, for each class."""


def numerical_gradient(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, method: Method, n_threads: int
) -> NumericalGradient:
    def by_series(net: Parameters, x: NDArray[Any], t: NDArray[Any], order: int) -> Gradients:
        return _by_series(net, x, t, h, order, n_threads)

    def directly(net: Parameters, x: NDArray[Any], t: NDArray[Any]) -> Gradients:
        def summed(x: NDArray[Any], t: Floats, threads: int) -> Gradients:
            return summed_differences(net, activations(net, x, threads, h), t, h, terms_of(net, x, h), threads)

        exact = not terms_of(net, x, h).all()
        return _mean(net, x, t, summed, (_EXACT if exact else _BY_TERMS) * len(net.b2), n_threads)

    return planned_gradient(net, x, t, h, method, by_series, directly)


def gradient(net: Parameters, x: NDArray[Any], t: NDArray[Any], n_threads: int) -> Gradients:
    return rounded(_by_series(in_double(net), x, t, 0.0, 1, n_threads), net)


def _by_series(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, order: int, n_threads: int) -> Gradients:
    def summed(x: NDArray[Any], t: Floats, threads: int) -> Gradients:
        layers = activations(net, x, threads, h)
        sums = summed_series(net, layers, t, h, order, threads)
        if layers.near.any():
            return total(sums, summed_differences(net, layers, t, h, terms_of(net, x, h), threads, only_near=True))
        return sums

    return _mean(net, x, t, summed, 2 + order // 2, n_threads)


def _mean(
    net: Parameters,
    x: NDArray[Any],
    t: NDArray[Any],
    summed: Callable[[NDArray[Any], Floats, int], Gradients],
    multiplications: int,
    n_threads: int,
) -> Gradients:
    """The mean over samples of what ``summed(x, t, threads)`` sums, given its cost for each weight and sample."""
    cost = multiplications * (net.W1.size + net.W2.size)
    threads = choose_threads(n_threads, len(x) * cost)
    # A copy, for Numba would compile anew where t is read-only or not aligned.
    t = np.eye(len(net.b2))[t] if t.ndim == 1 else t.copy()
    sums = reduce(total, (summed(x[n], t[n], threads) for n in blocks(len(x), cost, BLOCK_MULTIPLICATIONS)))
    for part in sums:
        part /= len(x)
    return sums
