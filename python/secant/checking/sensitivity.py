"""What is known of each array, and which errors of it would have been noticed: see docs/check_method.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from secant._common.validation import Floats
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.probing import Evidence
from secant.checking.report import ArrayReport, percent
from secant.checking.search import Suspects
from secant.differentiation.rounding import norm

_SLIGHT = 0.01  # of the slope to a point far from x: that all are 0 at x is verified if so much would be noticed
_FLAT = 1e-10  # of the size of f: that all slopes are 0 is verified if so much would be noticed
_BESIDE = 1e-6  # of the whole gradient: that an array is 0 is verified if so much would be noticed
_WIDE = 1e3  # times the shift of an entry: those that are shifted by more say nothing of it


@dataclass(frozen=True)
class Arrays:
    """The reports of arrays, from the evidence. ``doubt`` says why none of them is verified, if that is so."""

    probe: DirectionalProbe
    evidence: Evidence
    suspects: Suspects
    direction: Floats
    doubt: str

    def report(self, leaf: int) -> ArrayReport:
        """The report of an array."""
        point, is_wrong = self.probe.point, leaf in self.suspects.arrays
        size, least = self._contribution(leaf), self.evidence.threshold(leaf)
        report = ArrayReport(
            point.names[leaf],
            point.shapes[leaf],
            not is_wrong,
            2 * least / point.least_scales[leaf],
            *self.probe.candidate.size(leaf),
            norm_sensitivity=least / size if size else math.nan,
        )
        why = "" if is_wrong else self.doubt or self._why_unverified(leaf, report, least)
        off = self._relative_error(leaf, report.norm)
        return replace(report, passed=not (is_wrong or why), unverified=why, relative_error=off)

    def _relative_error(self, leaf: int, norm: float) -> float:
        """The norm of an array's error, beside that of what was measured; or, of few errors, beside the array's."""
        entries = [entry for entry in self.suspects.entries if entry.leaf == leaf]
        if not entries:
            return math.nan
        error = math.hypot(*(entry.numerical - entry.given for entry in entries))
        whole = math.hypot(*(entry.numerical for entry in entries))
        if leaf not in self.suspects.sampled:  # the other entries are right
            others = norm**2 - math.fsum(entry.given**2 for entry in entries)
            whole = math.hypot(whole, math.sqrt(max(others, 0.0)))
        noise = math.hypot(*(entry.error_bar for entry in entries))
        return error / whole if whole > noise else math.nan

    def _why_unverified(self, leaf: int, report: ArrayReport, least: float) -> str:
        if leaf in self.suspects.on_kinks:
            return "x lies on a kink of f: move x"
        if small := self._small_entries(leaf, least):
            return small
        size, is_seen = self._contribution(leaf), self._whole > 2 * least
        is_zero = not is_seen or self._is_zero(leaf)
        if 2 * least > (size if not is_zero else _BESIDE * self._whole if is_seen else self._slight):
            norm = f", and its norm is {report.norm:.1e}" if math.isfinite(report.norm) else ""
            hidden = "its steps hide" if self.probe.rises_in_steps else "noise hides"
            return f"{hidden} errors below {report.sensitivity:.1e}{norm}"
        if report.sensitivity > report.largest and not is_zero:
            single = percent(report.sensitivity / report.largest)
            return f"norm verified to {percent(least / size)}, but a single entry could be off by {single}"
        return ""

    def _contribution(self, leaf: int) -> float:
        return self.probe.candidate.contribution(self.direction, self.probe.point.spans[leaf])

    @property
    def _whole(self) -> float:
        """What all entries add; 0 where that is less than the noise of an f which has little."""
        whole = self.probe.candidate.contribution(self.direction, self.probe.point.all)
        return 0.0 if whole <= self.evidence.noise <= _FLAT * abs(self.probe.value) else whole

    def _is_zero(self, leaf: int) -> bool:
        """Whether an array is 0 but for its rounding; one that is small beside others by its steps alone is not."""
        rounding = self.probe.point.resolution**0.9
        sizes = [self.probe.candidate.size(each)[0] for each in range(len(self.probe.point.spans))]
        return self._contribution(leaf) <= rounding * self._whole and not sizes[leaf] > rounding * max(sizes)

    @property
    def _slight(self) -> float:
        """The largest error that may pass where the whole gradient is not seen, as at an optimum."""
        if self.probe.point.is_constant():
            return math.inf
        return max(_SLIGHT * self.evidence.steepest, 0.0 if self._whole else _FLAT * abs(self.probe.value))

    def _small_entries(self, leaf: int, threshold: float) -> str:
        """Why entries that are shifted by much less than others are not verified, if what they add is not seen."""
        gradient, span = self.probe.candidate.gradient, self.probe.point.spans[leaf]
        sizes = np.abs(span.of(self.direction))
        small = sizes * _WIDE < sizes.max()
        if gradient is None or not small.any():
            return ""
        add = norm(span.of(gradient)[small] * sizes[small])
        where = f"where x is small, in {small.sum():,} of {small.size:,} entries"
        return "" if add >= 2 * threshold else f"errors do not show in f {where}"
