"""Probes of all entries at once; and array by array where x lies on kinks of f."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import EntryRange
from secant.checking.verdict import MeasuredError, noticed
from secant.errors import ValueRangeError

EVALUATIONS = 100
"""A check that passes evaluates f about so often: for two directions at least, and four at most."""
_PROBES, _PROBES_OF_ARRAYS = 4, 3
_LOOKS = 4  # directions of half of the entries, along which kinks are looked for


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate, before entries are looked for.

    Attributes
    ----------
    overall : sequence of MeasuredError
        Along directions of all entries; none where arrays were probed one by one.
    by_array : dict of int to sequence of MeasuredError
        The errors of arrays by themselves, where x lies on kinks of f.
    on_kinks : frozenset of int
        The arrays that lie on them: of these nothing is known.
    steepest : float
        The slope from x to the farthest point where f was evaluated.
    noise : float
        That of f, at x.
    """

    overall: Sequence[MeasuredError]
    by_array: Mapping[int, Sequence[MeasuredError]]
    on_kinks: frozenset[int]
    steepest: float
    noise: float

    def threshold(self, leaf: int) -> float:
        """The least error along a direction that would have been noticed in an array."""
        return max((each.threshold for each in self.by_array.get(leaf, self.overall)), default=math.inf)

    @property
    def wrong(self) -> bool:
        """Whether something is wrong, of which the array may not be known."""
        return noticed(self.overall) or any(map(noticed, self.by_array.values()))


def probe_all(probe: DirectionalProbe, rng: np.random.Generator) -> Evidence:
    """Probe all entries along a few directions, and what these call for."""
    probe.begin("probing", EVALUATIONS)
    overall: Sequence[MeasuredError] = probe_together(probe, rng)
    by_array, on_kinks, steepest = dict[int, Sequence[MeasuredError]](), frozenset[int](), probe.steepest
    if overall[-1].is_kink or (noticed(overall) and _lies_on_kinks(probe, probe.point.all, rng)):
        overall = []
        by_array, on_kinks = _array_by_array(probe, rng)
    return Evidence(overall, by_array, on_kinks, steepest, float(probe.noise.near[0]))


def probe_together(probe: DirectionalProbe, rng: np.random.Generator) -> list[MeasuredError]:
    """Probes of all entries, of which the last may show a kink."""
    point, probes = probe.point, list[MeasuredError]()
    while len(probes) < _PROBES and not noticed(probes):
        before = point.evaluations
        probes.append(probe.measure(point.direction(rng), point.all))
        if not math.isfinite(probes[-1].error_bar):
            raise _no_slope(point.error)
        is_clear = len(probes) > 1 and not any(each.wrong for each in probes)
        if probes[-1].is_kink or (is_clear and 2 * point.evaluations - before > EVALUATIONS):
            break
    return probes


def _no_slope(error: Exception | None) -> Exception:
    if error is None:
        return ValueRangeError("f must have a slope at x, but it is not finite or not continuous around it: move x")
    error.add_note("f raised this at x shifted by a check, however small the step")
    return error


def _lies_on_kinks(probe: DirectionalProbe, entries: EntryRange, rng: np.random.Generator) -> bool:
    """Whether a kink shows along directions of half of the entries: along others, several may cancel."""
    directions = (probe.point.direction(rng, half=entries.size > 2) for _ in range(_LOOKS))
    return any(probe.measure(direction, entries, climbs=True).is_kink for direction in directions)


def _array_by_array(
    probe: DirectionalProbe, rng: np.random.Generator
) -> tuple[dict[int, Sequence[MeasuredError]], frozenset[int]]:
    """Probes of each array by itself, and the arrays on kinks."""
    by_array, on_kinks = dict[int, Sequence[MeasuredError]](), set[int]()
    for leaf, span in enumerate(probe.point.spans):
        own = [probe.measure(probe.point.direction(rng), span, climbs=True) for _ in range(_PROBES_OF_ARRAYS)]
        is_kink = any(each.is_kink for each in own)
        if is_kink or (any(each.wrong for each in own) and _lies_on_kinks(probe, span, rng)):
            on_kinks.add(leaf)
        else:
            by_array[leaf] = own
    return by_array, frozenset(on_kinks)
