"""Timing that can be compared: contestants take turns, round after round, and ratios
are taken within a round.

Seconds per call are kept as launches x rounds: a launch is a fresh process, a round one
turn of every contestant. Launches are spread over all that is measured, so that they
differ by what the machine does in the meantime. A ratio is the median of those of all
rounds; its interval, of 99 %, is Student's, of the logarithms of the launches' medians.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

Clock = Callable[[], float]
Samples = dict[str, list[list[float]]]
"""Seconds per call, launches x rounds, by contestant."""

LEVEL = 99
QUANTILES = 63.66, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250
"""Of Student's t, for that level and 1, 2, ... degrees of freedom; for more, the last
is large enough.
"""
LONGEST = 840.0
"""Seconds that all launches may take together."""


class Effort(NamedTuple):
    """How long to measure."""

    rounds: int
    launches: int
    quick: bool = False


FULL, QUICK = Effort(rounds=3, launches=4), Effort(rounds=3, launches=1, quick=True)


class Contest(TypedDict):
    """What was measured together, and the libraries that are missing, with the
    reason.
    """

    samples: Samples
    missing: dict[str, str]


Contests = dict[str, Contest]


def launched(
    questions: dict[str, Callable[[Effort], Any]],
    effort: Effort,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure all questions, those that are contests once a launch; ``say`` is told
    when each begins and ends.

    After the second launch there is another only if it will be over in time.
    """
    measured: dict[str, list[Any]] = {title: [] for title in questions}
    begins = [time.monotonic()]  # of launches
    while len(begins) <= effort.launches:
        for title, measure in questions.items():
            if len(begins) == 1 or _are_contests(measured[title][0]):
                start = time.monotonic()
                say(f"{title} ...")
                measured[title].append(measure(effort))
                say(f"{title}: {time.monotonic() - start:.0f} s")
        begins.append(time.monotonic())
        if (
            len(begins) > 2
            and begins[-1] + (begins[-1] - begins[-2]) > begins[0] + LONGEST
        ):
            break
    return {
        title: {name: _merged([part[name] for part in parts]) for name in parts[0]}
        if _are_contests(parts[0])
        else parts[0]
        for title, parts in measured.items()
    }


def _are_contests(measured: dict[Any, Any]) -> bool:
    return all("samples" in contest for contest in measured.values())


def _merged(launches: list[Contest]) -> Contest:
    common = [
        name
        for name in launches[0]["samples"]
        if all(name in launch["samples"] for launch in launches)
    ]
    return {
        "samples": {
            name: [launch["samples"][name][0] for launch in launches] for name in common
        },
        "missing": {
            name: reason
            for launch in launches
            for name, reason in launch["missing"].items()
        },
    }


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        return self.function(*arguments)


class Ratio(NamedTuple):
    """How many times as long something takes as something else: the median, and its
    interval.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return self.written(f",.{max(0, 2 - math.floor(math.log10(self.median)))}f")

    def written(self, kind: str) -> str:
        """In a format of numbers, with the interval where there is one."""
        median, low, high = (format(number, kind) for number in self)
        return f"{median} [{low}, {high}]" if math.isfinite(self.high) else median


def ratio(slower: list[list[float]], faster: list[list[float]]) -> Ratio:
    """The ratio of two contestants that took their turns in the same rounds.

    Two launches say too little for an interval.
    """
    paired = np.log(np.array(slower) / np.array(faster))
    # of one, each of its rounds
    launches = np.median(paired, axis=1) if len(paired) > 1 else paired[0]
    half = math.inf
    if len(launches) > 1 and len(paired) != 2:
        half = (
            QUANTILES[min(len(launches) - 2, len(QUANTILES) - 1)]
            * launches.std(ddof=1)
            / math.sqrt(len(launches))
        )
    middle = launches.mean()
    return Ratio(
        *(
            math.exp(log)
            for log in (float(np.median(paired)), middle - half, middle + half)
        )
    )


def quartiles(samples: list[list[float]]) -> NDArray[np.float64]:
    """The first quartile, the median and the third quartile of all turns."""
    values: NDArray[np.float64] = np.percentile(samples, [25, 50, 75])
    return values


def median(samples: list[list[float]]) -> float:
    """The median of all turns."""
    return float(np.median(samples))


def require(name: str, got: Any, expected: Any, bound: float) -> None:
    """Refuse an answer that is further off than the bound."""
    error = np.abs(np.asarray(got) - expected).max()
    if not error < bound:
        raise ValueError(
            f"{name}: off by {error:.1e}, more than {bound:.1e}: no timing is worth anything"
        )


def turn(
    call: Callable[[], object], shortest: float, clock: Clock = time.perf_counter
) -> float:
    """Seconds per call, over calls that take ``shortest`` together, after half as long
    that is not counted.
    """
    first = _repeated(call, shortest / 2, clock)
    # long enough to be its own warm-up
    return first if first > shortest else _repeated(call, shortest, clock)


def _repeated(call: Callable[[], object], shortest: float, clock: Clock) -> float:
    calls, start, end = 0, clock(), time.perf_counter() + shortest
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    return (clock() - start) / calls
