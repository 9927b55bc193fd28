"""docs/reliability.md, from what was measured."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from outcome import from_json

HEAD = """# Reliability

Each row is a promise, how often it was tried, and how often it failed. `python tests/reliability` writes this page, in
a clone in which Secant is installed with its extra `test`; `--only NAME` measures one row again. A promise is *kept*
where no more failed than it allows, in each family of cases; families where it is not follow below. Failures count once
per backend. All families, worst shares of what is allowed, examples, machines and commits are in
`docs/reliability.json`.
"""


def page(rows: dict[str, dict[str, Any]]) -> str:
    outcomes = {name: from_json(row["outcome"]) for name, row in rows.items()}
    lines = [HEAD, "| promise | name | tried | failed | kept | date |", "| --- " * 6 + "|"]
    broken: list[str] = []
    for name, outcome in outcomes.items():
        families = [(kind, part) for kind, part in sorted(outcome.details.items()) if not outcome.is_kept_by(kind)]
        count = len(outcome.details)
        kept = "yes" if not families else f"in {count - len(families)} of {count} families"
        tried = f"{outcome.tried:,} {outcome.unit}"
        lines.append(line(outcome.promise, f"`{name}`", tried, f"{outcome.failed:,}", kept, rows[name]["date"]))
        for kind, part in families:
            holds = f"{100 * (1 - part.failed / part.tried):.2f} %"
            broken.append(line(f"`{name}`", kind, f"{part.tried:,}", f"{part.failed:,}", holds))
    if broken:
        lines += ["", "## Families where a promise is not kept", ""]
        lines += ["| name | family | tried | failed | what holds |", "| --- | --- | --: | --: | --: |", *broken]
    return "\n".join(lines) + "\n"


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """What the figures hold for."""
    versions = [f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "gmpy2")]
    parts = processor(), f"{os.cpu_count()} cores", platform.platform(), f"Python {platform.python_version()}"
    return ", ".join([*parts, *versions])


def processor() -> str:
    for text in (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if os.path.exists("/proc/cpuinfo") else ()
    ):
        if text.startswith("model name"):
            return text.split(":")[1].strip()
    return platform.machine()
