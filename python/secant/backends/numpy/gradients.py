"""The gradients: the central difference of every parameter, by its series or literally, and backpropagation."""

from collections.abc import Callable

import numpy as np

from secant._common.validation import Array
from secant.backends.base import AnyMethod, Batch, Differences, Fault, Parameters
from secant.backends.numpy.direct import by_loop
from secant.backends.numpy.forward import largest_row
from secant.backends.numpy.series import PLAIN, Steps, summed_series
from secant.backends.plan import Sums, add_gradients, blocks, fault_if_not_finite, mean, planned_gradient


def by_series(net: Parameters, x: Array, t: Array, h: float, order: int, steps: Steps = PLAIN) -> Sums:
    """The mean over samples, each by a series of one odd order."""
    parts = (summed_series(net, x[block], t[block], h, order, steps) for block in blocks(len(x), largest_row(net)))
    return mean(len(x), add_gradients(parts))


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what overflowed is looked for in the result
def differences(
    batch: Batch,
    method: AnyMethod,
    h: float,
    by_series: Callable[..., Sums] = by_series,
    directly: Callable[..., Sums] = by_loop,
) -> Differences | Fault:
    """The gradient, which may have overflowed."""
    return planned_gradient(batch, method, h, by_series, directly)


def gradient(
    batch: Batch,
    method: AnyMethod,
    h: float,
    n_threads: int = 0,
    differences: Callable[..., Differences | Fault] = differences,
) -> Differences | Fault:
    return fault_if_not_finite(differences(batch, method, h), batch)
