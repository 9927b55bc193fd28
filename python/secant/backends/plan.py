"""Which samples have a proven order, and the gradient of a mini-batch in which they differ."""

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array
from secant.backends import bound
from secant.backends.base import GradientInfo, Gradients, Method, Parameters, require_proven


def planned_gradient(
    net: Parameters,
    x: Array,
    t: Array,
    h: float,
    method: Method,
    by_series: Callable[[Array, Array, int], Gradients],
    directly: Callable[[Array, Array], Gradients],
) -> tuple[Gradients, GradientInfo]:
    """The mean over samples: ``by_series(x, t, order)`` where an order is proven, ``directly(x, t)`` elsewhere."""
    if method == "direct":
        return directly(x, t), GradientInfo({0: len(x)}, 0.0)
    proven, order, cut = plan(net, x, t, h)
    expanded = int(proven.sum())
    counts = {0: len(x) - expanded, order: expanded} if order else {0: len(x)}
    info = GradientInfo({key: count for key, count in counts.items() if count}, cut)
    if method == "series":
        require_proven(info, h)
    if info.method == "series":
        return by_series(x, t, order), info
    if info.method == "direct":
        return directly(x, t), info
    some = scaled(expanded / len(x), by_series(x[proven], t[proven], order))
    others = scaled((len(x) - expanded) / len(x), directly(x[~proven], t[~proven]))
    return total(some, others), info


def total(a: Gradients, b: Gradients) -> Gradients:
    """Their sum."""
    return Gradients(*map(np.add, a, b))


def scaled(factor: float, a: Gradients) -> Gradients:
    """So many times the gradients."""
    return Gradients(*(factor * part for part in a))


def plan(net: Parameters, x: Array, t: Array, h: float) -> tuple[NDArray[np.bool_], int, float]:
    """Which samples have a proven order, (N,); the one that suffices for all of them, and the bound of what it cuts."""
    discs = bound.discs(net.output_activation == "sigmoid", float(np.abs(net.W2).max()))
    with np.errstate(over="ignore"):
        mass = 1.0 if t.ndim == 1 else float(t.sum(axis=1).max())
    inputs = largest_inputs(x)
    order, cut = bound.proven_order(discs, h, float(inputs.max()), mass)
    if order:
        return np.ones(len(x), np.bool_), order, cut

    def unproven(largest: float) -> bool:
        return bound.proven_order(discs, h, largest, mass)[0] == 0

    in_order = np.unique(inputs).tolist()
    count = bisect_left(in_order, True, key=unproven)  # the larger an input, the less is proven
    if count == 0:
        return np.zeros(len(x), np.bool_), 0, 0.0
    largest = in_order[count - 1]
    return inputs <= largest, *bound.proven_order(discs, h, largest, mass)


def largest_inputs(x: Array) -> NDArray[np.float64]:
    """The largest |x| of each sample, (N,)."""
    largest: NDArray[np.float64] = np.maximum(x.max(axis=1), -x.min(axis=1).astype(np.float64))
    return largest
