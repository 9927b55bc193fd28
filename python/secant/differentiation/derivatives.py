"""Derivatives in every coordinate: what gradients and Jacobians share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common.progress import Progress
from secant._common.validation import Floats
from secant._common.warn import warn
from secant.differentiation.adaptive import Adaptive
from secant.differentiation.evaluators.evaluation import (
    Convert,
    Evaluator,
    differentiate,
    name_of,
    number,
)
from secant.differentiation.options import kind_of, own_point, put_back
from secant.differentiation.problem import Problem, in_place
from secant.differentiation.result import Bars
from secant.differentiation.rounding import root_mean_square
from secant.differentiation.schemes import SCHEMES, RelativeStep, Stencils
from secant.errors import ValueRangeError

_FLOAT64 = np.dtype(np.float64)
_FLOAT64_IN_PLACE = "x must be a writeable array of float64"
_SURELY_KEPT = 2.0**51  # times h: an x below is not rounded to itself


class Derivatives(NamedTuple):
    """Derivatives (coordinates, and the shape of f(x)), their error bars if wanted, and
    the evaluations of f.
    """

    values: Floats
    bars: Bars | None
    evaluations: int


def derivatives(
    problem: Problem, given: Any, *, warns: bool = True, hint: str = _FLOAT64_IN_PLACE
) -> Derivatives:
    """Derivatives of f in all coordinates of x, which was ``given`` as that.

    ``hint`` is as for `warn_of_values`.
    """
    try:
        result, method, evaluator = computed(problem, Method)
        if warns:
            columns = problem.columns
            stencils, x = (
                (method.stencils, problem.x)
                if columns is None
                else (columns.stencils, columns.x)
            )
            warn_of_values(evaluator, stencils, x, result.values, hint)
    finally:
        put_back(given, problem.x)
    return result


def central_differences(
    f: Any, x: Any, h: Any, convert: Convert = number
) -> tuple[Floats, tuple[int, ...]]:
    """The same with the default options, whose checks take longer than a small f; and
    the shape of x.
    """
    if type(h) is not float or not 0 < h < math.inf:
        problem = Problem.of(f, x, h, convert=convert)
        return derivatives(problem, x).values, problem.x.shape
    kind, own, scheme = kind_of(f), own_point(x), SCHEMES["central"]
    seen = in_place(f, x, own) if kind == "Python" else None
    evaluator, stencils = (
        Problem(f, own, seen, convert, scheme, h, kind=kind).evaluator(),
        Stencils(scheme, h),
    )
    try:
        values = _differences(evaluator, own, stencils, None, (0, own.size))
        warn_of_values(evaluator, stencils, own, values)
    finally:
        put_back(x, own)
    return values, own.shape


def computed(
    problem: Problem, make: Callable[[Evaluator, Problem], Any]
) -> tuple[Derivatives, Any, Evaluator]:
    """Return all that a method finds, the method that ``make`` makes, and the evaluator
    of this process.
    """
    evaluator = problem.evaluator()
    with Progress(problem.progress) as bar:
        if problem.progress:
            evaluator.first_block = 1  # so that a slow f is seen to move
        bar("coordinates", 0, problem.x.size)  # from now on time is counted
        method = make(evaluator, problem)
        size = method.size
        name = "coordinates" if size == problem.x.size else "entries"

        def tell(done: int) -> None:
            bar(name, done, size)

        if problem.is_shared() and size:
            from secant.differentiation import workers

            result = workers.computed(
                workers.Task(problem, method), problem, size, tell
            )
            evaluator.is_constant &= not result.values.any()
            return (
                result._replace(evaluations=result.evaluations + evaluator.evaluations),
                method,
                evaluator,
            )
        return method(evaluator, 0, size, tell), method, evaluator


def warn_of_values(
    evaluator: Evaluator,
    stencils: Stencils | None,
    x: Floats,
    values: Floats,
    hint: str = _FLOAT64_IN_PLACE,
) -> None:
    """Warn where the values of f, or the steps, say that derivatives mean little.

    ``hint``: what to do if f reads x and not its argument.
    """
    count = np.count_nonzero(values)
    is_lost = (
        stencils is not None and count != values.size and _warn_of_loss(stencils, x)
    )
    is_zero = values.size and not count and not is_lost
    if evaluator.is_constant:
        if is_zero:
            warn(
                "f returned one and the same value at all points, so its derivative is"
                f" 0; if it reads x and not its argument, {hint}"
            )
    elif stencils is not None and is_zero and evaluator.has_slope_farther_away():
        warn(
            "all differences of f are 0, but f changes farther away: take a larger h,"
            " and let f neither round x or its values nor return values of other points"
        )
    elif stencils is not None and evaluator.is_rounded():
        _warn_of_few_digits(evaluator)
    if evaluator.returned is not _FLOAT64 and evaluator.returned != _FLOAT64:
        _warn_of_rounding(evaluator.returned, stencils, x, jumps=bool(count))


def _warn_of_few_digits(evaluator: Evaluator) -> None:
    """Warn of values that jump, or that are rounded."""
    if evaluator.is_jump():
        warn(
            "f jumps within the step: its difference is the jump divided by the step,"
            " not a slope; move x"
        )
    else:
        warn(
            "f returns rounded values, so its differences are too: return all digits,"
            " or take a step over which f changes by much more than its last digit"
        )


def _warn_of_loss(stencils: Stencils, x: Floats) -> bool:
    """Warn where x + h rounds to x: there a difference quotient is 0.

    Return whether it does.
    """
    flat = np.asarray(x).reshape(-1)
    if (
        isinstance(stencils.h, float)
        and not (np.abs(flat) >= _SURELY_KEPT * stencils.h).any()
    ):
        return False
    h = np.broadcast_to(stencils.h, x.size)
    with np.errstate(all="ignore"):
        lost = np.isfinite(flat) & (flat + h == flat) & (flat - h == flat)
    if lost.any():
        i = int(np.argmax(lost))
        warn(
            f"h is lost in x: {name_of(i, x.shape)} + h = {float(flat[i])!r} +"
            f" {h[i]:.3g} rounds to x, and the derivative there is 0 whatever f is;"
            " take a larger h, or h=None for one in proportion to x"
        )
    return bool(lost.any())


def _warn_of_rounding(
    returned: np.dtype[Any], stencils: Stencils | None, x: Floats, *, jumps: bool
) -> None:
    """Warn if f returns numbers that are too coarse for a step of that size.

    A slope of 0 is right for whole numbers, as for any step function. The scheme "auto"
    measures rounding itself.
    """
    if returned.kind in "biu" and jumps:
        warn(
            f"f returns {returned} and jumps near x: a difference of whole numbers is"
            " no slope; return a float"
        )
    elif returned.kind == "f" and returned.itemsize < 8 and stencils is not None:
        size = root_mean_square(x) or 1.0
        right = size * float(np.finfo(returned).eps) ** (
            1 / (stencils.scheme.order + 1)
        )
        h = float(np.median(np.abs(stencils.h)))
        if h <= right / 8:
            warn(
                f"f returns {returned} and round-off dominates at h = {h:g}: "
                f"take h = {right:.0e}, scheme='auto', or an f that computes in float64"
            )


class Method:
    """How derivatives are made of values of f: by a difference quotient, or as slopes
    with error bars.

    Attributes
    ----------
    size : int
        The number of coordinates.
    """

    _adaptive: Adaptive | None = None

    def __init__(self, evaluator: Evaluator, problem: Problem) -> None:
        self._with_error, self._x, self.size = (
            problem.with_error,
            problem.x,
            problem.x.size,
        )
        self._base = problem.f0
        # it depends on the type that f returns
        if self._base is None and isinstance(problem.step, RelativeStep):
            self._base = evaluator.at(problem.x)
        self.stencils = problem.stencils(evaluator.returned)
        if (
            self._base is None
            and self.stencils is not None
            and self.stencils.uses_value
        ):
            self._base = evaluator.at(problem.x)
        if self.stencils is None or problem.with_error:
            self._adaptive = Adaptive(
                evaluator, problem.x, problem.columns, problem.bounds, problem.noise
            )

    def __call__(
        self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]
    ) -> Derivatives:
        """Return derivatives of a range of coordinates, and their error bars."""
        values = None
        if self.stencils is not None:
            values = _differences(
                evaluator, self._x, self.stencils, self._base, (begin, end), tell
            )
            if self._adaptive is None:
                return Derivatives(values, None, evaluator.evaluations)
        assert self._adaptive is not None
        found = self._adaptive(evaluator, begin, end, tell)
        if not self._with_error:
            return Derivatives(found.slope, None, evaluator.evaluations)
        bars = Bars(found.bar, found.kind, self._adaptive.small(begin, end))
        if values is None:
            return Derivatives(found.slope, bars, evaluator.evaluations)
        with np.errstate(all="ignore"):
            bars = bars._replace(error=np.abs(values - found.slope) + found.bar)
        return Derivatives(values, bars, evaluator.evaluations)


def _differences(
    evaluator: Evaluator,
    x: Floats,
    stencils: Stencils,
    base: Any,
    span: tuple[int, int],
    tell: Callable[[int], object] = lambda _: None,
) -> Floats:
    """Difference quotients of a range; an error where f is not finite at a shifted
    point, and is at x.
    """
    values = differentiate(evaluator, stencils, base, span, tell)
    # for few numbers, Python is faster than NumPy
    if values.ndim > 1 or not math.isfinite(sum(values.tolist())):
        _require_finite(evaluator, x, stencils, base, values, span[0])
    return values


def _require_finite(
    evaluator: Evaluator,
    x: Floats,
    stencils: Stencils,
    base: Any,
    values: Floats,
    begin: int,
) -> None:
    """Raise an error if f is NaN or infinite at a shifted point and finite at x."""
    if np.isfinite(values).all():
        return
    wrong = ~np.isfinite(values) & np.isfinite(
        evaluator.at(x) if base is None else base
    )
    for i in (
        begin + np.flatnonzero(wrong.reshape(len(values), -1).any(axis=1))
    ).tolist():
        ((scheme, h, _, _),) = stencils.parts(i, i + 1)
        step = float(np.reshape(h, -1)[0])
        for shift in scheme.shifts:
            there = np.asarray(evaluator.shifted(i, i + 1, [shift * step]))
            wrong_outputs = np.flatnonzero(~np.isfinite(there))
            if len(wrong_outputs):
                output = int(wrong_outputs[0])
                raise not_finite(
                    there.flat[output], evaluator.place(i, shift * step, output)
                )


def not_finite(value: float, where: str) -> ValueRangeError:
    """The error of an f that is NaN or infinite at a shifted point, though it is finite
    at x.
    """
    name = "NaN" if math.isnan(value) else value
    hint = "where the domain of f ends, give it as bounds=, else take a smaller h"
    return ValueRangeError(f"f is {name} at {where}, and finite at x; {hint}")
