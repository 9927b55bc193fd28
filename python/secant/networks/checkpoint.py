"""A network in a file: an .npz of plain arrays, never a pickle."""

import io
import math
from typing import cast, get_args

import numpy as np

from secant._common import validation
from secant._common.files import AnyPath, write_file
from secant._common.npz import npz_arrays
from secant.backends.base import OutputActivation, Parameters
from secant.networks import arguments
from secant.networks.arguments import PARAM_NAMES

LARGEST = 4 * 2**30
"""Bytes that a file may unpack to."""


def save(path: AnyPath, net: Parameters, largest_input: float) -> None:
    """Write a network, and the largest input that it was trained on, all of it or nothing."""
    buffer = io.BytesIO()
    np.savez(buffer, **net._asdict(), largest_input=largest_input)
    write_file(path, buffer.getvalue())


def load(path: AnyPath) -> tuple[Parameters, float]:
    """Read what `save` wrote, believing nothing about it."""
    with npz_arrays(path, LARGEST, "does not hold a network that TwoLayerNet.save wrote") as arrays:
        activation = str(arrays["output_activation"])
        validation.one_of("output_activation", activation, get_args(OutputActivation))
        params = arguments.params({name: arrays[name] for name in PARAM_NAMES}, validation.all_finite)
        largest_input = float(arrays["largest_input"]) if "largest_input" in arrays else 0.0
        if not 0 <= largest_input < math.inf:
            raise ValueError(f"largest_input is {largest_input}")
    return Parameters(*params, cast(OutputActivation, activation)), largest_input
