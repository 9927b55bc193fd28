"""The central difference of every parameter, by the changes of every shift."""

import numpy as np

from secant._common.validation import Array
from secant.backends.base import Parameters
from secant.backends.numpy.changes import add_hidden, add_output
from secant.backends.numpy.forward import forward_pass, largest_row, mean_loss
from secant.backends.plan import Sums, add_gradients, blocks, one_hot


def directly(net: Parameters, x: Array, t: Array, h: float, count: int) -> Sums:
    """The sum over samples, divided by ``count``, of what every shift changes."""
    rows = blocks(len(x), largest_row(net))
    return add_gradients(_of_block(net, x[block], t[block], h, count) for block in rows)


def _of_block(net: Parameters, x: Array, t: Array, h: float, count: int) -> Sums:
    hidden_units, classes = net.W2.shape
    weights = one_hot(t, classes) / count
    layers = forward_pass(net, x, h)
    loss = len(x) / count * mean_loss(layers.y, t, net.log_offset)
    w1, b1, w2, b2 = (np.zeros(param.shape) for param in net[:4])
    sums = Sums(w1, b1, w2, b2, loss)
    for n, of_sample in enumerate(weights):
        for j in range(hidden_units):
            add_hidden(net, layers, of_sample, h, n, j, sums)
        for k in range(classes):
            add_output(net, layers, of_sample, h, n, k, sums)
    return sums
