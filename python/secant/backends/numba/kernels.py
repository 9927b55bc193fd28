"""All that Numba compiles, in one file: Numba notices changes in the file of a cached function, in no other.

Without fast-math: a result may not depend on what the compiler makes of a sum. Division by zero is an infinity, not an
exception. Kernels release the GIL, so that other threads run beside one. What they compute is that of the NumPy
backend; "direct" is docs/method.md, "Changes, not differences" to "Large shifts".
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.errors import MissingExtraError

try:
    import numba
except ModuleNotFoundError:
    raise MissingExtraError("the backend 'numba' needs Numba: pip install 'secant[numba]'") from None
if numba.config.DISABLE_JIT:
    raise MissingExtraError("the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT")

# Those of backends/bound.py, of which Numba would not notice a change: a test compares them.
SMALL_SHIFT_LIMIT, EXPONENT_LIMIT, SMALL_OFFSET = 1.0, 600.0, 1e-40

_SPLIT = 2.0**27 + 1
_LEAST_NORMAL = float(np.finfo(float).tiny)
_LOG1P = np.array([0.0, 1.0, -1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6, 1 / 7, -1 / 8])


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled ones call."""
    return numba.njit(error_model="numpy")(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, for all processes if a folder can be written."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy")(function)


class Layers(NamedTuple):
    """Both layers after the forward pass, with the p and q of `activations.Family`.

    The output that is always 1 and belongs to a bias stands behind the others in z1. Where a shift may take a1 across a
    kink, as ``near`` says, it is rounded only once, and its slope p1 is 0. A sample whose pre-activations overflow has
    a y of NaN.
    """

    rate1: float  # 0 if it is linear
    kinked: bool
    rate2: float
    log_offset: float
    near: NDArray[np.bool_]  # (N, H)
    x: Floats  # (N, I)
    a1: Floats  # (N, H)
    z1: Floats  # (N, H+1)
    p1: Floats  # (N, H)
    q1: Floats  # (N, H)
    a2: Floats  # (N, O)
    z2: Floats  # (N, O)
    p2: Floats  # (N, O)
    q2: Floats  # (N, O)
    y: Floats  # (N, O)


# ---- the forward pass ------------------------------------------------------------------------------------------------


@kernel
def activate(first: int, last: int, w2: Floats, b2: Floats, out: Layers) -> None:
    """The forward pass of some samples, given a1."""
    for n in range(first, last):
        a1, z1, p1, q1 = out.a1[n], out.z1[n], out.p1[n], out.q1[n]
        a2, z2, p2, q2, y = out.a2[n], out.z2[n], out.p2[n], out.q2[n], out.y[n]
        for j in range(len(a1)):
            z1[j], p1[j], q1[j] = state(out.rate1, out.kinked, a1[j])
        z1[-1] = 1
        a2[:] = b2
        add_products(z1[:-1], w2, a2)
        for k in range(len(a2)):
            z2[k], p2[k], q2[k] = state(out.rate2, False, a2[k])
        softmax(z2, y)
        if not (np.isfinite(a1).all() and np.isfinite(a2).all()):
            y[:] = np.nan


@compiled
def add_products(values: Floats, rows: Floats, out: Floats) -> None:
    """Add the sum over i of values[i] * rows[i]: of those that are not zero, four at a time, which is faster."""
    count, i0, i1, i2 = 0, 0, 0, 0
    for i in range(len(values)):
        if values[i] == 0:
            continue
        if count == 3:
            x0, x1, x2, x3 = values[i0], values[i1], values[i2], values[i]
            for j in range(len(out)):
                out[j] += x0 * rows[i0, j] + x1 * rows[i1, j] + x2 * rows[i2, j] + x3 * rows[i, j]
            count = 0
        else:
            count, i0, i1, i2 = count + 1, i1, i2, i
    left = i2, i1, i0
    for k in range(count):
        for j in range(len(out)):
            out[j] += values[left[k]] * rows[left[k], j]


