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
import typing as _typing
from types import ModuleType as _Module

from secant.backends import set_backend as set_backend
from secant.backends import use_backend as use_backend
from secant.backends.base import GradientInfo as GradientInfo
from secant.backends.configuration import get_backend as get_backend
from secant.backends.configuration import show_config as show_config
from secant.datasets.idx import load_idx as load_idx
from secant.datasets.mnist import load_mnist as load_mnist
from secant.differentiation.descent import gradient_descent as gradient_descent
from secant.differentiation.gradient import numerical_diff as numerical_diff
from secant.differentiation.gradient import numerical_gradient as numerical_gradient
from secant.errors import DataError as DataError
from secant.errors import DivergenceError as DivergenceError
from secant.errors import DownloadError as DownloadError
from secant.errors import DTypeError as DTypeError
from secant.errors import GradientMismatchError as GradientMismatchError
from secant.errors import MissingExtraError as MissingExtraError
from secant.errors import ParamsError as ParamsError
from secant.errors import SecantError as SecantError
from secant.errors import ShapeError as ShapeError
from secant.errors import UnsupportedError as UnsupportedError
from secant.errors import ValueRangeError as ValueRangeError
from secant.functions import cross_entropy_error as cross_entropy_error
from secant.functions import mean_squared_error as mean_squared_error
from secant.functions import sigmoid as sigmoid
from secant.functions import softmax as softmax
from secant.functions import step_function as step_function
from secant.functions import to_labels as to_labels
from secant.functions import to_one_hot as to_one_hot
from secant.networks.simple import SimpleNet as SimpleNet
from secant.networks.two_layer import TwoLayerNet as TwoLayerNet

_LATER = {  # imported when they are used: then `import secant` takes hardly longer than `import numpy`
    "Derivative": "differentiation.result",
    "GradientReport": "checking.report",
    "History": "training.history",
    "Recognition": "acceleration.recognition.result",
    "accelerate": "acceleration.accelerate",
    "book": "",
    "check_gradient": "checking.gradient",
    "check_jvp": "checking.vector",
    "check_network": "acceleration.check_network",
    "check_vjp": "checking.vector",
    "epoch_batches": "training.sampling",
    "numerical_hessian": "differentiation.hessian",
    "numerical_jacobian": "differentiation.jacobian",
    "plots": "",
    "recognize": "acceleration.recognition.recognize",
    "sample_with_replacement": "training.sampling",
    "testing": "",
    "train": "training.loop",
}

_WITH_OTHERS = ("jax", "sklearn", "torch")  # need other packages, so that ``import *`` leaves them out

if _typing.TYPE_CHECKING:
    from secant import book as book
    from secant import plots as plots
    from secant import testing as testing
    from secant.acceleration.accelerate import accelerate as accelerate
    from secant.acceleration.check_network import check_network as check_network
    from secant.acceleration.recognition.recognize import recognize as recognize
    from secant.acceleration.recognition.result import Recognition as Recognition
    from secant.checking.gradient import check_gradient as check_gradient
    from secant.checking.report import GradientReport as GradientReport
    from secant.checking.vector import check_jvp as check_jvp
    from secant.checking.vector import check_vjp as check_vjp
    from secant.differentiation.hessian import numerical_hessian as numerical_hessian
    from secant.differentiation.jacobian import numerical_jacobian as numerical_jacobian
    from secant.differentiation.result import Derivative as Derivative
    from secant.training.history import History as History
    from secant.training.loop import train as train
    from secant.training.sampling import epoch_batches as epoch_batches
    from secant.training.sampling import sample_with_replacement as sample_with_replacement
else:  # a type checker goes by the imports
    __all__ = [name for name, value in globals().items() if not (name.startswith("_") or isinstance(value, _Module))]
    __all__ += _LATER


def __getattr__(name: str) -> _typing.Any:
    from importlib import import_module

    if name in _WITH_OTHERS:
        try:
            return import_module(f"secant.{name}")
        except ImportError as error:
            raise AttributeError(str(error)) from error
    if name in _LATER:
        module = import_module(f"secant.{_LATER[name] or name}")
        globals()[name] = value = getattr(module, name) if _LATER[name] else module
        return value
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # takes half as long to import as NumPy

    return version("secant")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
