"""Central differences with error bars: of one entry at three steps, or of a group of entries at one step."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, isfinite, log2, nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.noise import Noise

RATIO = 1.9
"""Of a step to the next smaller one. No power of it is a small whole number: so what repeats with a period does not fit
several steps at once."""
_LARGEST = 0.25
_COVERAGE_OF_GROUPS = 1.5  # whose noise along the direction is there as well
_COVERAGE = 4.0  # error bars are so many times what is seen of truncation and noise


def step_of(rung: int) -> float:
    """Steps are numbered, from the largest that is usual down; so that those of all estimates are the same."""
    return float(_LARGEST * RATIO**-rung)


class CachedSamples:
    """f where some coordinates of x are shifted, evaluated once at each step.

    Parameters
    ----------
    evaluate : callable
        Takes the shifts of these coordinates and returns what f returns, in one row.
    origin : ndarray or float
        The coordinates at x.
    scales : ndarray or float
        Units of their steps.
    factors : ndarray or float
        Times the step, in these units.
    known : dict, optional
        What was evaluated before.
    moved : callable, optional
        Takes the shifts and returns those that rounding leaves, where x + shift does not tell; one for each output.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], Floats],
        origin: Any,
        scales: Any,
        factors: Any = 1.0,
        known: dict[float, tuple[Floats, Any]] | None = None,
        moved: Callable[[Any], Any] | None = None,
    ) -> None:
        self.origin, self.factors, self._moved = origin, factors, moved
        self._evaluate, self._scales = evaluate, scales
        self._known = {} if known is None else known

    def __call__(self, step: float) -> tuple[Floats, Any]:
        """What f returns at a step, and the shifted coordinates, as the rounding of x leaves them."""
        if step not in self._known:
            shifts = step * self.factors * self._scales
            position = self.origin + (self._moved(shifts) if self._moved else shifts)
            self._known[step] = self._evaluate(shifts), position
        return self._known[step]


class Start(NamedTuple):
    """What is known of one output of f before its entries are evaluated.

    Steps are in units of scales. An entry alone is first tried at the step of number ``rung`` and the next two larger
    ones; groups take ``group_step``, 0 if there are none.
    """

    value: float
    noise: Noise
    rung: int = 0
    group_step: float = 0.0


class Central(NamedTuple):
    """A central difference of an entry, its second difference, half the distance of the points, and the size of f.

    The size is NaN where a point is outside of the domain of f.
    """

    slope: float
    second_difference: float
    width: float
    size: float


def central(samples: CachedSamples, k: int, step: float, value: float) -> Central:
    """The central difference of one output of f; ``value`` is that at x."""
    (above, right), (below, left) = samples(step), samples(-step)
    high, low = float(above[k]), float(below[k])
    up, down = _moved(right, samples, k), _moved(left, samples, k)
    if not up * down:  # too small a step for x
        return Central(nan, nan, nan, nan)
    second = (high - value) / up - (low - value) / down
    uneven = (up + down) / (up - down)  # where x + step and x - step are rounded differently
    return Central(
        (high - low) / (up - down) - second * uneven,
        second,
        (up - down) / 2,
        max(abs(high), abs(low)) if isfinite(high) and isfinite(low) else nan,
    )


def _moved(position: Any, samples: CachedSamples, k: int) -> float:
    moved = position - samples.origin
    return float(moved[k % moved.size] if isinstance(moved, np.ndarray) else moved)  # outputs may have more axes than x


def slope_of_entry(
    start: Start, k: int, samples: CachedSamples, rung: int, strict: bool = True
) -> tuple[float, float] | None:
    """The slope by central differences at three steps, and its error bar; None if they do not settle.

    What extrapolation leaves of the truncation error shows as the difference of two extrapolated values. Where f is
    smooth, that of the smaller steps has a small part of it; near kinks it may have all. So where ``strict``, noise has
    to explain the difference.
    """
    each: list[Central] = []
    for number in (rung, rung - 1, rung - 2):
        each.append(central(samples, k, step_of(number), start.value))
        if not isfinite(each[-1].size):
            return None
    first, second, third = each
    if not first.width < second.width < third.width:  # too small for x
        return None
    noise = start.noise.at(max(abs(start.value), *(difference.size for difference in each)))
    shrinks = abs(first.second_difference) <= 0.75 * abs(second.second_difference) + 4 * noise / first.width
    if not shrinks:  # as at a kink
        return None
    near, noise_of_near = _extrapolated(first, second, noise)
    far, noise_of_far = _extrapolated(second, third, noise)
    left = abs(near - far)
    noise_explains_it = left / 2 <= 2 * noise_of_near
    curvatures = [(difference.second_difference / difference.width, difference.width) for difference in each]
    if strict and not (noise_explains_it and _agree(curvatures, noise)):
        return None
    error, value = min(
        (left + noise_of_near, near),
        (left + noise_of_far, far),
        (abs(third.slope - far) + noise / third.width, third.slope),
    )
    return value, _COVERAGE * error


