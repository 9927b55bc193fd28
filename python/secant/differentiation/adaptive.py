"""Steps and orders chosen for each entry, with error bars.

An entry is first looked at closely: central differences at three steps and their extrapolations, in six evaluations. If
the estimates do not settle, at smaller steps; and if they do not settle there, with all that `slope.py` can do. The
noise of f, and the steps to begin with, are measured once. So the result for an entry depends neither on other entries
nor on who computes it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.evaluation import Evaluator
from secant.differentiation.noise import noise
from secant.differentiation.slope import Line
from secant.errors import ValueRangeError

_SEED = 0
_RESOLUTION = float(np.finfo(np.float64).eps)
_FIRST_STEP, _HALVINGS = 0.25, 25
_MEASURED = 5  # coordinates that are searched for the steps to begin with
_LOOKS, _SHRINK = 3, 4.0  # how often the steps are shrunk, and by what
_SETTLED = 2.0  # times the noise, that what is left of truncation may be
_COVERAGE = 3.0  # error bars are so many times what is seen of truncation and noise
_MORE_NOISE = 1, 8, 64  # than along the first direction, where nothing settles

Look = Callable[[float], tuple[Floats, float]]
"""Values of f at a step along a coordinate, and the shift that the rounding of x leaves."""


class Start(NamedTuple):
    """What is known of one output of f before its entries are looked at; steps are in units of scales."""

    value: float
    noise: float
    step: float

    def error(self, largest: float) -> float:
        """The noise of a value where f has become that large."""
        return self.noise * max(1.0, largest / abs(self.value)) if self.value else max(self.noise, 2.0**-53 * largest)


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
        results = np.empty((end - begin, 2, len(self._starts)))
        for i in range(begin, end):
            look, scale = self._look(evaluator, i)
            for k, start in enumerate(self._starts):
                results[i - begin, :, k] = _slope(start, k, look, scale)
            tell(i + 1 - begin)
        return results.reshape(end - begin, 2, *self._shape)

    def _learned(self, evaluator: Evaluator) -> list[Start]:
        values = np.asarray(_quietly(evaluator.at, self._x))
        self._shape: tuple[int, ...] = values.shape
        if not np.isfinite(values).all():
            raise ValueRangeError("f must be finite at x for the scheme 'auto' and for error bars")
        rng = np.random.default_rng(_SEED)
        factors = rng.uniform(0.5, 1.5, self._x.size) * rng.choice([-1.0, 1.0], self._x.size)
        direction = (factors * self._scales).reshape(self._x.shape)
        memory = {0.0: values.reshape(-1)}

        def along(step: float) -> Floats:
            if step not in memory:
                memory[step] = np.asarray(_quietly(evaluator.at, self._x + step * direction)).reshape(-1)
            return memory[step]

        chosen = np.unique(np.linspace(0, self._x.size - 1, min(_MEASURED, self._x.size)).astype(int))
        looks = [self._look(evaluator, int(i)) for i in chosen]
        starts = []
        for k, value in enumerate(memory[0.0].tolist()):
            level = float(_quietly(noise, lambda step, k=k: (float(along(step)[k]),) * 2, _RESOLUTION))
            start = Start(value, level, _FIRST_STEP)
            steps = [_first_step(start, k, look) for look, _ in looks]
            starts.append(start._replace(step=float(np.median(steps)) if steps else _FIRST_STEP))
        return starts

    def _look(self, evaluator: Evaluator, i: int) -> tuple[Look, float]:
        """Values of f along a coordinate, each evaluated once; and the scale of the coordinate."""
        scale, origin = float(self._scales[i]), float(self._x.reshape(-1)[i])
        memory: dict[float, tuple[Floats, float]] = {}

        def look(step: float) -> tuple[Floats, float]:
            if step not in memory:
                values = _quietly(evaluator.shifted, i, i + 1, [step * scale]).reshape(-1)
                memory[step] = values, (origin + step * scale) - origin
            return memory[step]

        return look, scale


def _slope(start: Start, k: int, look: Look, scale: float) -> tuple[float, float]:
    """The slope of one output of f along one coordinate, and its error bar."""
    step = start.step
    for _ in range(_LOOKS):
        if (found := _close_look(start, k, look, step)) is not None:
            return found
        step /= _SHRINK
    rough = _rough(look, k, step)
    for factor in _MORE_NOISE:
        slope, _ = Line(_sample(look, k, rough), factor * start.noise, start.value).slope()
        if isfinite(slope.error_bar):
            return rough + slope.value / scale, max(slope.error_bar, slope.jump / 2) / scale
    return nan, inf


def _first_step(start: Start, k: int, look: Look) -> float:
    """The largest step at which a close look settles, and did at twice the step: noise matters least there."""
    step, before = _FIRST_STEP, None
    for _ in range(_HALVINGS):
        found = _close_look(start, k, look, step)
        if found is not None and before is not None and abs(found[0] - before[0]) <= found[1] + before[1]:
            return step
        step, before = step / 2, found
    return step


def _close_look(start: Start, k: int, look: Look, step: float) -> tuple[float, float] | None:
    """The slope by central differences at three steps, and its error bar; None if they do not settle.

    What extrapolation leaves of the truncation error shows as the difference of two extrapolated values. Where f is
    smooth, that of the smaller steps has a sixteenth of it; near kinks it may have all.
    """
    slopes, bends, widths, largest = [], [], [], abs(start.value)
    for factor in (1, 2, 4):
        (above, up), (below, down) = look(factor * step), look(-factor * step)
        high, low = float(above[k]), float(below[k])
        slopes.append((high - low) / (up - down))
        bends.append((high - start.value) / up - (low - start.value) / down)
        widths.append((up - down) / 2)
        largest = max(largest, abs(high), abs(low))
    if not isfinite(largest):
        return None
    noise = start.error(largest)
    if abs(bends[0]) > 0.75 * abs(bends[1]) + 4 * noise / widths[0]:  # at a kink, bends do not shrink with the step
        return None
    near, far = (4 * slopes[0] - slopes[1]) / 3, (4 * slopes[1] - slopes[2]) / 3
    noise_of_near = noise * (4 / widths[0] + 1 / widths[1]) / 3
    noise_of_far = noise * (4 / widths[1] + 1 / widths[2]) / 3
    left = abs(near - far)
    if left / 2 > _SETTLED * noise_of_near:
        return None
    error, value = min(
        (left + noise_of_near, near),
        (left + noise_of_far, far),
        (4 / 3 * abs(slopes[2] - slopes[1]) + noise / widths[2], slopes[2]),
    )
    return value, _COVERAGE * error


def _rough(look: Look, k: int, step: float) -> float:
    """About the slope: what the rounding of x changes is the slope times that."""
    (above, up), (below, down) = look(step), look(-step)
    slope = float(above[k] - below[k]) / (up - down)
    return slope if isfinite(slope) else 0.0


def _sample(look: Look, k: int, rough: float) -> Callable[[float], tuple[float, float]]:
    """One output of f along a coordinate, and that less a linear part."""

    def sample(step: float) -> tuple[float, float]:
        values, shift = look(step)
        value = float(values[k])
        return value, value - rough * shift

    return sample


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    with np.errstate(all="ignore"):  # steps may leave the domain of f, and are then dropped
        return call(*arguments)
