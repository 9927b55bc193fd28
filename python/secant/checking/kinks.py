"""What kinks at x may change in a directional derivative.

The jumps of several kinks may cancel along a direction. They do not along all directions of which half of the entries
are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from secant.checking.directional_probe import Difference, DirectionalProbe
from secant.checking.point import Direction, EntryRange
from secant.differentiation.noise import root_mean_square
from secant.differentiation.slope import LIKELY, SURE, RichardsonColumn

_SMOOTH = 2.0**-5  # a derivative that holds at steps of this size has no kink within them
_LOOKS, _ALLOWED = 4, 2.0  # twice as many looks, where some of the first see a kink


class KinkedRange(NamedTuple):
    """An entry that lies on a kink of f; or a range with such entries, where to find them all takes too long.

    Several kinks that meet in one entry may cancel in f, but not in what a framework takes for its gradient. So one
    that is not between the slopes of both sides may still be right. Those of a range often do cancel.
    """

    entries: EntryRange
    jump: float
    is_between: bool  # the slopes of both sides


@dataclass(frozen=True)
class Kinks:
    """What is allowed for kinks, and where they are."""

    allowed: float = 0.0
    found: tuple[KinkedRange, ...] = ()
    undecided: tuple[EntryRange, ...] = ()
    """Ranges in which something is wrong, unless kinks explain it: those that were found, or that noise hides."""

    @property
    def single(self) -> tuple[KinkedRange, ...]:
        """The entries that lie on kinks: of those of larger ranges it is not known which do."""
        return tuple(kinked for kinked in self.found if kinked.entries.size == 1)

    def allowed_in(self, entries: EntryRange) -> float:
        """What is allowed in a range: nothing where none of its entries may lie on a kink."""
        return self.allowed if any((entries & kinked.entries).size > 0 for kinked in self.found) else 0.0


def may_lie_on_kinks(difference: Difference) -> bool:
    """Whether kinks are to be looked for: where something seems wrong, or larger steps were of no use."""
    return difference.judged().wrong or difference.column.farthest < _SMOOTH


def measure_kinks(probe: DirectionalProbe, column: RichardsonColumn, rng: np.random.Generator) -> list[float]:
    """The jumps of derivatives along directions of half of the entries; none, unless x is likely to lie on kinks.

    One jump among eight is a kink near x, which noise shows as one at x: at x, every second direction has one.
    """

    def looked() -> list[tuple[float, float]]:
        return [probe.jump(probe.point.direction(rng, half=True), column) for _ in range(_LOOKS)]

    found = looked()
    if sum(clear > LIKELY for _, clear in found) < 2 and not any(clear > SURE for _, clear in found):
        return []
    found += looked()
    return [jump for jump, _ in found] if sum(jump > 0 for jump, _ in found) > 1 else []


def allowance(jumps: Sequence[float]) -> float:
    """What jumps like these may change in a derivative."""
    return _ALLOWED * root_mean_square(np.array(jumps)) if any(jumps) else 0.0


def bisect_kinks(probe: DirectionalProbe, direction: Direction, max_halved: int) -> Iterator[tuple[Difference, bool]]:
    """Measure ranges of entries, and the halves of those whose derivative jumps, down to single entries.

    The largest come first. After ``max_halved`` of them, ranges are not halved any more. Evaluations are not what is
    counted: they depend on the gradient, and what is told apart should not. Nor should error bars depend on what came
    before: the steps that are tried first are those of the range that was halved, not those that a kink elsewhere took.

    Yields
    ------
    difference : Difference
    halved : bool
        Whether the halves of this range follow.
    """
    count = 0
    queue: deque[tuple[EntryRange, RichardsonColumn | None]] = deque((span, None) for span in probe.point.spans)
    while queue:
        entries, probe.column = queue.popleft()
        difference = probe.difference(direction, entries)
        halved = difference.slope.jump != 0 and entries.size > 1 and count < max_halved
        yield difference, halved
        if halved:
            count += 1
            middle = (entries.begin + entries.end) // 2
            halves = EntryRange(entries.begin, middle), EntryRange(middle, entries.end)
            queue += [(half, difference.column) for half in halves]
