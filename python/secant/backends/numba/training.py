"""Gradient descent: many mini-batches in one call of compiled code."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secant._common.interrupts import held_interrupts
from secant._common.validation import Floats
from secant.backends.base import Parameters
from secant.backends.numba.compilation import kernel
from secant.backends.numba.forward import cross_entropy, predict_rows
from secant.backends.numba.gradients import ORDERS, block_rows, cost, gradient_of_rows, weights
from secant.backends.numba.layers import Network, network
from secant.backends.numba.parallel import choose_threads, run
from secant.backends.numba.rows import find_rows
from secant.backends.numba.tasks import (
    DERIVATIVE,
    DONE,
    STOPPED,
    Step,
    descent,
    make_samples,
    make_state,
)

_MOST_INPUTS, _MOST_ITERATIONS = 2**20, 2**11
"""That a call takes: memory is bounded, and Ctrl-C does not wait long."""


def train(
    net: Parameters,
    x: NDArray[Any],
    t: NDArray[Any],
    indices: NDArray[np.int64],
    method: Literal["derivative", "auto", "direct"],
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
) -> None:
    order, batch, own = ORDERS[method], indices.shape[1], network(net)
    if batch > block_rows(own, order):
        return _train_by_blocks(net, x, t, indices, order, h, learning_rate, n_threads, losses)
    threads = choose_threads(n_threads, batch * cost(own, order))
    step = Step(order, h, -learning_rate / batch, True, False, 0 if order == DERIVATIVE else threads)
    samples = make_samples(own, batch)
    most_rows = min(block_rows(own, order), _MOST_INPUTS // x.shape[1])
    a_call = min(max(1, most_rows // batch), _MOST_ITERATIONS)
    for first in range(0, len(indices), a_call):
        chosen = indices[first : first + a_call].reshape(-1)
        rows = find_rows(x, chosen, threads)
        state = make_state(own, len(chosen) // batch, (own.w1, own.w2))
        with held_interrupts():
            run(threads, descent(own, rows, weights(t[chosen], own.outputs), samples, state, step))
            _write_back(own, *net[:4])
            losses += state.losses[: state.plan[DONE]].tolist()
        if state.plan[STOPPED]:
            return


@kernel
def _write_back(own: Network, w1: Floats, b1: Floats, w2: Floats, b2: Floats) -> None:
    for source, w, b in ((own.w1, w1, b1), (own.w2, w2, b2)):
        for i in range(len(w)):
            for j in range(len(b)):
                w[i, j] = source[i, j]
        for j in range(len(b)):
            b[j] = source[len(w), j]


def _train_by_blocks(
    net: Parameters,
    x: NDArray[Any],
    t: NDArray[Any],
    indices: NDArray[np.int64],
    order: int,
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
) -> None:
    """For mini-batches that are larger than a block of samples."""
    for batch in indices:
        grads, _ = gradient_of_rows(net, x, t, batch, order, h, n_threads)
        with held_interrupts():
            for param, grad in zip(net[:4], grads, strict=True):
                param -= learning_rate * grad
            losses.append(cross_entropy(predict_rows(net, x, batch, n_threads), t[batch]))
        if not math.isfinite(losses[-1]):
            return
