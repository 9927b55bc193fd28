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
    Evaluator,
    Steps,
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
from secant.differentiation.result import KINK, NOISY, ONE_SIDED, small_for
from secant.differentiation.schemes import Bounds
from secant.differentiation.slopes import (
    ENOUGH,
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
    ) -> Floats:
        """Return slopes of a range of coordinates, their error bars, and the kinds of
        their points: (end - begin, 3, and the shape of what f returns).
        """
        results = np.empty((end - begin, 3, len(self._value)))
        for first in range(begin, end, _TOGETHER):
            part, steps = range(first, min(first + _TOGETHER, end)), Steps()
            found = results[part.start - begin : part.stop - begin]
            found[...] = [self._learned.get(i, self._unknown) for i in part]
            entries = [self._entry(evaluator, i, steps) for i in part]
            self._at_three_steps(evaluator, entries, part, found)
            for i, entry, slopes in zip(part, entries, found, strict=True):
                self._improve(entry, i, slopes)
            if (
                steps.error is not None
                and not (known := np.isfinite(found).all(axis=(1, 2))).all()
            ):
                i = part.start + int(np.argmin(known))
                steps.error.add_note(
                    "no slope with an error bar was found at"
                    f" {evaluator.place(i, 0.0)}: f is not defined beside it, or its"
                    " slope is infinite"
                )
                raise steps.error
            tell(part.stop - begin)
        return results.reshape(end - begin, 3, *self._shape)

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
        count, steps, rng = len(self._value), Steps(), np.random.default_rng(SEED)
        zeros = np.zeros(count)
        noise = self._noise = Levels(zeros + least, zeros, zeros)
        self._smallest_of_three = zeros + nan
        self._change = zeros
        factors = rng.uniform(0.5, 1.5, self._flat.size) * rng.choice(
            [-1.0, 1.0], self._flat.size
        )
        chosen = _spread(self._flat.size, _MEASURED).tolist()
        self._evaluated = {i: {} for i in chosen}
        self._learned: dict[int, Floats] = {}
        self._unknown = np.full((3, count), nan)
        self._unknown[2] = NOISY
        if not chosen or not count:
            return
        if self._flat.size > len(chosen):  # else each entry tells its noise
            line = self._line(evaluator, steps, factors * self._scales)
            noise = Levels(
                *map(
                    np.maximum,
                    noise,
                    walked(line, rungs_of(1.0, 1.0), RESOLUTION).noise,
                )
            )
            self._change = line.change()
        entries = [self._entry(evaluator, i, steps) for i in chosen]
        walks = [
            walked(entry, _usual_rungs(self._numbers(i)))
            for i, entry in zip(chosen, entries, strict=True)
        ]
        self._reach = {i: each.reach for i, each in zip(chosen, entries, strict=True)}
        self._change = np.max(
            [self._change, *(each.change() for each in entries)], axis=0
        )
        near, share, _ = (
            np.max(each, axis=0)
            for each in zip(noise, *(walk.noise for walk in walks), strict=True)
        )
        # what is noise of slopes is that of each entry
        self._noise = Levels(near, share, zeros)
        outputs = _spread(count, _OUTPUTS)
        numbers = np.empty((len(chosen), len(outputs)))
        for k, (i, entry, walk) in enumerate(zip(chosen, entries, walks, strict=True)):
            found, largest = self._alone(
                entry.of(outputs),
                self._numbers(i),
                self._noise.of(outputs),
                walk.of(outputs),
            )
            self._learned[i] = self._unknown.copy()
            self._learned[i][:, outputs] = found
            best = self._best_of_three(entry, i, largest, outputs)
            numbers[k] = np.where(np.isfinite(found[1]), best, nan)
        # f may jump between the steps of others, too
        is_in_doubt = np.any([walk.doubt > 0 for walk in walks], axis=0)
        middle = np.isfinite(numbers).sum(axis=0) // 2
        usual = np.sort(numbers, axis=0)[middle, np.arange(len(outputs))]
        number = np.full(count, np.sort(usual)[np.isfinite(usual).sum() // 2])
        number[outputs] = usual
        self._smallest_of_three = np.where(is_in_doubt, nan, number)
        # f raised: what it is asked again is raised where no slope is found
        if steps.error is not None:
            self._evaluated = {i: {} for i in self._evaluated}

    def _best_of_three(self, entry: Samples, i: int, largest: Any, outputs: Any) -> Any:
        """For some outputs three steps in a row with the least error bar, as the number
        of the smallest.

        ``largest`` is the number of the largest step that the slope of the entry
        depends on: no step is larger.
        """
        rungs = self._numbers(i)
        numbers = [
            k for k in range(rungs[0], rungs[-1] - 1, -1) if step_of(k) in entry.known
        ]
        each = entry.differences([step_of(k) for k in numbers], outputs)
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
        self, evaluator: Evaluator, entries: list[Samples], part: range, found: Floats
    ) -> None:
        """Slopes from three pairs, at the step that was learned or smaller ones, where
        these settle.
        """
        learned = self._smallest_of_three
        for smallest in np.unique(learned[np.isfinite(learned)]).tolist():
            outputs = np.flatnonzero(learned == smallest)
            for smaller in (0, 2, 4):
                steps = [step_of(smallest + smaller - k) for k in range(3)]
                is_left = np.isnan(found[:, 1, outputs])
                left = np.flatnonzero(is_left.any(axis=1)).tolist()
                if not left:
                    break
                self._evaluate_together(
                    evaluator, [(part[j], entries[j]) for j in left], steps
                )
                there = differences_of([entries[j] for j in left], steps, outputs)
                slopes, bars = self._of_three(there, np.array(part)[left], outputs)
                for j, *here in zip(left, slopes, bars, strict=True):
                    found[j][:2, outputs] = np.where(
                        is_left[j] & np.isfinite(here[1]), here, found[j][:2, outputs]
                    )

    def _of_three(
        self, there: Differences, entries: Any, outputs: Any
    ) -> tuple[Floats, Floats]:
        """Slopes (entries, outputs) at three steps, and error bars: NaN where noise
        does not explain how they differ.

        Where slopes agree by chance, since there is more noise than was seen, second
        derivatives hardly do.
        """
        value, units = self._value[outputs], self._units[entries, np.newaxis]
        noise = self._noise.of(outputs).with_x_rounded(units, there.slope[-1])
        level = noise.at(np.maximum(np.abs(value), there.size.max(axis=0)))
        width, bend = there.width, there.bend
        of_slopes = level / width + noise_of_squares(
            value, there, self._scales[entries, np.newaxis]
        )
        pairs = extrapolated(width, there.slope, of_slopes, columns=2).value
        curvatures = extrapolated(
            width, bend / width, level / width**2, columns=2
        ).value
        square = (width[1] / width[0]) ** 2
        noise_of_pair = (square * of_slopes[0] + of_slopes[1]) / (square - 1)
        explained = np.abs(pairs[1] - pairs[2]) <= 4 * noise_of_pair
        explained &= np.abs(curvatures[1] - curvatures[2]) <= 8 * level / width[0] ** 2
        # 1 at a kink, else 1 / 1.9
        explained &= np.abs(bend[0]) <= 0.75 * np.abs(bend[1]) + 4 * level / width[0]
        slopes, bars = (
            each[-1] for each in extrapolated(width, there.slope, of_slopes)
        )
        # larger steps than its own may be better
        is_small = (self._scales < self._usual)[entries]
        explained &= ~is_small[:, np.newaxis] | (bars < ENOUGH * np.abs(slopes))
        return slopes, np.where(explained, bars, nan)

    def _improve(self, entry: Samples, i: int, found: Floats) -> None:
        """Climb where the slope of an entry is not known yet; and take one-sided
        differences at the end of a domain.
        """
        numbers = self._numbers(i)
        if len(outputs := np.flatnonzero(np.isnan(found[1]))):
            found[:, outputs] = self._alone(
                entry.of(outputs), numbers, self._noise.of(outputs)
            )[0]
        room = min(self._flat[i] - self._lower[i], self._upper[i] - self._flat[i])
        is_known = np.isfinite(found[1])
        if room <= _CLOSE * self._scales[i]:
            is_known = found[1] <= ENOUGH * np.abs(found[0])
        if len(outputs := np.flatnonzero(~is_known)):
            slope, bar = one_sided(
                entry.of(outputs),
                numbers,
                self._noise.of(outputs),
                room if isfinite(room) else 0.0,
            )
            better = (bar < found[1, outputs]) | ~np.isfinite(found[1, outputs])
            kind = np.full(len(outputs), float(ONE_SIDED))
            found[:, outputs] = np.where(better, (slope, bar, kind), found[:, outputs])

    def _alone(
        self, entry: Samples, numbers: range, noise: Levels, walk: Walk | None = None
    ) -> tuple[Floats, Any]:
        """Slopes of an entry from the smallest steps up, their error bars and kinds,
        (3, outputs); and the numbers of their largest steps.

        Steps beyond a tenth of the entry's size are taken only where noise asks for
        them.
        """
        within = _usual_rungs(numbers)
        slopes, bars, largest, doubt = refined(
            entry, climb(entry, within, noise, walk or walked(entry, within)), within
        )
        if within != numbers and not (bars < ENOUGH * np.abs(slopes)).all():
            slopes, bars, largest, doubt = refined(
                entry, climb(entry, numbers, noise, walked(entry, numbers)), numbers
            )
        is_known = np.isfinite(bars)
        found = np.stack(
            [
                np.where(is_known, slopes, nan),
                np.where(is_known, bars, inf),
                np.where(doubt > 0, KINK, NOISY),
            ]
        )
        return found, largest

    def _evaluate_together(
        self,
        evaluator: Evaluator,
        entries: list[tuple[int, Samples]],
        steps: list[float],
    ) -> None:
        """Evaluate f at steps of entries that follow each other, in one call; not where
        it may leave its domain.
        """
        missing = [
            (i, entry)
            for i, entry in entries
            if any(step not in entry.known for step in steps)
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
        for j, (_, entry) in enumerate(missing):
            for k, step in enumerate(steps):
                for side, sign in enumerate((1, -1)):
                    entry.known[sign * step] = Sample(
                        values[j, 2 * k + side], float(moved[j, 2 * k + side])
                    )

    def _entry(self, evaluator: Evaluator, i: int, steps: Steps) -> Samples:
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
            return Sample(
                self._row(steps(undefined, evaluator.shifted, i, i + 1, [shift])[0, 0]),
                moved,
            )

        return Samples(
            evaluate,
            self._value,
            self._evaluated.get(i),
            unit=float(self._units[i]),
            reach=self._reach.get(i),
        )

    def _line(self, evaluator: Evaluator, steps: Steps, direction: Floats) -> Samples:
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
            return Sample(
                self._row(steps(undefined, evaluator.at, point.reshape(self._x.shape))),
                step,
            )

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
