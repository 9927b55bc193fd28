"""Gradient descent, one mini-batch after the other."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secant._common.interrupts import held_interrupts
from secant.backends.base import Parameters
from secant.backends.numpy.forward import cross_entropy, predict
from secant.backends.numpy.gradients import gradient, numerical_gradient


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
        if method == "derivative":
            grads = gradient(net, x[batch], t[batch])
        else:
            grads, _ = numerical_gradient(net, x[batch], t[batch], h, method)
        with held_interrupts(), np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what overflowed
            for param, grad in zip((net.W1, net.b1, net.W2, net.b2), grads, strict=True):
                param -= learning_rate * grad
            losses.append(cross_entropy(predict(net, x[batch]), t[batch]))
        if not math.isfinite(losses[-1]):
            break
