"""Difference quotients, and which of them each coordinate has: near a bound, a
one-sided one of the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common import validation
from secant._common.validation import Floats
from secant.errors import DTypeError, ShapeError, ValueRangeError

DEFAULT_STEP = 1e-4  # the chapter's
SchemeName = Literal["central", "forward", "five-point", "2-point", "3-point", "auto"]


class Scheme(NamedTuple):
    """A difference quotient.

    ``name`` is what users call it. The truncation error is of order h**``order``.
    ``shifts`` are in units of h. ``quotient`` takes the values of f and the coordinate
    at the shifted points, then f(x), where ``uses_value``, and the coordinate at x. It
    divides by the distance of the points as rounding left them. ``in_core``: the core
    has the same for C functions, in differences/pointwise.hpp.
    """

    name: str
    order: int
    shifts: tuple[float, ...]
    uses_value: bool
    quotient: Callable[[Any, Any, Any, Any], Any]
    in_core: bool = False


def _central(f: Any, points: Any, base: Any, x: Any) -> Any:
    return (f[0] - f[1]) / (points[0] - points[1])


def _forward(f: Any, points: Any, base: Any, x: Any) -> Any:
    return (f[0] - base) / (points[0] - x)


def _five_point(f: Any, points: Any, base: Any, x: Any) -> Any:
    near, far = (
        (f[1] - f[2]) / (points[1] - points[2]),
        (f[0] - f[3]) / (points[0] - points[3]),
    )
    return (4 * near - far) / 3


def _one_sided(f: Any, points: Any, base: Any, x: Any) -> Any:
    """Forward differences, extrapolated to a step of 0 by Neville's algorithm."""
    steps = [point - x for point in points]
    column = [(value - base) / step for value, step in zip(f, steps, strict=True)]
    for k in range(1, len(column)):
        column = [
            near + (near - far) * (steps[j] / (steps[j + k] - steps[j]))
            for j, (near, far) in enumerate(pairwise(column))
        ]
    return column[0]


SCHEMES = {
    "central": Scheme("central", 2, (1, -1), False, _central, in_core=True),
    "forward": Scheme("forward", 1, (1,), True, _forward, in_core=True),
    "five-point": Scheme(
        "five-point", 4, (2, 1, -1, -2), False, _five_point, in_core=True
    ),
}
ONE_SIDED = {
    "central": Scheme("central, one-sided", 2, (1, 2), True, _one_sided),
    "forward": SCHEMES["forward"],
    "five-point": Scheme("five-point, one-sided", 4, (1, 2, 3, 4), True, _one_sided),
}
_BY_NAME = {**SCHEMES, "2-point": SCHEMES["forward"], "3-point": SCHEMES["central"]}

BOOK = Scheme(
    "book",
    2,
    (1, -1),
    False,
    lambda f, points, base, x: (f[0] - f[1]) / (2 * DEFAULT_STEP),
)
"""The central difference as the book has it, divided by 2 h, whatever rounding left of
that.
"""


def scheme_of(name: Any, *others: str) -> Scheme | None:
    """The scheme of that name; None if it is one of the ``others``."""
    known = _BY_NAME.get(name) if isinstance(name, str) else None
    if known is None:
        validation.one_of("scheme", name, (*_BY_NAME, *others))
    return known


class RelativeStep(NamedTuple):
    """A step in proportion to x: SciPy's default where ``factor`` is None."""

    factor: Any = None

    @np.errstate(invalid="ignore")  # x may be infinite
    def absolute(self, x: Floats, scheme: Scheme, returned: np.dtype[Any]) -> Floats:
        """Return the step of each coordinate, as `scipy.optimize.approx_fprime` would
        choose it.

        The step of a central difference is positive; that of a forward difference
        points away from 0.
        """
        kind = (
            returned if returned.kind == "f" and returned.itemsize < 8 else np.float64
        )
        size = np.where(np.isfinite(x), np.abs(x), 0.0)
        default = float(np.finfo(kind).eps) ** (1 / (scheme.order + 1)) * np.maximum(
            1.0, size
        )
        step = default
        if self.factor is not None:
            step = self.factor * size
            step = np.where((x + step) - x == 0, default, step)
        if scheme.name != "forward":
            step = np.abs(step)
        away: Floats = np.where(x >= 0, step, -step)
        # Away from 0, what is left of it by rounding is exact on both sides.
        away = np.where(np.isfinite(x), (x + away) - x, away)
        return away if scheme.name == "forward" else np.abs(away)


