"""The compiled backend: secant._core, whose faults are looked for in Python."""

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from secant._common.core import _core
from secant._common.validation import Array
from secant.backends import faults
from secant.backends.base import (
    AnyMethod,
    Batch,
    Descent,
    Differences,
    Fault,
    Parameters,
    require_proven,
)
from secant.backends.inputs import NORMALIZED_VALUES, NormalizedPixels, Rows
from secant.backends.plan import fault_if_not_finite, in_float64, is_float32, rounded

name = "cpp"
sigmoid = _core.sigmoid
softmax = _core.softmax
cross_entropy = _core.cross_entropy

Rows.register(_core.IndexedInputs)


def all_finite(array: Array) -> bool:
    return _core.all_finite(array if array.ndim == 2 else array.reshape(1, -1))


def prepare(x: Array | Rows) -> Array | Rows:
    if isinstance(x, NormalizedPixels):
        return cast(Rows, _core.index_inputs(x.pixels, NORMALIZED_VALUES)) or x[:]
    return x if isinstance(x, Rows) else cast(Rows, _core.index_inputs(x)) or x


def predict(net: Parameters, x: Array, n_threads: int) -> Array | Fault:
    y = _core.predict(net, x, n_threads)
    if y is not None:
        return y
    if fault := faults.first(net, x):
        return fault
    if not is_float32(net):
        return faults.OVERFLOW
    # something on the way is beyond what float32 can compute with
    wide = predict(in_float64(net), x, n_threads)
    return wide if isinstance(wide, Fault) else wide.astype(np.float32)


def gradient(
    batch: Batch, method: AnyMethod, h: float, n_threads: int, with_loss: bool = True
) -> Differences | Fault:
    gradients, samples, bound, loss = _core.gradient(
        *batch, method, h, n_threads, with_loss
    )
    if method == "series":
        require_proven(samples, h)
    if gradients is not None and math.isfinite(loss):
        return Differences(gradients, samples, bound, loss)
    if not with_loss:  # which tells what is wrong
        return gradient(batch, method, h, n_threads)
    if fault := faults.first(*batch):
        return fault
    if not samples:
        return faults.CHANGED
    # something on the way is beyond what float32 can compute with
    if is_float32(batch.net):
        return _in_float64(batch, method, h, n_threads)
    return faults.of_result(loss, batch.net.log_offset)


def _in_float64(
    batch: Batch, method: AnyMethod, h: float, n_threads: int
) -> Differences | Fault:
    # what is proven for float32 need not be for float64
    enough: AnyMethod = "auto" if method == "series" else method
    result = gradient(batch._replace(net=in_float64(batch.net)), enough, h, n_threads)
    if isinstance(result, Fault):
        return result
    return fault_if_not_finite(
        result._replace(gradients=rounded(result.gradients, batch.net)), batch
    )


def train(
    batch: Batch, indices: NDArray[np.int64], descent: Descent, losses: list[float]
) -> Fault | None:
    method, h, learning_rate, n_threads, before = descent
    good = _core.train(
        *batch, indices, method, h, learning_rate, n_threads, losses, before
    )
    if is_float32(batch.net):
        good = (
            good and math.isfinite(losses[-1]) and all(map(all_finite, batch.net[:4]))
        )
        return None if good else faults.BEYOND_FLOAT32
    return None if good else faults.first(*batch) or faults.CHANGED
