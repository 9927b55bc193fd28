"""Proven bounds of the truncation error of the series.

The proofs are in docs/derivation.md, "How many terms" and "Small shifts".

The compiled core has the same constants: a test compares them.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.activations import ACTIVATIONS, HiddenActivation, OutputActivation

ORDERS, SINGLE_ORDERS = (3, 5, 7, 9), (1, 3, 5)
"""The orders tried for float64 and for float32 parameters."""

TRUNCATION_LIMIT, SINGLE_TRUNCATION_LIMIT, ROUNDING_SHARE = 2e-15, 2.0**29 * 2e-15, 0.01
"""The truncation error stays below the limit of its type, and below this share of the
rounding of a plain loop.
"""

DISCS, LARGEST_RADIUS, RADIUS_RATIO = 16, 3.0, 0.6
LOG_BOUND_LIMIT = 0.69
"""The bound of a logarithm is proven below log 2; with a margin for rounding."""

FEW_TERMS, FEW_TERMS_LIMIT = 4, 1.3e-4
MOST_TERMS, MOST_TERMS_LIMIT = 8, 8.77e-3
"""How many terms of the series of a softmax growth "direct" takes, for shifts of a2 up
to each limit.

Larger shifts take the full functions.
"""

SMALL_SHIFT_LIMIT, EXPONENT_LIMIT = 1.0, 600.0
"""Above these the formulas for small changes are not used: a unit is evaluated at its
shifted input, and the softmax is computed again.
"""

SMALL_OFFSET = 1e-40
"""Beside a smaller `log_offset`, a probability that has underflowed counts where it
comes back within these limits.
"""


@dataclass(frozen=True, eq=False)
class AnalyticityRadii:
    """Discs on which the loss change is analytic: radii rho (16,) and bounds M.

    The bounds are per target weight.

    ``hidden`` and ``output`` are the bounds for shifts of a1 and of a2.
    """

    rho: Floats
    hidden: Floats
    output: Floats
    largest_weight: float


def analyticity_radii(
    hidden: HiddenActivation, output: OutputActivation, largest_weight: float
) -> AnalyticityRadii:
    """The radii to try, where ``largest_weight`` is max |W2|."""
    mantissa, exponent = math.frexp(largest_weight)
    # to 5 bits: it seldom changes in training
    rounded_up = math.ceil(mantissa * 32) / 16 * 2.0 ** (exponent - 1)
    return _radii(hidden, output, rounded_up)


@lru_cache(maxsize=64)
def _radii(
    hidden: HiddenActivation, output: OutputActivation, largest_weight: float
) -> AnalyticityRadii:
    rhos = [LARGEST_RADIUS * RADIUS_RATIO**i for i in range(DISCS)]
    of_hidden = [
        _loss_change(largest_weight * ACTIVATIONS[hidden].largest_change(rho), output)
        for rho in rhos
    ]
    of_output = [_loss_change(rho, output) for rho in rhos]
    return AnalyticityRadii(
        np.array(rhos), np.array(of_hidden), np.array(of_output), largest_weight
    )


def _loss_change(v: float, output: OutputActivation) -> float:
    """The most that the loss changes when no a2 moves by more than v."""
    change = ACTIVATIONS[output].largest_change(v)
    log_y = (
        change - math.log1p(-math.expm1(change))
        if change < LOG_BOUND_LIMIT
        else math.inf
    )
    return -math.log1p(-math.expm1(log_y)) if log_y < LOG_BOUND_LIMIT else math.inf


def powers_are_normal(
    largest_weight: float, highest: int, change: Any, is_float32: bool = False
) -> Any:
    """Whether powers of the weights, and small sums of them, are finite.

    They are the powers up to ``highest`` of weights up to ``largest_weight``.

    And whether they do not underflow where units change by ``change``, more than 1:
    beside its powers they would count.
    """
    margin, exponent = 16, math.frexp(largest_weight)[1] * highest
    least, most = (
        (-125 + margin, 128 - margin) if is_float32 else (-1021 + margin, 1024 - margin)
    )
    return (exponent <= most) & ((change <= 1) | (exponent >= least))


def orders(
    radii: AnalyticityRadii, change: float = 0.0, is_float32: bool = False
) -> list[int]:
    """Return the orders that a series may have where units change by ``change``.

    The powers of the weights must be normal.
    """
    of_type, weight = SINGLE_ORDERS if is_float32 else ORDERS, radii.largest_weight
    return [
        order
        for order in of_type
        if order == 1 or powers_are_normal(weight, order, change, is_float32)
    ]


def tolerance(h: float, is_float32: bool = False, largest_gradient: Any = 1.0) -> Any:
    """Return the largest truncation error allowed.

    It is 1 % of the rounding of a plain loop, and a fifth of what is promised.

    ``is_float32``: whether the parameters are float32. What is promised of float64 is
    absolute, of float32 it is a share of the gradient's terms: so the limit is a share
    of ``largest_gradient``, about the size that the gradient has at most, where that is
    below 1.
    """
    if not is_float32:
        return min(ROUNDING_SHARE * 2.0**-52 / h, TRUNCATION_LIMIT)
    return np.minimum(
        ROUNDING_SHARE * 2.0**-23 / h,
        SINGLE_TRUNCATION_LIMIT * np.minimum(1.0, largest_gradient),
    )


@lru_cache(maxsize=64)
def proven_order(
    radii: AnalyticityRadii,
    h: float,
    largest_input: float,
    largest_z1: float,
    largest_target_sum: float,
    is_float32: bool = False,
) -> tuple[int, float]:
    """Return the smallest order that suffices, and the bound of its truncation error.

    The order is 0 if none is proven.
    """
    for order in orders(radii, h * largest_input, is_float32):
        if is_proven(
            radii, h, largest_input, largest_z1, largest_target_sum, order, is_float32
        ):
            return order, float(
                truncation(
                    radii, h, largest_input, largest_z1, largest_target_sum, order
                )
            )
    return 0, 0.0


def is_proven(
    radii: AnalyticityRadii,
    h: float,
    largest_input: Any,
    largest_z1: Any,
    largest_target_sum: float,
    order: int,
    is_float32: bool = False,
) -> Any:
    """Whether an odd order suffices for each sample.

    The arguments are the same as in `truncation`.
    """
    hidden, output = _truncation_by_layer(
        radii, h, largest_input, largest_z1, largest_target_sum, order
    )
    of_hidden = (
        largest_target_sum * np.maximum(1.0, largest_input) * radii.largest_weight
    )
    allowed_of_hidden = tolerance(h, is_float32, of_hidden)
    allowed_of_output = tolerance(h, is_float32, largest_target_sum)
    return (hidden <= allowed_of_hidden) & (output <= allowed_of_output)


def truncation(
    radii: AnalyticityRadii,
    h: float,
    largest_input: Any,
    largest_z1: Any,
    largest_target_sum: float,
    order: int,
) -> Any:
    """The bound of the truncation error after an odd order K, for each sample.

    It is (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2), with the largest |x| and |z1| of
    each sample. ``largest_target_sum`` is that of a sample's weights.
    """
    return np.maximum(
        *_truncation_by_layer(
            radii, h, largest_input, largest_z1, largest_target_sum, order
        )
    )


@np.errstate(all="ignore")  # overflow counts as unproven
def _truncation_by_layer(
    radii: AnalyticityRadii,
    h: float,
    largest_input: Any,
    largest_z1: Any,
    largest_target_sum: float,
    order: int,
) -> tuple[Any, Any]:
    """Return `truncation` of the weights of hidden units, and of output units."""

    def cut(change: Floats, largest: Any) -> Any:
        # the bias is the weight of an input of 1
        share = h * np.maximum(1.0, largest)[..., np.newaxis] / radii.rho
        bound = change * share ** (order + 2) / (1 - share * share)
        return np.where((share < 1) & (change < math.inf), bound, math.inf).min(axis=-1)

    scale = largest_target_sum / h
    return scale * cut(radii.hidden, largest_input), scale * cut(
        radii.output, largest_z1
    )


@np.errstate(over="ignore", invalid="ignore")  # what overflows needs the full functions
def terms_needed(
    h: float,
    largest_input: Any,
    largest_z1: Any,
    steepest: float,
    largest_weight: float,
) -> NDArray[np.int64]:
    """Return how many terms of a softmax growth's series suffice for each sample.

    It is 0 where the full functions are needed.

    ``steepest`` is the largest slope of a hidden unit. So no a2 is shifted by more than
    u, and D terms err by (2u)^D / (D + 1), relative: at most 1e-15. They need powers of
    the weights, up to ``largest_weight``.
    """
    u = h * np.maximum(
        np.maximum(1.0, largest_z1),
        np.maximum(1.0, largest_input) * (steepest * largest_weight),
    )
    few, most = (
        n * powers_are_normal(largest_weight, n, h * largest_input)
        for n in (FEW_TERMS, MOST_TERMS)
    )
    return np.select([u <= FEW_TERMS_LIMIT, u <= MOST_TERMS_LIMIT], [few, most], 0)
