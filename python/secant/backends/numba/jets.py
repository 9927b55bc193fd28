"""Truncated Taylor series, the functions of backends/numpy/jets.py: a[m] is the coefficient of s^m, a[0] is not used.

Arrays (K+1, units) of one sample; all loops over units are innermost, where LLVM makes vectors of them.
"""

from secant._common.validation import Floats
from secant.backends.numba.compilation import compiled


@compiled
def expm1(a: Floats, out: Floats) -> None:
    """The series E = exp(a) - 1:  E' = (1 + E) a'."""
    for m in range(1, len(a)):
        for j in range(a.shape[1]):
            out[m, j] = a[m, j]
        for i in range(1, m):
            for j in range(a.shape[1]):
                out[m, j] += i / m * a[i, j] * out[m - i, j]


@compiled
def log1p(a: Floats, out: Floats) -> None:
    """The series L = log(1 + a):  (1 + a) L' = a'."""
    for m in range(1, len(a)):
        for j in range(a.shape[1]):
            out[m, j] = a[m, j]
        for i in range(1, m):
            for j in range(a.shape[1]):
                out[m, j] -= i / m * out[i, j] * a[m - i, j]


@compiled
def compose(c: Floats, f: Floats, power: Floats, out: Floats) -> None:
    """c(f(s)), the sum over m of c[m] f^m; ``power`` is scratch memory."""
    for m in range(1, len(f)):
        for j in range(f.shape[1]):
            power[m, j] = f[m, j]
            out[m, j] = c[1, j] * f[m, j]
    for p in range(2, len(f)):
        for m in range(len(f) - 1, p - 1, -1):  # power becomes power * f, from the top, since it only looks down
            power[m] = 0
            add_products(f, power, p - 1, m, 1.0, power[m])
            for j in range(f.shape[1]):
                out[m, j] += c[p, j] * power[m, j]


@compiled
def add_products(a: Floats, b: Floats, first: int, m: int, factor: float, out: Floats) -> None:
    """Add ``factor`` times the coefficient of s^m of a b, where b begins with s^first."""
    for i in range(1, m - first + 1):
        for j in range(len(out)):
            out[j] += factor * a[i, j] * b[m - i, j]
