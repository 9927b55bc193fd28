"""Probes: of all entries at once; of groups of them; and array by array where x lies on kinks of f."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import EntryRange
from secant.checking.verdict import MeasuredError, noticed
from secant.errors import ValueRangeError

_PROBES, _PROBES_OF_ARRAYS = 4, 3
_LOOKS = 4  # directions of half of the entries, along which kinks are looked for


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate, before entries are looked for.

    Attributes
    ----------
    overall : tuple of MeasuredError
        Along directions of all entries; none where arrays were probed one by one.
    parts : tuple of MeasuredError
        The errors of groups of entries, or of arrays, by themselves.
    on_kinks : frozenset of int
        The arrays that lie on kinks of f: of these nothing is known.
    steepest : float
        The slope from x to the farthest point where f was evaluated.
    noise : float
        That of f, at x.
    """

    overall: tuple[MeasuredError, ...]
    parts: tuple[MeasuredError, ...]
    on_kinks: frozenset[int]
    steepest: float
    noise: float

    def parts_of(self, span: EntryRange) -> list[MeasuredError]:
        """The parts that have entries of an array."""
        return [part for part in self.parts if (part.entries & span).size > 0]

    def is_wrong(self, span: EntryRange) -> bool:
        """Whether something is wrong in an array, as far as that is known."""
        own = self.parts_of(span)
        return noticed(own) if not self.overall else any(part.wrong for part in own)

    @property
    def wrong(self) -> bool:
        """Whether something is wrong, of which the array may not be known."""
        return noticed(self.overall) or noticed(self.parts)


def probe_all(probe: DirectionalProbe, max_evaluations: int, rng: np.random.Generator) -> Evidence:
    """Probe all entries along a few directions, and what these call for."""
    probe.begin("probing", max_evaluations)
    overall, cost = probe_together(probe, max_evaluations, rng)
    parts, on_kinks, is_wrong = list[MeasuredError](), frozenset[int](), noticed(overall)
    steepest = probe.steepest
    if any(each.is_kink for each in overall) or (is_wrong and _lies_on_kinks(probe, probe.point.all, rng)):
        overall = []
        parts, on_kinks = _array_by_array(probe, rng)
    elif not is_wrong:
        parts = _in_groups(probe, (max_evaluations - probe.point.evaluations) // max(cost, 1), rng)
    return Evidence(tuple(overall), tuple(parts), on_kinks, steepest, float(probe.noise.near[0]))


def probe_together(
    probe: DirectionalProbe, max_evaluations: int, rng: np.random.Generator
) -> tuple[list[MeasuredError], int]:
    """Probes of all entries, and the evaluations that the last one took."""
    point, found = probe.point, list[MeasuredError]()
    while True:
        before = point.evaluations
        each = probe.measure(point.direction(rng), point.all)
        ends = probe.is_one_sided or not math.isfinite(each.error_bar)
        if ends and point.align_zeros():  # entries that are 0 may lie where the domain of f ends
            found.clear()
            continue
        if not math.isfinite(each.error_bar):
            raise _no_slope(point.error)
        found.append(each)
        cost = point.evaluations - before
        if each.is_kink or noticed(found) or len(found) >= _PROBES:
            return found, cost
        more = any(each.wrong for each in found) or point.evaluations + cost <= max_evaluations
        if len(found) >= 2 and not more:
            return found, cost


def _no_slope(error: Exception | None) -> Exception:
    if error is None:
        return ValueRangeError(
            "f must have a slope at x, but it is not finite or not continuous around it: is scale= too large?"
        )
    error.add_note("f raised this at x shifted by a check, however small the step: is scale= too large?")
    return error


def _lies_on_kinks(probe: DirectionalProbe, entries: EntryRange, rng: np.random.Generator) -> bool:
    """Whether a kink shows along directions of half of the entries: along others, several may cancel."""
    directions = (probe.point.direction(rng, half=entries.size > 2) for _ in range(_LOOKS))
    return any(probe.measure(direction, entries, climbs=True).is_kink for direction in directions)


def _array_by_array(probe: DirectionalProbe, rng: np.random.Generator) -> tuple[list[MeasuredError], frozenset[int]]:
    """Probes of each array by itself, and the arrays on kinks."""
    parts, on_kinks = list[MeasuredError](), set[int]()
    for leaf, span in enumerate(probe.point.spans):
        own = [probe.measure(probe.point.direction(rng), span, climbs=True) for _ in range(_PROBES_OF_ARRAYS)]
        is_kink = any(each.is_kink for each in own)
        if is_kink or (any(each.wrong for each in own) and _lies_on_kinks(probe, span, rng)):
            on_kinks.add(leaf)
        else:
            parts += own
    return parts, frozenset(on_kinks)


def _in_groups(probe: DirectionalProbe, count: int, rng: np.random.Generator) -> list[MeasuredError]:
    """Probe so many groups of entries: of fewer entries, smaller errors show."""
    point = probe.point
    count = min(count, point.all.size)
    if count < 2:
        return []
    ends = np.linspace(0, point.all.size, count + 1).astype(int).tolist()
    direction = point.direction(rng)
    groups = [probe.measure(direction, EntryRange(a, b)) for a, b in itertools.pairwise(ends)]
    if noticed(groups) or not any(group.wrong for group in groups):
        return groups
    direction = point.direction(rng)
    return [probe.measure(direction, group.entries) if group.wrong else group for group in groups]
