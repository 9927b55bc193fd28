"""What became slower since an earlier run, beyond the noise.

Machines and their moods differ, so times are not compared but ratios: Secant's to the first library that took its turns
in the same rounds. One that changed is one whose interval lies wholly on one side of the earlier, by more than what a
neighbour that fills the caches is good for.
"""

from typing import Any, NamedTuple

from timing import Contest, Ratio, ratio

MARGIN = 1.1


class Change(NamedTuple):
    """A ratio of Secant's time to another's, before and now."""

    what: str
    yardstick: str
    before: Ratio
    now: Ratio

    @property
    def slower(self) -> bool:
        return self.now.low > self.before.high * MARGIN

    @property
    def faster(self) -> bool:
        return self.now.high * MARGIN < self.before.low

    def __str__(self) -> str:
        verdict = "slower" if self.slower else "faster"
        return f"{verdict}: {self.what}: {self.now} of the time of {self.yardstick}, before {self.before}"


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """All that changed, in the contests that two runs have in common."""
    found = []
    for question in before.keys() & now.keys():
        for name in contests_of(before[question]) & contests_of(now[question]):
            found += changed(f"{question}, {name}", before[question][name], now[question][name])
    return sorted(change for change in found if change.slower or change.faster)


def contests_of(measured: dict[str, Any]) -> set[str]:
    return {name for name, what in measured.items() if isinstance(what, dict) and "samples" in what}


def changed(where: str, before: Contest, now: Contest) -> list[Change]:
    old, new = before["samples"], now["samples"]
    common = [name for name in new if name in old]
    yardstick = next((name for name in common if not name.startswith("Secant")), None)
    return [
        Change(f"{where}: {name}", yardstick, *(ratio(run[name], run[yardstick]) for run in (old, new)))
        for name in common
        if yardstick and name.startswith("Secant")
    ]
