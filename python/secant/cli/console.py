"""Standard output and standard error that may be written to even if they are closed,
full or no longer read.
"""

import os
import sys
from typing import Literal, TextIO, cast

from secant._common.output import Output

INTERRUPTED = 130
"""The exit code: what a shell reports for a process that SIGINT ended."""


def steady(name: Literal["stdout", "stderr"]) -> Output:
    """Replace a standard stream by an `Output`, and return that.

    What is written to a closed one is lost.
    """
    # Else a file that is opened later would get the free descriptor, and with it what a
    # library prints.
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


def table(*rows: tuple[str, ...]) -> None:
    """Print rows of a name and one or more cells, in 60 columns of a terminal."""
    line = "-" * 60
    say(line)
    for name, *cells in rows:
        say(
            f"{name:12}"
            + (
                cells[0]
                if len(cells) == 1
                else "".join(f"{cell:>12}" for cell in cells)
            )
        )
    say(line)
