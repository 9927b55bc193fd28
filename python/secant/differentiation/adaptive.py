"""Steps and orders chosen for each entry, with error bars: the slopes of `slope.py`, along each coordinate.

The noise of f, and the column of the table where an entry looks first, are measured once, along a random direction. So
the result for an entry does not depend on other entries, nor on who computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.evaluation import Evaluator
from secant.differentiation.noise import noise
from secant.differentiation.slope import FRESH, Column, Line
from secant.errors import ValueRangeError

_SEED = 0
_RESOLUTION = float(np.finfo(np.float64).eps)
_MORE_NOISE = 1, 8, 64  # than along the first direction, where nothing settles


class Start(NamedTuple):
    """What is known of one output of f before its entries are looked at: its value at x, its noise, a column."""

    value: float
    noise: float
    column: Column


class Adaptive:
    """Slopes of all coordinates, each with its error bar."""

    def __init__(self, evaluator: Evaluator, x: Floats) -> None:
        size = np.abs(np.array(x, order="C").reshape(-1))
        typical = float(np.sqrt(np.mean(size**2))) if x.size else 1.0
        if not isfinite(typical):
            raise ValueRangeError("x must be finite for the scheme 'auto' and for error bars, and its squares too")
        self._x = np.array(x, order="C")
        self._scales = np.maximum(size, typical or 1.0)
        self._starts = self._learned(evaluator)

    def __call__(self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]) -> Floats:
        """Return slopes and error bars of a range of coordinates, (end - begin, 2, and the shape of what f returns)."""
        results = []
        for i in range(begin, end):
            results.append(self._entry(evaluator, i))
            tell(i + 1 - begin)
        return np.array(results).reshape(end - begin, 2, *self._shape)

    def _learned(self, evaluator: Evaluator) -> list[Start]:
        values = np.asarray(_quietly(evaluator.at, self._x))
        self._shape: tuple[int, ...] = values.shape
        if not np.isfinite(values).all():
            raise ValueRangeError("f must be finite at x for the scheme 'auto' and for error bars")
        rng = np.random.default_rng(_SEED)
        factors = rng.uniform(0.5, 1.5, self._x.size) * rng.choice([-1.0, 1.0], self._x.size)
        direction = (factors * self._scales).reshape(self._x.shape)
        memory: dict[float, Floats] = {0.0: values.reshape(-1)}

        def look(step: float) -> Floats:
            if step not in memory:
                memory[step] = np.asarray(_quietly(evaluator.at, self._x + step * direction)).reshape(-1)
            return memory[step]

        starts = []
        for k, value in enumerate(memory[0.0].tolist()):

            def sample(step: float, k: int = k) -> tuple[float, float]:
                there = float(look(step)[k])
                return there, there

            level = float(_quietly(noise, sample, _RESOLUTION))
            starts.append(Start(value, level, Line(sample, level, value).slope()[1]))
        return starts

    def _entry(self, evaluator: Evaluator, i: int) -> Floats:
        """The slope of coordinate i, and its error bar, of each output of f."""
        scale, origin = float(self._scales[i]), float(self._x.reshape(-1)[i])
        memory: dict[float, tuple[Floats, float]] = {}

        def look(step: float) -> tuple[Floats, float]:
            """Values of f, and the shift that the rounding of x leaves."""
            if step not in memory:
                values = _quietly(evaluator.shifted, i, i + 1, [step * scale]).reshape(-1)
                memory[step] = values, (origin + step * scale) - origin
            return memory[step]

        found = np.empty((2, len(self._starts)))
        for k, start in enumerate(self._starts):
            found[:, k] = _slope(start, k, look, scale)
        return found


def _slope(start: Start, k: int, look: Callable[[float], tuple[Floats, float]], scale: float) -> tuple[float, float]:
    """The slope of one output of f along one coordinate, and its error bar."""
    first = start.column.step * FRESH[0]
    (above, up), (below, down) = look(first), look(-first)
    rough = float(above[k] - below[k]) / (up - down)  # what the rounding of x changes is its slope times that
    rough = rough if isfinite(rough) else 0.0

    def sample(step: float) -> tuple[float, float]:
        values, shift = look(step)
        value = float(values[k])
        return value, value - rough * shift

    for factor in _MORE_NOISE:
        slope, _ = Line(sample, factor * start.noise, start.value).slope(start.column)
        if isfinite(slope.error_bar):
            return rough + slope.value / scale, max(slope.error_bar, slope.jump / 2) / scale
    return nan, inf


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    with np.errstate(all="ignore"):  # steps may leave the domain of f, and are then dropped
        return call(*arguments)
