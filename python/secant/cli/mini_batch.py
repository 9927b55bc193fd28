"""A mini-batch that fits a network of the user, for ``secant check FILE.py``."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array
from secant.datasets.mnist import load_mnist
from secant.errors import DataError

_SAMPLES = 20


class MiniBatch(NamedTuple):
    """Samples, their targets, and what they are in words."""

    x: Array
    t: Array
    description: str


def mini_batch(net: Any, name: str, loss: str) -> MiniBatch:
    """Digits where the parameters are of their size, else random numbers; labels if the loss refuses other targets.

    Raises
    ------
    DataError
        If the parameters do not say what fits them.
    """
    params = getattr(net, "params", None)
    arrays = (
        [value for value in params.values() if isinstance(value, np.ndarray)] if isinstance(params, Mapping) else []
    )
    weights = next((array for array in arrays if array.ndim in (2, 4)), None)
    if weights is None:
        raise DataError(f"{name} must have params, a dict of arrays of which the first is a matrix of weights")
    classes = arrays[-1].shape[-1] if arrays[-1].ndim else 1
    count = _SAMPLES + (classes == _SAMPLES)  # so that targets of the wrong shape are noticed
    shape = (len(weights),) if weights.ndim == 2 else (weights.shape[1], 28, 28)
    if np.prod(shape) == 784 and classes == 10:
        (digits, values), _ = load_mnist(subset=True)
        x, labels = digits[:count].reshape(count, *shape).astype(np.float64), values[:count].astype(np.int64)
        data = f"{count} digits of MNIST"
    else:
        x, labels = np.random.uniform(size=(count, *shape)), np.random.randint(max(classes, 2), size=count)
        data = f"{count} random samples"
    if classes == 1:
        t, description = labels.reshape(count, 1).astype(np.float64), f"{data} with targets of 0 and 1"
    else:
        t, description = np.eye(classes)[labels], f"{data} with one-hot targets"
    try:
        getattr(net, loss)(x, t)
    except Exception:  # of a network that takes labels only, or of any other
        return MiniBatch(x, labels, f"{data} with labels")
    return MiniBatch(x, t, description)
