"""The NumPy backend, with loops that Numba compiles.

It is for installations without the compiled core.
"""

from functools import partial

from secant._common.validation import all_finite
from secant.backends.activations import sigmoid
from secant.backends.numba.gradients import differences, gradient
from secant.backends.numpy.forward import cross_entropy, predict, prepare, softmax
from secant.backends.numpy.training import iterate

name = "numba"
train = partial(iterate, differences)
