"""The backend for where no compiler and no wheel is at hand: the steps of the NumPy backend, as loops for Numba."""

from secant._common.validation import all_finite
from secant.backends.activations import sigmoid
from secant.backends.numba.compilation import compilation_noticed
from secant.backends.numba.forward import predict
from secant.backends.numba.gradients import gradient
from secant.backends.numba.training import train
from secant.backends.numpy.forward import cross_entropy, prepare, softmax

name = "numba"
