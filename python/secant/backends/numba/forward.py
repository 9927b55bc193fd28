"""The outputs of a network; sigmoid, softmax and the loss of arrays."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import Parameters
from secant.backends.numba import elementary
from secant.backends.numba.compilation import kernel
from secant.backends.numba.layers import HIDDEN_ROWS, OUTPUT_ROWS, Network, Y, forward, network
from secant.backends.numba.packs import aligned
from secant.backends.numba.parallel import Team, choose_threads, finish, join, leave, run
from secant.backends.numba.rows import Rows, find_rows
from secant.backends.numpy.forward import LOG_OFFSET

_ROWS_A_TASK = 8
_BLOCK_ROWS = 1024


def predict(net: Parameters, x: NDArray[Any], n_threads: int) -> Floats:
    return predict_rows(net, x, np.arange(len(x)), n_threads)


def predict_rows(net: Parameters, x: NDArray[Any], chosen: NDArray[np.int64], n_threads: int) -> Floats:
    """The output (N, O) for the chosen samples."""
    y = np.empty((len(chosen), len(net.b2)))
    own = network(net)
    threads = choose_threads(n_threads, len(chosen) * net.W1.size)
    for first in range(0, len(chosen), _BLOCK_ROWS):
        rows = find_rows(x, chosen[first : first + _BLOCK_ROWS], threads)
        run(threads, _prediction(own, rows, y[first : first + _BLOCK_ROWS]))
    return y


def _prediction(net: Network, rows: Rows, y: Floats) -> Callable[[Team], None]:
    """The call that makes y of samples."""

    def call(team: Team) -> None:
        hidden, outputs = net.w1.shape[1], net.w2.shape[1]
        memory = aligned(_ROWS_A_TASK * HIDDEN_ROWS, hidden), aligned(_ROWS_A_TASK * OUTPUT_ROWS, outputs)
        _predict(net, rows, y, *memory, team)

    return call


@kernel
def _predict(net: Network, rows: Rows, y: Floats, hidden: Floats, output: Floats, team: Team) -> None:
    tasks = -(-len(y) // _ROWS_A_TASK)
    task = join(team)
    while task < tasks:
        first, last = task * _ROWS_A_TASK, min(len(y), (task + 1) * _ROWS_A_TASK)
        forward(net, rows, first, last, hidden, output, 0)
        for n in range(first, last):
            for k in range(net.outputs):
                y[n, k] = output[(n - first) * OUTPUT_ROWS + Y, k]
        task = finish(team)
    leave(team, tasks)


def all_finite(array: NDArray[Any]) -> bool:
    return bool(array.dtype == np.uint8 or _all_finite(array.reshape(-1)))


@kernel
def _all_finite(array: NDArray[Any]) -> bool:
    bad = 0
    for i in range(len(array)):
        bad += array[i] - array[i] != 0  # 0, or NaN for NaN and infinities
    return bad == 0


def sigmoid(x: Floats) -> Floats:
    out = np.empty(x.shape)
    _sigmoid(x.reshape(-1), out.reshape(-1))
    return out


@kernel
def _sigmoid(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.sigmoid(x[i])[0]


def softmax(x: Floats) -> Floats:
    out = np.empty(x.shape)
    _softmax(x.reshape(-1, x.shape[-1]), out.reshape(-1, x.shape[-1]))
    return out


@kernel
def _softmax(x: Floats, out: Floats) -> None:
    for row in range(len(x)):
        elementary.softmax_row(x, row, out, row, x.shape[1])


def cross_entropy(y: Floats, t: NDArray[Any]) -> float:
    return float(_cross_entropy_of_labels(y, t) if t.ndim == 1 else _cross_entropy_of_weights(y, t))


@kernel
def _cross_entropy_of_labels(y: Floats, t: NDArray[np.int64]) -> float:
    total = 0.0
    for n in range(len(y)):
        value = y[n, t[n]]
        total -= math.log(value + LOG_OFFSET) if value >= 0 else np.nan
    return total / len(y)


@kernel
def _cross_entropy_of_weights(y: Floats, t: Floats) -> float:
    total = 0.0
    for n in range(len(y)):
        for k in range(y.shape[1]):
            if not (0 <= y[n, k] < np.inf and 0 <= t[n, k] < np.inf):
                return np.nan
            if t[n, k] != 0:
                total -= t[n, k] * math.log(y[n, k] + LOG_OFFSET)
    return total / len(y)
