"""When an error of a gradient is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_VERDICT = 1.5
"""An error is noticed where it is beyond so many error bars."""


class MeasuredError(NamedTuple):
    """The error of a gradient along a direction of which only a range is shifted, and
    its error bar.
    """

    error: float
    error_bar: float
    rounding: float
    """What the rounding of the candidate may change."""
    doubt: float = 0.0
    """By how much the slope may be another one, as that across the steps of f."""
    is_kink: bool = False
    """Whether x lies on a kink of f along that direction: then the slope is that
    between both sides.
    """

    @property
    def allowed(self) -> float:
        """Larger errors are wrong."""
        return _VERDICT * self.error_bar + self.rounding

    @property
    def wrong(self) -> bool:
        """Whether something is wrong there: also where the error is NaN, but not if
        nothing was measured.
        """
        return self.wrong_beyond(1.0)

    def wrong_beyond(self, factor: float) -> bool:
        """Whether something is wrong if that many times as much is allowed."""
        return not abs(
            self.error
        ) <= factor * self.allowed + self.doubt and self.error_bar < float("inf")

    @property
    def threshold(self) -> float:
        """What one probe alone notices for sure, however far its measurement is off
        within its error bar.
        """
        in_doubt = not abs(self.error) <= 2 * self.allowed
        return 2 * self.allowed + self.error_bar + (self.doubt if in_doubt else 0.0)


def noticed(probes: Sequence[MeasuredError]) -> bool:
    """Whether one of the probes is off by twice what is allowed, or two of them by more
    than that.

    One error bar is now and then too small, two at a time are not.
    """
    return (
        any(probe.wrong_beyond(2.0) for probe in probes)
        or sum(probe.wrong for probe in probes) > 1
    )
