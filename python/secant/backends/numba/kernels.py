"""All that Numba compiles, in one file: Numba notices changes in the file of a cached function, in no other.

Without fast-math: a result may not depend on what the compiler makes of a sum. Division by zero is an infinity, not an
exception. Kernels release the GIL, so that other threads run beside one. What they compute is that of the NumPy
backend; "direct" is docs/method.md, "Changes, not differences" to "Large shifts".
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

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
    """Both layers after the forward pass: the fields of `numpy.forward.Pass` and of its layers."""

    rate1: float  # 0 if it is linear
    kinked: bool
    rate2: float
    log_offset: float
    x: Floats  # (N, I)
    a1: Floats  # (N, H)
    z1: Floats  # (N, H)
    p1: Floats  # (N, H)
    q1: Floats  # (N, H)
    a2: Floats  # (N, O)
    z2: Floats  # (N, O)
    p2: Floats  # (N, O)
    q2: Floats  # (N, O)
    y: Floats  # (N, O)


# ---- the steps of backends/numpy/series.py. Series stand in arrays (K+1, M): a[m] is the coefficient of s^m ----------


@kernel
def add_targets(
    mean: Floats, growth: Floats, powers: Floats, y: Floats, k: Any, weight: Floats, log_offset: float, phi: Floats
) -> None:
    """Add t ( log1p(S) - log1p((1 - r) S + r e_t) ) for one target of each sample: see `numpy.series.response`."""
    own = np.empty((4, *mean[:, 0].shape))
    s, log_s, target, log_target = own[0], own[1], own[2], own[3]
    for n in range(len(k)):
        if weight[n] != 0:
            r, rest = y[n, k[n]] / (y[n, k[n]] + log_offset), log_offset / (y[n, k[n]] + log_offset)
            for m in range(1, len(mean)):
                r_growth = r * growth[m, n, k[n]]
                for j in range(mean.shape[2]):
                    s[m, j] = mean[m, n, j]
                    target[m, j] = rest * s[m, j] + r_growth * powers[m, k[n], j]
            log1p(s, log_s)
            log1p(target, log_target)
            for m in range(1, len(mean)):
                for j in range(mean.shape[2]):
                    phi[m, n, j] += weight[n] * (log_s[m, j] - log_target[m, j])


@compiled
def log1p(a: Floats, out: Floats) -> None:
    """The series L = log(1 + a):  (1 + a) L' = a'."""
    for m in range(1, len(a)):
        for j in range(a.shape[1]):
            out[m, j] = a[m, j]
        for i in range(1, m):
            for j in range(a.shape[1]):
                out[m, j] -= i / m * out[i, j] * a[m - i, j]


@kernel
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


@kernel
def contract(first: int, last: int, x: Floats, h: float, one: Floats, other: Floats, out: Floats) -> None:
    """Add the sum over samples n of x[n,i] one[n,j] + h^2 x[n,i]^3 other[n,j] to some rows of out (I, J)."""
    rows, x = out[first:last], x[:, first:last]  # indices from 0 on are faster
    for n in range(len(x)):
        for i in range(len(rows)):
            if x[n, i] != 0:
                cubed = x[n, i] * (h * x[n, i]) ** 2
                for j in range(rows.shape[1]):
                    rows[i, j] += x[n, i] * one[n, j] + cubed * other[n, j]


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


# ---- direct: phi(h x) - phi(-h x). Both sides stand in one array: what belongs to +h first, then what belongs to -h --


@kernel
def add_differences(
    first: int,
    last: int,
    powers: Floats,
    t: Floats,
    h: float,
    terms: Any,
    growths: Floats,
    layers: Layers,
    w1: Floats,
    w2: Floats,
) -> None:
    """Add the central differences of some parts of the samples to the sums of each.

    These are w1 (parts, I+1, H) and w2 (parts, O, H+1); powers are those of the weights W2, (D+1, O, 2H), and growths
    (D+1, N, O) those of the softmax numerators in the shift of a2.
    """
    samples, parts = len(t), len(w1)
    for part in range(first, last):
        for n in range(samples * part // parts, samples * (part + 1) // parts):
            growth = growths[: terms[n] + 1, n].copy()
            add_hidden(powers, t[n], h, layers, n, growth, w1[part])
            add_outputs(t[n], h, layers, n, growth, w2[part])


@compiled
def add_hidden(powers: Floats, t: Floats, h: float, layers: Layers, n: int, growth: Floats, sums: Floats) -> None:
    """Add the central differences (I+1, H) of one sample in the weights of hidden units."""
    hidden, x, w2, length = layers.a1.shape[1], np.append(layers.x[n], 1.0), powers[1], len(growth)
    sides, mean_terms = 2 * hidden, np.zeros((length, 2 * hidden))
    for m in range(1, length):
        for k in range(len(t)):
            factor = layers.y[n, k] * growth[m, k]
            for j in range(sides):
                mean_terms[m, j] += factor * powers[m, k, j]
    active = np.flatnonzero(x)
    changes, phi, mean = np.empty(sides), np.empty(sides), np.empty(sides)
    shifts, target_growth, logs = np.empty(sides), np.empty(sides), np.empty(sides)
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
                        for j in range(sides):
                            shifts[j] = w2[k, j] * changes[j]
                        polynomial(growth[:, k], shifts, target_growth)
                        add_target(length, layers.y[n, k], t[k], layers.log_offset, mean, target_growth, logs, phi)
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
def add_outputs(t: Floats, h: float, layers: Layers, n: int, growth: Floats, sums: Floats) -> None:
    """Add the central differences (O, H+1) of one sample in the weights of output units."""
    units, length, z1 = sums.shape[1], len(growth), np.append(layers.z1[n], 1.0)
    shift = np.concatenate((h * z1, -h * z1))
    phi, target_growth, logs, q = np.empty(len(shift)), np.empty(len(shift)), np.empty(len(shift)), np.zeros(len(t))
    for k in range(len(t)):
        if length > 1:
            phi[:] = 0
            for target in range(len(t)):
                if t[target] != 0:
                    polynomial(growth[:, k], shift, target_growth)
                    mean = layers.y[n, k] * target_growth
                    target_growth *= target == k
                    y_t = layers.y[n, target]
                    add_target(length, y_t, t[target], layers.log_offset, mean, target_growth, logs, phi)
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
    length: int, y: float, t: float, log_offset: float, mean: Floats, target_growth: Floats, logs: Floats, phi: Floats
) -> None:
    """Add - t log1p( y / (y + log_offset) (e_t - S) / (1 + S) ), by a few terms. ``target_growth``, e_t, is lost."""
    r = y / (y + log_offset)
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


@compiled
def softmax(x: Floats, out: Floats) -> None:
    """exp(x) over its sum."""
    out[:] = np.exp(x - x.max())
    out /= out.sum()
