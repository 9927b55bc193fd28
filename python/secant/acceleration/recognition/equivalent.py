"""The `TwoLayerNet` that is equivalent to a network of another class: it uses its arrays, and must have its loss."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array
from secant.acceleration.recognition.layouts import Layout, require_apart
from secant.acceleration.recognition.probes import number, tolerance
from secant.acceleration.recognition.result import Recognition
from secant.errors import LossDiffersError, UnsupportedError
from secant.networks.batch import PARAM_NAMES
from secant.networks.two_layer import TwoLayerNet

_AGREE = 1e-9  # relative to a loss


def arrays_of(net: Any, recognition: Recognition) -> tuple[Array, Array, Array, Array]:
    """W1, b1, W2 and b2 of a network that was recognized, not copied."""
    return Layout(recognition.holder, recognition.keys).arrays(net)


def equivalent(net: Any, recognition: Recognition) -> TwoLayerNet:
    """Return a `TwoLayerNet` on the arrays of ``net``, or on float64 copies of those that it cannot take.

    Raises
    ------
    UnsupportedError
        If the arrays are not those that were recognized.
    """
    inputs, hidden, outputs = recognition.sizes
    shapes = ((inputs, hidden), (hidden,), (hidden, outputs), (outputs,))
    known = TwoLayerNet.__new__(TwoLayerNet)
    known.params = {}
    arrays = arrays_of(net, recognition)
    require_apart(recognition.keys, arrays)
    for name, key, array, shape in zip(PARAM_NAMES, recognition.keys, arrays, shapes, strict=True):
        if array.shape not in (shape, (1, *shape)):
            raise UnsupportedError(f"{key} must have shape {shape}, as when it was recognized, got {array.shape}")
        if array.dtype.kind != "f":
            raise UnsupportedError(f"{key} must be float64 or float32, as when it was recognized, got {array.dtype}")
        known.params[name] = np.ascontiguousarray(array, np.float64).reshape(shape)
    known.hidden_activation, known.output_activation = recognition.hidden_activation, recognition.output_activation
    known.log_offset, known.soft_targets = recognition.log_offset, recognition.soft_targets
    return known


def in_place(arrays: Iterable[Array]) -> bool:
    """Whether a `TwoLayerNet` can read and update arrays where they lie."""
    return all(array.dtype == np.float64 and array.flags.carray for array in arrays)


def rows(x: ArrayLike) -> ArrayLike:
    """Return a mini-batch of images (N, ...) as rows (N, I), also for a loss that takes images."""
    array = np.asarray(x)
    return array.reshape(len(array), -1) if array.ndim > 2 else x


def factor(recognition: Recognition, x: ArrayLike) -> int:
    """What the gradient of the mean over the samples is multiplied by."""
    return recognition.scale.factor(len(np.atleast_2d(np.asarray(rows(x)))))


def require_same_loss(net: Any, recognition: Recognition, mean: float, x: ArrayLike, t: ArrayLike) -> None:
    """Call the loss of ``net`` once. Raise an error that gives both losses if it is not what follows from ``mean``.

    ``mean`` is the mean cross entropy of the samples.
    """
    methods = recognition.methods
    loss = number(methods.of(net, "loss")(x, t), methods.loss)
    samples = np.atleast_2d(np.asarray(rows(x)))
    scale, n = recognition.scale, len(samples)
    expected = scale.loss(mean, n)
    off = abs(loss - expected)
    if off <= scale.error(_AGREE * abs(mean), n):
        return
    arrays, samples = arrays_of(net, recognition), np.asarray(samples, np.float64)
    dtype = np.float64 if all(array.dtype == np.float64 for array in arrays) else np.float32
    params = [np.asarray(array, np.float64) for array in arrays]
    if not off <= scale.error(tolerance(params, samples, mean, dtype), n):  # what rounding allows
        raise LossDiffersError(
            f"{type(net).__name__}.{methods.loss}(x, t) is {loss!r} here, and that of the network that was recognized "
            f"is {expected!r}: no gradient is returned, since it would be that of another network ({recognition})"
        )
