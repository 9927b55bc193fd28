"""The choice of a method for each sample, and the gradient of a mini-batch.

NumPy and Numba compute in float64 for float32 parameters too, and round what they
return: one code serves both types, and the result is as exact as float32 can be. Only
the order is that of float32.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats, all_finite
from secant.backends import bound, faults
from secant.backends.activations import ACTIVATIONS
from secant.backends.base import (
    PARAM_NAMES,
    AnyMethod,
    Batch,
    Differences,
    Fault,
    Parameters,
    require_proven,
)

_BLOCK_ELEMENTS = 2**17
"""The largest array of a block of samples: it fits in the cache, and Ctrl-C does not
wait long.
"""

_BLOCK_SAMPLES = 512
"""The most samples of a block, which are added one by one.

The rounding errors of equal samples then reach half of what the contract allows, and
with twice as many all of it.
"""


class Sums(NamedTuple):
    """Sums over samples, divided by a count: of the gradients, and of the loss."""

    W1: Floats
    b1: Floats
    W2: Floats
    b2: Floats
    loss: Any


# what overflowed is looked for in the result
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def planned_gradient(
    batch: Batch,
    method: AnyMethod,
    h: float,
    by_series: Callable[[Parameters, Array, Array, float, int, int], Sums],
    directly: Callable[[Parameters, Array, Array, float, int], Sums],
) -> Differences | Fault:
    """Return the mean over samples, by series where an order is proven.

    ``by_series(net, x, t, h, count, order)`` and ``directly`` compute it.

    Both return the sum over their samples, divided by ``count``. They are given the
    parameters in float64, and targets that no other thread writes to. What is returned
    may have overflowed.
    """
    net, x, t = batch
    t = t.astype(np.int64 if t.ndim == 1 else np.float64)
    largest = x if method == "derivative" else largest_inputs(x)
    if fault := faults.first(net, None if all_finite(largest) else x, t):
        return fault
    float64_net = in_float64(net)
    count = len(x)

    # Which samples have a series, and of which order.
    if method == "derivative":
        proven = np.ones(count, np.bool_)
        order, truncation_bound, h = 1, 0.0, 0.0
    elif method == "direct":
        proven = np.zeros(count, np.bool_)
        order, truncation_bound = 0, 0.0
    else:
        proven, order, truncation_bound = plan(
            float64_net, x, t, h, is_float32(net), largest
        )
    n_proven = int(proven.sum())
    samples = {0: count - n_proven, order: n_proven}
    if n_proven == 0:
        samples = {0: count}
    elif n_proven == count:
        samples = {order: count}
    if method == "series":
        require_proven(samples, h)

    if n_proven == count:
        means = by_series(float64_net, x, t, h, count, order)
    elif n_proven == 0:
        means = directly(float64_net, x, t, h, count)
    else:
        rest = ~proven
        of_proven = by_series(float64_net, x[proven], t[proven], h, count, order)
        of_rest = directly(float64_net, x[rest], t[rest], h, count)
        means = add_gradients([of_proven, of_rest])
    return Differences(
        rounded(means._asdict(), net), samples, truncation_bound, float(means.loss)
    )


def fault_if_not_finite(
    result: Differences | Fault, batch: Batch
) -> Differences | Fault:
    """The result, or the fault where it, or the loss, has overflowed."""
    if isinstance(result, Fault):
        return result
    good = math.isfinite(result.loss) and all(
        map(all_finite, result.gradients.values())
    )
    return result if good else faults.of_result(result.loss, batch.net.log_offset)


def is_float32(net: Parameters) -> bool:
    """Whether the parameters are float32."""
    return bool(net.W1.dtype == np.float32)


def in_float64(net: Parameters) -> Parameters:
    """The network with its parameters in float64."""
    return (
        net._replace(
            **{name: getattr(net, name).astype(np.float64) for name in PARAM_NAMES}
        )
        if is_float32(net)
        else net
    )


def rounded(grads: dict[str, Array], net: Parameters) -> dict[str, Array]:
    """Return the gradients in the type of the parameters.

    Numbers beyond its range become infinite, which the caller detects.
    """
    with np.errstate(over="ignore"):
        return {
            name: grads[name].astype(net.W1.dtype, copy=False) for name in PARAM_NAMES
        }


def add_gradients(parts: Iterable[Sums]) -> Sums:
    """Add the sums of blocks of samples.

    The error does not grow with the number of blocks.

    This is Kahan's compensated summation (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 4.3): ``lost`` is what rounding has added so far. An
    infinity stays one.
    """
    parts = iter(parts)
    total = next(parts)
    lost = Sums(*(np.zeros_like(each) for each in total))
    for part in parts:
        corrected = Sums(
            *(term - own_lost for term, own_lost in zip(part, lost, strict=True))
        )
        before = total
        total = Sums(*(own + term for own, term in zip(before, corrected, strict=True)))
        lost = Sums(*map(_rounding, before, corrected, total))
    return total


def _rounding(before: Floats, term: Floats, total: Floats) -> Floats:
    """Return what rounding has added to ``total``, or 0 where that is not finite.

    ``total`` is the sum of the other two.
    """
    rounding: Floats = np.where(np.isfinite(total), (total - before) - term, 0.0)
    return rounding


def one_hot(t: Array, classes: int) -> Floats:
    """Targets as weights (N, O), in a new array."""
    weights: Floats = np.eye(classes)[t] if t.ndim == 1 else t.copy()
    return weights


@np.errstate(over="ignore")  # overflow counts as unproven
def plan(
    net: Parameters,
    x: Array,
    t: Array,
    h: float,
    is_float32: bool = False,
    largest: Floats | None = None,
) -> tuple[NDArray[np.bool_], int, float]:
    """Find the samples that have a proven order, (N,).

    The order that suffices for all of them is returned, and its truncation bound.
    """
    radii = bound.analyticity_radii(
        net.hidden_activation, net.output_activation, float(np.abs(net.W2).max())
    )
    largest_target_sum = 1.0 if t.ndim == 1 else float(t.sum(axis=1).max())
    inputs = largest_inputs(x) if largest is None else largest  # (N,)
    z1 = largest_z1(net, x)  # (N,)

    # One order may suffice for the whole mini-batch.
    order, truncation_bound = bound.proven_order(
        radii, h, float(inputs.max()), float(z1.max()), largest_target_sum, is_float32
    )
    if order:
        return np.ones(len(x), np.bool_), order, truncation_bound

    # Otherwise find the samples for which the highest order does.
    none_proven = np.zeros(len(x), np.bool_)
    available = bound.orders(radii, is_float32=is_float32)
    if not available:
        return none_proven, 0, 0.0
    highest = available[-1]
    is_small = bound.is_proven(
        radii, h, inputs, z1, largest_target_sum, highest, is_float32
    )
    is_normal = bound.powers_are_normal(
        radii.largest_weight, highest, h * inputs, is_float32
    )
    proven: NDArray[np.bool_] = is_small & is_normal
    if not proven.any():
        return none_proven, 0, 0.0

    # For these a lower one may suffice.
    order, truncation_bound = bound.proven_order(
        radii,
        h,
        float(inputs[proven].max()),
        float(z1[proven].max()),
        largest_target_sum,
        is_float32,
    )
    return proven, order, truncation_bound


def largest_inputs(x: Array) -> Floats:
    """The largest |x| of each sample, (N,)."""
    largest: Floats = np.maximum(x.max(axis=1), -x.min(axis=1).astype(np.float64))
    return largest


@np.errstate(over="ignore", invalid="ignore")  # nothing is proven then
def largest_z1(net: Parameters, x: Array) -> Floats:
    """The largest |z1| of each sample, (N,), or what bounds it."""
    hidden = ACTIVATIONS[net.hidden_activation]
    if hidden.bounded:
        return np.ones(len(x))
    a1 = (x[block] @ net.W1 + net.b1 for block in blocks(len(x), max(net.W1.shape)))
    return np.concatenate([largest_inputs(hidden.function(part)) for part in a1])


def blocks(samples: int, cost: int, most: int = _BLOCK_ELEMENTS) -> list[slice]:
    """Blocks of samples, each of which costs ``cost``.

    A block costs at most ``most`` and one sample more.
    """
    rows = min(1 + most // cost, _BLOCK_SAMPLES)
    return [slice(first, first + rows) for first in range(0, samples, rows)]
