"""What a check does: probe, locate, diagnose and report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.progress import Progress
from secant.checking.candidate import Candidate
from secant.checking.diagnosis import Diagnosis, Entry, diagnosed
from secant.checking.directional_probe import DirectionalProbe, Stage
from secant.checking.options import Options
from secant.checking.point import Direction, EntryRange, Point
from secant.checking.probing import Evidence, probe_all
from secant.checking.report import Finding, GradientReport
from secant.checking.search import search
from secant.checking.sensitivity import Arrays
from secant.checking.verdict import MeasuredError, noticed

MAX_EVALUATIONS = 100
"""Evaluations of f of a check that passes, unless more are allowed."""
_SEARCH_EVALUATIONS = 5000
_UNSEEN = "the search for wrong entries found enough before it came to this array"
_STEPS = "f is constant near x and rises in steps farther away: its slope at x is 0"
_ONCE = "it seemed wrong along some directions, and not along others"


def run_check(point: Point, candidate: Callable[[], Candidate], options: Options) -> GradientReport:
    """Check a candidate at a point, and leave the point as it was.

    ``candidate`` is called once it is known that f is a function.
    """
    with Progress(options.progress) as shown:
        return _restored(point, candidate, options, shown)


def _restored(point: Point, candidate: Callable[[], Candidate], options: Options, progress: Progress) -> GradientReport:
    """Check, and put x back."""
    try:
        return _check(point, candidate, options, progress)
    finally:
        try:
            with held_interrupts():
                point.restore()
        finally:  # also where an interrupt came before it could be held
            point.restore()


def _check(point: Point, candidate: Callable[[], Candidate], options: Options, progress: Progress) -> GradientReport:
    start, rng = time.perf_counter(), np.random.default_rng(options.rng)
    value = point.require_sane()
    given = candidate()
    probe = DirectionalProbe(point, given.with_finite_entries(), value, progress)
    most = options.max_evaluations or MAX_EVALUATIONS

    probe.stage = Stage("probing", 0, most)
    evidence = probe_all(probe, most, rng)
    if point.standstill() and (in_place := point.at_x_itself(point.direction(rng))) is not None:
        return _restored(in_place, lambda: given, options, progress)
    probe.stage = None
    every = measure_every_entry(probe, given, evidence, rng) if options.entries else []

    probe.stage = Stage("searching", point.evaluations, _SEARCH_EVALUATIONS)
    direction = point.direction(rng)
    is_zero = not given.remark and not given.contribution(direction, point.all)
    doubt = "" if is_zero else point.standstill()
    has_fault = bool(given.remark) or any(map(len, given.non_finite()))
    suspects = NO_SUSPECTS
    if evidence.wrong or has_fault or any(entry.wrong for entry in every):
        suspects = locate(probe, given, evidence, direction, options.max_findings, rng)
        suspects = replace(suspects, arrays=suspects.arrays | {entry.leaf for entry in every if entry.wrong})
        evidence = replace(evidence, on_kinks=evidence.on_kinks | suspects.on_kinks)
        everywhere = frozenset(range(len(point.spans)))
        if given.remark:
            suspects = replace(suspects, arrays=everywhere)
        elif not suspects.arrays and not evidence.on_kinks:
            if noticed([probe.measure(point.direction(rng), point.all, climbs=True) for _ in range(2)]):
                suspects = replace(suspects, arrays=everywhere)
            else:
                doubt = _ONCE
    diagnosis = diagnosed(probe, rng, given, suspects.entries, suspects.arrays) if suspects.arrays else None

    arrays = Arrays(probe, evidence, direction, doubt)
    return report(point, given, arrays, suspects, every, diagnosis, options, time.perf_counter() - start)


def measure_every_entry(
    probe: DirectionalProbe, given: Candidate, evidence: Evidence, rng: np.random.Generator
) -> list[Entry]:
    """Measure every entry by itself."""
    point, found = probe.point, []
    direction = point.direction(rng)
    for i in range(point.all.size):
        probe.progress("entries", i, point.all.size)
        entry = _entry(point, direction, given, probe.measure(direction, EntryRange(i, i + 1)))
        found.append(entry._replace(wrong=entry.wrong and entry.leaf not in evidence.on_kinks))
    return found


@dataclass(frozen=True)
class Suspects:
    """Entries that were measured, and the arrays in which something is wrong.

    Of the arrays in ``sampled`` the entries are a random sample; in others they are those that were found to be wrong.
    Those in ``unseen`` the search did not reach; in those ``on_kinks`` it found kinks, and no wrong entry.
    """

    entries: tuple[Entry, ...]
    arrays: frozenset[int]
    sampled: frozenset[int]
    unseen: frozenset[int]
    on_kinks: frozenset[int]


NO_SUSPECTS = Suspects((), frozenset(), frozenset(), frozenset(), frozenset())


def locate(
    probe: DirectionalProbe,
    given: Candidate,
    evidence: Evidence,
    direction: Direction,
    max_findings: int,
    rng: np.random.Generator,
) -> Suspects:
    """Search for wrong entries: in all arrays, or in the wrong ones where arrays were probed one by one."""
    point = probe.point
    limit = point.evaluations + _SEARCH_EVALUATIONS
    spans = point.spans if evidence.overall else [span for span in point.spans if evidence.is_wrong(span)]

    kinked = set[int]()

    def measure(entries: EntryRange) -> MeasuredError:
        measured = probe.measure(direction, entries)
        kinked.update(leaf for leaf, _ in point.parts(entries) if measured.is_kink)
        return measured

    found = search(measure, spans, max_findings, lambda: limit - point.evaluations, rng)
    wrong, right = found.wrong, found.right
    arrays = {point.entry(entries.begin)[0] for entries in found.ranges}
    arrays |= {leaf for leaf, span in enumerate(point.spans) if not evidence.overall and span in spans}
    sampled = {leaf for leaf, span in enumerate(point.spans) if span in found.sampled}
    for leaf, indices in enumerate(given.non_finite()):
        arrays |= {leaf} if len(indices) else set()
        for i in indices[:max_findings].tolist():
            begin = point.spans[leaf].begin + i
            if point.evaluations < limit and all(single.entries.begin != begin for single in wrong):
                wrong.append(measure(EntryRange(begin, begin + 1)))
    entries = tuple(_entry(point, direction, given, single) for single in (*wrong, *right))
    unseen = {point.entry(part.begin)[0] for part in found.unseen} - arrays
    on_kinks = kinked - {entry.leaf for entry in entries if entry.wrong}
    return Suspects(entries, *map(frozenset, (arrays - on_kinks, sampled, unseen, on_kinks)))


def report(
    point: Point,
    given: Candidate,
    arrays: Arrays,
    suspects: Suspects,
    every: Sequence[Entry],
    diagnosis: Diagnosis | None,
    options: Options,
    seconds: float,
) -> GradientReport:
    """Put together what was found."""
    measured, reports = every or suspects.entries, []
    for leaf in range(len(point.spans)):
        array = arrays.report(leaf, leaf in suspects.arrays)
        if array.passed and leaf in suspects.unseen:
            array = replace(array, passed=False, unverified=_UNSEEN)
        own = [entry for entry in measured if entry.leaf == leaf]
        size = relative_error(own, array.norm, bool(every) or leaf in suspects.sampled)
        reports.append(replace(array, relative_error=size))
    listed = sorted(every, key=lambda entry: -abs(entry.numerical - entry.given)) or suspects.entries
    findings = tuple(_finding(point, entry) for entry in listed if entry.wrong)
    is_zero = not given.remark and not arrays.probe.candidate.contribution(arrays.direction, point.all)
    return GradientReport(
        passed=all(array.passed for array in reports),
        findings=findings[: options.max_findings * len(reports)],
        arrays=tuple(reports),
        diagnosis=given.remark or (diagnosis and diagnosis.text) or None,
        evidence=None if given.remark else diagnosis and diagnosis.evidence,
        evaluations=point.evaluations,
        noise=arrays.evidence.noise / (abs(arrays.probe.value) or 1.0),
        seconds=seconds,
        note=(point.standstill() if is_zero else "") or (_STEPS if arrays.probe.rises_in_steps else ""),
        kink=bool(arrays.evidence.on_kinks),
        entries=tuple(_finding(point, entry) for entry in every),
        examined=len(measured),
        seed=options.rng,
        resolution=point.resolution,
    )


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
    wrong = (found.wrong and not found.is_kink) or not math.isfinite(value)
    return Entry(leaf, flat, index, value, numerical, found.error_bar / abs(step), wrong)


def _finding(point: Point, entry: Entry) -> Finding:
    return Finding(point.names[entry.leaf], entry.place, entry.given, entry.numerical, entry.error_bar)
