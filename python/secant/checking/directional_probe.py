"""Directional derivatives minus the candidate's prediction."""

from __future__ import annotations

from math import isfinite, log
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.candidate import Candidate
from secant.checking.point import Point
from secant.checking.verdict import MeasuredError
from secant.differentiation import slopes
from secant.differentiation.lines import COARSE, RATIO, RUNG, Samples, step_of
from secant.differentiation.noise import Levels, walked

_FARTHER = -RUNG
"""The number of the largest step, where noise asks for it; entries move by some half of
their size, else by a 20th.
"""
_HARDLY = 1e-3  # a relative error bar that is worth leaving out small steps
_AWAY = 6 * RUNG
"""The number of the smallest step then, 3e-8: beside a removable singularity noise
falls as the step grows.
"""
# to so much of the noise of small steps, which is below f(x): else they count
_FALLS = 1e-4
_DENYING = 2 * RUNG
"""Steps that may deny all others where f keeps its last result for x within 1e-14 or
so: up to 1e-13 of x.
"""
_STEPS = 5  # those of the largest window, at which derivatives are tried first
# times the error bar along the direction whose steps are tried: larger ones call for
# other steps
_NEAR_BEST = 3.0
# times half of the jump at a kink: no kink explains such an error, even if jumps nearly
# cancel
_UNEXPLAINED = 100.0
_CLEAR = 1000.0  # error bars: what is off by more is so at any steps
_FINEST = 4.0  # units in the last place of x: the smallest step
_LAST_PLACES = 32.0  # half units: a jump of f that is its rounding
_STILL = 2.0**-18  # a step within which f is constant, and not by its rounding


class _Slope(NamedTuple):
    """What was found from some rungs: see `noise.Walk` and `slopes.Climb`. The error
    bar leaves out the jump error.
    """

    value: float
    bar: float
    jump_error: float
    is_kink: bool
    hides_kink: bool  # beside curvature
    still: float
    noise: Levels
    numbers: range
    best: int
    """The number of the step that was best."""

    def shows(self, share: float, size: float) -> bool:
        """Whether the slope is known to a share of it or of a size, or nothing will be:
        on a kink.
        """
        return self.bar <= share * max(abs(self.value), size) or self.is_kink


