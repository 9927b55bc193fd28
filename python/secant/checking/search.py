"""Which arrays and entries are wrong: the error along a direction is a sum, of which
parts are measured.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.report import FINDINGS, Finding
from secant.checking.verdict import MeasuredError, noticed
from secant.errors import ValueRangeError

EVALUATIONS = 100
"""A check that passes evaluates f about so often: for two directions at least, and four
at most.
"""
# of all entries; of an array, where x lies on a kink or others hide it
_PROBES, _PROBES_OF_ARRAYS = 4, 3
_SEARCHES = 5000  # evaluations of a search for wrong entries
_SAMPLED = 12  # entries of a wrong array that are measured before it is halved
_BY_LUCK = 8.0
"""A sum of errors of random signs is hardly more than so many of its standard
deviations, as a sample tells them. For a weight decay of normal weights and samples of
12 entries, 0.05 % of sums are above 8 of them, 2 % above 4.
"""
_UNCLEAR = (
    "it seems wrong along some directions, which noise, steps or kinks of f may explain"
)


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
    direction : ndarray
        That along which arrays and entries are measured by themselves.
    by_array : dict of int to sequence of MeasuredError
        The errors of arrays by themselves: of all if something seemed wrong, or x lies
        on a kink; else of those that others hide.
    entries : sequence of Entry
        Those that were measured, the worst first.
    wrong : set of int
        The arrays in which something is wrong.
    sampled : set of int
        Those of which a random sample of entries was measured; of others the entries
        that were found to be wrong.
    on_kinks : set of int
        The arrays in which x lies on a kink: of these nothing is known.
    doubt : str
        Why nothing is known of any array, if that is so.
    """

    overall: Sequence[MeasuredError]
    direction: Floats
    by_array: Mapping[int, Sequence[MeasuredError]] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    wrong: Set[int] = frozenset()
    sampled: Set[int] = frozenset()
    on_kinks: Set[int] = frozenset()
    doubt: str = ""

    def threshold(self, leaf: int) -> float:
        """The largest threshold of the probes of an array: smaller errors need not have
        been noticed.

        Those of all entries tell of it too, where nothing seems wrong along them.
        """
        is_clear = not (self.overall[-1].is_kink or noticed(self.overall))
        of_all = max(each.threshold for each in self.overall) if is_clear else math.inf
        return min(
            of_all,
            max(
                (each.threshold for each in self.by_array.get(leaf, ())),
                default=math.inf,
            ),
        )


def probe_together(
    probe: DirectionalProbe, rng: np.random.Generator
) -> list[MeasuredError]:
    """Probes of all entries, of which the last may show a kink."""
    point = probe.point
    probes = list[MeasuredError]()
    point.work = "probing", point.evaluations, EVALUATIONS
    while len(probes) < _PROBES and not noticed(probes):
        before = point.evaluations
        probes.append(probe.measure(point.direction(rng), point.all))
        if not math.isfinite(probes[-1].error_bar):
            if point.error is None:
                raise ValueRangeError(
                    "f must have a slope at x, but it is not finite or not continuous"
                    " there: move x"
                )
            point.error.add_note(
                "f raised this at x shifted by a check, however small the step"
            )
            raise point.error
        is_clear = len(probes) > 1 and not any(each.wrong for each in probes)
        if probes[-1].is_kink or (
            is_clear and 2 * point.evaluations - before > EVALUATIONS
        ):
            break
    return probes


def locate(
    probe: DirectionalProbe,
    evidence: Evidence,
    leaves: Sequence[int],
    rng: np.random.Generator,
) -> Evidence:
    """Search for wrong ones among some arrays, and for wrong entries of these."""
    probe.point.work = "searching", probe.point.evaluations, _SEARCHES
    arrays = _measured_arrays(probe, evidence, leaves, rng)
    found = _measured_entries(_Ranges(probe, evidence.direction), arrays, rng)
    if probe.candidate.remark:
        wrong = found.wrong | probe.candidate.varying
        return replace(found, wrong=wrong or found.by_array.keys())
    has_wrong_entries = any(entry.wrong for entry in found.entries)
    seems_wrong = found.wrong or noticed(evidence.overall)
    if seems_wrong and not has_wrong_entries:
        return _all_at_once(probe, found, rng)
    return found


def _measured_arrays(
    probe: DirectionalProbe,
    evidence: Evidence,
    leaves: Sequence[int],
    rng: np.random.Generator,
) -> Evidence:
    """Some arrays, each by itself: which seem wrong, and which lie on kinks."""
    point = probe.point
    # Known steps would hide kinks, and arrays that others hide.
    climbs = evidence.overall[-1].is_kink or len(leaves) < len(point.spans)
    directions = [evidence.direction]
    if climbs:
        directions += [point.direction(rng) for _ in range(_PROBES_OF_ARRAYS - 1)]

    def measured(direction: Floats, span: slice) -> MeasuredError:
        found = probe.measure(direction, span, climbs)
        if found.wrong and not climbs:  # it may be a kink
            return probe.measure(direction, span, climbs=True)
        return found

    def seems_wrong(probes: Sequence[MeasuredError]) -> bool:
        return noticed(probes) if climbs else probes[0].wrong

    by_array = {
        leaf: [measured(direction, point.spans[leaf]) for direction in directions]
        for leaf in leaves
    }
    on_kinks = {
        leaf for leaf, probes in by_array.items() if any(one.is_kink for one in probes)
    }
    wrong = {leaf for leaf, probes in by_array.items() if seems_wrong(probes)}
    return replace(
        evidence, by_array=by_array, on_kinks=on_kinks, wrong=wrong - on_kinks
    )


