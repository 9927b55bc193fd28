"""What is measured: the rows of docs/reliability.md."""

import importlib
from typing import NamedTuple

from launching import report


class Row(NamedTuple):
    """How often something is tried: by itself, in a quick look and in a test; and whether two may run at a time.

    ``run`` is the function of the module that tries it. ``sanitized`` rows are of a core that was built with the
    address sanitizer, as HACKING.md says. What writes while others read has no ``slice``: a test has a short round.
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
    "files": Row("files", full=50_000, quick=5000, slice=2000),
    "faults": Row("faults", full=10_000, quick=400, slice=40, run="noticed"),
    "culprits": Row("faults", full=1200, quick=120, slice=12, run="named"),
    "verdicts": Row("verdicts", full=5000, quick=330, slice=55, run="verdicts"),
    "alarms": Row("alarms", full=5000, quick=500, slice=120, run="alarms"),
    "hard": Row("alarms", full=8000, quick=160, slice=40, run="hard"),
    "flat": Row("alarms", full=4000, quick=160, slice=40, run="flat"),
    "coverage": Row("alarms", full=20_000, quick=1000, slice=200, run="coverage"),
    "statement": Row("alarms", full=10_000, quick=500, slice=100, run="statement"),
    "interrupts": Row("derivatives", full=10_000, quick=400, slice=60, together=False),
    "entries": Row("derivatives", full=505_000, quick=5000, slice=2000, run="entries"),
    "hessians": Row("derivatives", full=100_000, quick=5000, slice=1000, run="hessians"),
    "writers": Row("writers", full=60, quick=4, together=False),
    "sanitized": Row("writers", full=60, quick=4, together=False, run="sanitized", sanitized=True),
}


def part(name: str, trials: str, seed: str) -> None:
    """In a process of its own: some of the trials of a row."""
    report(getattr(importlib.import_module(ROWS[name].module), ROWS[name].run)(int(trials), int(seed)))
