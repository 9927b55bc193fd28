"""The central difference, literally: the loss is evaluated twice for each parameter."""

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends.base import Gradients, Parameters
from secant.backends.numpy.forward import cross_entropy, logits, loss_of_logits, predict
from secant.differentiation.gradient import numerical_gradient


def by_loop(h: float, net: Parameters, x: Array, t: Array) -> Gradients:
    """Two losses of all samples for each parameter."""
    w1, b1, w2, b2 = (param.copy() for param in net[:4])
    shifted = net._replace(W1=w1, b1=b1, W2=w2, b2=b2)
    x = x.astype(np.float64)

    def loss(_: Floats) -> float:
        value = cross_entropy(predict(shifted, x), t, net.log_offset)
        return value if net.log_offset or np.isfinite(value) else loss_of_logits(logits(shifted, x), t)

    return Gradients(*(numerical_gradient(loss, param, h) for param in shifted[:4]))
