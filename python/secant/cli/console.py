"""Standard output and standard error that a program may write to although they are closed, full or no longer read."""

import os
import sys
from typing import Literal, TextIO, cast

from secant._common.output import Output


def steady(name: Literal["stdout", "stderr"]) -> Output:
    """Replace a standard stream by an `Output`, and return that. One that is closed goes nowhere."""
    # A file that is opened later would else get the descriptor that is free, and what a library prints.
    stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    output = Output(stream)
    setattr(sys, name, cast(TextIO, output))
    return output


def say(text: str) -> None:
    """Print a line on standard output."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)
