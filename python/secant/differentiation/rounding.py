"""The rounding of values, and sizes of arrays whose squares may be too large or too
small for floats.
"""

from __future__ import annotations

from math import inf, sqrt
from sys import float_info
from typing import Any

import numpy as np

from secant._common.validation import Floats

_HALF_ULP, _HALF_ULP_OF_FLOAT32 = 2.0**-53, 2.0**-24
# So many values, or fewer, of so many bits say nothing of the type in which f computes.
_FEW_VALUES, _ROUND_BITS = 8, 16
# a sum of squares that may have lost digits
_TINY = float_info.min / float_info.epsilon


# over only where something is not finite, as then the result is
@np.errstate(over="ignore", under="ignore")
def root_mean_square(values: Floats, axis: int | None = None) -> Any:
    """The root of the mean of squares, also where squares are too large for floats."""
    if not values.size:
        return 0.0
    largest = np.abs(values).max(axis=axis)
    # Dividing by a power of two rounds nothing.
    exponent = np.maximum(np.frexp(np.where(np.isfinite(largest), largest, 0))[1], 0)
    return np.ldexp(
        np.sqrt(np.mean(np.ldexp(values, -exponent) ** 2, axis=axis)), exponent
    )


def norm(values: Floats) -> float:
    """The root of the sum of squares, likewise."""
    with np.errstate(all="ignore"):
        squares = float(np.vdot(values, values))
    if _TINY < squares < inf:
        return sqrt(squares)
    return float(root_mean_square(values)) * sqrt(values.size)


def unit_rounding(values: Floats) -> Floats:
    """The relative rounding of each output: that of float32, if all of its values are
    float32 numbers.

    A few round numbers, as 0 or 1, are float32 numbers by chance. ``values``, (values,
    outputs), are NaN where there is none.
    """
    is_missing = np.isnan(values)
    with np.errstate(over="ignore"):
        is_float32 = values == values.astype(np.float32)
    mantissas = 2**_ROUND_BITS * np.frexp(values)[0]
    are_round = (is_missing | (mantissas == np.rint(mantissas))).all(axis=0)
    distinct = 1 + (np.diff(np.sort(values, axis=0), axis=0) > 0).sum(axis=0)
    is_chance = are_round & (distinct <= _FEW_VALUES)
    are_float32 = (is_missing | is_float32).all(axis=0)
    return np.where(are_float32 & ~is_chance, _HALF_ULP_OF_FLOAT32, _HALF_ULP)
