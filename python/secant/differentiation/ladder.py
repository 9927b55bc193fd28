"""The slope of one entry from the smallest steps up, with the noise of f: no larger step is believed that they deny.

Steps grow from a few units in the last place of x. Where they are small, what central and second differences leave
unexplained is the noise of f; where f is smooth it grows with a power of the step, and where f is rounded it is the
same over many steps. Of the slopes at all steps, the one at the largest step is taken whose interval meets those of all
smaller ones (Lepski, "On a problem of adaptive estimation in Gaussian white noise", 1990). So what oscillates is never
taken for smooth, as long as a few units in the last place of x resolve it.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.central_difference import CachedSamples, Central, Start, central, slope_of_entry, step_of
from secant.differentiation.noise import Noise, unit_rounding

RUNG = 4
"""The next smaller step of a rung is so many numbers further."""
_COVERAGE = 3.0  # times the noise
_ORDINARY = 4.0  # times the rounding of a value: the noise of larger values
_SAME = 3.0  # times the noise: scatter that may be of the same kind
_FLAT = 12.0  # scatter that grows by less from rung to rung may be noise: at a kink it grows as the step
_SUDDEN = 2000.0  # no smooth function grows by that from rung to rung, if its third derivative is nothing special
_MANY = 4.0
_FAR = 4  # jumps on a higher rung than this may be no rounding
_HALVINGS = 16  # of the place of a jump
_TINY = 2.0**-49  # relative: jumps that are rounding to float64
_MEANT = 0.01  # of the slope: jumps that carry less of it are not rounding
_FINER = 12  # steps above the rung that was found
_LUCK = 2.0  # times its error bar: that of the best of many estimates, which may be so by luck
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


def climb(samples: CachedSamples, k: int, value: float, numbers: range, known: Noise, x_error: float = 0.0) -> Climb:
    """Climb the rungs, from the smallest step to the largest at which f is finite.

    ``x_error``: by how much x + step is rounded that is not known, as along a direction.
    """
    rungs: list[Central] = []
    for number in numbers:
        rung = central(samples, k, step_of(number), value)
        if not isfinite(rung.size):
            break
        rungs.append(rung)
    if not rungs:
        return Climb(0, 0.0, inf, known)
    noise, doubt = _noise(samples, k, value, numbers, rungs, x_error)
    noise = Noise(max(noise.near, known.near), max(noise.share, known.share))
    return _highest(numbers, rungs, noise)._replace(doubt=max(doubt, _jump(rungs, noise) / 2))


def _highest(numbers: range, rungs: list[Central], noise: Noise) -> Climb:
    """The highest rung whose interval meets those of all below."""
    low, high, best = -inf, inf, Climb(0, 0.0, inf, noise)
    for j, (rung, above) in enumerate(pairwise(rungs)):
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


def _jump(rungs: list[Central], noise: Noise) -> float:
    """The jump of the slope at x: a second difference that does not shrink with the step, as far down as it shows."""
    sizes = [abs(rung.second_difference) for rung in rungs]
    errors = [8 * noise.at(rung.size) / rung.width for rung in rungs]
    first = next((j for j, size in enumerate(sizes) if size > errors[j]), len(rungs))
    if first and first < len(rungs) and sizes[first] > 2 * errors[first - 1]:  # a kink nearby, or smooth
        return 0.0
    jump = 0.0
    for near, far in pairwise(sizes[first:]):
        if not near / 2 < far < 2 * near:  # it is halved where f is smooth
            break
        jump = max(jump, near, far)
    return jump


def _noise(
    samples: CachedSamples, k: int, value: float, numbers: range, rungs: list[Central], x_error: float
) -> tuple[Noise, float]:
    """The noise of f along the rungs, and the doubt that jumps leave."""
    steps = [step_of(number) for number in numbers[: len(rungs)]]
    values = np.array([value, *(float(samples(sign * step)[0][k]) for step in steps for sign in (1, -1))])
    unit = unit_rounding(values)
    level = max(unit * abs(value), _grain(values) / 2, _quantum(samples, k, value, steps, values) / 2)
    level, doubt = _scattered(samples, k, value, steps, rungs, level, unit, x_error)
    share = max(unit, min(level / abs(value), _ORDINARY * unit) if value else unit)
    return Noise(level, share), doubt


def _scatter(rung: Central, level: float, x_error: float, *others: Central) -> float:
    """How much values scatter around a line, of which other rungs tell the slope: the one that tells it best.

    ``level``: the noise that these have at least; ``x_error``: how much of what is odd in the step is the rounding of x.
    """
    even = abs(rung.second_difference) * rung.width / sqrt(6)
    odd = min((abs(rung.slope - other.slope) - level / other.width for other in others), default=0.0)
    return max(even, odd * rung.width * sqrt(2) - x_error * abs(rung.slope))


def _scattered(
    samples: CachedSamples,
    k: int,
    value: float,
    steps: list[float],
    rungs: list[Central],
    level: float,
    unit: float,
    x_error: float,
) -> tuple[float, float]:
    """The noise: scatter that is the same on several rungs, or jumps between two steps however close they are."""
    neighbors = [rungs[j - 1 : j + 2 : 2] if 0 < j < len(rungs) - 1 else [] for j in range(len(rungs))]
    scatter = [_scatter(rung, level, x_error, *others) for rung, others in zip(rungs, neighbors, strict=True)]
    is_smooth, doubt = False, 0.0
    for j, found in enumerate(scatter):
        ordinary = max(level, unit * rungs[j].size)
        least = max(scatter[j - 1], ordinary) if j else ordinary
        is_sudden = found > _SUDDEN * least
        if is_smooth and not is_sudden:
            continue
        if found > _SAME * ordinary:
            following = [each / found for each in scatter[j + 1 : j + 3]]
            is_flat = bool(following) and not any(each > _FLAT * i for i, each in enumerate(following, start=1))
            if not j:
                is_smooth = len(following) == 2 and following[0] > _FLAT and following[1] > _FLAT * following[0]
            elif not is_sudden:
                is_smooth = not is_flat
            else:
                jump = _jump_of_values(samples, k, value, steps[j - 1 : j + 1], least, x_error, *neighbors[j])
                is_near = j < _FAR or is_flat or _is_crossed(rungs[j - 1 : j + 2], jump)
                near, far = rungs[j - 1], rungs[min(j + 2, len(rungs) - 1)]
                is_meant = j >= _FAR and _is_meant(near, far, level)
                is_smooth, found = not jump or not is_near or is_meant, max(found, jump)
                if jump and is_near and is_meant:
                    doubt = max(doubt, abs(far.slope - near.slope))
            if is_smooth:
                continue
        level = max(level, found * min(1.0, rungs[0].size / rungs[j].size) if found > level else 0.0)
    return level, doubt


def _jump_of_values(
    samples: CachedSamples, k: int, value: float, steps: list[float], least: float, x_error: float, *others: Central
) -> float:
    """The first jump of scatter between two steps, however close they are; 0 if it grows without one."""
    low, high = steps
    found = {low: least, high: _scatter(central(samples, k, high, value), least, x_error, *others)}
    limit = found[high] / 64
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        found[middle] = max(least, _scatter(central(samples, k, middle, value), least, x_error, *others))
        low, high = (low, middle) if found[middle] > limit else (middle, high)
    return found[high] if found[high] > 2 * found[low] else 0.0


def _is_crossed(rungs: list[Central], jump: float) -> bool:
    """Whether many jumps lie between the last two rungs, so that they make up a part of the slope."""
    near, far = rungs[0], rungs[-1]
    return len(rungs) == 3 and abs(far.slope - near.slope) * far.width > _MANY * jump


def _is_meant(near: Central, far: Central, level: float) -> bool:
    """Whether the slope below a jump is that across many of them, nearly: then these jumps are no rounding."""
    most = _MEANT * abs(near.slope)
    return abs(near.slope - far.slope) <= most and _COVERAGE * level / near.width <= most


def _grain(values: Floats) -> float:
    """The power of two of which values are whole multiples: the last place of what was added last; 0 if all are the same."""
    mantissas, exponents = np.frexp(values[values != values[0]])
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    last = whole & -whole
    return float(np.ldexp(last.astype(np.float64), exponents - 53).min(initial=inf)) if len(whole) else 0.0


def _quantum(samples: CachedSamples, k: int, value: float, steps: list[float], values: Floats) -> float:
    """By how much f jumps where it first differs from f(x); 0 if it does not jump, or at the first step."""
    moved = np.abs(values[1:] - value).reshape(-1, 2).max(axis=1)
    j = int(np.argmax(moved > 0))
    if not j or moved[j] <= _TINY * abs(value):
        return 0.0
    low, high, jumps = steps[j - 1], steps[j], [float(moved[j])]
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        jump = max(abs(float(samples(sign * middle)[0][k]) - value) for sign in (1, -1))
        if jump:
            high = middle
            jumps.append(jump)
        else:
            low = middle
            jumps.append(jumps[-1])
    return jumps[-1] if jumps[-1] > jumps[_HALVINGS // 2] / 2 else 0.0


def refined(start: Start, k: int, samples: CachedSamples, found: Climb, numbers: range) -> tuple[int, float, float]:
    """The number of a step, the slope and its error bar, at steps above the rung that was found."""
    start = start._replace(noise=found.noise)
    best = found.rung, found.slope, found.bar
    low, high = found.slope - found.bar, found.slope + found.bar
    for number in range(min(found.rung + 2, numbers[0]), max(found.rung - _FINER, numbers[-1] + 1), -1):
        estimate = slope_of_entry(start, k, samples, number, strict=False)
        if estimate is None:
            continue
        slope, bar = estimate
        if max(low, slope - bar) > min(high, slope + bar) or bar > _WORSE * best[2]:
            break
        low, high = max(low, slope - bar), min(high, slope + bar)
        if _LUCK * bar < best[2]:
            best = number, slope, _LUCK * bar
    return best[0], best[1], max(best[2], found.doubt)
