"""The progress bar of all work that takes long, with the time left: in a terminal or a
notebook, and never in a pipe.

Design: tqdm draws it. The work itself redraws it, and no thread. A bar may fail and the
work goes on: one whose output is closed, full or no longer read falls silent. tqdm is
imported when a bar is drawn; without it there is none.
"""

import importlib
import os
import sys
import threading
import warnings
from typing import Any, Self, TextIO

from secant._common.output import Output

# of a training with its lines, which redraw the bar too: ten times a second
_REDRAW_SECONDS = 0.125
_DELAY_SECONDS = 0.5  # shorter work has no bar
_LAYOUT = "{desc}{bar} {n_fmt}/{total_fmt} {remaining} left"  # fits in 60 columns


class Progress:
    """Shows the progress of some work on standard error, within a ``with`` block."""

    def __init__(self, wanted: bool) -> None:
        self._output = (
            Output(sys.stderr)
            if wanted and sys.stderr is not None and can_redraw(sys.stderr)
            else None
        )
        self._bar: Any = None
        self._name = ""

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show that ``done`` of the ``total`` steps of the work called ``name`` are
        done.
        """
        if self._output is None:
            return
        if name != self._name:
            self.close()
            self._name = name
            self._bar = bar(
                total,
                self._output,
                _LAYOUT,
                desc=f"{name} ",
                leave=False,
                delay=_DELAY_SECONDS,
            )
        if self._bar is not None:
            self._bar.update(min(done, total) - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self.close()

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    return "ipykernel.zmqshell" in sys.modules  # as tqdm asks


def can_redraw(stream: TextIO) -> bool:
    """Whether a stream goes to a notebook, or to a terminal whose cursor moves."""
    try:
        return in_notebook() or (
            stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        )
    except ValueError:  # it is closed
        return False


def bar(total: int, output: Output, layout: str, **options: Any) -> Any:
    """Return a bar of tqdm; None without tqdm, or if TQDM_DISABLE says so."""
    try:
        with warnings.catch_warnings(action="ignore"):  # that ipywidgets is missing
            tqdm = importlib.import_module("tqdm.auto").tqdm
        quiet: Any = type("Bar", (tqdm,), {"monitor_interval": 0})  # no thread
        quiet.set_lock(threading.RLock())  # tqdm's own may start a process
        made = quiet(
            total=total,
            file=output,
            dynamic_ncols=True,
            mininterval=_REDRAW_SECONDS,
            miniters=1,
            bar_format=layout,
            **options,
        )
    except (ImportError, OSError, ValueError):
        return None
    return None if made.disable else made
