"""What is known of each array, and which errors of it would have been noticed: see
docs/check_method.md.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from secant._common.validation import Floats
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.report import SMALL, ArrayReport, percent
from secant.checking.search import Evidence
from secant.differentiation.rounding import norm

# of the slope to a point far from x: that all are 0 at x is verified if so much would
# be noticed
_SLIGHT = 0.01
# of the size of f: that all slopes are 0 is verified if so much would be noticed
_FLAT = 1e-10
# Where second derivatives jump at x, as of a squared ReLU at 0, errors below 7e-6 are
# not noticed.
# of the whole gradient: that an array is 0 is verified if so much would be noticed
_BESIDE = 1e-5
# eps to that: arrays of PyTorch's operators that are rightly 0 are up to eps**0.82 of
# the whole
_ROUNDED = 0.8
# of an array, and of its largest entry: errors of so much must show where they are not
# 0
_MOST = 0.5
# times the shift of an entry: those that are shifted by more say nothing of it
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
        point, least, adds = (
            self._probe.point,
            self._evidence.threshold(leaf),
            self._adds[leaf],
        )
        given, is_wrong = (
            self._probe.candidate.given[point.wholes[leaf]],
            leaf in self._evidence.wrong,
        )
        found = ArrayReport(
            point.names[leaf],
            point.shapes[leaf],
            passed=False,
            sensitivity=2 * least / point.least_scales[leaf],
            largest=float(np.abs(given).max()),
            norm=norm(given),
            relative_error=self._relative_error(leaf, given),
            norm_sensitivity=least / adds if adds else math.nan,
        )
        doubt = self._evidence.doubt or (
            "x lies on a kink of f: move x" if leaf in self._evidence.on_kinks else ""
        )
        why = "" if is_wrong else doubt or self._hidden(leaf, found, least)
        return replace(found, passed=not (is_wrong or why), unverified=why)

    def _relative_error(self, leaf: int, given: Floats) -> float:
        """The norm of an array's error, beside that of what was measured; or, of few
        errors, beside the array's.
        """
        evidence = self._evidence
        shows_at_once = leaf in evidence.wrong and not any(
            entry.wrong for entry in evidence.entries
        )
        remark = self._probe.candidate.remark  # is no error of the gradient at x
        if shows_at_once and not remark:
            whole = math.hypot(*(self._adds[wrong] for wrong in evidence.wrong))
            error = math.hypot(*(each.error for each in evidence.overall)) / math.sqrt(
                len(evidence.overall)
            )
            return error / whole if whole else math.nan
        entries = [entry for entry in evidence.entries if entry.leaf == leaf]
        if not entries:
            return math.nan
        numbers = np.array([entry.number for entry in entries])
        found = np.array(
            [
                (each.found.numerical, each.found.gradient, each.found.error_bar)
                for each in entries
            ]
        )
        measured, errors, bars = found[:, 0], found[:, 0] - found[:, 1], found[:, 2]
        right, rest = measured, 0.0
        # then all others are right, but for what the array's own probe leaves
        if leaf not in evidence.sampled:
            steps, right = (
                evidence.direction[self._probe.point.spans[leaf]],
                given.copy(),
            )
            right[numbers - self._probe.point.wholes[leaf].start] = measured
            left = evidence.by_array[leaf][0].error - float(
                errors @ evidence.direction[numbers]
            )
            rest = left * math.sqrt(steps.size) / norm(steps)
        error, whole = math.hypot(norm(errors), rest), norm(right)
        return (
            error / whole
            if whole > norm(bars) and not (remark and error < SMALL * whole)
            else math.nan
        )

    def _hidden(self, leaf: int, found: ArrayReport, threshold: float) -> str:
        """Why an array is not verified: noise may hide most of it, or most of an
        entry.
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
        group = (
            np.log(np.maximum(sizes / sizes.max(), np.finfo(float).tiny))
            / -math.log(_WIDE)
        ).astype(int)
        # NaN of no gradient
        adds = np.sqrt(
            np.bincount(group, (self._probe.candidate.given[span] * sizes) ** 2)
        )
        hidden = (group > 0) & (adds < 2 * threshold)[group]
        where = f"where x is small, in {hidden.sum():,} of {hidden.size:,} entries"
        return f"errors do not show in f {where}" if hidden.any() else ""
