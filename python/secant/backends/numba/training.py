"""Gradient descent, one mini-batch after the other."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secant.backends.base import Parameters
from secant.backends.numba.forward import predict
from secant.backends.numba.gradients import gradient, numerical_gradient
from secant.backends.numpy.forward import cross_entropy
from secant.interrupts import held_interrupts


def train(
    net: Parameters,
    x: NDArray[Any],
    t: NDArray[Any],
    indices: NDArray[np.int64],
    method: Literal["derivative", "auto", "direct"],
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
) -> None:
    for batch in indices:
        own_x, own_t = x[batch], t[batch]
        if method == "derivative":
            grads = gradient(net, own_x, own_t, n_threads)
        else:
            grads, _ = numerical_gradient(net, own_x, own_t, h, method, n_threads)
        with held_interrupts():
            for param, grad in zip(net[:4], grads, strict=True):
                grad *= learning_rate
                param -= grad
            losses.append(cross_entropy(predict(net, own_x, n_threads), own_t))
        if not math.isfinite(losses[-1]):
            break
