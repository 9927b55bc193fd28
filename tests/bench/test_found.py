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
    (program,), (output,) = found.parts(text, "python"), found.parts(text, "text")
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
    for part in "Affected:", "Confirmed by", "Suggested fix:", "Known:", "Run with":
        assert f"- **{part}**" in report.read_text(encoding="utf-8")


def why_not(report):
    """Why the program of a report cannot run here; "" if it can."""
    (pinned, *others), _, _ = blocks_of(report)
    name, version = pinned.split("==")
    try:
        installed = importlib.metadata.version(name).split("+")[0]
        for other in others:
            importlib.metadata.version(re.split("[<=]", other)[0])
    except importlib.metadata.PackageNotFoundError as error:
        return f"{error.name} is not installed"
    if installed != version:
        return f"{name} {installed} is installed, not {version}"
    return ""


def numbers_of(text):
    return [float(number) for number in NUMBER.findall(text)]


def prints(program, output):
    """Run a program, and compare what it prints."""
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", output), printed
    assert numbers_of(printed) == pytest.approx(
        numbers_of(output), rel=0.01, abs=1e-4
    ), printed


def run_what_is_installed(reports, run):
    """Run the programs of reports, and skip the test if a package is missing: a gate
    that has few of these packages counts one test for all of them.
    """
    reasons = [reason for report in reports if (reason := why_not(report))]
    for report in reports:
        if not why_not(report):
            run(report)
    if reasons:
        pytest.skip("; ".join(sorted(set(reasons))))


def runs_as_it_says(report):
    _, program, output = blocks_of(report)
    prints(program, output)


# The gate installs these, and tests their programs one by one.
OF_THE_GATE = [
    report
    for report in found.REPORTS
    if found.pinned(report)[0] in ("scikit-learn", "torch")
]
OTHERS = [report for report in found.REPORTS if report not in OF_THE_GATE]
of_the_gate = pytest.mark.parametrize(
    "report", OF_THE_GATE, ids=lambda report: report.stem
)


@pytest.mark.slow
@of_the_gate
def test_a_program_prints_what_its_report_says(report):
    run_what_is_installed([report], runs_as_it_says)


@pytest.mark.slow
def test_programs_of_other_packages_print_what_their_reports_say():
    run_what_is_installed(OTHERS, runs_as_it_says)


by_program = pytest.mark.parametrize(
    "file", sorted(found.PROGRAMS.glob("*.md")), ids=lambda file: file.stem
)
TIMES = re.compile(r"(?<= in )[\d.e-]+(?= s;)|\de-\d+$", re.MULTILINE)


def test_five_errors_have_the_report_of_secant():
    assert len(list(found.PROGRAMS.glob("*.md"))) >= 5


@by_program
def test_a_program_shows_the_worst_entry_of_its_report_without_secant(file):
    assert file.name in [report.name for report in found.REPORTS]
    text = file.read_text(encoding="utf-8")
    (program,), (report, output) = (
        found.parts(text, "python"),
        found.parts(text, "text"),
    )
    assert ast.parse(program)
    assert "secant" not in program
    name, version = found.pinned(found.REPORTS[0].with_name(file.name))
    assert f"{name} {version}" in program.splitlines()[0]
    assert "WRONG" in report.splitlines()[0]
    worst = report.partition("  entry ")[2].splitlines()[1].split()
    gradient, numerical = numbers_of(output)
    said = [float(number) for number in worst[-3:-1]]
    assert [gradient, numerical] == pytest.approx(said, rel=1e-5)
    assert gradient != pytest.approx(numerical, rel=1e-8)


def reports_the_same_again(report):
    name, _ = found.pinned(report)
    old = (found.PROGRAMS / report.name).read_text(encoding="utf-8")
    (program,) = found.parts(old, "python")
    new = found.reported(program, name)
    old_texts, new_texts = found.parts(old, "text"), found.parts(new, "text")
    assert TIMES.sub("#", new_texts[0]) == TIMES.sub("#", old_texts[0])
    prints(program, old_texts[1])
    # The versions of Python and NumPy may be others.
    (program_again,) = found.parts(new, "python")
    assert program_again.splitlines()[1:] == program.splitlines()[1:]


def has_a_program(report):
    return (found.PROGRAMS / report.name).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "report",
    [report for report in OF_THE_GATE if has_a_program(report)],
    ids=lambda report: report.stem,
)
def test_secant_reports_an_error_again(report):
    run_what_is_installed([report], reports_the_same_again)


@pytest.mark.slow
def test_secant_reports_errors_of_other_packages_again():
    reports = [report for report in OTHERS if has_a_program(report)]
    run_what_is_installed(reports, reports_the_same_again)


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


def test_counts_agree_everywhere():
    root = found.RECORDS.parent.parent
    page, table, changelog = (
        " ".join(file.read_text(encoding="utf-8").split())
        for file in (root / "docs" / "found.md", found.PAGE, root / "CHANGELOG.md")
    )
    rows = re.findall(r"\| ([\w.-]+) [\w.]+: \[", page)
    errors = len(rows), len(set(rows))
    numbers = r"(\d+) errors in (\d+)"
    for text in re.findall(numbers, page) + re.findall(numbers, changelog):
        assert (int(text[0]), int(text[1])) == errors
    assert re.search(f"{numbers} packages", page)
    assert re.search(f"{numbers} released packages", changelog)

    (total,) = re.findall(r"\| (\d+) packages \| \| (\d+) \| (\d+) \|", table)
    (said,) = re.findall(
        r"of (\d+) released packages were checked .*: (\d+) of them in \[.*?\]\(records/packages.md\), "
        r"(\d+) right gradients and (\d+) others, and (\d+) more once",
        page,
    )
    every, repeatable, right, others, once = map(int, said)
    assert (str(repeatable), str(right), str(others)) == total
    assert every == repeatable + once
