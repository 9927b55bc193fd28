"""Writing a file so that a reader sees all of it or what was there before.

Design: only a regular file is ever replaced. A pipe, a terminal or another character device is written into, and so is
the file that standard output or standard error goes to; whatever else there is under the name is refused.
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

_REFUSED = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a block device"}
_ENDS_OF_FOLDERS = tuple(filter(None, (os.sep, os.altsep)))


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
        It is no path.
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
        ``path`` is no path.
    """
    name = path_text(path)
    with _named(name):
        if _is_stream(name):
            with open(_opened(name), "wb") as stream:
                stream.write(content)
        else:
            write_atomically(name, content)


def require_writable(path: AnyPath) -> None:
    """Raise the error that `write_file` would raise, as far as it can be known without writing."""
    name = path_text(path)
    with _named(name):
        if _is_stream(name):
            _require_permission(name)
        else:
            import tempfile  # takes a while to import

            if os.path.exists(name):
                _require_permission(name)
            with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(name))):
                pass


def _require_permission(name: str) -> None:
    if not os.access(name, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


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
        ``path`` is no path.
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


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Do what `write_file` does with a regular file, and raise the system's own errors."""
    import tempfile

    target = os.path.realpath(path)
    if os.path.exists(target):
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


def _is_stream(name: str) -> bool:
    """Return whether a name is that of something to write into, and refuse what cannot be written at all."""
    if name.endswith(_ENDS_OF_FOLDERS):
        raise OSError(0, "it names a folder")
    try:
        status = os.stat(name)
    except FileNotFoundError:
        return False
    if refused := _REFUSED.get(stat.S_IFMT(status.st_mode)):
        raise OSError(0, f"it is {refused}")
    return not stat.S_ISREG(status.st_mode) or _own_output(status) is not None


def _opened(name: str) -> int:
    """Return a new descriptor of a stream."""
    own = _own_output(os.stat(name))
    return os.dup(own) if own is not None else os.open(name, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))


def _own_output(status: os.stat_result) -> int | None:
    """Return the descriptor of the standard stream that goes to this file: it continues there, and is not replaced."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(os.fstat(descriptor), status):
                return descriptor
        except OSError:  # it is closed
            pass
    return None


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn what the system says into an error that names the path."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _failure(name, "written", error, "; give another path") from error


def _failure(name: str, done: str, error: OSError | ValueError, remedy: str = "") -> DataError:
    """A ValueError is about a null character, or another that no file name has."""
    return DataError(f"{name} could not be {done}: {getattr(error, 'strerror', None) or error}{remedy}.")
