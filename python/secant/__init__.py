"""Secant computes numerical gradients: central differences, exact to the last digits,
in a compiled core.

>>> import secant
>>> (x_train, t_train), _ = secant.load_mnist(subset=True)
>>> net = secant.TwoLayerNet(784, 50, 10)
>>> grads = net.numerical_gradient(x_train[:100], t_train[:100])
>>> grads["W1"].shape
(784, 50)
"""

from secant import _startup  # noqa: F401 - before all that takes time

# isort: split
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from secant import errors
from secant.backends import use_backend
from secant.backends.base import GradientInfo
from secant.backends.configuration import get_backend, show_config
from secant.datasets.idx import load_idx
from secant.datasets.mnist import load_mnist
from secant.differentiation.descent import gradient_descent
from secant.differentiation.gradient import numerical_diff, numerical_gradient
from secant.errors import SecantError
from secant.functions import (
    cross_entropy_error,
    mean_squared_error,
    sigmoid,
    softmax,
    step_function,
    to_one_hot,
)
from secant.networks.simple import SimpleNet
from secant.networks.two_layer import TwoLayerNet

if _TYPE_CHECKING:
    from secant import book, plots, training
    from secant import testing as testing
    from secant.acceleration.accelerate import accelerate
    from secant.acceleration.check_network import check_network
    from secant.acceleration.recognition.recognize import recognize
    from secant.checking.gradient import check_gradient
    from secant.checking.report import GradientReport
    from secant.checking.vector import check_derivative, check_jvp, check_vjp
    from secant.differentiation.hessian import numerical_hessian
    from secant.differentiation.jacobian import numerical_jacobian
    from secant.differentiation.result import Derivative
    from secant.training.history import History
    from secant.training.loop import train

__all__ = (
    "Derivative",
    "GradientInfo",
    "GradientReport",
    "History",
    "SecantError",
    "SimpleNet",
    "TwoLayerNet",
    "accelerate",
    "book",
    "check_derivative",
    "check_gradient",
    "check_jvp",
    "check_network",
    "check_vjp",
    "cross_entropy_error",
    "errors",
    "get_backend",
    "gradient_descent",
    "load_idx",
    "load_mnist",
    "mean_squared_error",
    "numerical_diff",
    "numerical_gradient",
    "numerical_hessian",
    "numerical_jacobian",
    "plots",
    "recognize",
    "show_config",
    "sigmoid",
    "softmax",
    "step_function",
    "to_one_hot",
    "train",
    "training",
    "use_backend",
)

# imported when they are used: then `import secant` takes hardly longer than `import
# numpy`
_LATER = {
    "Derivative": "differentiation.result",
    "GradientReport": "checking.report",
    "History": "training.history",
    "accelerate": "acceleration.accelerate",
    "book": "",
    "check_gradient": "checking.gradient",
    "check_derivative": "checking.vector",
    "check_jvp": "checking.vector",
    "check_network": "acceleration.check_network",
    "check_vjp": "checking.vector",
    "jax": "",
    "numerical_hessian": "differentiation.hessian",
    "numerical_jacobian": "differentiation.jacobian",
    "plots": "",
    "recognize": "acceleration.recognition.recognize",
    "sklearn": "",
    "testing": "",
    "torch": "",
    "train": "training.loop",
    "training": "",
}


def __getattr__(name: str) -> _Any:
    if name == "__version__":
        from importlib.metadata import version  # takes half as long to import as NumPy

        return version("secant")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        module = import_module(f"secant.{_LATER[name] or name}")
    except ImportError as error:
        raise AttributeError(str(error)) from error
    globals()[name] = value = getattr(module, name) if _LATER[name] else module
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
