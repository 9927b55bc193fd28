"""An untrusted .npz file of plain arrays, never a pickle."""

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from secant._common.files import AnyPath, most_unpacked, read_file
from secant._common.validation import Array
from secant.errors import DataError


@contextmanager
def npz_arrays(path: AnyPath, fault: str) -> Iterator[Mapping[str, Array]]:
    """Open a file in a ``with`` block, which reads and checks its arrays.

    Raises
    ------
    DataError
        The file cannot be read; or ``<path> <fault>: <reason>.``, whatever else is
        raised here or in the block, or if it would unpack to more than its size allows.
    """
    content = read_file(path)
    most = most_unpacked(len(content))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # zipfile reads no more than that
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > most:
            raise ValueError(
                f"it has {len(content):,} bytes and unpacks to more than {most:,}"
            )
        # np.load takes a pickle for one
        with np.lib.npyio.NpzFile(io.BytesIO(content), allow_pickle=False) as arrays:
            yield arrays
    except Exception as error:
        # zipfile and NumPy's header parser raise nearly anything at a damaged file
        reason = (
            error if type(error) is ValueError else f"{type(error).__name__}: {error}"
        )
        raise DataError(f"{os.fsdecode(path)} {fault}: {reason}.") from error
