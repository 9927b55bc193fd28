"""Which entries of a gradient are wrong: the error along a direction is a sum, of which halves are measured."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np

from secant.checking.point import Span
from secant.checking.verdict import Measured

SAMPLED = 12  # entries of a wrong array that are looked at before it is halved


Measure = Callable[[Span], Measured]


def search(
    measure: Measure, arrays: list[Span], findings: int, evaluations_left: Callable[[], int], rng: np.random.Generator
) -> tuple[list[Measured], list[Measured], set[Span]]:
    """Look for wrong entries.

    Returns
    -------
    wrong, right : list of Measured
        Single entries that were measured.
    arrays : set of Span
        The arrays in which something is wrong.
    """
    wrong: list[Measured] = []
    right: list[Measured] = []
    blamed: set[Span] = set()
    for array in arrays:
        whole = measure(array)
        if not whole.wrong:
            continue
        blamed.add(array)
        sampled = [measure(entry) for entry in _entries(array, rng)] if array.size > 1 else [whole]
        wrong += (bad := [entry for entry in sampled if entry.wrong])
        right += [entry for entry in sampled if not entry.wrong]
        if 2 * len(bad) < len(sampled):
            known = {entry.span.begin for entry in bad}
            for entry in _halved(measure, whole, findings, evaluations_left):
                if entry.span.begin not in known:
                    (wrong if entry.wrong else right).append(entry)
    return sorted(wrong, key=lambda entry: -abs(entry.error)), right, blamed


def _entries(array: Span, rng: np.random.Generator) -> Iterator[Span]:
    for i in rng.choice(array.size, min(SAMPLED, array.size), replace=False).tolist():
        yield Span(array.begin + i, array.begin + i + 1)


def _halved(
    measure: Measure, whole: Measured, findings: int, evaluations_left: Callable[[], int]
) -> Iterator[Measured]:
    """Halve spans, the worst first, down to single entries."""
    queue = [(-abs(whole.error), whole)]
    found = 0
    while queue and found < findings and evaluations_left() > 0:
        _, (span, error, bar, allowed) = heapq.heappop(queue)
        if span.size == 1:
            entry = measure(span)
            found += entry.wrong
            yield entry
            continue
        middle = (span.begin + span.end) // 2
        left = measure(Span(span.begin, middle))
        rest = Span(middle, span.end)
        right = Measured(rest, error - left.error, bar + left.error_bar, allowed + left.allowed)
        if not abs(right.error) > 2 * right.allowed:  # not clear from the difference
            right = measure(rest)
        for half in (left, right):
            if half.wrong:
                heapq.heappush(queue, (-abs(half.error), half))
