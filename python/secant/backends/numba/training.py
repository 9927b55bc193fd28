"""Gradient descent, one mini-batch after the other."""

from functools import partial

from secant.backends.numba.forward import predict
from secant.backends.numba.gradients import gradient, numerical_gradient
from secant.backends.numpy.training import iterate

train = partial(iterate, gradient, numerical_gradient, predict)
