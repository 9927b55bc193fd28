"""Writing a file so that a reader sees all of it or what was there before."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write to a new file beside ``path``, and give it its name in one step.

    Parameters
    ----------
    path : str or path-like
        The file; a link is followed. It gets the permissions of any new file.
    content : bytes
        All that it will hold.

    Raises
    ------
    OSError
        The file cannot be written. What ``path`` held before is still there.
    """
    target = Path(os.path.realpath(path))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".secant-") as scratch:
        part = Path(scratch, target.name)
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
