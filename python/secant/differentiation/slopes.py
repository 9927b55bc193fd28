"""Slopes with error bars: the engine of the scheme "auto".

A slope is found in three rooms: `lines.py` evaluates f along a line and takes
differences, `noise.py` finds the noise of f, and this one finds the step that suits.

1. **Differences.** A pair of points yields the central difference, which is the slope
   up to even powers of h, and the second difference over h, which is h f'' where f is
   smooth and the jump of the slope where x is on a kink.
2. **Noise.** It is what scatters without growing from rung to rung: every fourth step,
   from some twenty units in the last place of x up, is a rung.
3. **Climb.** The interval of a rung is its slope, extrapolated once with that of the
   next larger rung, +- three times the noise of it, which falls as 1 / h. Take the
   largest rung whose interval meets those of all smaller rungs (Lepski, "On a problem
   of adaptive estimation in Gaussian white noise", 1990). So no step is believed that
   smaller ones deny, and what oscillates is not taken for smooth.
4. **Table.** From two steps below that rung up, slopes at neighboring steps are
   extrapolated to h = 0 (Richardson; Neville's scheme) in windows of two to five steps.
   The error bar of a window is four times what leaving out its first or last step
   changes, and the noise that it amplifies. Again a step counts only while its interval
   meets those of all smaller steps. Of these the window with the least bar is the
   result. Its bar is tripled, since the best of many may be best by luck, and is no
   less than four times the change from the window of the next smaller step.
5. **Curvature.** Nor may second derivatives be denied by smaller steps: where f is
   nearly even about x, slopes alone do not show that a step is too large. The same
   table is that of the second derivatives of a Hessian.
6. **Kinks.** A second difference over h that stays as h falls is a jump of the slope at
   x: half of it is added to the error bar. If it stays when extrapolated to h = 0, too,
   where curvature cannot hide it, all of it is added.

What is found has a kind, which its clients read:

========= =========================== ============================ ====================
kind      what x is                   its slope                    decided in
========= =========================== ============================ ====================
NOISY     any other point             from both sides              `Slopes.unknown`
KINK      f or its slope jumps at x   that across; the bar has     `climb`, `refined`:
          or near it                  half of the jump, or all     ``jump_error``
ONE_SIDED f is defined on one side    that of this side            `one_sided`
========= =========================== ============================ ====================

========= =========================== ============================ ====================
kind      gradient, Jacobian          Hessian                      check
========= =========================== ============================ ====================
NOISY     slope and bar               entry and bar                error beside the bar
KINK      slope and bar               NaN on the diagonal          not verified, if the
                                                                   jump may explain it
ONE_SIDED slope and bar               the error of f, or NaN       error beside the bar
========= =========================== ============================ ====================
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.lines import (
    RUNG,
    Differences,
    Samples,
    step_of,
)
from secant.differentiation.noise import CERTAIN, Levels, Walk, walked
from secant.differentiation.result import NOISY, ONE_SIDED

ENOUGH = 1e-8
"""A relative error bar that is not worth more evaluations."""
_SURE = 8.0  # noises: a second difference that is larger is not noise
_COLUMNS = 5  # steps of a window: more only amplify noise
# Error bars are so many times what is seen of truncation and noise. Of 20,000 entries
# of smooth functions (reliability, row "entries") 1 misses 20 and 2 none; 4 is
# for what is less smooth.
_COVERAGE = 4.0
_LARGER = 12  # steps above the rung that was chosen
# times its error bar: that of the best of many estimates, which may be so by luck
_SELECTION = 3.0
# Times the change from one window to the next: what is left where slopes approach their
# limit as the root of the step, r / (1 - r) of their ratio r = 1.9**-0.5, is 2.6 times.
_SLOW = 4.0
_JUMPS = 1.05  # times what jumps add, since that has an error itself
_WORSE = 30.0  # times the least error bar: larger steps will be no better
# Second differences at h = 0 that are a jump: with many kinks near x they grow as the
# root of the step, by 1.4 from one to the next, where f'' jumps as the step, by 1.9.
# Two may be alike by chance.
_ALIKE_BENDS, _BENDS = 1.5, 4


class Slopes(NamedTuple):
    """Slopes of f, their error bars, and what kind of point x is: three arrays of one
    shape.

    A bar is NaN where nothing was tried yet, and infinite where nothing is known.
    ``kind``: NOISY, ONE_SIDED or KINK.
    """

    slope: Floats
    bar: Floats
    kind: Any

    @classmethod
    def unknown(cls, *shape: int) -> Slopes:
        """Where nothing was tried yet."""
        return cls(
            np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, NOISY)
        )

    def of(self, index: Any) -> Slopes:
        """A part of them; a row or a slice shares memory with them."""
        return Slopes(*(part[index] for part in self))

    def put(self, index: Any, others: Slopes, where: Any = True) -> None:
        """Put others in the place of some, where a condition holds."""
        for own, other in zip(self, others, strict=True):
            own[index] = np.where(where, other, own[index])

    def is_finite(self) -> Any:
        """Whether a slope and its error bar are known."""
        return np.isfinite(self.slope) & np.isfinite(self.bar)


class Windows(NamedTuple):
    """For each step, the best extrapolation from windows of steps of which it is the
    largest, and its error bar.
    """

    value: Floats
    bar: Floats


def extrapolated(
    step: Floats,
    value: Floats,
    noise: Floats,
    exponent: float = 2.0,
    columns: int = _COLUMNS,
) -> Windows:
    """Neville's scheme: extrapolate values at steps from small to large to h = 0, in
    powers of h**exponent.
    """
    u = (step / np.fmax.reduce(step)) ** exponent
    best, least = value.copy(), np.full(value.shape, inf)
    for k in range(1, min(columns, len(value))):
        near, far = u[:-k], u[k:]
        w = near / (far - near)
        without_largest, without_smallest = value[:-1], value[1:]
        value = without_largest + (without_largest - without_smallest) * w
        noise = noise[:-1] * (1 + w) + noise[1:] * w
        # if 2, the ratio of steps
        of_smallest = np.abs(value - without_smallest) * (near / far) ** (exponent / 4)
        change = np.maximum(np.abs(value - without_largest), of_smallest)
        bar = _COVERAGE * (change + noise)
        wins = bar < least[k:]
        best[k:], least[k:] = (
            np.where(wins, value, best[k:]),
            np.where(wins, bar, least[k:]),
        )
    return Windows(best, least)


def meets_smaller(value: Floats, bar: Floats) -> Any:
    """Lepski: whether the interval of each step and all smaller ones have a point in
    common.
    """
    is_known = np.isfinite(value) & np.isfinite(bar)
    low = np.maximum.accumulate(np.where(is_known, value - bar, -inf))
    high = np.minimum.accumulate(np.where(is_known, value + bar, inf))
    return low <= high


def best_of(windows: Windows) -> tuple[Floats, Floats]:
    """The values of the least error bars, of steps that no smaller ones deny."""
    change = np.abs(np.diff(windows.value[1:], axis=0))
    change = np.vstack([0 * windows.value[:2], np.nan_to_num(change, posinf=0.0)])
    bars = np.fmax(_SELECTION * windows.bar, _SLOW * change)
    bars = np.where(meets_smaller(*windows) & np.isfinite(windows.value), bars, inf)
    at = np.argmin(bars, axis=0), np.arange(bars.shape[1])
    return windows.value[at], bars[at]


class Climb(NamedTuple):
    """For each output the number of a rung, an interval that contains the slope, and
    the noise.

    ``jump_error``: as of `Walk`, or half of the jump of the slope where x is on a kink.
    """

    number: Any
    slope: Floats
    bar: Floats
    noise: Levels
    jump_error: Floats
    is_kink: Any


def climb(samples: Samples, numbers: range, known: Levels, walk: Walk) -> Climb:
    """Climb the rungs to the largest that no smaller one denies.

    ``known`` is the least noise.
    """
    noise = Levels(*map(np.maximum, walk.noise, known))
    if walk.rungs is None:
        zeros = np.zeros(len(samples.value))
        return Climb(zeros.astype(int), zeros, zeros + inf, noise, zeros, zeros > 0)
    jumps = slope_jumps(
        np.abs(walk.rungs.bend), _SURE * noise.at(walk.rungs.size) / walk.rungs.width
    )
    number, slope, bar = _largest_rung(
        numbers, walk.rungs, noise, jumps > 0, samples.unit
    )
    is_among_smallest = number > numbers[0] - 2 * RUNG
    settles = _settles(walk.rungs.slope, noise.of_slopes(walk.rungs))
    is_infinite = is_among_smallest & ~settles & (jumps == 0)
    return Climb(
        number,
        slope,
        np.where(is_infinite, inf, bar),
        noise,
        np.maximum(walk.jump_error, jumps / 2),
        jumps > 0,
    )


def _largest_rung(
    numbers: range, rungs: Differences, noise: Levels, is_kink: Any, unit: float
) -> tuple[Any, Floats, Floats]:
    """The largest rung whose interval meets those of all below; extrapolated once, from
    it and the one above.
    """
    near, far = (
        Differences(*(each[part] for each in rungs))
        for part in (slice(-1), slice(1, None))
    )
    square = (far.width / near.width) ** 2
    square = np.where(square > 1, square, np.nan)  # too small for x

    def interval(value: Floats, error: Floats) -> tuple[Floats, Floats]:
        truncation = (value[:-1] - value[1:]) / (square - 1)
        return value[:-1] + truncation, CERTAIN * (error[:-1] * square + error[1:]) / (
            square - 1
        )

    slope, bar = interval(rungs.slope, noise.of_slopes(rungs))
    curvature, its_bar = interval(
        rungs.bend / rungs.width, noise_of_curvature(rungs, noise)
    )
    # What f computes of x may be rounded as if x were: at few units in its last place,
    # that does not show as scatter.
    hidden = CERTAIN * unit * np.abs(slope) / near.width
    valid = meets_smaller(slope, bar + hidden) & (
        meets_smaller(curvature, its_bar) | is_kink
    )
    valid &= np.isfinite(slope) & np.isfinite(bar)
    at = len(valid) - 1 - np.argmax(valid[::-1], axis=0), np.arange(slope.shape[1])
    # The interval of the rung below is wider by the ratio of their steps, and has but
    # to meet this one.
    bars = (1 + far.width[at] / near.width[at]) * (bar + hidden)[at] + np.abs(
        slope[at] - near.slope[at]
    )
    is_known = valid.any(axis=0)
    number, slope = (
        np.where(is_known, each, 0) for each in (np.array(numbers)[at[0]], slope[at])
    )
    return number, slope, np.where(is_known, bars, inf)


def noise_of_curvature(differences: Differences, noise: Levels) -> Floats:
    """The noise of second derivatives: that of three values, one of them twice."""
    return (
        4 * noise.at(differences.size) / differences.width + 2 * noise.slope
    ) / differences.width


class Refined(NamedTuple):
    """Derivatives, their error bars, and the number of the largest step of the best
    window of each.

    ``jump_error``: what jumps of f or of its slope add to the error bar.
    """

    value: Floats
    bar: Floats
    number: Any
    jump_error: Floats


def refined(samples: Samples, start: Climb, numbers: range, order: int = 1) -> Refined:
    """The first or second derivatives, from windows of steps from the rungs that were
    chosen up.
    """
    # from a rung and the next
    found = Refined(
        start.slope.copy(),
        start.bar.copy(),
        start.number - RUNG,
        jump_error=np.zeros(len(start.bar)),
    )
    if order == 2:
        found.value[:], found.bar[:] = np.nan, inf
    for number in np.unique(start.number[np.isfinite(start.bar)]).tolist():
        outputs = np.flatnonzero((start.number == number) & np.isfinite(start.bar))
        noise = start.noise.of(outputs).with_x_rounded(
            samples.unit, start.slope[outputs]
        )
        first = Refined(*(each[outputs] for each in found))
        # smaller steps are all noise
        smallest = min(number + 2, numbers[0]) if order == 1 else number - 1
        every = list(range(smallest, max(number - _LARGER, numbers[-1]) - 1, -1))
        for count in (5, 8, 11, 15):
            there = samples.differences([step_of(k) for k in every[:count]], outputs)
            best, goes_on = _best_window(
                first, there, noise, start.is_kink[outputs], order
            )
            if not goes_on.any():
                break
        best = best._replace(
            number=np.array(every)[best.number], jump_error=hidden_jumps(there, noise)
        )
        for whole, part in zip(found, best, strict=True):
            whole[outputs] = part
    if order == 2:
        return found
    # No smaller step tells where slopes tend to: those of x sqrt|x| at 0 are as large
    # as the root of the step.
    smallest = samples.differences([step_of(numbers[0]), step_of(numbers[0] - RUNG)])
    change = np.nan_to_num(np.abs(smallest.slope[1] - smallest.slope[0]))
    is_smallest = found.number > numbers[0] - 2 * RUNG
    found.bar[is_smallest] = np.maximum(found.bar, change)[is_smallest]
    # Several jumps may cancel in second differences, and yet change the slope. So all
    # of a hidden jump counts.
    jump_error = _JUMPS * np.maximum(start.jump_error, found.jump_error)
    return found._replace(bar=found.bar + jump_error, jump_error=jump_error)


def _best_window(
    first: Refined, there: Differences, noise: Levels, is_kink: Any, order: int
) -> tuple[Refined, Any]:
    """The window of the least error bar, while no larger step denies smaller ones; and
    whether to go on.

    ``first``: the result so far. It stands for the smallest step, which is the largest
    of no window.
    """
    both = np.hstack([there.slope, there.bend / there.width])
    noises = np.hstack([noise.of_slopes(there), noise_of_curvature(there, noise)])
    table = extrapolated(np.hstack([there.width] * 2), both, noises)
    slopes, curvatures = (
        Windows(*each)
        for each in zip(*(np.hsplit(part, 2) for part in table), strict=True)
    )
    valid = meets_smaller(curvatures.value, curvatures.bar) | is_kink
    if order == 1:
        valid &= meets_smaller(
            np.vstack([first.value, slopes.value[1:]]),
            np.vstack([first.bar, slopes.bar[1:]]),
        )
    windows = slopes if order == 1 else curvatures
    of_next_smaller = np.vstack([first.value, first.value, windows.value[1:-1]])
    change = np.abs(windows.value - of_next_smaller)
    bars = np.fmax(
        _SELECTION * windows.bar, np.where(np.isfinite(change), _SLOW * change, 0.0)
    )
    bars = np.where(valid & np.isfinite(bars), bars, inf)
    index = np.argmin(bars, axis=0)
    at = index, np.arange(len(index))
    wins = bars[at] < first.bar
    least = np.where(wins, bars[at], first.bar)
    goes_on = valid[-1] & ~(windows.bar[-1] > _WORSE * least)
    return Refined(
        np.where(wins, windows.value[at], first.value), least, index, first.jump_error
    ), goes_on


_NEAREST = 2.0**-29  # of the scale: f is not defined there where its domain ends at x
_SETTLES = 0.8  # of the change from one step to the next: what the one below changes
_FALLING = 3  # changes in a row that fall as the step grows: a slope that is infinite


def one_sided(samples: Samples, numbers: range, known: Levels, room: float) -> Slopes:
    """Slopes where f is defined on one side of x only; elsewhere bars are infinite.

    Many functions behave like a root at the end of their domain, so powers of the root
    of the step are extrapolated. ``room`` is the distance of x to its bound, 0 if that
    is not known: the slope is that at the bound.
    """
    slopes, bars = np.full(len(samples.value), np.nan), np.full(len(samples.value), inf)
    nearest = max(_NEAREST, step_of(numbers[0]))
    sides = np.subtract(
        *(np.isfinite(samples(step).values).astype(int) for step in (nearest, -nearest))
    )
    for sign in (1, -1):
        outputs = np.flatnonzero(sides == sign)
        if not len(outputs):
            continue
        there = samples.of(outputs).side(sign)
        noise = Levels(
            *map(np.maximum, walked(there, numbers).noise, known.of(outputs))
        )
        # here slopes may well change as roots do
        noise = noise._replace(slope=0 * noise.slope)
        each = there.differences(
            [
                step_of(number)
                for number in range(numbers[0], numbers[-1] - 1, -RUNG // 2)
            ]
        )
        of_slopes = noise.of_slopes(each)
        windows = extrapolated(
            each.width, each.slope, of_slopes, exponent=0.5, columns=_COLUMNS + 1
        )
        slopes[outputs], bar = best_of(windows)
        # From the bound to x slopes change as roots do: by sqrt(room / h) of what they
        # change over a step.
        near_bound = (
            np.nanmax(
                np.abs(each.slope - slopes[outputs])
                * np.sqrt(room / each.width)
                * (each.width > room),
                axis=0,
            )
            if room
            else 0.0
        )
        bars[outputs] = np.where(
            _settles(each.slope, of_slopes), bar + 3 * near_bound, inf
        )
    slopes = np.where(np.isfinite(bars), slopes, np.nan)
    return Slopes(slopes, bars, np.full(len(bars), ONE_SIDED))


def _settles(slope: Floats, noise: Floats) -> Any:
    """Whether slopes change by less at smaller steps, where noise lets it be seen: else
    they may tend to infinity.
    """
    change = np.diff(slope, axis=0)
    if len(change) <= _FALLING:
        return np.full(slope.shape[1], True)
    seen = np.abs(change) > _COVERAGE * (noise[:-1] + noise[1:])
    first = np.argmax(seen, axis=0)
    rows = np.minimum(first + np.arange(_FALLING + 1)[:, np.newaxis], len(change) - 1)
    changes = np.take_along_axis(change, rows, axis=0)
    here, above = changes[:-1], changes[1:]
    falls = (here * above > 0) & (np.abs(here) > _SETTLES * np.abs(above))
    # A slope that tends to infinity shows from the smallest steps on.
    return ~(seen.any(axis=0) & (first < 3) & falls.all(axis=0))


def slope_jumps(
    sizes: Floats, errors: Floats, alike: float = 2.0, count: int = 2
) -> Floats:
    """The jump of the slope of each output at x: a second difference that does not
    shrink with the step.

    ``sizes``: of second differences over h, (steps, outputs). ``errors``: how large
    noise may make them. From the first that shows, ``count`` must be ``alike``: one is
    at most so many times the next.
    """
    is_seen = sizes > errors
    first = np.argmax(is_seen, axis=0)
    before = np.take_along_axis(errors, np.maximum(first - 1, 0)[np.newaxis], axis=0)[0]
    size = np.take_along_axis(sizes, first[np.newaxis], axis=0)[0]
    is_alike = (sizes[1:] > sizes[:-1] / alike) & (sizes[1:] < sizes[:-1] * alike)

    # from the first that shows to the last that is like the one before
    row = np.arange(len(sizes))[:, np.newaxis]
    has_ended = np.logical_or.accumulate((row[1:] > first) & ~is_alike)
    is_same = row >= first
    is_same[1:] &= ~has_ended
    stays = is_same.sum(axis=0) >= count
    appears_later = (first > 0) & (size > 2 * before)  # a kink nearby, or smooth
    is_jump = is_seen.any(axis=0) & stays & ~appears_later
    return np.where(is_jump, np.where(is_same, sizes, 0.0).max(axis=0), 0.0)


def hidden_jumps(there: Differences, noise: Levels) -> Floats:
    """The jump of the slope of each output at x that shows at h = 0 only: elsewhere
    curvature hides it.
    """
    near, far = (
        Differences(*(each[part] for each in there))
        for part in (slice(-1), slice(1, None))
    )
    ratio = far.width / near.width
    sizes = np.abs(near.bend * ratio - far.bend) / (ratio - 1)
    errors = _SURE * noise.at(near.size) / near.width
    errors = errors * (ratio + 1 / ratio) / (ratio - 1)
    return slope_jumps(sizes, errors, _ALIKE_BENDS, _BENDS)
