"""Gradient descent, one mini-batch after the other, by gradients that are Python functions."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from secant._common.interrupts import held_interrupts
from secant._common.validation import Array, Floats
from secant.backends.base import GradientInfo, Gradients, Parameters
from secant.backends.numpy.forward import cross_entropy, predict
from secant.backends.numpy.gradients import gradient, numerical_gradient


def iterate(
    gradient: Callable[..., Gradients],
    numerical_gradient: Callable[..., tuple[Gradients, GradientInfo]],
    predict: Callable[..., Floats],
    net: Parameters,
    x: Array,
    t: Array,
    indices: NDArray[np.int64],
    method: Literal["derivative", "auto", "direct"],
    h: float,
    learning_rate: float,
    n_threads: int,
    losses: list[float],
) -> None:
    """`Backend.train`, by three other functions of the backend."""
    for batch in indices:
        own_x, own_t = x[batch], t[batch]
        if method == "derivative":
            grads = gradient(net, own_x, own_t, n_threads)
        else:
            grads, _ = numerical_gradient(net, own_x, own_t, h, method, n_threads)
        with held_interrupts(), np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what overflowed
            for param, grad in zip(net[:4], grads, strict=True):
                grad *= learning_rate
                param -= grad
            losses.append(cross_entropy(predict(net, own_x, n_threads), own_t, net.log_offset))
        if not math.isfinite(losses[-1]):
            break


train = partial(iterate, gradient, numerical_gradient, predict)