@compiled
def softmax(x: Floats, out: Floats) -> None:
    """exp(x) over its sum."""
    out[:] = np.exp(x - x.max())
    out /= out.sum()


@kernel
def refine(w1: Floats, b1: Floats, out: Layers) -> None:
    """Prepare what is near a kink to be evaluated."""
    for n, j in np.argwhere(out.near):
        out.a1[n, j] = rounded_once(out.x[n], w1[:, j], b1[j])
        out.p1[n, j] = 0


@compiled
def rounded_once(x: Floats, w: Floats, b: float) -> float:
    """The sum b + x w, as if in twice the precision (Ogita, Rump, Oishi: Accurate sum and dot product, 2005)."""
    high, low = b, 0.0
    for i in range(len(x)):
        x_high, w_high = _SPLIT * x[i], _SPLIT * w[i]
        x_high, w_high = x_high - (x_high - x[i]), w_high - (w_high - w[i])
        x_low, w_low = x[i] - x_high, w[i] - w_high
        product = x[i] * w[i]
        low += x_low * w_low - (((product - x_high * w_high) - x_low * w_high) - x_high * w_low)
        total = high + product
        part = total - high
        low += (high - (total - part)) + (product - part)
        high = total
    return high + low if np.isfinite(low) else high  # the halves of a number above 1e300 overflow


# ---- the families of backends/activations.py: a linear function has the rate 0 ---------------------------------------


@compiled
def state(rate: float, kinked: bool, a: float) -> tuple[float, float, float]:
    """f(a), p and q."""
    if rate == 0:
        p = 0.0 if kinked and a <= 0 else 1.0
        return (max(a, 0.0) if kinked else a), p, p
    e = math.exp(-rate * abs(a))
    large, small = rate / (1 + e), rate * e / (1 + e)
    p, q = (large, small) if a > 0 else (small, large)
    return p if rate == 1 else math.tanh(a), p, q


@compiled
def series(rate: float, p: Floats, q: Floats, out: Floats) -> None:
    """The coefficients (K+1, units) of u^m in F(u), of the units of a sample."""
    out[:] = 0
    if rate == 0:
        out[1] = p
        return
    out[1] = p * q
    for m in range(1, len(out) - 1):
        for j in range(len(p)):
            out[m + 1, j] = (q[j] - p[j]) * out[m, j]
        for i in range(1, m):
            for j in range(len(p)):
                out[m + 1, j] -= out[i, j] * out[m - i, j]
        for j in range(len(p)):
            out[m + 1, j] /= m + 1


@compiled
def change(rate: float, p: float, q: float, u: float, m: float) -> float:
    """F(u), given m = expm1(rate |u|): no kink is between."""
    if rate == 0:
        return p * u
    return math.copysign(p * q * m / (rate + (p if u > 0 else q) * m), u)


@compiled
def unit_change(rate: float, a: float, p: float, q: float, u: float) -> float:
    """F(u) for a u of any size, of a unit without a kink."""
    if rate * abs(u) <= SMALL_SHIFT_LIMIT:
        return float(change(rate, p, q, u, math.expm1(rate * abs(u))))
    _, shifted_p, shifted_q = state(rate, False, a + u)
    return float(q - shifted_q if 2 * a + u > 0 else shifted_p - p)  # of that which is small


@compiled
def kinked_change(a: float, u: float) -> float:
    """F(u) of relu, across its kink too."""
    return max(u, -a) if a > 0 else max(a + u, 0.0)


# ---- truncated Taylor series of a sample, as in backends/numpy/jets.py: a[m] is the coefficient of s^m ---------------


@compiled
def expm1(a: Floats, out: Floats) -> None:
    """The series E = exp(a) - 1:  E' = (1 + E) a'."""
    out[:] = a
    for m in range(2, len(a)):
        for i in range(1, m):
            for j in range(a.shape[1]):
                out[m, j] += i / m * a[i, j] * out[m - i, j]


