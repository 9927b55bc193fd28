"""The gradients: central differences, by series or directly, and backpropagation."""

from collections.abc import Callable
from functools import partial

from secant._common.validation import Array
from secant.backends.base import AnyMethod, Batch, Differences, Fault, Parameters
from secant.backends.numpy.direct import directly
from secant.backends.numpy.forward import largest_row
from secant.backends.numpy.series import PLAIN, Steps, summed_series
from secant.backends.plan import (
    Sums,
    add_gradients,
    blocks,
    fault_if_not_finite,
    planned_gradient,
)


def by_series(
    net: Parameters,
    x: Array,
    t: Array,
    h: float,
    count: int,
    order: int,
    steps: Steps = PLAIN,
) -> Sums:
    """The sum over samples, divided by ``count``, each by a series of one odd order."""
    rows = blocks(len(x), largest_row(net))
    return add_gradients(
        summed_series(net, x[block], t[block], h, order, count, steps) for block in rows
    )


differences = partial(planned_gradient, by_series=by_series, directly=directly)


def gradient(
    batch: Batch,
    method: AnyMethod,
    h: float,
    n_threads: int = 0,
    with_loss: bool = True,
    differences: Callable[..., Differences | Fault] = differences,
) -> Differences | Fault:
    return fault_if_not_finite(differences(batch, method, h), batch)
