"""What is known of each array, and which errors of it would have been noticed: see docs/check_method.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from secant.checking.directional_probe import DirectionalProbe
from secant.checking.kinks import Kinks
from secant.checking.point import Direction
from secant.checking.probing import OverallProbes
from secant.checking.report import ArrayReport, some
from secant.checking.verdict import MeasuredError, is_verified, seen_for_sure

_FLAT = 1e-10  # of the size of f: that all slopes are 0 is verified if so much would be noticed
_FAR = (0.25, -0.11), (0.02, -0.009)  # steps at which an f that does not depend on an array has one value; near x, too
_ROUNDED = 16.0  # times the noise of f: of what is rounded to 0, the rest is not more
_BESIDE = 1e-6  # of the whole gradient: that an array is 0 is verified if so much would be noticed
_VISIBLE = 0.01  # of the largest entry: f has one value because it does not depend on an array, not by its rounding


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
    if whole := candidate.contribution(direction, point.all):
        zero, unseen = point.resolution**0.9 * whole, _BESIDE * whole
    else:
        zero, unseen = 0.0, math.inf if point.is_constant() else max(0.01 * overall.steepest, _FLAT * abs(probe.value))
    noise = probe.noise.near if probe.noise else 0.0
    is_zero = whole <= _ROUNDED * noise <= _FLAT * abs(probe.value)
    sizes = [candidate.size(leaf) for leaf in range(len(point.origin))]
    steepest = max(largest for largest, _ in sizes)
    were_found = not overall.kink or len(kinks.found) > 0  # else what looked like kinks is noise, or curved
    on_kinks = {kinked.entries for kinked in kinks.found}
    smooth = [group for group in groups if group.entries not in on_kinks]
    reports = []
    for leaf, (array, own) in enumerate(zip(point.origin, point.spans, strict=True)):
        covering = [group for group in smooth if group.entries.begin < own.end and own.begin < group.entries.end]
        kinked = [entry for entry in kinks.found if own.begin <= entry.entries.begin < own.end]
        are_told_apart = were_found and all(entry.entries.size == 1 for entry in kinked)
        seen = [(own, max(thresholds))]
        if are_told_apart:
            seen += [(group.entries & own, seen_for_sure(group)) for group in covering]
        least = min(seen[0][1], max((threshold for _, threshold in seen[1:]), default=math.inf))
        smallest = point.least_scale(leaf)
        density = math.sqrt(2) * (1 if point.signs_are_random else 2)
        spread = density * mean * (1 - confidence) ** (-1 / len(thresholds)) / math.sqrt(array.size)
        report = ArrayReport(
            point.names[leaf],
            array.shape,
            leaf not in suspect_arrays,
            2 * least / smallest,
            spread / smallest,
            *sizes[leaf],
        )
        has_size = sizes[leaf][0] > point.resolution**0.9 * steepest  # though its steps may make it small beside others
        own_zero = 0.0 if has_size else zero
        outside = [entry for entry in kinked if entry.entries.size == 1 and not entry.is_between]
        is_known = (bool(kinked) and not covering and are_told_apart) or any(
            is_verified(candidate.contribution(direction, part), threshold, own_zero, unseen)
            for part, threshold in seen
        )
        if not are_told_apart:  # jumps are allowed in ranges that may hide any of their entries
            is_known = is_known and not report.sensitivity > report.largest
        elif not is_known and is_zero:
            is_known = probe.is_constant(direction, own, _FAR[0], _ROUNDED * noise)
        elif not is_known and not candidate.contribution(direction, own):
            shown = steepest * smallest if whole and math.isfinite(steepest) else max(whole, abs(probe.value))
            far = [steps for steps in _FAR if noise <= _VISIBLE * min(map(abs, steps)) * shown]
            is_known = any(probe.is_constant(direction, own, steps) for steps in far)
        if doubt:
            why = doubt
        elif outside:
            where = some([point.name(entry.entries.begin) for entry in outside])
            why = f"on a kink, and not between the slopes of both sides: {where}"
        elif any((entries & own).size > 0 for entries in kinks.undecided):
            why = "it seems wrong, but kinks at x may explain it, also such as noise hides"
        elif not is_known:
            why = _why_unverified(report, overall.kink > 0)
        else:
            why = ""
        reports.append(replace(report, passed=False, unverified=why) if report.passed and why else report)
    return tuple(reports)


def _why_unverified(report: ArrayReport, kink: bool) -> str:
    cause = "kinks at x hide" if kink else "noise hides"
    norm = f", and its norm is {report.norm:.1e}" if math.isfinite(report.norm) else ""
    return f"{cause} errors below {report.sensitivity:.1e}{norm}"
