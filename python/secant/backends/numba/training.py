"""Gradient descent: many mini-batches in one call of compiled code."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secant.backends.base import Parameters
from secant.backends.numba.compilation import SOURCES, kernel
from secant.backends.numba.forward import Network, cross_entropy, find_rows, network, predict_rows
from secant.backends.numba.gradients import block_rows, cost, gradient_of_rows, weights
from secant.backends.numba.parallel import choose_threads, run
from secant.backends.numba.tasks import (
    AUTO,
    DERIVATIVE,
    DIRECT,
    Step,
    descend,
    make_samples,
    make_state,
    scratch_for,
)
from secant.validation import Floats

_ORDERS = {"derivative": DERIVATIVE, "auto": AUTO, "direct": DIRECT}
_INPUTS_A_CALL = 2**20


def train(
    net: Parameters,
    x: NDArray[Any],
    t: NDArray[Any],
    indices: NDArray[np.int64],
    method: Literal["derivative", "auto", "direct"],
    h: float,
    learning_rate: float,
    n_threads: int,
) -> Floats:
    order = _ORDERS[method]
    own = network(net)
    batch = indices.shape[1]
    a_block = block_rows(own, order)
    if batch > a_block:
        return _train_by_blocks(net, x, t, indices, order, h, learning_rate, n_threads)
    threads = choose_threads(n_threads, batch * cost(own, order))
    step = Step(order, h, 0.0, -learning_rate / batch, 0 if order == DERIVATIVE else threads)
    samples = make_samples(own, batch)
    a_call = max(1, min(a_block, _INPUTS_A_CALL // x.shape[1]) // batch)
    losses = []
    for first in range(0, len(indices), a_call):
        chosen = indices[first : first + a_call].reshape(-1)
        rows = find_rows(x, chosen, n_threads)
        state = make_state(own, len(chosen) // batch)
        run(descend, threads, own, rows, weights(t[chosen], own.outputs), samples, state, step, own=scratch_for(own))
        _write_back(own, *net[:4])
        losses.append(state.losses)
        if not np.isfinite(state.losses[-1]):
            break
    return _to_the_first_that_is_not_finite(np.concatenate(losses))


@kernel
def _write_back(own: Network, w1: Floats, b1: Floats, w2: Floats, b2: Floats, sources: int = SOURCES) -> None:
    """All of it or nothing: Ctrl-C does not come between."""
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
) -> Floats:
    """For mini-batches that are larger than a block of samples."""
    losses = []
    for batch in indices:
        grads, _ = gradient_of_rows(net, x, t, batch, order, h, n_threads)
        for param, grad in zip(net[:4], grads, strict=True):
            param -= learning_rate * grad
        losses.append(cross_entropy(predict_rows(net, x, batch, n_threads), t[batch]))
        if not np.isfinite(losses[-1]):
            break
    return np.array(losses)


def _to_the_first_that_is_not_finite(losses: Floats) -> Floats:
    bad = ~np.isfinite(losses)
    return losses[: bad.argmax() + 1] if bad.any() else losses