@compiled
def log1p(a: Floats, out: Floats) -> None:
    """The series L = log(1 + a):  (1 + a) L' = a'."""
    out[:] = a
    for m in range(2, len(a)):
        for i in range(1, m):
            for j in range(a.shape[1]):
                out[m, j] -= i / m * out[i, j] * a[m - i, j]


@compiled
def compose(c: Floats, f: Floats, power: Floats, out: Floats) -> None:
    """c(f(s)), the sum over m of c[m] f^m; ``power`` is scratch memory."""
    power[:] = f
    out[:] = c[1] * f
    for p in range(2, len(f)):
        for m in range(len(f) - 1, p - 1, -1):  # power becomes power * f, from the top, since it only looks down
            power[m] = 0
            for i in range(1, m - p + 2):
                for j in range(f.shape[1]):
                    power[m, j] += f[i, j] * power[m - i, j]
            for j in range(f.shape[1]):
                out[m, j] += c[p, j] * power[m, j]


# ---- the series, the functions of backends/numpy/series.py -----------------------------------------------------------


@kernel
def expand(
    first: int, last: int, powers: Floats, t: Floats, layers: Layers, hidden_phi: Floats, output_phi: Floats
) -> None:
    """The series (K+1, N, H) and (K+1, N, O) of some samples, given the powers (K+1, O, H) of w2."""
    length, outputs, hidden = powers.shape
    softmax_growth, changes, phi = np.empty((length, outputs)), np.empty((length, hidden)), np.empty((length, hidden))
    for n in range(first, last):
        softmax_growths(layers, n, softmax_growth)
        series(layers.rate1, layers.p1[n], layers.q1[n], changes)
        hidden_series(powers, layers.y[n], t[n], layers.log_offset, softmax_growth, changes, phi)
        hidden_phi[:, n] = phi
        output_series(layers.y[n], t[n], layers.log_offset, softmax_growth, output_phi[:, n])


@compiled
def softmax_growths(layers: Layers, n: int, out: Floats) -> None:
    """The growths (K+1, O) of the softmax numerators of sample n, in the shift of a2."""
    z2_change = np.empty(out.shape)
    series(layers.rate2, layers.p2[n], layers.q2[n], z2_change)
    expm1(z2_change, out)


@compiled
def moments(powers: Floats, y: Floats, softmax_growth: Floats, out: Floats) -> None:
    """M_m = sum over k of y_k g_k,m w_k^m: their mean S is the sum over m of M_m f^m."""
    weights = y * softmax_growth
    for m in range(1, len(softmax_growth)):
        out[m] = 0
        add_products(weights[m], powers[m], out[m])


@compiled
def hidden_series(
    powers: Floats, y: Floats, t: Floats, log_offset: float, softmax_growth: Floats, changes: Floats, phi: Floats
) -> None:
    """The series phi (K+1, H) in the shift of a1: first in the change f of z1, then with the series f (K+1, H)."""
    scratch = np.empty((5, *changes.shape))
    mean, log_mean, target_growth, power, response = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    moments(powers, y, softmax_growth, mean)
    log1p(mean, log_mean)
    response[:] = 0
    for k in range(len(t)):
        if t[k] != 0:
            for m in range(1, len(mean)):
                target_growth[m] = softmax_growth[m, k] * powers[m, k]
            add_target_series(y[k], t[k], log_offset, mean, log_mean, target_growth, response)
    compose(response, changes, power, phi)


@compiled
def output_series(y: Floats, t: Floats, log_offset: float, softmax_growth: Floats, phi: Floats) -> None:
    """The series phi (K+1, O) in the shift of a2: only the shifted unit's numerator grows, so S = y_k e_k."""
    mean, log_mean, target_growth = y * softmax_growth, np.empty(softmax_growth.shape), np.empty(softmax_growth.shape)
    log1p(mean, log_mean)
    phi[:] = 0
    for k in range(len(t)):
        if t[k] != 0:
            target_growth[:] = 0
            target_growth[:, k] = softmax_growth[:, k]
            add_target_series(y[k], t[k], log_offset, mean, log_mean, target_growth, phi)


