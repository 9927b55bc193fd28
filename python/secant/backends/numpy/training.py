"""Gradient descent, one mini-batch after the other, by functions in Python."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from secant._common.interrupts import held_interrupts
from secant.backends import faults
from secant.backends.base import Batch, Descent, Differences, Fault
from secant.backends.numpy.forward import cross_entropy, outputs
from secant.backends.numpy.gradients import differences


def iterate(
    differences: Callable[..., Differences | Fault],
    batch: Batch,
    indices: NDArray[np.int64],
    descent: Descent,
    losses: list[float],
) -> Fault | None:
    """`Backend.train`, by the gradients of a backend."""
    net = batch.net
    for chosen in indices:
        part = Batch(net, batch.x[chosen].astype(np.float64), batch.t[chosen])
        result = differences(part, descent.method, descent.h)
        if isinstance(result, Fault):
            return result
        if result.loss == math.inf and net.log_offset:
            return faults.LARGE_TARGETS
        if not math.isfinite(result.loss):
            losses.append(result.loss)
            break
        with held_interrupts(), np.errstate(over="ignore", invalid="ignore"):
            for param, grad in zip(net[:4], result.gradients.values(), strict=True):
                grad *= descent.learning_rate
                param -= grad
            after = (
                math.nan
                if descent.before
                else cross_entropy(outputs(net, part.x), part.t, net.log_offset)
            )
            losses.append(result.loss if descent.before else after)
        if not math.isfinite(losses[-1]):
            break
    return None


train = partial(iterate, differences)
