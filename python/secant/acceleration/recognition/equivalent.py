"""The `TwoLayerNet` that is equivalent to a network of another class: it uses its arrays, and must have its loss."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array, real_array
from secant.acceleration.recognition.layouts import Layout, require_apart
from secant.acceleration.recognition.methods import method_of
from secant.acceleration.recognition.probes import number, tolerance
from secant.acceleration.recognition.result import Recognition
from secant.backends.base import PARAM_NAMES
from secant.errors import LossDiffersError, UnsupportedError
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
    equivalent_net = TwoLayerNet.__new__(TwoLayerNet)
    equivalent_net.params = {}
    arrays = arrays_of(net, recognition)
    require_apart(recognition.keys, arrays)
    for name, key, array, shape in zip(PARAM_NAMES, recognition.keys, arrays, shapes, strict=True):
        if array.shape not in (shape, (1, *shape)):
            raise UnsupportedError(f"{key} must have shape {shape}, as when it was recognized, got {array.shape}")
        if array.dtype.kind != "f":
            raise UnsupportedError(f"{key} must be float64 or float32, as when it was recognized, got {array.dtype}")
        equivalent_net.params[name] = np.ascontiguousarray(array, np.float64).reshape(shape)
    equivalent_net.hidden_activation = recognition.hidden_activation
    equivalent_net.output_activation = recognition.output_activation
    equivalent_net.log_offset, equivalent_net.soft_targets = recognition.log_offset, recognition.soft_targets
    return equivalent_net


def compared_equivalent(net: Any, recognition: Recognition, x: ArrayLike, t: ArrayLike) -> TwoLayerNet:
    """Return the same, once its loss on a mini-batch is that of ``net``."""
    equivalent_net = equivalent(net, recognition)
    require_equivalent(net, recognition, equivalent_net, x, t)
    return equivalent_net


def require_equivalent(net: Any, recognition: Recognition, other: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
    """Raise an error if the loss of ``net`` on a mini-batch is not that of this network."""
    inputs = rows(x)
    require_same_loss(net, recognition, other.loss(inputs, t), inputs, x, t)


def in_place(arrays: Iterable[Array]) -> bool:
    """Whether a `TwoLayerNet` can read and update arrays where they lie."""
    return all(array.dtype == np.float64 and array.flags.carray for array in arrays)


def rows(x: ArrayLike) -> Array:
    """Return a mini-batch of images (N, ...) as rows (N, I), also for a loss that takes images."""
    array = real_array("x", x)
    return array.reshape(len(array), -1) if array.ndim > 2 else array


def times_of(recognition: Recognition, x: Array) -> int:
    """What the mean over the samples x is multiplied by."""
    return len(x) if recognition.summed and x.ndim == 2 else 1


def require_same_loss(net: Any, recognition: Recognition, mean: float, x: Array, given_x: Any, t: Any) -> None:
    """Call the loss of ``net`` once. Raise an error that gives both losses if it is not what follows from ``mean``.

    ``mean`` is the mean cross entropy of the samples ``x``, which are the rows of ``given_x``.
    """
    name = recognition.names.loss
    loss = number(method_of(net, "loss", name)(given_x, t), name)
    times = times_of(recognition, x)
    off = abs(loss - times * mean)
    if off <= times * _AGREE * abs(mean):
        return
    arrays, samples = arrays_of(net, recognition), np.atleast_2d(np.asarray(x, np.float64))
    dtype = np.float64 if all(array.dtype == np.float64 for array in arrays) else np.float32
    params = [np.asarray(array, np.float64) for array in arrays]
    if not off <= times * tolerance(params, samples, mean, dtype):  # what rounding allows
        raise LossDiffersError(
            f"{type(net).__name__}.{name}(x, t) is {loss!r} here, and that of the network that was recognized is "
            f"{times * mean!r}: no gradient is returned, since it would be that of another network ({recognition})"
        )
