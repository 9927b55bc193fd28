"""Gradient descent, one mini-batch after the other."""

from functools import partial

from secant.backends.iterations import iterate
from secant.backends.numpy.forward import predict
from secant.backends.numpy.gradients import gradient, numerical_gradient

train = partial(iterate, gradient, numerical_gradient, predict)
