"""What a check does: probe, locate, diagnose and report."""

from __future__ import annotations

import time
from collections.abc import Callable

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
    return (
        found
        if isinstance(found, GradientReport)
        else run_check(found, lambda: given, options)
    )


def _check(
    point: Point, given: Candidate, options: Options, start: float
) -> GradientReport | Point:
    """The report; or where to check it instead, if f looks at x itself."""
    rng = np.random.default_rng(options.rng)
    probe = DirectionalProbe(point, given)
    overall = probe_together(probe, rng)
    evidence, noise = (
        Evidence(overall, point.direction(rng)),
        float(probe.noise.near[0]),
    )
    if point.standstill() and (in_place := point.at_x_itself()) is not None:
        return in_place
    point.restore()  # which the user's own function may read
    given.ask_again()
    hidden = [
        leaf
        for leaf, array in enumerate(Arrays(probe, evidence).reports())
        if not array.passed
    ]
    if overall[-1].is_kink or noticed(overall) or given.remark or len(given.not_finite):
        evidence = locate(probe, evidence, range(len(point.spans)), rng)
    elif 0 < len(hidden) < len(point.spans):  # by the others, perhaps
        evidence = locate(probe, evidence, hidden, rng)
    diagnosis = (
        (given.remark or point.standstill() or diagnosed(probe, rng, evidence))
        if evidence.wrong
        else ""
    )
    reports = Arrays(probe, evidence).reports()
    looks_elsewhere = evidence.wrong and not point.inplace
    elsewhere = count_elsewhere(probe, options.rng) if looks_elsewhere else None
    findings = [entry.found for entry in evidence.entries if entry.wrong]
    return GradientReport(
        passed=all(array.passed for array in reports),
        findings=tuple(findings[: FINDINGS * len(reports)]),
        arrays=reports,
        diagnosis=diagnosis or None,
        evaluations=point.evaluations,
        noise=noise / (abs(point.value) or 1.0),
        seconds=time.perf_counter() - start,
        note=("" if diagnosis else point.standstill())
        or (_STEPS if probe.rises_in_steps else ""),
        seed=options.rng,
        resolution=given.eps,
        x={
            name: array.copy() if array.size <= LARGE else None
            for name, array in point.named().items()
        },
        names=point.labels,
        elsewhere=elsewhere,
    )
