"""Truncated Taylor series without constant term.

a[m] is the coefficient of s^m, for m from 1 to K; a[0] is 0.

Arrays (K+1, ...), whose first axis counts powers; all others are elementwise. Each
function solves the differential equation of what it computes, power by power.
"""

import numpy as np

from secant._common.validation import Floats


def multiply(a: Floats, b: Floats) -> Floats:
    """a(s) b(s)."""
    out = np.zeros(np.broadcast_shapes(a.shape, b.shape))
    for m in range(2, len(a)):
        out[m] = (a[1:m] * b[m - 1 : 0 : -1]).sum(axis=0)
    return out


def compose(c: Floats, f: Floats) -> Floats:
    """c(f(s)), the sum over m of c[m] f^m."""
    out: Floats = c[1] * f
    power = f
    for m in range(2, len(f)):
        power = multiply(power, f)
        out[m:] += c[m] * power[m:]
    return out


def expm1(a: Floats) -> Floats:
    """The series E = exp(a) - 1:  E' = (1 + E) a'."""
    out = a.copy()
    for m in range(2, len(a)):
        out[m] += (powers(m, a) * a[1:m] * out[m - 1 : 0 : -1]).sum(axis=0) / m
    return out


def log1p(a: Floats) -> Floats:
    """The series L = log(1 + a):  (1 + a) L' = a'."""
    out = a.copy()
    for m in range(2, len(a)):
        out[m] -= (powers(m, a) * out[1:m] * a[m - 1 : 0 : -1]).sum(axis=0) / m
    return out


def powers(m: int, a: Floats) -> Floats:
    """1, 2, ..., m - 1, along the first axis of an array like a."""
    return np.arange(1.0, m).reshape(-1, *[1] * (a.ndim - 1))
