"""What a training run shows on standard output: the chapter's lines and, in a terminal
or a notebook, a bar.

Design: a display may fail, and the run goes on. If its output is closed, full or no
longer read, it stays silent. Without tqdm there are lines only.
"""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from secant._common.output import Output
from secant._common.progress import bar, can_redraw

_LINE_SECONDS = 0.5
# fits in 60 columns
_FORMAT = "{bar} {n_fmt}/{total_fmt} {remaining} {rate_fmt}{postfix}"


class Display:
    """Shows a run.

    Parameters
    ----------
    output : Output, optional
        Where the lines go; without it nothing is shown.
    below : tqdm, optional
        A bar, drawn below the lines.
    """

    def __init__(self, output: Output | None, below: Any = None) -> None:
        self._output, self._bar = output, below
        self._printed, self._waiting = -math.inf, ""

    def iteration(self, done: int, loss: float) -> None:
        """Show the number of iterations done, and the last loss."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self._bar.update(done - self._bar.n)

    def epoch(self, train_acc: float, test_acc: float | None) -> None:
        """Show the accuracies on the training set and, if there is one, on the test
        set.
        """
        names, values = "train acc", f"{train_acc:.4f}"
        if test_acc is not None:
            names, values = f"{names}, test acc", f"{values}, {test_acc:.4f}"
        self._waiting = f"{names} | {values}"
        if time.monotonic() - self._printed >= _LINE_SECONDS:
            self._print()

    def note(self, text: str) -> None:
        """Print something that the user should know."""
        self._line(f"note: {text}")

    def close(self) -> None:
        """Print the last line, if it is not there yet, and leave the bar as it is."""
        if self._waiting:
            self._print()
        if self._bar is not None:
            self._bar.close()

    def _print(self) -> None:
        line, self._waiting, self._printed = self._waiting, "", time.monotonic()
        self._line(line)

    def _line(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=self._output)
        elif self._output is not None:
            print(line, file=cast(TextIO, self._output), flush=True)


@contextmanager
def display(total: int, wanted: bool) -> Iterator[Display]:
    """Show a run of ``total`` iterations, if that is ``wanted``.

    Yield the object that is told of its progress.
    """
    output = Output(sys.stdout) if wanted and sys.stdout is not None else None
    shown = Display(
        output,
        bar(total, output, _FORMAT) if output and can_redraw(sys.stdout) else None,
    )
    try:
        yield shown
    finally:
        shown.close()
