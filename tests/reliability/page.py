"""docs/reliability.md, from what was measured."""

import math
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from launching import from_json
from outcome import Outcome

HEAD = """# Reliability

Written by `python tests/reliability`, in a clone of the repository in which Secant is installed with its extra `test`.
Each row is a promise, the command that tests it, how often it was tried and how often it failed. A *worst share* is the
largest error as a share of what is allowed, or the longest wait. Rows may be of different days; each has its own date
and commit. A network that two backends compute wrong has failed twice. The tests run a few trials of each row. The row
`sanitized` is made by its own command alone, with a core that was built as HACKING.md says.
"""


def page(rows: dict[str, dict[str, Any]]) -> str:
    outcomes = {name: from_json(row["outcome"]) for name, row in rows.items()}
    lines = [HEAD, "| promise | command | tried | failed | worst share | date | commit |", "| --- " * 7 + "|"]
    for name, outcome in outcomes.items():
        row, tried = rows[name], f"{outcome.tried:,} {outcome.unit}"
        cells = outcome.promise, f"`{outcome.command}`", tried, f"{outcome.failed:,}", share(outcome.worst)
        lines.append(line(*cells, row["date"], row["commit"]))
    for name, outcome in outcomes.items():
        lines += ["", f"## {name}", "", outcome.promise, "", f"Measured on {rows[name]['machine']}.", ""]
        lines += [*table(outcome), *examples(outcome)]
    return "\n".join(lines) + "\n"


def table(outcome: Outcome) -> list[str]:
    lines = ["| what | tried | failed | worst share |", "| --- | --: | --: | --: |"]
    lines += [
        line(kind, f"{part.tried:,}", f"{part.failed:,}", share(part.worst))
        for kind, part in sorted(outcome.details.items())
    ]
    return [*lines, "", outcome.skipped] if outcome.skipped else lines


def examples(outcome: Outcome) -> list[str]:
    if not outcome.examples:
        return []
    return ["", "Some that failed:", "", "```text", *outcome.examples, "```"]


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def share(worst: float | None) -> str:
    if worst is None:
        return ""
    return "NaN or an error" if math.isinf(worst) else f"{worst:.2g}"


def machine() -> str:
    """What the figures hold for."""
    versions = [f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "gmpy2")]
    parts = processor(), f"{os.cpu_count()} cores", platform.platform(), f"Python {platform.python_version()}"
    return ", ".join([*parts, *versions])


def processor() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else ():
        if text.startswith("model name"):
            return text.split(":")[1].strip()
    return platform.machine()
