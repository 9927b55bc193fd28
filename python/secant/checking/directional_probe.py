"""Directional derivatives minus the candidate's prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from secant.checking.candidate import Candidate
from secant.checking.point import Direction, EntryRange, Point
from secant.checking.verdict import MeasuredError, judged
from secant.differentiation.noise import Noise, Sample, Sampler, noise
from secant.differentiation.slope import FRESH, FRESH_AGAIN, Line, RichardsonColumn, Slope

_NEARBY = 2.0**-36
"""Steps within which a function that rises in steps is constant, if x is not rounded to more."""
_STEP = 2.0**-20
"""Of the size of f: more than rounding to float32 explains."""
_KINK_LEVELS = 2
"""Larger steps at which kinks are looked for: 8 and 64 times those of the derivative."""


@dataclass(frozen=True)
class Difference:
    """The derivative along a direction of which only a range is shifted, minus the candidate's prediction."""

    entries: EntryRange
    slope: Slope
    column: RichardsonColumn
    """The estimate that gave it: which steps, and how often they were extrapolated."""
    rounding: float
    """What the rounding of the candidate may change."""
    hidden_jump: float
    """How large a jump of the derivative may be that noise hides."""
    steepest: float
    """The largest slope from x to where f was evaluated."""

    def judged(self, kink: float = 0.0) -> MeasuredError:
        """What it says of the candidate, where kinks may change it so much."""
        return judged(self.entries, self.slope, kink, self.rounding)


class Stage(NamedTuple):
    """A part of the work, of which evaluations of f are steps: for the progress bar."""

    name: str
    begin: int
    total: int


class DirectionalProbe:
    """Measures along directions how far a candidate is off.

    The noise of f is measured along the first direction. Each derivative is tried first at the steps that suited the
    one before it.
    """

    stage: Stage | None = None

    def __init__(
        self,
        point: Point,
        candidate: Candidate,
        value: float,
        progress: Callable[[str, int, int], object] = lambda *_: None,
    ) -> None:
        self.point = point
        self.candidate = candidate
        self.progress = progress
        self.noise: Noise | None = None
        self.value = value
        self.column: RichardsonColumn | None = None  # whose steps are tried first
        self.domain_ends = False

    def noise_along(self, direction: Direction) -> Noise:
        """The noise of f: that which is known, else along this direction."""
        if self.noise is None:
            self.noise = noise(self._sample(direction, self.point.all, self.candidate), self.point.resolution)
        return self.noise

    def difference(self, direction: Direction, entries: EntryRange, again: bool = False) -> Difference:
        """The derivative along a direction minus the prediction; ``again`` at other steps."""
        line = self._line(direction, entries, self.candidate, FRESH_AGAIN if again else FRESH)
        slope, column = self._slope(line)
        rounding = self.candidate.rounding(direction, entries)
        return Difference(entries, slope, column, rounding, line.hidden(column), line.steepest())

    def measure(
        self, direction: Direction, entries: EntryRange, kink: float, candidate: Candidate | None = None
    ) -> MeasuredError:
        """How far the candidate is off along a direction, where kinks may change so much: roughly, if it seems right.

        ``candidate``: another one than the probe's own.
        """
        candidate = candidate or self.candidate
        line, rounding = self._line(direction, entries, candidate), candidate.rounding(direction, entries)
        slope, _ = self._slope(line, rough=True)
        if judged(entries, slope, 0.0, rounding).wrong:
            slope, _ = self._slope(line)
        return judged(entries, slope, max(kink, slope.jump), rounding)

    def jump(self, direction: Direction, column: RichardsonColumn) -> tuple[float, float]:
        """How much the derivative along a direction jumps at x, and how clear that is."""
        levels = sum(column.step * 8.0**level <= 0.25 for level in range(1, _KINK_LEVELS + 1))
        return self._line(direction, self.point.all, self.candidate).jump(column, levels)

    def is_constant(
        self, direction: Direction, entries: EntryRange, steps: Sequence[float], within: float = 0.0
    ) -> bool:
        """Whether f has its value at x at these steps, too: to the last bit, or within what it may be off by."""
        sample = self._sample(direction, entries, self.candidate)
        return all(abs(sample(step).value - self.value) <= within for step in steps)

    def rises_in_steps(self, direction: Direction) -> bool:
        """Whether f is constant near x, and its noise more than rounding explains: then 0 may be its gradient."""
        near = max(_NEARBY, 4 * self.point.resolution)
        is_constant = self.is_constant(direction, self.point.all, (near, -near))
        return is_constant and self.noise is not None and self.noise.near > _STEP * abs(self.value)

    def _line(
        self,
        direction: Direction,
        entries: EntryRange,
        candidate: Candidate,
        fresh: tuple[float, float] = FRESH,
    ) -> Line:
        sample = self._sample(direction, entries, candidate)
        resolution = self.point.resolution
        return Line(
            sample,
            self.noise_along(direction),
            self.value,
            fresh,
            one_sided=True,
            may_end=self.domain_ends,
            resolution=resolution,
        )

    def _sample(self, direction: Direction, entries: EntryRange, candidate: Candidate) -> Sampler:
        predicted = candidate.along(direction, entries)
        shifted = self.point.sampler(direction, candidate.arrays, entries)

        def sample(step: float) -> Sample:
            if self.stage is not None:
                self.progress(self.stage.name, self.point.evaluations - self.stage.begin, self.stage.total)
            value, rest, rounding = shifted(step)
            return Sample(value, rest - step * predicted, rounding)

        return sample

    def _slope(self, line: Line, rough: bool = False) -> tuple[Slope, RichardsonColumn]:
        slope, self.column = line.slope(self.column, rough)
        self.domain_ends |= line.side != 0
        if self.noise is not None and line.coarse > self.noise.near:
            self.noise = self.noise._replace(near=line.coarse)
        return slope, self.column
