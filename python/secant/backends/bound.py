"""Where series may be cut: proven bounds of what is left out (docs/method.md, "How many terms" and "Small shifts")."""

import math
from functools import lru_cache
from typing import NamedTuple

LOG_OFFSET = 1e-7
"""Added to y before its logarithm is taken, as in the chapter: it keeps the loss finite where y is 0."""

ORDERS = (3, 5, 7, 9)
_DISCS = 16


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
    radii = [3.0 * 0.6**i for i in range(_DISCS)]
    return tuple(
        Disc(
            rho,
            _loss_change(largest_weight * _steepest(rho), sigmoid_output),
            _loss_change(rho, sigmoid_output),
        )
        for rho in radii
    )


def _steepest(rho: float) -> float:
    """The most that a sigmoid changes on a disc of radius rho."""
    return rho / (4 * math.cos(rho / 2) ** 2) if rho < math.pi else math.inf


def _loss_change(v: float, sigmoid_output: bool) -> float:
    """The most that the loss changes when no a2 moves by more than v."""
    change = _steepest(v) if sigmoid_output else v
    log_y = change - math.log1p(-math.expm1(change)) if change < 0.69 else math.inf  # proven for less than log 2
    return -math.log1p(-math.expm1(log_y)) if log_y < 0.69 else math.inf


def proven_order(tried: tuple[Disc, ...], h: float, largest_input: float, mass: float) -> tuple[int, float]:
    """The smallest order that suffices, 0 where none is proven; and the bound of what is cut after it.

    It, (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2), is below 1 % of the rounding of a plain loop, and a fifth of what
    is promised. ``mass`` is the largest sum of a sample's target weights.
    """
    tolerance = min(0.01 * 2.0**-52 / h, 2e-15)
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
    if u <= 1.3e-4:
        return 4
    return 8 if u <= 8.77e-3 else 0
