"""What a check does: probes, the search for entries that are wrong, and the report."""

from __future__ import annotations

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
from secant.checking.directional_probe import DirectionalProbe, Stage
from secant.checking.kinks import Kinks
from secant.checking.point import Direction, EntryRange, Point
from secant.checking.probing import probe_all, probe_groups, set_kinks_apart
from secant.checking.report import Finding, GradientReport
from secant.checking.search import search
from secant.checking.sensitivity import array_reports
from secant.checking.verdict import MeasuredError, noticed
from secant.errors import ValueRangeError

MAX_EVALUATIONS = 100
"""Evaluations of f of a check that passes, unless more are allowed."""
_SEARCH_EVALUATIONS = 5000
_UNSEEN = "the search for wrong entries found enough before it came to this array"


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
    if point.standstill() and (in_place := point.at_x_itself(point.direction(rng))) is not None:
        return _restored(in_place, lambda: given, options, progress)
    kinks, groups = Kinks(overall.kink), list[MeasuredError]()
    if overall.kink:
        kinks, groups = set_kinks_apart(probe, overall, rng)
    elif not noticed(overall.probes):
        groups = probe_groups(probe, overall, options.max_evaluations, rng)
    wrong = bool(given.remark) or any(map(len, given.non_finite()))
    wrong = wrong or noticed(overall.probes) or any(group.wrong for group in groups)

    every: list[Entry] = []
    if options.every_entry:
        probe.stage = None
        every = measure_every_entry(probe, given, kinks, rng)
        wrong = wrong or any(entry.wrong for entry in every)

    direction = point.direction(rng)
    is_zero = not given.remark and not given.contribution(direction, point.all)
    doubt = "" if is_zero else point.standstill()
    if wrong and is_zero and probe.rises_in_steps(direction):
        wrong = False
        doubt = "f is constant near x and rises in steps: a gradient of 0 may be right, or that across them"
    suspects = Suspects([], set(), None, set(), set())
    if wrong and (options.locate or overall.kink):
        direction = direction if overall.suspect is None else overall.suspect
        probe.stage = Stage("searching", point.evaluations, _SEARCH_EVALUATIONS)
        suspects = find_suspects(probe, given, direction, kinks, groups, options.max_findings, rng)
    suspect_arrays = suspects.arrays | {entry.leaf for entry in every if entry.wrong}
    if wrong and overall.kink:  # along two directions: it is so, though a search at rough steps finds no entry
        sure = [group.entries for group in groups if group.wrong and group.entries not in kinks.undecided]
        suspect_arrays |= {point.entry(entries.begin)[0] for entries in sure}
    count = len(point.spans)
    # On a kink, jumps may cancel along a direction: then it proves nothing unless an array is wrong by itself.
    if wrong and (given.remark or not overall.kink):
        suspect_arrays = suspect_arrays or set(range(count))
    arrays = array_reports(probe, overall, groups, kinks, options.confidence, suspect_arrays, doubt, direction)

    arrays = tuple(
        replace(array, passed=False, unverified=_UNSEEN) if array.passed and leaf in suspects.unseen else array
        for leaf, array in enumerate(arrays)
    )
    measured = every or suspects.entries
    sizes = [
        relative_error([e for e in measured if e.leaf == leaf], array.norm, bool(every) or leaf in suspects.sampled)
        for leaf, array in enumerate(arrays)
    ]
    arrays = tuple(replace(array, relative_error=size) for array, size in zip(arrays, sizes, strict=True))
    listed = sorted(every, key=lambda entry: -abs(entry.numerical - entry.given)) if every else suspects.entries
    return GradientReport(
        passed=all(array.passed for array in arrays),
        findings=tuple(_finding(point, entry) for entry in listed if entry.wrong)[: options.max_findings * count],
        arrays=arrays,
        diagnosis=given.remark or (suspects.diagnosis and suspects.diagnosis.text) or None,
        evidence=None if given.remark else suspects.diagnosis and suspects.diagnosis.evidence,
        confidence=options.confidence,
        evaluations=point.evaluations,
        noise=(probe.noise.near if probe.noise else 0.0) / (abs(value) or 1.0),
        seconds=time.perf_counter() - start,
        note=point.standstill() if is_zero else "",
        kink=overall.kink > 0,
        entries=tuple(_finding(point, entry) for entry in every),
        kinked=tuple(point.name(kinked.entries.begin) for kinked in kinks.single),
        examined=len(every) or len(suspects.entries),
        seed=options.seed,
        resolution=point.resolution,
    )


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
    """Entries that were measured, the arrays in which something is wrong, and what it looks like.

    Of the arrays in ``sampled`` the entries are a random sample; in others they are those that were found to be wrong.
    Those in ``unseen`` the search did not reach.
    """

    entries: list[Entry]
    arrays: set[int]
    diagnosis: Diagnosis | None
    sampled: set[int]
    unseen: set[int]


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

    found = search(measure, apart or point.spans, max_findings, lambda: limit - point.evaluations, rng)
    wrong, right = found.wrong, found.right
    suspect_arrays = {point.entry(entries.begin)[0] for entries in found.ranges}
    sampled = {leaf for leaf, span in enumerate(point.spans) if span in found.sampled}
    for leaf, indices in enumerate(given.non_finite()):
        suspect_arrays |= {leaf} if len(indices) else set()
        for i in indices[:max_findings].tolist():
            begin = point.spans[leaf].begin + i
            if point.evaluations < limit and all(single.entries.begin != begin for single in wrong):
                wrong.append(measure(EntryRange(begin, begin + 1)))
    entries = [_entry(point, direction, given, single) for single in (*wrong, *right)]
    diagnosis = given.arrays and diagnosed(probe, kinks.allowed, rng, given.arrays, entries, suspect_arrays)
    unseen = {point.entry(part.begin)[0] for part in found.unseen} - suspect_arrays
    return Suspects(entries, suspect_arrays, diagnosis or None, sampled, unseen)


def relative_error(entries: Sequence[Entry], norm: float, are_sample: bool) -> float:
    """The norm of an array's error, beside that of what was measured; or, of few errors, beside that of the array.

    Parameters
    ----------
    entries : sequence of Entry
        Those of the array that were measured.
    norm : float
        Of the candidate.
    are_sample : bool
        Whether the entries stand for all.
    """
    if not entries:
        return math.nan
    error = math.hypot(*(entry.numerical - entry.given for entry in entries))
    whole = math.hypot(*(entry.numerical for entry in entries))
    if not are_sample:  # the other entries are right
        others = norm**2 - math.fsum(entry.given**2 for entry in entries)
        whole = math.hypot(whole, math.sqrt(max(others, 0.0)))
    noise = math.hypot(*(entry.error_bar for entry in entries))
    return error / whole if whole > noise else math.nan


def _entry(point: Point, direction: Direction, given: Candidate, found: MeasuredError) -> Entry:
    leaf, index = point.entry(found.entries.begin)
    flat = found.entries.begin - point.spans[leaf].begin
    step = float(direction[leaf][flat])
    value = given.entry(leaf, flat, direction)
    numerical = (value if math.isfinite(value) else 0.0) + found.error / step
    wrong = found.wrong or not math.isfinite(value)
    return Entry(leaf, flat, index, value, numerical, found.error_bar / abs(step), wrong)


def _finding(point: Point, entry: Entry) -> Finding:
    return Finding(point.names[entry.leaf], entry.place, entry.given, entry.numerical, entry.error_bar)
