"""The checks over other libraries' operators: what counts as noticed, that a run goes
on where it ended, a slice.
"""

import importlib.util
import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import secant
import suites
from secant.checking.report import ArrayReport
from secant.errors import GradientMismatchError

REPORT = secant.check_gradient(lambda x: x @ x, np.ones(3), 2 * np.ones(3))


def raising(error):
    def check(planted):
        raise error

    return check


def warning_of(text):
    return lambda planted: warnings.warn(text, RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda planted: True, "right"),
        (raising(GradientMismatchError("gradient in 3 entries: WRONG\n")), "WRONG"),
        (
            raising(GradientMismatchError("gradient in 3 entries: not verified\n")),
            "not verified",
        ),
        (raising(RuntimeError("sizes do not match")), "error"),
        (warning_of("inputs have no elements: nothing is checked"), "nothing to check"),
    ],
)
def test_what_a_check_says(check, said):
    assert suites.outcome(check, "")["said"] == said


def test_an_operator_is_measured_once_and_the_table_counts_it(tmp_path, monkeypatch):
    def wrong_if(names):
        def check(planted):
            if planted in names:
                raise GradientMismatchError("gradient in 3 entries: WRONG\n")
            suites.REPORTS.append(REPORT)

        return check

    measured = []

    def cases(name, kind, order):
        measured.append((name, kind, order))
        if (kind, order) == ("float64", 1):
            planted = ["everywhere", "entry"]
            ours = wrong_if(
                {"everywhere"} if name == "tan" else {"everywhere", "entry"}
            )
            yield suites.Case(
                ours,
                wrong_if({"", "everywhere"} if name == "cos" else {"everywhere"}),
                planted,
            )
            yield suites.Case(wrong_if({"", "everywhere"}), wrong_if({""}), planted)
            yield suites.Case(wrong_if({"everywhere"}), wrong_if({}), planted)

    names = ["sin", "cos", "tan"]
    operators = [
        (name, lambda kind, order, name=name: cases(name, kind, order))
        for name in names
    ]
    monkeypatch.setattr(suites, "SUITES", {"torch": lambda: iter(operators)})
    monkeypatch.setattr(
        suites,
        "REASONS",
        {"sin": f"its reason; {suites.TWICE}", "cos": suites.LEFT_OUT},
    )
    results = tmp_path / "folder" / "results.jsonl"
    suites.run(["torch"], ["ours"], 1, 2, results)
    assert {name for name, _, _ in measured} == {"cos"}
    suites.run(["torch"], suites.SIDES, 0, 1, results)
    before = len(measured)
    suites.run(["torch"], suites.SIDES, 0, 1, results)
    assert len(measured) == before

    right, _, right_row, _, _, _, planted_row, _, named = suites.table(results)
    found = dict(zip(right.split(" | "), right_row.split(" | "), strict=True))
    assert (found["operators"], found["cases"], found["right"], found["WRONG"]) == (
        "3",
        "9",
        "6",
        "3 (1)",
    )
    assert found["their WRONG"] == "1 of 3"  # only the first case is theirs
    assert planted_row.split(" | ")[1:] == [
        "3 of 3",
        "2 of 2",
        "2 of 3",
        "0 of 2",
        "1 |",
    ]
    as_measured = f"cos ({suites.LEFT_OUT}), sin (its reason; {suites.TWICE}), tan"
    assert named == f"- torch, float64, order 1, WRONG: {as_measured}."


@pytest.mark.parametrize(
    ("planted", "array", "said"),
    [
        ("", {}, "right"),
        ("entry", {"largest": 100.0}, "too small"),
        ("entry", {"largest": 102.0}, "right"),
        ("everywhere", {"norm_sensitivity": 0.0100}, "too small"),
        ("everywhere", {"norm_sensitivity": 0.0098}, "right"),
        ("entry", {"largest": 102.0, "name": "grad_outputs[0]"}, "too small"),
    ],
)
def test_an_error_below_what_a_report_says_is_too_small(planted, array, said):
    of = {
        "name": "x",
        "shape": (4, 4),
        "passed": True,
        "sensitivity": 1.0,
        "norm_sensitivity": 1.0,
    } | array
    report = replace(REPORT, arrays=(ArrayReport(**of),))
    assert (
        suites.outcome(lambda planted: suites.REPORTS.append(report), planted)["said"]
        == said
    )


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")
def test_jax_errors_are_planted_in_the_gradient_that_is_checked():
    import jax.numpy as jnp

    import secant.jax

    x = jnp.ones(20)  # all derivatives are 1, but for the cotangent
    cotangent = secant.jax.check(lambda x: x, (x,)).cotangent[0]
    # `x` of no elements is all that is returned
    assert suites.jax_largest(lambda x: x, [jnp.ones(0), x], 1) is None
    assert suites.jax_largest(lambda _, x: x, [jnp.ones(0), x], 1) == (
        1,
        np.abs(cotangent).argmax(),
    )
    assert suites.jax_largest(lambda x: x, [x], 2) is None  # it is 0
    assert suites.jax_largest(lambda z: z * z, [jnp.array([1.0, 100 + 100j, 1.0])], 2)[
        1
    ] in range(3)
    planted = suites.jax_case(lambda x: x * x, [x], 2)
    planted.ours("")
    with pytest.raises(GradientMismatchError, match="WRONG"):
        planted.ours("entry")


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("suite", "start", "every"), [("torch", 7, 150), ("jax", 5, 120)]
)
def test_a_slice(suite, start, every, tmp_path):
    for package in (suite, "expecttest") if suite == "torch" else (suite,):
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")
    results = tmp_path / "results.jsonl"
    program = Path(suites.__file__)
    command = [
        sys.executable,
        program,
        "--suites",
        suite,
        "--start",
        str(start),
        "--every",
        str(every),
    ]
    subprocess.run([*command, "--results", results], check=True, capture_output=True)
    cases = [
        case
        for line in results.read_text(encoding="utf-8").splitlines()
        for case in json.loads(line)["cases"]
    ]
    assert sum("theirs" in case for case in cases) > 5
    found = [case["ours"] for case in cases if "ours" in case]
    assert len(found) > 10
    for case in found:
        assert case[""]["said"] in ("right", "not verified", "nothing to check"), case[
            ""
        ]["message"]
        if case[""]["said"] == "right" and "everywhere" in case:
            assert case["everywhere"]["said"] in ("WRONG", "not verified", "too small")
