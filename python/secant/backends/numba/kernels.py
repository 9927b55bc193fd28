"""All functions that Numba compiles.

They are in one file, because Numba notices changes in the file of a cached function
only.

Without fast-math: a result may not depend on what the compiler makes of a sum. Division
by zero is an infinity, not an exception. Kernels release the GIL, so that other threads
run beside one. What they compute is that of the NumPy backend; "direct" is
docs/derivation.md, "Changes, not differences" and "Small shifts".
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
    raise MissingExtraError(
        "the backend 'numba' needs Numba: pip install numba"
    ) from None
if numba.config.DISABLE_JIT:
    raise MissingExtraError(
        "the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT"
    )

_LOG1P = np.array([0.0, 1.0, -1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6, 1 / 7, -1 / 8])


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled ones call."""
    return numba.njit(error_model="numpy")(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls.

    The code is kept for all processes if a folder can be written.
    """
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy")(function)


class Units(NamedTuple):
    """Both layers after the forward pass, and what the loss adds to y."""

    rate: float  # of the hidden units; 0 if they are linear
    x: Floats  # (N, I)
    p: Floats  # (N, H); 0 where a shift may cross a kink
    q: Floats  # (N, H)
    z: Floats  # (N, H)
    y: Floats  # (N, O)
    log_offset: float


# ---- the steps of backends/numpy/series.py. Series stand in arrays (K+1, M): a[m] is
# the coefficient of s^m


@kernel
def add_targets(
    mean: Floats,
    growth: Floats,
    powers: Floats,
    y: Floats,
    k: Any,
    weight: Floats,
    log_offset: float,
    phi: Floats,
) -> None:
    """Add t ( log1p(S) - log1p((1 - r) S + r e_t) ) for one target of each sample.

    `numpy.series.response` defines the letters.
    """
    own = np.empty((4, *mean[:, 0].shape))
    s, log_s, target, log_target = own[0], own[1], own[2], own[3]
    for n in range(len(k)):
        if weight[n] != 0:
            r, rest = (
                y[n, k[n]] / (y[n, k[n]] + log_offset),
                log_offset / (y[n, k[n]] + log_offset),
            )
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
        # power becomes power * f, from the top, since it only looks down
        for m in range(len(f) - 1, p - 1, -1):
            power[m] = 0
            for i in range(1, m - p + 2):
                for j in range(f.shape[1]):
                    power[m, j] += f[i, j] * power[m - i, j]
            for j in range(f.shape[1]):
                out[m, j] += c[p, j] * power[m, j]


@kernel
def contract(x: Floats, h: float, one: Floats, three: Floats, out: Floats) -> None:
    """Add sums of x[n,i] one[n,j] + h^2 x[n,i]^3 three[n,j] to out (I, J).

    The sums go over samples n.
    """
    for n in range(len(x)):
        for i in range(len(out)):
            if x[n, i] != 0:
                cubed = x[n, i] * (h * x[n, i]) ** 2
                for j in range(out.shape[1]):
                    out[i, j] += x[n, i] * one[n, j] + cubed * three[n, j]


# ---- direct: phi(h x) - phi(-h x). Both sides stand in one array: what belongs to +h
# first, then what belongs to -h --


@kernel
def add_differences(
    powers: Floats,
    t: Floats,
    h: float,
    terms: Any,
    growths: Floats,
    units: Units,
    w1: Floats,
    w2: Floats,
) -> None:
    """Add central differences to w1 (I+1, H) and w2 (H+1, O).

    These are the differences of the samples for which some terms suffice.

    ``powers`` are those of the weights W2, (D+1, O, 2H), and ``growths`` (D+1, N, O)
    those of the softmax numerators in the shift of a2.
    """
    for n in range(len(t)):
        if terms[n] > 0:
            growth = growths[: terms[n] + 1, n].copy()
            add_hidden(powers, t[n], h, units, n, growth, w1)
            add_outputs(t[n], h, units, n, growth, w2)


@compiled
def add_hidden(
    powers: Floats,
    t: Floats,
    h: float,
    units: Units,
    n: int,
    growth: Floats,
    sums: Floats,
) -> None:
    """Add the central differences (I+1, H) of one sample in hidden weights."""
    hidden, x, w2, length = (
        units.p.shape[1],
        np.append(units.x[n], 1.0),
        powers[1],
        len(growth),
    )
    sides, mean_terms = 2 * hidden, np.zeros((length, 2 * hidden))
    for m in range(1, length):
        for k in range(len(t)):
            factor = units.y[n, k] * growth[m, k]
            for j in range(sides):
                mean_terms[m, j] += factor * powers[m, k, j]
    active = np.flatnonzero(x)
    changes, phi, mean = np.empty(sides), np.empty(sides), np.empty(sides)
    shifts, target_growth, logs, before = (
        np.empty(sides),
        np.empty(sides),
        np.empty(sides),
        0.0,
    )
    for i in active[np.argsort(x[active])]:
        if x[i] != before:  # equal inputs have equal responses
            before = x[i]
            grown = math.expm1(units.rate * abs(h * before))
            for j in range(hidden):
                changes[j] = change(
                    units.rate, units.p[n, j], units.q[n, j], h * before, grown
                )
                changes[hidden + j] = change(
                    units.rate, units.p[n, j], units.q[n, j], -h * before, grown
                )
            polynomials(mean_terms, changes, mean)
            phi[:] = 0
            for k in range(len(t)):
                if t[k] != 0:
                    for j in range(sides):
                        shifts[j] = w2[k, j] * changes[j]
                    polynomial(growth[:, k], shifts, target_growth)
                    add_target(
                        length,
                        units.y[n, k],
                        t[k],
                        units.log_offset,
                        mean,
                        target_growth,
                        logs,
                        phi,
                    )
            for j in range(hidden):
                phi[j] = (phi[j] - phi[hidden + j]) / (2 * h)
        for j in range(hidden):
            sums[i, j] += phi[j]


@compiled
def change(rate: float, p: float, q: float, u: float, m: float) -> float:
    """Return F(u) of an activation, given m = expm1(rate |u|).

    backends/activations.py defines F. A linear function has the rate 0.
    """
    if rate == 0:
        return p * u
    return math.copysign(p * q * m / (rate + (p if u > 0 else q) * m), u)


@compiled
def add_outputs(
    t: Floats, h: float, units: Units, n: int, growth: Floats, sums: Floats
) -> None:
    """Add the central differences (H+1, O) of one sample in output weights."""
    z = np.append(units.z[n], 1.0)
    shift = np.concatenate((h * z, -h * z))
    phi, own_growth, logs = (
        np.empty(len(shift)),
        np.empty(len(shift)),
        np.empty(len(shift)),
    )
    for k in range(len(t)):
        phi[:] = 0
        for target in range(len(t)):
            if t[target] != 0:
                polynomial(growth[:, k], shift, own_growth)
                mean = units.y[n, k] * own_growth
                own_growth *= target == k
                add_target(
                    len(growth),
                    units.y[n, target],
                    t[target],
                    units.log_offset,
                    mean,
                    own_growth,
                    logs,
                    phi,
                )
        for j in range(len(z)):
            sums[j, k] += (phi[j] - phi[len(z) + j]) / (2 * h)


@compiled
def add_target(
    length: int,
    y: float,
    t: float,
    log_offset: float,
    mean: Floats,
    target_growth: Floats,
    logs: Floats,
    phi: Floats,
) -> None:
    """Add - t log1p( y / (y + log_offset) (e_t - S) / (1 + S) ), by a few terms.

    ``target_growth``, e_t, is lost.
    """
    r = y / (y + log_offset)
    for j in range(len(phi)):
        target_growth[j] = r * ((target_growth[j] - mean[j]) / (1 + mean[j]))
    polynomial(_LOG1P[:length], target_growth, logs)
    for j in range(len(phi)):
        phi[j] -= t * logs[j]


@compiled
def polynomial(c: Floats, x: Floats, out: Floats) -> None:
    """Compute the sum over m >= 1 of c[m] x^m, four terms at a time.

    The number of terms is a multiple of four.
    """
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
            out[j] = x[j] * (
                c[m, j]
                + x[j]
                * (c[m + 1, j] + x[j] * (c[m + 2, j] + x[j] * (c[m + 3, j] + out[j])))
            )
