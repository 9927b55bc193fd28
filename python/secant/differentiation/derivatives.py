"""Derivatives in every coordinate: what gradients and Jacobians share."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from secant._common import validation
from secant._common.progress import Progress
from secant._common.validation import Floats
from secant.differentiation import c_pointer
from secant.differentiation.adaptive import Adaptive
from secant.differentiation.evaluation import SCHEMES, Convert, Evaluator, Scheme, differentiate, number
from secant.differentiation.noise import root_mean_square
from secant.differentiation.options import (
    DEFAULTS,
    Options,
    argument,
    choose_evaluator,
    is_shared,
    require_dependence,
    require_function,
    require_perturbable,
)

_MEASURED = 0.01  # seconds of a measurement
_EVALUATIONS_OF_AUTO = 6  # per entry, about
_QUIET = Progress(False)  # made once: it would take as long as a small f


def derivatives(f: Any, x: Any, h: Any, options: Options, convert: Convert = number) -> tuple[Floats, Floats | None]:
    """Derivatives of f in all coordinates of x, (coordinates, and the shape of f(x)), and their error bars."""
    require_function(f)
    h = validation.finite_number("h", h, above=0)
    point, copied = argument(x)
    if options is DEFAULTS:  # checking them would take longer than a small f
        if c_pointer.is_c_pointer(f) and 0 < point.size <= Evaluator.first_block and c_pointer.core() is not None:
            return c_pointer.few_differences(f, point, h), None
        scheme: Scheme | None = SCHEMES["central"]
    else:
        name = validation.one_of("scheme", options.scheme, (*SCHEMES, "auto"))
        scheme = SCHEMES.get(name)
        for flag in ("vectorized", "return_error", "inplace", "progress"):
            validation.flag(flag, getattr(options, flag))
    if options.inplace:
        require_perturbable("x", x)
    evaluator = choose_evaluator(f, point, options, convert)
    shared = False
    with Progress(True) if options.progress else _QUIET as shown:
        tell: Callable[[int], object] = _silent
        if options.progress:
            evaluator.first_block = 1  # so that a slow f is seen to move
            tell = _counter(shown, point.size)
            tell(0)  # from now on time is counted
        method = Method(evaluator, point, scheme, h, bool(options.return_error))
        if is_shared(f, options) and point.size:
            from secant.differentiation import workers

            seconds, returned = method.seconds_per_coordinate(evaluator), evaluator.returned
            if shared := workers.pays(options, seconds * point.size):
                job = workers.Job(f, point, options, convert, method)
                del evaluator  # it has a copy of x
                result = workers.computed(job, options, point.size, method.group, seconds, tell)
        if not shared:
            result, returned = method(evaluator, 0, point.size, tell), evaluator.returned
    if copied or shared:
        require_dependence(f, result[0])
    if returned != np.float64:
        warn_of_rounding(returned, scheme, h, point, jumps=bool(result[0].any()), stacklevel=4)
    return result


def warn_of_rounding(
    returned: np.dtype[Any], scheme: Scheme | None, h: float, x: Floats, *, jumps: bool, stacklevel: int = 3
) -> None:
    """Warn if f returns numbers that are too coarse for a step of that size.

    A slope of 0 is right for whole numbers, as for any step function. The scheme "auto" measures rounding itself.
    """
    if returned.kind in "biu" and jumps:
        message = f"f returns {returned} and jumps near x: a difference of whole numbers is no slope; return a float"
    elif returned.kind == "f" and returned.itemsize < 8 and scheme is not None:
        size = root_mean_square(x) or 1.0
        right = size * float(np.finfo(returned).eps) ** (1 / (scheme.order + 1))
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
    """

    def __init__(self, evaluator: Evaluator, x: Floats, scheme: Scheme | None, h: float, errors: bool) -> None:
        self._scheme, self._h, self._errors = scheme, h, errors
        self._base = evaluator.at(x) if scheme is not None and scheme.uses_value else None
        self._adaptive = Adaptive(evaluator, x) if scheme is None or errors else None
        self.group = self._adaptive.group if self._adaptive else 1

    def seconds_per_coordinate(self, evaluator: Evaluator) -> float:
        """Measure how long a coordinate takes, on few of them: each call takes some time for all of x, too."""
        count = max(1, evaluator.first_block // 16)
        shifts = [0.0] if self._scheme is None else [self._h * shift for shift in self._scheme.shifts]
        while True:
            start = time.perf_counter()
            evaluator.shifted(0, count, shifts)
            seconds = time.perf_counter() - start
            if seconds > _MEASURED or 64 * count > evaluator.size:
                return seconds / count / len(shifts) * (_EVALUATIONS_OF_AUTO if self._adaptive else len(shifts))
            count *= 8

    def __call__(
        self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]
    ) -> tuple[Floats, Floats | None]:
        """Return derivatives of a range of coordinates, and their error bars."""
        values = None
        if self._scheme is not None:
            values = differentiate(evaluator, self._scheme, self._h, self._base, (begin, end), tell)
            if self._adaptive is None:
                return values, None
        assert self._adaptive is not None
        slopes, bars = np.moveaxis(self._adaptive(evaluator, begin, end, tell), 1, 0)
        if values is None:
            return slopes, bars if self._errors else None
        with np.errstate(all="ignore"):
            return values, np.abs(values - slopes) + bars


def _silent(_: int) -> None:
    pass


def _counter(shown: Progress, size: int) -> Callable[[int], None]:
    return lambda done: shown("coordinates", done, size)
