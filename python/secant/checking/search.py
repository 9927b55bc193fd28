"""Which arrays and entries are wrong: the error along a direction is a sum, of which parts are measured."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.candidate import Candidate
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.report import FINDINGS, Finding
from secant.checking.verdict import MeasuredError, noticed
from secant.errors import ValueRangeError

EVALUATIONS = 100
"""A check that passes evaluates f about so often: for two directions at least, and four at most."""
_PROBES, _PROBES_ON_KINKS = 4, 3  # of all entries; of each array, where x lies on a kink
_LOOKS = 4  # directions of half of the entries, along which kinks are looked for: along others, several may cancel
_SEARCHES, _FOR_ENTRIES = 5000, 1000  # evaluations of a search, and of those that are left for entries at least
_SAMPLED = 12  # entries of a wrong array that are measured before it is halved
_RISES = "f rises in steps: by itself no entry shows an error, all at once do"
_ONCE = "it seemed wrong along some directions, and not along others"


class Entry(NamedTuple):
    """An entry of a gradient that was measured by itself."""

    leaf: int
    number: int
    found: Finding
    wrong: bool


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate.

    Attributes
    ----------
    overall : sequence of MeasuredError
        Along directions of all entries.
    steepest : float
        The slope from x to the farthest point where f was evaluated.
    noise : float
        That of f, at x.
    by_array : dict of int to sequence of MeasuredError
        The errors of arrays by themselves, if something seemed wrong, or x lies on a kink.
    entries : tuple of Entry
        Those that were measured, the worst first.
    wrong : frozenset of int
        The arrays in which something is wrong.
    sampled : frozenset of int
        Those of which a random sample of entries was measured; of others the entries that were found to be wrong.
    on_kinks : frozenset of int
        The arrays in which x lies on a kink: of these nothing is known.
    doubt : str
        Why nothing is known of any array, if that is so.
    """

    overall: Sequence[MeasuredError]
    steepest: float
    noise: float
    by_array: Mapping[int, Sequence[MeasuredError]]
    entries: tuple[Entry, ...] = ()
    wrong: frozenset[int] = frozenset()
    sampled: frozenset[int] = frozenset()
    on_kinks: frozenset[int] = frozenset()
    doubt: str = ""

    def threshold(self, leaf: int) -> float:
        """The least error along a direction that would have been noticed in an array."""
        return max(each.threshold for each in self.by_array.get(leaf, self.overall))


def probe_together(probe: DirectionalProbe, rng: np.random.Generator) -> list[MeasuredError]:
    """Probes of all entries, of which the last may show a kink."""
    probe.begin("probing", EVALUATIONS)
    point, probes = probe.point, list[MeasuredError]()
    while len(probes) < _PROBES and not noticed(probes):
        before = point.evaluations
        probes.append(probe.measure(point.direction(rng), point.all))
        if not math.isfinite(probes[-1].error_bar):
            if point.error is None:
                raise ValueRangeError("f must have a slope at x, but it is not finite or not continuous there: move x")
            point.error.add_note("f raised this at x shifted by a check, however small the step")
            raise point.error
        is_clear = len(probes) > 1 and not any(each.wrong for each in probes)
        if probes[-1].is_kink or (is_clear and 2 * point.evaluations - before > EVALUATIONS):
            break
    return probes


