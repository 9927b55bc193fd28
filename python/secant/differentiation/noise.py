"""The noise of a function.

The noise is how much values scatter where they should be smooth. It is found by the difference table of Moré and Wild,
"Estimating Computational Noise", SIAM J. Sci. Comput. 33 (2011): in values at equal, tiny steps along a line, what is
smooth vanishes in high differences, and what scatters grows by a known factor. Larger values have more of it. How much
more cannot be told from values near x alone: where large terms of f cancel there, noise is large relative to them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, inf, isfinite, remainder, sqrt
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats

_VALUES = 8
_FIRST_SCALE, _NEXT, _LAST_SCALE = 2e-12, 100.0, 1e-1
_HALF_ULP, _HALF_ULP_OF_FLOAT32 = 2.0**-53, 2.0**-24
_FITS = 8.0  # times the noise: a larger spacing of values fits the steps by chance
_OTHER = 1.37  # times the steps, which are then tried
_PLACES = 1e-1, 1e-3  # how far from x the noise is measured again
_VISIBLE = 16.0  # times the noise: scatter that is more than noise that was measured too small
_NEAREST, _FARTHEST = 2.0**-16, 2.0**-6  # spacing of values whose scatter is compared: rounding shows within them
_FARTHEST_OF_LOW_PRECISION = 2.0**-5  # where parts of f may be in bfloat16
_LOW_PRECISION = 2.0**-40  # the share of noise in values that are not float64
_WIDER = 32.0  # times the spacing before it, until something scatters
_SMOOTH = 100.0  # times the scatter at an eighth of a spacing: near kinks it would be eight times as much
_HALVINGS = 16  # of a distance in which f may jump
_CLEAR = 8.0  # times the change of the slope beside a jump: of that, a kink has half
_IRREGULAR = 1.0, 1.9, 3.2, 3.9, 5.1, 6.2, 6.8, 8.0  # their places, so that no spacing of rounded values fits them
_NOT_POLYNOMIAL = np.linalg.qr(np.vander(_IRREGULAR, 5), mode="complete")[0][:, 5:]
_TINY = 1e-250  # a sum of squares that may have lost digits
_ORDINARY = 16.0  # times its rounding: the noise of a value of which large terms do not cancel


class Value(NamedTuple):
    """A value of f that is a sum of rounded numbers, such as outputs in float32, and the noise that this leaves in it.

    Added in float64, the sum does not show how coarse its terms are.
    """

    number: float
    rounding: float


class Sample(NamedTuple):
    """f at a step: its value, what is to be smooth, which is f minus its linear part, and the least noise of both."""

    value: float
    rest: float
    rounding: float = 0.0


Sampler = Callable[[float], Sample]


class Noise(NamedTuple):
    """The noise of f: of values near x, and the share that larger values have of it at least."""

    near: float
    share: float

    def at(self, size: float, rounding: float = 0.0) -> float:
        """The noise of a value of that size, and of that rounding at least."""
        return max(self.near, self.share * size, rounding)

    def times(self, factor: float) -> Noise:
        """So many times the noise."""
        return Noise(factor * self.near, factor * self.share)


@np.errstate(over="ignore")  # only where something is not finite, as then the result is
def root_mean_square(values: Floats, axis: int | None = None) -> Any:
    """The root of the mean of squares, also where squares are too large for floats."""
    if not values.size:
        return 0.0
    largest = np.abs(values).max(axis=axis)
    # Dividing by a power of two rounds nothing.
    exponent = np.maximum(np.frexp(np.where(np.isfinite(largest), largest, 0))[1], 0)
    return np.ldexp(np.sqrt(np.mean(np.ldexp(values, -exponent) ** 2, axis=axis)), exponent)


def norm(values: Floats) -> float:
    """The root of the sum of squares, likewise."""
    with np.errstate(all="ignore"):
        squares = float(np.vdot(values, values))
    if _TINY < squares < inf:
        return sqrt(squares)
    return float(root_mean_square(values)) * sqrt(values.size)


def rounding(values: Floats) -> float:
    """The least noise of values: their own rounding."""
    return unit_rounding(values) * float(np.abs(values).max(initial=0))


def unit_rounding(values: Floats) -> float:
    """The relative rounding of values: that of float32, if all of them are float32 numbers."""
    with np.errstate(over="ignore"):
        return _HALF_ULP_OF_FLOAT32 if np.array_equal(values, values.astype(np.float32)) else _HALF_ULP


@np.errstate(all="ignore")
def noise(sample: Sampler, resolution: float) -> Noise:
    """Estimate the noise of a function along a direction.

    Parameters
    ----------
    sample : callable
        Takes a step; returns a `Sample`.
    resolution : float
        The relative rounding of the arguments of f.
    """
    near, share, unit = _noise_at(0.0, sample, resolution)
    if not isfinite(share) and not isfinite(sample(_FIRST_SCALE).value):  # the domain of f ends here
        near, share, unit = _noise_at(0.0, lambda step: sample(-step), resolution)
    for place in _PLACES:
        if share <= _ORDINARY * unit:
            break
        share = min(share, _noise_at(place, sample, resolution)[1])
    return Noise(near, share if isfinite(share) else unit)


def _noise_at(place: float, sample: Sampler, resolution: float) -> tuple[float, float, float]:
    """The noise of values there, as a share of the largest of them too; and their relative rounding."""
    scale = _FIRST_SCALE
    while scale < 4 * resolution:
        scale *= _NEXT
    seen, level, least = np.empty(0), 0.0, 0.0
    while scale <= _LAST_SCALE:
        values = np.array([sample(place + k * scale) for k in range(1, 4)])
        if len(set(values[:, 0])) > 1:
            values = np.array([*values, *(sample(place + k * scale) for k in range(4, _VALUES + 1))])
        seen, least = np.append(seen, values[:, 0]), max(least, float(values[:, 2].max()))
        if len(set(values[:, 0])) > _VALUES // 2:
            level = max(level, *map(float, levels(values[:, 1])))
            if _spacing(seen) <= _FITS * max(level, rounding(seen)):
                break
            scale *= _OTHER
        else:
            scale *= _NEXT
    seen = seen[np.isfinite(seen)]
    size = float(np.abs(seen).max(initial=0))
    level, unit = max(rounding(seen), level, _spacing(seen) / 2, least), unit_rounding(seen)
    return level, level / size if size else inf, max(unit, least / size) if size else unit


def _spacing(values: Floats) -> float:
    """The distance of which values differ by whole multiples, if some are the same: they are rounded to it.

    It is the greatest common divisor of the differences, but for the rounding of values to float64. That rounding alone
    may make values the same at one scale of steps whose differences are up to `_NEXT` half ulps at the next one.
    """
    size = _HALF_ULP * float(np.abs(values).max(initial=0))
    spacing, least = 0.0, 16 * size
    differences = np.abs(np.diff(values))
    if len(set(values)) < len(values) and not np.any((differences > 0) & (differences <= _NEXT * size)):
        for difference in differences.tolist():
            while difference > least:
                spacing, difference = difference, abs(remainder(spacing, difference))
    return spacing


@np.errstate(all="ignore")
def coarse_noise(sample: Sampler, known: Noise, step: float) -> float:
    """The noise of parts of f that are rounded more coarsely than others; 0 if there are none.

    At tiny steps such parts stand still, and at larger ones they jump, as if f had kinks. But the scatter of values
    near kinks, or of what is smooth, grows at least as their distance. That of rounded values does not, once they
    differ on both sides of x. Nor does that of many kinks, as of a table with linear interpolation; but
    there f does not jump.

    Parameters
    ----------
    sample : callable
        Takes a step; returns a `Sample`.
    known : Noise
        What was measured at tiny steps.
    step : float
        The smallest one at which f did not look smooth.
    """
    last = _FARTHEST_OF_LOW_PRECISION if known.share > _LOW_PRECISION else _FARTHEST
    spacing = last / 8
    while spacing > min(step / 32, _NEAREST):
        spacing /= _WIDER
    while not (near := _scatter_on_both_sides(sample, known, spacing)):
        spacing *= _WIDER
        if spacing > last / 8:
            return 0.0
    if _scatter(sample, known, 8 * spacing) > _SMOOTH * near:
        return 0.0
    spacing /= 8  # scatter may begin there
    while spacing <= last / 8:
        if near := _scatter_on_both_sides(sample, known, spacing):
            farthest = min(64 * spacing, last)
            farther, far = _scatter(sample, known, 8 * spacing), _scatter(sample, known, farthest)
            if farther > _SMOOTH * near:
                return 0.0
            like_rounding = near / 8 < farther < 8 * near and near / 64 < far < near * farthest / spacing / 3
            if like_rounding and _has_jump(sample, known, spacing):
                return _largest_scatter(sample, known, farthest, last, max(near, farther, far))
        spacing *= 4
    return 0.0


def _has_jump(sample: Sampler, known: Noise, spacing: float) -> bool:
    """Whether f jumps where its second difference is largest: at a kink it changes as much as on both sides of it."""
    width = spacing * (_IRREGULAR[-1] - _IRREGULAR[0]) / 2
    begin = spacing * _IRREGULAR[0]
    low, middle, high = (sample(begin + k * width) for k in range(3))
    for _ in range(_HALVINGS):
        width /= 2
        lower, upper = sample(begin + width), sample(begin + 3 * width)
        if abs(middle.rest - 2 * upper.rest + high.rest) > abs(low.rest - 2 * lower.rest + middle.rest):
            begin, low, middle = begin + 2 * width, middle, upper
        else:
            middle, high = lower, middle
    before = low.rest - sample(begin - 2 * width).rest
    after = sample(begin + 4 * width).rest - high.rest
    jump = abs(high.rest - low.rest - (before + after) / 2)
    return jump > max(_VISIBLE * known.at(abs(low.value), low.rounding), _CLEAR * abs(after - before))


def _largest_scatter(sample: Sampler, known: Noise, least: float, most: float, level: float) -> float:
    """What scatter grows to at larger distances: where many values are rounded, not all differ at small ones."""
    spacing = most
    while spacing > least:
        if (found := _scatter(sample, known, spacing)) < 10 * level:
            return max(level, found)
        spacing /= 8
    return level


def _scatter_on_both_sides(sample: Sampler, known: Noise, spacing: float) -> float:
    """How much values scatter around polynomials; 0 if that is no more than the noise known on one side."""
    above = _scatter_above(sample, known, spacing)
    below = _scatter_above(sample, known, -spacing) if above else 0.0
    return max(above, below) if below else 0.0


def _scatter(sample: Sampler, known: Noise, spacing: float) -> float:
    """The same on either side: values of rounded parts may be the same on one of them by chance."""
    return max(_scatter_above(sample, known, spacing), _scatter_above(sample, known, -spacing))


def _scatter_above(sample: Sampler, known: Noise, spacing: float) -> float:
    found = [sample(spacing * k) for k in _IRREGULAR]
    least = max(known.at(abs(there.value), there.rounding) for there in found)
    level = float(root_mean_square((np.array([there.rest for there in found]) - found[0].rest) @ _NOT_POLYNOMIAL))
    return level if level > _VISIBLE * least else 0.0


def levels(values: Floats) -> list[Floats]:
    """The standard deviation of what is not smooth, by the second to the last differences but one; of each output."""
    found = []
    for order in range(1, len(values) - 1):
        values = np.diff(values, axis=0)
        if order >= 2:
            found.append(root_mean_square(values, axis=0) / sqrt(comb(2 * order, order)))
    return found
