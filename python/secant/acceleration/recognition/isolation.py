"""Run the reader's code without visible effects: its output, its warnings and its random draws are hidden.

Design: streams and warning filters belong to the whole process, so what stands in for them asks `being_tried` which
thread it serves. Another thread may keep hold of it, so it does no harm afterwards. Random generators belong to all
threads as well: their state is restored, unless another thread draws from them.
"""

import contextlib
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from secant._common.trial import being_tried
from secant.errors import UnsupportedError

_ONE_AT_A_TIME = threading.RLock()
_LONGEST_WAIT = 60.0  # seconds
_WAITS, _WAIT_SECONDS = 20, 0.002  # in which another thread is seen to draw


class Trial:
    """What is known of the code that is tried."""

    may_draw = True  # from the global generators


@contextlib.contextmanager
def isolated_globals() -> Iterator[Trial]:
    """Run the reader's code without its output and its warnings, and restore the random generators.

    Raises
    ------
    UnsupportedError
        If it ends the program.
    TimeoutError
        If other code is tried for too long, such as code whose threads wait to be tried themselves.
    """
    with _one_at_a_time():
        state, before, trial, token = _states(), _generators(), Trial(), being_tried.set(True)
        _ignore_warnings()
        try:
            with _withheld("stdout"), _withheld("stderr"), np.errstate(all="ignore"):
                yield trial
        except SystemExit as error:
            if _is_of_a_signal(error):
                raise
            raise UnsupportedError(
                f"it ends the program, by SystemExit({error.code!r}), where it is tried out"
            ) from error
        finally:
            being_tried.reset(token)
            if before != _generators() and (_alone() or (trial.may_draw and not _others_draw())):
                random.setstate(state[0])
                np.random.set_state(state[1])


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _ONE_AT_A_TIME.acquire(timeout=_LONGEST_WAIT):
        raise TimeoutError("another network is being tried out, which takes too long or waits for this one")
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


def _is_of_a_signal(error: SystemExit) -> bool:
    """Whether a signal handler ends the program."""
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()} - {None}
    return any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__))


class _OfThisThread(type):
    def __subclasscheck__(cls, category: type) -> bool:
        return being_tried.get()


class _BeingTried(Warning, metaclass=_OfThisThread):
    """Any warning of code that is tried."""


_IGNORED = ("ignore", None, _BeingTried, None, 0)


def _ignore_warnings() -> None:
    """Ignore warnings of code that is tried.

    The filter stays, for it does nothing else: to take it out would undo what another thread has done to the list, or
    have it skip a filter.
    """
    filters = cast(Any, warnings).filters
    if filters[:1] != [_IGNORED]:
        filters.insert(0, _IGNORED)


@contextlib.contextmanager
def _withheld(name: str) -> Iterator[None]:
    """Replace a stream of `sys` by one that drops what this thread writes.

    Nothing is called between a look and a replacement: there Python may change to a thread that redirects the stream.
    """
    streams, ours = vars(sys), _Withheld()
    if isinstance(streams[name], _Withheld):  # which another thread has put back
        yield
        return
    ours.stream = streams[name]
    streams[name] = ours
    try:
        yield
    finally:
        if streams[name] is ours:
            streams[name] = ours.stream


class _Withheld:
    stream: Any

    def write(self, text: str) -> int:
        """Write what others print."""
        return len(text) if being_tried.get() or self.stream is None else cast(int, self.stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def always_draws_numbers(call: Callable[[], object]) -> bool:
    """Whether each of three calls draws from Python's or NumPy's global generator, and no other thread does.

    If one does, random streams differ from run to run, and nobody misses a draw.
    """
    return all(draws_numbers(call) for _ in range(3)) and not _others_draw()


def draws_numbers(call: Callable[[], object]) -> bool:
    """Whether a generator moves in one call. It may also have been moved by another thread."""
    before = _generators()
    call()
    return before != _generators()


def _others_draw() -> bool:
    """Whether another thread draws: the generators move while this one waits."""
    before = _generators()
    for _ in range(0 if _alone() else _WAITS):
        time.sleep(_WAIT_SECONDS)
        if before != _generators():
            return True
    return False


def _alone() -> bool:
    """Whether there is no other thread of Python."""
    return len(sys._current_frames()) == 1


def _states() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()


def _generators() -> tuple[Any, ...]:
    """The state of both generators, to be compared."""
    python, (_, key, *rest) = _states()
    return python, key.tobytes(), rest
