"""Right gradients: no check raises an alarm, and the error bars of single directions
cover the truth.
"""

from functools import partial

import numpy as np
from families import FAMILIES, FLAT, HARD, Case, in_float32, on_a_kink, relu_network

import secant
from outcome import Outcome
from secant.checking.candidate import CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import Point
from secant.checking.search import probe_together
from secant.checking.verdict import MeasuredError

LARGEST = 100_000
KINKED = {"on_a_kink": on_a_kink, "relu_network": partial(relu_network, kinks=True)}
SMOOTH = FAMILIES | {"relu_network off kinks": relu_network}
ALL = SMOOTH | KINKED


def cases(trials: int, seed: int, largest: int, families=ALL):
    """Functions of all families in turn, of random size: every second one is rounded to
    float32.
    """
    rng = np.random.default_rng(seed)
    for number in range(trials):
        name = list(families)[number % len(families)]
        n = int(2 * (largest / 2) ** rng.uniform())
        low = bool(number // len(families) % 2)
        case = families[name](rng, n)
        yield (
            number,
            f"{name}, float{32 if low else 64}",
            in_float32(case) if low else case,
        )


def check(
    case: Case, number: int, error: np.ndarray | float = 0.0
) -> secant.GradientReport:
    """What is said of a gradient that is off by ``error``."""
    with np.errstate(over="ignore", invalid="ignore"):
        return secant.check_gradient(case.f, case.x, case.gradient + error, rng=number)


@np.errstate(all="ignore")
def probed(point: Point, gradient, number: int) -> list[MeasuredError]:
    """The first part of a check alone: probes of all entries."""
    point.require_sane()
    probe = DirectionalProbe(point, CandidateGradient(point, gradient))
    return probe_together(probe, np.random.default_rng(number))


def share_of_bar(probe: MeasuredError) -> float:
    return abs(probe.error) / (probe.error_bar + probe.doubt) if probe.error else 0.0


def alarms(outcome: Outcome, trials: int, seed: int, largest: int = LARGEST) -> None:
    for number, name, case in cases(trials, seed, largest):
        wrong = check(case, number).verdict == "wrong"
        outcome.add(name, wrong, None, f"seed {seed}, {number}, {case.x.size} entries")
        outcome.tried += 1


def coverage(outcome: Outcome, trials: int, seed: int, largest: int = LARGEST) -> None:
    for number, name, case in cases(trials, seed, largest, SMOOTH):
        if outcome.tried >= trials:
            break
        for probe in probed(Point(case.f, case.x), case.gradient, number):
            share = share_of_bar(probe)
            outcome.add(
                name,
                not share <= 1,
                share,
                f"seed {seed}, {number}, {case.x.size} entries",
            )
            outcome.tried += 1


def just_noticed(
    report: secant.GradientReport, rng: np.random.Generator, size: int
) -> np.ndarray:
    """An error of one entry, just above what a report says is noticed."""
    error = np.zeros(size)
    # What is said is 0 where f is constant and 0.
    error[rng.integers(size)] = (
        1.01 * report.arrays[0].sensitivity or 1e-12
    ) * rng.choice([-1, 1])
    return error


def statement(outcome: Outcome, trials: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    for number, name, case in cases(trials, seed, 1000, SMOOTH):
        report = check(case, number)
        # that says which errors would not be noticed, not which would be
        if report.arrays[0].unverified:
            continue
        missed = (
            check(case, number, just_noticed(report, rng, case.x.size)).verdict
            != "wrong"
        )
        outcome.add(name, missed, None, f"seed {seed}, {number}, {case.x.size} entries")
        outcome.tried += 1


def difficult(
    outcome: Outcome, families, trials: int, rng: np.random.Generator, seed: int
) -> None:
    """Such functions in turn: what is said of their right gradient, and of one with an
    error just above its bound.
    """
    for number in range(trials):
        name = list(families)[number % len(families)]
        case = families[name](rng, int(rng.choice([1, 2, 3, 10, 100, 1000])))
        report, example = (
            check(case, number),
            f"seed {seed}, {number}, {case.x.size} entries",
        )
        outcome.add(f"{name}: alarms", report.verdict == "wrong", None, example)
        for probe in (
            probed(Point(case.f, case.x), case.gradient, number)
            if families is HARD
            else ()
        ):
            share = share_of_bar(probe)
            outcome.add(f"{name}: coverage", not share <= 1, share, example)
        # else it says which errors would not be noticed
        if families is HARD or report.passed:
            wrong = check(case, number, just_noticed(report, rng, case.x.size))
            missed = wrong.verdict != "wrong" if families is HARD else wrong.passed
            outcome.add(f"{name}: errors", missed, None, example)
        outcome.tried += 1


def hard(outcome: Outcome, trials: int, seed: int) -> None:
    difficult(outcome, HARD, trials, np.random.default_rng([seed, 2]), seed)


def flat(outcome: Outcome, trials: int, seed: int) -> None:
    difficult(outcome, FLAT, trials, np.random.default_rng([seed, 3]), seed)
