"""What is known of each array, and which errors of it would have been noticed: see docs/check_method.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from secant.checking.directional_probe import DirectionalProbe
from secant.checking.kinks import KinkedRange, Kinks
from secant.checking.point import Direction, EntryRange
from secant.checking.probing import OverallProbes
from secant.checking.report import ArrayReport, some
from secant.checking.verdict import MeasuredError, is_verified, seen_for_sure
from secant.differentiation.noise import norm

_FLAT = 1e-10  # of the size of f: that all slopes are 0 is verified if so much would be noticed
_FAR = (0.25, -0.11), (0.02, -0.009), (3e-3, -1.3e-3), (4e-4, -1.8e-4)
"""Steps at which an f that does not depend on an array has one value: far from x, else nearer, as f may jump."""
_ROUNDED = 16.0  # times the noise of f: of what is rounded to 0, the rest is not more
_BESIDE = 1e-6  # of the whole gradient: that an array is 0 is verified if so much would be noticed
_WIDE = 1e3  # times the shift of an entry: those that are shifted by more say nothing of it
_VISIBLE = 0.01  # of the largest entry: f has one value because it does not depend on an array, not by its rounding

Seen = tuple[EntryRange, float]
"""A part of an array, and which contribution of it would be noticed for sure."""


def array_reports(
    probe: DirectionalProbe,
    overall: OverallProbes,
    groups: Sequence[MeasuredError],
    kinks: Kinks,
    confidence: float,
    suspect_arrays: set[int],
    doubt: str,
    direction: Direction,
) -> tuple[ArrayReport, ...]:
    """The reports of all arrays; ``doubt`` says why none of them is verified, if that is so."""
    point, candidate = probe.point, probe.candidate
    thresholds = list(map(seen_for_sure, overall.probes))
    mean = math.exp(sum(map(math.log, thresholds)) / len(thresholds)) if min(thresholds) > 0 else 0.0
    density = math.sqrt(2) * (1 if point.signs_are_random else 2)
    spread = density * mean * (1 - confidence) ** (-1 / len(thresholds))
    sizes = [candidate.size(leaf) for leaf in range(len(point.origin))]
    zeros = _Zeros(probe, overall, direction, [largest for largest, _ in sizes])
    were_found = not overall.kink or len(kinks.found) > 0  # else what looked like kinks is noise, or curved
    on_kinks = {kinked.entries for kinked in kinks.found}
    smooth = [group for group in groups if group.entries not in on_kinks]
    reports = []
    for leaf, (array, own) in enumerate(zip(point.origin, point.spans, strict=True)):
        covering = [group for group in smooth if group.entries.begin < own.end and own.begin < group.entries.end]
        kinked = [entry for entry in kinks.found if own.begin <= entry.entries.begin < own.end]
        are_told_apart = were_found and all(entry.entries.size == 1 for entry in kinked)
        in_groups = [(group.entries & own, seen_for_sure(group)) for group in covering] if are_told_apart else []
        least = min(max(thresholds), max((threshold for _, threshold in in_groups), default=math.inf))
        smallest = point.least_scale(leaf)
        report = ArrayReport(
            point.names[leaf],
            array.shape,
            leaf not in suspect_arrays,
            2 * least / smallest,
            spread / math.sqrt(array.size) / smallest,
            *sizes[leaf],
        )
        is_known = zeros.are_seen(leaf, [(own, max(thresholds)), *in_groups])
        if not are_told_apart:  # jumps are allowed in ranges that may hide any of their entries
            is_known = is_known and not report.sensitivity > report.largest
        elif not is_known:
            is_known = (bool(kinked) and not covering) or zeros.stands_still(leaf, own)
        why = doubt or _why_of_kinks(probe, kinked, kinks, own)
        if not why and not is_known:
            why = _why_unverified(report, overall.kink > 0)
        why = why or zeros.why_of_small_entries(leaf, least)
        reports.append(replace(report, passed=False, unverified=why) if report.passed and why else report)
    return tuple(reports)


class _Zeros:
    """Whether an array was looked at, also if the candidate is 0 there, or 0 but for its rounding."""

    def __init__(
        self, probe: DirectionalProbe, overall: OverallProbes, direction: Direction, largest: Sequence[float]
    ) -> None:
        self._probe, self._direction, self._largest = probe, direction, largest
        point, candidate = probe.point, probe.candidate
        self._noise = probe.noise.near if probe.noise else 0.0
        self._whole = candidate.contribution(direction, point.all)
        if self._whole:
            self._zero, self._unseen = point.resolution**0.9 * self._whole, _BESIDE * self._whole
        else:
            steepest = max(0.01 * overall.steepest, _FLAT * abs(probe.value))
            self._zero, self._unseen = 0.0, math.inf if point.is_constant() else steepest

    def are_seen(self, leaf: int, seen: Sequence[Seen]) -> bool:
        """Whether an error as large as a part of the array would be noticed."""
        zero = self._largest_zero(leaf)
        return any(is_verified(self._contribution(part), threshold, zero, self._unseen) for part, threshold in seen)

    def why_of_small_entries(self, leaf: int, threshold: float) -> str:
        """Why entries that are shifted by much less than others are not verified, if what they add is not seen."""
        arrays, sizes = self._probe.candidate.arrays, np.abs(self._direction[leaf])
        small = sizes * _WIDE < sizes.max()
        if arrays is None or not small.any():
            return ""
        add = norm(arrays[leaf][small].astype(np.float64) * sizes[small])
        where = f"where x is small, in {small.sum():,} of {small.size:,} entries"
        return "" if add >= 2 * threshold else f"errors do not show in f {where}"

    def stands_still(self, leaf: int, own: EntryRange) -> bool:
        """Whether f has one value around x where the candidate is 0: up to its noise if that is all there is."""
        if self._whole <= _ROUNDED * self._noise <= _FLAT * abs(self._probe.value):
            return self._probe.is_constant(self._direction, own, _FAR[0], _ROUNDED * self._noise)
        if self._contribution(own) > self._largest_zero(leaf):
            return False
        steepest = max(self._largest)
        if self._whole and math.isfinite(steepest):
            shown = steepest * self._probe.point.least_scale(leaf)
        else:
            shown = max(self._whole, abs(self._probe.value))
        far = [steps for steps in _FAR if self._noise <= _VISIBLE * min(map(abs, steps)) * shown]
        return any(self._probe.is_constant(self._direction, own, steps) for steps in far)

    def _largest_zero(self, leaf: int) -> float:
        """What is 0 but for its rounding. An array may be small beside others by its steps alone: then it is not 0."""
        has_size = self._largest[leaf] > self._probe.point.resolution**0.9 * max(self._largest)
        return 0.0 if has_size else self._zero

    def _contribution(self, part: EntryRange) -> float:
        return self._probe.candidate.contribution(self._direction, part)


def _why_of_kinks(probe: DirectionalProbe, kinked: Sequence[KinkedRange], kinks: Kinks, own: EntryRange) -> str:
    outside = [entry for entry in kinked if entry.entries.size == 1 and not entry.is_between]
    if outside:
        where = some([probe.point.name(entry.entries.begin) for entry in outside])
        return f"on a kink, and not between the slopes of both sides: {where}"
    if any((entries & own).size > 0 for entries in kinks.undecided):
        return "it seems wrong, but kinks at x may explain it, also such as noise hides"
    return ""


def _why_unverified(report: ArrayReport, kink: bool) -> str:
    cause = "kinks at x hide" if kink else "noise hides"
    norm = f", and its norm is {report.norm:.1e}" if math.isfinite(report.norm) else ""
    return f"{cause} errors below {report.sensitivity:.1e}{norm}"
