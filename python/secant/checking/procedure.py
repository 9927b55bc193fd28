"""What a check does: probe, locate, diagnose and report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.progress import Progress
from secant.checking.candidate import Candidate
from secant.checking.diagnosis import diagnosed
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.elsewhere import count_elsewhere
from secant.checking.options import Options
from secant.checking.point import Point
from secant.checking.report import FINDINGS, LARGE, GradientReport
from secant.checking.search import Evidence, locate, probe_together
from secant.checking.sensitivity import Arrays
from secant.checking.turns import TURNS
from secant.checking.verdict import noticed

_STEPS = (
    "f is constant near x and rises in steps farther away: its slope is 0, or that"
    " across its steps"
)


def run_check(
    point: Point, candidate: Callable[[], Candidate], options: Options
) -> GradientReport:
    """Check a candidate at a point, and leave the point as it was.

    ``candidate`` is called once it is known that f is a function. NumPy ignores
    floating-point errors, also in f and in a gradient that is callable: what is not
    finite is evidence.
    """
    turn = TURNS.alone if point.inplace else TURNS.together
    with turn():
        try:
            with (
                Progress(options.progress) as point.progress,
                np.errstate(all="ignore"),
            ):
                start = time.perf_counter()
                point.require_sane()
                given = candidate()
                found = _check(point, given, options, start)
        finally:
            with held_interrupts():
                point.restore()
    if isinstance(found, GradientReport):
        return found
    return run_check(found, lambda: given, options)


def _check(
    point: Point, given: Candidate, options: Options, start: float
) -> GradientReport | Point:
    """The report; or where to check it instead, if f looks at x itself."""
    rng = np.random.default_rng(options.rng)

    # Probe all entries at once.
    probe = DirectionalProbe(point, given)
    overall = probe_together(probe, rng)
    evidence = Evidence(overall, point.direction(rng))
    noise = float(probe.noise.near[0])
    if point.standstill() and (in_place := point.at_x_itself()) is not None:
        return in_place
    point.restore()  # which the user's own function may read
    given.ask_again()

    # Locate what is wrong.
    leaves = _leaves_to_search(probe, evidence)
    if leaves:
        seemed_smooth = not probe.rises_in_steps
        located = locate(probe, evidence, leaves, rng)
        if seemed_smooth and probe.rises_in_steps:
            # The first search measured slopes across the steps: search again.
            located = locate(probe, evidence, leaves, rng)
        evidence = located

    # Diagnose it.
    diagnosis = ""
    elsewhere = None
    if evidence.wrong:
        diagnosis = given.remark or point.standstill()
        diagnosis = diagnosis or diagnosed(probe, rng, evidence)
    reports = Arrays(probe, evidence).reports()
    if evidence.wrong and not point.inplace:
        elsewhere = count_elsewhere(probe, options.rng)

    # Report it.
    note = _STEPS if probe.rises_in_steps else ""
    if point.standstill() and not diagnosis:
        note = point.standstill()
    findings = [entry.found for entry in evidence.entries if entry.wrong]
    return GradientReport(
        passed=all(array.passed for array in reports),
        findings=tuple(findings[: FINDINGS * len(reports)]),
        arrays=reports,
        diagnosis=diagnosis or None,
        evaluations=point.evaluations,
        noise=noise / (abs(point.value) or 1.0),
        seconds=time.perf_counter() - start,
        note=note,
        seed=options.rng,
        resolution=given.eps,
        x={
            name: array.copy() if array.size <= LARGE else None
            for name, array in point.named().items()
        },
        names=point.labels,
        elsewhere=elsewhere,
    )


def _leaves_to_search(probe: DirectionalProbe, evidence: Evidence) -> Sequence[int]:
    """The arrays that are measured by themselves."""
    leaves = range(len(probe.point.spans))
    given = probe.candidate
    seems_wrong = bool(noticed(evidence.overall) or given.remark)
    if seems_wrong or evidence.overall[-1].is_kink or len(given.not_finite):
        return leaves

    # Some arrays may be hidden by the others; where all are, noise hides them.
    reports = Arrays(probe, evidence).reports()
    hidden = [leaf for leaf in leaves if not reports[leaf].passed]
    return hidden if len(hidden) < len(leaves) else []
