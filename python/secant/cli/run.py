"""The command ``secant run``: a reader's script, unchanged. It needs neither typer nor another extra."""

import io
import os
import sys
import zipfile
from contextlib import suppress
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import NoReturn

from secant._startup import hand_over
from secant.book import runner


def run_script(script: str, arguments: list[str]) -> None:
    """Run a script with its arguments, as Python does."""
    if script == "-" or os.path.isdir(script):
        _refuse("the standard input" if script == "-" else f"the folder {script!r}")
    try:
        source = Path(script).read_bytes()
    except OSError as error:
        _say(f"error: can't open file {os.path.abspath(script)!r}: {error.strerror}")
        sys.exit(2)
    if zipfile.is_zipfile(io.BytesIO(source)) or source.startswith(MAGIC_NUMBER):
        _refuse(f"the archive or compiled file {script!r}")
    hand_over()
    runner.run(script, arguments, source, lambda text: _say(f"secant: {text}"))


def _refuse(what: str) -> NoReturn:
    _say(f"error: secant run takes a file of Python source, such as a __main__.py, got {what}")
    sys.exit(2)


def _say(text: str) -> None:
    """Print a line on the standard error that the process was started with, if it can be written."""
    with suppress(OSError, ValueError):
        if sys.__stderr__ is not None:
            print(text, file=sys.__stderr__, flush=True)
