"""The central difference, evaluated: phi(h x) - phi(-h x) for every weight and every input that is not zero.

Units of a strip of whole packs belong to one thread, with the weights into and out of them.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.numba.compilation import inlined
from secant.backends.numba.elementary import as_bits
from secant.backends.numba.jets import LENGTH
from secant.backends.numba.layers import HIDDEN_ROWS, OUTPUT_ROWS, ZC, Network, Y, Z
from secant.backends.numba.packs import LANES, aligned, broadcast, load, store
from secant.backends.numba.rows import TURN, Rows
from secant.backends.numba.series import (
    GROWTH,
    MOMENTS,
    OWN,
    Samples,
    moments,
    powers,
    ratio,
)
from secant.backends.numpy.forward import LOG_OFFSET

_FEW_TERMS, _MOST_TERMS = 4, 8
_LOG1P = np.array([0.0] + [(-1.0) ** (m + 1) / m for m in range(1, _MOST_TERMS + 1)])


class Scratch(NamedTuple):
    """A thread's own memory. The different values of a row are numbered: equal inputs have equal responses."""

    memory: Floats  # (., 8): series of packs, those of each class from OWN on
    sums: Floats  # (TURN, H')
    cubes: Floats  # (N, 4)
    values: Floats  # (I+1,), the different values
    shifts: Floats  # (I+1,), expm1(h |value|)
    differences: Floats  # (I+1, 8): phi(h |value|) - phi(-h |value|), of a pack of hidden units
    exponents: Floats  # (O,)
    ids: NDArray[np.int32]  # (I+1,), the number of each entry's value
    slots: NDArray[np.int32]  # a hash table, a power of two in size


def make_scratch(inputs: int, hidden: int, outputs: int, samples: int) -> Scratch:
    """For a network I-H'-O, and a mini-batch."""
    size = inputs + 1
    return Scratch(
        aligned(OWN + outputs * LENGTH, LANES),
        aligned(TURN, hidden),
        np.empty((samples, 4)),
        np.empty(size),
        np.empty(size),
        aligned(size, LANES),
        np.empty(outputs),
        np.empty(size, np.int32),
        np.empty(1 << (2 * size).bit_length(), np.int32),
    )


@inlined
def terms_needed(h: float, largest_input: float, largest_weight: float) -> int:
    """How many terms the series of a growth needs for a relative error of 1e-15; 0 for the full functions.

    A sigmoid is nowhere steeper than 1/4, so no a2 is shifted by more than u, and D terms err by (2u)^D / (D + 1).
    """
    u = h * max(1.0, largest_input * largest_weight / 4)
    if u <= 1.3e-4:
        return _FEW_TERMS
    return _MOST_TERMS if u <= 8.8e-3 else 0


@inlined
def add_directly(
    net: Network, w2t: Floats, rows: Rows, sample: int, t: Floats, s: Samples, n: int, h: float, terms: int,
    first: int, last: int, scratch: Scratch, w1_sums: Floats, w2t_sums: Floats,
) -> None:  # fmt: skip
    """Add the central differences of sample n, of hidden units from ``first`` up to ``last``, to the sums."""
    hidden, output, row, o = s.hidden, s.output, n * HIDDEN_ROWS, n * OUTPUT_ROWS
    count = _number(rows, sample, h, scratch)
    for j in range(first, last, LANES):
        if terms:
            _differences_by_series(w2t, t, sample, hidden, row, output, o, terms, j, count, scratch)
        else:
            _differences(net, w2t, t, sample, hidden, row, output, o, j, count, scratch)
        for e in range(rows.starts[sample, -1]):
            i, v = rows.columns[sample, e], scratch.ids[e]
            step = math.copysign(2 * h, scratch.values[v])
            store(w1_sums, i, j, load(w1_sums, i, j) + load(scratch.differences, v, 0) * (1 / step))
        for k in range(net.outputs):
            if terms:
                difference = _output_difference_by_series(t, sample, output, o, terms, k, h * load(hidden, row + Z, j))
                store(w2t_sums, k, j, load(w2t_sums, k, j) + difference * (1 / (2 * h)))
            else:
                for unit in range(j, min(j + LANES, net.w2.shape[0])):
                    shift = h * hidden[row + Z, unit]
                    w2t_sums[k, unit] += _output_difference(net, t, sample, output, o, k, shift) / (2 * h)


