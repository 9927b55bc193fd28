"""The network in a file of the user, for ``secant check FILE.py``: found, and made small if it is a class."""

import inspect
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from secant.errors import DataError

_SIZES = 6, 5, 4  # inputs, hidden units and outputs of what is made here
# A word in the name of a constructor's argument, such as input_size, n_in or numClasses.
_HINTS = (("hid(den)?", 5), ("in(puts?)?", 6), ("out(puts?)?", 4), ("class(es)?", 4))


class ReadersNetwork(NamedTuple):
    """A network, and what it is in words."""

    net: Any
    description: str


def readers_network(file: str, names: Mapping[str, Any], name: str, loss: str, gradient: str) -> ReadersNetwork:
    """Take the network that a file defines, and make it if it is a class.

    Parameters
    ----------
    file : str
    names : dict
        What the file defines.
    name : str
        Of the network; empty if it is to be found.
    loss, gradient : str
        The names of its methods.

    Raises
    ------
    DataError
        If there is no network, or there are several, or it cannot be made.
    """
    if name and name not in names:
        raise DataError(f"{file} defines no {name}")
    found = {name: names[name]} if name else names
    networks = {key: value for key, value in found.items() if _is_network(value, loss, gradient)}
    if not name:
        networks = _likeliest(networks, names["__name__"])
    if not networks:
        where = f"{file}:{name} is" if name else f"{file} defines"
        raise DataError(
            f"{where} no network: a class or an object with {loss}(x, t) and {gradient}(x, t). --loss and --gradient "
            "name other methods. To check a function, give GRADIENT and X too."
        )
    if len(networks) > 1:
        places = " or ".join(f"{file}:{each}" for each in networks)
        raise DataError(f"{file} defines {len(networks)} networks: give one of them, {places}")
    ((name, value),) = networks.items()
    return _made(file, name, value) if isinstance(value, type) else ReadersNetwork(value, name)


def _is_network(value: Any, loss: str, gradient: str) -> bool:
    if isinstance(value, ModuleType):
        return False
    return all(callable(getattr(value, method, None)) for method in (loss, gradient))


def _likeliest(networks: Mapping[str, Any], module: str) -> dict[str, Any]:
    """What is of the file's own classes before what it imports, and objects before classes; each once.

    Classes that others inherit from are left out.
    """
    own = {
        name: value
        for name, value in networks.items()
        if (value if isinstance(value, type) else type(value)).__module__ == module
    }
    best = own or networks
    objects = {name: value for name, value in best.items() if not isinstance(value, type)}
    best = objects or {
        name: cls for name, cls in best.items() if not any(cls in other.__mro__[1:] for other in best.values())
    }
    return {name: best[name] for name in {id(value): name for name, value in best.items()}.values()}


def _made(file: str, name: str, cls: type) -> ReadersNetwork:
    """Make a small network, with sizes for the arguments that a constructor must be given."""
    parameters = [
        parameter
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    sizes = [_size(p.name) for p in parameters]
    if sizes in ([None, None, None], [_SIZES[0], None, _SIZES[2]]):  # such as I, H, O or D_in, H, D_out
        sizes = list(_SIZES)
    if None in sizes:
        unknown = ", ".join(p.name for p, size in zip(parameters, sizes, strict=True) if size is None)
        raise DataError(
            f"{file}: {name} needs {unknown}, of which the sizes are not known: make an object of it in the file, and "
            f"give that, {file}:NAME"
        )
    given = [[size, size] if "list" in p.name else size for p, size in zip(parameters, sizes, strict=True)]
    pairs = list(zip(parameters, given, strict=True))
    positional = [value for p, value in pairs if p.kind is not p.KEYWORD_ONLY]
    named = {p.name: value for p, value in pairs if p.kind is p.KEYWORD_ONLY}
    arguments = [*map(repr, positional), *(f"{key}={value!r}" for key, value in named.items())]
    return ReadersNetwork(cls(*positional, **named), f"{name}({', '.join(arguments)})")


def _size(argument: str) -> int | None:
    words = [word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", argument)]
    return next((size for hint, size in _HINTS if any(re.fullmatch(hint, word) for word in words)), None)
