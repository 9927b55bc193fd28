"""Steps and orders chosen for each entry, with error bars.

The noise of f, and the steps to begin with, are measured once. Where noise leaves little for extrapolation to win,
entries are measured in groups: two evaluations for each entry, and four for the group. Otherwise, and where truncation
or a kink shows, an entry is measured alone: central differences at three steps and their extrapolations, in six
evaluations. If the estimates do not settle, at smaller steps; and if they do not settle there, with all that `slope.py`
can do. Groups do not depend on who computes them, nor on each other: so neither does the result.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.differentiation.central_difference import CachedSamples, Group, Start, central, slope_of_entry
from secant.differentiation.evaluation import Evaluator, Steps, name_of, require_same_shape
from secant.differentiation.noise import Sample, Sampler, coarse_noise, noise, root_mean_square
from secant.differentiation.slope import Line
from secant.errors import ValueRangeError

_SEED = 0
_RESOLUTION = float(np.finfo(np.float64).eps)
_FIRST_STEP, _HALVINGS = 0.25, 25
_MEASURED = 3  # coordinates that are searched for the steps to begin with
_ASKEW = 0.6180339887498949
"""A factor of all steps: the golden ratio, which fractions of small whole numbers approximate worst. So where x and the
period of f are whole numbers, no step is a multiple of the period."""
_GROUP = 16  # entries of a group, but at most a quarter of all: then workers can share them
_WORTH = 60.0  # times the error bar of an entry alone: where noise / step is smaller, six evaluations are not worth it


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
            i = int(np.argmin(np.isfinite(size)))
            got = f"{float(np.ravel(x)[i])} at {name_of(i, x.shape)}"
            raise ValueRangeError(f"x must be finite for the scheme 'auto' and for error bars, got {got}")
        self._x = np.array(x, order="C")
        self._scales = _ASKEW * np.maximum(size, typical or 1.0)
        self.group = max(1, min(_GROUP, -(-x.size // 4)))
        rng = np.random.default_rng(_SEED)
        self._factors = rng.uniform(2, 3, _GROUP) * rng.choice([-1.0, 1.0], _GROUP)
        self._starts = self._learned(evaluator)

    @np.errstate(all="ignore")  # where values are not finite, slopes are not
    def __call__(self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]) -> Floats:
        """Return slopes and error bars of a range of coordinates, (end - begin, 2, and the shape of what f returns)."""
        results = np.empty((end - begin, 2, len(self._starts)))
        for first in range(begin - begin % self.group, end, self.group):
            coordinates = np.arange(first, min(first + self.group, self._x.size))
            steps = Steps()
            group = self._group(evaluator, coordinates, steps)
            for k, start in enumerate(self._starts):
                together = group.slopes(start, k) if start.group_step else None
                for i in range(max(first, begin), min(first + self.group, end)):
                    results[i - begin, :, k] = (
                        _slope(start, k, group.entries[i - first], self._scales[i])
                        if together is None
                        else together[i - first]
                    )
            done = results[max(first - begin, 0) : first + self.group - begin]
            if steps.error is not None and not (known := np.isfinite(done).all(axis=(1, 2))).all():
                i = max(first, begin) + int(np.argmin(known))
                steps.error.add_note(
                    f"the scheme 'auto' and error bars need f on both sides of {name_of(i, self._x.shape)} = "
                    f"{float(self._x.reshape(-1)[i])!r}: at the end of a domain, take scheme='forward'"
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
        everywhere, steps = np.arange(self._x.size), Steps()
        rng = np.random.default_rng(_SEED)
        factors = rng.uniform(0.5, 1.5, self._x.size) * rng.choice([-1.0, 1.0], self._x.size)
        line = self._along(evaluator, everywhere, steps, factors * self._scales)
        chosen = np.unique(np.linspace(0, self._x.size - 1, min(_MEASURED, self._x.size)).astype(int))
        group = self._group(evaluator, chosen, steps)
        starts = []
        for k, value in enumerate(values.reshape(-1).tolist()):
            sample = _output(line, k)
            start = Start(value, noise(sample, _RESOLUTION), _FIRST_STEP)
            starts.append(self._with_steps(start, k, group, chosen, sample) if self._x.size else start)
        return starts

    def _with_steps(self, start: Start, k: int, group: Group, chosen: NDArray[np.int_], sample: Sampler) -> Start:
        """The steps to begin with; and more noise, if parts of f are rounded more coarsely."""
        found = _with_steps(start, k, group, self._scales[chosen])
        coarse = coarse_noise(sample, start.noise, 2 * found.step)
        if not coarse:
            return found
        start = start._replace(noise=start.noise._replace(near=coarse))
        return _with_steps(start, k, group, self._scales[chosen])

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

        return CachedSamples(shifted, float(self._x.reshape(-1)[i]), float(self._scales[i]))

    def _along(
        self, evaluator: Evaluator, coordinates: NDArray[np.int_], steps: Steps, scales: Floats, factors: Any = 1.0
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


def _output(line: CachedSamples, k: int) -> Sampler:
    """One output of f along a line."""

    def sample(step: float) -> Sample:
        value = float(line(step)[0][k])
        return Sample(value, value)

    return sample


def _with_steps(start: Start, k: int, group: Group, scales: Floats) -> Start:
    """The steps to begin with, found for some coordinates."""
    steps, bars, step = [], [], _FIRST_STEP
    for samples, scale in zip(group.entries, scales, strict=True):
        step, bar = _first_step(start, k, samples, step)
        steps.append(step)
        bars.append(bar * scale)
        step = min(_FIRST_STEP, 4 * step)
    start = start._replace(step=float(np.median(steps)))
    bar = float(np.median(bars))
    return start._replace(group_step=group.step(start, k, _WORTH * bar)) if isfinite(bar) else start


def _first_step(start: Start, k: int, samples: CachedSamples, step: float) -> tuple[float, float]:
    """The largest step at which the slope settles, and did at twice the step; and the error bar there.

    Noise matters least at large steps.
    """
    before = None
    for _ in range(_HALVINGS):
        found = slope_of_entry(start, k, samples, step)
        if found is not None and before is not None:
            (slope, bar), (slope_before, bar_before) = found, before
            if abs(slope - slope_before) <= bar + bar_before:
                return step, min(bar, bar_before)
        step, before = step / 2, found
    return _FIRST_STEP, inf


def _slope(start: Start, k: int, samples: CachedSamples, scale: float) -> tuple[float, float]:
    """The slope of one output of f along one coordinate, and its error bar."""
    step = start.step
    for _ in range(3):
        if (found := slope_of_entry(start, k, samples, step)) is not None:
            return found
        step /= 4
    rough = _rough(start, k, samples, step)
    for more_noise in (1, 8, 64):  # than along the first direction, where nothing settles
        sample = _without_linear_part(samples, k, rough)
        slope, _ = Line(sample, start.noise.times(more_noise), start.value).slope()
        if isfinite(slope.error_bar):
            return rough + slope.value / scale, max(slope.error_bar, slope.jump / 2) / scale
    return nan, inf


def _rough(start: Start, k: int, samples: CachedSamples, step: float) -> float:
    """About the slope: what the rounding of x changes is the slope times that."""
    slope = central(samples, k, step, start.value).slope
    return slope if isfinite(slope) else 0.0


def _without_linear_part(samples: CachedSamples, k: int, slope: float) -> Sampler:
    """One output of f along a coordinate, and that minus a linear part."""

    def sample(step: float) -> Sample:
        values, position = samples(step)
        value = float(values[k])
        return Sample(value, value - slope * (position - samples.origin))

    return sample
