"""Probes of all entries at once, of groups of them, and of those on kinks by themselves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from secant.checking.directional_probe import Difference, DirectionalProbe
from secant.checking.kinks import KinkedRange, Kinks, allowance, bisect_kinks, may_lie_on_kinks, measure_kinks
from secant.checking.point import Direction, EntryRange
from secant.checking.verdict import MeasuredError, noticed, seen_for_sure
from secant.errors import ValueRangeError

_PROBES = 4
_HALVED = 100  # ranges, in the search for kinks
_CLEAR = 1000.0
_NOISY = 1e-10  # the noise of f, as a share of it, that asks for larger steps
_HIDDEN = 1e-5  # of the jumps along other directions: so small it is all but surely none, and not several that cancel


@dataclass(frozen=True)
class OverallProbes:
    """What probes of all entries found.

    Attributes
    ----------
    probes : list of MeasuredError
    kink : float
        What is allowed for kinks; 0 unless x lies on some.
    suspect : list of ndarray, optional
        The last direction along which something seemed wrong.
    cost : int
        Evaluations of f of the last probe.
    noticed_after : int
        Evaluations of f before it was clear that something is off; 0 if it is not, but for kinks.
    steepest : float
        The largest slope from x to where f was evaluated.
    """

    probes: list[MeasuredError]
    kink: float
    suspect: Direction | None
    cost: int
    noticed_after: int
    steepest: float


def probe_all(
    probe: DirectionalProbe, max_evaluations: int, rng: np.random.Generator, kink_rng: np.random.Generator
) -> OverallProbes:
    """Probe all entries along a few directions, and look for kinks once where something calls for it."""
    point = probe.point
    differences: list[Difference] = []
    suspect: Direction | None = None
    jumps: list[float] | None = None
    noticed_after = 0
    while not noticed_after:
        before, noise_before = point.evaluations, probe.noise
        direction = point.direction(rng)
        if probe.noise_along(direction).share > _NOISY and point.step_farther():
            direction = point.direction(rng)
        try:
            difference = _confirmed(probe, probe.difference(direction, point.all), direction)
            is_aligned = probe.domain_ends and point.align_zeros()
        except Exception:
            if not (is_aligned := point.align_zeros()):
                raise
        if is_aligned:  # entries that are 0 may lie where the domain of f ends
            differences.clear()
            probe.noise = None
            continue
        seen = seen_for_sure(difference.judged()) < probe.candidate.contribution(direction, point.all) / 2
        if not seen and point.step_farther():
            differences.clear()
            continue
        cost = point.evaluations - before
        if probe.noise != noise_before:  # coarse parts of f were found: what came before may be the slope of others
            differences.clear()
        differences.append(difference)
        probes = [each.judged() for each in differences]
        if noticed(probes):
            noticed_after = point.evaluations
        if jumps is None and may_lie_on_kinks(difference):
            jumps = measure_kinks(probe, difference.column, kink_rng)
        if probes[-1].wrong:
            suspect = direction
            continue
        del direction  # before there is another one: it is as large as x
        more = any(each.wrong for each in probes) or point.evaluations + cost <= max_evaluations
        if len(probes) >= _PROBES or (len(probes) >= 2 and not more):
            break
    kink = allowance([*(jumps or []), *(each.slope.jump for each in differences)])
    steepest = max(each.steepest for each in differences)
    return OverallProbes([each.judged(kink) for each in differences], kink, suspect, cost, noticed_after, steepest)


def _confirmed(probe: DirectionalProbe, difference: Difference, direction: Direction) -> Difference:
    """What seems wrong, but not clearly, is measured at other steps too: the best of many may be so by luck."""
    slope = difference.slope
    if not math.isfinite(slope.error_bar):
        if (error := probe.point.error) is not None:
            error.add_note("f raised this at x shifted by a check, however small the step: is scale= too large?")
            raise error
        raise ValueRangeError(
            "f must have a slope at x, but it is not finite or not continuous around it: is scale= too large?"
        )
    if not difference.judged().wrong or abs(slope.value) > _CLEAR * slope.error_bar:
        return difference
    other = probe.difference(direction, difference.entries, again=True)
    agree = abs(other.slope.value - slope.value) < abs(slope.value) / 2
    return replace(difference, column=other.column) if agree else other


def probe_groups(
    probe: DirectionalProbe, overall: OverallProbes, max_evaluations: int, rng: np.random.Generator
) -> list[MeasuredError]:
    """Probe as many groups of entries as there are evaluations left for: of fewer entries, smaller errors show."""
    point = probe.point
    count = min((max_evaluations - point.evaluations) // max(overall.cost, 1), point.all.size)
    if count < 2:
        return []
    ends = np.linspace(0, point.all.size, count + 1).astype(int).tolist()
    direction = point.direction(rng)
    groups = [probe.measure(direction, EntryRange(a, b), overall.kink) for a, b in itertools.pairwise(ends)]
    if noticed(groups) or not any(group.wrong for group in groups):
        return groups
    direction = point.direction(rng)
    return [probe.measure(direction, group.entries, overall.kink) if group.wrong else group for group in groups]


def set_kinks_apart(
    probe: DirectionalProbe, overall: OverallProbes, rng: np.random.Generator
) -> tuple[Kinks, list[MeasuredError]]:
    """Probe entries on kinks, each by itself, and groups of the others: these need no allowance for jumps.

    Where noise may hide a jump, so much is allowed.
    """
    point, kink = probe.point, overall.kink
    direction = point.direction(rng)
    groups: list[MeasuredError] = []
    kinked: list[KinkedRange] = []
    undecided: list[EntryRange] = []
    for difference, halved in bisect_kinks(probe, direction, _HALVED):
        if halved:
            continue
        if jump := difference.slope.jump:
            is_between = not difference.judged().wrong_by_more_than(jump / 2)
            kinked.append(KinkedRange(difference.entries, jump, is_between))
        hides = difference.hidden_jump > _HIDDEN * kink and not jump
        allowed = kink if jump else difference.hidden_jump if hides else 0.0
        found = difference.judged(allowed)
        if found.wrong:
            found = probe.measure(point.direction(rng), found.entries, allowed)
        if found.wrong and (jump or hides):  # larger jumps may be it, if several kinks cancel along the direction
            undecided.append(found.entries)
        else:
            groups.append(found)
    crowded = {point.entry(each.entries.begin)[0] for each in kinked if each.entries.size > 1}
    undecided += [group.entries for group in groups if group.wrong and point.entry(group.entries.begin)[0] in crowded]
    return Kinks(kink, tuple(sorted(kinked)), tuple(undecided)), groups
