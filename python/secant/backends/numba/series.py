"""The central difference from the Taylor series of the unit response (docs/method.md, "The series")."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.numba import jets
from secant.backends.numba.compilation import inlined
from secant.backends.numba.layers import HIDDEN_ROWS, OUTPUT_ROWS, ZC, Network, Y, Z
from secant.backends.numba.packs import LANES, broadcast, load, pairs, store
from secant.backends.numba.rows import TURN, Rows
from secant.backends.numpy.forward import LOG_OFFSET

ODD = 2
"""Row ODD + m // 2 of a sample has the odd coefficients of s^m, of the units of a layer."""
GROWTH = Y
"""Row GROWTH + m has the coefficients of s^m of the growths of softmax numerators, in the shift of a2."""

# Rows of a thread's own memory, where series of packs are.
CHANGE, MOMENTS, MEAN, LOG_MEAN, TARGET, LOG_TARGET, POWER, OWN = (jets.LENGTH * i for i in range(8))


class Samples(NamedTuple):
    """A mini-batch after the forward pass."""

    hidden: Floats  # (N * HIDDEN_ROWS, H')
    output: Floats  # (N * OUTPUT_ROWS, O')
    directly: NDArray[np.bool_]  # (N,), whether a sample is evaluated directly
    losses: Floats  # (N,)


@inlined
def ratio(y: float) -> tuple[float, float]:
    """The ratio r = y / (y + 1e-7), and 1 - r."""
    return y / (y + LOG_OFFSET), LOG_OFFSET / (y + LOG_OFFSET)


@inlined
def grow(net: Network, output: Floats, o: int, order: int, memory: Floats) -> None:
    """Expand the growths of a sample, whose rows begin at o."""
    for k in range(0, output.shape[1], LANES):
        if net.sigmoid_output:
            jets.sigmoid(memory, load(output, o + Z, k), load(output, o + ZC, k), order, CHANGE)
        else:
            for m in range(1, order + 1):
                store(memory, CHANGE + m, 0, broadcast(1.0 if m == 1 else 0.0))
        jets.expm1(memory, CHANGE, order, TARGET)
        for m in range(1, order + 1):
            store(output, o + GROWTH + m, k, load(memory, TARGET + m, 0))


@inlined
def expand_outputs(t: Floats, sample: int, output: Floats, o: int, order: int, memory: Floats) -> None:
    """Expand phi of output units: only the shifted unit's numerator grows, so S = y_k e_k."""
    for k in range(0, output.shape[1], LANES):
        y = load(output, o + Y, k)
        for m in range(1, order + 1):
            store(memory, MEAN + m, 0, y * load(output, o + GROWTH + m, k))
        jets.log1p(memory, MEAN, order, LOG_MEAN)
        _clear(output, o, order, k)
        for target in range(t.shape[1]):
            if t[sample, target] != 0.0:
                r, rest = ratio(output[o + Y, target])
                store(memory, OWN, 0, rest * y)
                if k <= target < k + LANES:
                    memory[OWN, target - k] += r
                for m in range(1, order + 1):
                    store(memory, TARGET + m, 0, load(memory, OWN, 0) * load(output, o + GROWTH + m, k))
                _add_target(memory, order, t[sample, target], output, o, k)


@inlined
def expand_hidden(
    w2t: Floats, t: Floats, sample: int, hidden: Floats, h: int, output: Floats, o: int, order: int, memory: Floats
) -> None:
    """Expand phi of hidden units: S = sum over m of M_m f^m, f the change of z1; see `moments`."""
    for j in range(0, hidden.shape[1], LANES):
        jets.sigmoid(memory, load(hidden, h + Z, j), load(hidden, h + ZC, j), order, CHANGE)
        moments(w2t, output, o, order, j, memory)
        jets.compose(memory, MOMENTS, CHANGE, order, POWER, MEAN)
        jets.log1p(memory, MEAN, order, LOG_MEAN)
        _clear(hidden, h, order, j)
        for target in range(t.shape[1]):
            if t[sample, target] != 0.0:
                r, rest = ratio(output[o + Y, target])
                powers(w2t, output, o, order, j, target, memory, OWN)
                for m in range(1, order + 1):
                    own = rest * load(memory, MOMENTS + m, 0) + r * load(memory, OWN + m, 0)
                    store(memory, OWN + m, 0, own)
                jets.compose(memory, OWN, CHANGE, order, POWER, TARGET)
                _add_target(memory, order, t[sample, target], hidden, h, j)


