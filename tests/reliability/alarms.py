"""Right gradients: no check raises an alarm, and the error bars of single directions cover the truth."""

from functools import partial

import numpy as np
from families import FAMILIES, FLAT, HARD, Case, in_float32, on_a_kink, relu_network
from outcome import Outcome

import secant
from secant.checking.candidate import CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import Point
from secant.checking.probing import probe_together
from secant.checking.verdict import MeasuredError

ALARMS = "A right gradient of 2 to 100,000 entries is never said to be wrong: in float64, in float32, on kinks and off."
COVERAGE = (
    "The error bar of the slope along a direction covers the true one in at least 99.9 % of the directions, in "
    "float64, in float32 and near kinks."
)
HARD_ONES = (
    "So it is with parts of f that are rounded more coarsely than others, entries of very different size, and domains "
    "that end near x or at x: no right gradient is wrong, error bars cover the truth in 99.9 % of the directions, and "
    "an error of one entry just above what a report says would be noticed is, in 99.9 %, in the gradient that has it."
)
FLAT_ONES = (
    "Where f is flat to its last digit, rises in steps, has a kink in every entry, or is an error at larger steps, no "
    "right gradient is wrong, and none passes that is off by more than a report of a right one says would be noticed."
)
STATEMENT = (
    "An error of one entry just above what a report says would have been noticed is. 0.1 % may be missed, as error "
    "bars may be too small."
)
LARGEST = 100_000
KINKED = {"on_a_kink": on_a_kink, "relu_network": partial(relu_network, kinks=True)}
SMOOTH = FAMILIES | {"relu_network off kinks": relu_network}
ALL = SMOOTH | KINKED


def cases(trials: int, seed: int, largest: int, families=ALL):
    """Functions of all families in turn, of random size: every second one is rounded to float32."""
    rng = np.random.default_rng(seed)
    for number in range(trials):
        name = list(families)[number % len(families)]
        n = int(2 * (largest / 2) ** rng.uniform())
        low = bool(number // len(families) % 2)
        case = families[name](rng, n)
        yield number, f"{name}, float{32 if low else 64}", in_float32(case) if low else case


def check(case: Case, number: int, error: np.ndarray | float = 0.0) -> secant.GradientReport:
    """What is said of a gradient that is off by ``error``."""
    with np.errstate(over="ignore", invalid="ignore"):
        return secant.check_gradient(case.f, case.x, case.gradient + error, rng=number)


def probed(point: Point, gradient, number: int) -> list[MeasuredError]:
    """The first part of a check alone: probes of all entries."""
    value = point.require_sane()
    probe = DirectionalProbe(point, CandidateGradient.of(point, gradient), value)
    return probe_together(probe, np.random.default_rng(number))


def alarms(trials: int, seed: int, largest: int = LARGEST) -> Outcome:
    outcome = Outcome(ALARMS, "checks")
    for number, name, case in cases(trials, seed, largest):
        wrong = check(case, number).verdict == "wrong"
        outcome.add(name, wrong, None, f"seed {seed}, {number}, {case.x.size} entries")
        outcome.tried += 1
    return outcome


def coverage(trials: int, seed: int, largest: int = LARGEST) -> Outcome:
    outcome = Outcome(COVERAGE, "directions", allowed={"": 0.001})
    for number, name, case in cases(trials, seed, largest, SMOOTH):
        if outcome.tried >= trials:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            for probe in probed(Point(case.f, case.x), case.gradient, number):
                share = abs(probe.error) / (probe.error_bar + probe.doubt) if probe.error else 0.0
                outcome.add(name, not share <= 1, share, f"seed {seed}, {number}, {case.x.size} entries")
                outcome.tried += 1
    return outcome


def just_noticed(report: secant.GradientReport, rng: np.random.Generator, size: int) -> np.ndarray:
    """An error of one entry, just above what a report says is noticed."""
    error = np.zeros(size)
    # What is said is 0 where f is constant and 0.
    error[rng.integers(size)] = (1.01 * report.arrays[0].sensitivity or 1e-12) * rng.choice([-1, 1])
    return error


def statement(trials: int, seed: int) -> Outcome:
    one_missed = 0.001 if trials >= 5000 else 2 / trials  # of a slice, one may be
    outcome, rng = Outcome(STATEMENT, "errors", allowed={"": one_missed}), np.random.default_rng([seed, 1])
    for number, name, case in cases(trials, seed, 1000, SMOOTH):
        report = check(case, number)
        if report.arrays[0].unverified:  # that says which errors would not be noticed, not which would be
            continue
        missed = check(case, number, just_noticed(report, rng, case.x.size)).verdict != "wrong"
        outcome.add(name, missed, None, f"seed {seed}, {number}, {case.x.size} entries")
        outcome.tried += 1
    return outcome


def hard(trials: int, seed: int) -> Outcome:
    outcome = Outcome(HARD_ONES, "checks", allowed={"": 0.001, ": alarms": 0.0})
    rng = np.random.default_rng([seed, 2])
    for number in range(trials):
        name = list(HARD)[number % len(HARD)]
        case = HARD[name](rng, int(rng.choice([1, 2, 3, 10, 100, 1000])))
        example = f"seed {seed}, {number}, {case.x.size} entries"
        report = check(case, number)
        outcome.add(f"{name}: alarms", report.verdict == "wrong", None, example)
        for probe in probed(Point(case.f, case.x), case.gradient, number):
            share = abs(probe.error) / (probe.error_bar + probe.doubt) if probe.error else 0.0
            outcome.add(f"{name}: coverage", not share <= 1, share, example)
        error = just_noticed(report, rng, case.x.size)
        outcome.add(f"{name}: errors", check(case, number, error).verdict != "wrong", None, example)
        outcome.tried += 1
    return outcome


def flat(trials: int, seed: int) -> Outcome:
    outcome = Outcome(FLAT_ONES, "checks", allowed={": alarms": 0.0, ": errors": 0.001})
    rng = np.random.default_rng([seed, 3])
    for number in range(trials):
        name = list(FLAT)[number % len(FLAT)]
        case = FLAT[name](rng, int(rng.choice([1, 2, 3, 10, 100, 1000])))
        example = f"seed {seed}, {number}, {case.x.size} entries"
        report = check(case, number)
        outcome.add(f"{name}: alarms", report.verdict == "wrong", None, example)
        if report.passed:  # else it says which errors would not be noticed
            error = just_noticed(report, rng, case.x.size)
            outcome.add(f"{name}: errors", check(case, number, error).passed, None, example)
        outcome.tried += 1
    return outcome
