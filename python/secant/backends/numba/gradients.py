"""The gradients, a block of samples after the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import GradientInfo, Gradients, Method, Parameters, require_proven
from secant.backends.numba.jets import LENGTH
from secant.backends.numba.layers import Network, network
from secant.backends.numba.parallel import choose_threads, run
from secant.backends.numba.rows import find_rows
from secant.backends.numba.tasks import (
    AUTO,
    DERIVATIVE,
    DIRECT,
    DIRECTLY,
    ORDER,
    SERIES,
    Step,
    descent,
    make_samples,
    make_state,
)

ORDERS = {"auto": AUTO, "series": SERIES, "direct": DIRECT, "derivative": DERIVATIVE}

_MOST_ROWS = 128
_SLICE = 1_000_000_000
"""Multiplications in a call: Ctrl-C waits for no more."""


def numerical_gradient(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, method: Method, n_threads: int
) -> tuple[Gradients, GradientInfo]:
    grads, info = gradient_of_rows(net, x, t, np.arange(len(x)), ORDERS[method], h, n_threads)
    if method == "series":
        require_proven(info, h)
    return grads, info


def gradient(net: Parameters, x: NDArray[Any], t: NDArray[Any], n_threads: int) -> Gradients:
    return gradient_of_rows(net, x, t, np.arange(len(x)), DERIVATIVE, 1.0, n_threads)[0]


def gradient_of_rows(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], chosen: NDArray[np.int64], order: int, h: float, n_threads: int
) -> tuple[Gradients, GradientInfo]:
    """The mean over the chosen samples, and how it was computed.

    Where x or a parameter is not finite all of it is NaN.
    """
    own, size = network(net), len(chosen)
    threads = choose_threads(n_threads, size * cost(own, order))
    (inputs, hidden), outputs = net.W1.shape, own.outputs
    w1, w2 = np.empty((inputs + 1, hidden)), np.empty((hidden + 1, outputs))
    state = make_state(own, 1, (w1, w2))
    counts, bound = [0] * LENGTH, 0.0
    a_block = min(_MOST_ROWS, block_rows(own, order))
    for first in range(0, size, a_block):
        block = chosen[first : first + a_block]
        step = Step(order, h, 1 / size, False, first > 0, 0 if order == DERIVATIVE else threads)
        rows, samples = find_rows(x, block, threads), make_samples(own, len(block))
        if not (own.finite and np.isfinite(rows.largest).all()):
            w1[:], w2[:], counts = np.nan, np.nan, []
            break
        run(threads, descent(own, rows, weights(t[block], outputs), samples, state, step))
        directly = int(state.plan[DIRECTLY])
        counts[0] += directly
        counts[int(state.plan[ORDER])] += len(block) - directly
        bound = max(bound, float(state.bounds[1]))
    info = GradientInfo({order: count for order, count in enumerate(counts) if count}, bound)
    return Gradients(w1[:-1], w1[-1], w2[:-1], w2[-1]), info


def cost(net: Network, order: int) -> int:
    """How many multiplications a sample is worth: its forward pass and its series, or its direct evaluation."""
    return net.units.size * (len(net.w1) + net.outputs) * (10 * net.outputs if order == DIRECT else 2)


def block_rows(net: Network, order: int) -> int:
    """How many samples may be worked on in one call."""
    return _SLICE // cost(net, order) + 1


def weights(t: NDArray[Any], classes: int) -> Floats:
    """Targets (N,) or (N, O), as (N, O)."""
    if t.ndim == 2:
        return t
    one_hot = np.zeros((len(t), classes))
    one_hot[np.arange(len(t)), t] = 1
    return one_hot
