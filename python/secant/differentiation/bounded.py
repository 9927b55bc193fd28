"""Slopes with error bars within bounds: outside, f counts as not defined; on a bound, differences are one-sided."""

from __future__ import annotations

from math import copysign, inf, isfinite, nan
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.central_difference import CachedSamples
from secant.differentiation.evaluation import Evaluator
from secant.differentiation.noise import Sample, noise
from secant.differentiation.schemes import Bounds
from secant.differentiation.slope import Line

_RESOLUTION = 2.0**-53  # of x
_FARTHER = 0.1  # of a scale: if x is rounded, it has more noise there where x is near 0


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


def one_sided(samples: CachedSamples, k: int, value: float, scale: float) -> tuple[float, float]:
    """The slope of one output of f where it is defined on one side of x only, and its error bar: infinite elsewhere.

    ``value`` is f(x), and ``scale`` the unit of the steps.
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
    bar = slope.error_bar + line.left(column) if line.side else inf
    return (slope.value / scale, bar / scale) if isfinite(bar) else (nan, inf)
