"""Steps and orders chosen for each entry, with error bars.

The noise of f, and the steps to begin with, are measured once. Where noise leaves little for extrapolation to win,
entries are measured in groups: two evaluations for each entry, and four for the group. Otherwise, and where truncation
or a kink shows, an entry is measured alone: central differences at three steps and their extrapolations, in six
evaluations. If the estimates do not settle, from the smallest steps up, as `ladder.py` says. Groups do not depend on
who computes them, nor on each other: so neither does the result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, inf, isfinite, log, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.differentiation.auto.bounded import BoundedEvaluator, one_sided
from secant.differentiation.auto.central_difference import RATIO, CachedSamples, Group, Start, slope_of_entry
from secant.differentiation.auto.ladder import RUNG, climb, refined
from secant.differentiation.evaluators.evaluation import Evaluator, Steps, name_of, require_same_shape
from secant.differentiation.noise import Noise, root_mean_square
from secant.differentiation.schemes import Bounds
from secant.errors import ValueRangeError

_SEED = 0
_LEAST = 1e-12  # scales are no smaller than this, unless x is
_SMALLEST = 2.0**-49  # step, in units of x
_UNKNOWN = Noise(0.0, 0.0)
_MEASURED = 3  # coordinates that are searched for the steps to begin with
_ASKEW = 0.6180339887498949
"""A factor of all steps: the golden ratio, which fractions of small whole numbers approximate worst. So where x and the
period of f are whole numbers, no step is a multiple of the period."""
_CLOSE = 2.0**-30  # of a scale: so far from a bound, steps are one-sided
_ENOUGH = 1e-8  # a relative error bar that is not worth more evaluations near bounds
_GROUP = 16  # entries of a group, but at most a quarter of all: then workers can share them
_WORTH = 10.0  # times the error bar of an entry alone: where noise / step is smaller, six evaluations are not worth it


class Adaptive:
    """Slopes of all coordinates, each with its error bar.

    Attributes
    ----------
    group : int
        A range of coordinates takes the fewest evaluations if it starts and ends at multiples of that.

    ``moved`` is as of `Problem`.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        x: Floats,
        moved: Callable[[int, float], Any] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        size = np.abs(np.array(x, order="C").reshape(-1))
        typical = root_mean_square(size)
        if not isfinite(typical):
            i = int(np.argmin(np.isfinite(size)))
            got = f"{float(np.ravel(x)[i])} at {name_of(i, x.shape)}"
            raise ValueRangeError(f"x must be finite for the scheme 'auto' and for error bars, got {got}")
        self._x, self._moved, self._bounds = np.array(x, order="C"), moved, bounds
        self._known: dict[int, dict[float, tuple[Floats, Any]]] = {}
        self._scales = _ASKEW * np.maximum(size, min(max(typical, _LEAST), 1.0) if typical else 1.0)
        if bounds is not None:
            room = (bounds.upper - bounds.lower).reshape(-1)
            self._scales = np.where(room > 0, np.minimum(self._scales, room), self._scales)
        self.group = max(1, min(_GROUP, -(-x.size // 4)))
        rng = np.random.default_rng(_SEED)
        self._factors = rng.uniform(2, 3, _GROUP) * rng.choice([-1.0, 1.0], _GROUP)
        self._starts = self._learned(evaluator)

    @np.errstate(all="ignore")  # where values are not finite, slopes are not
    def __call__(self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]) -> Floats:
        """Return slopes and error bars of a range of coordinates, (end - begin, 2, and the shape of what f returns)."""
        results, within = np.empty((end - begin, 2, len(self._starts))), self._within(evaluator)
        for first in range(begin - begin % self.group, end, self.group):
            coordinates = np.arange(first, min(first + self.group, self._x.size))
            steps = Steps()
            group = self._group(within, coordinates, steps)
            for k, start in enumerate(self._starts):
                together = group.slopes(start, k) if start.group_step else None
                for i in range(max(first, begin), min(first + self.group, end)):
                    results[i - begin, :, k] = (
                        self._slope(start, k, group.entries[i - first], i)
                        if together is None or i in self._known
                        else together[i - first]
                    )
            done = results[max(first - begin, 0) : first + self.group - begin]
            for i, found in enumerate(done, max(first, begin)):
                self._improve_at_ends(within, i, steps, found)
            if steps.error is not None and not (known := np.isfinite(done).all(axis=(1, 2))).all():
                i = max(first, begin) + int(np.argmin(known))
                steps.error.add_note(
                    f"no slope with an error bar was found at {name_of(i, self._x.shape)} = "
                    f"{float(self._x.reshape(-1)[i])!r}: f is not defined beside it, or its slope is infinite"
                )
                raise steps.error
            tell(min(first + self.group, end) - begin)
        return results.reshape(end - begin, 2, *self._shape)

    @np.errstate(all="ignore")
    def _learned(self, evaluator: Evaluator) -> list[Start]:
        """Measure the noise of each output of f, and find the steps to begin with."""
        values = np.asarray(evaluator.at(self._x))
        self._shape: tuple[int, ...] = values.shape
        if not np.isfinite(values).all():
            value = values[~np.isfinite(values)][0]
            where = np.array2string(self._x, threshold=6)
            raise ValueRangeError(
                f"f must be finite at x for the scheme 'auto' and for error bars, got {value} at x = {where}"
            )
        evaluator, steps = self._within(evaluator), Steps()
        rng = np.random.default_rng(_SEED)
        factors = rng.uniform(0.5, 1.5, self._x.size) * rng.choice([-1.0, 1.0], self._x.size)
        line = self._line(evaluator, steps, factors * self._scales)
        chosen = np.unique(np.linspace(0, self._x.size - 1, min(_MEASURED, self._x.size)).astype(int))
        self._known = {i: {} for i in chosen.tolist()}
        group = self._group(evaluator, chosen, steps)
        starts = [
            self._start(value, k, line, group, chosen) if self._x.size else Start(value, _UNKNOWN)
            for k, value in enumerate(values.reshape(-1).tolist())
        ]
        if steps.error is not None:  # which is to be raised again where it matters
            self._known = {i: {} for i in self._known}
        return starts

    def _start(self, value: float, k: int, line: CachedSamples, group: Group, chosen: NDArray[np.int_]) -> Start:
        """The noise of one output of f, and the steps to begin with."""
        noise = _UNKNOWN
        if self._x.size > len(chosen):  # else each entry tells its noise
            noise = climb(line, k, value, self._numbers(None), _UNKNOWN, 4 * _SMALLEST).noise
        climbs = [
            climb(samples, k, value, self._numbers(i), noise)
            for i, samples in zip(chosen.tolist(), group.entries, strict=True)
        ]
        start = Start(value, Noise(*np.max([found.noise for found in climbs], axis=0).tolist()))
        best = [
            refined(start, k, samples, found, self._numbers(i))
            for i, samples, found in zip(chosen.tolist(), group.entries, climbs, strict=True)
        ]
        start = start._replace(rung=sorted(number for number, *_ in best)[len(best) // 2])
        bar = float(np.median([bar * self._scales[i] for (*_, bar), i in zip(best, chosen, strict=True)]))
        if self._x.size == len(chosen) or not isfinite(bar):
            return start
        return start._replace(group_step=group.step(start, k, _WORTH * bar))

    def _numbers(self, i: int | None) -> range:
        """The rungs of an entry, or of all of them: from a few units in the last place of x to about x, or 1."""
        below = above = 0.0
        if i is not None:
            size, scale = abs(float(self._x.reshape(-1)[i])), self._scales[i] / _ASKEW
            below, above = log(scale / max(size, _SMALLEST * scale)) if size else 0.0, log(max(size, 1.0) / scale)
        rung = RUNG * log(RATIO)
        return range(RUNG * int((below - log(_SMALLEST)) / rung - 1), -RUNG * ceil(above / rung) - 1, -RUNG)

    def _slope(self, start: Start, k: int, samples: CachedSamples, i: int) -> tuple[float, float]:
        """The slope of one output of f along one coordinate, and its error bar."""
        if i not in self._known:
            for smaller in (0, 2, 4):
                if (found := slope_of_entry(start, k, samples, start.rung + smaller)) is not None:
                    return found
        numbers = self._numbers(i)
        _, slope, bar = refined(start, k, samples, climb(samples, k, start.value, numbers, start.noise), numbers)
        return (slope, bar) if isfinite(bar) else (nan, inf)

    def _improve_at_ends(self, evaluator: Evaluator, i: int, steps: Steps, found: Floats) -> None:
        """Take one-sided differences where bounds, or the end of the domain of f, leave no others."""
        scale, at, room = float(self._scales[i]), float(self._x.reshape(-1)[i]), 0.0
        known = np.isfinite(found[1])
        if self._bounds is not None:
            room = min(at - float(self._bounds.lower.reshape(-1)[i]), float(self._bounds.upper.reshape(-1)[i]) - at)
            if room <= _CLOSE * scale:
                known = found[1] <= _ENOUGH * np.abs(found[0])
        samples = self._entry(evaluator, i, steps)
        for k in np.flatnonzero(~known).tolist():
            slope, bar = one_sided(samples, k, self._starts[k].value, scale, room if isfinite(room) else 0.0)
            if bar < found[1, k] or not isfinite(found[1, k]):
                found[:, k] = slope, bar

    def _within(self, evaluator: Evaluator) -> Evaluator:
        """The same, for steps that may leave the bounds."""
        if self._bounds is None:
            return evaluator
        return BoundedEvaluator(evaluator, self._x, self._bounds, self._shape)

    def _group(self, evaluator: Evaluator, coordinates: NDArray[np.int_], steps: Steps) -> Group:
        factors = self._factors[: len(coordinates)]
        return Group(
            [self._entry(evaluator, i, steps) for i in coordinates.tolist()],
            self._along(evaluator, coordinates, steps, self._scales[coordinates], factors),
        )

    def _entry(self, evaluator: Evaluator, i: int, steps: Steps) -> CachedSamples:
        """Samples of f where one coordinate is shifted."""

        def shifted(shift: float) -> Floats:
            undefined = np.full((1, 1, *self._shape), nan)
            return self._row(steps(undefined, evaluator.shifted, i, i + 1, [shift])[0, 0])

        known = self._known.get(i)
        moved = None if self._moved is None else partial(self._moved, i)
        return CachedSamples(shifted, float(self._x.reshape(-1)[i]), float(self._scales[i]), 1.0, known, moved)

    def _line(self, evaluator: Evaluator, steps: Steps, direction: Floats) -> CachedSamples:
        """Samples of f along a direction, at points on both sides of x that rounding leaves at the same distance."""
        origin = self._x.reshape(-1)

        def shifted(step: float) -> Floats:
            shifts = step * direction
            unit = np.spacing(np.abs(origin) + np.abs(shifts))
            x = self._x.copy()
            x.reshape(-1)[:] = origin + np.rint(shifts / unit) * unit
            return self._row(steps(np.full(self._shape, nan), evaluator.at, x))

        return CachedSamples(shifted, 0.0, 1.0)

    def _along(
        self, evaluator: Evaluator, coordinates: NDArray[np.int_], steps: Steps, scales: Floats, factors: Any
    ) -> CachedSamples:
        """Samples of f where several coordinates are shifted at once."""
        origin = self._x.reshape(-1)[coordinates]

        def shifted(shifts: Floats) -> Floats:
            x = self._x.copy()
            x.reshape(-1)[coordinates] = origin + shifts
            return self._row(steps(np.full(self._shape, nan), evaluator.at, x))

        return CachedSamples(shifted, origin, scales, factors)

    def _row(self, values: Any) -> Floats:
        """What f returned, in one row."""
        row: Floats = np.asarray(values)
        require_same_shape(self._shape, row.shape)
        return row.reshape(-1)
