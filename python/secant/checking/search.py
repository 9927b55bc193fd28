"""Which entries of a gradient are wrong: the error along a direction is a sum, of which halves are measured."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.candidate import Candidate
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import EntryRange, Point
from secant.checking.probing import Evidence
from secant.checking.report import FINDINGS
from secant.checking.verdict import MeasuredError, noticed

_EVALUATIONS, _FOR_ENTRIES = 5000, 1000  # of a search, and of those that are left for entries at least
_SAMPLED = 12  # entries of a wrong array that are measured before it is halved
_RISES = "f rises in steps: by itself no entry shows an error, all at once do"
_ONCE = "it seemed wrong along some directions, and not along others"


class Entry(NamedTuple):
    """An entry of a gradient that was measured by itself."""

    leaf: int
    number: int
    place: tuple[int, ...]
    given: float
    numerical: float
    error_bar: float
    wrong: bool

    @property
    def error(self) -> float:
        """How far it is off."""
        return abs(self.numerical - self.given) if math.isfinite(self.given) else math.inf


@dataclass(frozen=True)
class Suspects:
    """Entries that were measured, and the arrays in which something is wrong.

    In the arrays of ``sampled`` a random sample of the entries was measured; in others the entries that were found to
    be wrong. Of those ``on_kinks`` nothing is known, and of none where there is ``doubt``, which says why.
    """

    entries: tuple[Entry, ...] = ()
    arrays: frozenset[int] = frozenset()
    sampled: frozenset[int] = frozenset()
    on_kinks: frozenset[int] = frozenset()
    doubt: str = ""


def locate(
    probe: DirectionalProbe,
    given: Candidate,
    evidence: Evidence,
    direction: Floats,
    rng: np.random.Generator,
) -> Suspects:
    """Search for wrong entries: in all arrays, or in those that are wrong by themselves."""
    point = probe.point
    probe.begin("searching", _EVALUATIONS)
    singles, wholes, kinked = dict[int, MeasuredError](), dict[int, MeasuredError](), set(evidence.on_kinks)
    suspects = {leaf for leaf, own in evidence.by_array.items() if noticed(own)}
    sampled, limit = set[int](), point.evaluations + _EVALUATIONS

    def measure(begin: int, end: int) -> MeasuredError:
        if begin in singles and end == begin + 1:
            return singles[begin]
        measured = probe.measure(direction, EntryRange(begin, end))
        if measured.is_kink:
            kinked.add(point.leaf_of(begin))
        if end == begin + 1:
            singles[begin] = measured
        return measured

    for leaf in range(len(point.spans)) if evidence.overall else sorted(suspects):
        whole = measure(*point.spans[leaf])
        if whole.wrong:
            suspects.add(leaf)
            wholes[leaf] = whole
    limit = max(limit, point.evaluations + _FOR_ENTRIES)
    for leaf, whole in sorted(wholes.items(), key=lambda item: -abs(item[1].error)):
        if point.evaluations >= limit:
            break
        begin, size = whole.entries.begin, whole.entries.size
        picks = rng.choice(size, min(_SAMPLED, size), replace=False).tolist()
        bad = [i for i in picks if measure(begin + i, begin + i + 1).wrong]
        if 2 * len(bad) >= len(picks):
            sampled.add(leaf)
        else:
            _halve(measure, whole, lambda: point.evaluations < limit)
    ends = [span.end for span in point.spans]
    suspects |= set(np.searchsorted(ends, given.not_finite, side="right").tolist())
    for i in given.not_finite[:FINDINGS].tolist():
        measure(i, i + 1)
    found = [_entry(point, direction, given, single) for single in singles.values()]
    entries = tuple(sorted(found, key=lambda entry: entry.error, reverse=True))
    wrong = {entry.leaf for entry in entries if entry.wrong}
    on_kinks = kinked - wrong
    arrays = (suspects | wrong) - on_kinks
    suspected = Suspects(entries, frozenset(arrays), frozenset(sampled), frozenset(on_kinks))
    return suspected if wrong or given.remark else _all_at_once(probe, suspected, direction, rng)


def _all_at_once(probe: DirectionalProbe, suspects: Suspects, direction: Floats, rng: np.random.Generator) -> Suspects:
    """Where no entry shows an error by itself: what is wrong, or why nothing is known."""
    if not suspects.arrays and not suspects.on_kinks:
        probe.measure(direction, EntryRange(0, 1), climbs=True)  # tells whether f rises in steps
        if noticed([probe.measure(probe.point.direction(rng), probe.point.all, climbs=True) for _ in range(2)]):
            suspects = replace(suspects, arrays=frozenset(range(len(probe.point.spans))))
        else:
            suspects = replace(suspects, doubt=_ONCE)
    return Suspects(doubt=_RISES) if probe.rises_in_steps else suspects


def _halve(measure: Callable[[int, int], MeasuredError], whole: MeasuredError, goes_on: Callable[[], bool]) -> None:
    """Measure halves of a range, the worst first, down to single entries."""
    queue, found = [(-abs(whole.error), whole)], 0
    while queue and found < FINDINGS and goes_on():
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


def _entry(point: Point, direction: Floats, given: Candidate, found: MeasuredError) -> Entry:
    leaf = point.leaf_of(number := found.entries.begin)
    place = tuple(map(int, np.unravel_index(number - point.spans[leaf].begin, point.shapes[leaf])))
    step, value = float(direction[number]), given.entry(number, direction)
    numerical = (value if math.isfinite(value) else 0.0) + found.error / step
    wrong = (found.wrong and not found.is_kink) or not math.isfinite(value)
    return Entry(leaf, number, place, value, numerical, found.error_bar / abs(step), wrong)