@inlined
def _clear(rows: Floats, row: int, order: int, j: int) -> None:
    for m in range(1, order + 1, 2):
        store(rows, row + ODD + m // 2, j, broadcast(0.0))


@inlined
def _add_target(memory: Floats, order: int, weight: float, rows: Floats, row: int, j: int) -> None:
    """Add weight * (log1p(S) - log1p(target)) to phi."""
    jets.log1p(memory, TARGET, order, LOG_TARGET)
    for m in range(1, order + 1, 2):
        change = load(memory, LOG_MEAN + m, 0) - load(memory, LOG_TARGET + m, 0)
        store(rows, row + ODD + m // 2, j, load(rows, row + ODD + m // 2, j) + weight * change)


@inlined
def moments(w2t: Floats, output: Floats, o: int, order: int, j: int, memory: Floats) -> None:
    """M_m = sum over k of y_k g_k,m w_k^m, of a pack of hidden units."""
    for m in range(1, order + 1):
        store(memory, MOMENTS + m, 0, broadcast(0.0))
    for k in range(w2t.shape[0]):
        w = load(w2t, k, j)
        term = broadcast(output[o + Y, k])
        for m in range(1, order + 1):
            term = term * w
            store(memory, MOMENTS + m, 0, load(memory, MOMENTS + m, 0) + output[o + GROWTH + m, k] * term)


@inlined
def powers(w2t: Floats, output: Floats, o: int, order: int, j: int, k: int, memory: Floats, out: int) -> None:
    """g_k,m w_k^m of class k."""
    w = load(w2t, k, j)
    power = broadcast(1.0)
    for m in range(1, order + 1):
        power = power * w
        store(memory, out + m, 0, output[o + GROWTH + m, k] * power)


@inlined
def expand_hidden_to_3(
    w2t: Floats, t: Floats, sample: int, hidden: Floats, h: int, output: Floats, o: int, order: int
) -> None:
    """As `expand_hidden`, for orders 1 and 3, which nearly all samples have: written out, and all of it in registers.

    Of order 1, what is computed of c_3 means nothing.
    """
    g = o + GROWTH
    for j in range(0, hidden.shape[1], LANES):
        z, zc = load(hidden, h + Z, j), load(hidden, h + ZC, j)
        f1 = z * zc
        f2 = (zc - z) * f1 * 0.5
        f3 = ((zc - z) * f2 - f1 * f1) * (1 / 3)
        m1, m2, m3 = broadcast(0.0), broadcast(0.0), broadcast(0.0)
        for k in range(w2t.shape[0]):
            w, y = load(w2t, k, j), output[o + Y, k]
            m1 += (y * output[g + 1, k]) * w
            if order == 3:
                m2 += (y * output[g + 2, k]) * (w * w)
                m3 += (y * output[g + 3, k]) * (w * w * w)
        mean1, mean3 = _log1p_to_3(m1, m2, m3, f1, f2, f3)
        odd1, odd3 = broadcast(0.0), broadcast(0.0)
        for k in range(t.shape[1]):
            if t[sample, k] != 0.0:
                r, rest = ratio(output[o + Y, k])
                w = load(w2t, k, j)
                own1 = rest * m1 + (r * output[g + 1, k]) * w
                own2 = rest * m2 + (r * output[g + 2, k]) * (w * w)
                own3 = rest * m3 + (r * output[g + 3, k]) * (w * w * w)
                target1, target3 = _log1p_to_3(own1, own2, own3, f1, f2, f3)
                odd1 += t[sample, k] * (mean1 - target1)
                odd3 += t[sample, k] * (mean3 - target3)
        store(hidden, h + ODD, j, odd1)
        store(hidden, h + ODD + 1, j, odd3)


@inlined
def _log1p_to_3(m1: Any, m2: Any, m3: Any, f1: Any, f2: Any, f3: Any) -> tuple[Any, Any]:
    """The coefficients of s and s^3 of log(1 + m1 f + m2 f^2 + m3 f^3), f = f1 s + f2 s^2 + f3 s^3."""
    a1 = m1 * f1
    a2 = m1 * f2 + m2 * (f1 * f1)
    a3 = m1 * f3 + 2.0 * (m2 * (f1 * f2)) + m3 * (f1 * f1 * f1)
    return a1, a3 - a1 * a2 + (a1 * a1 * a1) * (1 / 3)


@inlined
def contract_inputs(
    rows: Rows, first: int, s: Samples, order: int, turn: int, size: int, h: float, sums: Floats, cubes: Floats
) -> None:
    """Add to row i of ``sums`` the sum over n and odd m of h^(m-1) x[n,i]^m c_m[n,j], for input i < size of a turn.

    Sample n is row ``first + n`` of ``rows``. Sums have one order, whoever computes them.
    """
    full = order <= 3
    for n in range(first, first + len(s.directly)):
        full &= rows.starts[n, turn + 1] - rows.starts[n, turn] == size and not s.directly[n - first]
    done = size // 4 * 4 if full else 0
    for i in range(0, done, 4):
        _contract_full(rows, first, s, order, turn, i, h, sums, cubes)
    for n in range(len(s.directly)):
        if s.directly[n]:
            continue
        begin, end = rows.starts[first + n, turn] + done, rows.starts[first + n, turn + 1]
        width = sums.shape[1] if order <= 3 else 0
        for j in range(0, pairs(width), 2 * LANES):
            a1, a3 = _first_two(s, n, order, j)
            b1, b3 = _first_two(s, n, order, j + LANES)
            for e in range(begin, end):
                i, value = rows.columns[first + n, e] - turn * TURN, rows.values[first + n, e]
                x, square = broadcast(value), broadcast(_square(value, h, order))
                store(sums, i, j, load(sums, i, j) + x * (a1 + square * a3))
                store(sums, i, j + LANES, load(sums, i, j + LANES) + x * (b1 + square * b3))
        for j in range(pairs(width), width, LANES):
            a1, a3 = _first_two(s, n, order, j)
            for e in range(begin, end):
                i, value = rows.columns[first + n, e] - turn * TURN, rows.values[first + n, e]
                store(sums, i, j, load(sums, i, j) + value * (a1 + _square(value, h, order) * a3))
        for e in range(begin, end if order > 3 else begin):
            i, value = rows.columns[first + n, e] - turn * TURN, rows.values[first + n, e]
            x, square = broadcast(value), broadcast(_square(value, h, order))
            for j in range(0, sums.shape[1], LANES):
                term = broadcast(0.0)
                for m in range(order // 2, -1, -1):
                    term = term * square + load(s.hidden, n * HIDDEN_ROWS + ODD + m, j)
                store(sums, i, j, load(sums, i, j) + x * term)


@inlined
def _contract_full(
    rows: Rows, first: int, s: Samples, order: int, turn: int, i: int, h: float, sums: Floats, cubes: Floats
) -> None:
    """The same for four inputs that are not zero in any sample: their sums stay in registers."""
    size, values = len(s.directly), rows.values
    for n in range(size):
        for k in range(4):
            x = values[first + n, rows.starts[first + n, turn] + i + k]
            cubes[n, k] = _square(x, h, order) * x
    width = sums.shape[1]
    for j in range(0, width, 2 * LANES):
        k = min(j + LANES, width - LANES)  # where it is j, both do the same
        a0, b0, c0, d0 = load(sums, i, j), load(sums, i + 1, j), load(sums, i + 2, j), load(sums, i + 3, j)
        a1, b1, c1, d1 = load(sums, i, k), load(sums, i + 1, k), load(sums, i + 2, k), load(sums, i + 3, k)
        for n in range(size):
            first0, third0 = _first_two(s, n, order, j)
            first1, third1 = _first_two(s, n, order, k)
            e = rows.starts[first + n, turn] + i
            x, cube = broadcast(values[first + n, e]), broadcast(cubes[n, 0])
            a0 += x * first0 + cube * third0
            a1 += x * first1 + cube * third1
            x, cube = broadcast(values[first + n, e + 1]), broadcast(cubes[n, 1])
            b0 += x * first0 + cube * third0
            b1 += x * first1 + cube * third1
            x, cube = broadcast(values[first + n, e + 2]), broadcast(cubes[n, 2])
            c0 += x * first0 + cube * third0
            c1 += x * first1 + cube * third1
            x, cube = broadcast(values[first + n, e + 3]), broadcast(cubes[n, 3])
            d0 += x * first0 + cube * third0
            d1 += x * first1 + cube * third1
        store(sums, i, j, a0)
        store(sums, i, k, a1)
        store(sums, i + 1, j, b0)
        store(sums, i + 1, k, b1)
        store(sums, i + 2, j, c0)
        store(sums, i + 2, k, c1)
        store(sums, i + 3, j, d0)
        store(sums, i + 3, k, d1)


@inlined
def _first_two(s: Samples, n: int, order: int, j: int) -> tuple[Any, Any]:
    """The coefficients c_1 and c_3 of a pack of hidden units; of order 1 there is no c_3."""
    row = n * HIDDEN_ROWS + ODD
    return load(s.hidden, row, j), load(s.hidden, row + 1, j) if order > 1 else broadcast(0.0)


@inlined
def _square(x: float, h: float, order: int) -> float:
    return (h * x) * (h * x) if order > 1 else 0.0


@inlined
def contract_units(s: Samples, order: int, k: int, h: float, sums: Floats) -> None:
    """Add to row 0 of ``sums`` the sum over n and odd m of h^(m-1) z[n,j]^m c_m[n,k], for output k."""
    for n in range(len(s.directly)):
        odd = n * OUTPUT_ROWS + ODD
        for j in range(0, 0 if s.directly[n] else sums.shape[1], LANES):
            z = load(s.hidden, n * HIDDEN_ROWS + Z, j)
            square = (h * z) * (h * z)
            term = broadcast(s.output[odd + order // 2, k])
            for m in range(order // 2 - 1, -1, -1):
                term = term * square + s.output[odd + m, k]
            store(sums, 0, j, load(sums, 0, j) + z * term)
