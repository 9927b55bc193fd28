"""The network in a file of the user, for ``secant check FILE.py``: found, made small, and given a mini-batch."""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array
from secant.datasets.mnist import load_mnist
from secant.errors import DataError

_SIZES = 6, 5, 4  # inputs, hidden units and outputs of what is made here
_HINTS = (("hid", 5), ("in", 6), ("out", 4), ("class", 4))  # in the name of a constructor's argument
_SAMPLES = 20


class ReadersNetwork(NamedTuple):
    """A network and a mini-batch to check it with; and what they are, in words."""

    net: Any
    x: Array
    t: Array
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
    np.random.seed(0)  # of this process, so that a command that is repeated says the same
    net, made = _made(file, name, value) if isinstance(value, type) else (value, name)
    x, t, data = _mini_batch(net, made, loss)
    return ReadersNetwork(net, x, t, f"{made} of {file} on {data}")


def _is_network(value: Any, loss: str, gradient: str) -> bool:
    return all(callable(getattr(value, method, None)) for method in (loss, gradient))


def _likeliest(networks: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Objects before classes, and the file's own classes before those that it imports; each once."""
    objects = {name: value for name, value in networks.items() if not isinstance(value, type)}
    own = {name: value for name, value in networks.items() if getattr(value, "__module__", "") == module}
    best = objects or own or networks
    return {name: best[name] for name in {id(value): name for name, value in best.items()}.values()}


def _made(file: str, name: str, cls: type) -> tuple[Any, str]:
    """Make a small network, with sizes for the arguments that a constructor must be given; and how it was made."""
    parameters = [
        parameter
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    sizes = [next((size for hint, size in _HINTS if hint in p.name.lower()), None) for p in parameters]
    if None in sizes and len(sizes) == len(_SIZES):
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
    return cls(*positional, **named), f"{name}({', '.join(arguments)})"


def _mini_batch(net: Any, made: str, loss: str) -> tuple[Array, Array, str]:
    """A mini-batch that fits the parameters: digits where they are of their size, else random numbers."""
    params = getattr(net, "params", None)
    arrays = (
        [value for value in params.values() if isinstance(value, np.ndarray)] if isinstance(params, Mapping) else []
    )
    weights = next((array for array in arrays if array.ndim in (2, 4)), None)
    if weights is None:
        raise DataError(f"{made} must have params, a dict of arrays of which the first is a matrix of weights")
    classes = arrays[-1].shape[-1]
    count = _SAMPLES + (classes == _SAMPLES)  # so that targets of the wrong shape are noticed
    shape = (len(weights),) if weights.ndim == 2 else (weights.shape[1], 28, 28)
    if np.prod(shape) == 784 and classes == 10:
        (x, labels), _ = load_mnist(subset=True)
        x, labels, data = (
            x[:count].reshape(count, *shape).astype(np.float64),
            labels[:count].astype(np.int64),
            "digits of MNIST",
        )
    else:
        x, labels, data = (
            np.random.uniform(size=(count, *shape)),
            np.random.randint(classes, size=count),
            "random samples",
        )
    one_hot = np.eye(classes)[labels]
    try:
        getattr(net, loss)(x, one_hot)
    except Exception:  # of a network that takes labels only, or of any other
        return x, labels, f"{count} {data} with labels"
    return x, one_hot, f"{count} {data} with one-hot targets"
