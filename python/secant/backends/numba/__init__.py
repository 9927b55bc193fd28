"""The backend for where no compiler and no wheel is at hand: the engines of the C++ core, compiled by Numba."""

from secant.backends.numba.compilation import compilation_noticed
from secant.backends.numba.forward import all_finite, cross_entropy, predict, sigmoid, softmax
from secant.backends.numba.gradients import gradient, numerical_gradient
from secant.backends.numba.training import train
from secant.backends.numpy.forward import prepare

name = "numba"
finds_non_finite = True

__all__ = [
    "all_finite",
    "compilation_noticed",
    "cross_entropy",
    "finds_non_finite",
    "gradient",
    "name",
    "numerical_gradient",
    "predict",
    "prepare",
    "sigmoid",
    "softmax",
    "train",
]
