"""The forward pass of samples, on rows without their zeros; sigmoid, softmax and the loss of arrays."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant.backends.base import Parameters
from secant.backends.numba import elementary
from secant.backends.numba.compilation import SOURCES, inlined, kernel
from secant.backends.numba.packs import LANES, broadcast, load, nonzeros, pad, store
from secant.backends.numba.parallel import Counters, choose_threads, claim, finish, run, wait
from secant.backends.numpy.forward import LOG_OFFSET
from secant.validation import Floats

TURN = 64
"""So many inputs are worked on at a time: their weights, in and out of the cache together."""

Z, ZC, Y = 0, 1, 7
"""Where the forward pass of a sample leaves what it computed, among the rows that belong to the sample (series.py)."""

_ROWS_A_TASK = 8
_BLOCK_ROWS = 1024


class Network(NamedTuple):
    """The parameters, in rows padded with zeros to whole packs, H' and O' wide.

    A bias is the weight of an input that is always 1, and stands behind the others: w1 is (I+1, H'), w2 (H+1, O').
    H' has room for the hidden unit that is always 1.
    """

    w1: Floats
    w2: Floats
    units: NDArray[np.int32]  # (1, H+1): 0, 1, ..., H, the columns of a row without zeros
    outputs: int
    sigmoid_output: bool


class Rows(NamedTuple):
    """Samples without their zeros, by rising column: those of sample n are the first of columns[n] and values[n].

    The last is the bias's 1, in column I. ``starts[n, c]`` is where the inputs from ``c * TURN`` on begin,
    ``starts[n, -1]`` how many there are, and ``largest[n]`` is the largest absolute value, the bias's included.
    """

    columns: NDArray[np.int32]
    values: Floats
    starts: NDArray[np.int32]
    largest: Floats


def aligned(rows: int, columns: int) -> Floats:
    """A matrix, not initialised, that begins at a cache line."""
    memory = np.empty(rows * columns + LANES)
    first = -memory.__array_interface__["data"][0] // 8 % LANES
    return memory[first : first + rows * columns].reshape(rows, columns)


def network(net: Parameters) -> Network:
    """The parameters as the kernels take them."""
    (inputs, hidden), outputs = net.W1.shape, len(net.b2)
    w1, w2 = aligned(inputs + 1, pad(hidden + 1)), aligned(hidden + 1, pad(outputs))
    w1[:-1, :hidden], w1[-1, :hidden] = net.W1, net.b1
    w2[:-1, :outputs], w2[-1, :outputs] = net.W2, net.b2
    w1[:, hidden:] = 0
    w2[:, outputs:] = 0
    units = np.arange(hidden + 1, dtype=np.int32)[np.newaxis]
    return Network(w1, w2, units, outputs, net.output_activation == "sigmoid")


def find_rows(x: NDArray[Any], chosen: NDArray[np.int64], n_threads: int) -> Rows:
    """The chosen samples of x (N, I) without their zeros."""
    size, inputs = len(chosen), x.shape[1]
    rows = Rows(
        np.empty((size, inputs + 1), np.int32),
        np.empty((size, inputs + 1)),
        np.empty((size, inputs // TURN + 2), np.int32),
        np.empty(size),
    )
    run(_find_rows, choose_threads(n_threads, size * inputs), x, chosen, rows)
    return rows


@kernel
def _find_rows(
    x: NDArray[Any], chosen: NDArray[np.int64], rows: Rows, counters: Counters, sources: int = SOURCES
) -> None:
    tasks = -(-len(chosen) // _ROWS_A_TASK)
    task = claim(counters)
    while task < tasks:
        for n in range(task * _ROWS_A_TASK, min(len(chosen), (task + 1) * _ROWS_A_TASK)):
            _find_nonzeros(x, chosen[n], rows, n)
        task = finish(counters)
    wait(counters, tasks)


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
        largest = max(
            largest, elementary.as_bits(abs(rows.values[n, e]))
        )  # doubles above 0 are ordered like their bits
    rows.largest[n] = elementary.from_bits(largest)


@inlined
def _append(x: NDArray[Any], row: int, first: int, size: int, rows: Rows, n: int, count: int) -> int:
    for i in range(first, first + size):  # written first and decided upon later: no branch to mispredict
        rows.columns[n, count] = i
        rows.values[n, count] = x[row, i]
        count += x[row, i] != 0
    return count


@inlined
def forward(net: Network, rows: Rows, sample: int, hidden: Floats, h: int, output: Floats, o: int) -> None:
    """A sample of ``rows``: z1 and 1 - z1 into rows h + Z and h + ZC of ``hidden``, z2, 1 - z2 and y into ``output``.

    After the H units comes the one that is always 1, then zeros.
    """
    units = net.w2.shape[0] - 1
    _affine(rows.columns, sample, rows.values, sample, rows.starts[sample, -1], net.w1, hidden, h + Z)
    for j in range(hidden.shape[1]):
        hidden[h + Z, j], hidden[h + ZC, j] = elementary.sigmoid(hidden[h + Z, j])
    for j in range(units, hidden.shape[1]):
        hidden[h + Z, j] = 1.0 if j == units else 0.0
        hidden[h + ZC, j] = 0.0
    _affine(net.units, 0, hidden, h + Z, units + 1, net.w2, output, o + Z)
    if net.sigmoid_output:
        for k in range(output.shape[1]):
            output[o + Z, k], output[o + ZC, k] = elementary.sigmoid(output[o + Z, k])
    softmax_row(output, o + Z, output, o + Y, net.outputs)


@inlined
def _affine(
    columns: NDArray[np.int32], c: int, values: Floats, v: int, size: int, w: Floats, out: Floats, n: int
) -> None:
    """Row n of out = x w, where x has values[v, e] in column columns[c, e].  |error| <= size eps |x| |w|."""
    width = w.shape[1]
    pairs = width // (2 * LANES) * (2 * LANES)
    for j in range(0, pairs, 2 * LANES):
        first, second = broadcast(0.0), broadcast(0.0)
        for e in range(size):
            i, x = columns[c, e], broadcast(values[v, e])
            first += x * load(w, i, j)
            second += x * load(w, i, j + LANES)
        store(out, n, j, first)
        store(out, n, j + LANES, second)
    for j in range(pairs, width, LANES):
        total = broadcast(0.0)
        for e in range(size):
            total += broadcast(values[v, e]) * load(w, columns[c, e], j)
        store(out, n, j, total)


@inlined
def softmax_row(x: Floats, row: int, out: Floats, to: int, size: int) -> None:
    """exp(x[row]) over its sum, of so many elements. What subtracting the largest rounds off is handed to exp."""
    top = x[row, 0]
    for k in range(1, size):
        top = x[row, k] if x[row, k] > top else top
    for k in range(out.shape[1]):
        difference = x[row, k] - top
        part = difference - x[row, k]
        lost = (x[row, k] - (difference - part)) - (top + part)
        out[to, k] = elementary.exp(difference, lost if lost == lost else 0.0)
    total = 0.0
    for k in range(size):
        total += out[to, k]
    for k in range(size):
        out[to, k] /= total


@inlined
def loss_row(y: Floats, row: int, t: Floats, sample: int) -> float:
    """-sum over k of t log(y + 1e-7)."""
    total = 0.0
    for k in range(t.shape[1]):
        if t[sample, k] != 0.0:
            total -= t[sample, k] * math.log(y[row, k] + LOG_OFFSET)
    return total


def predict(net: Parameters, x: NDArray[Any], n_threads: int) -> Floats:
    return predict_rows(net, x, np.arange(len(x)), n_threads)


def predict_rows(net: Parameters, x: NDArray[Any], chosen: NDArray[np.int64], n_threads: int) -> Floats:
    """The output (N, O) for the chosen samples."""
    y = np.empty((len(chosen), len(net.b2)))
    own = network(net)
    threads = choose_threads(n_threads, len(chosen) * net.W1.size)
    for first in range(0, len(chosen), _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        run(_predict, threads, own, find_rows(x, chosen[block], n_threads), y[block], own=lambda: _scratch(own))
    return y


def _scratch(net: Network) -> tuple[Floats, Floats]:
    return aligned(ZC + 1, net.w1.shape[1]), aligned(Y + 1, net.w2.shape[1])


@kernel
def _predict(
    net: Network, rows: Rows, y: Floats, hidden: Floats, output: Floats, counters: Counters, sources: int = SOURCES
) -> None:
    tasks = -(-len(y) // _ROWS_A_TASK)
    task = claim(counters)
    while task < tasks:
        for n in range(task * _ROWS_A_TASK, min(len(y), (task + 1) * _ROWS_A_TASK)):
            forward(net, rows, n, hidden, 0, output, 0)
            for k in range(net.outputs):
                y[n, k] = output[Y, k]
        task = finish(counters)
    wait(counters, tasks)


def all_finite(array: NDArray[Any]) -> bool:
    return bool(array.dtype == np.uint8 or _all_finite(array.reshape(-1)))


@kernel
def _all_finite(array: NDArray[Any], sources: int = SOURCES) -> bool:
    bad = 0
    for i in range(len(array)):
        bad += array[i] - array[i] != 0  # 0, or NaN for NaN and infinities
    return bad == 0


def sigmoid(x: Floats) -> Floats:
    out = np.empty(x.shape)
    _sigmoid(x.reshape(-1), out.reshape(-1))
    return out


@kernel
def _sigmoid(x: Floats, out: Floats, sources: int = SOURCES) -> None:
    for i in range(len(x)):
        out[i] = elementary.sigmoid(x[i])[0]


def softmax(x: Floats) -> Floats:
    out = np.empty(x.shape)
    _softmax(x.reshape(-1, x.shape[-1]), out.reshape(-1, x.shape[-1]))
    return out


@kernel
def _softmax(x: Floats, out: Floats, sources: int = SOURCES) -> None:
    for row in range(len(x)):
        softmax_row(x, row, out, row, x.shape[1])


def cross_entropy(y: Floats, t: NDArray[Any]) -> float:
    return float(_cross_entropy_of_labels(y, t) if t.ndim == 1 else _cross_entropy_of_weights(y, t))


@kernel
def _cross_entropy_of_labels(y: Floats, t: NDArray[np.int64], sources: int = SOURCES) -> float:
    total = 0.0
    for n in range(len(y)):
        value = y[n, t[n]]
        total -= math.log(value + LOG_OFFSET) if value >= 0 else np.nan
    return total / len(y)


@kernel
def _cross_entropy_of_weights(y: Floats, t: Floats, sources: int = SOURCES) -> float:
    total = 0.0
    for n in range(len(y)):
        for k in range(y.shape[1]):
            if not (0 <= y[n, k] < np.inf and 0 <= t[n, k] < np.inf):
                return np.nan
            if t[n, k] != 0:
                total -= t[n, k] * math.log(y[n, k] + LOG_OFFSET)
    return total / len(y)