class DirectionalProbe:
    """Measures along directions how far a candidate is off, by the slope engine of
    "auto".

    The first direction climbs from the smallest steps up, which tells the noise of f.
    Each further derivative is tried first at the steps that suited the last one that
    climbed.

    Attributes
    ----------
    noise : Levels
        That of f, as far as it is known.
    rises_in_steps : bool
        Whether f is constant around x and jumps farther away.
    steepest, curvature : float
        Along directions that climbed: the largest slope from x to the farthest point,
        and the largest change of the slope within a usual step.
    """

    def __init__(self, point: Point, candidate: Candidate) -> None:
        self.point, self.candidate = point, candidate
        nothing = np.zeros(1)
        self.noise = Levels(nothing + point.rounding, nothing, nothing)
        self.rises_in_steps, self.steepest, self.curvature = False, 0.0, 0.0
        # of the largest of the steps that are tried first
        self._number: int | None = None
        self._bar = 0.0  # that they gave
        least = _FINEST * point.resolution
        self._smallest = RUNG * int(log(step_of(0) / least) / log(RATIO) / RUNG)

    def measure(
        self, direction: Floats, entries: slice, climbs: bool = False
    ) -> MeasuredError:
        """How far the candidate is off along a direction of which only a range is
        shifted.

        ``climbs``: do not try known steps first.
        """
        predicted, size = (
            self.candidate.along(direction, entries),
            self.candidate.contribution(direction, entries),
        )
        samples = self.point.samples(direction, entries)
        if not climbs and (known := self._at_known_steps(samples)) is not None:
            found = MeasuredError(
                known[0] - predicted,
                known[1],
                self.candidate.rounding(size, self.curvature),
            )
            if not found.wrong or abs(found.error) > _CLEAR * found.error_bar:
                return found
        found = self._climbed_error(samples, predicted, size)
        # f may round without our knowing: jumps only verify
        if found.wrong and samples.coarse < COARSE:
            samples.coarse = COARSE
            found = self._climbed_error(samples, predicted, size)
        return found

    def _climbed_error(
        self, samples: Samples, predicted: float, size: float
    ) -> MeasuredError:
        """The error, measured from the smallest steps up.

        A kink that would not explain it counts as none.
        """
        slope = self._climbed(samples, size)  # which may tell more of the curvature
        rounding = self.candidate.rounding(size, self.curvature)
        found = MeasuredError(
            slope.value - predicted,
            slope.bar,
            rounding,
            slope.jump_error,
            slope.is_kink,
        )
        is_explained = not abs(found.error) > _UNEXPLAINED * (
            found.allowed + found.doubt
        )
        is_excused = (
            slope.hides_kink and abs(found.error) > found.allowed and not found.wrong
        )
        return found._replace(is_kink=(found.is_kink and is_explained) or is_excused)

    def _at_known_steps(self, samples: Samples) -> tuple[float, float] | None:
        """The slope at steps that suited another direction; None where they do not suit
        this one.
        """
        if self._number is None:
            return None
        there = samples.differences(
            [step_of(self._number + _STEPS - 1 - k) for k in range(_STEPS)]
        )
        noise = self.noise.with_x_rounded(samples.unit, there.slope[-1]).of_slopes(
            there
        )
        values, bars = slopes.best_of(
            slopes.extrapolated(there.width, there.slope, noise)
        )
        # f may stand still, and rise in steps
        suits = bars[0] <= _NEAR_BEST * self._bar and there.slope.any()
        return (float(values[0]), float(bars[0])) if suits else None

    def _climbed_from(
        self, samples: Samples, smallest: int, largest: int, known: Levels | None = None
    ) -> _Slope:
        """The slope from the rungs between two numbers of steps.

        ``known``: the least noise.
        """
        numbers = range(smallest, largest - 1, -RUNG)
        walk = walked(samples, numbers)
        # a jump of f itself, away from x, says nothing of its slope at x
        walk = walk._replace(jump_error=walk.rounding_error)
        start = slopes.climb(samples, numbers, known or self.noise, walk)
        found = slopes.refined(samples, start, numbers)
        jump_error = float(found.jump_error[0])
        return _Slope(
            float(found.value[0]),
            float(found.bar[0]) - jump_error,
            jump_error,
            is_kink=bool(start.is_kink[0]),
            hides_kink=jump_error > 2 * float(start.jump_error[0]),
            still=float(walk.still[0]),
            noise=start.noise,
            numbers=numbers,
            best=int(found.number[0]),
        )

    def _climbed(self, samples: Samples, size: float) -> _Slope:
        """The slope from the smallest steps up."""
        found = self._climbed_from(samples, self._smallest, 0)
        # f that has not changed yet may rise in steps farther away
        is_constant = all(
            (there.values == samples.value).all() for there in samples.known.values()
        )
        if is_constant or not found.shows(slopes.ENOUGH, size):
            found = self._climbed_from(samples, self._smallest, _FARTHER)
        if not found.shows(slopes.ENOUGH, size):
            found = self._undenied(found, samples)
        if not found.shows(_HARDLY, size):
            away = self._climbed_from(samples, min(_AWAY, self._smallest), _FARTHER)
            if (
                away.noise.near[0]
                < _FALLS * found.noise.near[0]
                < _FALLS * abs(self.point.value)
            ):
                found = away
        return self._interpreted(found, samples)

    def _undenied(self, found: _Slope, samples: Samples) -> _Slope:
        """The slope without the smallest steps, if these alone deny what all others
        agree on.

        Their own interval is so wide there that it contains the slope of the others.
        """
        smallest = self._smallest - _DENYING
        others = self._climbed_from(samples, smallest, _FARTHER, known=found.noise)
        is_possible = abs(others.value - found.value) <= found.bar
        is_much_narrower = others.bar < _FALLS * found.bar
        return (
            others if is_possible and is_much_narrower and not others.is_kink else found
        )

    def _interpreted(self, found: _Slope, samples: Samples) -> _Slope:
        """What a climb tells of f: its noise, its steps, and which steps suit it.

        Where f rises in steps, they add to the jump error.
        """
        value, bar, jump_error = found[:3]
        moves = [
            (abs(step), abs(float(each.values[0]) - self.point.value))
            for step, each in samples.known.items()
        ]
        moves = sorted(move for move in moves if isfinite(move[1]))
        farthest = moves[-1] if moves else (1.0, 0.0)
        self.steepest = max(farthest[1] / farthest[0], self.steepest)
        step = step_of(found.best)
        bend = step_of(0) / step * abs(float(samples.differences([step]).bend[0, 0]))
        self.curvature = max(
            self.curvature, bend if isfinite(bend) and not found.is_kink else 0.0
        )
        jump = next((move for _, move in moves if move), 0.0)
        share = max(float(found.noise.share[0]), self.point.resolution / 2)
        unit = max(share * abs(self.point.value), self.point.rounding)
        is_rounding = jump <= _LAST_PLACES * unit
        is_still = found.still >= _STILL
        is_0 = found.still >= COARSE or (
            is_still and jump > COARSE * abs(self.point.value)
        )
        if not isfinite(bar):
            noise = self.noise.with_x_rounded(samples.unit, np.array([self.steepest]))
            sided = slopes.one_sided(samples, found.numbers, noise, 0.0)
            value, bar = float(sided.slope[0]), float(sided.bar[0])
        elif is_0 or (not is_rounding and (is_still or self.rises_in_steps)):
            # the slope may be that across the steps of f, or 0
            jump_error = max(jump_error, abs(value) + bar)
            if not is_rounding:  # the slope across steps would be taken for that at x
                self.rises_in_steps, self._number = True, None
            value, bar = (0.0, unit / found.still) if is_0 else (value, bar)
        elif jump and not found.is_kink:
            self._number, self._bar = (
                None if found.noise.slope[0] or jump_error else found.best,
                bar,
            )
            self.noise = found.noise._replace(slope=np.zeros(1))
        return found._replace(value=value, bar=bar, jump_error=jump_error)
