"""The names of "Deep Learning from Scratch", chapters 3 to 5, with the book's meaning: ``from secant.book import *``.

Some of Secant's own functions bear the same names and differ, as the course notes differ from the book: see
`secant.TwoLayerNet`, `secant.gradient_descent`, `secant.cross_entropy_error` and `secant.numerical_gradient_2d`.

Design: a module for each of the book's, so that `secant run` can put it in its place. Where the book's code would
return a wrong number, as for labels of shape (N, 1) or integers that are to be shifted by h, an error says so.

>>> from secant.book import *
>>> x, history = gradient_descent(lambda x: np.sum(x**2), np.array([-3.0, 4.0]), lr=0.1)
>>> history.shape
(100, 2)
"""

import numpy as np

from secant.book.functions import (
    cross_entropy_error,
    identity_function,
    mean_squared_error,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_loss,
    step_function,
    sum_squared_error,
)
from secant.book.gradient import (
    _numerical_gradient_1d,
    gradient_descent,
    numerical_diff,
    numerical_gradient,
    numerical_gradient_2d,
)
from secant.book.mnist import load_mnist
from secant.book.two_layer_net import TwoLayerNet

__all__ = [
    "TwoLayerNet",
    "_numerical_gradient_1d",
    "cross_entropy_error",
    "gradient_descent",
    "identity_function",
    "load_mnist",
    "mean_squared_error",
    "np",
    "numerical_diff",
    "numerical_gradient",
    "numerical_gradient_2d",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]
