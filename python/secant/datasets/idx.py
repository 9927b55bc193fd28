"""IDX files, the format of MNIST, Fashion-MNIST and KMNIST, read from untrusted bytes.

A file is a magic number (two zero bytes, the element type, the number of dimensions),
the length along each dimension as a big-endian 32-bit number, and the elements; often
all of it gzipped. Only unsigned bytes are read: images of any size, or labels from 0 to
255.
"""

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.files import most_unpacked
from secant._common.validation import Array
from secant.backends.inputs import normalized
from secant.errors import DataError

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The four files of a data set; each may end in .gz, or be spelled
train-images.idx3-ubyte, as in Kaggle's archive.
"""

Bytes = NDArray[np.uint8]
Split = tuple[Array, Array]

_GZIP = b"\x1f\x8b"
_PIECE = 2**20  # bytes that are unpacked at a time
_REPLACE = "Replace it with the original file."


class Origin(NamedTuple):
    """Where bytes come from, and what to do if they are bad: the two ends of every
    message of this module.
    """

    name: str
    remedy: str = _REPLACE

    def error(self, reason: str) -> DataError:
        """Return the error ``<name> <reason>. <remedy>``, to be raised."""
        return DataError(f"{self.name} {reason}. {self.remedy}")


def load_idx(
    folder: str | os.PathLike[str],
    *,
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
) -> tuple[Split, Split]:
    """Load a data set in MNIST's format, such as Fashion-MNIST or KMNIST, as
    ``(x_train, t_train), (x_test, t_test)``.

    Parameters
    ----------
    folder : str or path-like
        Where the four files are: ``train-images-idx3-ubyte``,
        ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``, each with or without ``.gz``.
        ``train-images.idx3-ubyte``, the name in Kaggle's archive, will do, too.
    normalize : bool
        Divide the pixels by 255, to float32. Otherwise they are uint8.
    flatten : bool
        Make an image of height H and width W a row of H * W pixels. Otherwise its shape
        is (1, H, W).
    one_hot_label : bool
        Make a label a row of float64. Otherwise it is one uint8. There are as many
        classes as the largest label, of both sets, plus 1.

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : ndarrays, shapes (N, H * W), (N,), (M, H * W)
    and (M,)
        New arrays, with the shapes that ``flatten`` and ``one_hot_label`` make of
        these.

    Raises
    ------
    DataError
        A file is missing, damaged, or does not fit the others.

    Examples
    --------
    >>> from pathlib import Path
    >>> folder = (
    ...     Path(secant.__file__).parent / "datasets" / "files"
    ... )  # the digits that come with Secant
    >>> (x_train, t_train), (x_test, t_test) = secant.load_idx(folder)
    >>> x_train.shape, t_train.shape
    ((10000, 784), (10000,))
    """
    found = [_found(os.path.expanduser(os.fsdecode(folder)), name) for name in NAMES]
    (x_train, t_train, x_test, t_test), origins = zip(*found, strict=True)
    for x, t, origin in (x_train, t_train, origins[1]), (x_test, t_test, origins[3]):
        if len(t) != len(x):
            raise origin.error(f"holds {len(t)} labels for {len(x)} images")
    if x_test.shape[1:] != x_train.shape[1:]:
        sizes = ["{} x {}".format(*x.shape[1:]) for x in (x_test, x_train)]
        raise origins[2].error(
            f"holds images of {sizes[0]} pixels, expected {sizes[1]} as in the"
            " training set"
        )
    return shaped((x_train, t_train, x_test, t_test), normalize, flatten, one_hot_label)


def shaped(
    arrays: Iterable[Bytes], normalize: bool, flatten: bool, one_hot_label: bool
) -> tuple[Split, Split]:
    """Return what the four files hold, in the order of `NAMES`, in the form that the
    options ask for.
    """
    x_train, t_train, x_test, t_test = arrays
    classes = int(max(t_train.max(), t_test.max())) + 1

    def split(x: Bytes, t: Bytes) -> Split:
        x = x.reshape(len(x), -1) if flatten else x[:, np.newaxis]
        return normalized(x) if normalize else x, (
            np.eye(classes)[t] if one_hot_label else t
        )

    return split(x_train, t_train), split(x_test, t_test)


def find(folder: str, name: str, remedy: str = _REPLACE) -> tuple[bytes, Origin] | None:
    """Read one of the four files under any of its spellings; return None if there is
    none.
    """
    for spelling in (name, name.replace("-idx", ".idx")):
        for ending in (".gz", ""):
            origin = Origin(os.path.join(folder, spelling + ending), remedy)
            raw = read(origin.name, origin)
            if raw is not None:
                return raw, origin
    return None


def read(path: str, origin: Origin) -> bytes | None:
    """Read a file; return None if there is none, or a folder: Kaggle's archive has one
    next to each file.

    Raises
    ------
    DataError
        The file exists and cannot be read.
    """
    if os.path.isdir(path):
        return None
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise origin.error(
            f"cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from error


def parse(raw: bytes, rank: int, origin: Origin, sha256: str | None = None) -> Bytes:
    """Read the array that an IDX file holds.

    Parameters
    ----------
    raw : bytes
        The whole file; it may be gzipped.
    rank : int
        The number of dimensions: 3 for images (N, H, W), 1 for labels (N,).
    origin : Origin
        Named in the error.
    sha256 : str, optional
        The checksum that the decompressed file must have, in hexadecimal.

    Returns
    -------
    ndarray of uint8
        A new array.

    Raises
    ------
    DataError
        The file is damaged, truncated or followed by more bytes; it unpacks to more
        than its size allows; its header is none of a file of that rank, or announces no
        sample; or it has another checksum.
    """
    header = struct.Struct(f">4s{rank}I")
    content = _unpacked(raw, origin)
    shape = _shape(content, header, origin)
    expected = header.size + math.prod(shape)
    if len(content) != expected:
        fault = "is truncated" if len(content) < expected else "has trailing bytes"
        raise origin.error(
            f"{fault}: {len(content)} bytes where its header announces {expected}"
        )
    if sha256 is not None:
        import hashlib  # takes a while to import

        if (actual := hashlib.sha256(content).hexdigest()) != sha256:
            raise origin.error(
                f"holds something else: its contents have the SHA-256 {actual},"
                f" expected {sha256}"
            )
    return np.frombuffer(content, np.uint8, offset=header.size).reshape(shape).copy()


def rank_of(name: str) -> int:
    """Return the number of dimensions that the name of a file gives: 3 for
    "train-images-idx3-ubyte".
    """
    return int(name.partition("idx")[2][0])


def _found(folder: str, name: str) -> tuple[Bytes, Origin]:
    """Read the array in one of the four files."""
    file = find(folder, name)
    if file is None:
        path = os.path.join(folder, name)
        raise DataError(
            f"{path} is missing, with .gz and without. A folder needs the four files"
            f" {', '.join(NAMES)}."
        )
    raw, origin = file
    return parse(raw, rank_of(name), origin), origin


def _shape(content: bytes, header: struct.Struct, origin: Origin) -> tuple[int, ...]:
    """Return the shape that the header announces."""
    rank = header.size // 4 - 1
    magic = bytes((0, 0, 8, rank))
    if content[:4] != magic:
        kind = "images" if rank == 3 else "labels"
        raise origin.error(
            f"is not an IDX file of {kind}: it begins with {content[:16]!r}, expected"
            f" {magic!r} or gzip"
        )
    if len(content) < header.size:
        raise origin.error(
            f"is truncated: {len(content)} bytes are less than a header of"
            f" {header.size}"
        )
    shape: tuple[int, ...] = header.unpack_from(content)[1:]
    if not math.prod(shape):
        raise origin.error(
            f"announces the shape {shape}, expected at least one element"
        )
    return shape


def _unpacked(raw: bytes, origin: Origin) -> bytes:
    """Return what a file holds that may be gzipped."""
    if not raw.startswith(_GZIP):
        return raw
    most = most_unpacked(len(raw))
    content = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            while content.tell() <= most and (piece := stream.read(_PIECE)):
                content.write(piece)
    except (EOFError, MemoryError, OSError, zlib.error) as error:
        raise origin.error(f"is damaged ({error})") from error
    if content.tell() > most:
        raise origin.error(f"has {len(raw):,} bytes and unpacks to more than {most:,}")
    return content.getvalue()
