"""The central difference, literally: the chapter's loop."""

from collections.abc import Callable

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends.base import PARAM_NAMES, Parameters
from secant.backends.numpy.forward import (
    log_softmax,
    logits,
    mean_loss,
    outputs,
    softmax,
)
from secant.backends.plan import Sums, one_hot


def by_loop(net: Parameters, x: Array, t: Array, h: float, count: int) -> Sums:
    """Two losses of all samples for each parameter; the sum over samples, divided by
    ``count``.
    """
    shifted = net._replace(**{name: getattr(net, name).copy() for name in PARAM_NAMES})
    weights = one_hot(t, len(net.b2))

    def loss(_: Floats) -> float:
        z2 = logits(shifted, x)
        if net.log_offset:
            return mean_loss(softmax(z2), t, net.log_offset)
        # y may underflow, and lose digits before that
        return float(-np.sum(weights * log_softmax(z2)) / len(x))

    w1, b1, w2, b2 = (
        len(x) / count * central_difference(loss, param, h) for param in shifted[:4]
    )
    return Sums(
        w1, b1, w2, b2, len(x) / count * mean_loss(outputs(net, x), t, net.log_offset)
    )


def central_difference(f: Callable[[Floats], float], x: Floats, h: float) -> Floats:
    """(f(x + h) - f(x - h)) / 2h, one coordinate of x after the other: the reference
    for all of Secant.

    x itself is shifted, since f may read it without using its argument. It is restored
    exactly, even if f raises.
    """
    gradient = np.zeros(x.shape)
    original = x.copy()
    try:
        for index in np.ndindex(x.shape):
            value = original[index]
            x[index] = value + h
            above = f(x)
            x[index] = value - h
            below = f(x)
            x[index] = value
            gradient[index] = (above - below) / (2 * h)
    finally:
        x[...] = original
    return gradient
