"""The backend for where no compiler and no wheel is at hand: the steps of the NumPy backend, as loops for Numba."""

from functools import partial

from secant._common.validation import all_finite
from secant.backends.activations import sigmoid
from secant.backends.numba.gradients import differences, gradient, outputs, predict
from secant.backends.numpy.forward import cross_entropy, prepare, softmax
from secant.backends.numpy.training import iterate

name = "numba"
train = partial(iterate, differences, outputs)
