"""The network in a file of the user, and a mini-batch that fits it, for ``secant check
FILE.py``.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.errors import DataError

_SAMPLES = 20


def readers_network(
    file: str, names: Mapping[str, Any], name: str, loss: str, gradient: str
) -> tuple[Any, str]:
    """Return the network that a file defines, an object or one of a class that needs no
    arguments, and its name.

    ``names`` is what the file defines, ``name`` that of the network; if it is empty,
    there must be one only, besides its class. ``loss`` and ``gradient`` are methods.

    Raises
    ------
    DataError
        If there is no network, or there are several, or it cannot be made.
    """
    if name and name not in names:
        raise DataError(f"{file} defines no {name}")
    networks = {
        key: value
        for key, value in ({name: names[name]} if name else names).items()
        if not isinstance(value, ModuleType)
        and all(callable(getattr(value, m, None)) for m in (loss, gradient))
    }
    made = {type(value) for value in networks.values()}
    networks = {key: value for key, value in networks.items() if value not in made}
    if not networks:
        where = f"{file}:{name} is" if name else f"{file} defines"
        raise DataError(
            f"{where} no network: a class or an object with {loss}(x, t) and"
            f" {gradient}(x, t). --loss and --gradient name other methods. To check a"
            " function, give GRADIENT and X too."
        )
    if len(networks) > 1:
        places = " or ".join(f"{file}:{each}" for each in networks)
        raise DataError(
            f"{file} defines {len(networks)} networks: give one of them, {places}"
        )
    ((name, value),) = networks.items()
    if not isinstance(value, type):
        return value, name
    try:
        return value(), f"{name}()"
    except TypeError as error:
        raise DataError(
            f"{file}: {name}() raises {error}: make a small network in the file, such"
            f" as net = {name}(...), and give that, {file}:net"
        ) from error


def mini_batch(net: Any, name: str, loss: str) -> tuple[Array, Array, str]:
    """Return random samples, targets, and what they are in words.

    Targets are labels if the loss refuses others.

    Raises
    ------
    DataError
        If the parameters do not say what fits them.
    """
    params = getattr(net, "params", None)
    arrays = (
        [a for a in params.values() if isinstance(a, np.ndarray)]
        if isinstance(params, Mapping)
        else []
    )
    matrices = [array for array in arrays if array.ndim == 2]
    if not matrices:
        raise DataError(
            f"{name} must have params, a dict of arrays of which the first is a matrix"
            " of weights"
        )
    inputs, classes = len(matrices[0]), matrices[-1].shape[1]
    # so that targets of the wrong shape are noticed
    count = _SAMPLES + (classes == _SAMPLES)
    x, labels = (
        np.random.uniform(size=(count, inputs)),
        np.random.randint(max(classes, 2), size=count),
    )
    data = f"{count} random samples"
    if classes == 1:
        return (
            x,
            labels.reshape(count, 1).astype(np.float64),
            f"{data} with targets of 0 and 1",
        )
    t = np.eye(classes)[labels]
    try:
        getattr(net, loss)(x, t)
    except Exception:  # of a network that takes labels only, or of any other
        return x, labels, f"{data} with labels"
    return x, t, f"{data} with one-hot targets"
