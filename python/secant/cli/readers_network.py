"""The network in a file of the user, for ``secant check FILE.py``."""

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from secant.errors import DataError


class ReadersNetwork(NamedTuple):
    """A network, and what it is in words."""

    net: Any
    description: str


def readers_network(file: str, names: Mapping[str, Any], name: str, loss: str, gradient: str) -> ReadersNetwork:
    """Take the network that a file defines, an object or a class whose constructor needs nothing.

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
    """Make a network of a class whose constructor needs nothing."""
    needed = [
        parameter.name
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        arguments = ", ".join(needed)
        raise DataError(
            f"{file}: {name} needs {arguments}: make a small one in the file, such as net = {name}({arguments}) with "
            f"numbers, and give that, {file}:net"
        )
    return ReadersNetwork(cls(), f"{name}()")
