"""What is known of each array, and which errors of it would have been noticed: see
docs/check_method.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.report import SMALL, ArrayReport, percent
from secant.checking.search import Entry, Evidence
from secant.differentiation.rounding import norm

# A gradient of 0 is verified if an error would show of this share of
_SLIGHT = 0.01  # the slope from x to a point far away,
_FLAT = 1e-10  # or of the size of f, if it is below the noise of f.

# An array of 0 is verified if an error of this share of the whole gradient would show.
# Where second derivatives jump at x, as of a squared ReLU at 0, errors below 7e-6 do
# not.
_BESIDE = 1e-5
# An array is 0 up to eps to this power of the whole: arrays of PyTorch's operators that
# are rightly 0 are up to eps**0.82.
_ROUNDED = 0.8

# Any other array is verified if errors of this share of it, and of its largest entry,
# would show.
_MOST = 0.5
# An entry is seen apart from those that are shifted by so many times as much.
_WIDE = 1e3


class Arrays:
    """The reports of arrays, from the evidence."""

    def __init__(self, probe: DirectionalProbe, evidence: Evidence) -> None:
        self._probe, self._evidence = probe, evidence
        self._adds = [
            probe.candidate.contribution(evidence.direction, whole)
            for whole in probe.point.wholes
        ]
        self._whole = probe.candidate.contribution(evidence.direction, probe.point.all)
        self._largest = float(np.abs(probe.candidate.given).max())

    def reports(self) -> tuple[ArrayReport, ...]:
        """Those of all arrays."""
        return tuple(map(self._report, range(len(self._adds))))

    def _report(self, leaf: int) -> ArrayReport:
        point = self._probe.point
        given = self._probe.candidate.given[point.wholes[leaf]]
        threshold = self._evidence.threshold(leaf)
        adds = self._adds[leaf]
        found = ArrayReport(
            point.names[leaf],
            point.shapes[leaf],
            passed=False,
            sensitivity=2 * threshold / point.least_scales[leaf],
            largest=float(np.abs(given).max()),
            norm=norm(given),
            relative_error=self._relative_error(leaf, given),
            norm_sensitivity=threshold / adds if adds else math.nan,
        )
        if leaf in self._evidence.wrong:
            return found
        why = self._unverified(leaf, found, threshold)
        return replace(found, passed=not why, unverified=why)

    def _relative_error(self, leaf: int, given: Floats) -> float:
        """The norm of an array's error, over the norm of what was measured.

        NaN if that is not known.
        """
        evidence = self._evidence
        has_wrong_entries = any(entry.wrong for entry in evidence.entries)
        if leaf in evidence.wrong and not has_wrong_entries and not self._remark:
            return self._error_along_directions()
        entries = [entry for entry in evidence.entries if entry.leaf == leaf]
        if not entries:
            return math.nan
        return self._error_of_entries(leaf, given, entries)

    def _error_along_directions(self) -> float:
        """The error of all wrong arrays together, over what these arrays add."""
        errors = [probe.error for probe in self._evidence.overall]
        error = math.hypot(*errors) / math.sqrt(len(errors))
        whole = math.hypot(*(self._adds[leaf] for leaf in self._evidence.wrong))
        return error / whole if whole else math.nan

    def _error_of_entries(
        self, leaf: int, given: Floats, entries: Sequence[Entry]
    ) -> float:
        """The error of an array of which these entries were measured.

        If they are a random sample, they stand for the array. If not, its other entries
        are right, but for what its own probe leaves.
        """
        found = [entry.found for entry in entries]
        numerical = np.array([each.numerical for each in found])
        errors = numerical - np.array([each.gradient for each in found])
        bars = np.array([each.error_bar for each in found])

        right, left = numerical, 0.0
        if leaf not in self._evidence.sampled:
            numbers = np.array([entry.number for entry in entries])
            right = given.copy()
            right[numbers - self._probe.point.wholes[leaf].start] = numerical
            left = self._left(leaf, numbers, errors)
        error, whole = math.hypot(norm(errors), left), norm(right)

        is_measured = whole > norm(bars)
        is_of_remark = bool(self._remark) and error < SMALL * whole
        return error / whole if is_measured and not is_of_remark else math.nan

    def _left(self, leaf: int, numbers: Any, errors: Floats) -> float:
        """About the norm of the error that an array's own probe shows beside these
        errors of entries.
        """
        direction = self._evidence.direction
        steps = direction[self._probe.point.spans[leaf]]
        probe = self._evidence.by_array[leaf][0]
        left = probe.error - float(errors @ direction[numbers])
        return left * math.sqrt(steps.size) / norm(steps)

    @property
    def _remark(self) -> str:
        """What else is wrong with the gradient: no error of its entries at x."""
        return self._probe.candidate.remark

    def _unverified(self, leaf: int, found: ArrayReport, threshold: float) -> str:
        """Why an array that seems right is not verified."""
        if self._evidence.doubt:
            return self._evidence.doubt
        if leaf in self._evidence.on_kinks:
            return "x lies on a kink of f: move x"
        return self._hidden(leaf, found, threshold)

    def _hidden(self, leaf: int, found: ArrayReport, threshold: float) -> str:
        """Why noise may hide most of an array, or most of an entry; empty if it does
        not.
        """
        detectable = 2 * threshold

        # The gradient of all arrays together is below the noise, as at an optimum.
        if self._whole <= detectable:
            return self._too_noisy(found) if detectable > self._slight() else ""

        # This array is rightly 0 beside the others: errors as small as a share of
        # theirs must show in it.
        if self._is_zero(leaf, found.largest):
            hides_the_array = detectable > _BESIDE * self._whole
            hides_an_entry = found.sensitivity > self._largest
            return self._too_noisy(found) if hides_the_array or hides_an_entry else ""

        # An ordinary array: small entries must show, most of the array, and most of its
        # largest entry.
        if hidden_entries := self._small_entries(leaf, threshold):
            return hidden_entries
        if detectable > _MOST * self._adds[leaf]:
            return self._too_noisy(found)
        if found.sensitivity > _MOST * found.largest:
            single = percent(found.sensitivity / found.largest)
            return (
                f"norm verified to {percent(found.norm_sensitivity)}, but a single"
                f" entry could be off by {single}"
            )
        return ""

    def _too_noisy(self, found: ArrayReport) -> str:
        """Say which errors are hidden, and by what."""
        hidden = "its steps hide" if self._probe.rises_in_steps else "noise hides"
        its_norm = (
            f", and its norm is {found.norm:.1e}" if math.isfinite(found.norm) else ""
        )
        return f"{hidden} errors below {found.sensitivity:.1e}{its_norm}"

    def _is_zero(self, leaf: int, largest: float) -> bool:
        """Whether an array is 0 but for its rounding; one that is small beside others
        by its steps alone is not.
        """
        rounding = self._probe.candidate.eps**_ROUNDED
        is_small = not largest > rounding * self._largest  # nor where that is not known
        return self._adds[leaf] <= rounding * self._whole and is_small

    def _slight(self) -> float:
        """The largest error that may pass where the whole gradient is not seen, as at
        an optimum.

        If f is constant, any error may pass if the gradient is 0 or f is known to
        depend on x; otherwise none may.
        """
        point = self._probe.point
        if point.is_constant:
            return math.inf if point.is_used or not self._whole else 0.0
        is_noise = self._whole <= self._probe.noise.near[0]
        return max(
            _SLIGHT * self._probe.steepest,
            _FLAT * abs(point.value) if is_noise else 0.0,
        )

    def _small_entries(self, leaf: int, threshold: float) -> str:
        """Why entries that are shifted by much less than others are not verified, if
        what they add is not seen.

        Those are seen together that are shifted by about as much.
        """
        span = self._probe.point.spans[leaf]
        sizes = np.abs(self._evidence.direction[span])
        smallness = np.maximum(sizes / sizes.max(), np.finfo(float).tiny)
        group = (np.log(smallness) / -math.log(_WIDE)).astype(int)
        squares = (self._probe.candidate.given[span] * sizes) ** 2
        adds = np.sqrt(np.bincount(group, squares))  # NaN of no gradient
        hidden = (group > 0) & (adds < 2 * threshold)[group]
        where = f"where x is small, in {hidden.sum():,} of {hidden.size:,} entries"
        return f"errors do not show in f {where}" if hidden.any() else ""
