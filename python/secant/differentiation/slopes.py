"""Slopes with error bars: the engine of the scheme "auto".

Along a line through x, f is evaluated in pairs, at x + h and x - h. The steps h are a
scale times 1.9**-k, and each is evaluated once; only where f jumps, the place of the
jump is searched between them. All outputs of f are treated at the same time: arrays are
(steps, outputs).

1. **Differences.** A pair yields the central difference, which is the slope up to even
   powers of h, and the second difference over h, which is h f'' where f is smooth and
   the jump of the slope where x is on a kink.
2. **Noise.** Every fourth step, from some twenty units in the last place of x up, is a
   rung. From rung to rung the scatter of smooth f grows as h**2, that of noise stays
   the same, and that of rounded f appears in a jump. So the noise of f is what scatters
   without growing. (Moré and Wild, "Estimating Computational Noise", SIAM J. Sci.
   Comput. 33, 2011, take equal steps and differences of higher order.)
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
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf, log, sqrt
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.rounding import root_mean_square, unit_rounding

RATIO = 1.9
"""Of a step to the next smaller one.

No power of it is a small whole number: so what repeats with a period does not fit
several steps at once.
"""
RUNG = 4
"""Every so many steps are a rung."""
_LARGEST = 0.16  # in units of the scale: step number 0
GOLDEN = 0.6180339887498949
"""A factor of all steps: the golden ratio, which fractions of small whole numbers
approximate worst. So where x and the period of f are whole numbers, no step is a
multiple of the period.
"""
ENOUGH = 1e-8
"""A relative error bar that is not worth more evaluations."""
SEED = 0
"""The seed of random directions: results are the same each time."""
_LEAST = 1e-12  # scales are no smaller than this, however small x is
_OWN = 2.0**-10  # of the usual scale: an entry that is smaller has a scale of its own
COARSE, COARSE_IN_FLOAT32 = 2.0**-11, 2.0**-20
"""Jumps that are smaller than that, relative to x or to f, may be rounding: that of
float16, or of float32, at most.
"""
# sixteen units of it: relative steps and jumps that are smaller may be rounding
_ROUNDING = 2.0**-49
RESOLUTION = 2.0**-47
"""By how much x + step is rounded along a direction, at most."""
_COLUMNS = 5  # steps of a window: more only amplify noise
_COVERAGE = 4.0  # error bars are so many times what is seen of truncation and noise
# times the noise: the intervals of rungs, and scatter that may be of the same kind
_CERTAIN = 3.0
_LARGER = 12  # steps above the rung that was chosen
# times its error bar: that of the best of many estimates, which may be so by luck
_SELECTION = 3.0
# Times the change from one window to the next: what is left where slopes approach their
# limit as the root of the step, r / (1 - r) of their ratio r = 1.9**-0.5, is 2.6 times.
_SLOW = 4.0
_DOUBT = 1.05  # times the doubt, since that has an error itself
_WORSE = 30.0  # times the least error bar: larger steps will be no better


def sizes_of(x: Floats) -> tuple[Floats, float]:
    """The sizes of entries, of which steps are parts, and the usual one.

    An entry that is much smaller than the others has a size of its own; one that is 0
    has the usual one.
    """
    size = np.abs(x)
    typical = float(root_mean_square(size))
    usual = min(max(typical, _LEAST), 1.0) if typical else 1.0
    return np.where(
        (size >= _OWN * usual) | (size == 0),
        np.maximum(size, usual),
        np.maximum(size, _LEAST),
    ), usual


def scales_of(x: Floats) -> tuple[Floats, float]:
    """The unit of the steps of each entry, and the usual one."""
    sizes, usual = sizes_of(x)
    return GOLDEN * sizes, GOLDEN * usual


def rungs_of(size: float, scale: float) -> range:
    """The numbers of the rungs of an entry of that size, from small steps to large.

    The steps are from some twenty units in the last place of x to a tenth of x, or of
    1.
    """
    scale = scale / GOLDEN
    # How far the range extends beyond the usual one at its lower and its upper end, as
    # logarithms of steps.
    below, above = (
        log(scale / max(size, _ROUNDING**2 * scale)) if size else 0.0,
        log(max(size, 1.0) / scale),
    )
    rung = RUNG * log(RATIO)
    return range(
        RUNG * int((below - log(_ROUNDING)) / rung - 1),
        -RUNG * int(above / rung) - 1,
        -RUNG,
    )


def step_of(number: float) -> float:
    """The step of a number: 0 is the largest usual step, and greater numbers are
    smaller steps.

    Slopes take their steps from this list, so that they share evaluations.
    """
    return float(_LARGEST * RATIO**-number)


class Sample(NamedTuple):
    """The outputs of f at a step, and the shift that rounding leaves of the step."""

    values: Floats
    moved: Any


class Samples:
    """f along a line, evaluated once at each step.

    ``evaluate`` takes a step, which may be negative. ``value`` is f at x, ``unit`` half
    a unit in the last place of x. ``coarse``: smaller jumps may be the rounding of what
    f computes in less than float64. ``reach``: the largest steps below a jump of each
    output, (2, outputs), above x and below it; beyond it the output is NaN.
    """

    def __init__(
        self,
        evaluate: Callable[[float], Sample],
        value: Floats,
        known: dict[float, Sample] | None = None,
        unit: float = 0.0,
        coarse: float = COARSE,
        reach: Floats | None = None,
    ) -> None:
        self.value, self.known, self.unit, self.coarse = (
            value,
            {} if known is None else known,
            unit,
            coarse,
        )
        self._evaluate = evaluate
        self.reach = np.full((2, len(value)), inf) if reach is None else reach

    def __call__(self, step: float) -> Sample:
        """Return f at a step."""
        if step not in self.known:
            self.known[step] = self._evaluate(step)
        values, moved = self.known[step]
        is_beyond = abs(step) > self.reach[0 if step > 0 else 1]
        return Sample(np.where(is_beyond, np.nan, values), moved)

    def differences(
        self, steps: list[float], outputs: Any = slice(None)
    ) -> Differences:
        """Differences of some outputs at steps from small to large, (steps,
        outputs).
        """
        return Differences(
            *(each[:, 0] for each in differences_of([self], steps, outputs))
        )

    def of(self, outputs: Any) -> Samples:
        """Those of some outputs."""
        if len(outputs) == len(self.value):
            return self

        def evaluate(step: float) -> Sample:
            values, moved = self(step)
            return Sample(values[outputs], moved[outputs] if np.ndim(moved) else moved)

        return Samples(evaluate, self.value[outputs], unit=self.unit)

    def side(self, sign: int) -> Samples:
        """Samples from one side of x only; f - f(x) is taken as odd, so that central
        differences are one-sided ones.
        """

        def evaluate(step: float) -> Sample:
            values, moved = self(sign * abs(step))
            return (
                Sample(values, moved)
                if sign * step > 0
                else Sample(2 * self.value - values, -moved)
            )

        return Samples(evaluate, self.value, unit=self.unit)


class Differences(NamedTuple):
    """Half the distance of the points of each pair, the central difference, the second
    one over h, and the size of f.

    They are NaN where a point is outside of the domain of f, or the step too small for
    x.
    """

    width: Floats
    slope: Floats
    bend: Floats
    size: Floats

    @classmethod
    def of(
        cls, high: Floats, low: Floats, up: Floats, down: Floats, value: Floats
    ) -> Differences:
        """Where x + h and x - h are rounded differently, the second difference corrects
        the central one.
        """
        width = (up - down) / 2 + 0 * (high + low)  # NaN where f is not finite
        width[up * down + 0 * width == 0] = np.nan
        bend = (high - value) / up - (low - value) / down
        slope = (high - low) / (2 * width) - bend * ((up + down) / (2 * width))
        return cls(
            width,
            slope,
            bend + 0 * width,
            np.maximum(np.abs(high), np.abs(low)) + 0 * width,
        )


def differences_of(
    lines: list[Samples], steps: list[float], outputs: Any = slice(None)
) -> Differences:
    """Differences along several lines at the same steps, (steps, lines, outputs)."""
    each = [[line(sign * step) for line in lines] for step in steps for sign in (1, -1)]
    values = np.array([[sample.values for sample in samples] for samples in each])[
        ..., outputs
    ]
    moved = np.array([[sample.moved for sample in samples] for samples in each])
    moved = moved[..., np.newaxis] if moved.ndim == 2 else moved[..., outputs]
    value = np.array([line.value for line in lines])[:, outputs]
    return Differences.of(values[::2], values[1::2], moved[::2], moved[1::2], value)


class Levels(NamedTuple):
    """The noise of each output.

    ``near``: of values near x. ``share``: relative to a value, where that makes more
    than ``near``. ``slope``: of slopes, at any step: noise of f that grows as the step,
    as of a square of residuals that are 0 at x.
    """

    near: Floats
    share: Floats
    slope: Floats

    def of_slopes(self, differences: Differences) -> Floats:
        """The noise of central differences."""
        return self.at(differences.size) / differences.width + self.slope

    def at(self, size: Floats) -> Floats:
        """The noise of values of that size."""
        return np.maximum(self.near, self.share * size)

    def with_x_rounded(self, unit: Any, slope: Floats) -> Levels:
        """The same if f rounds what it computes of x as x is rounded: that need not
        show at small steps.
        """
        return self._replace(near=np.maximum(self.near, unit * np.abs(slope)))

    def of(self, outputs: Any) -> Levels:
        """Those of some outputs."""
        return Levels(self.near[outputs], self.share[outputs], self.slope[outputs])


def noise_of_squares(value: Any, there: Differences, scale: Any) -> Floats:
    """The noise of slopes where f is a sum of squares of residuals that are 0 at x: f''
    times the rounding of x.
    """
    is_even = (np.abs(value) <= _SMALL * there.size) & (
        there.size < np.abs(there.bend) * there.width
    )
    return np.where(
        is_even, _ORDINARY * 2.0**-53 * scale * np.abs(there.bend) / there.width, 0.0
    )


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


class Walk(NamedTuple):
    """What values on rungs tell of f: its noise, and what is not smooth.

    ``doubt``: what small jumps of f add to the slope, if they are part of it. It is
    added to the error bar. ``ambiguous``: the same, but 0 if f is smooth up to its
    nearest jumps, and these cannot be rounding. ``still``: the step up to which f is
    constant, if it jumps then: 0 elsewhere. From `COARSE` up the slope may be 0, or
    that across the jumps.
    """

    rungs: Differences | None
    noise: Levels
    doubt: Floats
    ambiguous: Floats
    still: Floats


def walked(
    samples: Samples, numbers: range, x_error: float = 0.0, every_jump: bool = False
) -> Walk:
    """Evaluate f on rungs, from the smallest step to the largest at which f is finite.

    ``x_error``: by how much x + step is rounded that is not known, as along a
    direction. ``every_jump``: few jumps far from x are noise, too. They change second
    differences, if not slopes.
    """
    steps: list[float] = []
    for number in numbers:
        if not np.isfinite(
            samples(step_of(number)).values + samples(-step_of(number)).values
        ).any():
            break
        steps.append(step_of(number))
    find_reach(samples, steps)
    if len(steps) < 2:
        zeros = np.zeros(len(samples.value))
        return Walk(None, Levels(zeros, zeros, zeros), zeros, zeros, zeros)
    rungs = samples.differences(steps)
    within = np.logical_and.accumulate(np.isfinite(rungs.size))  # of the domain of f
    rungs = Differences(*(np.where(within, each, np.nan) for each in rungs))
    walks = [
        NoiseWalk(samples, k, steps, rungs, x_error, every_jump)
        for k in range(len(samples.value))
    ]
    near, share, of_slopes = (
        np.array(each) for each in zip(*(walk.noise for walk in walks), strict=True)
    )
    k = min(2, len(steps) - 1)  # of lower rungs, rounding hides the shape of f
    third = Differences(*(each[k] for each in rungs))
    of_squares = noise_of_squares(samples.value, third, third.width / steps[k])
    noise = Levels(near, share, np.maximum(of_slopes, of_squares))
    return Walk(
        rungs,
        noise,
        *(
            np.array([getattr(walk, name) for walk in walks])
            for name in Walk._fields[2:]
        ),
    )


def find_reach(samples: Samples, steps: list[float]) -> None:
    """Find the nearest jump of each output that is too large to be rounding.

    Beyond it f counts as undefined, as where it is infinite: ``samples.reach``. A
    function that is constant up to its first jump is none of these: its slope may be
    that across its steps.
    """
    if len(steps) <= _STEADY:
        return
    values = np.array(
        [[samples(sign * step).values for step in steps] for sign in (1, -1)]
    )
    changes = np.abs(values - samples.value)  # (2, steps, outputs)
    is_large = changes > _TOO_LARGE * np.maximum(np.abs(values), np.abs(samples.value))

    # at x itself: one side changes by the same at the smallest steps, the other hardly
    nearest = changes[:, :_STEADY]
    is_steady = nearest.max(axis=1) < 2 * nearest.min(axis=1)
    is_alone = nearest.min(axis=1) > _SUDDEN * nearest.max(axis=1)[::-1]
    jumps_at_x = is_large[:, 0] & is_steady & is_alone
    samples.reach[jumps_at_x] = 0.0

    # farther away: a change that is much larger than those of all smaller steps
    smaller = np.maximum.accumulate(changes, axis=1)[:, :-1]
    is_sudden = (changes[:, 1:] > _SUDDEN * smaller) & (smaller > 0)
    candidates = is_large[:, 1:] & is_sudden & ~jumps_at_x[:, np.newaxis]
    for side, k in np.argwhere(candidates.any(axis=1)).tolist():
        j = int(np.argmax(candidates[side, :, k]))
        sign = 1 if side == 0 else -1

        def change(step: float, sign: int = sign, k: int = k) -> float:
            return float(abs(samples(sign * step).values[k] - samples.value[k]))

        jump, place = jump_between(
            steps[j], steps[j + 1], float(changes[side, j, k]), change
        )
        if jump:
            samples.reach[side, k] = place


class Climb(NamedTuple):
    """For each output the number of a rung, an interval that contains the slope, and
    the noise.

    ``doubt``: as of `Walk`, or half of the jump of the slope where x is on a kink.
    """

    number: Any
    slope: Floats
    bar: Floats
    noise: Levels
    doubt: Floats
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
        np.abs(walk.rungs.bend), 8 * noise.at(walk.rungs.size) / walk.rungs.width
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
        np.maximum(walk.doubt, jumps / 2),
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
        return value[:-1] + truncation, _CERTAIN * (error[:-1] * square + error[1:]) / (
            square - 1
        )

    slope, bar = interval(rungs.slope, noise.of_slopes(rungs))
    curvature, its_bar = interval(
        rungs.bend / rungs.width, noise_of_curvature(rungs, noise)
    )
    # What f computes of x may be rounded as if x were: at few units in its last place,
    # that does not show as scatter.
    hidden = _CERTAIN * unit * np.abs(slope) / near.width
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

    ``doubt``: what jumps of f or of its slope add to the error bar.
    """

    value: Floats
    bar: Floats
    number: Any
    doubt: Floats


