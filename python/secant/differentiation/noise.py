"""The noise of a function: how much its values scatter where they should be smooth.

The difference table of Moré and Wild, "Estimating Computational Noise", SIAM J. Sci. Comput. 33 (2011): in values at
equal, tiny steps along a line, what is smooth vanishes in high differences, and what scatters grows by a known factor.
"""

from collections.abc import Callable
from math import comb, sqrt

import numpy as np

from secant._common.validation import Floats

VALUES = 8
_FIRST_SCALE, _NEXT, _LAST_SCALE = 2e-12, 100.0, 1e-1
_HALF_ULP, _HALF_ULP_OF_FLOAT32 = 2.0**-53, 2.0**-24


def rounding(values: Floats) -> float:
    """The least noise of values: their own rounding; that of float32, if all of them are float32 numbers."""
    unit = _HALF_ULP_OF_FLOAT32 if np.array_equal(values, values.astype(np.float32)) else _HALF_ULP
    return unit * float(np.abs(values).max(initial=0))


def noise(sample: Callable[[float], tuple[float, float]], resolution: float) -> float:
    """Estimate the absolute noise of a function along a direction.

    Parameters
    ----------
    sample : callable
        Takes a step; returns the value of f there, and what is to be smooth: f less its linear part.
    resolution : float
        The relative rounding of the arguments of f.
    """
    scale = _FIRST_SCALE
    while scale < 4 * resolution:
        scale *= _NEXT
    floor = 0.0
    while scale <= _LAST_SCALE:
        values = np.array([sample(k * scale) for k in range(1, 4)])
        floor = max(floor, rounding(values[:, 0]))
        if len(set(values[:, 0])) > 1:
            values = np.array([*values, *(sample(k * scale) for k in range(4, VALUES + 1))])
            floor = max(floor, rounding(values[:, 0]))
            if len(set(values[:, 0])) > VALUES // 2:
                return max(floor, _scatter(values[:, 1]))
        scale *= _NEXT
    return floor


def _scatter(values: Floats) -> float:
    """The standard deviation of what is not smooth, by the second to the last differences but one."""
    levels = []
    for order in range(1, len(values) - 1):
        values = np.diff(values)
        if order >= 2:
            levels.append(sqrt(float(np.mean(values**2)) / comb(2 * order, order)))
    return max(levels)
