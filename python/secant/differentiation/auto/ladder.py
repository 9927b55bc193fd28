"""The slope of one entry from the smallest steps up: no larger step is believed that smaller ones deny.

Steps grow from some ten units in the last place of x. Of the slopes at all steps, the one at the largest step is taken
whose interval meets those of all smaller ones (Lepski, "On a problem of adaptive estimation in Gaussian white noise",
1990). So what oscillates is never taken for smooth, as long as these resolve it.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite, sqrt
from typing import NamedTuple

from secant.differentiation.auto.central_difference import (
    CachedSamples,
    Central,
    Start,
    central,
    slope_of_entry,
    step_of,
)
from secant.differentiation.auto.rung_noise import RungNoise, slope_jump
from secant.differentiation.noise import Noise

RUNG = 4
"""The next smaller step of a rung is so many numbers further."""
_COVERAGE = 3.0  # times the noise
_FINER = 12  # steps above the rung that was found
_LUCK = 2.0  # times its error bar: that of the best of many estimates, which may be so by luck
_DOUBT = 1.05  # times the doubt, whose own error is a part of it
_WORSE = 30.0  # times the best error bar: larger steps will be no better


class Climb(NamedTuple):
    """What the rungs tell of an entry: the number of a step, an interval that contains the slope, and the noise of f.

    ``doubt``: by how much the slope may be another one all the same, on a kink or where small jumps are part of it.
    """

    rung: int
    slope: float
    bar: float
    noise: Noise
    doubt: float = 0.0


def climb(
    samples: CachedSamples,
    k: int,
    value: float,
    numbers: range,
    known: Noise,
    x_error: float = 0.0,
    every_jump: bool = False,
) -> Climb:
    """Climb the rungs, from the smallest step to the largest at which f is finite.

    ``known`` is the least noise. ``x_error`` and ``every_jump`` are as of `RungNoise`.
    """
    rungs: list[Central] = []
    for number in numbers:
        rung = central(samples, k, step_of(number), value)
        if not isfinite(rung.size):
            break
        rungs.append(rung)
    if not rungs:
        return Climb(0, 0.0, inf, known)
    found = RungNoise(samples, k, value, numbers, rungs, x_error, every_jump)
    noise = Noise(max(found.noise.near, known.near), max(found.noise.share, known.share))
    return _highest(numbers, rungs, noise)._replace(doubt=max(found.doubt, slope_jump(rungs, noise) / 2))


def _highest(numbers: range, rungs: list[Central], noise: Noise) -> Climb:
    """The highest rung whose interval meets those of all below.

    It may be off by its own error bar and that of the rung below.
    """
    low, high, best = -inf, inf, Climb(0, 0.0, inf, noise)
    for j, (rung, above) in enumerate(pairwise(rungs)):
        if not rung.width < above.width:  # too small for x
            continue
        square = (above.width / rung.width) ** 2
        truncation = (rung.slope - above.slope) / (square - 1)
        slope = rung.slope + truncation
        error = (noise.at(rung.size) * square / rung.width + noise.at(above.size) / above.width) / (square - 1)
        bar = _COVERAGE * error
        if max(low, slope - bar) > min(high, slope + bar):
            break
        low, high = max(low, slope - bar), min(high, slope + bar)
        best = best._replace(rung=numbers[j], slope=slope, bar=(1 + sqrt(square)) * bar + abs(truncation))
    return best


def refined(start: Start, k: int, samples: CachedSamples, found: Climb, numbers: range) -> tuple[int, float, float]:
    """The number of a step, the slope and its error bar, at steps above the rung that was found."""
    start = start._replace(noise=found.noise)
    best = found.rung, found.slope, found.bar
    low, high, before = found.slope - found.bar, found.slope + found.bar, found.slope
    for number in range(min(found.rung + 2, numbers[0]), max(found.rung - _FINER, numbers[-1] + 1), -1):
        estimate = slope_of_entry(start, k, samples, number, strict=False)
        if estimate is None:
            continue
        slope, bar = estimate
        if max(low, slope - bar) > min(high, slope + bar) or bar > _WORSE * best[2]:
            break
        low, high = max(low, slope - bar), min(high, slope + bar)
        bar, before = max(_LUCK * bar, abs(slope - before)), slope
        if bar < best[2]:
            best = number, slope, bar
    return best[0], best[1], best[2] + _DOUBT * found.doubt
