"""Which entries of a gradient are wrong: the error along a direction is a sum, of which halves are measured."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from secant.checking.candidate import Candidate
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import Direction, EntryRange, Point
from secant.checking.probing import Evidence
from secant.checking.verdict import MeasuredError

_EVALUATIONS = 5000  # of a search
_FOR_ENTRIES = 1000  # those of them that are left for entries when arrays have been measured
_FOR_EACH = 10  # where every entry is measured: about so many for each
_SAMPLED = 12  # entries of a wrong array that are measured before it is halved


class Entry(NamedTuple):
    """An entry of a gradient that was measured by itself."""

    leaf: int
    flat: int
    place: tuple[int, ...]
    given: float
    numerical: float
    error_bar: float
    wrong: bool


@dataclass(frozen=True)
class Suspects:
    """Entries that were measured, and the arrays in which something is wrong.

    In the arrays of ``sampled`` a random sample of the entries was measured, or all; in others the entries that were
    found to be wrong. Those in ``unseen`` the search did not reach; of those ``on_kinks`` nothing is known.
    """

    entries: tuple[Entry, ...] = ()
    arrays: frozenset[int] = frozenset()
    sampled: frozenset[int] = frozenset()
    unseen: frozenset[int] = frozenset()
    on_kinks: frozenset[int] = frozenset()


def locate(
    probe: DirectionalProbe,
    given: Candidate,
    evidence: Evidence,
    direction: Direction,
    max_findings: int,
    every: bool,
    rng: np.random.Generator,
) -> Suspects:
    """Search for wrong entries: in all arrays, or in the wrong ones where arrays were probed one by one.

    At most so many are found by halving an array; with ``every`` each entry is measured.
    """
    point = probe.point
    probe.begin("entries" if every else "searching", _FOR_EACH * point.all.size if every else _EVALUATIONS)
    limit = math.inf if every else point.evaluations + _EVALUATIONS
    singles, wholes, kinked = dict[int, MeasuredError](), dict[int, MeasuredError](), set(evidence.on_kinks)
    suspects, sampled, unseen = set[int](), set[int](), set[int]()

    def measure(begin: int, end: int) -> MeasuredError:
        if end > begin + 1 or begin not in singles:
            measured = probe.measure(direction, EntryRange(begin, end))
            if measured.is_kink:
                kinked.update(leaf for leaf, _ in point.parts(measured.entries))
            if end > begin + 1:
                return measured
            singles[begin] = measured
        return singles[begin]

    for leaf, span in enumerate(point.spans):
        by_itself = not evidence.overall and evidence.is_wrong(span)
        if not (every or evidence.overall or by_itself):
            continue
        if wholes and limit - point.evaluations <= _FOR_ENTRIES:
            unseen.add(leaf)
            continue
        whole = measure(*span)
        if whole.wrong or by_itself:
            suspects.add(leaf)
        if whole.wrong or every:
            wholes[leaf] = whole
    for leaf, whole in sorted(wholes.items(), key=lambda item: -abs(item[1].error)):
        if point.evaluations >= limit:
            break
        begin, size = whole.entries.begin, whole.entries.size
        picks = range(size) if every else rng.choice(size, min(_SAMPLED, size), replace=False).tolist()
        bad = [i for i in picks if measure(begin + i, begin + i + 1).wrong]
        if every or 2 * len(bad) >= len(picks):
            sampled.add(leaf)
        else:
            _halve(measure, whole, max_findings, lambda: point.evaluations < limit)
    for leaf, indices in enumerate(given.not_finite):
        for i in indices[:max_findings].tolist():
            suspects.add(leaf)
            if point.evaluations < limit:
                measure(point.spans[leaf].begin + i, point.spans[leaf].begin + i + 1)
    worst_first = sorted(singles.values(), key=lambda single: -abs(single.error))
    entries = [_entry(point, direction, given, single) for single in worst_first]
    entries = [entry._replace(wrong=entry.wrong and entry.leaf not in evidence.on_kinks) for entry in entries]
    wrong = {entry.leaf for entry in entries if entry.wrong}
    arrays, on_kinks = (suspects | wrong) - (kinked - wrong), kinked - wrong
    return Suspects(tuple(entries), *map(frozenset, (arrays, sampled, unseen - suspects, on_kinks)))


def _halve(
    measure: Callable[[int, int], MeasuredError], whole: MeasuredError, max_findings: int, goes_on: Callable[[], bool]
) -> None:
    """Measure halves of a range, the worst first, down to single entries."""
    queue, found = [(-abs(whole.error), whole)], 0
    while queue and found < max_findings and goes_on():
        _, parent = heapq.heappop(queue)
        begin, end = parent.entries
        if parent.entries.size == 1:
            found += measure(begin, end).wrong
            continue
        middle = (begin + end) // 2
        left = measure(begin, middle)
        right = MeasuredError(
            EntryRange(middle, end),
            parent.error - left.error,
            parent.error_bar + left.error_bar,
            parent.allowed + left.allowed,
        )
        if not abs(right.error) > 2 * right.allowed:  # not clear from the difference
            right = measure(middle, end)
        for half in (left, right):
            if half.wrong:
                heapq.heappush(queue, (-abs(half.error), half))


def _entry(point: Point, direction: Direction, given: Candidate, found: MeasuredError) -> Entry:
    leaf, index = point.entry(found.entries.begin)
    flat = found.entries.begin - point.spans[leaf].begin
    step = float(direction[leaf][flat])
    value = given.entry(leaf, flat, direction)
    numerical = (value if math.isfinite(value) else 0.0) + found.error / step
    wrong = (found.wrong and not found.is_kink) or not math.isfinite(value)
    return Entry(leaf, flat, index, value, numerical, found.error_bar / abs(step), wrong)
