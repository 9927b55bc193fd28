"""The names of a network's methods, which its author chose: they stand here, once."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

from secant.errors import UnsupportedError

Option = Literal["loss", "numerical_gradient"]


class Methods(NamedTuple):
    """How a network calls its loss and its numerical gradient, both of (x, t)."""

    loss: str = "loss"
    numerical_gradient: str = "numerical_gradient"

    def of(self, net: Any, option: Option) -> Callable[..., Any]:
        """Return the method of a network or a class that an option names.

        Raises
        ------
        UnsupportedError
            If there is none. The message names the option and the methods that there are.
        """
        name = getattr(self, option)
        method = getattr(net, name, None)
        if callable(method):
            return cast(Callable[..., Any], method)
        cls = net if isinstance(net, type) else type(net)
        there = ", ".join(taking_mini_batch(cls)) or "none"
        raise UnsupportedError(
            f"{cls.__name__} has no method {name}(x, t): {option} must name one of its methods; those that take (x, t) "
            f"are: {there}"
        )

    def require_chosen(self, net: Any) -> None:
        """Raise an error if a network or a class lacks a method whose name is not the usual one."""
        for option, usual in zip(USUAL._fields, USUAL, strict=True):
            if getattr(self, option) != usual:
                self.of(net, cast(Option, option))


USUAL = Methods()


def chosen(option: Option, name: str) -> str:
    """Say how to choose a method: for `accelerate` and `recognize`, and for ``secant run``."""
    return f'{option}="{name}" (secant run: --{option.replace("_", "-")} {name})'


def taking_mini_batch(cls: type) -> list[str]:
    """The names of the methods of a class that can be called with x and t."""
    bases = [base for base in cls.__mro__ if base is not object]
    names = dict.fromkeys(name for base in bases for name in vars(base) if not name.startswith("_"))
    return [name for name in names if takes_mini_batch(inspect.getattr_static(cls, name))]


def takes_mini_batch(method: Any) -> bool:
    """Whether a function in a class can be called with x and t."""
    try:
        inspect.signature(method).bind(None, None, None)
    except (TypeError, ValueError):  # also if it is not a function
        return False
    return True
