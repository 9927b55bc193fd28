"""Standard output and standard error that a program may write to although they are closed, full or no longer read."""

import os
import sys
from typing import Any, Literal, TextIO, cast


class Output:
    """A stream that is silent once it has failed.

    Attributes
    ----------
    failure : OSError or None
        Why it failed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text, if that is possible."""
        if self.failure is None:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except OSError as error:
                self.failure = error
        return len(text)

    def flush(self) -> None:
        """Write what is kept back, if that is possible."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self.failure = error

    def __getattr__(self, name: str) -> Any:
        """Be the stream otherwise."""
        return getattr(self._stream, name)


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
    if sys.stderr is not None:  # print would take standard output
        print(text, file=sys.stderr, flush=True)
