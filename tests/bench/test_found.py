"""The checks over released packages: what is said of a gradient, and that each package
is pinned.
"""

import ast
import functools
import importlib.metadata
import math
import re
import subprocess
import sys

import numpy as np
import pytest

import found
import secant
from found_checks import Check


@pytest.mark.parametrize(
    ("factor", "said", "size"),
    [(1, "right", math.nan), (1.01, "differs", 0.0099), (np.nan, "differs", math.inf)],
)
def test_what_is_said_of_a_gradient(factor, said, size):
    x = np.array([1.0, 2.0])
    check = functools.partial(
        secant.check_gradient, lambda x: np.sum(x**3), x, factor * 3 * x**2
    )
    outcome = found.outcome(Check("cubes", check))
    assert outcome.said == said
    assert outcome.size == pytest.approx(size, rel=0.01, nan_ok=True)


def test_a_check_that_raises_an_error_is_not_right():
    def check():
        raise ZeroDivisionError("of theirs")

    assert found.outcome(Check("nothing", check))[::4] == (
        "ZeroDivisionError",
        "of theirs",
    )


def test_at_least_20_packages_are_pinned():
    run = subprocess.run(
        [sys.executable, found.__file__, "--requirements"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    pins = run.stdout.split()
    assert len(set(pins)) >= 20
    assert all(pin.count("==") == 1 for pin in pins)


by_report = pytest.mark.parametrize(
    "report", found.REPORTS, ids=lambda report: report.stem
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def blocks_of(report):
    """The packages that a report needs, its program, and what that prints."""
    text = report.read_text(encoding="utf-8")
    (requirements,) = re.findall(r"^`pip install (.*)`$", text, re.MULTILINE)
    (program,), (output,) = (
        re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
        for kind in ("python", "text")
    )
    return requirements.replace("'", "").split(), program, output


@by_report
def test_a_report_is_short_pinned_and_without_secant(report):
    requirements, program, _ = blocks_of(report)
    assert "==" in requirements[0]
    statements = [
        each for each in ast.walk(ast.parse(program)) if isinstance(each, ast.stmt)
    ]
    assert len(statements) <= 15
    assert "secant" not in program
    for part in "Affected:", "Confirmed by", "Suggested fix:", "Known:":
        assert f"- **{part}**" in report.read_text(encoding="utf-8")


@pytest.mark.slow
@by_report
def test_a_program_prints_what_its_report_says(report):
    (pinned, *others), program, output = blocks_of(report)
    name, version = pinned.split("==")
    try:
        installed = importlib.metadata.version(name).split("+")[0]
        others = [
            importlib.metadata.version(re.split("[<=]", other)[0]) for other in others
        ]
    except importlib.metadata.PackageNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    if installed != version:
        pytest.skip(f"{name} {installed} is installed, not {version}")
    command = [sys.executable, "-W", "ignore", "-c", program]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=600
    ).stdout
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", output)
    numbers = [
        [float(number) for number in NUMBER.findall(text)] for text in (printed, output)
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01, abs=1e-4)


def test_the_pages_have_every_report():
    assert found.FLAWS.read_text(encoding="utf-8") == found.flaws_page()
    table = (found.RECORDS.parent / "found.md").read_text(encoding="utf-8")
    titles = [
        report.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for report in found.REPORTS
    ]
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles
    }
    assert set(re.findall(r"\(records/flaws\.md#([\w-]+)\)", table)) == anchors
