"""The scheme "auto" for all coordinates of x: what is measured once, and what of each.

The noise of f is measured once, along a direction and three coordinates; those also
tell which steps suit f. Then each coordinate is tried with three pairs at these steps,
in six evaluations: noise has to explain what they differ by. If it does not, smaller
steps are tried, twice; then the coordinate climbs from the smallest steps up, as
`slopes.py` says, in about 40. Coordinates do not depend on each other: so the result is
the same whoever computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.evaluators.evaluation import (
    Attempts,
    Evaluator,
    name_of,
    require_same_shape,
)
from secant.differentiation.lines import (
    RESOLUTION,
    SEED,
    Differences,
    Sample,
    Samples,
    differences_of,
    rungs_of,
    scales_of,
    step_of,
)
from secant.differentiation.noise import Levels, Walk, noise_of_squares, walked
from secant.differentiation.result import KINK, NOISY, small_for
from secant.differentiation.schemes import Bounds
from secant.differentiation.slopes import (
    ENOUGH,
    Slopes,
    climb,
    extrapolated,
    one_sided,
    refined,
)
from secant.errors import DTypeError, SecantError, ValueRangeError

_MEASURED = 3  # coordinates that are searched for the steps to begin with
_OUTPUTS = 100  # of each of these, at most: the others begin with the same steps
# of a scale: so near a bound, one-sided steps may be better; half of `slopes._NEAREST`
_CLOSE = 2.0**-30
_SURE = 4.0  # noises: what differs by more is no noise
_FALLS = 0.75  # of it: second differences over h at the next smaller step of smooth f
_TOGETHER = 16  # coordinates whose points are evaluated in one call


class Adaptive:
    """Slopes of all coordinates, each with its error bar.

    ``columns`` and ``noise`` are as of `Problem`.
    """

    @np.errstate(all="ignore")  # also in the user's np.seterr(all="raise")
    def __init__(
        self,
        evaluator: Evaluator,
        x: Floats,
        columns: Any = None,
        bounds: Bounds | None = None,
        noise: float = 0.0,
    ) -> None:
        self._x, self._columns = np.array(x, order="C"), columns
        self._flat = self._x.reshape(-1)
        if not np.isfinite(self._flat).all():
            i = int(np.argmin(np.isfinite(self._flat)))
            got = f"{float(self._flat[i])} at {name_of(i, x.shape)}"
            raise ValueRangeError(
                f"x must be finite for the scheme 'auto' and for error bars, got {got}"
            )
        limits = (
            (np.full(x.shape, -inf), np.full(x.shape, inf))
            if bounds is None
            else bounds
        )
        self._lower, self._upper = (
            np.array(each, order="C").reshape(-1) for each in limits
        )
        scales, self._usual = scales_of(self._flat)
        # Half a unit in the last place of x: f may round what it computes of x as much.
        self._units = (
            np.full(x.size, columns.resolution)
            if columns
            else np.spacing(np.abs(self._flat)) / 2
        )
        room = self._upper - self._lower
        self._scales = np.where(room > 0, np.minimum(scales, room), scales)
        self._evaluated: dict[int, dict[float, Sample]] = {}
        self._reach: dict[int, Floats] = {}
        self._learn(evaluator, noise)

    @np.errstate(all="ignore")  # where values are not finite, slopes are not
    def __call__(
        self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]
    ) -> Slopes:
        """Return slopes of a range of coordinates: (end - begin, and the shape of what
        f returns).
        """
        found = Slopes.unknown(end - begin, len(self._value))
        for first in range(begin, end, _TOGETHER):
            coordinates = range(first, min(first + _TOGETHER, end))
            rows = slice(first - begin, coordinates.stop - begin)
            attempts = Attempts()
            self._find(evaluator, coordinates, found.of(rows), attempts)
            is_known = found.of(rows).is_finite().all(axis=1)
            if attempts.error is not None and not is_known.all():
                i = first + int(np.argmin(is_known))
                attempts.error.add_note(
                    "no slope with an error bar was found at"
                    f" {evaluator.place(i, 0.0)}: f is not defined beside it, or its"
                    " slope is infinite"
                )
                raise attempts.error
            tell(coordinates.stop - begin)
        return Slopes(*(part.reshape(-1, *self._shape) for part in found))

    def _find(
        self,
        evaluator: Evaluator,
        coordinates: range,
        found: Slopes,
        attempts: Attempts,
    ) -> None:
        """Find the slopes of coordinates: (coordinates, outputs)."""
        for row, i in enumerate(coordinates):
            if i in self._learned:
                found.put(row, self._learned[i])
        lines = [self._line_of(evaluator, i, attempts) for i in coordinates]
        self._at_three_steps(evaluator, lines, coordinates, found)
        for row, (i, line) in enumerate(zip(coordinates, lines, strict=True)):
            self._improve(line, i, found.of(row))

    def small(self, begin: int, end: int) -> Floats:
        """Error bars that are small, for a range of coordinates."""
        scales = self._scales[begin:end, np.newaxis]
        small = np.asarray(small_for(self._value, self._change, scales))
        return small.reshape(end - begin, *self._shape)

    @np.errstate(all="ignore")
    def _learn(self, evaluator: Evaluator, least: float) -> None:
        """Measure the noise of each output of f, which is at least ``least``, and find
        the steps to begin with.

        ``_smallest_of_three`` holds the number of the smallest of three steps, for each
        output; NaN if there is none. ``_change``: the most each output changed.
        """
        values = np.asarray(evaluator.at(self._x))
        self._shape, self._value = values.shape, values.reshape(-1).astype(np.float64)
        if not np.isfinite(values).all():
            value = values[~np.isfinite(values)][0]
            where = np.array2string(self._x, threshold=6)
            raise ValueRangeError(
                "f must be finite at x for the scheme 'auto' and for error bars, got"
                f" {value} at x = {where}"
            )
        count, attempts = len(self._value), Attempts()
        rng = np.random.default_rng(SEED)
        zeros = np.zeros(count)
        noise = self._noise = Levels(zeros + least, zeros, zeros)
        self._smallest_of_three = zeros + nan
        self._change = zeros
        factors = rng.uniform(0.5, 1.5, self._flat.size) * rng.choice(
            [-1.0, 1.0], self._flat.size
        )
        chosen = _spread(self._flat.size, _MEASURED).tolist()
        self._evaluated = {i: {} for i in chosen}
        self._learned: dict[int, Slopes] = {}
        if not chosen or not count:
            return
        if self._flat.size > len(chosen):  # else each line tells its noise
            line = self._line_along(factors * self._scales, evaluator, attempts)
            noise = Levels(
                *map(
                    np.maximum,
                    noise,
                    walked(line, rungs_of(1.0, 1.0), RESOLUTION).noise,
                )
            )
            self._change = line.change()
        lines = [self._line_of(evaluator, i, attempts) for i in chosen]
        walks = [
            walked(line, _usual_rungs(self._numbers(i)))
            for i, line in zip(chosen, lines, strict=True)
        ]
        self._reach = {i: line.reach for i, line in zip(chosen, lines, strict=True)}
        self._change = np.max(
            [self._change, *(line.change() for line in lines)], axis=0
        )
        near, share, _ = (
            np.max(each, axis=0)
            for each in zip(noise, *(walk.noise for walk in walks), strict=True)
        )
        # the noise of slopes is that of each line
        self._noise = Levels(near, share, zeros)
        outputs = _spread(count, _OUTPUTS)
        numbers = np.empty((len(chosen), len(outputs)))
        for k, (i, line, walk) in enumerate(zip(chosen, lines, walks, strict=True)):
            found, largest = self._alone(
                line.of(outputs),
                self._numbers(i),
                self._noise.of(outputs),
                walk.of(outputs),
            )
            self._learned[i] = Slopes.unknown(count)
            self._learned[i].put(outputs, found)
            best = self._best_of_three(line, i, largest, outputs)
            numbers[k] = np.where(np.isfinite(found.bar), best, nan)
        # f may jump between the steps of others, too
        may_jump = np.any([walk.jump_error > 0 for walk in walks], axis=0)
        middle = np.isfinite(numbers).sum(axis=0) // 2
        usual = np.sort(numbers, axis=0)[middle, np.arange(len(outputs))]
        number = np.full(count, np.sort(usual)[np.isfinite(usual).sum() // 2])
        number[outputs] = usual
        self._smallest_of_three = np.where(may_jump, nan, number)
        # f raised: what it is asked again is raised where no slope is found
        if attempts.error is not None:
            self._evaluated = {i: {} for i in self._evaluated}

    def _best_of_three(self, line: Samples, i: int, largest: Any, outputs: Any) -> Any:
        """For some outputs three steps in a row with the least error bar, as the number
        of the smallest.

        ``largest`` is the number of the largest step that the slope depends on: no step
        is larger.
        """
        rungs = self._numbers(i)
        numbers = [
            k for k in range(rungs[0], rungs[-1] - 1, -1) if step_of(k) in line.known
        ]
        each = line.differences([step_of(k) for k in numbers], outputs)
        follow = np.array(
            [j for j in range(len(numbers) - 2) if numbers[j] == numbers[j + 2] + 2],
            int,
        )
        default = largest + 2 + largest % 2  # even, so that outputs share steps
        if not len(follow):
            return default
        there = Differences(
            *(np.stack([field[follow + k] for k in range(3)]) for field in each)
        )
        bars = self._of_three(there, np.full(len(follow), i), outputs)[1]
        is_within = np.array(numbers)[follow + 2, np.newaxis] >= largest
        bars = np.where(np.isfinite(bars) & is_within, bars, inf)
        even = -2 * (-np.array(numbers)[follow] // 2)  # rounded up
        return np.where(
            np.isfinite(np.min(bars, axis=0)), even[np.argmin(bars, axis=0)], default
        )

    def _numbers(self, i: int) -> range:
        return rungs_of(abs(float(self._flat[i])), float(self._scales[i]))

    def _at_three_steps(
        self,
        evaluator: Evaluator,
        lines: list[Samples],
        coordinates: range,
        found: Slopes,
    ) -> None:
        """Slopes from three pairs, at the step that was learned or smaller ones, where
        these settle.
        """
        learned = self._smallest_of_three
        for smallest in np.unique(learned[np.isfinite(learned)]).tolist():
            outputs = np.flatnonzero(learned == smallest)
            for smaller in (0, 2, 4):
                steps = [step_of(smallest + smaller - k) for k in range(3)]
                is_left = np.isnan(found.bar[:, outputs])
                rows = np.flatnonzero(is_left.any(axis=1))
                if not len(rows):
                    break
                left = [lines[row] for row in rows]
                numbers = np.array(coordinates)[rows]
                self._evaluate_together(evaluator, numbers.tolist(), left, steps)
                there = differences_of(left, steps, outputs)
                slope, bar = self._of_three(there, numbers, outputs)
                settles = is_left[rows] & np.isfinite(bar)
                found.put(np.ix_(rows, outputs), Slopes(slope, bar, NOISY), settles)

    def _of_three(
        self, there: Differences, coordinates: Any, outputs: Any
    ) -> tuple[Floats, Floats]:
        """Slopes (coordinates, outputs) at three steps, and error bars: NaN where noise
        does not explain how they differ.

        Where slopes agree by chance, since there is more noise than was seen, second
        derivatives hardly do.
        """
        value, units = self._value[outputs], self._units[coordinates, np.newaxis]
        noise = self._noise.of(outputs).with_x_rounded(units, there.slope[-1])
        level = noise.at(np.maximum(np.abs(value), there.size.max(axis=0)))
        width, bend = there.width, there.bend
        of_slopes = level / width + noise_of_squares(
            value, there, self._scales[coordinates, np.newaxis]
        )
        pairs = extrapolated(width, there.slope, of_slopes, columns=2).value
        curvatures = extrapolated(
            width, bend / width, level / width**2, columns=2
        ).value
        square = (width[1] / width[0]) ** 2
        noise_of_pair = (square * of_slopes[0] + of_slopes[1]) / (square - 1)
        explained = np.abs(pairs[1] - pairs[2]) <= _SURE * noise_of_pair
        noise_of_curvatures = 2 * level / width[0] ** 2
        explained &= (
            np.abs(curvatures[1] - curvatures[2]) <= _SURE * noise_of_curvatures
        )
        # no kink: there second differences over h stay, else they fall as 1 / 1.9
        noise_of_bend = level / width[0]
        explained &= np.abs(bend[0]) <= _FALLS * np.abs(bend[1]) + _SURE * noise_of_bend
        slopes, bars = (
            each[-1] for each in extrapolated(width, there.slope, of_slopes)
        )
        # larger steps than its own may be better
        is_small = (self._scales < self._usual)[coordinates]
        explained &= ~is_small[:, np.newaxis] | (bars < ENOUGH * np.abs(slopes))
        return slopes, np.where(explained, bars, nan)

    def _improve(self, line: Samples, i: int, found: Slopes) -> None:
        """Climb where the slope of a coordinate is not known yet; and take one-sided
        differences at the end of a domain.
        """
        numbers = self._numbers(i)
        outputs = np.flatnonzero(np.isnan(found.bar))
        if len(outputs):
            noise = self._noise.of(outputs)
            found.put(outputs, self._alone(line.of(outputs), numbers, noise)[0])

        room = min(self._flat[i] - self._lower[i], self._upper[i] - self._flat[i])
        is_known = np.isfinite(found.bar)
        if room <= _CLOSE * self._scales[i]:
            is_known = found.bar <= ENOUGH * np.abs(found.slope)
        outputs = np.flatnonzero(~is_known)
        if len(outputs):
            noise = self._noise.of(outputs)
            to_bound = room if isfinite(room) else 0.0
            sided = one_sided(line.of(outputs), numbers, noise, to_bound)
            before = found.bar[outputs]
            found.put(outputs, sided, (sided.bar < before) | ~np.isfinite(before))

    def _alone(
        self, line: Samples, numbers: range, noise: Levels, walk: Walk | None = None
    ) -> tuple[Slopes, Any]:
        """Slopes along a line from the smallest steps up; and the numbers of their
        largest steps.

        Steps beyond a tenth of the size of x are taken only where noise asks for them.
        """
        usual = _usual_rungs(numbers)
        start = climb(line, usual, noise, walk or walked(line, usual))
        best = refined(line, start, usual)
        is_enough = best.bar < ENOUGH * np.abs(best.value)
        if usual != numbers and not is_enough.all():
            start = climb(line, numbers, noise, walked(line, numbers))
            best = refined(line, start, numbers)
        is_known = np.isfinite(best.bar)
        found = Slopes(
            np.where(is_known, best.value, nan),
            np.where(is_known, best.bar, inf),
            np.where(best.jump_error > 0, KINK, NOISY),
        )
        return found, best.number

    def _evaluate_together(
        self,
        evaluator: Evaluator,
        coordinates: list[int],
        lines: list[Samples],
        steps: list[float],
    ) -> None:
        """Evaluate f at steps of coordinates that follow each other, in one call; not
        where it may leave its domain.
        """
        missing = [
            (i, line)
            for i, line in zip(coordinates, lines, strict=True)
            if any(step not in line.known for step in steps)
        ]
        if not missing or self._columns is not None:
            return
        first, last = missing[0][0], missing[-1][0] + 1
        if last - first != len(missing):
            return
        shifts = np.array(
            [
                [sign * step * self._scales[i] for step in steps for sign in (1, -1)]
                for i, _ in missing
            ]
        )
        points = self._flat[first:last, None] + shifts
        if (
            (points < self._lower[first:last, None])
            | (points > self._upper[first:last, None])
        ).any():
            return
        try:
            values = evaluator.shifted(first, last, shifts)
        except Exception as error:
            if isinstance(error, SecantError) and not isinstance(error, DTypeError):
                raise
            return
        values = values.reshape(len(missing), 2 * len(steps), -1)
        moved = points - self._flat[first:last, None]
        for j, (_, line) in enumerate(missing):
            for k, step in enumerate(steps):
                for side, sign in enumerate((1, -1)):
                    line.known[sign * step] = Sample(
                        values[j, 2 * k + side], float(moved[j, 2 * k + side])
                    )

    def _line_of(self, evaluator: Evaluator, i: int, attempts: Attempts) -> Samples:
        """Samples of f where one coordinate is shifted."""
        origin, scale = float(self._flat[i]), float(self._scales[i])

        def evaluate(step: float) -> Sample:
            shift = step * scale
            moved: Any = (origin + shift) - origin
            if self._columns is not None:
                moved = np.resize(self._columns.moved(i, shift), len(self._value))
            if not self._lower[i] <= origin + shift <= self._upper[i]:
                return Sample(np.full(len(self._value), nan), moved)
            undefined = np.full((1, 1, *self._shape), nan)
            values = attempts(undefined, evaluator.shifted, i, i + 1, [shift])
            return Sample(self._row(values[0, 0]), moved)

        return Samples(
            evaluate,
            self._value,
            self._evaluated.get(i),
            unit=float(self._units[i]),
            reach=self._reach.get(i),
        )

    def _line_along(
        self, direction: Floats, evaluator: Evaluator, attempts: Attempts
    ) -> Samples:
        """Samples of f along a direction, at points on both sides of x that rounding
        leaves at the same distance.
        """

        def at(step: float) -> Sample:
            shifts = abs(step) * direction
            unit = np.spacing(np.abs(self._flat) + np.abs(shifts))
            shifts = np.copysign(1.0, step) * np.rint(shifts / unit) * unit
            point = self._flat + shifts
            if ((point < self._lower) | (point > self._upper)).any():
                return Sample(np.full(len(self._value), nan), step)
            undefined = np.full(self._shape, nan)
            values = attempts(undefined, evaluator.at, point.reshape(self._x.shape))
            return Sample(self._row(values), step)

        return Samples(at, self._value)

    def _row(self, values: Any) -> Floats:
        """What f returned, in one row."""
        row = np.asarray(values)
        require_same_shape(self._shape, row.shape)
        return row.reshape(-1)


def _spread(size: int, count: int) -> Any:
    """The indices of at most so many of an array, evenly spread."""
    return np.unique(np.linspace(0, size - 1, min(count, size)).astype(int))


def _usual_rungs(numbers: range) -> range:
    """The rungs of steps that are usual for the size of the entry."""
    return range(numbers[0], max(numbers[-1], 0) - 1, numbers.step)
