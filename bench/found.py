"""The checks over gradients that released packages write themselves, and reports of the
errors that they found.

    python bench/found.py [PACKAGE ...] [--results FILE] [--write]
    python bench/found.py --requirements    # the pinned versions, for `pip install -r`
    python bench/found.py --flaws           # puts the reports of bench/found/reports/ into docs/records/flaws.md
    python bench/found.py --programs        # checks the functions of bench/found/programs/ again, then as --flaws

A package is a function of found_torch.py, found_jax.py or found_numpy.py. Those that
are not installed are left out, and other versions than the pinned ones are named. What
is in the file of results is not checked again. `--write` puts the tables into
docs/records/packages.md. The reports need none of these checks: each is a text for the
maintainers of a package, with a program that shows the error without Secant, and what
it prints. A file of the same name in bench/found/programs/ has what Secant says of the
error, and the program that its report writes.
"""

import argparse
import importlib
import importlib.metadata
import json
import math
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest import mock

import secant
from found_checks import PACKAGES, Check
from secant.checking.report import GradientReport
from secant.errors import GradientMismatchError
from tables import markdown, put

RECORDS = Path(__file__).parent.parent / "docs" / "records"
PAGE, FLAWS = RECORDS / "packages.md", RECORDS / "flaws.md"
REPORTS = sorted((Path(__file__).parent / "found" / "reports").glob("*.md"))
PROGRAMS = Path(__file__).parent / "found" / "programs"
RESULTS = Path(__file__).parent.parent / "build" / "found.jsonl"


class Outcome(NamedTuple):
    """What was said of a gradient.

    Attributes
    ----------
    said : str
        The verdict, or the error that was raised.
    size : float
        The largest relative error of an entry; NaN if it is not wrong.
    sensitivity : float
        The least error that would have been noticed, relative to the largest entry of
        its array; the worst array's.
    evaluations : int
    message : str
    """

    said: str
    size: float
    sensitivity: float
    evaluations: int
    message: str


def outcome(check: Check) -> Outcome:
    """Run a check, and note all that it reports."""
    reports: list[GradientReport] = []

    def recorded(report: GradientReport) -> None:
        reports.append(report)
        if not report.passed:
            raise GradientMismatchError(str(report))

    said, message = "right", ""
    with (
        mock.patch.object(GradientReport, "raise_if_failed", recorded),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            returned = check.run()
            if isinstance(returned, GradientReport):
                recorded(returned)
        except GradientMismatchError as error:
            said, message = (
                reports[-1].verdict if reports and not reports[-1].passed else "wrong",
                str(error),
            )
        except Exception as error:
            said, message = f"{type(error).__name__}", str(error)
    return Outcome(
        said.replace("wrong", "differs"),
        max(
            (
                _relative(f.gradient, f.numerical)
                for report in reports
                for f in report.findings
            ),
            default=math.nan,
        ),
        max(
            (
                a.sensitivity / a.largest
                for r in reports
                for a in r.arrays
                if a.passed and a.largest > 0
            ),
            default=math.nan,
        ),
        sum(report.evaluations for report in reports),
        message,
    )


def _relative(given: float, numerical: float) -> float:
    return (
        abs(given - numerical) / max(abs(given), abs(numerical))
        if math.isfinite(given)
        else math.inf
    )


Row = tuple[str, str, str, list[str]]
"""A package, its version, what was said of a gradient, and more of it."""


def packages_table(rows: list[Row]) -> list[str]:
    cells = []
    for name, version in dict.fromkeys((name, version) for name, version, *_ in rows):
        own = [(said, row) for package, _, said, row in rows if package == name]
        right = [row[0] + limit(row[2]) for said, row in own if said == "right"]
        cells.append(
            [
                name,
                version,
                str(len(right)),
                str(len(own) - len(right)),
                "; ".join(right),
            ]
        )
    total = [sum(int(row[column]) for row in cells) for column in (2, 3)]
    cells.append([f"{len(cells)} packages", "", *map(str, total), ""])
    return markdown(["package", "version", "right", "other", "what is right"], cells, 5)


def limit(least: str) -> str:
    """What is said of a gradient that is right to less than four digits."""
    return (
        f" (errors below {least} of the largest entry pass)"
        if least and float(least) > 1e-4
        else ""
    )


def others_table(rows: list[Row]) -> list[str]:
    cells = [
        [name, row[0], row[1], row[3]] for name, _, said, row in rows if said != "right"
    ]
    return markdown(["package", "gradient", "verdict", "why"], cells, 4)


def parts(text: str, language: str) -> list[str]:
    """The blocks of a language in Markdown."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def pinned(report: Path) -> tuple[str, str]:
    """The package that a report is about, and its version."""
    text = report.read_text(encoding="utf-8")
    (requirements,) = re.findall(r"^`pip install (.*)`$", text, re.MULTILINE)
    name, version = requirements.replace("'", "").split()[0].split("==")
    return name, version


def imported(source: str) -> ModuleType:
    """A module called ``flawed``, of this source."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(sys, "path", [folder, *sys.path]),
    ):
        (Path(folder) / "flawed.py").write_text(source, encoding="utf-8")
        sys.modules.pop("flawed", None)
        importlib.invalidate_caches()
        return importlib.import_module("flawed")


