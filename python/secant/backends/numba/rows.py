"""Samples without their zeros."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.numba.compilation import inlined, kernel
from secant.backends.numba.elementary import as_bits, from_bits
from secant.backends.numba.packs import LANES, nonzeros
from secant.backends.numba.parallel import Team, choose_threads, finish, join, leave, run

TURN = 112
"""So many inputs are worked on at a time: their weights, in and out of the cache together."""

_ROWS_A_TASK = 8
_MULTIPLICATIONS_AN_INPUT = 10
"""What it takes to look at one."""


class Rows(NamedTuple):
    """Samples without their zeros, by rising column: those of sample n are the first of columns[n] and values[n].

    The last is the bias's 1, in column I. ``starts[n, c]`` is where the inputs from ``c * TURN`` on begin,
    ``starts[n, -1]`` how many there are, and ``largest[n]`` is the largest absolute value, the bias's included.
    """

    columns: NDArray[np.int32]
    values: Floats
    starts: NDArray[np.int32]
    largest: Floats


def find_rows(x: NDArray[Any], chosen: NDArray[np.int64], threads: int) -> Rows:
    """The chosen samples of x (N, I) without their zeros."""
    size, inputs = len(chosen), x.shape[1]
    rows = Rows(
        np.empty((size, inputs + 1), np.int32),
        np.empty((size, inputs + 1)),
        np.empty((size, inputs // TURN + 2), np.int32),
        np.empty(size),
    )
    useful = choose_threads(0, _MULTIPLICATIONS_AN_INPUT * size * inputs)
    run(min(threads, useful), partial(_find_rows, x, chosen, rows))
    return rows


@kernel
def _find_rows(x: NDArray[Any], chosen: NDArray[np.int64], rows: Rows, team: Team) -> None:
    tasks = -(-len(chosen) // _ROWS_A_TASK)
    task = join(team)
    while task < tasks:
        for n in range(task * _ROWS_A_TASK, min(len(chosen), (task + 1) * _ROWS_A_TASK)):
            _find_nonzeros(x, chosen[n], rows, n)
        task = finish(team)
    leave(team, tasks)


@inlined
def _find_nonzeros(x: NDArray[Any], row: int, rows: Rows, n: int) -> None:
    inputs = x.shape[1]
    count = 0
    for turn in range(rows.starts.shape[1] - 1):
        rows.starts[n, turn] = count
        first, last = turn * TURN, min(inputs, (turn + 1) * TURN)
        for i in range(first, last - LANES + 1, LANES):
            if nonzeros(x, row, i):
                count = _append(x, row, i, LANES, rows, n, count)
        count = _append(x, row, last - last % LANES, last % LANES, rows, n, count)
    rows.columns[n, count] = inputs
    rows.values[n, count] = 1.0
    rows.starts[n, -1] = count + 1
    largest = 0
    for e in range(count + 1):
        largest = max(largest, as_bits(abs(rows.values[n, e])))  # doubles above 0 are ordered like their bits
    rows.largest[n] = from_bits(largest)


@inlined
def _append(x: NDArray[Any], row: int, first: int, size: int, rows: Rows, n: int, count: int) -> int:
    for i in range(first, first + size):  # written first and decided upon later: no branch to mispredict
        rows.columns[n, count] = i
        rows.values[n, count] = x[row, i]
        count += x[row, i] != 0
    return count
