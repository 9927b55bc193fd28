"""The gradients: the literal central difference of every parameter, and backpropagation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant.backends.base import GradientInfo, Gradients, Method, Parameters
from secant.backends.numpy.central_difference import central_difference
from secant.backends.numpy.forward import activations, cross_entropy, predict, softmax
from secant.errors import UnsupportedError
from secant.validation import Floats


def numerical_gradient(
    net: Parameters, x: NDArray[Any], t: NDArray[Any], h: float, method: Method, n_threads: int = 0
) -> tuple[Gradients, GradientInfo]:
    if method == "series":
        raise UnsupportedError("method 'series' is not offered by the backend 'numpy': use 'auto' or 'direct'")
    own = Parameters(net.W1.copy(), net.b1.copy(), net.W2.copy(), net.b2.copy(), net.output_activation)
    x = x.astype(np.float64)

    def loss(_: Floats) -> float:
        return cross_entropy(predict(own, x), t)

    grads = Gradients(*(central_difference(loss, param, h) for param in (own.W1, own.b1, own.W2, own.b2)))
    return grads, GradientInfo({0: len(x)}, 0.0)


def gradient(net: Parameters, x: NDArray[Any], t: NDArray[Any], n_threads: int = 0) -> Gradients:
    x = x.astype(np.float64)
    z1, z2 = activations(net, x)
    y = softmax(z2)
    t = np.eye(y.shape[1])[t] if t.ndim == 1 else t

    d_y = t * y / (y + 1e-7)  # -y times the derivative of the loss by y
    d_a2 = (y * d_y.sum(axis=1, keepdims=True) - d_y) / len(x)
    if net.output_activation == "sigmoid":
        d_a2 *= z2 * (1 - z2)
    d_a1 = d_a2 @ net.W2.T * z1 * (1 - z1)
    return Gradients(x.T @ d_a1, d_a1.sum(axis=0), z1.T @ d_a2, d_a2.sum(axis=0))
