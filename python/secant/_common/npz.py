"""An untrusted .npz file of plain arrays, never a pickle."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from secant._common.files import AnyPath, path_text, read_file
from secant._common.validation import Array
from secant.errors import DataError


@contextmanager
def npz_arrays(path: AnyPath, most: int, fault: str) -> Iterator[Mapping[str, Array]]:
    """Open a file in a ``with`` block, which reads and checks its arrays. It may unpack to ``most`` bytes.

    Raises
    ------
    DataError
        The file cannot be read; or ``<path> <fault>: <reason>.``, whatever else is raised here or in the block.
    """
    import zipfile  # takes a while to import

    content = io.BytesIO(read_file(path))
    try:
        with zipfile.ZipFile(content) as archive:
            if (size := sum(entry.file_size for entry in archive.infolist())) > most:
                raise ValueError(f"it unpacks to {size} bytes, expected at most {most}")
        content.seek(0)
        with (
            warnings.catch_warnings(action="error", category=UserWarning),
            np.load(content, allow_pickle=False) as arrays,
        ):
            yield arrays
    except Exception as error:  # zipfile and NumPy's header parser raise nearly anything at a damaged file
        reason = error if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise DataError(f"{path_text(path)} {fault}: {reason}.") from error
