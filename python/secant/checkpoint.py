"""A network in a file: an .npz of plain arrays, never a pickle."""

import io
import os
import warnings
import zipfile
from typing import cast, get_args

import numpy as np

from secant import validation
from secant.backends.base import OutputActivation, Parameters
from secant.errors import DataError
from secant.files import write_atomically
from secant.validation import PARAM_NAMES

LARGEST = 4 * 2**30
"""Bytes that a file may unpack to."""


def save(path: str | os.PathLike[str], net: Parameters) -> None:
    """Write a network, all of it or nothing."""
    buffer = io.BytesIO()
    np.savez(buffer, **net._asdict())
    try:
        write_atomically(path, buffer.getvalue())
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} could not be written: {reason}; give another path") from error


def load(path: str | os.PathLike[str]) -> Parameters:
    """Read what `save` wrote, believing nothing about it."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise ValueError(f"it unpacks to more than {LARGEST} bytes")
        with warnings.catch_warnings(action="error", category=UserWarning), np.load(path, allow_pickle=False) as arrays:
            activation = str(arrays["output_activation"])
            validation.one_of("output_activation", activation, get_args(OutputActivation))
            params = validation.params({name: arrays[name] for name in PARAM_NAMES}, validation.all_finite)
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or error}") from error
    except Exception as error:  # zipfile and NumPy's header parser raise nearly anything at a damaged file
        raise DataError(
            f"{path} does not hold a network that TwoLayerNet.save wrote: {type(error).__name__}: {error}"
        ) from error
    return Parameters(*params, cast(OutputActivation, activation))
