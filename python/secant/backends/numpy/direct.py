"""The central difference, literally: the chapter's loop."""

from collections.abc import Callable

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends.base import Parameters
from secant.backends.numpy.forward import logits, loss_of, loss_of_logits, mean_loss, softmax
from secant.backends.plan import Sums


def by_loop(net: Parameters, x: Array, t: Array, h: float) -> Sums:
    """Two losses of all samples for each parameter."""
    w1, b1, w2, b2 = (param.copy() for param in net[:4])
    shifted = net._replace(W1=w1, b1=b1, W2=w2, b2=b2)
    x = x.astype(np.float64)

    def loss(_: Floats) -> float:
        z2 = logits(shifted, x)
        # Without an offset y may underflow, and lose digits before that.
        return mean_loss(softmax(z2), t, net.log_offset) if net.log_offset else loss_of_logits(z2, t)

    grads = [central_difference(loss, param, h) for param in (w1, b1, w2, b2)]
    return Sums(grads[0], grads[1], grads[2], grads[3], loss_of(net, x, t))


def central_difference(f: Callable[[Floats], float], x: Floats, h: float) -> Floats:
    """(f(x + h) - f(x - h)) / 2h, one coordinate of x after the other: the reference for all of Secant.

    x itself is shifted, since f may read it without using its argument. It is restored exactly, even if f raises.
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