def _measured_entries(
    ranges: _Ranges, arrays: Evidence, rng: np.random.Generator
) -> Evidence:
    """Entries of the arrays that seem wrong, the worst first; and which arrays are
    wrong, or on kinks, as far as entries tell.
    """
    point = ranges.probe.point
    sampled = _searched(ranges, arrays, rng)
    not_finite = ranges.probe.candidate.not_finite.tolist()
    single = [begin for begin, end in ranges if end == begin + 1]
    numbers = dict.fromkeys(single + not_finite[:FINDINGS])
    entries = [_entry(ranges, number) for number in numbers]
    entries.sort(key=_error_of, reverse=True)

    wrong = {entry.leaf for entry in entries if entry.wrong}
    kinks = {
        point.leaf_of(begin)
        for (begin, _), measured in ranges.items()
        if measured.is_kink
    }
    on_kinks = (arrays.on_kinks | kinks) - wrong
    seem_wrong = arrays.wrong | {point.leaf_of(i) for i in not_finite}
    wrong |= seem_wrong - on_kinks
    return replace(
        arrays, entries=entries, wrong=wrong, sampled=sampled, on_kinks=on_kinks
    )


def _searched(ranges: _Ranges, arrays: Evidence, rng: np.random.Generator) -> set[int]:
    """Measure entries of the arrays that seem wrong, the worst array first.

    A random sample of each is measured, and halves of the array where the sample does
    not stand for it. Returns the arrays for which it does.
    """
    sampled = set[int]()
    error = {leaf: abs(arrays.by_array[leaf][0].error) for leaf in arrays.wrong}
    for leaf in sorted(arrays.wrong, key=lambda leaf: -error[leaf]):
        span = ranges.probe.point.spans[leaf]
        size = span.stop - span.start
        picks = span.start + rng.choice(size, min(_SAMPLED, size), replace=False)
        if not ranges.may_go_on():
            break
        sample = [ranges[i, i + 1] for i in picks.tolist()]
        if _stands_for_all(sample, size, error[leaf]):
            sampled.add(leaf)
        else:
            ranges.halve(span.start, span.stop)
    return sampled


def _stands_for_all(sample: Sequence[MeasuredError], size: int, error: float) -> bool:
    """Whether a sample of an array's entries explains the error of the whole array, and
    at least half of it are wrong.
    """
    of_all = math.hypot(*(one.error for one in sample)) * math.sqrt(size / len(sample))
    explains = error <= _BY_LUCK * of_all
    return explains and 2 * sum(one.wrong for one in sample) >= len(sample)


def _error_of(entry: Entry) -> float:
    """How far an entry is off: infinitely where it is not finite."""
    error = abs(entry.found.numerical - entry.found.gradient)
    return math.inf if math.isnan(error) else error


def _entry(ranges: _Ranges, number: int) -> Entry:
    point = ranges.probe.point
    measured = ranges[number, number + 1]
    step = float(ranges.direction[number])
    value = ranges.probe.candidate.entry(number, ranges.direction)
    leaf = point.leaf_of(number)
    place = tuple(
        map(int, np.unravel_index(number - point.spans[leaf].start, point.shapes[leaf]))
    )
    numerical = (value if math.isfinite(value) else 0.0) + measured.error / step
    labels = point.labels.get(point.names[leaf])
    label = "" if labels is None else str(labels[place])
    found = Finding(
        point.names[leaf],
        place,
        value,
        numerical,
        measured.error_bar / abs(step),
        label,
    )
    return Entry(leaf, number, found, measured.wrong or not math.isfinite(value))


def _all_at_once(
    probe: DirectionalProbe, found: Evidence, rng: np.random.Generator
) -> Evidence:
    """Where no entry shows an error by itself: what is wrong, or why nothing is
    known.
    """
    if found.on_kinks:
        return replace(found, wrong=frozenset(), on_kinks=found.on_kinks | found.wrong)
    # tells whether f rises in steps
    probe.measure(found.direction, slice(0, 1), climbs=True)
    again = [
        probe.measure(probe.point.direction(rng), probe.point.all, climbs=True)
        for _ in range(2)
    ]
    overall = [*found.overall, *again]
    is_excused = probe.rises_in_steps or found.overall[-1].is_kink
    if is_excused or not all(each.wrong for each in again):
        return replace(found, overall=overall, wrong=frozenset(), doubt=_UNCLEAR)
    return replace(found, overall=overall, wrong=found.wrong or found.by_array.keys())


class _Ranges(dict[tuple[int, int], MeasuredError]):
    """The errors of ranges of entries along a direction, each measured when it is first
    asked for.
    """

    def __init__(self, probe: DirectionalProbe, direction: Floats) -> None:
        self.probe = probe
        self.direction = direction
        self._last = probe.point.evaluations + _SEARCHES

    def __missing__(self, ends: tuple[int, int]) -> MeasuredError:
        self[ends] = self.probe.measure(self.direction, slice(*ends))
        return self[ends]

    def may_go_on(self) -> bool:
        """Whether evaluations are left."""
        return self.probe.point.evaluations < self._last

    def halve(self, begin: int, end: int) -> None:
        """Measure halves of a range, the worst first, down to single entries."""
        queue = [(0.0, begin, end)]
        found = 0
        while queue and found < FINDINGS and self.may_go_on():
            _, begin, end = heapq.heappop(queue)
            middle = (begin + end) // 2
            if middle == begin:
                found += 1
                continue
            for half in ((begin, middle), (middle, end)):
                if (measured := self[half]).wrong:
                    heapq.heappush(queue, (-abs(measured.error), *half))
