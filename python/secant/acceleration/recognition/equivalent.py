"""The `TwoLayerNet` that is equivalent to a network of another class: it uses its
arrays, and must have its loss.
"""

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


def rows(x: ArrayLike) -> Array:
    """Return a mini-batch of images (N, ...) as rows (N, I), also for a loss that takes
    images.
    """
    array = real_array("x", x)
    return array.reshape(len(array), -1) if array.ndim > 2 else array


class RecognizedNet:
    """A network of another class, and what it was recognized as."""

    def __init__(self, net: Any, recognition: Recognition) -> None:
        self.net, self.recognition = net, recognition

    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """W1, b1, W2 and b2, not copied."""
        return Layout(self.recognition.holder, self.recognition.keys).arrays(self.net)

    def shares_arrays(self) -> bool:
        """Whether a `TwoLayerNet` can read and update the arrays where they lie."""
        return all(
            array.dtype == np.float64 and array.flags.carray for array in self.arrays()
        )

    def times(self, x: Array) -> int:
        """What the mean over the samples x is multiplied by for the loss: their number
        if it is summed, else 1.
        """
        return len(x) if self.recognition.summed and x.ndim == 2 else 1

    def two_layer_net(self) -> TwoLayerNet:
        """Return a `TwoLayerNet` on the arrays, or on float64 copies of those that it
        cannot take.

        Raises
        ------
        UnsupportedError
            If the arrays are not those that were recognized.
        """
        recognition, arrays = self.recognition, self.arrays()
        inputs, hidden, outputs = recognition.sizes
        shapes = ((inputs, hidden), (hidden,), (hidden, outputs), (outputs,))
        two_layer_net = TwoLayerNet.__new__(TwoLayerNet)
        two_layer_net.params = {}
        require_apart(recognition.keys, arrays)
        for name, key, array, shape in zip(
            PARAM_NAMES, recognition.keys, arrays, shapes, strict=True
        ):
            if array.shape not in (shape, (1, *shape)) or array.dtype.kind != "f":
                got = f"{array.dtype} {array.shape}"
                raise UnsupportedError(
                    f"{key} must hold floats {shape}, as when it was recognized, got"
                    f" {got}"
                )
            two_layer_net.params[name] = np.ascontiguousarray(
                array, np.float64
            ).reshape(shape)
        two_layer_net.hidden_activation = recognition.hidden_activation
        two_layer_net.output_activation = recognition.output_activation
        two_layer_net.log_offset, two_layer_net.soft_targets = (
            recognition.log_offset,
            recognition.soft_targets,
        )
        return two_layer_net

    def equivalent(self, x: ArrayLike, t: ArrayLike) -> TwoLayerNet:
        """Return the same, once its loss on a mini-batch is that of the network."""
        two_layer_net = self.two_layer_net()
        self.require_same(two_layer_net, x, t)
        return two_layer_net

    def require_same(self, other: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
        """Raise an error if the loss of the network on a mini-batch is not that of a
        `TwoLayerNet`.
        """
        inputs = rows(x)
        self.require_same_loss(other.loss(inputs, t), inputs, x, t)

    def require_same_loss(self, mean: float, inputs: Array, x: Any, t: Any) -> None:
        """Call the loss of the network once.

        Raise an error that gives both losses if it does not follow from ``mean``.

        ``mean`` is the mean cross entropy of the samples ``inputs``, which are the rows
        of ``x``.
        """
        name, times = self.recognition.names.loss, self.times(inputs)
        loss = number(method_of(self.net, "loss", name)(x, t), name)
        off = abs(loss - times * mean)
        if off <= times * _AGREE * abs(mean):
            return
        arrays, samples = self.arrays(), np.atleast_2d(np.asarray(inputs, np.float64))
        dtype = (
            np.float64
            if all(array.dtype == np.float64 for array in arrays)
            else np.float32
        )
        params = [np.asarray(array, np.float64) for array in arrays]
        # what rounding allows
        if not off <= times * tolerance(params, samples, mean, dtype):
            raise LossDiffersError(
                f"{type(self.net).__name__}.{name}(x, t) is {loss!r} here, and that of"
                f" the network that was recognized is {times * mean!r}: no gradient is"
                " returned, since it would be that of another network"
                f" ({self.recognition}). If you have changed it on purpose, call"
                " accelerate again"
            )
