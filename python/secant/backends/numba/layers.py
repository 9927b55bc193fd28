"""The network as the kernels take it, and the forward pass of samples through it."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import Parameters
from secant.backends.numba.compilation import inlined, kernel
from secant.backends.numba.elementary import sigmoid, softmax_row
from secant.backends.numba.packs import LANES, aligned, broadcast, load, pad, pairs, store
from secant.backends.numba.rows import Rows
from secant.backends.numpy.forward import LOG_OFFSET

HIDDEN_ROWS, OUTPUT_ROWS = 7, 17
Z, ZC, Y = 0, 1, 7
"""A sample has so many rows of H' and of O' numbers: first z and 1 - z of a layer, and row Y of the outputs is y. The
others are in series.py."""


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
    finite: bool  # whether no parameter is NaN or infinite


def network(net: Parameters) -> Network:
    """The parameters as the kernels take them."""
    (inputs, hidden), outputs = net.W1.shape, len(net.b2)
    w1, w2 = aligned(inputs + 1, pad(hidden + 1)), aligned(hidden + 1, pad(outputs))
    bad = (
        _copy(net.W1, w1) + _copy(net.b1[np.newaxis], w1[-1:]) + _copy(net.W2, w2) + _copy(net.b2[np.newaxis], w2[-1:])
    )
    units = np.arange(hidden + 1, dtype=np.int32)[np.newaxis]
    return Network(w1, w2, units, outputs, net.output_activation == "sigmoid", bad == 0)


@kernel
def _copy(rows: Floats, to: Floats) -> int:
    """Copy rows to wider ones, padded with zeros; return how many elements are NaN or infinite."""
    bad = 0
    for i in range(len(rows)):
        for j in range(rows.shape[1]):
            bad += rows[i, j] - rows[i, j] != 0  # else 0
            to[i, j] = rows[i, j]
        for j in range(rows.shape[1], to.shape[1]):
            to[i, j] = 0.0
    return bad


@inlined
def forward(net: Network, rows: Rows, begin: int, end: int, hidden: Floats, output: Floats, n: int) -> None:
    """Samples of ``rows``, as those from n on: z1 and 1 - z1 into ``hidden``, z2, 1 - z2 and y into ``output``.

    After the H units comes the one that is always 1, then zeros.
    """
    _affine_inputs(net, rows, begin, end, hidden, n)
    units = net.w2.shape[0] - 1
    for sample in range(n, n + end - begin):
        h, o = sample * HIDDEN_ROWS, sample * OUTPUT_ROWS
        for j in range(hidden.shape[1]):
            hidden[h + Z, j], hidden[h + ZC, j] = sigmoid(hidden[h + Z, j])
        for j in range(units, hidden.shape[1]):
            hidden[h + Z, j] = 1.0 if j == units else 0.0
            hidden[h + ZC, j] = 0.0
        _affine(net.units, 0, hidden, h + Z, units + 1, net.w2, output, o + Z)
        if net.sigmoid_output:
            for k in range(output.shape[1]):
                output[o + Z, k], output[o + ZC, k] = sigmoid(output[o + Z, k])
        softmax_row(output, o + Z, output, o + Y, net.outputs)


@inlined
def _affine_inputs(net: Network, rows: Rows, begin: int, end: int, hidden: Floats, n: int) -> None:
    """a1 of samples; of four at a time where none of their inputs is zero."""
    sample = begin
    while sample < end:
        row = (n + sample - begin) * HIDDEN_ROWS + Z
        full = sample + 4 <= end
        for other in range(sample, sample + 4 if full else sample):
            full &= rows.starts[other, -1] == len(net.w1)
        if full:
            _affine_full(rows.values, sample, net.w1, hidden, row)
            sample += 4
        else:
            _affine(rows.columns, sample, rows.values, sample, rows.starts[sample, -1], net.w1, hidden, row)
            sample += 1


@inlined
def _affine_full(x: Floats, n: int, w: Floats, out: Floats, row: int) -> None:
    """The product x w, for four rows of x."""
    width = w.shape[1]
    for j in range(0, width, 2 * LANES):
        k = min(j + LANES, width - LANES)  # where it is j, both do the same
        a, b, c, d = broadcast(0.0), broadcast(0.0), broadcast(0.0), broadcast(0.0)
        e, f, g, h = broadcast(0.0), broadcast(0.0), broadcast(0.0), broadcast(0.0)
        for i in range(len(w)):
            first, second = load(w, i, j), load(w, i, k)
            v = broadcast(x[n, i])
            a += v * first
            e += v * second
            v = broadcast(x[n + 1, i])
            b += v * first
            f += v * second
            v = broadcast(x[n + 2, i])
            c += v * first
            g += v * second
            v = broadcast(x[n + 3, i])
            d += v * first
            h += v * second
        store(out, row, j, a)
        store(out, row, k, e)
        store(out, row + HIDDEN_ROWS, j, b)
        store(out, row + HIDDEN_ROWS, k, f)
        store(out, row + 2 * HIDDEN_ROWS, j, c)
        store(out, row + 2 * HIDDEN_ROWS, k, g)
        store(out, row + 3 * HIDDEN_ROWS, j, d)
        store(out, row + 3 * HIDDEN_ROWS, k, h)


@inlined
def _affine(
    columns: NDArray[np.int32], c: int, values: Floats, v: int, size: int, w: Floats, out: Floats, n: int
) -> None:
    """Row n of out = x w, where x has values[v, e] in column columns[c, e].  |error| <= size eps |x| |w|."""
    width = w.shape[1]
    for j in range(0, pairs(width), 2 * LANES):
        first, second = broadcast(0.0), broadcast(0.0)
        for e in range(size):
            i, x = columns[c, e], broadcast(values[v, e])
            first += x * load(w, i, j)
            second += x * load(w, i, j + LANES)
        store(out, n, j, first)
        store(out, n, j + LANES, second)
    for j in range(pairs(width), width, LANES):
        total = broadcast(0.0)
        for e in range(size):
            total += broadcast(values[v, e]) * load(w, columns[c, e], j)
        store(out, n, j, total)


@inlined
def loss_row(y: Floats, row: int, t: Floats, sample: int) -> float:
    """-sum over k of t log(y + 1e-7)."""
    total = 0.0
    for k in range(t.shape[1]):
        if t[sample, k] != 0.0:
            total -= t[sample, k] * math.log(y[row, k] + LOG_OFFSET)
    return total