@compiled
def add_target_series(
    y: float, t: float, log_offset: float, mean: Floats, log_mean: Floats, target_growth: Floats, phi: Floats
) -> None:
    """Add t ( log1p(S) - log1p((1 - r) S + r e_t) ), with r = y_t / (y_t + log_offset).

    ``target_growth``, e_t, is overwritten.
    """
    r, rest = y / (y + log_offset), log_offset / (y + log_offset)
    log_target = np.empty(target_growth.shape)
    for m in range(1, len(target_growth)):
        for j in range(target_growth.shape[1]):
            target_growth[m, j] = rest * mean[m, j] + r * target_growth[m, j]
    log1p(target_growth, log_target)
    for m in range(1, len(target_growth)):
        for j in range(target_growth.shape[1]):
            phi[m, j] += t * (log_mean[m, j] - log_target[m, j])


@kernel
def contract(
    first: int, last: int, x: Floats, factors: Floats, h: float, one: Floats, other: Floats, out: Floats
) -> None:
    """Add the sum over samples n of factors[n,i] (one[n,j] + (h x[n,i])^2 other[n,j]) to some rows of out (I, J)."""
    rows, x, factors = out[first:last], x[:, first:last], factors[:, first:last]  # indices from 0 on are faster
    for n in range(len(x)):
        for i in range(len(rows)):
            if x[n, i] != 0:
                factor = factors[n, i]
                second = factor * (h * x[n, i]) ** 2
                for j in range(rows.shape[1]):
                    rows[i, j] += factor * one[n, j] + second * other[n, j]


@kernel
def add_near(w2: Floats, t: Floats, h: float, layers: Layers, sums: Floats) -> None:
    """Add the central differences in the weights (I+1, H) into what is near a kink, which has no series."""
    q = np.empty(len(t[0]))
    for n, j in np.argwhere(layers.near):
        x = np.append(layers.x[n], 1.0)
        for i in np.flatnonzero(x):
            difference = 0.0
            for sign in (1, -1):
                moved = kinked_change(layers.a1[n, j], sign * h * x[i])
                for k in range(len(q)):
                    q[k] = exponent(layers, n, k, w2[j, k] * moved)
                difference += sign * exact_response(q, t[n], layers, n)
            sums[i, j] += difference / (2 * h)


# ---- direct: phi(h x) - phi(-h x). Both sides stand in one array: what belongs to +h first, then what belongs to -h --


