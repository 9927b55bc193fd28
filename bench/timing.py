"""Timing that can be compared: contestants take turns, round after round, and ratios are taken within a round.

Seconds a call are kept as launches x rounds: a launch is a fresh process, a round a turn of every contestant. A ratio
is the median of those of all rounds; its interval, of 95 %, draws launches and then rounds of each anew (bootstrap).
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

Clock = Callable[[], float]
Samples = dict[str, list[list[float]]]
"""Seconds a call, launches x rounds, by contestant."""

RESAMPLES, LEVEL = 2_000, 95


class Effort(NamedTuple):
    """How long to measure."""

    rounds: int
    launches: int
    quick: bool = False


FULL, QUICK = Effort(rounds=5, launches=2), Effort(rounds=3, launches=1, quick=True)


class Contest(TypedDict):
    """What was measured together, and the libraries that are missing, with the reason."""

    samples: Samples
    missing: dict[str, str]


Contests = dict[str, Contest]


def alone(description: str | None, measure: Callable[[Effort], Any], table: Callable[[Any], list[str]]) -> None:
    """Measure one question from the command line, and print its table."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure less")
    print("\n".join(table(measure(QUICK if parser.parse_args().quick else FULL))))


class Ratio(NamedTuple):
    """How many times as long something takes as something else: the median, and its interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = max(0, 2 - math.floor(math.log10(self.median)))
        return f"{self.median:,.{digits}f} [{self.low:,.{digits}f}, {self.high:,.{digits}f}]"


def ratio(slower: list[list[float]], faster: list[list[float]]) -> Ratio:
    """The ratio of two contestants that took their turns in the same rounds."""
    paired = np.array(slower) / np.array(faster)
    launches, rounds = paired.shape
    rng = np.random.default_rng(0)
    launch = rng.integers(launches, size=(RESAMPLES, launches, 1))
    medians = np.median(paired[launch, rng.integers(rounds, size=(RESAMPLES, launches, rounds))], axis=(1, 2))
    low, high = np.percentile(medians, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Ratio(float(np.median(paired)), float(low), float(high))


def quartiles(samples: list[list[float]]) -> NDArray[np.float64]:
    """The first quartile, the median and the third quartile of all turns."""
    values: NDArray[np.float64] = np.percentile(samples, [25, 50, 75])
    return values


def median(samples: list[list[float]]) -> float:
    """The median of all turns."""
    return float(np.median(samples))


def turn(call: Callable[[], object], shortest: float, clock: Clock = time.perf_counter) -> float:
    """Seconds a call, over calls that take ``shortest`` together, after half as long that is not counted."""
    first = _repeated(call, shortest / 2, clock)
    return first if first > shortest else _repeated(call, shortest, clock)  # long enough to be its own warm-up


def _repeated(call: Callable[[], object], shortest: float, clock: Clock) -> float:
    calls, start, end = 0, clock(), time.perf_counter() + shortest
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    return (clock() - start) / calls
