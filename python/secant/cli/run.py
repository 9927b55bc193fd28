"""The command ``secant run``: a reader's script, unchanged. It needs neither typer nor another extra."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from secant._startup import hand_over
from secant.book import runner


def run_script(script: str, arguments: list[str]) -> None:
    """Run a script with its arguments, as Python does."""
    try:
        source = Path(script).read_bytes()
    except OSError as error:
        _say(f"error: can't open file {os.path.abspath(script)!r}: {error.strerror}")
        sys.exit(2)
    hand_over()
    runner.run(script, arguments, source, lambda text: _say(f"secant: {text}"))


def _say(text: str) -> None:
    """Print a line on the standard error that the process was started with, if it can be written."""
    with suppress(OSError, ValueError):
        if sys.__stderr__ is not None:
            print(text, file=sys.__stderr__, flush=True)
