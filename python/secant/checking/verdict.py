"""When an error of a gradient is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from secant.checking.point import EntryRange
from secant.differentiation.slope import Slope

_VERDICT = 3.0
"""An error is noticed where it is beyond so many error bars."""


class MeasuredError(NamedTuple):
    """The error of a gradient along a direction of which only a range is shifted, and its error bar."""

    entries: EntryRange
    error: float
    error_bar: float
    allowed: float  # larger ones are wrong

    @property
    def wrong(self) -> bool:
        """Whether something is wrong in the range: also where the error is NaN."""
        return self.wrong_by_more_than(0.0)

    def wrong_by_more_than(self, more: float) -> bool:
        """Whether something is wrong even if so much more is allowed."""
        return not abs(self.error) <= self.allowed + more


def judged(entries: EntryRange, difference: Slope, kink: float, rounding: float) -> MeasuredError:
    """What a directional derivative minus the prediction says.

    Parameters
    ----------
    entries : EntryRange
        What was shifted.
    difference : Slope
    kink, rounding : float
        What kinks and the rounding of the gradient's entries may change in it.
    """
    allowed = _VERDICT * (difference.error_bar + kink) + rounding
    return MeasuredError(entries, difference.value, difference.error_bar, allowed)


def noticed(probes: Sequence[MeasuredError]) -> bool:
    """Whether one of the probes is off by twice what is allowed, or two of them by more than that.

    One error bar is now and then too small, two at a time are not.
    """
    return any(not abs(probe.error) <= 2 * probe.allowed for probe in probes) or sum(p.wrong for p in probes) > 1


def is_verified(contribution: float, threshold: float, zero: float, unseen: float) -> bool:
    """Whether an array was looked at: a gradient without it would not pass.

    An array that is 0 but for its rounding, such as the gradient of a bias before a batch normalization, has no size to
    compare with.

    Parameters
    ----------
    contribution : float
        What the array, or a part of it, adds to the derivative along a direction.
    threshold : float
        What is noticed for sure.
    zero : float
        Contributions up to that are 0 but for their rounding.
    unseen : float
        Of an array that is 0, errors up to that may pass.
    """
    return 2 * threshold <= (unseen if contribution <= zero else contribution)


def seen_for_sure(probe: MeasuredError) -> float:
    """What one probe alone notices, however far its measurement is off within its error bar."""
    return 2 * probe.allowed + probe.error_bar
