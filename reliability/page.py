"""docs/records/reliability.md, and its summary in docs/contract.md, from what was
measured.
"""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from outcome import from_json

DOCS = Path(__file__).parents[1] / "docs"
RECORD, PAGE, SUMMARY = (
    DOCS / "reliability.json",
    DOCS / "records" / "reliability.md",
    DOCS / "contract.md",
)
BEGIN, END = "<!-- reliability -->\n", "<!-- end -->\n"  # around the summary
IN_SHORT = {
    "sweep": "a central difference beyond its bound",
    "single": "a float32 gradient beyond its bound",
    "bound": "a truncation error above the reported bound",
    "files": "a damaged file that loads as a valid one, or is changed",
    "faults": "a wrong gradient of 784-50-10 that passes 100 evaluations",
    "culprits": "one wrong entry of 39,760 that is not named",
    "verdicts": "a wrong verdict on a network's backpropagation",
    "alarms": "a right gradient that is called wrong",
    "hard": "a wrong verdict or error bar at unequal entries or rounding",
    "flat": "a wrong verdict on flat functions and steps",
    "coverage": "an error bar of a direction that misses the truth",
    "statement": "an error above the reported sensitivity that passes",
    "interrupts": "a changed x or a hanging process after an interrupt",
    "entries": 'an error bar of `scheme="auto"` that misses the truth',
    "hessians": "an error bar of a Hessian that misses the truth",
    "writers": "a crash while other threads write to the data",
    "sanitized": "an access out of bounds while they do",
}

HEAD = """---
orphan: true
---
# Reliability

Each row is a promise, how often it was tried, and how often it failed. `python reliability` writes this page, in
a clone in which Secant is installed with its extra `test`; `--only NAME` measures one row again. A promise is *kept*
where no more failed than it allows, in each family of cases; families where it is not follow below. Failures count once
per backend. All families, worst shares of what is allowed, examples, machines and commits are in
`docs/reliability.json`.
"""


def page(rows: dict[str, dict[str, Any]]) -> str:
    outcomes = {name: from_json(row["outcome"]) for name, row in rows.items()}
    lines = [
        HEAD,
        "| promise | name | tried | failed | kept | date |",
        "| --- " * 6 + "|",
    ]
    broken: list[str] = []
    for name, outcome in outcomes.items():
        families = [
            (kind, part)
            for kind, part in sorted(outcome.details.items())
            if not outcome.is_kept_by(kind)
        ]
        count = len(outcome.details)
        kept = (
            "yes" if not families else f"in {count - len(families)} of {count} families"
        )
        tried = f"{outcome.tried:,} {outcome.unit}"
        lines.append(
            line(
                outcome.promise,
                f"`{name}`",
                tried,
                f"{outcome.failed:,}",
                kept,
                rows[name]["date"],
            )
        )
        for kind, part in families:
            holds = f"{100 * (1 - part.failed / part.tried):.2f} %"
            broken.append(
                line(f"`{name}`", kind, f"{part.tried:,}", f"{part.failed:,}", holds)
            )
    if broken:
        lines += ["", "## Families where a promise is not kept", ""]
        lines += [
            "| name | family | tried | failed | what holds |",
            "| --- | --- | --: | --: | --: |",
            *broken,
        ]
    return "\n".join(lines) + "\n"


def summary(rows: dict[str, dict[str, Any]]) -> str:
    """What was counted as a failure, how often it was tried, and how often it
    happened.
    """
    lines = ["| counted as a failure | tried | failed |", "| --- | --: | --: |"]
    for name, row in rows.items():
        outcome = from_json(row["outcome"])
        lines.append(
            line(
                IN_SHORT[name],
                f"{outcome.tried:,} {outcome.unit}",
                f"{outcome.failed:,}",
            )
        )
    return "\n".join(lines) + "\n"


def with_summary(text: str, rows: dict[str, dict[str, Any]]) -> str:
    """The text of docs/contract.md with the summary of these rows."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + summary(rows) + END + after


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """What the figures hold for."""
    versions = [
        f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "gmpy2")
    ]
    parts = (
        processor(),
        f"{os.cpu_count()} cores",
        platform.platform(),
        f"Python {platform.python_version()}",
    )
    return ", ".join([*parts, *versions])


def processor() -> str:
    for text in (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if os.path.exists("/proc/cpuinfo")
        else ()
    ):
        if text.startswith("model name"):
            return text.split(":")[1].strip()
    return platform.machine()