Step = float | Floats | RelativeStep


def is_default(h: Any) -> bool:
    """Whether h is what it is where nothing is said of it."""
    return isinstance(h, float) and h == DEFAULT_STEP


def step_of(h: Any, rel_step: Any, shape: tuple[int, ...]) -> Step:
    """Check h and rel_step, for x of that shape."""
    if rel_step is not None:
        if not (h is None or is_default(h)):
            raise ValueRangeError(
                f"h must be left out where rel_step is given, got {h!r}"
            )
        return RelativeStep(_steps("rel_step", rel_step, shape, -np.inf))
    if h is None:
        return RelativeStep()
    step: Step = _steps("h", h, shape)
    return step


def _steps(name: str, value: Any, shape: tuple[int, ...], least: float = 0.0) -> Any:
    """A number, or one for each entry of x; each greater than ``least``."""
    if not (
        isinstance(value, list | tuple)
        or (isinstance(value, np.ndarray) and value.ndim)
    ):
        return validation.finite_number(name, value, above=least)
    array = _spread(name, value, shape)
    wrong = ~(np.isfinite(array) & (array > least))
    if wrong.any():
        wanted = "finite" if np.isinf(least) else "finite and greater than 0"
        raise ValueRangeError(f"{name} must be {wanted}, got {array[wrong][0]}")
    return array


class Bounds(NamedTuple):
    """The least and the greatest value of each coordinate, in the shape of x."""

    lower: Floats
    upper: Floats

    @classmethod
    def of(cls, bounds: Any, x: Floats) -> Bounds | None:
        """Read what the user gave: (lower, upper), or `scipy.optimize.Bounds`. None
        where nothing is bounded.
        """
        if bounds is None:
            return None
        pair = (
            (bounds.lb, bounds.ub)
            if hasattr(bounds, "lb") and hasattr(bounds, "ub")
            else bounds
        )
        is_pairs = isinstance(pair, tuple) and any(
            isinstance(each, tuple) and None in each for each in pair
        )
        # two pairs would be taken for (lower, upper)
        if not isinstance(pair, tuple) or len(pair) != 2 or is_pairs:
            raise DTypeError(
                "bounds must be a tuple (lower, upper) or scipy.optimize.Bounds, got"
                f" {bounds!r}: of a (min, max) pair for each entry make"
                " scipy.optimize.Bounds(*zip(*bounds))"
            )
        lower, upper = (
            _bound(each, x.shape, none)
            for each, none in zip(pair, (-np.inf, np.inf), strict=True)
        )
        if (crossed := lower > upper).any():
            i = tuple(int(k) for k in np.argwhere(crossed)[0])
            raise ValueRangeError(
                f"bounds must be (lower, upper): lower {lower[i]} exceeds upper"
                f" {upper[i]} at {i}"
            )
        if not (np.isneginf(lower).all() and np.isposinf(upper).all()):
            outside = ~((lower <= x) & (x <= upper))
            if outside.any():
                i = tuple(int(k) for k in np.argwhere(outside)[0])
                got = f"{x[i]} at {i}, outside of [{lower[i]}, {upper[i]}]"
                raise ValueRangeError(
                    f"x must be within bounds, (lower, upper), got {got}"
                )
            return cls(lower, upper)
        return None


def _bound(value: Any, shape: tuple[int, ...], none: float) -> Floats:
    if value is None:
        value = none  # as SciPy's minimizers take it
    elif isinstance(value, list) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.ndim
    ):
        value = [none if each is None else each for each in value]
    return _spread("bounds", value, shape)


