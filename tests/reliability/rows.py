"""What is measured: the rows of docs/reliability.md."""

import importlib
from typing import NamedTuple

from launching import report


class Row(NamedTuple):
    """How often something is tried: by itself, in a quick look and in a test; and whether two may run at a time.

    ``run`` is the function of the module that tries it. What starts many processes has no ``slice``: `pytest -m slow`
    takes a quick look, and tests/contract tries a few. ``sanitized`` rows are of a core that was built with the address
    sanitizer, as HACKING.md says.
    """

    module: str
    full: int
    quick: int
    slice: int = 0
    together: bool = True
    run: str = "run"
    sanitized: bool = False


ROWS = {
    "sweep": Row("sweep", full=20_000, quick=400, slice=60),
    "single": Row("single", full=20_000, quick=400, slice=300),
    "bound": Row("truncation", full=10_000, quick=250, slice=125),
    "threads": Row("threads", full=500, quick=10),
    "exits": Row("exits", full=1248, quick=48),
    "signals": Row("signals", full=200, quick=10),
    "latency": Row("latency", full=48, quick=12, together=False),
    "forks": Row("forks", full=200, quick=5),
    "files": Row("files", full=50_000, quick=5000, slice=2000),
    "limits": Row("limits", full=480, quick=48),
    "faults": Row("faults", full=10_000, quick=400, slice=40, run="noticed"),
    "culprits": Row("faults", full=1200, quick=120, slice=12, run="named"),
    "verdicts": Row("verdicts", full=5000, quick=330, slice=55, run="verdicts"),
    "alarms": Row("alarms", full=5000, quick=500, slice=120, run="alarms"),
    "hard": Row("alarms", full=8000, quick=160, slice=40, run="hard"),
    "flat": Row("alarms", full=4000, quick=160, slice=40, run="flat"),
    "coverage": Row("alarms", full=20_000, quick=1000, slice=200, run="coverage"),
    "restored": Row("restored", full=10_000, quick=400, slice=40),
    "interrupts": Row("derivatives", full=10_000, quick=400, slice=60, together=False),
    "entries": Row("derivatives", full=750_000, quick=5000, slice=2000, run="entries"),
    "hessians": Row("derivatives", full=100_000, quick=5000, slice=1000, run="hessians"),
    "apart": Row("stacks", full=5200, quick=260, slice=52, run="apart"),
    "right_patterns": Row("patterns", full=5200, quick=400, slice=80, run="right"),
    "writers": Row("writers", full=60, quick=4, together=False),
    "sanitized": Row("writers", full=60, quick=4, together=False, run="sanitized", sanitized=True),
    "statement": Row("statement", full=10_000, quick=500, slice=100),
}


def part(name: str, trials: str, seed: str) -> None:
    """In a process of its own: some of the trials of a row."""
    report(getattr(importlib.import_module(ROWS[name].module), ROWS[name].run)(int(trials), int(seed)))
