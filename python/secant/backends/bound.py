"""Where series may be cut: proven bounds of what is left out (docs/method.md, "How many terms" and "Small shifts").

The compiled core has the same constants: a test compares them.
"""

import math
from functools import lru_cache
from typing import NamedTuple

LOG_OFFSET = 1e-7
"""Added to y before its logarithm is taken, as in the chapter: it keeps the loss finite where y is 0."""

ORDERS = (3, 5, 7, 9)
TRUNCATION_LIMIT, ROUNDING_SHARE = 2e-15, 0.01
"""What is cut from a series stays below this, and below this share of the rounding of a plain loop."""

DISCS, LARGEST_RADIUS, RADIUS_RATIO = 16, 3.0, 0.6
LOG_BOUND_LIMIT = 0.69
"""The bound of a logarithm is proven below log 2; with a margin for rounding."""

FEW_TERMS, FEW_TERMS_LIMIT = 4, 1.3e-4
MOST_TERMS, MOST_TERMS_LIMIT = 8, 8.77e-3
"""Direct takes so many terms of a growth for shifts of a2 up to a limit, and the full functions beyond the last."""

SMALL_SHIFT_LIMIT, EXPONENT_LIMIT = 1.0, 600.0
"""A larger shift of a sigmoid's input is evaluated from the pre-activation, a larger change of an exponent by the
softmax anew."""


class Disc(NamedTuple):
    """A radius rho, and bounds M of the loss change when a pre-activation moves by it, for a target weight of 1."""

    rho: float
    hidden: float
    output: float


def discs(sigmoid_output: bool, largest_weight: float) -> tuple[Disc, ...]:
    """The discs to try, where ``largest_weight`` is max |W2|."""
    mantissa, exponent = math.frexp(largest_weight)
    rounded_up = math.ceil(mantissa * 32) / 16 * 2.0 ** (exponent - 1)  # to 5 bits: it seldom changes in training
    return _discs(sigmoid_output, rounded_up)


@lru_cache(maxsize=64)
def _discs(sigmoid_output: bool, largest_weight: float) -> tuple[Disc, ...]:
    radii = [LARGEST_RADIUS * RADIUS_RATIO**i for i in range(DISCS)]
    return tuple(
        Disc(rho, _loss_change(largest_weight * _steepest(rho), sigmoid_output), _loss_change(rho, sigmoid_output))
        for rho in radii
    )


def _steepest(rho: float) -> float:
    """The most that a sigmoid changes on a disc of radius rho."""
    return rho / (4 * math.cos(rho / 2) ** 2) if rho < math.pi else math.inf


def _loss_change(v: float, sigmoid_output: bool) -> float:
    """The most that the loss changes when no a2 moves by more than v."""
    change = _steepest(v) if sigmoid_output else v
    log_y = change - math.log1p(-math.expm1(change)) if change < LOG_BOUND_LIMIT else math.inf
    return -math.log1p(-math.expm1(log_y)) if log_y < LOG_BOUND_LIMIT else math.inf


def proven_order(tried: tuple[Disc, ...], h: float, largest_input: float, mass: float) -> tuple[int, float]:
    """The smallest order that suffices, 0 where none is proven; and the bound of what is cut after it.

    It, (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2), is below 1 % of the rounding of a plain loop, and a fifth of what
    is promised. ``mass`` is the largest sum of a sample's target weights.
    """
    tolerance = min(ROUNDING_SHARE * 2.0**-52 / h, TRUNCATION_LIMIT)
    r = h * max(1.0, largest_input)  # the bias is the weight of an input of 1
    for order in ORDERS:
        hidden = min(_cut(disc.hidden, r / disc.rho, order) for disc in tried)
        output = min(_cut(disc.output, h / disc.rho, order) for disc in tried)
        worst = mass / h * max(hidden, output)
        if worst <= tolerance:
            return order, worst
    return 0, 0.0


def _cut(change: float, share: float, order: int) -> float:
    """What is left out after ``order``, by the bound of the change on a disc of which the shift is a share."""
    if not (share < 1 and change < math.inf):
        return math.inf
    square = share * share
    return change * share * square ** (order // 2 + 1) / (1 - square)


def terms_needed(h: float, largest_input: float, largest_weight: float) -> int:
    """How many terms of the series of a growth suffice for a sample; 0 where the full functions are needed.

    A sigmoid is nowhere steeper than 1/4, so no a2 is shifted by more than u, and D terms err by (2u)^D / (D + 1),
    relative: at most 1e-15.
    """
    u = h * max(1.0, max(1.0, largest_input) * largest_weight / 4)
    if u <= FEW_TERMS_LIMIT:
        return FEW_TERMS
    return MOST_TERMS if u <= MOST_TERMS_LIMIT else 0
