"""The noise of f, from values at steps that grow by a factor from a few units in the last place of x on.

Where steps are small, values scatter around a line by their noise; where they are larger, by what is not linear. What
is smooth grows with a power of the step, without jumps. Noise stays the same over several steps, or appears in a jump:
f that is rounded, or that rounds x, stands still below some step. But few jumps far from x are no rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf, sqrt

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.auto.central_difference import CachedSamples, Central, central, step_of
from secant.differentiation.noise import Noise, unit_rounding

_ORDINARY = 4.0  # times its rounding: the noise of a value
_SAME = 3.0  # times the noise: scatter that may be of the same kind
_FLAT = 12.0  # scatter that grows by less from rung to rung may be noise: at a kink it grows as the step
SUDDEN = 2000.0  # smooth functions do not grow by that from rung to rung, but where high derivatives are large
_FAR = 4  # jumps on a higher rung than this may be no rounding,
_MANY = 4.0  # unless the next rung crosses so many of them,
_CARRIED = 0.01  # and they carry more than that of the slope
_HALVINGS = 16  # of the place of a jump
_LIMIT = 1 / 64  # of the scatter above a jump: what is below it
_TINY = 2.0**-49  # relative: jumps that are rounding to float64


class RungNoise:
    """The noise of one output of f along the rungs, which are central differences at steps from small to large.

    Parameters
    ----------
    samples : CachedSamples
    k : int
        The number of the output.
    value : float
        It at x.
    numbers : range
        The numbers of the steps, see `step_of`.
    rungs : list of Central
    x_error : float
        By how much x + step is rounded that is not known, as along a direction.
    every_jump : bool
        Few jumps far from x are noise, too: they change second differences, if not slopes.

    Attributes
    ----------
    noise : Noise
    doubt : float
        What small jumps add to the slope, far from x: the slope may be meant with them or without.
    """

    def __init__(
        self,
        samples: CachedSamples,
        k: int,
        value: float,
        numbers: range,
        rungs: list[Central],
        x_error: float,
        every_jump: bool,
    ) -> None:
        self._samples, self._k, self._value, self._rungs, self._x_error = samples, k, value, rungs, x_error
        self._every_jump = every_jump
        self._steps = [step_of(number) for number in numbers[: len(rungs)]]
        values = np.array([value, *(self._at(sign * step) for step in self._steps for sign in (1, -1))])
        self._unit = unit_rounding(values)
        self._least = max(self._unit * abs(value), _last_place(values) / 2, self._first_move(values) / 2)
        self.doubt = 0.0
        level = self._level()
        share = max(self._unit, min(level / abs(value), _ORDINARY * self._unit) if value else self._unit)
        self.noise = Noise(level, share)

    def _at(self, step: float) -> float:
        return float(self._samples(step)[0][self._k])

    def _first_move(self, values: Floats) -> float:
        """By how much f jumps where it first differs from f(x); 0 if it does not jump, or differs at once."""
        moved = np.abs(values[1:] - self._value).reshape(-1, 2).max(axis=1)
        j = int(np.argmax(moved > 0))
        if not j or moved[j] <= _TINY * abs(self._value):
            return 0.0
        low, high, jumps = self._steps[j - 1], self._steps[j], [float(moved[j])]
        for _ in range(_HALVINGS):
            middle = sqrt(low * high)
            jump = max(abs(self._at(sign * middle) - self._value) for sign in (1, -1))
            low, high = (low, middle) if jump else (middle, high)
            jumps.append(jump or jumps[-1])
        return jumps[-1] if jumps[-1] > jumps[_HALVINGS // 2] / 2 else 0.0

    def _level(self) -> float:
        """The noise near x: walk up the rungs, while their scatter is noise."""
        scatter = [self._scatter(rung, j) for j, rung in enumerate(self._rungs)]
        level, is_smooth = self._least, False
        for j, found in enumerate(scatter):
            size = self._rungs[j].size
            ordinary = max(level, self._unit * size)
            below = max(scatter[j - 1], ordinary) if j else ordinary
            if is_smooth and found <= SUDDEN * below:
                continue
            if found > _SAME * ordinary:
                found = self._rise(j, scatter, below, level)
                is_smooth = not found
            if found <= _SAME * self._unit * size:  # the rounding of a value that is larger than that at x
                found *= min(1.0, self._rungs[0].size / size) if size else 1.0
            level = max(level, found)
        return level

    def _rise(self, j: int, scatter: list[float], below: float, level: float) -> float:
        """The scatter of a rung that has more than those below, if it is noise; else 0."""
        found = scatter[j]
        following = [each / found for each in scatter[j + 1 : j + 3]]
        is_flat = bool(following) and not any(each > _FLAT * i for i, each in enumerate(following, start=1))
        if not j:
            grows = len(following) == 2 and following[0] > _FLAT and following[1] > _FLAT * following[0]
            return 0.0 if grows else found
        if found <= SUDDEN * below:
            return found if is_flat else 0.0
        jump = self._jump(j, below)
        if not jump or j < _FAR or self._every_jump:
            return max(found, jump) if jump else 0.0
        near, far = self._rungs[j - 1], self._rungs[min(j + 2, len(self._rungs) - 1)]
        above = self._rungs[min(j + 1, len(self._rungs) - 1)]
        carried = abs(near.slope - far.slope)
        if not is_flat and abs(above.slope - near.slope) * above.width <= _MANY * jump:
            self.doubt = max(self.doubt, carried)
            return 0.0
        most = _CARRIED * abs(near.slope)
        if carried <= most and 3 * level / near.width <= most:
            self.doubt = max(self.doubt, carried)
            return 0.0
        return max(found, jump)

    def _jump(self, j: int, below: float) -> float:
        """The scatter above a jump of that between two rungs, however close the steps; 0 if it grows without one."""
        low, high = self._steps[j - 1 : j + 1]
        return jump_between(low, high, below, lambda step: self._scatter_at(step, j, below))

    def _scatter_at(self, step: float, j: int, least: float) -> float:
        """The same between two rungs, around the line of the lower one: by chance, others fit between jumps."""
        rung = central(self._samples, self._k, step, self._value)
        return max(least, self._around(rung, self._rungs[j - 1 : j]))

    def _scatter(self, rung: Central, j: int) -> float:
        """How much values scatter around a line, whose slope one of the rungs beside tells best."""
        return self._around(rung, self._rungs[j - 1 : j + 2 : 2] if j else [])

    def _around(self, rung: Central, others: list[Central]) -> float:
        even = abs(rung.second_difference) * rung.width / sqrt(6)
        odd = min((abs(rung.slope - other.slope) - self._least / other.width for other in others), default=0.0)
        return max(even, odd * rung.width * sqrt(2) - self._x_error * abs(rung.slope))


def jump_between(low: float, high: float, below: float, scatter: Callable[[float], float]) -> float:
    """The scatter above a jump of it between two steps, however close these are; 0 if it grows without one."""
    found = {low: below, high: scatter(high)}
    limit = _LIMIT * found[high]
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        found[middle] = scatter(middle)
        low, high = (low, middle) if found[middle] > limit else (middle, high)
    return found[high] if found[high] > 2 * found[low] else 0.0


def slope_jump(rungs: list[Central], noise: Noise) -> float:
    """The jump of the slope at x: a second difference that does not shrink with the step, as far down as it shows."""
    sizes = [abs(rung.second_difference) for rung in rungs]
    errors = [8 * noise.at(rung.size) / rung.width for rung in rungs]
    first = next((j for j, size in enumerate(sizes) if size > errors[j]), len(rungs))
    if 0 < first < len(rungs) and sizes[first] > 2 * errors[first - 1]:  # a kink nearby, or smooth
        return 0.0
    jump = 0.0
    for near, far in pairwise(sizes[first:]):
        if not near / 2 < far < 2 * near:  # it grows as the step where f is smooth
            break
        jump = max(jump, near, far)
    return jump


def _last_place(values: Floats) -> float:
    """The power of two of which all values are multiples, as of what was added last; 0 if all are the same."""
    mantissas, exponents = np.frexp(values[(values != values[0]) & (values != 0)])
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    last = np.ldexp((whole & -whole).astype(np.float64), exponents - 53)
    return float(last.min(initial=inf)) if len(last) else 0.0