def _spread(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    array = validation.real_array(name, value)
    try:
        return np.broadcast_to(array, shape).astype(np.float64)
    except ValueError:
        raise ShapeError(
            f"{name} must have the shape of x, {shape}, or broadcast to it, got"
            f" {array.shape}"
        ) from None


def exact_steps(
    steps: Any, x: Any, reach: float = 1.0, rounded: Any = np.rint
) -> Floats:
    """Steps near these of which x + h and x - h round nothing, and up to ``reach``
    times h neither.
    """
    unit = np.spacing(np.abs(x) + reach * np.abs(steps))
    return np.asarray(rounded(steps / unit) * unit)


class Stencils(NamedTuple):
    """The difference quotient of each coordinate.

    Attributes
    ----------
    scheme : Scheme
    h : float or ndarray, (coordinates,)
        Negative where it points down.
    is_one_sided : ndarray of bool, (coordinates,), optional
        Where the scheme is the one-sided one.
    """

    scheme: Scheme
    h: float | Floats
    is_one_sided: NDArray[np.bool_] | None = None

    @property
    def uses_value(self) -> bool:
        """Whether f(x) is needed."""
        return self.scheme.uses_value or self.is_one_sided is not None

    def parts(
        self, begin: int, end: int
    ) -> Iterator[tuple[Scheme, float | Floats, int, int]]:
        """Yield ranges of one scheme: it, the steps, and where the range begins and
        ends.
        """
        if self.is_one_sided is None:
            yield (
                self.scheme,
                self.h if isinstance(self.h, float) else self.h[begin:end],
                begin,
                end,
            )
            return
        assert not isinstance(self.h, float)
        changes = np.flatnonzero(np.diff(self.is_one_sided[begin:end])) + begin + 1
        for first, last in pairwise([begin, *changes.tolist(), end]):
            scheme = (
                ONE_SIDED[self.scheme.name] if self.is_one_sided[first] else self.scheme
            )
            yield scheme, self.h[first:last], first, last


def stencils(
    scheme: Scheme,
    step: Step,
    x: Floats,
    bounds: Bounds | None,
    returned: np.dtype[Any],
) -> Stencils:
    """Which quotient each coordinate of x has; ``returned`` is the type of what f
    returns.
    """
    if isinstance(step, float):
        h: float | Floats = step
    else:
        h = (
            step.absolute(x, scheme, returned)
            if isinstance(step, RelativeStep)
            else step
        )
        h = np.array(h, order="C").reshape(-1)
    if bounds is None:
        return Stencils(scheme, h)
    flat, lower, upper = (
        np.array(each, order="C").reshape(-1) for each in (x, *bounds)
    )
    return _inside(scheme, np.broadcast_to(h, flat.shape).copy(), flat, lower, upper)


def _inside(
    scheme: Scheme, h: Floats, x: Floats, lower: Floats, upper: Floats
) -> Stencils:
    """Steps that stay within bounds, as SciPy has them: the other side, a one-sided
    scheme, or a smaller step.
    """
    one_sided = ONE_SIDED[scheme.name]
    reach, far = max(scheme.shifts), max(one_sided.shifts)
    below, above = x - lower, upper - x
    side, room = np.where(above >= below, 1.0, -1.0), np.maximum(above, below)
    size = np.abs(h)
    if scheme is one_sided:
        fits = np.where(h > 0, above, below) >= size
        h = np.where(fits, h, side * np.minimum(size, room))
        is_one_sided = None
    else:
        nearest = np.minimum(above, below) / reach
        smaller = np.minimum(size, room / far)
        is_one_sided = (size > nearest) & (smaller > nearest)
        h = np.where(is_one_sided, side * smaller, np.minimum(size, nearest))
        is_one_sided = is_one_sided if is_one_sided.any() else None
    for _ in range(64):  # x + h may round to a point outside
        most = np.where(is_one_sided, far, reach) if is_one_sided is not None else reach
        up, down = x + most * h, x - most * h
        outside = (up > upper) | (up < lower)
        if scheme is not one_sided:
            two_sided = True if is_one_sided is None else ~is_one_sided
            outside |= two_sided & ((down > upper) | (down < lower))
        if not outside.any():
            break
        h = np.where(outside, h / 2, h)
    stuck = h == 0
    if stuck.any():
        i = int(np.argmax(stuck))
        raise ValueRangeError(
            f"bounds must leave room to shift x, got [{lower[i]}, {upper[i]}] at {i} of"
            " x.flat: give the domain of f, which may be larger than where a minimum"
            " is looked for"
        )
    return Stencils(scheme, h, is_one_sided)
