"""Gradient descent over some mini-batches: in one call of the backend, or in a loop over the network's own methods."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from secant import validation
from secant.errors import ValueRangeError
from secant.network import TwoLayerNet
from secant.validation import Floats

Descent = Callable[[NDArray[Any]], list[float]]
"""From the indices of mini-batches, (K, B), to the K losses, each after its update."""

_ALL_THREADS, _ONE_THREAD = 0, 1
_BUILT_IN: dict[Any, str] = {TwoLayerNet.numerical_gradient: "auto", TwoLayerNet.gradient: "derivative"}


def descent(net: Any, x: NDArray[Any], t: NDArray[Any], take_gradient: partial[Any], learning_rate: float) -> Descent:
    """Return what updates ``net`` by ``params -= learning_rate * take_gradient(x[batch], t[batch])``.

    Parameters
    ----------
    net : TwoLayerNet, or a network of the user's own
    x, t : ndarray
        The training set, of which the indices choose.
    take_gradient : partial
        A method of ``net`` with its options.
    learning_rate : float

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        If ``net`` is a `TwoLayerNet` that cannot take x or t.
    """
    method = _BUILT_IN.get(getattr(take_gradient.func, "__func__", None), "")
    options = take_gradient.keywords
    known = method and isinstance(net, TwoLayerNet) and not net.own_structure()
    if not known or options.get("method") == "series":  # it refuses a mini-batch, and has to see each
        return partial(_by_loop, net, x, t, take_gradient, learning_rate)
    backend = net.backend_in_use()
    _, x, t = net.checked(backend, x, t)
    if method == "auto":
        method = options["method"]
    asked = options["n_threads"]

    def descend(indices: NDArray[Any], n_threads: int) -> list[float]:
        params = net.parameters(backend)
        losses: Floats = backend.train(params, x, t, indices, method, options.get("h", 1.0), learning_rate, n_threads)
        if not math.isfinite(losses[-1]):
            net.parameters(backend)  # says which is not finite, if one is
            raise ValueRangeError(f"learning_rate must be small enough for a finite loss, got {learning_rate!r}")
        return list(map(float, losses))

    return _FasterThreads(descend) if asked is None else partial(descend, n_threads=validation.thread_count(asked))


class _FasterThreads:
    """Runs on one thread or on all, whichever was faster of late: what is computed does not depend on it.

    An iteration is over in less time than a busy machine takes to run a thread that waits. So threads that should
    share the work may wait for each other instead, and be many times slower than one.
    """

    _CALLS_A_TRIAL = 10

    def __init__(self, descend: Callable[[NDArray[Any], int], list[float]]) -> None:
        self._descend = descend
        self._seconds = {_ALL_THREADS: 0.0, _ONE_THREAD: 0.0}  # that an iteration took, at last
        self._calls = 0

    def __call__(self, indices: NDArray[Any]) -> list[float]:
        faster, slower = sorted(self._seconds, key=self._seconds.__getitem__)
        tried: list[float] = []
        if self._calls % self._CALLS_A_TRIAL == 0 and len(indices) > 1:
            some = -(-len(indices) // 16)
            tried = self._timed(indices[:some], slower)
            indices = indices[some:]
        self._calls += 1
        return tried + self._timed(indices, faster)

    def _timed(self, indices: NDArray[Any], n_threads: int) -> list[float]:
        start = time.perf_counter()
        losses = self._descend(indices, n_threads)
        self._seconds[n_threads] = (time.perf_counter() - start) / len(indices)
        return losses


def _by_loop(
    net: Any,
    x: NDArray[Any],
    t: NDArray[Any],
    take_gradient: Callable[..., Any],
    learning_rate: float,
    indices: NDArray[Any],
) -> list[float]:
    losses = []
    for batch in indices:
        grads = take_gradient(x[batch], t[batch])
        for key in grads:
            net.params[key] -= learning_rate * grads[key]
        losses.append(float(net.loss(x[batch], t[batch])))
    return losses