@kernel
def add_differences(
    first: int, last: int, powers: Floats, t: Floats, h: float, terms: Any, layers: Layers, w1: Floats, w2: Floats
) -> None:
    """Add the central differences of some parts of the samples to the sums of each.

    These are w1 (parts, I+1, H) and w2 (parts, O, H+1); powers are those of the weights W2, (D+1, O, 2H).
    """
    samples, parts = len(t), len(w1)
    for part in range(first, last):
        for n in range(samples * part // parts, samples * (part + 1) // parts):
            softmax_growth = np.empty((terms[n] + 1, t.shape[1]))
            if terms[n]:
                softmax_growths(layers, n, softmax_growth)
            add_hidden(powers, t[n], h, layers, n, softmax_growth, w1[part])
            add_outputs(t[n], h, layers, n, softmax_growth, w2[part])


@compiled
def add_hidden(
    powers: Floats, t: Floats, h: float, layers: Layers, n: int, softmax_growth: Floats, sums: Floats
) -> None:
    """Add the central differences (I+1, H) of one sample in the weights of hidden units."""
    hidden, x, w2, length = layers.a1.shape[1], np.append(layers.x[n], 1.0), powers[1], len(softmax_growth)
    sides, mean_terms = 2 * hidden, np.empty((length, 2 * hidden))
    moments(powers, layers.y[n], softmax_growth, mean_terms)
    active = np.flatnonzero(x)
    changes, phi, mean, target_growth = np.empty(sides), np.empty(sides), np.empty(sides), np.empty(sides)
    q, before = np.empty(len(t)), 0.0
    for i in active[np.argsort(x[active])]:
        if x[i] != before:  # equal inputs have equal responses
            before = x[i]
            hidden_changes(layers, n, h * before, changes)
            if length > 1:
                polynomials(mean_terms, changes, mean)
                phi[:] = 0
                for k in range(len(t)):
                    if t[k] != 0:
                        polynomial(softmax_growth[:, k], w2[k] * changes, target_growth)
                        add_target(length, layers.y[n, k], t[k], layers.log_offset, mean, target_growth, phi)
            else:
                for j in range(sides):
                    for k in range(len(t)):
                        q[k] = exponent(layers, n, k, w2[k, j] * changes[j])
                    phi[j] = exact_response(q, t, layers, n)
            for j in range(hidden):
                phi[j] = (phi[j] - phi[hidden + j]) / (2 * h)
        for j in range(hidden):
            sums[i, j] += phi[j]


@compiled
def add_outputs(t: Floats, h: float, layers: Layers, n: int, softmax_growth: Floats, sums: Floats) -> None:
    """Add the central differences (O, H+1) of one sample in the weights of output units."""
    units, length = layers.z1.shape[1], len(softmax_growth)
    shift = np.concatenate((h * layers.z1[n], -h * layers.z1[n]))
    phi, target_growth, q = np.empty(len(shift)), np.empty(len(shift)), np.zeros(len(t))
    for k in range(len(t)):
        if length > 1:
            phi[:] = 0
            for target in range(len(t)):
                if t[target] != 0:
                    polynomial(softmax_growth[:, k], shift, target_growth)
                    mean = layers.y[n, k] * target_growth
                    target_growth *= target == k
                    add_target(length, layers.y[n, target], t[target], layers.log_offset, mean, target_growth, phi)
        else:
            for j in range(len(shift)):
                q[k] = exponent(layers, n, k, shift[j])
                phi[j] = exact_response(q, t, layers, n)
            q[k] = 0
        for j in range(units):
            sums[k, j] += (phi[j] - phi[units + j]) / (2 * h)


@compiled
def hidden_changes(layers: Layers, n: int, shift: float, out: Floats) -> None:
    """The changes of z1 of a sample, when a1 is shifted by ``shift`` and by its negative."""
    rate, hidden = layers.rate1, layers.a1.shape[1]
    m = math.expm1(rate * abs(shift)) if rate * abs(shift) <= SMALL_SHIFT_LIMIT else math.inf
    for j in range(hidden):
        a, p, q = layers.a1[n, j], layers.p1[n, j], layers.q1[n, j]
        if layers.kinked:
            out[j], out[hidden + j] = kinked_change(a, shift), kinked_change(a, -shift)
        elif m < math.inf:
            out[j], out[hidden + j] = change(rate, p, q, shift, m), change(rate, p, q, -shift, m)
        else:
            out[j], out[hidden + j] = unit_change(rate, a, p, q, shift), unit_change(rate, a, p, q, -shift)


@compiled
def add_target(
    length: int, y: float, t: float, log_offset: float, mean: Floats, target_growth: Floats, phi: Floats
) -> None:
    """Add - t log1p( y / (y + log_offset) (e_t - S) / (1 + S) ), by a few terms. ``target_growth``, e_t, is lost."""
    r, logs = y / (y + log_offset), np.empty(len(phi))
    for j in range(len(phi)):
        target_growth[j] = r * ((target_growth[j] - mean[j]) / (1 + mean[j]))
    polynomial(_LOG1P[:length], target_growth, logs)
    for j in range(len(phi)):
        phi[j] -= t * logs[j]


@compiled
def polynomial(c: Floats, x: Floats, out: Floats) -> None:
    """The sum over m >= 1 of c[m] x^m, for a multiple of four terms: four of them at a time."""
    out[:] = 0
    for m in range(len(c) - 4, 0, -4):
        c0, c1, c2, c3 = c[m], c[m + 1], c[m + 2], c[m + 3]
        for j in range(len(x)):
            out[j] = x[j] * (c0 + x[j] * (c1 + x[j] * (c2 + x[j] * (c3 + out[j]))))


@compiled
def polynomials(c: Floats, x: Floats, out: Floats) -> None:
    """The same, with separate coefficients for each x."""
    out[:] = 0
    for m in range(len(c) - 4, 0, -4):
        for j in range(len(x)):
            out[j] = x[j] * (c[m, j] + x[j] * (c[m + 1, j] + x[j] * (c[m + 2, j] + x[j] * (c[m + 3, j] + out[j]))))


# ---- shifts of any size: the full functions, and no cancellation however far a probability moves ---------------------


@compiled
def exact_response(q: Floats, t: Floats, layers: Layers, n: int) -> float:
    """The change of the loss when each z2_k changes by q_k.

    Softmax does not see a common factor of its numerators, so growths are relative to that of the most probable class:
    1 + S is then at least 1 / O.
    """
    y, loss_change, shifted = layers.y[n], 0.0, layers.z2[n] + q
    q = q - q[y.argmax()]
    limit = EXPONENT_LIMIT
    if 0 < layers.log_offset < SMALL_OFFSET:
        for k in range(len(t)):
            if t[k] != 0 and y[k] < _LEAST_NORMAL:
                limit = 0.0  # what has underflowed counts as soon as it comes back
    if np.abs(q).max() > limit:
        return float(loss_change_anew(layers.z2[n], shifted, y, t, layers.log_offset))
    mean = (y * np.expm1(q)).sum()
    for k in range(len(t)):
        if t[k] != 0:
            excess = math.expm1(q[k]) - mean
            loss_change -= t[k] * log_change(y[k], layers.log_offset, math.exp(q[k]) / (1 + mean), excess / (1 + mean))
    return loss_change


@compiled
def exponent(layers: Layers, n: int, k: int, u: float) -> float:
    """The change of z2_k when a2_k is shifted by u."""
    return float(unit_change(layers.rate2, layers.a2[n, k], layers.p2[n, k], layers.q2[n, k], u))


@compiled
def log_change(y: float, log_offset: float, factor: float, excess: float) -> float:
    """The change of log(y + log_offset) when y is multiplied by ``factor``, which is 1 + ``excess``."""
    relative = y / (y + log_offset) * excess
    if relative < -0.5 and log_offset == 0:
        return math.log(factor)  # y times it may underflow
    if relative < -0.5:  # where the probability has all but vanished, it is computed as such
        return math.log((log_offset + y * factor) / (y + log_offset))
    return math.log1p(relative)


@compiled
def loss_change_anew(before: Floats, z2: Floats, y: Floats, t: Floats, log_offset: float) -> float:
    """The change of the loss, from probabilities y, the softmax of ``before``, to those of z2."""
    shifted, loss_change = np.empty(len(y)), 0.0
    softmax(z2, shifted)
    for k in range(len(t)):
        if t[k] != 0 and log_offset == 0:  # a probability may underflow
            loss_change -= t[k] * (log_softmax(z2, k) - log_softmax(before, k))
        elif t[k] != 0:
            loss_change -= t[k] * math.log((shifted[k] + log_offset) / (y[k] + log_offset))
    return loss_change


@compiled
def log_softmax(x: Floats, k: int) -> float:
    """The logarithm of the softmax of x, of class k."""
    top = x.max()
    return float(x[k] - top - math.log(np.exp(x - top).sum()))
