"""IDX files, the format MNIST comes in, read from bytes that nobody vouches for.

A file is a magic number (two zero bytes, the element type, the number of dimensions), the length along each
dimension as a big-endian 32-bit number, and the elements; all of it gzipped. Only what MNIST uses is read:
unsigned bytes, as images of 28 x 28 or as labels from 0 to 9. Whatever a file claims, at most `MAX_BYTES` of
it are read or decompressed.
"""

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secant.errors import DataError

SIDE = 28
CLASSES = 10
MAX_SAMPLES = 70_000  # all of MNIST in one file
MAX_BYTES = 16 + MAX_SAMPLES * SIDE * SIDE

_UNSIGNED_BYTES = 0x08


@dataclass(frozen=True)
class Origin:
    """Where bytes come from, and what to do if they are bad: the two ends of every message of this module."""

    name: str
    remedy: str = "Replace it with the original file."

    def error(self, reason: str) -> DataError:
        """Return the error ``<name> <reason>. <remedy>``, to be raised."""
        return DataError(f"{self.name} {reason}. {self.remedy}")


def read(path: Path | Traversable, origin: Origin) -> bytes | None:
    """Read a file, or the first `MAX_BYTES` of it.

    Parameters
    ----------
    path : Path or Traversable
        The file.
    origin : Origin
        Named in the error.

    Returns
    -------
    bytes or None
        None if there is no such file.

    Raises
    ------
    DataError
        The file exists and cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise origin.error(f"cannot be read ({error.strerror or error})") from error


def inflate(raw: bytes, origin: Origin, sha256: str | None = None) -> bytes:
    """Decompress exactly one gzip member of at most `MAX_BYTES`.

    Parameters
    ----------
    raw : bytes
        The whole .gz file.
    origin : Origin
        Named in the error.
    sha256 : str, optional
        The checksum that the contents must have, in hexadecimal.

    Returns
    -------
    bytes
        The contents. Their CRC was checked in any case.

    Raises
    ------
    DataError
        ``raw`` is no gzip file, or is damaged, truncated or followed by more bytes, or its contents are too
        large or have another checksum.
    """
    content = _decompress(raw, origin)
    if sha256 is not None and (actual := hashlib.sha256(content).hexdigest()) != sha256:
        raise origin.error(f"holds something else: its contents have the SHA-256 {actual}, expected {sha256}")
    return content


def parse_images(content: bytes, origin: Origin) -> NDArray[np.uint8]:
    """Read images from the contents of an IDX file.

    Parameters
    ----------
    content : bytes
        The decompressed file.
    origin : Origin
        Named in the error.

    Returns
    -------
    ndarray of uint8, shape (N, 28, 28)
        A new array, one image per row of the first axis.

    Raises
    ------
    DataError
        The magic number, a dimension or the length is not that of a file of 1 to `MAX_SAMPLES` images.
    """
    return _parse(content, (SIDE, SIDE), origin)


def parse_labels(content: bytes, origin: Origin) -> NDArray[np.uint8]:
    """Read labels from the contents of an IDX file.

    Parameters
    ----------
    content : bytes
        The decompressed file.
    origin : Origin
        Named in the error.

    Returns
    -------
    ndarray of uint8, shape (N,)
        A new array of numbers from 0 to 9.

    Raises
    ------
    DataError
        The magic number, the count or the length is not that of a file of 1 to `MAX_SAMPLES` labels, or a
        label is above 9.
    """
    labels = _parse(content, (), origin)
    if labels.max() >= CLASSES:
        raise origin.error(f"holds the label {labels.max()}, expected 0 to {CLASSES - 1}")
    return labels


def _decompress(raw: bytes, origin: Origin) -> bytes:
    if raw[:2] != b"\x1f\x8b":
        raise origin.error(f"is not a gzip file: it begins with {raw[:16]!r}")
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(raw, MAX_BYTES + 1)
    except zlib.error as error:
        raise origin.error(f"is damaged ({error})") from error
    if len(content) > MAX_BYTES:
        raise origin.error(f"holds more than {MAX_BYTES} bytes once decompressed, too many for MNIST")
    if not stream.eof:
        raise origin.error("is truncated: its gzip stream does not end")
    if stream.unused_data:
        raise origin.error("goes on after the end of its gzip stream")
    return content


def _parse(content: bytes, sample: tuple[int, ...], origin: Origin) -> NDArray[np.uint8]:
    """Return the elements as an array (N, *sample), once the header and the length agree with that."""
    shape, start = _header(content, 1 + len(sample), origin)
    if shape[1:] != sample:
        raise origin.error(f"announces the shape {shape}, expected (N, {', '.join(map(str, sample))})")
    if not 1 <= shape[0] <= MAX_SAMPLES:
        raise origin.error(f"announces {shape[0]} samples, expected 1 to {MAX_SAMPLES}")
    expected = start + math.prod(shape)
    if len(content) != expected:
        fault = "is truncated" if len(content) < expected else "has trailing bytes"
        raise origin.error(f"{fault}: {len(content)} bytes where its header announces {expected}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _header(content: bytes, rank: int, origin: Origin) -> tuple[tuple[int, ...], int]:
    """Return the shape that the header announces, and where the header ends."""
    layout = struct.Struct(f">{1 + rank}I")
    if len(content) < layout.size:
        raise origin.error(f"is truncated: {len(content)} bytes are no header of {layout.size}")
    magic, *shape = layout.unpack_from(content)
    expected = _UNSIGNED_BYTES << 8 | rank
    if magic != expected:
        raise origin.error(f"has the magic number 0x{magic:08x}, expected 0x{expected:08x}")
    return tuple(shape), layout.size
