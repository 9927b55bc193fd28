"""What central differences at given steps tell of slopes: of one entry at three steps, or of a group of them at one."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, isfinite, log2, nan, sqrt
from typing import NamedTuple

from secant._common.validation import Floats
from secant.differentiation.noise import Noise

_SETTLED = 2.0  # times the noise, that what is left of truncation may be
_SEEN = 3.0  # times the noise: what is not noise
_COVERAGE = 3.0  # error bars are so many times what is seen of truncation and noise

Look = Callable[[float], tuple[Floats, float]]
"""Values of f at a step along a coordinate, and the shift that the rounding of x leaves."""
Along = Callable[[float], tuple[list[float], Floats, Floats]]
"""At a step along a direction: the distances of two points in each coordinate, and the values of f there."""


class Start(NamedTuple):
    """What is known of one output of f before its entries are looked at.

    Steps are in units of scales. A close look begins at ``step``; ``together`` is that of groups, 0 if there are none.
    """

    value: float
    noise: Noise
    step: float
    together: float = 0.0


def close_look(start: Start, k: int, look: Look, step: float) -> tuple[float, float] | None:
    """The slope by central differences at three steps, and its error bar; None if they do not settle.

    What extrapolation leaves of the truncation error shows as the difference of two extrapolated values. Where f is
    smooth, that of the smaller steps has a sixteenth of it; near kinks it may have all.
    """
    slopes, bends, widths, largest = [], [], [], abs(start.value)
    for factor in (1, 2, 4):
        (above, up), (below, down) = look(factor * step), look(-factor * step)
        high, low = float(above[k]), float(below[k])
        if not (isfinite(high) and isfinite(low)):  # outside of the domain of f
            return None
        slopes.append((high - low) / (up - down))
        bends.append((high - start.value) / up - (low - start.value) / down)
        widths.append((up - down) / 2)
        largest = max(largest, abs(high), abs(low))
    noise = start.noise.at(largest)
    if abs(bends[0]) > 0.75 * abs(bends[1]) + 4 * noise / widths[0]:  # at a kink, bends do not shrink with the step
        return None
    near, far = (4 * slopes[0] - slopes[1]) / 3, (4 * slopes[1] - slopes[2]) / 3
    noise_of_near = noise * (4 / widths[0] + 1 / widths[1]) / 3
    noise_of_far = noise * (4 / widths[1] + 1 / widths[2]) / 3
    left = abs(near - far)
    if left / 2 > _SETTLED * noise_of_near:
        return None
    error, value = min(
        (left + noise_of_near, near),
        (left + noise_of_far, far),
        (4 / 3 * abs(slopes[2] - slopes[1]) + noise / widths[2], slopes[2]),
    )
    return value, _COVERAGE * error


class Group:
    """Entries that are looked at together: a central difference each, and two along a direction at larger steps.

    Truncation of order 3, or a kink, makes the difference along the direction another one than those of the entries
    foretell. With the noise e of f, steps h, and ``factors`` u of them along the direction, it is off by

        sum of 2 (u^3 - u) h times the truncation error of an entry, +- e sqrt(2 + 2 sum of u^2)

    and by terms of several coordinates, which are there in vain. A kink at x itself is even and does not show in that,
    but second differences along the direction shrink less there when steps are halved.
    """

    def __init__(self, looks: list[Look], along: Along, factors: list[float]) -> None:
        self.looks = looks
        self._along = along
        self._factors = factors
        self._spread = sqrt(2 + 2 * sum(factor**2 for factor in factors))

    def slopes(self, start: Start, k: int) -> list[tuple[float, float]] | None:
        """The slopes of one output of f and their error bars; None if truncation or a kink shows."""
        slopes, widths, off, noise = self._measured(start, k, start.together)
        unseen = _SEEN * self._spread * noise
        if not off <= unseen:
            return None
        errors = [noise + (off + unseen) / abs(2 * (factor**3 - factor)) for factor in self._factors]
        return [(slope, _COVERAGE * error / width) for slope, error, width in zip(slopes, errors, widths, strict=True)]

    def step(self, start: Start, k: int, most: float) -> float:
        """A step at which truncation does not show, by far; 0 if noise / step would be larger than ``most``.

        It is a quarter of the largest one, of powers of two: truncation is a sixty-fourth there.
        """
        step = 2.0 ** floor(log2(4 * start.step))
        while 0 < start.noise.near <= most * step / 4:
            *_, off, noise = self._measured(start, k, step)
            if off <= self._spread * noise:
                return step / 4
            if step > start.step or not isfinite(off):  # larger steps may cross kinks
                step /= 2
            else:
                step = 2.0 ** floor(log2(step / (off / (self._spread * noise)) ** (1 / 3)))
        return 0.0

    def _measured(self, start: Start, k: int, step: float) -> tuple[list[float], list[float], float, float]:
        """The slopes of the entries, half the distances of their points, how far they are off, and the noise of f."""
        shifts, above, below = self._along(step)
        _, *halfway = self._along(step / 2)
        far, near = ([float(values[k]) for values in pair] for pair in ((above, below), halfway))
        difference, largest = far[0] - far[1], max(abs(start.value), *map(abs, far))
        kink = 4 * sum(near) - sum(far) - 6 * start.value
        slopes, widths = [], []
        for look, shift in zip(self.looks, shifts, strict=True):
            (above, up), (below, down) = look(step), look(-step)
            high, low = float(above[k]), float(below[k])
            slopes.append((high - low) / (up - down))
            widths.append((up - down) / 2)
            largest = max(largest, abs(high), abs(low))
            difference -= slopes[-1] * shift
        off = max(abs(difference), abs(kink)) if isfinite(difference + kink) else nan
        return slopes, widths, off, start.noise.at(largest)
