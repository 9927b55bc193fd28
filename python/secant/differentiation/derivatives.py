"""Derivatives in every coordinate: what gradients and Jacobians share."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from secant._common.progress import Progress
from secant._common.validation import Floats
from secant.differentiation.adaptive import Adaptive
from secant.differentiation.evaluators.evaluation import OF_DOMAIN, Evaluator, differentiate, name_of
from secant.differentiation.noise import root_mean_square
from secant.differentiation.options import ignores_argument, is_float64, require_perturbable
from secant.differentiation.problem import Problem
from secant.differentiation.reach import can_reach
from secant.differentiation.schemes import RelativeStep, Stencils
from secant.errors import DTypeError, SecantError, ValueRangeError

_FLOAT64 = np.dtype(np.float64)
_MEASURED = 0.01  # seconds of a measurement
_SURELY_KEPT = 2.0**51  # times h: an x below is not rounded to itself
_FEW = 16  # elements
_EVALUATIONS_OF_AUTO = 6  # per entry, about


class Derivatives(NamedTuple):
    """Derivatives (coordinates, and the shape of f(x)), their error bars if wanted, and the evaluations of f."""

    values: Floats
    errors: Floats | None
    evaluations: int


def derivatives(problem: Problem, given: Any, *, warn_of_h: bool = True) -> Derivatives:
    """Derivatives of f in all coordinates of x, which was ``given`` as that."""
    result, method, returned, problem = computed(problem, given, Method)
    _warn(problem, method.stencils, result.values, returned, warn_of_h)
    return result


def central_differences(problem: Problem, given: Any) -> Floats:
    """The same for the default options and some coordinates, without what only others need."""
    assert problem.scheme is not None
    evaluator, stencils = problem.evaluator(), Stencils(problem.scheme, cast(float, problem.step))
    values = _differences(evaluator, problem.x, stencils, None, (0, problem.x.size))
    if problem.place is None and not np.count_nonzero(values):
        seen = _seen_elsewhere(problem, given)
        if seen is not None:
            return central_differences(seen, given)
    _warn(problem, stencils, values, evaluator.returned, True)
    return values


def _warn(
    problem: Problem, stencils: Stencils | None, values: Floats, returned: np.dtype[Any], warn_of_h: bool
) -> None:
    count, h = np.count_nonzero(values), problem.step
    if warn_of_h and count != values.size:
        warn_of_loss(stencils, problem.x, values, stacklevel=5)
    if warn_of_h and type(h) is float and stencils is not None and _any_below(problem.x, h):
        _warn_of_size(problem, stencils, h, values)
    if returned is not _FLOAT64 and returned != _FLOAT64:
        warn_of_rounding(returned, stencils, problem.x, jumps=bool(count), stacklevel=5)


def computed(
    problem: Problem, given: Any, make: Callable[[Evaluator, Problem], Any]
) -> tuple[Derivatives, Any, np.dtype[Any], Problem]:
    """Return all that a method finds, the method that ``make`` makes, the type of what f returned, and the problem.

    That is another one, in place, if f is seen not to use its argument.
    """
    found, method, returned = _computed(problem, make)
    if problem.x.size and problem.place is None and not np.count_nonzero(found.values) and not method.has_found:
        seen = _seen_elsewhere(problem, given)
        if seen is not None:
            again, method, returned = _computed(seen, make)
            return again._replace(evaluations=again.evaluations + found.evaluations), method, returned, seen
    return found, method, returned, problem


def _computed(problem: Problem, make: Callable[[Evaluator, Problem], Any]) -> tuple[Derivatives, Any, np.dtype[Any]]:
    evaluator = problem.evaluator()
    evaluator.evaluations = problem.probes
    if not problem.progress and not problem.asks_for_workers:
        method = make(evaluator, problem)
        return method(evaluator, 0, method.size, _silent), method, evaluator.returned
    with Progress(problem.progress) as shown:
        tell: Callable[[int], object] = _silent
        if problem.progress:
            evaluator.first_block = 1  # so that a slow f is seen to move
            tell = _counter(shown, problem.x.size)
            tell(0)  # from now on time is counted
        method = make(evaluator, problem)
        size = method.size
        if problem.progress and size != problem.x.size:
            tell = _counter(shown, size)
        if problem.is_shared() and size:
            from secant.differentiation import workers

            seconds, returned = method.seconds_per_coordinate(evaluator), evaluator.returned
            if workers.pays(problem, seconds * size):
                job, evaluations = workers.Job(problem, method), evaluator.evaluations
                del evaluator  # it has a copy of x
                found = workers.computed(job, problem, size, method.group, seconds, tell)
                if not np.count_nonzero(found.values) and ignores_argument(problem.f):
                    raise DTypeError("f must use its argument, since workers have copies of x")
                return found._replace(evaluations=found.evaluations + evaluations), method, returned
        return method(evaluator, 0, size, tell), method, evaluator.returned


def _seen_elsewhere(problem: Problem, given: Any) -> Problem | None:
    """The same in place, if f does not use its argument and so did not see the copy of x that was shifted.

    Where that is so all differences are 0, and f does not mind an argument that is no array. A constant has that, too:
    it is what an f is that cannot reach an x which cannot be shifted in place.
    """
    if not callable(problem.f) or not ignores_argument(problem.f):
        return None
    if is_float64(given) and problem.may_need_place:
        require_perturbable("x", given)
        return problem._replace(place=given)
    if can_reach(problem.f, given):
        raise DTypeError(
            "f must use its argument, since a copy of x is shifted: where it looks at x elsewhere, x must be an array "
            "of float64 that can be perturbed in place"
        )
    return None


def undefined(where: str, error: Exception | None = None) -> SecantError:
    """The error of an f that is not defined at a shifted point, though it is at x."""
    advice = "where the domain of f ends, give it as bounds="
    if isinstance(error, DTypeError):
        return DTypeError(f"{error}; {where}: {advice}")
    raised = "" if error is None else f", and raised {type(error).__name__}: {error}"
    return ValueRangeError(f"{where}{raised}; {advice}")


def warn_of_loss(stencils: Stencils | None, x: Floats, values: Floats, stacklevel: int = 4) -> None:
    """Warn where x + h rounds to x. There a difference is 0: nothing else is looked at."""
    if stencils is None:
        return
    flat = np.asarray(x).reshape(-1)
    if isinstance(stencils.h, float) and not (np.abs(flat) >= _SURELY_KEPT * stencils.h).any():
        return
    h = np.broadcast_to(stencils.h, x.size)
    with np.errstate(all="ignore"):
        lost = np.isfinite(flat) & ((flat + h == flat) | (flat - h == flat))
    lost &= (values == 0).reshape(x.size, -1).any(axis=1)
    if lost.any():
        i = int(np.argmax(lost))
        warnings.warn(
            f"h is lost in x: {name_of(i, x.shape)} + h = {float(flat[i])!r} + {h[i]:.3g} rounds to x, and the "
            "derivative there is 0 whatever f is; take a larger h, or h='relative'",
            RuntimeWarning,
            stacklevel=stacklevel,
        )


def _any_below(x: Floats, size: float) -> bool:
    if x.ndim == 1 and 0 < x.size <= _FEW:
        return bool(min(map(abs, x.tolist())) < size)  # faster than NumPy
    return bool(np.count_nonzero(np.abs(x) < size))


def _warn_of_size(problem: Problem, stencils: Stencils, h: float, values: Floats) -> None:
    """Warn where h is larger than the scale of x allows; it costs evaluations only where h is larger than an entry.

    There f is evaluated at x. If it changes by more than that within a step, then at half the step, for the entry where
    it changes most: quotients that differ by more than half say so.
    """
    size = np.abs(np.asarray(problem.x)).reshape(-1)
    small = (size > 0) & (size < h)
    if not small.any():
        return
    evaluator = problem.evaluator()
    with np.errstate(all="ignore"):
        base = np.abs(np.asarray(evaluator.at(problem.x)))
        change = np.where(np.isfinite(values), np.abs(values), 0.0) * h
        change = np.where(change > base, change, 0.0).reshape(len(size), -1).max(axis=1, initial=0.0) * small
        if not change.any():
            return
        i = int(np.argmax(change))
        half = differentiate(evaluator, stencils._replace(h=stencils.h / 2), evaluator.at(problem.x), (i, i + 1))[0]
        wrong = np.abs(values[i] - half) > 0.5 * np.maximum(np.abs(values[i]), np.abs(half))
        if not (wrong & (np.abs(values[i]) * h > base)).any():
            return
    warnings.warn(
        f"h = {h:g} is larger than the scale of x allows at {name_of(i, problem.x.shape)} = "
        f"{float(np.ravel(problem.x)[i])!r}: with half the step the derivative is another; take a smaller h, "
        "rel_step=, or scheme='auto'",
        RuntimeWarning,
        stacklevel=5,
    )


def warn_of_rounding(
    returned: np.dtype[Any], stencils: Stencils | None, x: Floats, *, jumps: bool, stacklevel: int = 3
) -> None:
    """Warn if f returns numbers that are too coarse for a step of that size.

    A slope of 0 is right for whole numbers, as for any step function. The scheme "auto" measures rounding itself.
    """
    if returned.kind in "biu" and jumps:
        message = f"f returns {returned} and jumps near x: a difference of whole numbers is no slope; return a float"
    elif returned.kind == "f" and returned.itemsize < 8 and stencils is not None:
        size = root_mean_square(x) or 1.0
        right = size * float(np.finfo(returned).eps) ** (1 / (stencils.scheme.order + 1))
        h = float(np.median(np.abs(stencils.h)))
        if h > right / 8:
            return
        message = (
            f"f returns {returned} and round-off dominates at h = {h:g}: "
            f"take h = {right:.0e}, scheme='auto', or an f that computes in float64"
        )
    else:
        return
    warnings.warn(message, RuntimeWarning, stacklevel=stacklevel)


class Method:
    """How derivatives are made of values of f: by a difference quotient, or as slopes with error bars.

    Attributes
    ----------
    group : int
        As of `Adaptive`.
    size : int
        The number of coordinates.
    has_found : bool
        Whether there are derivatives other than 0 already, beside those of `__call__`.
    """

    group = 1
    has_found = False
    _base: Any = None
    _adaptive: Adaptive | None = None

    def __init__(self, evaluator: Evaluator, problem: Problem) -> None:
        self._with_error, self._x, self.size = problem.with_error, problem.x, problem.x.size
        if isinstance(problem.step, RelativeStep):  # which depends on the type of what f returns
            self._base = evaluator.at(problem.x)
        self.stencils = problem.stencils(evaluator.returned)
        if self.stencils is not None and self.stencils.uses_value and self._base is None:
            self._base = evaluator.at(problem.x)
        if self.stencils is None or problem.with_error:
            self._adaptive = Adaptive(evaluator, problem.x, problem.moved, problem.bounds)
            self.group = self._adaptive.group

    def seconds_per_coordinate(self, evaluator: Evaluator) -> float:
        """Measure how long a coordinate takes, on few of them: each call takes some time for all of x, too."""
        count = max(1, evaluator.first_block // 16)
        shifts = [0.0] * (1 if self.stencils is None else len(self.stencils.scheme.shifts))
        while True:
            start = time.perf_counter()
            evaluator.shifted(0, count, shifts)
            seconds = time.perf_counter() - start
            if seconds > _MEASURED or 64 * count > evaluator.size:
                return seconds / count / len(shifts) * (_EVALUATIONS_OF_AUTO if self._adaptive else len(shifts))
            count *= 8

    def __call__(self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]) -> Derivatives:
        """Return derivatives of a range of coordinates, and their error bars."""
        values = None
        if self.stencils is not None:
            values = _differences(evaluator, self._x, self.stencils, self._base, (begin, end), tell)
            if self._adaptive is None:
                return Derivatives(values, None, evaluator.evaluations)
        assert self._adaptive is not None
        slopes, bars = np.moveaxis(self._adaptive(evaluator, begin, end, tell), 1, 0)
        if values is None:
            return Derivatives(slopes, bars if self._with_error else None, evaluator.evaluations)
        with np.errstate(all="ignore"):
            return Derivatives(values, np.abs(values - slopes) + bars, evaluator.evaluations)


def _differences(
    evaluator: Evaluator,
    x: Floats,
    stencils: Stencils,
    base: Any,
    span: tuple[int, int],
    tell: Callable[[int], object] = lambda _: None,
) -> Floats:
    """Difference quotients of a range; an error where f is not defined at a shifted point, and is at x."""
    try:
        values = differentiate(evaluator, stencils, base, span, tell)
    except OF_DOMAIN as error:
        if isinstance(error, SecantError) and not isinstance(error, DTypeError):
            raise
        if not _is_defined(evaluator, x):
            raise
        where = next(iter(getattr(error, "__notes__", ())), "f was evaluated near x")
        raise undefined(where, error) from error
    row = values if values.ndim == 1 else values.reshape(-1)
    if math.isnan(row.dot(row)):  # some entry is NaN; faster than to look at all
        _require_numbers(evaluator, x, stencils, evaluator.at(x) if base is None else base, values, span[0])
    return values


def _is_defined(evaluator: Evaluator, x: Floats) -> bool:
    try:
        evaluator.at(x)
    except OF_DOMAIN:
        return False
    return True


def _require_numbers(
    evaluator: Evaluator, x: Floats, stencils: Stencils, base: Any, values: Floats, begin: int
) -> None:
    """Raise an error if f is NaN at a shifted point and finite at x."""
    wrong = np.isnan(values) & np.isfinite(base)
    if not wrong.any():
        return
    i = begin + int(np.argmax(wrong.reshape(len(values), -1).any(axis=1)))
    ((scheme, h, _, _),) = stencils.parts(i, i + 1)
    step = float(np.reshape(h, -1)[0])
    for shift in scheme.shifts:
        there = np.asarray(evaluator.shifted(i, i + 1, [shift * step]))
        if np.isnan(there).any():
            name = f"{name_of(i, x.shape)} = {float(np.ravel(x)[i]) + shift * step!r}"
            raise undefined(f"f is NaN at {name}, and finite at x")


def _silent(_: int) -> None:
    pass


def _counter(shown: Progress, size: int) -> Callable[[int], None]:
    return lambda done: shown("coordinates", done, size)
