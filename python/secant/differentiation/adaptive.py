"""Steps and orders chosen for each entry, with error bars.

The noise of f, and the steps to begin with, are measured once. Where noise leaves little for extrapolation to win, a
group of entries is looked at together, in two evaluations for each and four for all. Otherwise, and where truncation or
a kink shows, an entry is looked at closely: central differences at three steps and their extrapolations, in six. If the
estimates do not settle, at smaller steps; and if they do not settle there, with all that `slope.py` can do. Groups are
the same whoever computes them, and know nothing of each other: so is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.differentiation.central_difference import Group, Look, Start, close_look
from secant.differentiation.evaluation import Evaluator, Steps, require_same_shape
from secant.differentiation.noise import noise, root_mean_square
from secant.differentiation.slope import Line
from secant.errors import ValueRangeError

_SEED = 0
_RESOLUTION = float(np.finfo(np.float64).eps)
_FIRST_STEP, _HALVINGS = 0.25, 25
_MEASURED = 3  # coordinates that are searched for the steps to begin with, each from the step of the one before
_ASKEW = 0.6180339887498949
"""A factor of all steps: the golden ratio, which fractions of small whole numbers approximate worst. So where x and the
period of f are whole numbers, no step is a multiple of the period."""
_GROUP = 16  # entries that are looked at together, or a quarter of all: then workers can share them
_WORTH = 60.0  # times the error bar of a close look: where noise / step is smaller, that is not worth its evaluations
_LOOKS, _SHRINK = 3, 4.0  # how often the steps are shrunk, and by what
_MORE_NOISE = 1, 8, 64  # than along the first direction, where nothing settles


class Adaptive:
    """Slopes of all coordinates, each with its error bar.

    Attributes
    ----------
    group : int
        A range of coordinates takes the fewest evaluations if it starts and ends at multiples of that.
    """

    def __init__(self, evaluator: Evaluator, x: Floats) -> None:
        size = np.abs(np.array(x, order="C").reshape(-1))
        typical = root_mean_square(size)
        if not isfinite(typical):
            raise ValueRangeError("x must be finite for the scheme 'auto' and for error bars")
        self._x = np.array(x, order="C")
        self._scales = _ASKEW * np.maximum(size, typical or 1.0)
        self.group = max(1, min(_GROUP, -(-x.size // 4)))
        rng = np.random.default_rng(_SEED)
        self._factors = rng.uniform(2, 3, _GROUP) * rng.choice([-1.0, 1.0], _GROUP)
        self._starts = self._learned(evaluator)

    def __call__(self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]) -> Floats:
        """Return slopes and error bars of a range of coordinates, (end - begin, 2, and the shape of what f returns)."""
        results = np.empty((end - begin, 2, len(self._starts)))
        for first in range(begin - begin % self.group, end, self.group):
            coordinates = np.arange(first, min(first + self.group, self._x.size))
            steps = Steps()
            group = self._group(evaluator, coordinates, steps)
            for k, start in enumerate(self._starts):
                found = group.slopes(start, k) if start.together else None
                for i in range(max(first, begin), min(first + self.group, end)):
                    results[i - begin, :, k] = (
                        found[i - first] if found else _slope(start, k, group.looks[i - first], self._scales[i])
                    )
            done = results[max(first - begin, 0) : first + self.group - begin]
            if steps.error is not None and not np.isfinite(done).all():
                raise steps.error
            tell(min(first + self.group, end) - begin)
        return results.reshape(end - begin, 2, *self._shape)

    def _learned(self, evaluator: Evaluator) -> list[Start]:
        with np.errstate(all="ignore"):
            values = np.asarray(evaluator.at(self._x))
        self._shape: tuple[int, ...] = values.shape
        if not np.isfinite(values).all():
            raise ValueRangeError("f must be finite at x for the scheme 'auto' and for error bars")
        rng = np.random.default_rng(_SEED)
        factors = rng.uniform(0.5, 1.5, self._x.size) * rng.choice([-1.0, 1.0], self._x.size)
        direction = (factors * self._scales).reshape(self._x.shape)
        memory, steps = {0.0: values.reshape(-1)}, Steps()

        def along(step: float) -> Floats:
            if step not in memory:
                memory[step] = self._at(evaluator, self._x + step * direction, steps)
            return memory[step]

        def both(k: int, step: float) -> tuple[float, float]:
            return (float(along(step)[k]),) * 2

        chosen = np.unique(np.linspace(0, self._x.size - 1, min(_MEASURED, self._x.size)).astype(int))
        group = self._group(evaluator, chosen, steps)
        starts = []
        for k, value in enumerate(memory[0.0].tolist()):
            start = Start(value, noise(partial(both, k), _RESOLUTION), _FIRST_STEP)
            starts.append(_with_steps(start, k, group, self._scales[chosen]) if self._x.size else start)
        return starts

    def _group(self, evaluator: Evaluator, coordinates: NDArray[np.int_], steps: Steps) -> Group:
        factors, memory = self._factors[: len(coordinates)], {}
        origin = self._x.reshape(-1)[coordinates]

        def at(there: Floats) -> Floats:
            x = self._x.copy()
            x.reshape(-1)[coordinates] = there
            return self._at(evaluator, x, steps)

        def along(step: float) -> tuple[list[float], Floats, Floats]:
            if step not in memory:
                shifts = step * factors * self._scales[coordinates]
                above, below = origin + shifts, origin - shifts
                memory[step] = (above - below).tolist(), at(above), at(below)
            return memory[step]

        return Group([self._look(evaluator, int(i), steps) for i in coordinates], along, factors.tolist())

    def _at(self, evaluator: Evaluator, x: Floats, steps: Steps) -> Floats:
        """What f returns at a point that is not x."""
        return self._row(steps(np.full(self._shape, nan), evaluator.at, x))

    def _row(self, values: Any) -> Floats:
        """What f returned, in one row."""
        row: Floats = np.asarray(values)
        require_same_shape(self._shape, row.shape)
        return row.reshape(-1)

    def _look(self, evaluator: Evaluator, i: int, steps: Steps) -> Look:
        """Values of f along a coordinate, each evaluated once."""
        scale, origin = float(self._scales[i]), float(self._x.reshape(-1)[i])
        memory: dict[float, tuple[Floats, float]] = {}

        def look(step: float) -> tuple[Floats, float]:
            if step not in memory:
                undefined = np.full((1, 1, *self._shape), nan)
                values = steps(undefined, evaluator.shifted, i, i + 1, [step * scale])
                memory[step] = self._row(values[0, 0]), (origin + step * scale) - origin
            return memory[step]

        return look


def _with_steps(start: Start, k: int, group: Group, scales: Floats) -> Start:
    """The steps to begin with, found for some coordinates."""
    steps, bars, step = [], [], _FIRST_STEP
    for look, scale in zip(group.looks, scales, strict=True):
        step, bar = _first_step(start, k, look, step)
        steps.append(step)
        bars.append(bar * scale)
        step = min(_FIRST_STEP, 4 * step)
    start = start._replace(step=float(np.median(steps)))
    bar = float(np.median(bars))
    return start._replace(together=group.step(start, k, _WORTH * bar)) if isfinite(bar) else start


def _slope(start: Start, k: int, look: Look, scale: float) -> tuple[float, float]:
    """The slope of one output of f along one coordinate, and its error bar."""
    step = start.step
    for _ in range(_LOOKS):
        if (found := close_look(start, k, look, step)) is not None:
            return found
        step /= _SHRINK
    rough = _rough(look, k, step)
    for factor in _MORE_NOISE:
        slope, _ = Line(_sample(look, k, rough), start.noise.times(factor), start.value).slope()
        if isfinite(slope.error_bar):
            return rough + slope.value / scale, max(slope.error_bar, slope.jump / 2) / scale
    return nan, inf


def _first_step(start: Start, k: int, look: Look, step: float) -> tuple[float, float]:
    """The largest step at which a close look settles, and did at twice the step; and the error bar there.

    Noise matters least at large steps.
    """
    before = None
    for _ in range(_HALVINGS):
        found = close_look(start, k, look, step)
        if found is not None and before is not None and abs(found[0] - before[0]) <= found[1] + before[1]:
            return step, min(found[1], before[1])
        step, before = step / 2, found
    return _FIRST_STEP, inf


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
