"""Writing a file so that a reader sees all of it or what was there before.

Design: only a regular file is ever replaced. Whatever else has the name, such as a pipe
or a device, is opened and written to.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from secant.errors import DataError

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# What an untrusted archive may unpack to: so many times its size, or so many bytes.
# gzip reaches 1,032 times its size. MNIST's pixels reach 5 times, as float64 19 times,
# and one-hot labels 56 times.
_MOST_TIMES = 100
_ALWAYS_UNPACKED = 2**24


def cache_folder() -> str:
    """Return the platform's folder for what can be made or downloaded again."""
    if sys.platform == "win32":
        return os.path.join(
            os.environ.get("LOCALAPPDATA") or os.path.expanduser("~"), "secant", "Cache"
        )
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/secant")
    return os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "secant"
    )


def write_file(path: AnyPath, content: bytes) -> None:
    """Write to a new file beside ``path`` and give it its name in one step; into
    ``path`` if that is no regular file.

    Parameters
    ----------
    path : str, bytes or path-like
        The file; a link is followed. A file that is replaced keeps its permissions.
    content : bytes
        All that it will hold.

    Raises
    ------
    DataError
        The file cannot be written. What a regular file held before is still there.
    """
    name = os.fsdecode(path)
    with _named(name, "written", "; give another path"):
        if _is_replaced(name):
            _replace(os.path.realpath(name), content)
        else:
            with open(name, "wb") as stream:
                stream.write(content)


def require_writable(path: AnyPath) -> None:
    """Raise the error that `write_file` would raise, as far as it can be known without
    writing.
    """
    import tempfile  # takes a while to import

    name = os.fsdecode(path)
    with _named(name, "written", "; give another path"):
        if _is_replaced(name):
            with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(name))):
                pass


def read_file(path: AnyPath) -> bytes:
    """Return all that a file holds.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    name = os.fsdecode(path)
    with _named(name, "read"), open(name, "rb") as stream:
        return stream.read()


def most_unpacked(packed: int) -> int:
    """Return how many bytes an untrusted archive of ``packed`` bytes may unpack to."""
    return max(_MOST_TIMES * packed, _ALWAYS_UNPACKED)


def _is_replaced(name: str) -> bool:
    """Return whether a regular file has this name, or none; refuse folders and what may
    not be written to.
    """
    if os.path.isdir(name) or not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return True
    if not os.access(name, os.W_OK):  # which replacing it does not need
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_ISREG(mode)


def _replace(target: str, content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(
        dir=os.path.dirname(target), prefix=".secant-"
    ) as scratch:
        part = os.path.join(scratch, os.path.basename(target))
        with open(part, "wb") as stream:
            stream.write(content)
        with suppress(FileNotFoundError):
            os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(part, target)


@contextmanager
def _named(name: str, done: str, remedy: str = "") -> Iterator[None]:
    """Turn an error of the system into one that names the path."""
    try:
        yield
    except (OSError, ValueError) as error:
        # ValueError: no file name can have one of the characters
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{name} could not be {done}: {reason}{remedy}.") from error
