"""Slopes with error bars within bounds: outside, f counts as not defined; on a bound, differences are one-sided."""

from __future__ import annotations

from math import copysign, inf, isfinite, nan, sqrt
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.auto.central_difference import CachedSamples
from secant.differentiation.evaluators.evaluation import Evaluator
from secant.differentiation.noise import Sample, noise
from secant.differentiation.schemes import Bounds
from secant.differentiation.slope import Line

_RESOLUTION = 2.0**-53  # of x
_STEPS = 2.0**-6, 2.0**-14  # of a scale: what slopes change by over them says how they change over less
_FARTHER = 0.1  # of a scale: if x is rounded, it has more noise there where x is near 0


class BoundedEvaluator(Evaluator):
    """Another evaluator, which is only asked within bounds: outside values are NaN."""

    def __init__(self, evaluator: Evaluator, x: Floats, bounds: Bounds, shape: tuple[int, ...]) -> None:
        self._evaluator, self._shape = evaluator, shape
        self._x, self._lower, self._upper = (np.array(each, order="C").reshape(-1) for each in (x, *bounds))
        self._bounds = bounds

    def at(self, point: Floats) -> Any:
        """Return f at a point, or NaN."""
        if ((point >= self._bounds.lower) & (point <= self._bounds.upper)).all():
            return self._evaluator.at(point)
        return np.full(self._shape, np.nan)

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted, or NaN."""
        (shift,) = shifts
        if self._lower[begin] <= self._x[begin] + shift <= self._upper[begin]:
            return self._evaluator.shifted(begin, end, shifts)
        return np.full((1, 1, *self._shape), np.nan)


def one_sided(samples: CachedSamples, k: int, value: float, scale: float, room: float) -> tuple[float, float]:
    """The slope of one output of f where it is defined on one side of x only, and its error bar: infinite elsewhere.

    ``value`` is f(x), ``scale`` the unit of the steps, and ``room`` the distance of x to its bound, 0 if not known. The
    slope is that at the bound; f may behave like a root there.
    """
    resolution = _RESOLUTION * max(1.0, abs(float(samples.origin)) / scale)

    def sample(step: float) -> Sample:
        there = float(samples(step)[0][k])
        return Sample(there, there)

    def farther(step: float) -> Sample:
        return sample(step + copysign(_FARTHER, step))

    near, far = noise(sample, resolution), noise(farther, resolution)
    level = near._replace(near=max(near.near, far.near))
    line = Line(sample, level, value, one_sided=True, resolution=resolution)
    slope, column = line.slope()
    if not line.side:
        return nan, inf
    changes = (abs(line.difference(step) - slope.value) * sqrt(room / scale / step) for step in _STEPS)
    bar = slope.error_bar + line.distance_to_limit(column) + 3 * max(changes)
    return (slope.value / scale, bar / scale) if isfinite(bar) else (nan, inf)
