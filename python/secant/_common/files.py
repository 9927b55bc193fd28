"""Writing a file so that a reader sees all of it or what was there before.

Design: only a regular file is ever replaced. A pipe, a terminal or another character device is opened and written to;
whatever else has the name, such as a folder or a disk, is refused.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

from secant.errors import DataError, DTypeError

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def cache_folder() -> str:
    """Return the platform's folder for what can be made or downloaded again."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~"), "secant", "Cache")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/secant")
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "secant")


def path_text(path: AnyPath) -> str:
    """Return a path as text.

    Raises
    ------
    DTypeError
        It is not a path.
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        raise DTypeError(f"path must be a str, bytes or os.PathLike, got {path!r}") from None


def write_file(path: AnyPath, content: bytes) -> None:
    """Write to a new file beside ``path`` and give it its name in one step; into ``path`` if that is a stream.

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
    DTypeError
        ``path`` is not a path.
    """
    name = path_text(path)
    with _named(name):
        if _is_stream(name):
            with open(name, "wb") as stream:
                stream.write(content)
        else:
            _replace(name, content)


def require_writable(path: AnyPath) -> None:
    """Raise the error that `write_file` would raise, as far as it can be known without writing."""
    import tempfile  # takes a while to import

    name = path_text(path)
    with _named(name):
        stream = _is_stream(name)
        _require_permission(name)
        if not stream:
            with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(name))):
                pass


def may_wait(path: AnyPath) -> bool:
    """Return whether `write_file` would write into a stream, and so may wait for a reader."""
    try:
        return _is_stream(path_text(path))
    except (OSError, ValueError):
        return False


@contextmanager
def readable(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a file to read it in a ``with`` block.

    Raises
    ------
    DataError
        The file cannot be opened, or not be read in the block.
    DTypeError
        ``path`` is not a path.
    """
    name = path_text(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(name, "rb"))
        except (OSError, ValueError) as error:
            raise _failure(name, "read", error) from error
        try:
            yield file
        except OSError as error:
            raise _failure(name, "read", error) from error


def _is_stream(name: str) -> bool:
    """Return whether something is to be written into, not replaced, and refuse what is neither stream nor file."""
    if not os.path.basename(name):
        raise OSError(0, "it names a folder")
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return True
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is not a regular file")
    return False


def _replace(name: str, content: bytes) -> None:
    import tempfile

    target = os.path.realpath(name)
    _require_permission(target)  # which replacing it does not need
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target), prefix=".secant-") as scratch:
        part = os.path.join(scratch, os.path.basename(target))
        with open(part, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileNotFoundError):
            os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(part, target)


def _require_permission(name: str) -> None:
    if os.path.exists(name) and not os.access(name, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn an error of the system into one that names the path."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _failure(name, "written", error, "; give another path") from error


def _failure(name: str, done: str, error: OSError | ValueError, remedy: str = "") -> DataError:
    """Return the error for a path. A ValueError means that a file name cannot have one of its characters."""
    return DataError(f"{name} could not be {done}: {getattr(error, 'strerror', None) or error}{remedy}.")
