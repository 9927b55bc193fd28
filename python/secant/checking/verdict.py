"""When an error of a gradient is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from secant.checking.point import Span
from secant.differentiation.slope import Slope

_VERDICT = 3.0
"""A slope is wrong where it is beyond so many error bars."""


class Measured(NamedTuple):
    """The error of a gradient along a direction of which only a span is shifted, and its error bar."""

    span: Span
    error: float
    error_bar: float
    allowed: float  # larger ones are wrong

    @property
    def wrong(self) -> bool:
        """Whether something is wrong in the span: also where the error is NaN."""
        return not abs(self.error) <= self.allowed


def noticed(probes: Sequence[Measured]) -> bool:
    """Whether one of the probes is off by twice what is allowed, or two of them by more than that.

    One error bar is now and then too small, two at a time are not.
    """
    return any(not abs(probe.error) <= 2 * probe.allowed for probe in probes) or sum(p.wrong for p in probes) > 1


def seen_for_sure(probe: Measured) -> float:
    """What one probe alone notices, however far its measurement is off within its error bar."""
    return 2 * probe.allowed + probe.error_bar


def measured(span: Span, slope: Slope, kink: float, rounding: float) -> Measured:
    """What a slope says of an error, where kinks and the rounding of the gradient's entries may change it."""
    return Measured(span, slope.value, slope.error_bar, _VERDICT * (slope.error_bar + kink) + rounding)
