"""Slopes with error bars within bounds: outside, f counts as not defined; on a bound, differences are one-sided."""

from __future__ import annotations

from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.central_difference import RATIO
from secant.differentiation.evaluation import Evaluator, differentiate
from secant.differentiation.noise import unit_rounding
from secant.differentiation.schemes import SCHEMES, Bounds, RelativeStep, stencils

_ENOUGH = 1e-8  # a relative error bar that is not worth more evaluations
_COVERAGE = 8.0  # error bars are so many times what is seen of truncation and rounding
_AMPLIFIED = (
    50.0  # times the rounding of f: what a one-sided difference of fourth order makes of it at the smallest step
)
_CLOSE = 1e-3  # a relative change that noise may be: the value is worth something, though its error is not known
_SHRINKS = 0.97  # of a change, at the next step: what does not shrink by more is taken for no series


class BoundedEvaluator(Evaluator):
    """Another evaluator, which is only asked within bounds: outside values are NaN."""

    def __init__(self, evaluator: Evaluator, x: Floats, bounds: Bounds, shape: tuple[int, ...]) -> None:
        self._evaluator, self._shape = evaluator, shape
        self._x, self._lower, self._upper = (np.array(each, order="C").reshape(-1) for each in (x, *bounds))
        self._bounds = bounds
        self.size = evaluator.size

    def at(self, point: Floats) -> Any:
        """Return f at a point, or NaN."""
        if ((point >= self._bounds.lower) & (point <= self._bounds.upper)).all():
            return self._evaluator.at(point)
        return np.full(self._shape, np.nan)

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted, or NaN."""
        result = np.full((end - begin, np.shape(shifts)[-1], *self._shape), np.nan)
        for i in range(begin, end):
            for j, shift in enumerate(shifts if isinstance(shifts, list) else shifts[i - begin].tolist()):
                if self._lower[i] <= self._x[i] + shift <= self._upper[i]:
                    result[i - begin, j] = self._evaluator.shifted(i, i + 1, [shift])[0, 0]
        return result


def with_one_sided(
    evaluator: Evaluator, x: Floats, bounds: Bounds, base: Any, begin: int, slopes: Floats, errors: Floats
) -> tuple[Floats, Floats]:
    """Return slopes and error bars, with differences of fourth order where little is known from both sides.

    They are taken at three steps. What they change by shrinks with the step, as a geometric series: its rest, and the
    rounding of f, are the error bar. Where changes do not shrink, the derivative may be infinite, and nothing is known.
    """
    with np.errstate(all="ignore"):
        known = errors <= _ENOUGH * np.abs(slopes)
    unknown = np.flatnonzero(~known.reshape(len(errors), -1).all(axis=1))
    if not len(unknown):
        return slopes, errors
    slopes, errors = slopes.copy(), errors.copy()
    found = stencils(SCHEMES["five-point"], RelativeStep(), x, bounds, evaluator.returned)
    h = np.broadcast_to(found.h, x.size)
    for k in unknown.tolist():
        span = begin + k, begin + k + 1
        each = [
            differentiate(evaluator, found._replace(h=found.h / part), base, span)[0] for part in (1, RATIO, RATIO**2)
        ]
        with np.errstate(all="ignore"):
            before, change = np.abs(each[0] - each[1]), np.abs(each[1] - each[2])
            near = evaluator.shifted(*span, [float(h[begin + k])])[0, 0]
            noise = _AMPLIFIED * 2 * unit_rounding(np.array([base, near])) * np.abs(base) / abs(h[begin + k])
            rest = np.where(change < _SHRINKS * before, change / (1 - change / before), np.inf)
            error = _COVERAGE * (np.where(change <= noise, np.maximum(before, change), rest) + noise)
        better = ~(errors[k] <= error) & (change <= np.where(np.isfinite(error), np.inf, _CLOSE * np.abs(each[1])))
        slopes[k], errors[k] = np.where(better, each[1], slopes[k]), np.where(better, error, errors[k])
    return slopes, errors
