"""The command ``secant run``: a reader's script, unchanged.

It needs neither typer nor another extra.
"""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from secant.acceleration.recognition.methods import USUAL, MethodNames
from secant.book import runner

_NAME = re.compile("--(loss|numerical-gradient)(?:=(.*))?")


def split(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options before the script, and the script with its arguments.

    Without a script, what follows is an unknown option or "--help".
    """
    options, rest = dict[str, str](), list(arguments)
    while rest and (match := _NAME.fullmatch(rest[0])) and (match[2] or len(rest) > 1):
        options[match[1].replace("-", "_")] = match[2] or rest[1]
        rest = rest[1 if match[2] else 2 :]
    return options, rest or ["--help"]


def run_script(
    script: str,
    arguments: list[str],
    loss: str = USUAL.loss,
    numerical_gradient: str = USUAL.numerical_gradient,
) -> None:
    """Run a script with its arguments, as Python does.

    ``loss`` and ``numerical_gradient`` are the names of its networks' methods.
    """
    try:
        source = Path(script).read_bytes()
    except OSError as error:
        _say(f"error: can't open file {os.path.abspath(script)!r}: {error.strerror}")
        sys.exit(2)
    for option in filter(_NAME.fullmatch, arguments):
        _say(f"secant: {option} is passed to the script; put Secant's options first")
    runner.run(
        script,
        arguments,
        source,
        lambda text: _say(f"secant: {text}"),
        MethodNames(loss, numerical_gradient),
    )


def _say(text: str) -> None:
    """Print a line on the standard error that the process was started with, if it can
    be written.
    """
    with suppress(OSError, ValueError):
        if sys.__stderr__ is not None:
            print(text, file=sys.__stderr__, flush=True)
