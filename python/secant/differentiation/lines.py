"""Points on a line through x, at which f is evaluated in pairs, and their differences.

Steps are a scale times 1.9**-k, and each is evaluated once. Their numbers k go from
that of the smallest step down to that of the largest, which is 0 in ordinary use: a
range of numbers begins with the smallest step. All outputs of f are treated at the same
time: arrays are (steps, outputs).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.rounding import root_mean_square

RATIO = 1.9
"""Of a step to the next smaller one.

No power of it is a small whole number: so what repeats with a period does not fit
several steps at once.
"""
RUNG = 4
"""Every so many steps are a rung."""
_LARGEST = 0.16  # in units of the scale: step number 0
GOLDEN = 0.6180339887498949
"""A factor of all steps: the golden ratio, which fractions of small whole numbers
approximate worst. So where x and the period of f are whole numbers, no step is a
multiple of the period.
"""
SEED = 0
"""The seed of random directions: results are the same each time."""
_LEAST = 1e-12  # scales are no smaller than this, however small x is
_OWN = 2.0**-10  # of the usual scale: an entry that is smaller has a scale of its own
COARSE, COARSE_IN_FLOAT32 = 2.0**-11, 2.0**-20
"""Jumps that are smaller than that, relative to x or to f, may be rounding: that of
float16, or of float32, at most.
"""
ROUNDING = 2.0**-49
"""Sixteen units of it: relative steps and jumps that are smaller may be rounding."""
RESOLUTION = 2.0**-47
"""By how much x + step is rounded along a direction, at most."""


def sizes_of(x: Floats) -> tuple[Floats, float]:
    """The sizes of entries, of which steps are parts, and the usual one.

    An entry that is much smaller than the others has a size of its own; one that is 0
    has the usual one.
    """
    size = np.abs(x)
    typical = float(root_mean_square(size))
    usual = min(max(typical, _LEAST), 1.0) if typical else 1.0
    return np.where(
        (size >= _OWN * usual) | (size == 0),
        np.maximum(size, usual),
        np.maximum(size, _LEAST),
    ), usual


def scales_of(x: Floats) -> tuple[Floats, float]:
    """The unit of the steps of each entry, and the usual one."""
    sizes, usual = sizes_of(x)
    return GOLDEN * sizes, GOLDEN * usual


def rungs_of(size: float, scale: float) -> range:
    """The numbers of the rungs of an entry of that size, from small steps to large.

    The steps are from some twenty units in the last place of x to a tenth of x, or of
    1.
    """
    scale = scale / GOLDEN
    # How far the range extends beyond the usual one at its lower and its upper end, as
    # logarithms of steps.
    below, above = (
        log(scale / max(size, ROUNDING**2 * scale)) if size else 0.0,
        log(max(size, 1.0) / scale),
    )
    rung = RUNG * log(RATIO)
    return range(
        RUNG * int((below - log(ROUNDING)) / rung - 1),
        -RUNG * int(above / rung) - 1,
        -RUNG,
    )


def step_of(number: float) -> float:
    """The step of a number: 0 is the largest usual step, and greater numbers are
    smaller steps.

    Slopes take their steps from this list, so that they share evaluations.
    """
    return float(_LARGEST * RATIO**-number)


class Sample(NamedTuple):
    """The outputs of f at a step, and the shift that rounding leaves of the step."""

    values: Floats
    moved: Any


class Samples:
    """f along a line, evaluated once at each step.

    ``evaluate`` takes a step, which may be negative. ``value`` is f at x, ``unit`` half
    a unit in the last place of x. ``coarse``: smaller jumps may be the rounding of what
    f computes in less than float64. ``reach``: the largest steps below a jump of each
    output, (2, outputs), above x and below it; beyond it the output is NaN.
    """

    def __init__(
        self,
        evaluate: Callable[[float], Sample],
        value: Floats,
        known: dict[float, Sample] | None = None,
        unit: float = 0.0,
        coarse: float = COARSE,
        reach: Floats | None = None,
    ) -> None:
        self.value = value
        self.known = {} if known is None else known
        self.unit = unit
        self.coarse = coarse
        self.reach = np.full((2, len(value)), inf) if reach is None else reach
        self._evaluate = evaluate

    def __call__(self, step: float, outputs: Any = slice(None)) -> Sample:
        """Return some outputs of f at a step."""
        values, moved = self._at(step)
        side = 0 if step > 0 else 1
        is_beyond = abs(step) > self.reach[side, outputs]
        return Sample(
            np.where(is_beyond, np.nan, values[outputs]),
            moved[outputs] if np.ndim(moved) else moved,
        )

    def _at(self, step: float) -> Sample:
        """All outputs at a step, also beyond their reach."""
        if step not in self.known:
            self.known[step] = self._evaluate(step)
        return self.known[step]

    def pairs(self, steps: list[float], outputs: Any = slice(None)) -> Sample:
        """Some outputs at steps above x and below it, (2, steps, outputs)."""
        samples = [[self._at(sign * step) for step in steps] for sign in (1, -1)]
        values = np.array([[each.values for each in side] for side in samples])
        moved = np.array([[each.moved for each in side] for side in samples])
        is_of_all = moved.ndim == 2  # the same for all outputs
        moved = moved[..., np.newaxis] if is_of_all else moved[..., outputs]
        reach = self.reach[:, np.newaxis, outputs]
        is_beyond = np.array(steps)[:, np.newaxis] > reach
        return Sample(np.where(is_beyond, np.nan, values[..., outputs]), moved)

    def differences(
        self, steps: list[float], outputs: Any = slice(None)
    ) -> Differences:
        """Differences of some outputs at steps from small to large, (steps,
        outputs).
        """
        (high, low), (up, down) = self.pairs(steps, outputs)
        return Differences.of(high, low, up, down, self.value[outputs])

    def change(self) -> Floats:
        """The largest change of each output so far, at usual steps."""
        samples = [self(step).values for step in self.known if abs(step) <= step_of(0)]
        changes = np.abs(np.array([self.value, *samples]) - self.value)
        return np.asarray(np.max(np.where(np.isfinite(changes), changes, 0.0), axis=0))

    def of(self, outputs: Any) -> Samples:
        """Those of some outputs."""
        if len(outputs) == len(self.value):
            return self

        def evaluate(step: float) -> Sample:
            return self(step, outputs)

        return Samples(evaluate, self.value[outputs], unit=self.unit)

    def side(self, sign: int) -> Samples:
        """Samples from one side of x only; f - f(x) is taken as odd, so that central
        differences are one-sided ones.
        """

        def evaluate(step: float) -> Sample:
            values, moved = self(sign * abs(step))
            return (
                Sample(values, moved)
                if sign * step > 0
                else Sample(2 * self.value - values, -moved)
            )

        return Samples(evaluate, self.value, unit=self.unit)


class Differences(NamedTuple):
    """Half the distance of the points of each pair, the central difference, the second
    one over h, and the size of f.

    They are NaN where a point is outside of the domain of f, or the step too small for
    x.
    """

    width: Floats
    slope: Floats
    bend: Floats
    size: Floats

    @classmethod
    def of(
        cls, high: Floats, low: Floats, up: Floats, down: Floats, value: Floats
    ) -> Differences:
        """Where x + h and x - h are rounded differently, the second difference corrects
        the central one.
        """
        width = (up - down) / 2 + 0 * (high + low)  # NaN where f is not finite
        width[up * down + 0 * width == 0] = np.nan
        bend = (high - value) / up - (low - value) / down
        slope = (high - low) / (2 * width) - bend * ((up + down) / (2 * width))
        return cls(
            width,
            slope,
            bend + 0 * width,
            np.maximum(np.abs(high), np.abs(low)) + 0 * width,
        )


def differences_of(
    lines: list[Samples], steps: list[float], outputs: Any = slice(None)
) -> Differences:
    """Differences along several lines at the same steps, (steps, lines, outputs)."""
    pairs = [line.pairs(steps, outputs) for line in lines]
    high, low = np.stack([each.values for each in pairs], axis=2)
    up, down = np.stack([each.moved for each in pairs], axis=2)
    value = np.array([line.value[outputs] for line in lines])
    return Differences.of(high, low, up, down, value)
