"""Gradient descent, one mini-batch after the other."""

from functools import partial

from secant.backends.numba.forward import outputs
from secant.backends.numba.gradients import differences
from secant.backends.numpy.training import iterate

train = partial(iterate, differences, outputs)
