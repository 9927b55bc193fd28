"""The gradients: the central difference of every parameter, by its series or evaluated, and backpropagation."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import AnyMethod, Batch, Differences, Fault, Gradients, Parameters
from secant.backends.numba.compilation import choose_threads
from secant.backends.numba.direct import summed_differences, terms_of
from secant.backends.numba.forward import BLOCK_MULTIPLICATIONS, activations, outputs
from secant.backends.numba.series import summed_series
from secant.backends.numpy.forward import mean_loss
from secant.backends.plan import blocks, finite, planned_gradient, total

_BY_TERMS, _EXACT = 3, 400
"""What the change of the loss is worth in multiplications, for each class."""


def gradient(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    return finite(differences(batch, method, h, n_threads), batch)


def differences(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    """The gradient, which may have overflowed."""

    def by_series(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, order: int) -> Gradients:
        return _by_series(net, x, t, h, order, n_threads)

    def directly(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float) -> Gradients:
        def summed(x: NDArray[Any], t: Floats, threads: int) -> Gradients:
            return summed_differences(net, activations(net, x, threads, h), t, h, terms_of(net, x, h), threads)

        exact = not terms_of(net, x, h).all()
        return _mean(net, x, t, summed, (_EXACT if exact else _BY_TERMS) * len(net.b2), n_threads)

    def loss(net: Parameters, x: NDArray[Any], t: NDArray[Any]) -> float:
        return mean_loss(outputs(net, x, n_threads), t, net.log_offset)

    return planned_gradient(batch, method, h, by_series, directly, loss)


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