def _agree(curvatures: list[tuple[float, float]], noise: float) -> bool:
    """Whether second derivatives at three steps differ by no more than noise, without the truncation of order 2.

    Where this is so by chance for slopes, since there is more noise than was seen, it is hardly so for these as well.
    """
    (first, near), (second, far), (third, farthest) = curvatures
    square, larger = (far / near) ** 2, (farthest / far) ** 2
    left = first + (first - second) / (square - 1) - second - (second - third) / (larger - 1)
    return abs(left) <= 8 * noise / near**2


def _extrapolated(near: Central, far: Central, noise: float) -> tuple[float, float]:
    """The slope without the truncation of order 2, from two steps; and its noise."""
    square = (far.width / near.width) ** 2
    slope = near.slope + (near.slope - far.slope) / (square - 1)
    return slope, noise * (square / near.width + 1 / far.width) / (square - 1)


class Group:
    """Entries that are measured together: a central difference each, and two along a direction at larger steps.

    Truncation of order 3, or a kink, makes the difference along the direction another one than those of the entries
    foretell. With the noise e of f, steps h, and factors u of them along the direction, it is off by

        sum of 2 (u^3 - u) h times the truncation error of an entry, +- e sqrt(2 + 2 sum of u^2)

    and by terms of several coordinates, which are there in vain. A kink at x itself is even and does not show in that,
    but second differences along the direction shrink less there when steps are halved.
    """

    def __init__(self, entries: list[CachedSamples], along: CachedSamples) -> None:
        self.entries = entries
        self._along = along
        factors = along.factors.tolist()
        self._spread = sqrt(2 + 2 * sum(factor**2 for factor in factors))
        self._sensitivity = np.array([abs(2 * (factor**3 - factor)) for factor in factors])

    def slopes(self, start: Start, k: int) -> Floats | None:
        """The slopes of one output of f and their error bars, (entries, 2); None if truncation or a kink shows."""
        slopes, widths, off, noise = self._measured(start, k, start.group_step)
        unseen = 3 * self._spread * noise
        if not off <= unseen:
            return None
        bars = _COVERAGE_OF_GROUPS * (noise + (off + unseen) / self._sensitivity) / widths
        return np.column_stack([slopes, bars])

    def step(self, start: Start, k: int, most: float) -> float:
        """A step at which truncation does not show, by far; 0 if noise / step would be larger than ``most``.

        It is a quarter of the largest one, of powers of two: truncation is a sixty-fourth there.
        """
        largest = step_of(start.rung)
        step = 2.0 ** floor(log2(4 * largest))
        while 0 < start.noise.near <= most * step / 4:
            *_, off, noise = self._measured(start, k, step)
            if off <= self._spread * noise:
                return step / 4
            if step > largest or not isfinite(off):  # larger steps may cross kinks
                step /= 2
            else:
                step = 2.0 ** floor(log2(step / (off / (self._spread * noise)) ** (1 / 3)))
        return 0.0

    def _measured(self, start: Start, k: int, step: float) -> tuple[Floats, Floats, float, float]:
        """The slopes of the entries, half the distances of their points, how far they are off, and the noise of f."""
        (above, right), (below, left) = self._along(step), self._along(-step)
        high, low = float(above[k]), float(below[k])
        halfway = float(self._along(step / 2)[0][k]) + float(self._along(-step / 2)[0][k])
        differences = [central(samples, k, step, start.value) for samples in self.entries]
        slopes, _, widths, sizes = np.array(differences).T
        foretold = slopes * (right - left)
        odd = float(np.subtract.reduce(foretold, initial=high - low))
        even = 4 * halfway - (high + low) - 6 * start.value
        off = max(abs(odd), abs(even)) if isfinite(odd + even) else nan
        largest = max(abs(start.value), abs(high), abs(low), *sizes.tolist())
        return slopes, widths, off, start.noise.at(largest)