@inlined
def _number(rows: Rows, sample: int, h: float, scratch: Scratch) -> int:
    """Number the different values of a row; return how many there are."""
    values, slots = scratch.values, scratch.slots
    mask = len(slots) - 1
    slots[:] = -1
    count = 0
    for e in range(rows.starts[sample, -1]):
        value = rows.values[sample, e]
        key = np.uint64(as_bits(value)) * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing
        slot = np.int64(key >> np.uint64(32)) & mask
        while slots[slot] >= 0 and values[slots[slot]] != value:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = count
            values[count] = value
            scratch.shifts[count] = math.expm1(min(h * abs(value), 709.0))  # beyond, a sigmoid is 0 or 1 to 300 digits
            count += 1
        scratch.ids[e] = slots[slot]
    return count


# ---- small shifts: the change of the loss by a few terms of the series of growths and of log1p -----------------------


@inlined
def _differences_by_series(
    w2t: Floats, t: Floats, sample: int, hidden: Floats, row: int, output: Floats, o: int, terms: int, j: int,
    count: int, scratch: Scratch,
) -> None:  # fmt: skip
    """phi(h x) - phi(-h x), of a pack of hidden units, for each different |x|. A growth is a polynomial in w f."""
    memory = scratch.memory
    z, zc = load(hidden, row + Z, j), load(hidden, row + ZC, j)
    both = z * zc
    moments(w2t, output, o, terms, j, memory)
    for k in range(t.shape[1]):
        if t[sample, k] != 0.0:
            powers(w2t, output, o, terms, j, k, memory, OWN + k * LENGTH)
    for v in range(count):
        m = broadcast(scratch.shifts[v])
        up, down = both * m / (1.0 + z * m), 0.0 - both * m / (1.0 + zc * m)
        mean_up, mean_down = _polynomials(memory, MOMENTS, terms, up, down)
        scale_up, scale_down = 1.0 / (1.0 + mean_up), 1.0 / (1.0 + mean_down)
        phi = broadcast(0.0)
        for k in range(t.shape[1]):
            if t[sample, k] != 0.0:
                own_up, own_down = _polynomials(memory, OWN + k * LENGTH, terms, up, down)
                r, _ = ratio(output[o + Y, k])
                gain_up, gain_down = r * ((own_up - mean_up) * scale_up), r * ((own_down - mean_down) * scale_down)
                phi = phi - t[sample, k] * _log1p_difference(gain_up, gain_down, terms)
        store(scratch.differences, v, 0, phi)


@inlined
def _output_difference_by_series(t: Floats, sample: int, output: Floats, o: int, terms: int, k: int, up: Any) -> Any:
    """phi(shift) - phi(-shift) when a2_k alone is shifted, for a pack of shifts."""
    down = 0.0 - up
    own_up, own_down = broadcast(output[o + GROWTH + terms, k]), broadcast(output[o + GROWTH + terms, k])
    for m in range(terms - 1, 0, -1):
        own_up = own_up * up + output[o + GROWTH + m, k]
        own_down = own_down * down + output[o + GROWTH + m, k]
    own_up, own_down = own_up * up, own_down * down
    mean_up, mean_down = output[o + Y, k] * own_up, output[o + Y, k] * own_down
    scale_up, scale_down = 1.0 / (1.0 + mean_up), 1.0 / (1.0 + mean_down)
    phi = broadcast(0.0)
    for target in range(t.shape[1]):
        if t[sample, target] != 0.0:
            r, _ = ratio(output[o + Y, target])
            own = 1.0 if target == k else 0.0
            gain_up = r * ((own * own_up - mean_up) * scale_up)
            gain_down = r * ((own * own_down - mean_down) * scale_down)
            phi = phi - t[sample, target] * _log1p_difference(gain_up, gain_down, terms)
    return phi


@inlined
def _polynomials(c: Floats, row: int, terms: int, up: Any, down: Any) -> tuple[Any, Any]:
    """The sum over m of c_m x^m, for two x; c_m is in row ``row + m``."""
    above, below = load(c, row + terms, 0), load(c, row + terms, 0)
    for m in range(terms - 1, 0, -1):
        above = above * up + load(c, row + m, 0)
        below = below * down + load(c, row + m, 0)
    return above * up, below * down


