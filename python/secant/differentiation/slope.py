"""The slope of a function along a line, with its error bar.

Central differences at halving steps, extrapolated (Richardson): column j of the table removes the terms of order 2, 4,
..., 2j of the truncation error. Of some dozen candidates the one with the least sum of truncation and noise is taken;
and since the best of many is now and then best by luck, its column is evaluated again at other steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from secant.differentiation.noise import Noise, Sample

_COLUMNS, _ROWS = 5, 34
_FIRST_STEP = 0.25
FRESH, FRESH_AGAIN = (0.71, 1.37), (0.59, 1.19)  # times the steps of the chosen column
_FINER = 4  # times that a step is quartered
_COVERAGE = 3.0  # error bars are so many times what is seen of truncation and noise
_TRUSTED = 30.0  # times the noise, that two estimates may differ by where only one column is looked at
_VISIBLE, LIKELY, SURE = 4.0, 8.0, 32.0  # times its noise: a jump of the slope
_DOUBTS, _DOUBTED = 3, 8.0  # how often, and how many times, noise is taken for larger where nothing can be seen


@dataclass(frozen=True)
class Slope:
    """A slope at 0, its error bar, and the jump of the slope there: not 0 where a kink is."""

    value: float
    error_bar: float
    jump: float


@dataclass(frozen=True)
class RichardsonColumn:
    """Which estimate to take: the smallest step, and how often it is extrapolated."""

    step: float
    index: int

    @property
    def farthest(self) -> float:
        """Its largest step."""
        return self.step * 2.0**self.index


class Line:
    """A function along a line: f, and f less the linear part that it is said to have; ``value`` is f at 0."""

    def __init__(self, sample: Sample, noise: Noise, value: float, fresh: tuple[float, float] = FRESH) -> None:
        self._sample = sample
        self._noise = noise
        self._value = value
        self._fresh = fresh
        self._sides: dict[float, tuple[float, float, float]] = {}

    def slope(self, column: RichardsonColumn | None = None, rough: bool = False) -> tuple[Slope, RichardsonColumn]:
        """Return the slope at 0, and the column that gave it; ``column`` is where to look first.

        ``rough``: where that column does, kinks are not looked for.
        """
        if column is not None:
            (value, noise), (other, _) = (self._estimate(column, factor) for factor in self._fresh)
            if abs(other - value) <= _TRUSTED * noise and self._settles(column.step * self._fresh[0]):
                if rough:
                    return Slope(value, _COVERAGE * max(noise, abs(other - value)), 0.0), column
                return self._measured(column, noise, value, other), column
        column, (value, error) = self._best()
        for _ in range(_DOUBTS):
            if isfinite(error):
                break
            self._noise = self._noise.times(_DOUBTED)
            column, (value, error) = self._best()
        fresh = [self._estimate(column, factor)[0] for factor in self._fresh]
        return self._measured(column, error, *fresh, value), column

    def _measured(self, column: RichardsonColumn, error: float, *values: float) -> Slope:
        value, bar = values[0], _COVERAGE * max(error, max(values) - min(values))
        factor = self._fresh[0]
        for _ in range(_FINER):  # values may agree for a while, and smaller steps not: near kinks
            factor /= 4
            finer, noise = self._estimate(column, factor)
            if not abs(finer - value) > max(bar, _COVERAGE * noise):
                break
            value, bar = finer, _COVERAGE * max(noise, abs(finer - value))
        jump, clear = self.jump(column)
        # A jump that the noise all but hides is no kink to be reported, but the slope may be off by it.
        return Slope(value, bar, jump) if clear > SURE else Slope(value, max(bar, jump), 0.0)

    def jump(self, column: RichardsonColumn, levels: int = 0) -> tuple[float, float]:
        """How much the slope jumps at 0, or may, as at a kink; and how clear that is.

        A second difference over the step tends to the jump. What is smooth adds terms of order 1, 3, ...: without the
        first one, halving the step leaves an eighth of the others, and all of a jump. Where noise hides that, a second
        difference that does not shrink may be a jump.

        ``levels``: how many times larger steps, of 8 times, are tried first. A jump is clearer there, but it is likely
        at most, and has to be seen at the next smaller steps too.
        """
        for level in range(levels, -1, -1):
            step = column.step * self._fresh[0] * 8**level
            jump, clear = self._jump(step)
            if not jump or (level and self._jump(step / 8)[0] < jump / 2):
                continue
            if self._persists(jump, step):
                return jump, min(clear, SURE) if level else clear
        return 0.0, 0.0

    def hidden(self, column: RichardsonColumn) -> float:
        """How large a jump may be that noise hides."""
        step = column.step * self._fresh[0]
        return 4 * _VISIBLE * self._error(step / 2) / step

    def _persists(self, jump: float, step: float) -> bool:
        """Whether a jump is there at smaller steps too, as far as noise lets it be seen: else it is a kink nearby."""
        for _ in range(_FINER):
            step /= 8
            if jump <= 8 * _VISIBLE * self._error(step / 2) / step:  # noise would hide it
                break
            if self._jump(step)[0] < jump / 2:
                return False
        return True

    def _jump(self, step: float) -> tuple[float, float]:
        nearest, near, far = (self._bend(factor * step) for factor in (0.5, 1, 2))
        jump, before = abs(2 * nearest - near), abs(2 * near - far)
        noise = self._error(step / 2) / step
        if jump > 4 * _VISIBLE * noise and before < 4 * jump:
            return jump, jump / (4 * noise) if noise else inf
        if abs(near) > 2 * _VISIBLE * noise and abs(far) < 1.5 * abs(near):
            return before, abs(near) / (2 * noise) if noise else inf
        return 0.0, 0.0

    def _best(self) -> tuple[RichardsonColumn, tuple[float, float]]:
        best, estimate, step = RichardsonColumn(_FIRST_STEP, 0), (0.0, inf), _FIRST_STEP
        rows: list[list[tuple[float, float]]] = []
        for _ in range(_ROWS):
            first = self._difference(step)
            if not isfinite(first[0]):
                rows = []
            elif not self._settles(step):  # all this is too far away to say anything of f at 0
                rows, estimate = [], (0.0, inf)
            else:
                rows.append(_extrapolated(first, rows[-1] if rows else []))
                for j, (value, noise) in enumerate(rows[-1]):
                    if len(rows) < j + 3:
                        continue
                    now, before = (abs(value - rows[-2][j][0]), abs(rows[-2][j][0] - rows[-3][j][0]))
                    if now > max(before / 2, 4 * noise):
                        continue
                    if now + noise < estimate[1]:
                        best, estimate = RichardsonColumn(step, j), (value, now + noise)
                if 3 * first[1] > estimate[1]:  # smaller steps are no better
                    break
            step /= 2
        return best, estimate

    def _estimate(self, column: RichardsonColumn, factor: float = 1.0) -> tuple[float, float]:
        """The value of a column at ``factor`` times its steps, and its noise."""
        row: list[tuple[float, float]] = []
        for i in range(column.index, -1, -1):
            row = _extrapolated(self._difference(column.step * factor * 2**i), row)
        return row[column.index]

    def _settles(self, step: float) -> bool:
        """Whether the even part of f shrinks with the step: by half at a kink, by three quarters where f is smooth."""
        near, far = abs(self._bend(step)), abs(self._bend(2 * step))
        return near * step <= _VISIBLE * self._error(step) or near <= 1.5 * far

    def _bend(self, step: float) -> float:
        up, down, _ = self._both(step)
        return (up - 2 * self._value + down) / step

    def _difference(self, step: float) -> tuple[float, float]:
        up, down, _ = self._both(step)
        return (up - down) / (2 * step), self._error(step) / step

    def _error(self, step: float) -> float:
        """The noise of a value at that distance."""
        return self._noise.at(self._both(step)[2])

    def _both(self, step: float) -> tuple[float, float, float]:
        if step not in self._sides:
            (f_up, up), (f_down, down) = self._sample(step), self._sample(-step)
            self._sides[step] = up, down, max(abs(f_up), abs(f_down))
        return self._sides[step]


def _extrapolated(first: tuple[float, float], above: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The next row of the table, of values and their noise, given its first element and the row above."""
    row = [first]
    for j, (value, noise) in enumerate(above[: _COLUMNS - 1], start=1):
        factor = 4.0**j
        last, own = row[-1]
        row.append((last + (last - value) / (factor - 1), (factor * own + noise) / (factor - 1)))
    return row
