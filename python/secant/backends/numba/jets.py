"""Truncated Taylor series of packs, in rows of a matrix of 8 columns: row a + m has the coefficients of s^m, m <= K.

The functions are those of backends/numpy/jets.py, which has the differential equations. ``a``, ``out`` and so on are
rows.
"""

from typing import Any

from secant._common.validation import Floats
from secant.backends.numba.compilation import inlined
from secant.backends.numba.packs import broadcast, load, store

LENGTH = 10
"""The rows that a series takes: K is 9 at most, and row 0 stays empty."""


@inlined
def sigmoid(memory: Floats, z: Any, zc: Any, order: int, out: int) -> None:
    """The change sigmoid(a + s) - sigmoid(a), given z = sigmoid(a) and zc = sigmoid(-a)."""
    store(memory, out + 1, 0, z * zc)
    for m in range(1, order):
        total = (zc - z) * load(memory, out + m, 0)
        for i in range(1, m):
            total = total - load(memory, out + i, 0) * load(memory, out + m - i, 0)
        store(memory, out + m + 1, 0, total * (1 / (m + 1)))


@inlined
def expm1(memory: Floats, a: int, order: int, out: int) -> None:
    """exp(a) - 1."""
    for m in range(1, order + 1):
        total = broadcast(0.0)
        for i in range(1, m):
            total += float(i) * load(memory, a + i, 0) * load(memory, out + m - i, 0)
        store(memory, out + m, 0, load(memory, a + m, 0) + total * (1 / m))


@inlined
def log1p(memory: Floats, a: int, order: int, out: int) -> None:
    """log(1 + a)."""
    for m in range(1, order + 1):
        total = broadcast(0.0)
        for i in range(1, m):
            total += float(i) * load(memory, out + i, 0) * load(memory, a + m - i, 0)
        store(memory, out + m, 0, load(memory, a + m, 0) - total * (1 / m))


@inlined
def compose(memory: Floats, c: int, f: int, order: int, power: int, out: int) -> None:
    """The sum over m of c[m] f^m; ``power`` is scratch."""
    for m in range(1, order + 1):
        store(memory, power + m, 0, load(memory, f + m, 0))
        store(memory, out + m, 0, load(memory, c + 1, 0) * load(memory, f + m, 0))
    for p in range(2, order + 1):
        for m in range(order, p - 1, -1):  # power *= f, from the top, since it only looks down
            total = broadcast(0.0)
            for i in range(1, m - p + 2):
                total += load(memory, f + i, 0) * load(memory, power + m - i, 0)
            store(memory, power + m, 0, total)
            store(memory, out + m, 0, load(memory, out + m, 0) + load(memory, c + p, 0) * total)