def reported(program: str, name: str) -> str:
    """What Secant reports of a function of a package, and the program of the report.

    The program given begins with the definitions of f, gradient and x, and perhaps of
    the names of entries. The one returned is that of ``report.reproducer()``: the
    definitions take the place of their import, and the version of the package is added.
    """
    source = program.partition("\n\n\ndef value(")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package
        flawed = imported(source)
        names = list(flawed.names) if hasattr(flawed, "names") else None
        report = secant.check_gradient(flawed.f, flawed.x, flawed.gradient, names=names)

    definitions = source.partition("\nx = ")[0]
    definitions = re.sub(r"\A#.*\n", "", definitions)  # the versions of another time
    versions, _, rest = report.reproducer().partition("\n")
    rest = rest.partition("\nx = ")[2]
    if name not in versions:
        versions += f", {name} {importlib.metadata.version(name)}"
    program = f"{versions}\n{definitions}\nx = {rest}"

    command = [sys.executable, "-W", "ignore", "-c", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "\n".join(
        [
            f"```text\n{report}\n```\n",
            f"```python\n{program}```\n",
            f"```text\n{printed}```\n",
        ]
    )


def flaws_page() -> str:
    """All reports on one page."""
    head = """---
orphan: true
---
# Gradient errors, one by one

Written by `python bench/found.py --flaws` from `bench/found/reports/`; [a table](../found.md) lists them. Each program
needs only the packages above it, and prints what stands below it. None of these texts was sent to a project by us yet.
"""
    sections = [head]
    for report in REPORTS:
        sections.append(f"#{report.read_text(encoding='utf-8')}")
        program = PROGRAMS / report.name
        if program.exists():
            sections.append(
                "Below is Secant's own report. `report.reproducer()` wrote the program after it; the functions replace their import.\n\n"
                f"{program.read_text(encoding='utf-8')}"
            )
    return "\n".join(sections)


def main() -> int:
    for library in "torch", "jax", "numpy":
        importlib.import_module(f"found_{library}")  # it registers its packages
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*", help="all by default")
    parser.add_argument(
        "--requirements", action="store_true", help="print the pinned versions and stop"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        help="what is in this file is not checked again",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the tables into docs/records/packages.md",
    )
    parser.add_argument(
        "--flaws", action="store_true", help="write docs/records/flaws.md and stop"
    )
    parser.add_argument(
        "--programs", action="store_true", help="write bench/found/programs, as well"
    )
    options = parser.parse_args()
    if options.requirements:
        print(
            "\n".join(f"{name}=={version}" for name, (version, _) in PACKAGES.items())
        )
        return 0
    if options.programs:
        for file in sorted(PROGRAMS.glob("*.md")):
            (program,) = parts(file.read_text(encoding="utf-8"), "python")
            name, _ = pinned(REPORTS[0].with_name(file.name))
            file.write_text(reported(program, name), encoding="utf-8")
    if options.flaws or options.programs:
        FLAWS.write_text(flaws_page(), encoding="utf-8")
        return 0
    options.results.parent.mkdir(exist_ok=True)
    options.results.touch()
    known = {
        k: v
        for line in options.results.read_text(encoding="utf-8").splitlines()
        for k, v in json.loads(line).items()
    }
    rows: list[Row] = []
    for name in options.packages or PACKAGES:
        wanted, checks = PACKAGES[name]
        try:
            version = importlib.metadata.version(name).split("+")[0]
            listed = list(checks())
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            continue
        if version != wanted:
            print(f"{name}: version {version}, not {wanted}", flush=True)
        for check in listed:
            key = f"{name}=={version} {check.what}"
            start = time.perf_counter()
            found = Outcome(*known[key]) if key in known else outcome(check)
            if key not in known:
                with options.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({key: found}) + "\n")
            size = (
                f" by {found.size:.1e}"
                if found.said == "differs" and not math.isnan(found.size)
                else ""
            )
            least = "" if math.isnan(found.sensitivity) else f"{found.sensitivity:.0e}"
            row = [
                check.what,
                found.said + size,
                least,
                check.remark if found.said != "right" else "",
            ]
            rows.append((name, version, found.said, row))
            print(
                name,
                *row,
                f"{found.evaluations} in {time.perf_counter() - start:.2f} s",
                sep=" | ",
                flush=True,
            )
    if options.write:
        put(PAGE, "found.py", [*packages_table(rows), "", *others_table(rows)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