def locate(
    probe: DirectionalProbe, given: Candidate, evidence: Evidence, direction: Floats, rng: np.random.Generator
) -> Evidence:
    """Search for wrong arrays, and for wrong entries of these."""
    probe.begin("searching", _SEARCHES)
    point = probe.point
    limit = point.evaluations + _SEARCHES
    halves = [point.direction(rng, half=True) for _ in range(_LOOKS)]

    def lies_on_kink(entries: slice) -> bool:
        return any(probe.measure(half, entries, climbs=True).is_kink for half in halves)

    is_kink = evidence.overall[-1].is_kink or (noticed(evidence.overall) and lies_on_kink(point.all))
    directions = [direction, *(point.direction(rng) for _ in range(_PROBES_ON_KINKS - 1) if is_kink)]
    by_array, kinked, suspects = dict[int, Sequence[MeasuredError]](), set[int](), set[int]()
    for leaf, span in enumerate(point.spans):
        own = by_array[leaf] = [probe.measure(each, span, climbs=is_kink) for each in directions]
        if any(each.is_kink for each in own) or (is_kink and any(each.wrong for each in own) and lies_on_kink(span)):
            kinked.add(leaf)
        elif noticed(own) if is_kink else own[0].wrong:
            suspects.add(leaf)
    singles, sampled = dict[int, MeasuredError](), set[int]()

    def measure(entries: slice) -> MeasuredError:
        if entries.start in singles and entries.stop == entries.start + 1:
            return singles[entries.start]
        measured = probe.measure(direction, entries)
        if measured.is_kink:
            kinked.add(point.leaf_of(entries.start))
        if entries.stop == entries.start + 1:
            singles[entries.start] = measured
        return measured

    limit = max(limit, point.evaluations + _FOR_ENTRIES)
    for leaf in sorted(suspects, key=lambda leaf: -abs(by_array[leaf][0].error)):
        if point.evaluations >= limit:
            break
        begin, end = point.spans[leaf].start, point.spans[leaf].stop
        picks = begin + rng.choice(end - begin, min(_SAMPLED, end - begin), replace=False)
        if 2 * sum(measure(slice(i, i + 1)).wrong for i in picks.tolist()) >= len(picks):
            sampled.add(leaf)
        else:
            _halve(measure, by_array[leaf][0], lambda: point.evaluations < limit)
    suspects |= {point.leaf_of(i) for i in given.not_finite.tolist()}
    for i in given.not_finite[:FINDINGS].tolist():
        measure(slice(i, i + 1))
    entries = sorted(
        (_entry(probe, direction, given, single) for single in singles.values()), key=_error_of, reverse=True
    )
    wrong = {entry.leaf for entry in entries if entry.wrong}
    found = replace(
        evidence,
        by_array=by_array,
        entries=tuple(entries),
        wrong=frozenset((suspects | wrong) - (kinked - wrong)),
        sampled=frozenset(sampled),
        on_kinks=frozenset(kinked - wrong),
    )
    if wrong or given.remark or not (suspects or noticed(evidence.overall)):
        return found
    return _all_at_once(probe, found, direction, rng)


def _all_at_once(probe: DirectionalProbe, found: Evidence, direction: Floats, rng: np.random.Generator) -> Evidence:
    """Where no entry shows an error by itself: what is wrong, or why nothing is known."""
    if not found.wrong and not found.on_kinks:
        probe.measure(direction, slice(0, 1), climbs=True)  # tells whether f rises in steps
        if noticed([probe.measure(probe.point.direction(rng), probe.point.all, climbs=True) for _ in range(2)]):
            found = replace(found, wrong=frozenset(found.by_array))
        else:
            found = replace(found, doubt=_ONCE)
    return replace(found, entries=(), wrong=frozenset(), doubt=_RISES) if probe.rises_in_steps else found


def _halve(measure: Callable[[slice], MeasuredError], whole: MeasuredError, goes_on: Callable[[], bool]) -> None:
    """Measure halves of a range, the worst first, down to single entries."""
    queue, found = [(-abs(whole.error), whole)], 0
    while queue and found < FINDINGS and goes_on():
        _, parent = heapq.heappop(queue)
        begin, end = parent.entries.start, parent.entries.stop
        if end == begin + 1:
            found += measure(parent.entries).wrong
            continue
        middle = (begin + end) // 2
        left = measure(slice(begin, middle))
        right = MeasuredError(
            slice(middle, end),
            parent.error - left.error,
            parent.error_bar + left.error_bar,
            parent.allowed + left.allowed,
        )
        if not abs(right.error) > 2 * right.allowed:  # not clear from the difference
            right = measure(right.entries)
        for half in (left, right):
            if half.wrong:
                heapq.heappush(queue, (-abs(half.error), half))


def _error_of(entry: Entry) -> float:
    return abs(entry.found.numerical - entry.found.candidate) if math.isfinite(entry.found.candidate) else math.inf


def _entry(probe: DirectionalProbe, direction: Floats, given: Candidate, single: MeasuredError) -> Entry:
    point, number = probe.point, single.entries.start
    leaf, step, value = point.leaf_of(number), float(direction[number]), given.entry(number, direction)
    place = tuple(map(int, np.unravel_index(number - point.spans[leaf].start, point.shapes[leaf])))
    numerical = (value if math.isfinite(value) else 0.0) + single.error / step
    found = Finding(point.names[leaf], place, value, numerical, single.error_bar / abs(step))
    return Entry(leaf, number, found, (single.wrong and not single.is_kink) or not math.isfinite(value))
