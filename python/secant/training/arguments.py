"""Checks of the arguments of `train`, before training starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array, real_array
from secant.acceleration.accelerate import Accelerated, accelerated_of
from secant.backends.base import USUAL_STEP
from secant.backends.inputs import NormalizedPixels, Rows
from secant.errors import DTypeError, ShapeError, UnsupportedError, ValueRangeError
from secant.training.history import History

GradientKind = Literal["numerical", "backprop"]
LossTime = Literal["after", "before"]

_GRADIENT_METHODS = {"numerical": "numerical_gradient", "backprop": "gradient"}
_DEFAULTS = {"h": USUAL_STEP, "method": "auto", "n_threads": None}


class Network(Protocol):
    """What `train` needs of a network.

    It also needs ``numerical_gradient(x, t)`` or ``gradient(x, t)``, which return a
    dict.
    """

    @property
    def params(self) -> MutableMapping[str, Any]:
        """Arrays, updated in place."""

    def loss(self, x: Any, t: Any, /) -> Any:
        """Return the loss of a mini-batch."""

    def accuracy(self, x: Any, t: Any, /) -> Any:
        """Return the share of right answers, from 0 to 1."""


class Data(NamedTuple):
    """The data of a run: samples (N, ...) and targets (N,) or (N, O).

    The test set may be missing.
    """

    x_train: Array | Rows
    t_train: Array
    x_test: Array | Rows | None
    t_test: Array | None


def gradient_of(
    net: Network, kind: str, options: dict[str, Any]
) -> tuple[partial[Any], Accelerated | None]:
    """Return the method that computes the gradient, with its options.

    The accelerated network, if it is one, is returned as well.

    The chapter's own network takes none. An option that it does not take is an error
    only if the user gave it.
    """
    name = _GRADIENT_METHODS[kind]
    accelerated = accelerated_of(net) if kind == "numerical" else None
    for needed in () if accelerated else ("params", "loss", "accuracy", name):
        if not hasattr(net, needed):
            raise UnsupportedError(
                f"net must have {needed} to be trained with gradient={kind!r}, got"
                f" {net!r}"
            )
    method = accelerated.gradient if accelerated else getattr(net, name)
    if kind == "backprop":
        for option in ("method", "h"):
            if options[option] != _DEFAULTS[option]:
                raise UnsupportedError(
                    f"gradient={kind!r} does not take {option}, got"
                    f" {option}={options[option]!r}"
                )
        options = {"n_threads": options["n_threads"]}
    taken = {
        option: value for option, value in options.items() if _takes(method, option)
    }
    for option, value in options.items():
        if option not in taken and value != _DEFAULTS[option]:
            raise UnsupportedError(
                f"net.{name} does not take {option}, got {option}={value!r}"
            )
    return partial(method, **taken), accelerated


def _takes(method: Callable[..., Any], option: str) -> bool:
    try:
        parameters = inspect.signature(method).parameters
    except ValueError:  # compiled, and without a signature
        return False
    return option in parameters or any(
        p.kind is p.VAR_KEYWORD for p in parameters.values()
    )


def checked_data(
    x_train: ArrayLike,
    t_train: ArrayLike,
    x_test: ArrayLike | None,
    t_test: ArrayLike | None,
    normalize: bool,
) -> Data:
    """Return the arrays, if none is empty and their lengths agree."""
    train = _checked_set("train", x_train, t_train, normalize)
    if x_test is None and t_test is None:
        return Data(*train, None, None)
    for name, other, array in (
        ("x_test", "t_test", x_test),
        ("t_test", "x_test", t_test),
    ):
        if array is None:
            raise DTypeError(f"{name} must be given together with {other}, got None")
    test = _checked_set("test", x_test, t_test, normalize)
    if train[0].shape[1:] != test[0].shape[1:]:
        expected, got = train[0].shape[1:], test[0].shape[1:]
        raise ShapeError(
            f"x_test must have samples of shape {expected} like x_train, got {got}"
        )
    return Data(*train, *test)


def _checked_set(
    part: str, x: Any, t: Any, normalize: bool
) -> tuple[Array | NormalizedPixels, Array]:
    x, t = real_array(f"x_{part}", x), real_array(f"t_{part}", t)
    for name, array in ((f"x_{part}", x), (f"t_{part}", t)):
        if array.size == 0 or array.ndim == 0:
            raise ShapeError(
                f"{name} must hold at least one sample, got shape {array.shape}"
            )
    if len(x) != len(t):
        raise ShapeError(
            f"t_{part} must have {len(x)} rows like x_{part}, got {len(t)}"
        )
    if normalize and x.dtype != np.uint8:
        raise DTypeError(
            f"x_{part} must hold uint8 pixels to be normalized, got {x.dtype}"
        )
    return (NormalizedPixels(x) if normalize else x), t


def empty(history: History | None) -> History:
    """Return ``history``, if it can be filled, or a new one."""
    if not isinstance(history, History | None):
        raise DTypeError(
            f"history must be a secant.History, got {type(history).__name__}"
        )
    if history is not None and history.train_loss_list:
        raise ValueRangeError(
            f"history must be empty, got one of {len(history.train_loss_list)}"
            " iterations"
        )
    return History() if history is None else history
