"""The names of a network's methods, which its author chose: they stand here, once."""

import inspect
import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

from secant.errors import UnsupportedError

Option = Literal["loss", "numerical_gradient"]

_NUMERICAL = re.compile(
    ".*num(eric(al)?)?_?(grad(ient)?|diff)s?|grad(ient)?s?_?num(eric(al)?)?",
    re.IGNORECASE,
)
_ALIKE = {  # what readers call them
    "loss": re.compile(
        "lose|j|.*(loss|cost|error|objective)(_?(f|fn|func|function|value))?",
        re.IGNORECASE,
    ),
    "numerical_gradient": _NUMERICAL,
    # often by backpropagation
    "gradient": re.compile(".*(grad(ient)?|slope|derivative)s?", re.IGNORECASE),
}
# what helpers differentiate
_FUNCTION = re.compile("f|fn|fun|func|function|.*_(f|fn|func|function)", re.IGNORECASE)

# the attribute of a function that a class holds in place of its numerical gradient
METHOD = "_secant"


class MethodNames(NamedTuple):
    """How a network calls its loss and its numerical gradient, both of (x, t)."""

    loss: str = "loss"
    numerical_gradient: str = "numerical_gradient"

    def lacks(self, net: Any, option: Option) -> str:
        """Say that a network lacks a method, and which of its methods may be meant."""
        meant = if_meant(option, self.alike(type(net), option))
        return (
            f"it has no method {getattr(self, option)}(x, t){'; ' * bool(meant)}{meant}"
        )

    def or_usual(self, cls: type) -> "MethodNames":
        """The same for a class, with the usual name where it has no other."""
        chosen = zip(self, USUAL, strict=True)
        return MethodNames(
            *(
                usual if defines(cls, usual) and not defines(cls, name) else name
                for name, usual in chosen
            )
        )

    def alike(
        self, cls: type, option: Option, *, or_gradient: bool = False
    ) -> list[str]:
        """The other methods of (x, t) that an option may mean, by their names alone.

        None is called: it might delete a file, or train the network.

        ``or_gradient``: also those whose names do not say that they are numerical.
        """
        kinds = [option, "gradient"] if or_gradient else [option]
        taking = [
            name for name in taking_mini_batch(cls) if name != getattr(self, option)
        ]
        return list(
            dict.fromkeys(
                name
                for kind in kinds
                for name in taking
                if _ALIKE[kind].fullmatch(name)
            )
        )


USUAL = MethodNames()


def method_of(net: Any, option: str, name: str) -> Callable[..., Any]:
    """Return the method ``name`` of a network or a class.

    Raises
    ------
    UnsupportedError
        If there is none. The message names the option and the methods that it may mean:
        for ``gradient``, none whose name says that it is a central difference.
    """
    method = getattr(net, name, None)
    if callable(method):
        return cast(Callable[..., Any], method)
    cls = net if isinstance(net, type) else type(net)
    there = [
        other
        for other in taking_mini_batch(cls)
        if option != "gradient" or not _NUMERICAL.fullmatch(other)
    ]
    of_class = (
        ". If __init__ sets it, accelerate each instance, not the class"
        if isinstance(net, type)
        else ""
    )
    raise UnsupportedError(
        f"{cls.__name__} has no method {name}(x, t): {option} must name one of its"
        f" methods; those that take (x, t) are: {', '.join(there) or 'none'}{of_class}"
    )


def if_meant(option: Option, names: list[str]) -> str:
    """Say how to choose each of these methods: for `accelerate` and `recognize`, and
    for ``secant run``.
    """
    command = f"--{option.replace('_', '-')}"
    hints = [
        f'if {name}(x, t) is meant, write {option}="{name}" (secant run: {command}'
        f" {name})"
        for name in names
    ]
    return ", or ".join(hints)


def taking_mini_batch(cls: type) -> list[str]:
    """The names of the methods of a class that can be called with x and t, of which the
    first is no function.
    """
    names = dict.fromkeys(
        name for base in cls.__mro__ if base is not object for name in vars(base)
    )
    public = {
        name: inspect.getattr_static(cls, name)
        for name in names
        if isinstance(name, str) and name[:1] != "_"
    }
    return [
        name
        for name, method in public.items()
        if takes_mini_batch(method) and not takes_a_function(method)
    ]


def takes_mini_batch(method: Any) -> bool:
    """Whether a function in a class can be called with x and t."""
    # another object may run code of its own when it is asked for its signature
    if not inspect.isfunction(method):
        return False
    try:
        inspect.signature(method).bind(None, None, None)  # self, x and t
    except Exception:  # it cannot, or it wraps an object that runs such code
        return False
    return True


def takes_a_function(method: Any) -> bool:
    """Whether the first argument of a function in a class is a function, by its
    name.
    """
    return inspect.isfunction(method) and any(
        map(_FUNCTION.fullmatch, [*inspect.signature(method).parameters][1:2])
    )


def defines(cls: type, *names: str) -> bool:
    """Whether a class has one of these methods, its own or inherited, whatever its
    metaclass says.
    """
    return any(inspect.getattr_static(cls, name, None) is not None for name in names)


def accelerated_method(cls: type, name: str) -> Any:
    """The `AcceleratedMethod` whose function a class holds; None if it holds another
    function, even one with the same attributes.
    """
    function = inspect.getattr_static(cls, name, None)
    method = vars(function).get(METHOD) if inspect.isfunction(function) else None
    return method if method is not None and method.function is function else None


def reader_gradient_of(cls: type, name: str) -> Any:
    """The reader's numerical gradient of a class, as defined there or inherited; None
    if there is none.
    """
    method = accelerated_method(cls, name)
    return (
        inspect.getattr_static(cls, name, None)
        if method is None
        else method.reader_gradient
    )


def bound(method: Any, net: Any) -> Callable[..., Any]:
    """Return an attribute of a class as it is bound to an instance."""
    return cast(
        Callable[..., Any],
        method.__get__(net, type(net)) if hasattr(method, "__get__") else method,
    )
