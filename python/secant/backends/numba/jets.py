"""Truncated Taylor series, the functions of backends/numpy/jets.py: a[m] is the coefficient of s^m, a[0] is not used.

Arrays (K+1, units) of one sample; all loops over units are innermost, where LLVM makes vectors of them.
"""

from secant._common.validation import Floats
from secant.backends.numba.compilation import compiled


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
