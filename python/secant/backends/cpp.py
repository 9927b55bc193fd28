"""The compiled backend: secant._core, with the thread count and the output activation in the core's own terms."""

import os
from typing import Any

from numpy.typing import NDArray

from secant import _core
from secant.backends.base import Gradients, Parameters
from secant.validation import Floats

name = "cpp"
sigmoid = _core.sigmoid
softmax = _core.softmax
cross_entropy = _core.cross_entropy

# A child forked after a parallel region would wait for threads that it does not have.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_core.end_threads)


def all_finite(array: NDArray[Any]) -> bool:
    return _core.all_finite(array if array.ndim == 2 else array.reshape(1, -1), 0)


def predict(net: Parameters, x: NDArray[Any], n_threads: int) -> Floats:
    return _core.predict(*_core_arguments(net), x, n_threads)


def gradient(net: Parameters, x: NDArray[Any], t: NDArray[Any], n_threads: int) -> Gradients:
    return Gradients(*_core.gradient(*_core_arguments(net), x, t, n_threads))


def direct(net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, n_threads: int) -> Gradients:
    return Gradients(*_core.direct(*_core_arguments(net), x, t, h, n_threads))


def _core_arguments(net: Parameters) -> tuple[Floats, Floats, Floats, Floats, bool]:
    return net.W1, net.b1, net.W2, net.b2, net.output_activation == "sigmoid"