@inlined
def _log1p_difference(up: Any, down: Any, terms: int) -> Any:
    """log1p(up) - log1p(down)."""
    above, below = broadcast(_LOG1P[terms]), broadcast(_LOG1P[terms])
    for m in range(terms - 1, 0, -1):
        above = above * up + _LOG1P[m]
        below = below * down + _LOG1P[m]
    return above * up - below * down


# ---- shifts of any size: the full functions, and no cancellation however far a probability moves ---------------------


@inlined
def _differences(
    net: Network, w2t: Floats, t: Floats, sample: int, hidden: Floats, row: int, output: Floats, o: int, j: int,
    count: int, scratch: Scratch,
) -> None:  # fmt: skip
    """phi(h x) - phi(-h x), of each hidden unit of a pack, for each different |x|.

    Softmax does not see a common factor of its numerators, so growths are relative to that of the most probable class:
    1 + S is then at least 1 / O.
    """
    exponents = scratch.exponents
    top = 0
    for k in range(net.outputs):
        top = k if output[o + Y, k] > output[o + Y, top] else top
    for v in range(count):
        m = scratch.shifts[v]
        for unit in range(j, j + LANES):
            z, zc = hidden[row + Z, unit], hidden[row + ZC, unit]
            difference = 0.0
            for sign in (1.0, -1.0):
                change = z * zc * m / (1 + z * m) if sign > 0 else -(z * zc * m / (1 + zc * m))
                common = _exponent(net, output, o, top, w2t[top, unit] * change)
                mean = 0.0
                for k in range(net.outputs):
                    exponents[k] = _exponent(net, output, o, k, w2t[k, unit] * change) - common
                    mean += output[o + Y, k] * math.expm1(exponents[k])
                for k in range(t.shape[1]):
                    if t[sample, k] != 0.0:
                        factor, excess = math.exp(exponents[k]), math.expm1(exponents[k]) - mean
                        change = _log_change(output[o + Y, k], factor / (1 + mean), excess / (1 + mean))
                        difference -= sign * t[sample, k] * change
            scratch.differences[v, unit - j] = difference


@inlined
def _output_difference(net: Network, t: Floats, sample: int, output: Floats, o: int, k: int, shift: float) -> float:
    """phi(shift) - phi(-shift) when a2_k alone is shifted.

    Growths are relative to the larger of e^q and 1, the numerators of k and of the others: 1 + S is a sum of positive
    terms, and e_k - S = (1 - y_k) (e^q - 1).
    """
    y, others = output[o + Y, k], 0.0  # 1 - y would cancel
    for target in range(net.outputs):
        others += 0.0 if target == k else output[o + Y, target]
    difference = 0.0
    for sign in (1.0, -1.0):
        q = _exponent(net, output, o, k, sign * shift)
        below, above = max(min(q, 0.0), -700.0), max(min(-q, 0.0), -700.0)
        own, other = math.exp(below), math.exp(above)
        rise = math.expm1(below) - math.expm1(above)  # own - other; one of them is 1
        total = others * other + y * own
        for target in range(t.shape[1]):
            if t[sample, target] != 0.0:
                factor = own if target == k else other
                excess = others * rise if target == k else -y * rise
                change = _log_change(output[o + Y, target], factor / total, excess / total)
                difference -= sign * t[sample, target] * change
    return difference


@inlined
def _exponent(net: Network, output: Floats, o: int, k: int, u: float) -> float:
    """The change of z2_k when a2_k is shifted by u: z zc m / (1 + z m), m = expm1(u), mirrored where that cancels."""
    if not net.sigmoid_output:
        return u
    m = math.expm1(min(abs(u), 709.0))
    z, zc = output[o + Z, k], output[o + ZC, k]
    change: float = z * zc * m / (1 + z * m) if u > 0 else -(z * zc * m / (1 + zc * m))
    return change


@inlined
def _log_change(y: float, factor: float, excess: float) -> float:
    """The change of log(y + 1e-7) when y is multiplied by ``factor``, which is 1 + ``excess``."""
    r, _ = ratio(y)
    if r * excess < -0.5:  # where the probability has all but vanished, it is computed as such
        return math.log((LOG_OFFSET + y * factor) / (y + LOG_OFFSET))
    return math.log1p(r * excess)
