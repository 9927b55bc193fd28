"""The slope of a function along a line, with its error bar, for gradient checks: "auto" has slopes.py.

Central differences at halving steps are extrapolated (Richardson). Of some dozen estimates the one with the least sum
of truncation and noise is taken. Since the best of many is now and then best by luck, its column is evaluated again at
other steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import NamedTuple

from secant.differentiation.noise import Noise, Sample, Sampler, coarse_noise

FRESH, FRESH_AGAIN = (0.71, 1.37), (0.59, 1.19)
"""Times the steps of the chosen column: where it is evaluated again."""
LIKELY, SURE = 8.0, 32.0
"""Times its noise: a jump of the slope that is likely one, and one that is reported."""

_COLUMNS = 5
_FIRST_STEP, _LAST_STEP = 0.25, 2.0**-35
_NEAREST = 2.0**-30  # a step that is outside of the domain of f only if this ends at x
_LUCK = 30.0  # times its error: fresh steps that differ by more say that an estimate was best by luck
_SEARCHES = 8  # each at smaller steps than the one before it, or with more noise
_FINER = 4  # smaller steps at which a slope or a jump has to hold
_COVERAGE = 3.0  # error bars are so many times what is seen of truncation and noise
_VISIBLE = 4.0  # times the noise of values: a second difference that is not noise
_SUDDEN = 64.0  # times more than at half of the step, where a fourth is left if f is smooth


@dataclass(frozen=True)
class Slope:
    """A slope at 0, its error bar, and the jump of the slope there: not 0 where a kink is."""

    value: float
    error_bar: float
    jump: float


class Estimate(NamedTuple):
    """An estimate of the slope, and what the noise of f may change in it."""

    value: float
    noise: float


@dataclass(frozen=True)
class RichardsonColumn:
    """Which estimate to take: its smallest step, and how often it is extrapolated."""

    step: float
    index: int

    @property
    def farthest(self) -> float:
        """Its largest step."""
        return self.step * 2.0**self.index


class RichardsonTable:
    """Central differences at halving steps, extrapolated, and the best estimate among them.

    Column j removes the first j terms of the truncation error: those of order 2, 4, ...; of one-sided differences those
    of order 1/2, 1, 3/2, ..., since many functions behave like a root at the end of their domain.

    Attributes
    ----------
    best : RichardsonColumn
    value, error : float
        Of the best estimate: the error is the sum of truncation and noise, inf while there is no estimate.
    suspicious : float
        The smallest step that was discarded, or at which central differences changed by much more than at half of it:
        kinks may be there, or jumps. 0 if there is none.
    step : float
        Of the next row.
    """

    def __init__(self, factor: float = 4.0) -> None:
        self._factor = factor
        self.best = RichardsonColumn(_FIRST_STEP, 0)
        self.value, self.error = 0.0, inf
        self.suspicious, self.step = 0.0, _FIRST_STEP
        self._rows: list[list[Estimate]] = []

    def restart(self) -> None:
        """Begin at smaller steps. The best estimate so far is kept."""
        self._rows = []

    def discard(self, step: float) -> None:
        """Begin at smaller steps than this, without any estimate."""
        self._rows, self.value, self.error, self.suspicious = [], 0.0, inf, step

    def add(self, step: float, difference: Estimate) -> bool:
        """Add the row that begins with the central difference at a step; return whether smaller steps may be better."""
        self._rows.append(_extrapolated(difference, self._rows[-1] if self._rows else [], self._factor))
        if len(self._rows) > 2:
            far, near, nearest = (row[0].value for row in self._rows[-3:])
            if abs(near - far) > _SUDDEN * max(abs(nearest - near), difference.noise):
                self.suspicious = 4 * step
        for j in range(min(len(self._rows) - 2, _COLUMNS)):
            older, old, new = (row[j] for row in self._rows[-3:])
            change, change_before = abs(new.value - old.value), abs(old.value - older.value)
            converges = change <= max(change_before / 2, 4 * new.noise)
            if converges and change + new.noise < self.error:
                self.best, self.value, self.error = RichardsonColumn(step, j), new.value, change + new.noise
        noise_of_smaller_steps = 3 * difference.noise
        return noise_of_smaller_steps <= self.error


def _extrapolated(first: Estimate, above: list[Estimate], base: float) -> list[Estimate]:
    """The next row of the table, given its first element and the row above: halving steps divides terms by the base."""
    row = [first]
    for j, (value, noise) in enumerate(above[: _COLUMNS - 1], start=1):
        factor, left = base**j, row[-1]
        extrapolated = left.value + (left.value - value) / (factor - 1)
        row.append(Estimate(extrapolated, (factor * left.noise + noise) / (factor - 1)))
    return row


class Line:
    """A function along a line: f, and f minus a predicted linear part; ``value`` is f at 0.

    With ``one_sided``, differences may be so, where the domain of f ends at 0; ``may_end`` says that it did along other
    lines. ``resolution`` is the relative rounding of the arguments: smaller steps do not move them.

    Attributes
    ----------
    coarse : float
        The noise of coarse parts of f that was found on the way; see `_is_coarse`.
    side : int
        1 or -1 where f has values on that side of 0 only.
    """

    def __init__(
        self,
        sample: Sampler,
        noise: Noise,
        value: float,
        fresh: tuple[float, float] = FRESH,
        *,
        one_sided: bool = False,
        may_end: bool = False,
        resolution: float = 0.0,
    ) -> None:
        self._one_sided, self._may_end = one_sided, may_end
        self._last_step, self._nearest = max(_LAST_STEP, resolution), max(_NEAREST, 4 * resolution)
        self.coarse, self.side = 0.0, 0
        self._noise = noise
        self._sample = sample
        self._value = value
        self._fresh = fresh
        self._known: dict[float, tuple[Sample, Sample]] = {}

    def slope(self, column: RichardsonColumn | None = None, rough: bool = False) -> tuple[Slope, RichardsonColumn]:
        """Return the slope at 0, and the column that gave it; ``column`` is tried first.

        ``rough``: if that column settles, kinks are not looked for.
        """
        if self._may_end:
            self._ends()
        if column is not None:
            first, second = (self._estimate(column, factor) for factor in self._fresh)
            difference = abs(second.value - first.value)
            agree = difference <= 30 * first.noise  # generous, since no other column is there to compare with
            if agree and self._settles(column.step * self._fresh[0]):
                if rough:
                    return Slope(first.value, _COVERAGE * max(first.noise, difference), 0.0), column
                return self._confirmed(column, first.noise, first.value, second.value), column
        table, fresh = self._searched()
        if self._is_coarse(table.suspicious):
            table, fresh = self._searched()
        return self._confirmed(table.best, table.error, *fresh, table.value), table.best

    def jump(self, column: RichardsonColumn, levels: int = 0) -> tuple[float, float]:
        """How much the slope jumps at 0, or may, as at a kink; and how clear that is.

        A second difference over the step tends to the jump. What is smooth adds terms of order 1, 3, ...: without the
        first one, halving the step leaves an eighth of the others, and all of a jump. Where noise hides that, a second
        difference that does not shrink may be a jump.

        ``levels``: how many larger steps are tried first, each 8 times the next. A jump is clearer there, but no more
        than likely, and has to be seen at the next smaller step too.
        """
        for level in range(levels, -1, -1):
            step = column.step * self._fresh[0] * 8**level
            jump, clear = self._jump(step)
            if not jump or (level and self._jump(step / 8)[0] < jump / 2):
                continue
            if self._persists(jump, step):
                return jump, min(clear, SURE) if level else clear
        return 0.0, 0.0

    def difference(self, step: float) -> float:
        """The central difference, or on the side where f has values the one-sided one."""
        return self._difference(step).value

    def steepest(self) -> float:
        """The largest slope from 0 to where f was evaluated, as far as it is not noise."""
        slopes = [0.0]
        for step, pair in self._known.items():
            changes = (abs(sample.value - self._value) - _VISIBLE * self._error(step) for sample in pair)
            slopes += [change / step for change in changes if isfinite(change)]
        return max(slopes)

    def hidden(self, column: RichardsonColumn) -> float:
        """How large a jump may be that noise hides."""
        return self._hidden(column.step * self._fresh[0])

    @property
    def _factor(self) -> float:
        return 2.0**0.5 if self.side else 4.0

    def _ends(self) -> bool:
        """Whether the domain of f ends at x, so that differences have to be one-sided from now on."""
        if self.side or not self._one_sided:
            return False
        above, below = (isfinite(self._sample(sign * self._nearest).rest) for sign in (1, -1))
        self.side = int(above) - int(below)
        if self.side:
            self._known = {step: self._mirrored(pair[self.side < 0]) for step, pair in self._known.items()}
        return self.side != 0

    def _mirrored(self, there: Sample) -> tuple[Sample, Sample]:
        """A value where there are any, and one as if f were odd: central differences are then one-sided ones."""
        other = there._replace(rest=2 * self._value - there.rest)
        return (there, other) if self.side > 0 else (other, there)

    def _fill(self, table: RichardsonTable) -> None:
        """Add rows while they may be better."""
        while table.step >= self._last_step:
            step = table.step
            table.step /= 2
            difference = self._difference(step)
            if not isfinite(difference.value):
                table.restart()
            elif not self._settles(step):  # all this is too far away to say anything of f at 0
                table.discard(step)
            elif not table.add(step, difference):
                break

    def _searched(self) -> tuple[RichardsonTable, list[float]]:
        """The table, and what its best column gives at fresh steps."""
        table, fresh = RichardsonTable(self._factor), list[float]()
        for _ in range(_SEARCHES):
            self._fill(table)
            if not isfinite(table.error) and self._ends():
                table = RichardsonTable(self._factor)
                continue
            if not isfinite(table.error):
                if not self._is_coarse(table.suspicious):  # there may be more noise than was seen
                    self._noise = self._noise.times(8)
                table = RichardsonTable(self._factor)
                continue
            fresh = [self._estimate(table.best, factor).value for factor in self._fresh]
            spread = max(*fresh, table.value) - min(*fresh, table.value)
            if spread <= _LUCK * table.error:
                break
            table.error = spread  # it was best by luck: smaller steps may be better
        return table, fresh

    def _is_coarse(self, step: float) -> bool:
        """Whether parts of f are rounded more coarsely than others; then there is more noise from now on.

        At tiny steps such parts stand still: what is smooth then, and its slope, are those of the other parts alone.
        """
        if not step or self.coarse:
            return False
        sample, side = self._sample, self.side
        self.coarse = coarse_noise((lambda at: sample(side * abs(at))) if side else sample, self._noise, step)
        if self.coarse > abs(self._value) > 0:  # no rounding is so coarse, but values near a pole scatter like that
            self.coarse = 0.0
        self._noise = self._noise._replace(near=max(self.coarse, self._noise.near))
        return self.coarse > 0

    def _estimate(self, column: RichardsonColumn, factor: float) -> Estimate:
        """What a column gives at ``factor`` times its steps."""
        row: list[Estimate] = []
        for i in range(column.index, -1, -1):
            row = _extrapolated(self._difference(column.step * factor * 2**i), row, self._factor)
        return row[column.index]

    def _confirmed(self, column: RichardsonColumn, error: float, *values: float) -> Slope:
        """The first of these values, unless smaller steps say something else: near kinks, values agree for a while."""
        value, bar = values[0], _COVERAGE * max(error, max(values) - min(values))
        factor = self._fresh[0]
        for _ in range(_FINER):
            factor /= 4
            finer = self._estimate(column, factor)
            change = abs(finer.value - value)
            if not change > max(bar, _COVERAGE * finer.noise):
                break
            value, bar = finer.value, _COVERAGE * max(finer.noise, change)
        jump, clear = self.jump(column)
        # A jump that the noise all but hides is no kink to be reported, but the slope may be off by it.
        return Slope(value, bar, jump) if clear > SURE else Slope(value, max(bar, jump), 0.0)

    def _jump(self, step: float) -> tuple[float, float]:
        nearest, near, far = (self._second_difference(factor * step) for factor in (0.5, 1, 2))
        jump, jump_before = abs(2 * nearest - near), abs(2 * near - far)  # without the term of order 1
        noise = self._error(step / 2) / step
        is_steady = jump_before < 4 * jump  # an eighth is left where f is smooth
        if jump > self._hidden(step) and is_steady:
            return jump, jump / (4 * noise) if noise else inf
        does_not_shrink = abs(far) < 1.5 * abs(near)  # it is halved where f is smooth
        if abs(near) > 2 * _VISIBLE * noise and does_not_shrink:
            return jump_before, abs(near) / (2 * noise) if noise else inf
        return 0.0, 0.0

    def _persists(self, jump: float, step: float) -> bool:
        """Whether a jump is there at smaller steps too, as far as noise lets it be seen: else it is a kink nearby."""
        for _ in range(_FINER):
            step /= 8
            if jump <= 2 * self._hidden(step):
                break
            if self._jump(step)[0] < jump / 2:
                return False
        return True

    def _hidden(self, step: float) -> float:
        """The largest jump that noise hides at a step."""
        return 4 * _VISIBLE * self._error(step / 2) / step

    def _settles(self, step: float) -> bool:
        """Whether the second difference does not grow with a smaller step: a kink keeps it, and smooth f halves it."""
        near, far = abs(self._second_difference(step)), abs(self._second_difference(2 * step))
        return near * step <= _VISIBLE * self._error(step) or near <= 1.5 * far

    def _difference(self, step: float) -> Estimate:
        up, down, _ = self._both(step)
        return Estimate((up - down) / (2 * step), self._error(step) / step)

    def _second_difference(self, step: float) -> float:
        """The second difference, over the step: at a kink the jump of the slope."""
        up, down, _ = self._both(step)
        return (up - 2 * self._value + down) / step

    def _error(self, step: float) -> float:
        """The noise of a value at that distance."""
        return self._both(step)[2]

    def _both(self, step: float) -> tuple[float, float, float]:
        """What is to be smooth, above and below 0; and the noise there."""
        if step not in self._known:
            self._known[step] = (
                self._mirrored(self._sample(self.side * step))
                if self.side
                else (self._sample(step), self._sample(-step))
            )
        up, down = self._known[step]
        size, rounding = max(abs(up.value), abs(down.value)), max(up.rounding, down.rounding)
        return up.rest, down.rest, self._noise.at(size, rounding)
