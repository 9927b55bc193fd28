"""Finite-difference schemes: where f is evaluated, and what is made of its values.

The arithmetic stands here once, so that the bits do not depend on how f is evaluated.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from secant._common import validation

SchemeName = Literal["central", "forward", "five-point", "auto"]


class Scheme(NamedTuple):
    """A difference quotient.

    ``name`` is what users call it. The truncation error is of order h**``order``. ``shifts`` are in units of h.
    ``quotient`` takes the values there, one after the other, and h; with ``uses_value``, f(x) follows the others.
    """

    name: str
    order: int
    shifts: tuple[float, ...]
    uses_value: bool
    quotient: Callable[[Sequence[Any], float], Any]


def _central(f: Sequence[Any], h: float) -> Any:
    return (f[0] - f[1]) / (2 * h)


def _forward(f: Sequence[Any], h: float) -> Any:
    return (f[0] - f[1]) / h


def _five_point(f: Sequence[Any], h: float) -> Any:
    return (8 * (f[1] - f[2]) - (f[0] - f[3])) / (12 * h)


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("central", 2, (1, -1), False, _central),
        Scheme("forward", 1, (1,), True, _forward),
        Scheme("five-point", 4, (2, 1, -1, -2), False, _five_point),
    )
}


def fixed(name: Any) -> Scheme:
    """The scheme of that name, which must not be "auto"."""
    return SCHEMES[validation.one_of("scheme", name, tuple(SCHEMES))]


def quotients(scheme: Scheme, values: Any, base: Any, h: float) -> Any:
    """The difference quotients of values (coordinates, shifts, ...) of f; ``base`` is f(x), for schemes that use it."""
    parts = [values[:, j] for j in range(len(scheme.shifts))]
    with np.errstate(all="ignore"):  # where values are not finite, quotients are not
        return scheme.quotient([*parts, base] if scheme.uses_value else parts, h)
