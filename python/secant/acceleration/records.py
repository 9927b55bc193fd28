"""What was recognized of a network. Its loss is compared with Secant's before a gradient is returned.

Design: compare, do not watch. Nothing of the network is kept, so nothing can go stale or be kept alive. If a loss
differs, the network is recognized again, once. If it still differs, that is an error.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array
from secant.acceleration.recognition.candidates import MEAN
from secant.acceleration.recognition.equivalent import arrays_of, equivalent, factor, in_place, require_same_loss, rows
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.errors import LossDiffersError, UnsupportedError
from secant.networks.two_layer import TwoLayerNet

Result = TypeVar("Result")


class Record:
    """What was recognized of an instance.

    Parameters
    ----------
    recognition : Recognition
    reader_gradient : object
        The numerical gradient of its class, as for `recognized`.
    n_threads : int, optional
        The number of threads of gradients, unless a call names another one.
    """

    def __init__(self, recognition: Recognition, reader_gradient: Any, n_threads: int | None = None) -> None:
        self.recognition, self.n_threads = recognition, n_threads
        self._reader_gradient = reader_gradient

    def gradient(self, net: Any, x: ArrayLike, t: ArrayLike, n_threads: int | None = None) -> dict[Any, Array]:
        """Return the numerical gradient, with the keys, shapes and dtypes of the reader's own.

        Raises
        ------
        LossDiffersError
            If the loss of ``net`` on this mini-batch is not that of the network whose gradient it would be.
        """
        threads = self.n_threads if n_threads is None else n_threads
        return self._or_anew(net, x, partial(_gradient, net, x, t, threads))

    def equivalent(self, net: Any, x: ArrayLike, t: ArrayLike) -> TwoLayerNet:
        """Return the equivalent `TwoLayerNet`, once its loss on a mini-batch is that of ``net``.

        Its parameters are those of ``net`` where these are `in_place`, else copies.
        """
        return self._or_anew(net, x, partial(_same_loss, net, x, t))

    def require_same(self, net: Any, known: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
        """Raise an error if ``net`` has other arrays or another loss than ``known``, which `equivalent` returned."""
        if not all(map(np.may_share_memory, known.params.values(), arrays_of(net, self.recognition))):
            raise UnsupportedError("the arrays of net must stay those that it had when training began")
        require_same_loss(net, self.recognition, known.loss(rows(x), t), x, t)

    def in_place(self, net: Any) -> bool:
        """Whether the equivalent `TwoLayerNet` can be trained: with the arrays and the loss of ``net``."""
        return self.recognition.scale == MEAN and in_place(arrays_of(net, self.recognition))

    def _or_anew(self, net: Any, x: ArrayLike, compute: Callable[[Recognition], Result]) -> Result:
        """Compute something from the recognition. If ``net`` has changed, recognize it again, once."""
        try:
            return compute(self.recognition)
        except UnsupportedError as error:
            recognition = recognized(net, self._reader_gradient, x, methods=self.recognition.methods)
            if not recognition.known:
                raise LossDiffersError(f"{type(net).__name__} has changed: {error}. {recognition}") from None
        self.recognition = recognition
        return compute(recognition)


def _gradient(
    net: Any, x: ArrayLike, t: ArrayLike, n_threads: int | None, recognition: Recognition
) -> dict[Any, Array]:
    known = equivalent(net, recognition)
    grads, info = known.numerical_gradient(rows(x), t, h=recognition.h, n_threads=n_threads, return_info=True)
    require_same_loss(net, recognition, info.loss, x, t)
    times, like = factor(recognition, x), arrays_of(net, recognition)
    grads = grads if times == 1 else {key: times * grad for key, grad in grads.items()}
    named = dict(zip(recognition.gradient_keys, map(_like, grads.values(), like), strict=True))
    return {key: named[key] for key in recognition.order}


def _same_loss(net: Any, x: ArrayLike, t: ArrayLike, recognition: Recognition) -> TwoLayerNet:
    known = equivalent(net, recognition)
    require_same_loss(net, recognition, known.loss(rows(x), t), x, t)
    return known


def _like(grad: Array, array: Array) -> Array:
    """Return a gradient in the shape and type of its parameter."""
    if grad.shape == array.shape and grad.dtype == array.dtype:
        return grad
    return grad.reshape(array.shape).astype(array.dtype)
