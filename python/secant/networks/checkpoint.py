"""A network in a file: an .npz of plain arrays, never a pickle."""

import io
import math
import warnings
from typing import BinaryIO, cast, get_args

import numpy as np

from secant._common import validation
from secant._common.files import AnyPath, path_text, readable, write_file
from secant.backends.base import OutputActivation, Parameters
from secant.errors import DataError
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
    name = path_text(path)
    try:
        with readable(name) as file:
            return _loaded(file)
    except DataError:
        raise
    except Exception as error:  # zipfile and NumPy's header parser raise nearly anything at a damaged file
        raise DataError(
            f"{name} does not hold a network that TwoLayerNet.save wrote: {type(error).__name__}: {error}"
        ) from error


def _loaded(file: BinaryIO) -> tuple[Parameters, float]:
    import zipfile  # takes a while to import

    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
            raise ValueError(f"it unpacks to more than {LARGEST} bytes")
    file.seek(0)
    with warnings.catch_warnings(action="error", category=UserWarning), np.load(file, allow_pickle=False) as arrays:
        activation = str(arrays["output_activation"])
        validation.one_of("output_activation", activation, get_args(OutputActivation))
        params = arguments.params({name: arrays[name] for name in PARAM_NAMES}, validation.all_finite)
        largest_input = float(arrays["largest_input"]) if "largest_input" in arrays else 0.0
        if not 0 <= largest_input < math.inf:
            raise ValueError(f"largest_input is {largest_input}")
    return Parameters(*params, cast(OutputActivation, activation)), largest_input
