"""What a training run shows while it runs: a line an epoch and, on a terminal, a live bar below them.

The bar is redrawn ten times a second at most, by the loop itself and by no thread: between two redraws it costs a
look at the clock. rich is imported when a bar is drawn.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_REDRAW_SECONDS = 0.1


class Display:
    """Shows nothing. What it does not show, the others do."""

    def iteration(self, done: int, loss: float) -> None:
        """Take notice of how far the run has come.

        Parameters
        ----------
        done : int
            The number of iterations so far, many more than before or one.
        loss : float
            The loss of the last one's mini-batch.
        """

    def epoch(self, train_acc: float, test_acc: float) -> None:
        """Take notice of the accuracies on the training and on the test set."""

    def compiling(self) -> None:
        """Take notice that the next iteration waits for a compiler."""


class Lines(Display):
    """Prints the chapter's line each epoch, for logs and files."""

    def epoch(self, train_acc: float, test_acc: float) -> None:
        """Print it."""
        print(_line(train_acc, test_acc), flush=True)


class Bar(Display):
    """Draws a live bar below the chapter's lines.

    Parameters
    ----------
    progress : rich.progress.Progress
        With columns for the fields ``loss``, ``accuracies`` and ``speed``; started, and not refreshed by itself.
    total : int
        The number of iterations.
    """

    def __init__(self, progress: "Progress", total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total, loss="", accuracies="", speed="")
        self._total = total
        self._start = self._drawn = time.monotonic()
        self._compiling = False

    def iteration(self, done: int, loss: float) -> None:
        """Redraw the bar, if it is time to."""
        now = time.monotonic()
        if self._compiling:  # that time is not the iterations'
            self._compiling, self._start = False, now
        if now - self._drawn < _REDRAW_SECONDS and done < self._total:
            return
        self._drawn = now
        speed = _speed(done / max(now - self._start, 1e-9))
        self._progress.update(self._task, completed=done, loss=f"loss {loss:.4f}", speed=speed, refresh=True)

    def epoch(self, train_acc: float, test_acc: float) -> None:
        """Print the line above the bar."""
        self._progress.update(self._task, accuracies=f"acc {train_acc:.4f}, {test_acc:.4f}")
        self._progress.console.print(_line(train_acc, test_acc), markup=False, highlight=False, soft_wrap=True)

    def compiling(self) -> None:
        """Say so in the bar."""
        self._compiling = True
        self._progress.update(self._task, speed="compiling", refresh=True)


@contextmanager
def display(total: int, wanted: bool) -> Iterator[Display]:
    """Show a run of ``total`` iterations on standard output.

    Parameters
    ----------
    total : int
        The number of iterations.
    wanted : bool
        Otherwise nothing is shown.

    Yields
    ------
    Display
        To be told of the iterations, many at a time or one, and of each epoch. A bar on a terminal, else lines.
    """
    console = _terminal() if wanted else None
    if console is None:
        yield Lines() if wanted else Display()
        return
    with _progress(console) as progress:
        yield Bar(progress, total)


def _terminal() -> "Console | None":
    """Return a console on standard output, if that is a terminal whose cursor moves."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    from rich.console import Console

    console = Console()
    return console if console.is_terminal and not console.is_dumb_terminal else None


def _progress(console: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[accuracies]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        expand=True,
    )


def _line(train_acc: float, test_acc: float) -> str:
    return f"train acc, test acc | {train_acc:.4f}, {test_acc:.4f}"


def _speed(rate: float) -> str:
    return f"{rate:,.0f} it/s" if rate >= 10 else f"{rate:.2g} it/s"
