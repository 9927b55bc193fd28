"""The compiled backend: secant._core, whose faults are looked for in Python."""

import math
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from secant import _core
from secant._common.validation import Array
from secant.backends import faults
from secant.backends.base import AnyMethod, Batch, Differences, Gradients, Parameters, require_proven
from secant.backends.faults import Fault
from secant.backends.inputs import NORMALIZED_VALUES, NormalizedPixels, Rows
from secant.backends.plan import finite, in_double, is_single, rounded

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
    return (faults.first(net, x) or faults.OVERFLOW) if y is None else y


def gradient(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    gradients, samples, bound, loss = _core.gradient(*batch, method, h, n_threads)
    if method == "series":
        require_proven(samples, h)
    single = is_single(batch.net)
    if gradients is not None and not (single and math.isinf(loss)):
        return Differences(gradients, samples, bound, loss)
    if fault := faults.first(*batch):
        return fault
    if not samples:
        return faults.CHANGED
    if single:  # something on the way may be beyond the range of float32
        return _in_double(batch, method, h, n_threads)
    return faults.of_result(loss, batch.net.log_offset)


def _in_double(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    found = gradient(batch._replace(net=in_double(batch.net)), method, h, n_threads)
    if isinstance(found, Fault):
        return found
    return finite(found._replace(gradients=rounded(Gradients(**found.gradients), batch.net)._asdict()), batch)


def train(
    batch: Batch,
    indices: NDArray[np.int64],
    method: Literal["derivative", "auto", "direct"],
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
    before: bool = False,
) -> Fault | None:
    if _core.train(*batch, indices, method, h, learning_rate, n_threads, losses, before):
        return None
    return faults.first(*batch) or faults.CHANGED
