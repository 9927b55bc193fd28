"""Where series may be cut: proven bounds of what is left out (docs/method.md, "How many terms" and "Small shifts").

The compiled core has the same constants: a test compares them.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.activations import ACTIVATIONS, HiddenActivation, OutputActivation

ORDERS, SINGLE_ORDERS = (3, 5, 7, 9), (1, 3, 5)
"""Those of float64, and of float32 parameters."""

TRUNCATION_LIMIT, SINGLE_TRUNCATION_LIMIT, ROUNDING_SHARE = 2e-15, 2.0**29 * 2e-15, 0.01
"""What is cut from a series stays below this, and below this share of the rounding of a plain loop in that type."""

DISCS, LARGEST_RADIUS, RADIUS_RATIO = 16, 3.0, 0.6
LOG_BOUND_LIMIT = 0.69
"""The bound of a logarithm is proven below log 2; with a margin for rounding."""

FEW_TERMS, FEW_TERMS_LIMIT = 4, 1.3e-4
MOST_TERMS, MOST_TERMS_LIMIT = 8, 8.77e-3
"""Direct takes so many terms of a growth for shifts of a2 up to a limit, and the full functions beyond the last."""

SMALL_SHIFT_LIMIT, EXPONENT_LIMIT = 1.0, 600.0
"""A larger shift of a unit's input is evaluated from the pre-activation, a larger change of an exponent by the
softmax anew."""


class Discs(NamedTuple):
    """Radii rho (16,), and bounds M of the loss change when a pre-activation moves by one, per target weight."""

    rho: Floats
    hidden: Floats
    output: Floats


def discs(hidden: HiddenActivation, output: OutputActivation, largest_weight: float) -> Discs:
    """The discs to try, where ``largest_weight`` is max |W2|."""
    mantissa, exponent = math.frexp(largest_weight)
    rounded_up = math.ceil(mantissa * 32) / 16 * 2.0 ** (exponent - 1)  # to 5 bits: it seldom changes in training
    return _discs(hidden, output, rounded_up)


@lru_cache(maxsize=64)
def _discs(hidden: HiddenActivation, output: OutputActivation, largest_weight: float) -> Discs:
    radii = [LARGEST_RADIUS * RADIUS_RATIO**i for i in range(DISCS)]
    of_hidden = [_loss_change(largest_weight * ACTIVATIONS[hidden].largest_change(rho), output) for rho in radii]
    return Discs(np.array(radii), np.array(of_hidden), np.array([_loss_change(rho, output) for rho in radii]))


def _loss_change(v: float, output: OutputActivation) -> float:
    """The most that the loss changes when no a2 moves by more than v."""
    change = ACTIVATIONS[output].largest_change(v)
    log_y = change - math.log1p(-math.expm1(change)) if change < LOG_BOUND_LIMIT else math.inf
    return -math.log1p(-math.expm1(log_y)) if log_y < LOG_BOUND_LIMIT else math.inf


def tolerance(h: float, single: bool = False) -> float:
    """The most that may be cut: 1 % of the rounding of a plain loop, and a fifth of what is promised.

    ``single``: of float32 parameters.
    """
    limit, epsilon = (SINGLE_TRUNCATION_LIMIT, 2.0**-23) if single else (TRUNCATION_LIMIT, 2.0**-52)
    return min(ROUNDING_SHARE * epsilon / h, limit)


def proven_order(
    tried: Discs, h: float, largest_input: Any, largest_z1: Any, mass: float, single: bool = False
) -> tuple[int, float]:
    """The smallest order that suffices, 0 where none is proven; and the bound of what it cuts."""
    for order in SINGLE_ORDERS if single else ORDERS:
        worst = float(truncation(tried, h, largest_input, largest_z1, mass, order))
        if worst <= tolerance(h, single):
            return order, worst
    return 0, 0.0


@np.errstate(all="ignore")  # what overflows is proven nowhere
def truncation(tried: Discs, h: float, largest_input: Any, largest_z1: Any, mass: float, order: int) -> Any:
    """The bound of what is cut after an odd order, (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2), for each sample.

    It takes the largest |x| and |z1| of each, and the largest sum of a sample's target weights, ``mass``.
    """

    def cut(change: Floats, largest: Any) -> Any:
        share = h * np.maximum(1.0, largest)[..., np.newaxis] / tried.rho  # the bias is the weight of an input of 1
        bound = change * share ** (order + 2) / (1 - share * share)
        return np.where((share < 1) & (change < math.inf), bound, math.inf).min(axis=-1)

    return mass / h * np.maximum(cut(tried.hidden, largest_input), cut(tried.output, largest_z1))


@np.errstate(over="ignore", invalid="ignore")  # what overflows needs the full functions
def terms_needed(h: float, largest_input: Any, largest_z1: Any, steepest: float) -> NDArray[np.int64]:
    """How many terms of the series of a growth suffice for each sample; 0 where the full functions are needed.

    ``steepest`` is the largest slope of a hidden unit, times max |W2|. So no a2 is shifted by more than u, and D terms
    err by (2u)^D / (D + 1), relative: at most 1e-15.
    """
    u = h * np.maximum(np.maximum(1.0, largest_z1), np.maximum(1.0, largest_input) * steepest)
    return np.select([u <= FEW_TERMS_LIMIT, u <= MOST_TERMS_LIMIT], [FEW_TERMS, MOST_TERMS], 0)
