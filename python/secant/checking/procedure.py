"""What a check does: probes of all entries, of groups of them, and the search for those that are wrong."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secant._common import validation
from secant._common.interrupts import held_interrupts
from secant._common.progress import Progress
from secant._common.randomness import seed
from secant.checking.candidate import Candidate
from secant.checking.diagnosis import Diagnosis, Entry, diagnosed
from secant.checking.directional_probe import Difference, DirectionalProbe, Stage
from secant.checking.kinks import KinkedEntry, Kinks, allowance, bisect_kinks, may_lie_on_kinks, measure_kinks
from secant.checking.point import Direction, EntryRange, Point
from secant.checking.report import ArrayReport, Finding, GradientReport, entry_name, some
from secant.checking.search import search
from secant.checking.verdict import MeasuredError, is_verified, noticed, seen_for_sure
from secant.errors import ValueRangeError

MAX_EVALUATIONS = 100
"""Evaluations of f of a check that passes, unless more are allowed."""
_PROBES, _SEARCH_EVALUATIONS, _KINK_EVALUATIONS = 4, 5000, 1000
_CLEAR = 1000.0
_FLAT = 1e-8  # of the size of f: that a slope is 0 is verified if a hundredth of this would be noticed
_HIDDEN = 1e-5  # of the jumps along other directions: so small it is all but surely none, and not several that cancel


def run_check(
    point: Point,
    candidate: Callable[[], Candidate],
    *,
    max_evaluations: int | None = None,
    confidence: float = 1 - 1e-6,
    max_findings: int = 20,
    entries: bool = False,
    progress: bool = False,
    rng: int = 0,
    locate: bool = True,
) -> GradientReport:
    """Check a candidate at a point, and leave the point as it was.

    ``candidate`` is called once it is known that f is a function. The options are those of `check_gradient`. Without
    ``locate``, wrong entries are not searched for where the verdict does not need that.
    """
    given = MAX_EVALUATIONS if max_evaluations is None else max_evaluations
    options = _Options(
        validation.positive_int("max_evaluations", given),
        _probability(confidence),
        validation.positive_int("max_findings", max_findings),
        validation.flag("entries", entries),
        seed(rng),
        locate,
    )
    with Progress(validation.flag("progress", progress)) as shown:
        return _restored(point, candidate, options, shown)


@dataclass(frozen=True)
class _Options:
    max_evaluations: int
    confidence: float
    max_findings: int
    every_entry: bool
    seed: int
    locate: bool


def _probability(confidence: float) -> float:
    value = validation.finite_number("confidence", confidence, above=0)
    if value >= 1:
        raise ValueRangeError(f"confidence must be less than 1, got {confidence!r}")
    return value


def _restored(
    point: Point, candidate: Callable[[], Candidate], options: _Options, progress: Progress
) -> GradientReport:
    """Check, and put x back."""
    try:
        return _check(point, candidate, options, progress)
    finally:
        try:
            with held_interrupts():
                point.restore()
        finally:  # also where an interrupt came before it could be held
            point.restore()


def _check(point: Point, candidate: Callable[[], Candidate], options: _Options, progress: Progress) -> GradientReport:
    start = time.perf_counter()
    rng, kink_rng = np.random.default_rng(options.seed), np.random.default_rng([options.seed, 1])
    value = point.require_sane()
    given = candidate()
    probe = DirectionalProbe(point, given.with_finite_entries(), value, progress)
    probe.stage = Stage("probing", 0, options.max_evaluations)

    overall = probe_all(probe, options.max_evaluations, rng, kink_rng)
    if point.standstill() and (in_place := point.at_x_itself()) is not None:
        return _restored(in_place, lambda: given, options, progress)
    kinks, groups = Kinks(overall.kink), []
    if not noticed(overall.probes):
        groups = probe_groups(probe, overall, options.max_evaluations, rng)
        if overall.kink:
            kinks, groups = set_kinks_apart(probe, overall.kink, rng)
    wrong = any(map(len, given.non_finite())) or noticed(overall.probes) or any(group.wrong for group in groups)

    every: list[Entry] = []
    if options.every_entry:
        probe.stage = None
        every = measure_every_entry(probe, given, kinks, rng)
        wrong = wrong or any(entry.wrong for entry in every)

    direction = point.direction(rng)
    doubt = point.standstill()
    if wrong and not given.contribution(direction, point.all) and probe.rises_in_steps(direction):
        wrong, doubt = (
            False,
            "f is constant near x and rises in steps: a gradient of 0 may be right, or that across them",
        )
    suspects = Suspects([], set(), None)
    if wrong and (options.locate or overall.kink):
        direction = point.direction(rng) if overall.suspect is None else overall.suspect
        probe.stage = Stage("searching", point.evaluations, _SEARCH_EVALUATIONS)
        suspects = find_suspects(probe, given, direction, kinks, groups, options.max_findings, rng)
        if overall.kink and not suspects.arrays and noticed(overall.probes):  # jumps may be it, or hide what is wrong
            kinks, groups = set_kinks_apart(probe, overall.kink, rng)
            if any(group.wrong for group in groups):
                suspects = find_suspects(probe, given, direction, kinks, groups, options.max_findings, rng)
    suspect_arrays = suspects.arrays | {entry.leaf for entry in every if entry.wrong}
    count = len(point.spans)
    # On a kink, jumps may cancel along a direction: then it proves nothing unless an array is wrong by itself.
    if wrong and not overall.kink:
        suspect_arrays = suspect_arrays or set(range(count))
    arrays = array_reports(
        probe, overall, groups, kinks, options.confidence, suspect_arrays, doubt, point.direction(rng)
    )

    listed = sorted(every, key=lambda entry: -abs(entry.numerical - entry.given)) if every else suspects.entries
    return GradientReport(
        passed=all(array.passed for array in arrays),
        findings=tuple(_finding(point, entry) for entry in listed if entry.wrong)[: options.max_findings * count],
        arrays=arrays,
        diagnosis=suspects.diagnosis and suspects.diagnosis.text,
        evidence=suspects.diagnosis and suspects.diagnosis.evidence,
        confidence=options.confidence,
        evaluations=point.evaluations,
        noise=(probe.noise.near if probe.noise else 0.0) / (abs(value) or 1.0),
        seconds=time.perf_counter() - start,
        kink=overall.kink > 0,
        entries=tuple(_finding(point, entry) for entry in every),
        kinked=tuple(_name(point, entries.begin) for entries in kinks.entries or ()),
        note="" if wrong else doubt,
        examined=len(every) or len(suspects.entries),
    )


@dataclass(frozen=True)
class OverallProbes:
    """What probes of all entries found.

    Attributes
    ----------
    probes : list of MeasuredError
    kink : float
        What is allowed for kinks; 0 unless x lies on some.
    suspect : list of ndarray, optional
        The last direction along which something seemed wrong.
    cost : int
        Evaluations of f of the last probe.
    noticed_after : int
        Evaluations of f before it was clear that something is off; 0 if it is not, but for kinks.
    steepest : float
        The largest slope from x to where f was evaluated.
    """

    probes: list[MeasuredError]
    kink: float
    suspect: Direction | None
    cost: int
    noticed_after: int
    steepest: float


def probe_all(
    probe: DirectionalProbe, max_evaluations: int, rng: np.random.Generator, kink_rng: np.random.Generator
) -> OverallProbes:
    """Probe all entries along a few directions, and look for kinks once where something calls for it."""
    point = probe.point
    differences: list[Difference] = []
    suspect: Direction | None = None
    jumps: list[float] | None = None
    noticed_after = 0
    while not noticed_after:
        before, noise_before = point.evaluations, probe.noise
        direction = point.direction(rng)
        try:
            difference = _confirmed(probe, probe.difference(direction, point.all), direction)
            is_aligned = probe.domain_ends and point.align_zeros()
        except ValueRangeError:
            if not (is_aligned := point.align_zeros()):
                raise
        if is_aligned:  # entries that are 0 may lie where the domain of f ends: begin again
            differences.clear()
            probe.noise = None
            continue
        cost = point.evaluations - before
        if probe.noise != noise_before:  # coarse parts of f were found: what came before may be the slope of others
            differences.clear()
        differences.append(difference)
        probes = [each.judged() for each in differences]
        if noticed(probes):
            noticed_after = point.evaluations
        if jumps is None and may_lie_on_kinks(difference):
            jumps = measure_kinks(probe, difference.column, kink_rng)
        if probes[-1].wrong:
            suspect = direction
            continue
        del direction  # before there is another one: it is as large as x
        more = any(each.wrong for each in probes) or point.evaluations + cost <= max_evaluations
        if len(probes) >= _PROBES or (len(probes) >= 2 and not more):
            break
    kink = allowance([*(jumps or []), *(each.slope.jump for each in differences)])
    steepest = max(each.steepest for each in differences)
    return OverallProbes([each.judged(kink) for each in differences], kink, suspect, cost, noticed_after, steepest)


def _confirmed(probe: DirectionalProbe, difference: Difference, direction: Direction) -> Difference:
    """What seems wrong, but not clearly, is measured at other steps too: the best of many may be so by luck."""
    slope = difference.slope
    if not math.isfinite(slope.error_bar):
        raise ValueRangeError(
            "f must have a slope at x, but it is not finite or not continuous around it: is scale= too large?"
        ) from probe.point.steps.error
    if not difference.judged().wrong or abs(slope.value) > _CLEAR * slope.error_bar:
        return difference
    other = probe.difference(direction, difference.entries, again=True)
    agree = abs(other.slope.value - slope.value) < abs(slope.value) / 2
    return replace(difference, column=other.column) if agree else other


def probe_groups(
    probe: DirectionalProbe, overall: OverallProbes, max_evaluations: int, rng: np.random.Generator
) -> list[MeasuredError]:
    """Probe as many groups of entries as there are evaluations left for: of fewer entries, smaller errors show."""
    point = probe.point
    count = min((max_evaluations - point.evaluations) // max(overall.cost, 1), point.all.size)
    if count < 2:
        return []
    ends = np.linspace(0, point.all.size, count + 1).astype(int).tolist()
    direction = point.direction(rng)
    groups = [probe.measure(direction, EntryRange(a, b), overall.kink) for a, b in itertools.pairwise(ends)]
    if noticed(groups) or not any(group.wrong for group in groups):
        return groups
    direction = point.direction(rng)
    return [probe.measure(direction, group.entries, overall.kink) if group.wrong else group for group in groups]


def set_kinks_apart(
    probe: DirectionalProbe, kink: float, rng: np.random.Generator
) -> tuple[Kinks, list[MeasuredError]]:
    """Probe entries on kinks, each by itself, and groups of the others: these need no allowance for jumps."""
    point = probe.point
    direction, limit = point.direction(rng), point.evaluations + _KINK_EVALUATIONS
    groups: list[MeasuredError] = []
    kinked: list[KinkedEntry] = []
    for difference, halved in bisect_kinks(probe, direction):
        if point.evaluations > limit or not math.isfinite(difference.slope.error_bar):
            return Kinks(kink, None), []
        if halved:
            continue
        if jump := difference.slope.jump:
            is_between = not difference.judged().wrong_by_more_than(jump / 2)
            kinked.append(KinkedEntry(difference.entries, jump, is_between))
        hidden = difference.hidden_jump if difference.hidden_jump > _HIDDEN * kink else 0.0
        allowed = kink if jump else hidden
        found = difference.judged(allowed)
        if found.wrong:
            found = probe.measure(point.direction(rng), found.entries, allowed)
        if found.wrong and hidden and not jump:  # a larger jump may be it, if several kinks cancel along the direction
            return Kinks(kink, None, found.entries), []
        groups.append(found)
    return Kinks(kink, tuple(sorted(kinked))), groups


def measure_every_entry(
    probe: DirectionalProbe, given: Candidate, kinks: Kinks, rng: np.random.Generator
) -> list[Entry]:
    """Measure every entry by itself."""
    point, found = probe.point, []
    direction = point.direction(rng)
    for i in range(point.all.size):
        probe.progress("entries", i, point.all.size)
        single = EntryRange(i, i + 1)
        measured = probe.measure(direction, single, kinks.allowed_in(single))
        found.append(_entry(point, direction, given, measured))
    return found


@dataclass(frozen=True)
class Suspects:
    """Entries that were measured, the arrays in which something is wrong, and what it looks like."""

    entries: list[Entry]
    arrays: set[int]
    diagnosis: Diagnosis | None


def find_suspects(
    probe: DirectionalProbe,
    given: Candidate,
    direction: Direction,
    kinks: Kinks,
    groups: Sequence[MeasuredError],
    max_findings: int,
    rng: np.random.Generator,
) -> Suspects:
    """Search for wrong entries, in wrong groups where kinks are set apart, else in all arrays; and diagnose them."""
    point = probe.point
    apart = [group.entries for group in groups if group.wrong] if kinks.allowed else []
    limit = point.evaluations + _SEARCH_EVALUATIONS

    def measure(entries: EntryRange) -> MeasuredError:
        if apart:
            return probe.measure(direction, entries, kinks.allowed_in(entries))
        alone = entries.size == 1 and entries not in point.spans
        return probe.measure(direction, entries, 0.0 if alone else kinks.allowed)

    wrong, right, ranges = search(measure, apart or point.spans, max_findings, lambda: limit - point.evaluations, rng)
    suspect_arrays = {point.entry(entries.begin)[0] for entries in ranges}
    for leaf, indices in enumerate(given.non_finite()):
        suspect_arrays |= {leaf} if len(indices) else set()
        for i in indices[:max_findings].tolist():
            begin = point.spans[leaf].begin + i
            if all(found.entries.begin != begin for found in wrong):
                wrong.append(measure(EntryRange(begin, begin + 1)))
    entries = [_entry(point, direction, given, found) for found in (*wrong, *right)]
    if given.arrays is None:
        return Suspects(entries, suspect_arrays, None)
    diagnosis = diagnosed(probe, kinks.allowed, rng, given.arrays, entries, suspect_arrays)
    return Suspects(entries, suspect_arrays, diagnosis)


def _entry(point: Point, direction: Direction, given: Candidate, found: MeasuredError) -> Entry:
    leaf, index = point.entry(found.entries.begin)
    flat = found.entries.begin - point.spans[leaf].begin
    step = float(direction[leaf][flat])
    value = given.entry(leaf, flat, direction)
    numerical = (value if math.isfinite(value) else 0.0) + found.error / step
    wrong = found.wrong or not math.isfinite(value)
    return Entry(leaf, flat, index, value, numerical, found.error_bar / abs(step), wrong)


def _name(point: Point, flat: int) -> str:
    leaf, index = point.entry(flat)
    return entry_name(point.names[leaf], index)


def _finding(point: Point, entry: Entry) -> Finding:
    return Finding(point.names[entry.leaf], entry.place, entry.given, entry.numerical, entry.error_bar)


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
    """What is known of each array, and what would have been noticed: see docs/check_method.md."""
    point, candidate = probe.point, probe.candidate
    thresholds = list(map(seen_for_sure, overall.probes))
    mean = math.exp(sum(map(math.log, thresholds)) / len(thresholds)) if min(thresholds) > 0 else 0.0
    whole = candidate.contribution(direction, point.all) or (
        math.inf if point.is_constant() else max(overall.steepest, _FLAT * abs(probe.value))
    )
    found = kinks.found or ()
    smooth = [group for group in groups if group.entries not in (kinks.entries or ())]
    reports = []
    for leaf, (array, own) in enumerate(zip(point.origin, point.spans, strict=True)):
        covering = [group for group in smooth if group.entries.begin < own.end and own.begin < group.entries.end]
        kinked = [entry for entry in found if own.begin <= entry.entries.begin < own.end]
        seen = [(own, max(thresholds)), *((group.entries & own, seen_for_sure(group)) for group in covering)]
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
            *candidate.size(leaf),
        )
        outside = [entry for entry in kinked if not entry.is_between]
        is_known = (bool(kinked) and not covering) or any(
            is_verified(candidate.contribution(direction, part), whole, threshold, point.resolution)
            for part, threshold in seen
        )
        if doubt:
            why = doubt
        elif outside:
            where = some([_name(point, entry.entries.begin) for entry in outside])
            why = f"on a kink, and not between the slopes of both sides: {where}"
        elif kinks.undecided and kinks.undecided.begin < own.end and own.begin < kinks.undecided.end:
            why = "it seems wrong, but noise may hide kinks at x that explain it"
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
