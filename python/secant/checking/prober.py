"""Slopes along directions, less what is said of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.checking.kinks import SMOOTH, WIDER
from secant.checking.point import Direction, Point, Span, chunks
from secant.checking.verdict import Measured, measured
from secant.differentiation.noise import Noise, Sample, noise, norm
from secant.differentiation.slope import FRESH, FRESH_AGAIN, Column, Line, Slope
from secant.errors import ValueRangeError

_ROUNDING_OF_ENTRIES = 16.0  # units in the last place that entries of a right gradient may be off


class Prober:
    """A function, a point, and the gradient that is said to be there."""

    def __init__(self, point: Point, rng: int, tell: Callable[[str, int, int], object] = lambda *_: None) -> None:
        self._start = time.perf_counter()
        self.point = point
        self._rng = np.random.default_rng(rng)
        self._looking = np.random.default_rng([rng, 1])  # the same directions whenever kinks are looked for
        self._tell = tell
        self._counted: tuple[str, int, int] | None = None  # what is told by evaluation: since when, of how many
        self._finest = point.resolution
        self._noise: Noise | None = None
        self._column: Column | None = None
        self._claim: list[Array] | None = None
        self._along: Callable[[Direction], float] | None = None
        self.kink = 0.0
        self.kinked: list[Span] | None = []
        """The entries that lie on kinks, each by itself; None where that cannot be told."""
        self.noticed_after = 0
        """Evaluations of f before it was clear that a probe of all entries is off: then kinks are looked for."""
        self._suspect: Direction | None = None
        self._value = point.require_sane()

    def claim(self, gradient: Any) -> None:
        """Take a gradient in the structure of x as what is said."""
        self._claim = [array.flatten() for array in self.point.like("gradient", gradient)]  # f may have them, too

    def claim_along(self, slope: Callable[[Direction], float]) -> None:
        """Take slopes along directions as what is said."""
        self._along = slope

    def direction(self) -> Direction:
        """Another random direction."""
        return self.point.direction(self._rng)

    def slope(self, direction: Direction, span: Span, again: bool = False) -> Slope:
        """The slope of f along a direction, less what is said of it; ``again`` at other steps."""
        return self._slope(self._line(direction, span, FRESH_AGAIN if again else FRESH))

    def _line(self, direction: Direction, span: Span, fresh: tuple[float, float] = FRESH) -> Line:
        sample = self._sample(direction, span)
        if self._noise is None:
            self._noise = noise(sample, self._finest)
        return Line(sample, self._noise, self._value, fresh)

    def _slope(self, line: Line, rough: bool = False) -> Slope:
        slope, self._column = line.slope(self._column, rough)
        if not math.isfinite(slope.error_bar):
            raise ValueRangeError(
                "f must have a slope at x, but it is not finite or not continuous around it: is scale= too large?"
            ) from self.point.steps.error
        return slope

    def _sample(self, direction: Direction, span: Span) -> Sample:
        said = self._said(direction, span)

        def sample(step: float) -> tuple[float, float]:
            if self._counted is not None:
                name, before, total = self._counted
                self._tell(name, self.point.evaluations - before, total)
            value, rest = self.point.shifted(direction, self._claim, step, span)
            return value, rest - step * said

        return sample

    def _confirmed(self, slope: Slope, direction: Direction) -> Slope:
        """The slope at other steps, unless it is much the same: the best of many may be so by luck."""
        other = self.slope(direction, self.point.all, again=True)
        return slope if abs(other.value - slope.value) < abs(slope.value) / 2 else other

    def _is_smooth(self) -> bool:
        return self._column is not None and self._column.farthest >= SMOOTH

    def _jump_of_half(self) -> tuple[float, float]:
        line = self._line(self.point.direction(self._looking, half=True), self.point.all)
        return line.jump(self._column or Column(SMOOTH, 0), WIDER)

    def measure(self, direction: Direction, span: Span, alone: bool = False) -> Measured:
        """How far what is said is off, along a direction of which only a span is shifted.

        ``alone``: it is enough to be beyond the jump of the slope along that direction.
        """
        line, rounding = self._line(direction, span), self._rounding(direction, span)
        slope = self._slope(line, rough=True)
        if measured(span, slope, 0.0, rounding).wrong:
            slope = self._slope(line)
        return measured(span, slope, slope.jump if alone else max(self.kink, slope.jump), rounding)

    def _said(self, direction: Direction, span: Span) -> float:
        """What is said of the slope, where it is not said of entries."""
        if self._along is None:
            return 0.0
        restricted = [np.zeros_like(part) for part in direction]
        for leaf, part in self.point.parts(span):
            restricted[leaf][part.begin : part.end] = direction[leaf][part.begin : part.end]
        return self._along(restricted)

    def _rounding(self, direction: Direction, span: Span) -> float:
        """What the rounding of its entries may change in the slope that a gradient says."""
        if self._claim is None:
            return _ROUNDING_OF_ENTRIES * self.point.resolution * abs(self._said(direction, span))
        sizes = []
        for leaf, part in self.point.parts(span):
            eps = _ROUNDING_OF_ENTRIES * float(np.finfo(self._claim[leaf].dtype).eps)
            for chunk in chunks(part):
                with np.errstate(over="ignore"):
                    said = self._claim[leaf][chunk].astype(np.float64) * direction[leaf][chunk]
                sizes.append(eps * norm(said))
        if not math.isfinite(size := math.hypot(*sizes)):  # all errors would be within that
            raise ValueRangeError("gradient must be small enough that its products with steps of x are finite")
        return size
