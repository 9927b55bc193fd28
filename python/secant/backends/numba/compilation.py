"""How functions are compiled, where the result is cached, and on how many threads they run.

Without fast-math: a result may not depend on what the compiler makes of a sum. Division by zero is an infinity, not an
exception. Kernels release the GIL, so that Python answers Ctrl-C while one runs. Parallel ones run one at a time, for
Numba's simplest threading layer aborts the process when two threads call it.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from secant._common.files import cache_folder
from secant._common.parallel_loops import one_at_a_time
from secant.errors import MissingExtraError

try:
    import numba
    from numba.core import event
except ModuleNotFoundError:
    raise MissingExtraError("the backend 'numba' needs Numba: pip install 'secant[numba]'") from None
if numba.config.DISABLE_JIT:
    raise MissingExtraError("the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT")

# Set before Numba starts them: it would end the process if the system cannot create that many.
numba.config.NUMBA_NUM_THREADS = min(numba.config.NUMBA_NUM_THREADS, max(64, os.cpu_count() or 1))

_ENOUGH_FOR_THREADS = 30_000_000
"""Multiplications, about a millisecond: less is not worth waking threads."""

_forks: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(True))  # a child has none of its parent's threads


def max_threads() -> int:
    """How many threads a call uses by default: NUMBA_NUM_THREADS, by default the number of processors."""
    return int(numba.config.NUMBA_NUM_THREADS)


def choose_threads(asked: int, multiplications: int) -> int:
    """How many threads to use if ``asked`` are wanted; 0 stands for the default."""
    if _forks or multiplications < _ENOUGH_FOR_THREADS or not _can_start():
        return 1
    return min(asked or max_threads(), max_threads())


@cache
def _can_start() -> bool:
    """Whether all threads can be started. If one cannot, Numba would end the process."""
    end = threading.Event()
    try:
        for _ in range(max_threads() - 1):
            threading.Thread(target=end.wait).start()
    except RuntimeError:
        return False
    finally:
        end.set()
    return True


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled ones call."""
    return numba.njit(error_model="numpy")(function)


def compiled_choice(functions: Sequence[Callable[..., Any]]) -> Any:
    """Compile a function that calls the one whose number is its first argument, with the others."""
    first, rest = compiled(functions[0]), functions[1:]
    if len(rest) > 1:
        other = compiled_choice(rest)
        return compiled(lambda number, *given: first(*given) if number == 0 else other(number - 1, *given))
    other = compiled(rest[0])
    return compiled(lambda number, *given: first(*given) if number == 0 else other(*given))


class Kernel:
    """A prange over calls of one compiled function, itself compiled for one thread and, when needed, for several.

    Each call owns what it writes, so the result does not depend on the number of threads. The loop has nothing else in
    it: Numba takes memory out of parallel loops, where threads then share it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.serial, self.parallel = _kept(function, parallel=False), _kept(function, parallel=True)

    def __call__(self, threads: int, *arguments: Any) -> None:
        """Run it on ``threads`` threads."""
        if threads == 1:
            self.serial(*arguments)
            return
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            with one_at_a_time:
                self.parallel(*arguments)
        finally:
            numba.set_num_threads(before)


def _kept(function: Callable[..., Any], parallel: bool) -> Any:
    """Compile for all processes, where a folder can be written.

    Numba notices changes in the file of a function, not in those of what it calls, and does not tell parallel code from
    serial: so there is a folder for each, named after all sources.
    """
    folder, before = CACHE / ("parallel" if parallel else "serial"), numba.config.CACHE_DIR
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    numba.config.CACHE_DIR = str(folder)
    try:
        return numba.njit(cache=writable, parallel=parallel, error_model="numpy", nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before


def hash_of_sources() -> str:
    """A hash that changes with any file that is compiled."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "bound.py", here.parent / "activations.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


CACHE = Path(numba.config.CACHE_DIR or cache_folder()) / f"numba-{hash_of_sources()}"
"""Where compiled code is kept: NUMBA_CACHE_DIR, else the user's cache."""


@contextmanager
def compilation_noticed(notice: Callable[[], None]) -> Iterator[None]:
    """Call ``notice`` in a ``with`` block each time that Numba starts to compile; what is cached is not compiled."""
    with event.install_listener("numba:compile", _Listener(notice)):
        yield


class _Listener(event.Listener):  # type: ignore[misc]
    """Looks for the outermost of functions that are compiled for one another."""

    def __init__(self, notice: Callable[[], None]) -> None:
        self._notice = notice
        self._depth = 0

    def on_start(self, _: Any) -> None:
        """Take notice."""
        if self._depth == 0:
            self._notice()
        self._depth += 1

    def on_end(self, _: Any) -> None:
        """Take notice."""
        self._depth -= 1
