"""The reference backend: plain NumPy, whose results the compiled core reproduces."""

from secant._common.validation import all_finite
from secant.backends.activations import sigmoid
from secant.backends.numpy.forward import cross_entropy, predict, prepare, softmax
from secant.backends.numpy.gradients import gradient
from secant.backends.numpy.training import train

name = "numpy"
