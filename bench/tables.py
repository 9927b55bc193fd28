"""Tables in Markdown, and programs that print them or put them into pages."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from timing import FULL, QUICK, Contest, Effort, Samples, launched, quartiles, ratio

DOCS = Path(__file__).resolve().parent.parent / "docs"


def alone(
    description: str | None,
    measure: Callable[[Effort], Any],
    table: Callable[[Any], list[str]],
    page: str = "",
    draw: Callable[[Any, Path], None] | None = None,
) -> None:
    """Measure one question from the command line and print its table; with --write it
    goes into a page of docs/.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="measure less")
    if page:
        parser.add_argument(
            "--write", action="store_true", help=f"put the table into docs/{page}"
        )
    options = parser.parse_args()
    measured = launched({"": measure}, QUICK if options.quick else FULL)[""]
    print("\n".join(table(measured)))
    if page and options.write:
        program = Path(sys.argv[0])
        put(DOCS / page, program.name, table(measured))
        if draw is not None:
            draw(measured, DOCS / f"{program.stem}.svg")


def markdown(
    columns: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1
) -> list[str]:
    """A table whose first ``words`` columns are text, and the others numbers."""
    align = ["---" if column < words else "--:" for column in range(len(columns))]
    return [f"| {' | '.join(cells)} |" for cells in (columns, align, *rows)]


def by_input(
    contests: dict[str, Contest],
    yardstick: Callable[[str], str],
    words: Sequence[str],
    unit: str,
    scale: float,
) -> list[str]:
    """For each kind of input a section of `standings` by numbers of threads, and
    float32 `across_types`.
    """
    lines: list[str] = []
    for inputs in dict.fromkeys(name.split(", ")[0] for name in contests):
        columns = {
            name.split(", ")[1]: contest
            for name, contest in contests.items()
            if name.startswith(inputs)
        }
        lines += [
            f"### {inputs}",
            "",
            *standings(columns, yardstick, words, unit, scale),
            "",
        ]
        lines += [*across_types(columns, yardstick, words), ""]
    return lines


def standings(
    contests: dict[str, Contest],
    yardstick: Callable[[str], str],
    words: Sequence[str],
    unit: str,
    scale: float,
) -> list[str]:
    """All contestants of contests that differ in one respect, which heads their
    columns.

    Times are medians, the least and the quartiles, in ``unit`` of ``scale`` to the
    second. Ratios are to what ``yardstick`` names for a contestant, and what beats it
    by more than the interval is in bold.
    """
    columns = list(words)
    for name in contests:
        columns += [f"{name}, {unit}", "least; quartiles", "times Secant"]
    rows = []
    for name in next(iter(contests.values()))["samples"]:
        row = [*name.split(" | ")]
        for contest in contests.values():
            samples = contest["samples"]
            if name not in samples:
                row += ["–"] * 3
                continue
            turns = (min(map(min, samples[name])), *quartiles(samples[name]))
            least, low, middle, high = (
                significant(scale * seconds) for seconds in turns
            )
            row += [
                middle,
                f"{least}; {low}–{high}",
                _times(samples, name, yardstick(name)),
            ]
        rows.append(row)
    lines = markdown(columns, rows, len(words))
    missing = {
        name: reason
        for contest in contests.values()
        for name, reason in contest["missing"].items()
    }
    return [
        *lines,
        "",
        *(f"Missing: {name} ({reason})." for name, reason in missing.items()),
    ]


def across_types(
    contests: dict[str, Contest], yardstick: Callable[[str], str], words: Sequence[str]
) -> list[str]:
    """What others do in float32, against Secant in float64: the ratios that `standings`
    does not have.
    """
    rows = []
    for name in next(iter(contests.values()))["samples"]:
        if "| float32 |" in name and not name.startswith("Secant"):
            double = yardstick(name.replace("| float32 |", "| float64 |"))
            found = [
                _times(contest["samples"], name, double)
                for contest in contests.values()
            ]
            rows.append([*name.split(" | "), *found])
    return markdown(
        [*words, *(f"{name}, times Secant in float64" for name in contests)],
        rows,
        len(words),
    )


def _times(samples: Samples, name: str, yardstick: str) -> str:
    if name not in samples:
        return "–"
    times = ratio(samples[name], samples[yardstick])
    return f"**{times}**" if times.high < 1 else str(times)


def significant(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def put(page: Path, program: str, lines: Sequence[str]) -> None:
    """Put what a program found into a page, between the comments with its name and the
    next ``<!-- end -->``.
    """
    page.write_text(
        replaced(page.read_text(encoding="utf-8"), program, lines), encoding="utf-8"
    )


def replaced(text: str, program: str, lines: Sequence[str]) -> str:
    """The text of a page with what a program found."""
    begin, end = f"<!-- bench/{program} -->\n", "<!-- end -->\n"
    before, rest = text.split(begin)
    return before + begin + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1]
