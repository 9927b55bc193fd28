"""Whether two runs agree, and what became slower since the earlier, beyond the noise.

Machines differ, so ratios are compared, not times: Secant's time over that of the first library in the same rounds.
A ratio has changed if its interval lies wholly on one side of the earlier one, by more than a neighbor that fills the
caches explains.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradient
import training
from timing import Ratio, ratio

MARGIN = 1.1
LIKE = {"A gradient": gradient.like, "A training iteration": training.like}


class Change(NamedTuple):
    """A ratio of one time to another's, before and now."""

    what: str
    yardstick: str
    before: Ratio
    now: Ratio

    @property
    def agree(self) -> bool:
        return self.now.low <= self.before.high and self.before.low <= self.now.high

    @property
    def slower(self) -> bool:
        return self.now.low > self.before.high * MARGIN

    @property
    def faster(self) -> bool:
        return self.now.high * MARGIN < self.before.low

    def __str__(self) -> str:
        verdict = "slower" if self.slower else "faster" if self.faster else "apart"
        return f"{verdict}: {self.what}: {self.now} of the time of {self.yardstick}, before {self.before}"


def printed(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """The ratios that both pages have, to Secant's central differences where they take part."""

    def yardstick(question: str, name: str, names: list[str]) -> str:
        return LIKE[question](name) if question in LIKE else names[0]

    return _ratios(before, now, yardstick)


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """What changed of Secant's times, as ratios to the first other library of each contest."""

    def yardstick(_question: str, _name: str, names: list[str]) -> str | None:
        return next((name for name in names if not name.startswith("Secant")), None)

    ours = [ratio for ratio in _ratios(before, now, yardstick) if ratio.what.startswith("Secant")]
    return [change for change in ours if change.slower or change.faster]


def _ratios(
    before: dict[str, Any], now: dict[str, Any], yardstick: Callable[[str, str, list[str]], str | None]
) -> list[Change]:
    found = []
    for question in before.keys() & now.keys():
        for contest in _contests_of(before[question]) & _contests_of(now[question]):
            old, new = (run[question][contest]["samples"] for run in (before, now))
            names = [name for name in new if name in old]
            for name in names:
                chosen = yardstick(question, name, names)
                if chosen is not None and chosen in names and chosen != name:
                    ratios = [ratio(run[name], run[chosen]) for run in (old, new)]
                    found.append(Change(f"{name} ({question}, {contest})", chosen, *ratios))
    return sorted(found)


def _contests_of(measured: dict[str, Any]) -> set[str]:
    return {name for name, what in measured.items() if isinstance(what, dict) and "samples" in what}
