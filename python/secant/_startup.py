"""What must happen before anything else is imported: for the command ``secant``, and on
macOS.

Ctrl-C while the command is not running yet, or no longer, is one line and an exit code,
at once: an exception would come up anywhere in the imports that follow, and not all of
them let it through. And ``secant train`` and ``secant run`` have one thread in NumPy's
BLAS, which asks when it is loaded: matrices of a mini-batch are small, and on a busy
machine threads would wait for each other most of the time.

On macOS, PyTorch and scikit-learn come with a copy of libomp, as Secant does, and a
second copy ends the process unless a variable allows it. Each then has threads of its
own.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit code: what a shell reports for a process that SIGINT ended."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt in a ``with`` block, where there is something
    to keep.
    """
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        signal.signal(signal.SIGINT, _end)


def hand_over() -> None:
    """Let Ctrl-C be a KeyboardInterrupt from now on, as in any program of Python's."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def _is_command() -> bool:
    """Whether this is the console script, or ``python -m secant``, whose name is "-m"
    until runpy has found it.
    """
    name, options = (
        (getattr(sys, "argv", None) or [""])[0],
        getattr(sys, "orig_argv", []),
    )
    if name == "-m":
        before = options[options.index("secant") - 1] if "secant" in options else ""
        return before.startswith("-") and before.endswith("m")
    return os.path.basename(name) in ("secant", "secant.exe", "secant-script.py")


if _is_command():
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    if sys.argv[1:2] in (["train"], ["run"]):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if sys.platform == "darwin":
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
