"""Secant computes numerical gradients: central differences, exact to the last digits, in a compiled core.

>>> import secant
>>> (x_train, t_train), _ = secant.load_mnist(subset=True)
>>> net = secant.TwoLayerNet(784, 50, 10)
>>> grads = net.numerical_gradient(x_train[:100], t_train[:100])
>>> grads["W1"].shape
(784, 50)
"""

from secant import _startup  # noqa: F401 - before all that takes time

# isort: split
from secant.backends import set_backend, use_backend
from secant.backends.base import GradientInfo
from secant.backends.configuration import get_backend, show_config
from secant.datasets.idx import load_idx
from secant.datasets.mnist import load_mnist
from secant.differentiation.descent import gradient_descent
from secant.differentiation.gradient import (
    numerical_diff,
    numerical_gradient,
    numerical_gradient_1d,
    numerical_gradient_2d,
)
from secant.errors import (
    DataError,
    DownloadError,
    DTypeError,
    MissingExtraError,
    ParamsError,
    SecantError,
    ShapeError,
    UnsupportedError,
    ValueRangeError,
)
from secant.functions import (
    cross_entropy_error,
    cross_entropy_error_onehot,
    mean_squared_error,
    sigmoid,
    softmax,
    step_function,
    to_labels,
    to_one_hot,
)
from secant.networks.simple import SimpleNet
from secant.networks.two_layer import TwoLayerNet
from secant.training.history import History
from secant.training.loop import train
from secant.training.sampling import epoch_batches, sample_with_replacement

__all__ = [
    "DTypeError",
    "DataError",
    "DownloadError",
    "GradientInfo",
    "History",
    "MissingExtraError",
    "ParamsError",
    "SecantError",
    "ShapeError",
    "SimpleNet",
    "TwoLayerNet",
    "UnsupportedError",
    "ValueRangeError",
    "cross_entropy_error",
    "cross_entropy_error_onehot",
    "epoch_batches",
    "get_backend",
    "gradient_descent",
    "load_idx",
    "load_mnist",
    "mean_squared_error",
    "numerical_diff",
    "numerical_gradient",
    "numerical_gradient_1d",
    "numerical_gradient_2d",
    "sample_with_replacement",
    "set_backend",
    "show_config",
    "sigmoid",
    "softmax",
    "step_function",
    "to_labels",
    "to_one_hot",
    "train",
    "use_backend",
]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # takes half as long to import as NumPy

    return version("secant")
