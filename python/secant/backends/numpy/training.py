"""Gradient descent, one mini-batch after the other, by gradients that are Python functions."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from secant._common.interrupts import held_interrupts
from secant._common.validation import Array, Floats
from secant.backends.base import Gradients, NumericalGradient, Parameters
from secant.backends.numpy.forward import cross_entropy, predict
from secant.backends.numpy.gradients import gradient, numerical_gradient


def iterate(
    gradient: Callable[..., Gradients],
    numerical_gradient: Callable[..., NumericalGradient],
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
    before: bool = False,
) -> None:
    """`Backend.train`, by three other functions of the backend."""

    def loss(x: Array, t: Array) -> float:
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what overflowed
            return cross_entropy(predict(net, x, n_threads), t, net.log_offset)

    for batch in indices:
        own_x, own_t = x[batch], t[batch]
        first = loss(own_x, own_t) if before else math.nan
        if method == "derivative":
            grads = gradient(net, own_x, own_t, n_threads)
        else:
            grads, *_ = numerical_gradient(net, own_x, own_t, h, method, n_threads)
        with held_interrupts(), np.errstate(over="ignore", invalid="ignore"):
            for param, grad in zip(net[:4], grads, strict=True):
                grad *= learning_rate
                param -= grad
            losses.append(first if before else loss(own_x, own_t))
        if not math.isfinite(losses[-1]):
            break


train = partial(iterate, gradient, numerical_gradient, predict)
