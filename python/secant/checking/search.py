"""Which entries of a gradient are wrong: the error along a direction is a sum, of which halves are measured."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from secant.checking.point import EntryRange
from secant.checking.verdict import MeasuredError

_SAMPLED = 12  # entries of a wrong array that are measured before it is halved
_FOR_ENTRIES = 1000  # evaluations that are left for them when arrays have been measured

Measure = Callable[[EntryRange], MeasuredError]


class Found(NamedTuple):
    """Single entries that were measured, and the ranges that were given in which something is wrong.

    Where at least half of a random sample is wrong, no others were measured: ``sampled`` are these ranges. ``unseen``
    are those that were not reached.
    """

    wrong: list[MeasuredError]
    right: list[MeasuredError]
    ranges: list[EntryRange]
    sampled: list[EntryRange]
    unseen: list[EntryRange]


def search(
    measure: Measure,
    ranges: Sequence[EntryRange],
    max_findings: int,
    evaluations_left: Callable[[], int],
    rng: np.random.Generator,
) -> Found:
    """Look for wrong entries in ranges, at most so many by halving each; the worst come first."""
    wrong: list[MeasuredError] = []
    right: list[MeasuredError] = []
    suspect: list[MeasuredError] = []
    mostly_wrong: list[EntryRange] = []
    unseen = list(ranges)
    while unseen and (evaluations_left() > _FOR_ENTRIES or not suspect):
        whole = measure(unseen.pop(0))
        if whole.wrong:
            suspect.append(whole)
    for whole in sorted(suspect, key=lambda whole: -abs(whole.error)):
        if evaluations_left() <= 0:
            break
        entries = whole.entries
        sampled = [measure(entry) for entry in _sampled(entries, rng)] if entries.size > 1 else [whole]
        bad = [single for single in sampled if single.wrong]
        wrong += bad
        right += [single for single in sampled if not single.wrong]
        if 2 * len(bad) >= len(sampled):
            mostly_wrong.append(entries)
        else:
            known = {single.entries for single in bad}
            for single in _halved(measure, whole, max_findings, evaluations_left):
                if single.entries not in known:
                    (wrong if single.wrong else right).append(single)
    worst_first = sorted(wrong, key=lambda single: -abs(single.error))
    return Found(worst_first, right, [whole.entries for whole in suspect], mostly_wrong, unseen)


def _sampled(entries: EntryRange, rng: np.random.Generator) -> Iterator[EntryRange]:
    for i in rng.choice(entries.size, min(_SAMPLED, entries.size), replace=False).tolist():
        yield EntryRange(entries.begin + i, entries.begin + i + 1)


def _halved(
    measure: Measure, whole: MeasuredError, max_findings: int, evaluations_left: Callable[[], int]
) -> Iterator[MeasuredError]:
    """Halve ranges, the worst first, down to single entries."""
    queue = [(-abs(whole.error), whole)]
    found = 0
    while queue and found < max_findings and evaluations_left() > 0:
        _, parent = heapq.heappop(queue)
        begin, end = parent.entries
        if parent.entries.size == 1:
            single = measure(parent.entries)
            found += single.wrong
            yield single
            continue
        middle = (begin + end) // 2
        left = measure(EntryRange(begin, middle))
        right = MeasuredError(
            EntryRange(middle, end),
            parent.error - left.error,
            parent.error_bar + left.error_bar,
            parent.allowed + left.allowed,
        )
        if not abs(right.error) > 2 * right.allowed:  # not clear from the difference
            right = measure(right.entries)
        for half in (left, right):
            if half.wrong:
                heapq.heappush(queue, (-abs(half.error), half))
