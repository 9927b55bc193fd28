"""The noise of f along a line, and how far from x f is one function.

Every fourth step is a rung. From rung to rung the scatter of smooth f grows as h**2,
that of noise stays the same, and that of rounded f appears in a jump. So the noise of f
is what scatters without growing. Moré and Wild
("Estimating Computational Noise", SIAM J. Sci. Comput. 33, 2011) do it otherwise: with
equal steps and differences of higher order.

All outputs of f are treated at the same time: arrays are (rungs, outputs). Only where f
jumps, the place of the jump is searched, for one output at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.lines import (
    COARSE,
    RATIO,
    ROUNDING,
    RUNG,
    Differences,
    Samples,
    step_of,
)
from secant.differentiation.rounding import unit_rounding

CERTAIN = 3.0
"""Times the noise: scatter that may be of the same kind, and the intervals of rungs."""
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
# Jumps that begin at this rung or above, counted from 0 (beyond 2e-11 of x), are no
# noise if they are few: they make a jump error.
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
    noise = _ORDINARY * 2.0**-53 * scale * np.abs(there.bend) / there.width
    return np.where(is_even, noise, 0.0)


class Walk(NamedTuple):
    """What values on rungs tell of f: its noise, and what is not smooth.

    ``jump_error``: what small jumps of f add to the slope, if they are part of it. It
    is added to the error bar. ``rounding_error``: the same, but 0 if f is smooth up to
    its nearest jumps, and these cannot be rounding. ``still``: the step up to which f
    is constant, if it jumps then: 0 elsewhere. From `COARSE` up the slope may be 0, or
    that across the jumps.
    """

    rungs: Differences | None
    noise: Levels
    jump_error: Floats
    rounding_error: Floats
    still: Floats

    def of(self, outputs: Any) -> Walk:
        """That of some outputs."""
        rungs = self.rungs
        if rungs is not None:
            rungs = Differences(*(each[:, outputs] for each in rungs))
        noise, rest = self.noise.of(outputs), self[2:]
        return Walk(rungs, noise, *(each[outputs] for each in rest))


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
        step = step_of(number)
        if not np.isfinite(samples(step).values + samples(-step).values).any():
            break
        steps.append(step)
    find_reach(samples, steps)
    if len(steps) < 2:
        zeros = np.zeros(len(samples.value))
        return Walk(None, Levels(zeros, zeros, zeros), zeros, zeros, zeros)
    rungs = samples.differences(steps)
    within = np.logical_and.accumulate(np.isfinite(rungs.size))  # of the domain of f
    rungs = Differences(*(np.where(within, each, np.nan) for each in rungs))
    found = NoiseWalk(samples, steps, rungs, x_error, every_jump)
    k = min(2, len(steps) - 1)  # of lower rungs, rounding hides the shape of f
    third = Differences(*(each[k] for each in rungs))
    of_squares = noise_of_squares(samples.value, third, third.width / steps[k])
    noise = found.noise._replace(slope=np.maximum(found.noise.slope, of_squares))
    return Walk(rungs, noise, found.jump_error, found.rounding_error, found.still)


def find_reach(samples: Samples, steps: list[float]) -> None:
    """Find the nearest jump of each output that is too large to be rounding.

    Beyond it f counts as undefined, as where it is infinite: ``samples.reach``. A
    function that is constant up to its first jump is none of these: its slope may be
    that across its steps.
    """
    if len(steps) <= _STEADY:
        return
    values = samples.pairs(steps).values
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
            return float(np.abs(samples(sign * step, [k]).values - samples.value[k])[0])

        jump, place = jump_between(
            steps[j],
            steps[j + 1],
            float(changes[side, j, k]),
            change,
            by_chance=False,
        )
        if jump:
            samples.reach[side, k] = place


class NoiseWalk:
    """The noise of each output, from the scatter of its values on rungs from small to
    large.

    Attributes
    ----------
    noise : Levels
    jump_error, rounding_error, still : ndarray, (outputs,)
        As of `Walk`.
    """

    def __init__(
        self,
        samples: Samples,
        steps: list[float],
        rungs: Differences,
        x_error: float,
        every_jump: bool,
    ) -> None:
        self._samples, self._steps, self._x_error = samples, steps, x_error
        self._every_jump, self._value = every_jump, samples.value
        # where f'' is 0, f grows as h**4
        self._sudden = _SUDDEN * RATIO ** (2 * RUNG) if every_jump else _SUDDEN
        # NaN beyond the domain of f; its rungs are the first ones
        self._width, self._slope, self._bend, self._size = rungs
        is_within = np.isfinite(rungs.size)
        self._count = is_within.sum(axis=0)
        values = np.where(is_within, samples.pairs(steps).values, np.nan)
        every = np.vstack([[self._value], *values])  # (values, outputs)
        self._eps = unit_rounding(every)
        changes = np.abs(values - self._value).max(axis=0)

        # f is constant at smaller steps than the first one at which it changes
        first = np.argmax(changes > 0, axis=0)
        change = np.take_along_axis(changes, first[np.newaxis], axis=0)[0]
        is_rounding = (first > 0) & (change <= ROUNDING * np.abs(self._value))
        first_jump = np.zeros(len(self._value))
        for k in np.flatnonzero((first > 0) & ~is_rounding).tolist():
            first_jump[k] = self._first_jump(k, int(first[k]), float(change[k]))
        self._least = np.maximum(
            np.maximum(self._eps * np.abs(self._value), _last_place(every) / 2),
            first_jump / 2,
        )

        self.jump_error, self.rounding_error = np.zeros((2, len(self._value)))
        level = self._level()
        share = np.minimum(level / np.abs(self._value), _ORDINARY * self._eps)
        share = np.maximum(self._eps, np.where(self._value != 0, share, 0.0))
        self.noise = Levels(level, share, self._noise_of_slopes(level, share))

        # not where f begins to rise at a kink
        is_still = is_rounding | (first_jump > 0)
        self.still = np.where(is_still, np.array(steps)[first - 1], 0.0)
        # the slope may be 0, or that across its jumps
        rises = np.arange(len(steps))[:, np.newaxis] >= first
        slopes = np.fmax.reduce(np.where(rises, np.abs(self._slope), 0.0))
        self.jump_error = np.where(
            self.still >= COARSE, np.maximum(self.jump_error, slopes), self.jump_error
        )

    def _first_jump(self, k: int, j: int, change: float) -> float:
        """By how much an output jumps below step j, where it first differs from f(x); 0
        if it does not jump.
        """
        low, high, jumps = self._steps[j - 1], self._steps[j], [change]
        for _ in range(_HALVINGS):
            middle = sqrt(low * high)
            jump = max(
                abs(float(self._samples(step, [k]).values[0] - self._value[k]))
                for step in (middle, -middle)
            )
            low, high = (low, middle) if jump else (middle, high)
            jumps.append(jump or jumps[-1])
        return jumps[-1] if jumps[-1] > jumps[_HALVINGS // 2] / 2 else 0.0

    def _level(self) -> Floats:
        """The noise near x: walk up the rungs, while their scatter is noise."""
        scatter = self._scatters()
        rounding = self._eps * self._size
        # the rounding of a larger value than that at x, of its share
        growth = np.where(self._size > 0, self._size[0] / self._size, 1.0)
        share = np.where(scatter <= CERTAIN * rounding, np.minimum(1.0, growth), 1.0)
        level = self._least.copy()
        is_smooth = np.zeros(len(level), bool)
        for j, found in enumerate(scatter):
            ordinary = np.maximum(level, rounding[j])
            below = np.maximum(scatter[j - 1], ordinary) if j else ordinary
            is_growth = is_smooth & (found <= self._sudden * below)
            is_more = (found > CERTAIN * ordinary) & ~is_growth
            noise = found * share[j]
            if is_more.any():
                outputs = np.flatnonzero(is_more)
                noise[outputs] = rise = self._rise(
                    j, outputs, scatter[:, outputs], below[outputs], level[outputs]
                )
                is_smooth[outputs] = rise == 0
            level = np.where(is_growth, level, np.fmax(level, noise))
        return level

    def _rise(
        self, j: int, outputs: Any, scatter: Floats, below: Floats, level: Floats
    ) -> Floats:
        """The scatter of a rung that has more than those below, if it is noise; else 0.

        ``outputs``: those that have more; ``level``: the noise so far.
        """
        found: Floats = scatter[j]
        # From rung to rung noise stays about the same; at a kink scatter grows 13
        # times, where f is smooth 170 times.
        growth = scatter[j + 1 :] / found
        is_flat = self._is_flat(j, outputs, growth, found)
        # there is no rung below: f is smooth if the scatter grows over the next two
        if not j:
            if len(growth) < 2:
                return found
            grows = (growth[0] > _FLAT) & (growth[1] > _FLAT * growth[0])
            return np.where(grows & ~is_flat, 0.0, found)
        noise = np.where(is_flat, found, 0.0)
        for m in np.flatnonzero(found > self._sudden * below).tolist():
            noise[m] = self._noise_of_jump(
                j,
                int(outputs[m]),
                float(found[m]),
                float(below[m]),
                float(level[m]),
                bool(is_flat[m]),
            )
        return noise

    def _is_flat(self, j: int, outputs: Any, growth: Floats, found: Floats) -> Any:
        """Whether the scatter of a rung does not grow as that of smooth f does.

        ``growth``: of the rungs above, (rungs, outputs), in units of this one.
        """
        count = self._count[outputs] - j - 1  # of rungs above
        limits = _FLAT * np.arange(1, 3)[: len(growth), np.newaxis]
        is_flat = (count > 0) & ~(growth[:2] > limits).any(axis=0)
        if len(growth) < 3:
            return is_flat
        # Noise that jumps now and then may seem to grow. But two rungs in a row soon
        # have less than a quarter of what a kink would have grown to, and smooth f
        # grows beyond that later. Or f is nearly linear, and what is small near x is
        # the rounding of 1 + x, say. Then it is noise if it comes back from what it
        # grew to, or did not grow steadily; else a ripple.
        highest = np.maximum.accumulate(growth)
        last = np.take_along_axis(growth, np.maximum(count - 1, 0)[np.newaxis], 0)[0]
        largest_rounding = self._samples.coarse * self._size[j, outputs]
        is_steady, is_known = np.zeros((2, len(found)), bool)
        for i in range(2, len(growth)):
            low = np.maximum(growth[i - 1], growth[i])
            stays_low = low < _FLAT ** min(i, _BRIEF) / 4
            is_rounding = (j < _FAR) & (low * found <= largest_rounding)
            may_be_noise = stays_low & (is_rounding | (last > _FLAT**3 * low))
            comes_back = low < highest[i - 1] / 8
            asked = np.flatnonzero(may_be_noise & ~comes_back & ~is_flat & ~is_known)
            if len(asked):
                is_steady[asked] = self._grows_steadily(j, outputs[asked], found[asked])
                is_known[asked] = True
            is_flat |= may_be_noise & (comes_back | ~is_steady)
        return is_flat

    def _grows_steadily(self, j: int, outputs: Any, found: Floats) -> Any:
        """Whether from a rung to the next scatter grows as the step, as its square, or
        between.
        """
        is_steady, found = np.full(len(outputs), True), found.copy()
        for k in range(1, RUNG + 1):
            left = np.flatnonzero(is_steady)
            if not len(left):
                break
            here, step = outputs[left], self._steps[j] * RATIO**k
            there = self._samples.differences([step], here)
            beside = [self._rung(i, here) for i in (j - 1, j + 1) if j]
            scatter = self._around(there, beside, here)[0]
            growth = 1.5 * scatter / found[left]
            is_steady[left] = (growth >= RATIO) & (growth <= 2.25 * RATIO**2)
            found[left] = scatter
        return is_steady

    def _noise_of_jump(
        self, j: int, k: int, found: float, below: float, level: float, is_flat: bool
    ) -> float:
        """The scatter of a rung below which an output jumps, if the jump is noise.

        Few jumps far from x are none: they make a jump error.
        """
        jump, place = self._jump(j, k, below)
        if not jump:
            return 0.0
        if j < _FAR or self._every_jump:
            return max(found, jump)
        top = int(self._count[k]) - 1
        near, above, far = j - 1, min(j + 1, top), min(j + 2, top)
        coarse, size = self._samples.coarse, float(self._size[j, k])
        is_meant = place >= coarse and jump >= coarse * size
        slope = float(self._slope[near, k])
        crossed = abs(float(self._slope[above, k]) - slope) * float(
            self._width[above, k]
        )
        are_few = not is_flat and crossed <= _MANY * jump
        if not is_meant and not are_few:
            return max(found, jump)
        farther = self._samples.differences([self._steps[far] * RATIO**2], [k])
        # in one pair, jumps may cancel by chance
        beyond = float(farther.slope[0, 0])
        carried = max(abs(slope - float(self._slope[far, k])), abs(slope - beyond))
        self.jump_error[k] = max(self.jump_error[k], carried)
        if not is_meant or self.rounding_error[k] or level > _SMOOTH * size:
            self.rounding_error[k] = max(self.rounding_error[k], carried)
        return 0.0

    def _jump(self, j: int, k: int, below: float) -> tuple[float, float]:
        """As `jump_between` of a rung and the one below."""
        # By chance, the lines of others fit between jumps.
        lower = self._rung(j - 1, [k])

        def scatter(step: float) -> float:
            there = self._samples.differences([step], [k])
            return max(below, float(self._around(there, [lower], [k])[0, 0]))

        return jump_between(self._steps[j - 1], self._steps[j], below, scatter)

    def _rung(self, j: int, outputs: Any) -> Differences:
        """The differences of a rung, (1, outputs)."""
        return Differences(
            self._width[[j]][:, outputs],
            self._slope[[j]][:, outputs],
            self._bend[[j]][:, outputs],
            self._size[[j]][:, outputs],
        )

    def _scatters(self) -> Floats:
        """How much values scatter around a line, whose slope one of the rungs beside
        tells best.
        """
        rungs = Differences(self._width, self._slope, self._bend, self._size)
        nothing = np.full((1, len(self._value)), np.nan)
        below = Differences(*(np.vstack([nothing, each[:-1]]) for each in rungs))
        above = Differences(*(np.vstack([each[1:], nothing]) for each in rungs))
        scatter = self._around(rungs, [below, above])
        # No rung below tells the slope of the first: a root at x scatters, too, but by
        # more from rung to rung.
        grown = np.fmax.reduce(scatter[1:3])
        grows = np.isnan(grown) | (grown >= _STAYS * scatter[0])
        alone = self._around(self._rung(0, slice(None)), [])[0]
        scatter[0] = np.where(grows, alone, scatter[0])
        return scatter

    def _around(
        self, there: Differences, beside: list[Differences], outputs: Any = slice(None)
    ) -> Floats:
        """The scatter of pairs: of noise of f, bend * width has sqrt(6) times as much,
        slope * width 1 / sqrt(2).

        ``beside``: rungs that may tell the slope of the line; NaN where there is none.
        """
        even, odd = np.abs(there.bend), np.full(there.slope.shape, np.nan)
        for rung in beside:
            own = self._least[outputs] / rung.width
            odd = np.fmin(odd, np.abs(there.slope - rung.slope) - own)
            if self._every_jump:  # which second derivatives would hide
                smooth = rung.bend * there.width / rung.width
                even = np.fmin(even, np.abs(there.bend - smooth))
        even = even * (there.width / sqrt(6))
        odd = np.where(np.isnan(odd), 0.0, odd) * there.width * sqrt(2)
        return np.fmax(even, odd - self._x_error * np.abs(there.slope))

    def _noise_of_slopes(self, level: Floats, share: Floats) -> Floats:
        """What slopes scatter by where values near x are much smaller than others, as
        those of squares of residuals.

        Such noise grows as the step: so slopes change from rung to rung by about the
        same, and more than noise / h.
        """
        found = np.zeros(len(level))
        change = np.abs(np.diff(self._slope, axis=0))
        if len(change) < 3:
            return found
        error = CERTAIN * np.maximum(level, share * self._size) / self._width
        largest = np.maximum.accumulate(change)
        is_left = np.full(len(level), True)
        for j in range(len(change) - 2):
            is_small = np.abs(self._value) <= _SMALL * self._size[j]
            is_left &= is_small & (j < self._count - 3)
            if not is_left.any():
                break
            if j:
                is_smooth = change[j + 1] > _ALIKE * change[j]
                is_smooth &= _ALIKE * change[j] > _ALIKE**2 * largest[j - 1]
                is_left &= ~is_smooth
            # Truncation would grow 13 to 170 times: these stay the same, or shrink.
            above = np.minimum(change[j + 1], change[j + 2])
            is_flat = (change[j] / _ALIKE <= above) & (above <= change[j])
            is_more = change[j] > error[j] + error[j + 1]
            found = np.where(
                is_left & is_flat & is_more, np.maximum(found, change[j]), found
            )
        return found


def jump_between(
    low: float,
    high: float,
    below: float,
    scatter: Callable[[float], float],
    by_chance: bool = True,
) -> tuple[float, float]:
    """The scatter above the jump that it makes between two steps, however close, and
    where; 0 if there is no jump.

    ``by_chance``: whether the scatter of two steps may be alike by chance.
    """
    found = {low: below, high: scatter(high)}
    limit = _LIMIT * found[high]
    for _ in range(_HALVINGS):
        if not by_chance and found[high] <= 2 * found[low]:
            return 0.0, low
        middle = sqrt(low * high)
        found[middle] = scatter(middle)
        low, high = (low, middle) if found[middle] > limit else (middle, high)
    # it is infinite where f overflows between them
    is_jump = 2 * found[low] < found[high] < inf
    return found[high] if is_jump else 0.0, low


def _last_place(values: Floats) -> Floats:
    """The power of two of which all values of each output are multiples, as of what was
    added last; 0 if all are the same.

    ``values``, (values, outputs), begin with f(x), and are NaN where f is undefined.
    """
    differs = (values != values[0]) & (values != 0) & ~np.isnan(values)
    mantissas, exponents = np.frexp(np.where(differs, values, 1.0))
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    last = np.ldexp((whole & -whole).astype(np.float64), exponents - 53)
    least = np.where(differs, last, inf).min(axis=0)
    return np.where(differs.any(axis=0), least, 0.0)
