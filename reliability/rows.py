"""What is measured: the rows of docs/records/reliability.md."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

from outcome import Outcome


class Row(NamedTuple):
    """A promise, and what tries it how often: by itself, in a quick look and in a test.

    ``function`` is that of a module here; ``allowed`` are shares that may fail, by how
    the name of a kind of trials ends. Two parts run at a time if ``together``.
    ``sanitized`` rows are of a core that was built with the address sanitizer, as
    HACKING.md says.
    """

    promise: str
    unit: str
    function: str
    full: int
    quick: int
    slice: int = 0
    allowed: Mapping[str, float] = {}
    together: bool = True
    sanitized: bool = False


ROWS = {
    "sweep": Row(
        "Central differences are within the contract's bound of the exact ones (60 digits); none is NaN.",
        "networks", "sweep.run", full=20_000, quick=400, slice=60,
    ),
    "single": Row(
        "Where the float64 gradient fits in float32, that of float32 parameters is not refused, and is within the "
        "contract's bound: numbers of 1e-30 to 1e30, h of 1e-18 to 1,000.",
        "networks", "single.run", full=20_000, quick=400, slice=300,
    ),
    "bound": Row(
        "The truncation bound that `return_info` reports is never below what the series left out.",
        "networks", "truncation.run", full=10_000, quick=250, slice=125,
    ),
    "files": Row(
        "A damaged file is refused by secant.errors.DataError, or loads to something valid; and it is left as it is.",
        "files", "files.run", full=50_000, quick=5000, slice=2000,
    ),
    "faults": Row(
        "At least 99.9 % of wrong gradients of 784-50-10 are noticed in at most 100 evaluations of the loss. Not "
        "counted are those that then look for kinks, which might excuse them.",
        "faults", "faults.noticed", full=10_000, quick=400, slice=40, allowed={"": 0.001},
    ),
    "culprits": Row(
        "The one wrong entry of 39,760 is named in at most 1,000 evaluations, in 99 % of the trials; of faults of 8 "
        "kinds the diagnosis is right in 90 %, and a wrong one in at most 2 %.",
        "faults", "faults.named", full=1200, quick=120, slice=12,
        allowed={": named": 0.01, ": diagnosis": 0.1, ": none wrong": 0.02},
    ),
    "verdicts": Row(
        "`check_network` says of backpropagation from y - t that it is right for the loss without the 1e-7, where "
        "`recognize` knows the network; of other networks, of one to three layers with or without a weight decay, it "
        "names the 1e-7 as a cause where the gradient is off by less than 10 %. With one of ten faults planted in it, "
        "it is wrong.",
        "networks", "verdicts.run", full=5000, quick=330, slice=55,
    ),
    "alarms": Row(
        "A right gradient of 2 to 100,000 entries is never said to be wrong: in float64, in float32, on kinks and off.",
        "checks", "alarms.alarms", full=5000, quick=500, slice=120,
    ),
    "hard": Row(
        "Where parts of f are rounded more coarsely than others, entries differ much in size, or the domain ends at x "
        "or near it: no right gradient is said to be wrong, error bars cover the truth in 99.9 % of the directions, "
        "and of errors of one entry that are just above what the report says would be noticed, 99.9 % are.",
        "checks", "alarms.hard", full=8000, quick=160, slice=40, allowed={"": 0.001, ": alarms": 0.0},
    ),
    "flat": Row(
        "Where f is flat to its last digit, rises in steps, has a kink in every entry, or raises an error at larger "
        "steps: no right gradient is said to be wrong, and no gradient passes that is off by more than the report of "
        "the right one says would be noticed.",
        "checks", "alarms.flat", full=4000, quick=160, slice=40, allowed={": errors": 0.001},
    ),
    "coverage": Row(
        "The error bar of the slope along a direction covers the true one in at least 99.9 % of the directions, in "
        "float64, in float32 and near kinks.",
        "directions", "alarms.coverage", full=20_000, quick=1000, slice=200, allowed={"": 0.001},
    ),
    "statement": Row(
        "An error of one entry just above what a report says would have been noticed is. 0.1 % may be missed, as error "
        "bars may be too small.",
        "errors", "alarms.statement", full=10_000, quick=500, slice=100, allowed={"": 0.001},
    ),
    "interrupts": Row(
        "However an exception of f or a signal ends a derivative, x is what it was, bit for bit; nothing hangs, no "
        "thread or process is left behind, and the next result has the same bits as before.",
        "derivatives", "derivatives.interrupts", full=10_000, quick=400, slice=60, together=False,
    ),
    "entries": Row(
        "The error bar of an entry of `scheme='auto'` covers the truth in at least 99.9 % of the entries of each "
        "family of functions; in 99 % where a part of f is rounded so coarsely beside a fine one that few jumps are "
        "near x, where f is rounded and has values on one side of x only, or where x has few neighbors within a period "
        "of f.",
        "entries", "derivatives.entries", full=505_000, quick=5000, slice=2000,
        allowed={"": 0.001, "fine beside coarse": 0.01, "rounded at an end": 0.01, "sin at 1e12": 0.01},
    ),
    "hessians": Row(
        "The error bar of an entry of `numerical_hessian` covers the truth in at least 99.9 % of the entries where f "
        "is smooth; in 99 % where it is rounded or noisy.",
        "entries", "derivatives.hessians", full=100_000, quick=5000, slice=1000, allowed={"": 0.01, "plain": 0.001},
    ),
    "writers": Row(
        "Whatever four threads write to x, t and params while four others use them, the process goes on.",
        "calls", "writers.run", full=600, quick=40, slice=4, together=False,
    ),
}  # fmt: skip
FIRST = " The address sanitizer ends it at the first access that is out of bounds."
ROWS["sanitized"] = ROWS["writers"]._replace(
    promise=ROWS["writers"].promise + FIRST, slice=0, sanitized=True
)


def part(name: str, trials: str, seed: str) -> None:
    """Try a promise, in a process of its own, for `launching.measured`."""
    row = ROWS[name]
    outcome = Outcome(row.promise, row.unit, allowed=dict(row.allowed))
    module, function = row.function.split(".")
    getattr(importlib.import_module(module), function)(outcome, int(trials), int(seed))
    print(json.dumps(asdict(outcome)))