def refined(samples: Samples, start: Climb, numbers: range, order: int = 1) -> Refined:
    """The first or second derivatives, from windows of steps from the rungs that were
    chosen up.
    """
    doubt = np.zeros(len(start.bar))
    # from a rung and the next
    found = Refined(start.slope.copy(), start.bar.copy(), start.number - RUNG, doubt)
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
            number=np.array(every)[best.number], doubt=hidden_jumps(there, noise)
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
    # of a hidden jump is doubt.
    doubt = _DOUBT * np.maximum(start.doubt, found.doubt)
    return found._replace(bar=found.bar + doubt, doubt=doubt)


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
        np.where(wins, windows.value[at], first.value), least, index, first.doubt
    ), goes_on


_NEAREST = 2.0**-29  # of the scale: f is not defined there where its domain ends at x
_SETTLES = 0.8  # of the change from one step to the next: what the one below changes
_FALLING = 3  # changes in a row that fall as the step grows: a slope that is infinite


def one_sided(
    samples: Samples, numbers: range, known: Levels, room: float
) -> tuple[Floats, Floats]:
    """Slopes where f is defined on one side of x only, and their error bars: infinite
    elsewhere.

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
    return np.where(np.isfinite(bars), slopes, np.nan), bars


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
    return np.array(
        [
            _slope_jump(*pair, alike, count)
            for pair in zip(sizes.T.tolist(), errors.T.tolist(), strict=True)
        ]
    )


def _slope_jump(
    sizes: list[float], errors: list[float], alike: float, count: int
) -> float:
    first = next((j for j, size in enumerate(sizes) if size > errors[j]), len(sizes))
    # a kink nearby, or smooth
    if 0 < first < len(sizes) and sizes[first] > 2 * errors[first - 1]:
        return 0.0
    same = sizes[first : first + 1]
    for size in sizes[first + 1 :]:
        # it grows as the step where f is smooth
        if not same[-1] / alike < size < alike * same[-1]:
            break
        same.append(size)
    return max(same) if len(same) >= count else 0.0


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
    errors = 8 * noise.at(near.size) / near.width * (ratio + 1 / ratio) / (ratio - 1)
    return slope_jumps(sizes, errors, _ALIKE_BENDS, _BENDS)


# Second differences at h = 0 that are a jump: with many kinks near x they grow as the
# root of the step, by 1.4 from one to the next, where f'' jumps as the step, by 1.9.
# Two may be alike by chance.
_ALIKE_BENDS, _BENDS = 1.5, 4
_ORDINARY = 4.0  # times its rounding: the noise of a value
# scatter that grows by less from rung to rung may be noise: at a kink it grows as the
# step
_FLAT = 12.0
# rungs of growth that noise may have by chance: two are seen where LSODA jumps by its
# tolerances
_BRIEF = 4
# smooth functions do not grow by that from rung to rung, but where high derivatives are
# large
_SUDDEN = 2000.0
# Jumps that begin at this rung or above, counted from 0 (beyond 2e-11 of x), are doubt
# and not noise if they are few.
_FAR = 4
# of f: less noise is the rounding of what cancels in it, as in x % y, and of no type
# below float64
_SMOOTH = 2.0**-40
_MANY = 4.0  # few: the next rung crosses no more of them
# Scatter of the first rung that does not grow by that is noise: that of a root grows by
# RATIO ** (RUNG / 2) = 3.6, that of a cube root by 2.4.
_STAYS = 2.0
_HALVINGS = 16  # of the place of a jump
_LIMIT = 1 / 64  # of the scatter above a jump: what is below it
# of f: larger jumps are no rounding, not even of float16
_TOO_LARGE = 2.0**-8
_STEADY = 3  # rungs that show a jump at x itself
# changes of slopes that differ by less from rung to rung do not depend on the step
_ALIKE = 30.0
_SMALL = 0.1  # of the size of f beside x


class NoiseWalk:
    """The noise of one output, from the scatter of its values on rungs from small to
    large.

    Attributes
    ----------
    noise : (float, float, float)
        As of `Levels`.
    doubt : float
        What small jumps add to the slope, far from x: whether it includes these jumps
        is ambiguous.
    ambiguous, still : float
        As of `Walk`.
    """

    def __init__(
        self,
        samples: Samples,
        k: int,
        steps: list[float],
        rungs: Differences,
        x_error: float,
        every_jump: bool,
    ) -> None:
        self._samples, self._k, self._x_error = samples, k, x_error
        self._every_jump, self._value = every_jump, float(samples.value[k])
        # where f'' is 0, f grows as h**4
        self._sudden = _SUDDEN * RATIO ** (2 * RUNG) if every_jump else _SUDDEN
        count = int(np.isfinite(rungs.size[:, k]).sum())  # the smallest ones
        self._steps = steps[:count]
        self._width, self._slope, self._bend, self._size = (
            each[:count, k].tolist() for each in rungs
        )
        values = np.array(
            [self._value, *(there for step in self._steps for there in self._at(step))]
        )
        self._eps = unit_rounding(values)
        changes = [self._change(step) for step in self._steps]
        # f is constant at smaller steps
        first = next((j for j, each in enumerate(changes) if each > 0), 0)
        is_rounding = first > 0 and changes[first] <= _ROUNDING * abs(self._value)
        first_jump = (
            self._first_jump(first, changes[first])
            if first and not is_rounding
            else 0.0
        )
        self._least = max(
            self._eps * abs(self._value), _last_place(values) / 2, first_jump / 2
        )
        self.doubt = self.ambiguous = 0.0
        level = self._level() if count else self._least
        share = max(
            self._eps,
            min(level / abs(self._value), _ORDINARY * self._eps)
            if self._value
            else 0.0,
        )
        self.noise = level, share, self._noise_of_slopes(level, share)
        # 0 where f begins to rise at a kink
        self.still = self._steps[first - 1] if is_rounding or first_jump else 0.0
        if self.still >= COARSE:  # the slope may be 0, or that across its jumps
            self.doubt = max(self.doubt, *(abs(slope) for slope in self._slope[first:]))

    def _at(self, step: float) -> tuple[float, float]:
        return float(self._samples(step).values[self._k]), float(
            self._samples(-step).values[self._k]
        )

    def _change(self, step: float) -> float:
        return max(abs(there - self._value) for there in self._at(step))

    def _first_jump(self, j: int, change: float) -> float:
        """By how much f jumps below step j, where it first differs from f(x); 0 if it
        does not jump.
        """
        low, high, jumps = self._steps[j - 1], self._steps[j], [change]
        for _ in range(_HALVINGS):
            middle = sqrt(low * high)
            jump = self._change(middle)
            low, high = (low, middle) if jump else (middle, high)
            jumps.append(jump or jumps[-1])
        return jumps[-1] if jumps[-1] > jumps[_HALVINGS // 2] / 2 else 0.0

    def _level(self) -> float:
        """The noise near x: walk up the rungs, while their scatter is noise."""
        scatter = self._scatters()
        level, is_smooth = self._least, False
        for j, found in enumerate(scatter):
            size = self._size[j]
            ordinary = max(level, self._eps * size)
            below = max(scatter[j - 1], ordinary) if j else ordinary
            if is_smooth and found <= self._sudden * below:
                continue
            if found > _CERTAIN * ordinary:
                found = self._rise(j, scatter, below, level)
                is_smooth = not found
            # the rounding of a larger value than that at x, of its share
            if found <= _CERTAIN * self._eps * size:
                found *= min(1.0, self._size[0] / size) if size else 1.0
            level = max(level, found)
        return level

    def _rise(self, j: int, scatter: list[float], below: float, level: float) -> float:
        """The scatter of a rung that has more than those below, if it is noise; else 0.

        ``level``: the noise so far.
        """
        found = scatter[j]
        # From rung to rung noise stays about the same; at a kink scatter grows 13
        # times, where f is smooth 170 times.
        growth = [each / found for each in scatter[j + 1 :]]
        is_flat = bool(growth) and not any(
            each > _FLAT * i for i, each in enumerate(growth[:2], start=1)
        )
        # Noise that jumps now and then may seem to grow. But two rungs in a row soon
        # have less than a quarter of what a kink would have grown to, and smooth f
        # grows beyond that later. Or f is nearly linear, and what is small near x is
        # the rounding of 1 + x, say. Then it is noise if it comes back from what it
        # grew to, or did not grow steadily; else a ripple.
        for i, low in enumerate(map(max, pairwise(growth[1:])), start=2):
            is_rounding = (
                j < _FAR and low * found <= self._samples.coarse * self._size[j]
            )
            if (
                not is_flat
                and low < _FLAT ** min(i, _BRIEF) / 4
                and (is_rounding or growth[-1] > _FLAT**3 * low)
            ):
                is_flat = low < max(growth[:i]) / 8 or not self._grows_steadily(
                    j, found
                )
        # there is no rung below: f is smooth if the scatter grows over the next two
        if not j:
            grows = (
                len(growth) > 1 and growth[0] > _FLAT and growth[1] > _FLAT * growth[0]
            )
            return 0.0 if grows and not is_flat else found
        if found <= self._sudden * below:
            return found if is_flat else 0.0
        jump, place = self._jump(j, below)
        if not jump or j < _FAR or self._every_jump:
            return max(found, jump) if jump else 0.0
        near, far, above = (
            j - 1,
            min(j + 2, len(self._steps) - 1),
            min(j + 1, len(self._steps) - 1),
        )
        coarse = self._samples.coarse
        is_meant = place >= coarse and jump >= coarse * self._size[j]
        slope = self._slope[near]
        if is_meant or (
            not is_flat
            and abs(self._slope[above] - slope) * self._width[above] <= _MANY * jump
        ):
            farther = self._samples.differences(
                [self._steps[far] * RATIO**2], [self._k]
            )
            # in one pair, jumps may cancel by chance
            beyond = float(farther.slope[0, 0])
            carried = max(abs(slope - self._slope[far]), abs(slope - beyond))
            self.doubt = max(self.doubt, carried)
            if not is_meant or self.ambiguous or level > _SMOOTH * self._size[j]:
                self.ambiguous = max(self.ambiguous, carried)
            return 0.0
        return max(found, jump)

    def _grows_steadily(self, j: int, found: float) -> bool:
        """Whether from a rung to the next scatter grows as the step, as its square, or
        between.
        """
        for k in range(1, RUNG + 1):
            there = self._samples.differences([self._steps[j] * RATIO**k], [self._k])
            width, slope, bend = (float(each[0, 0]) for each in there[:3])
            scatter = self._around(
                width,
                slope,
                bend,
                [i for i in (j - 1, j + 1) if j and i < len(self._steps)],
            )
            if not RATIO <= 1.5 * scatter / found <= 2.25 * RATIO**2:
                return False
            found = scatter
        return True

    def _jump(self, j: int, below: float) -> tuple[float, float]:
        """As `jump_between` of a rung and the one below."""

        def scatter(step: float) -> float:
            """Around the line of the lower rung: by chance, others fit between
            jumps.
            """
            there = self._samples.differences([step], [self._k])
            width, slope, bend = (float(each[0, 0]) for each in there[:3])
            return max(below, self._around(width, slope, bend, [j - 1]))

        return jump_between(self._steps[j - 1], self._steps[j], below, scatter)

    def _scatters(self) -> list[float]:
        """How much values scatter around a line, whose slope one of the rungs beside
        tells best.
        """
        count = len(self._steps)
        scatter = [
            self._around(
                self._width[j],
                self._slope[j],
                self._bend[j],
                [i for i in (j - 1, j + 1) if 0 <= i < count],
            )
            for j in range(count)
        ]
        # No rung below tells the slope of the first: a root at x scatters, too, but by
        # more from rung to rung.
        if not count or max(scatter[1:3], default=inf) >= _STAYS * scatter[0]:
            scatter[:1] = [
                self._around(self._width[j], self._slope[j], self._bend[j], [])
                for j in range(count)[:1]
            ]
        return scatter

    def _around(
        self, width: float, slope: float, bend: float, others: list[int]
    ) -> float:
        """The scatter of a pair: of noise of f, bend * width has sqrt(6) times as much,
        slope * width 1 / sqrt(2).
        """
        even = abs(bend)
        if self._every_jump:  # which second derivatives would hide
            even = min(
                [
                    even,
                    *(
                        abs(bend - self._bend[i] * width / self._width[i])
                        for i in others
                    ),
                ]
            )
        even *= width / sqrt(6)
        odd = min(
            (
                abs(slope - self._slope[i]) - self._least / self._width[i]
                for i in others
            ),
            default=0.0,
        )
        return max(even, odd * width * sqrt(2) - self._x_error * abs(slope))

    def _noise_of_slopes(self, level: float, share: float) -> float:
        """What slopes scatter by where values near x are much smaller than others, as
        those of squares of residuals.

        Such noise grows as the step: so slopes change from rung to rung by about the
        same, and more than noise / h.
        """
        changes = [abs(near - far) for near, far in pairwise(self._slope)]
        errors = [
            _CERTAIN * max(level, share * size) / width
            for size, width in zip(self._size, self._width, strict=True)
        ]
        found = 0.0
        for j, change in enumerate(changes[:-2]):
            is_smooth = (
                changes[j + 1]
                > _ALIKE * change
                > _ALIKE**2 * max(changes[:j], default=inf)
            )
            if is_smooth or abs(self._value) > _SMALL * self._size[j]:
                break
            # Truncation would grow 13 to 170 times: these stay the same, or shrink.
            is_flat = change / _ALIKE <= min(changes[j + 1 : j + 3]) <= change
            if is_flat and change > errors[j] + errors[j + 1]:
                found = max(found, change)
        return found


def jump_between(
    low: float, high: float, below: float, scatter: Callable[[float], float]
) -> tuple[float, float]:
    """The scatter above the jump that it makes between two steps, however close, and
    where; 0 if there is no jump.
    """
    found = {low: below, high: scatter(high)}
    limit = _LIMIT * found[high]
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        found[middle] = scatter(middle)
        low, high = (low, middle) if found[middle] > limit else (middle, high)
    # it is infinite where f overflows between them
    is_jump = 2 * found[low] < found[high] < inf
    return found[high] if is_jump else 0.0, low


def _last_place(values: Floats) -> float:
    """The power of two of which all values are multiples, as of what was added last; 0
    if all are the same.
    """
    mantissas, exponents = np.frexp(values[(values != values[0]) & (values != 0)])
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    last = np.ldexp((whole & -whole).astype(np.float64), exponents - 53)
    return float(last.min(initial=inf)) if len(last) else 0.0
