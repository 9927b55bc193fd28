"""Run the reader's code without visible effects: its output, its warnings and its random draws are hidden.

Design: streams and warning filters belong to the whole process, so what replaces them asks `being_tried` which thread
it serves. Random generators belong to all threads as well: their state is restored.
"""

import contextlib
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from secant._common.trial import being_tried

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def isolated_globals() -> Iterator[None]:
    """Run the reader's code without its output and its warnings, and restore the random generators."""
    with _ONE_AT_A_TIME:
        state, state_of_numpy = random.getstate(), np.random.get_state()
        filters, token = cast(Any, warnings).filters, being_tried.set(True)
        # A list of its own: another thread may be going through the other one.
        ours = cast(Any, warnings).filters = [_IGNORED, *filters]
        try:
            with _withheld("stdout"), _withheld("stderr"), np.errstate(all="ignore"):
                yield
        finally:
            if warnings.filters is ours:
                cast(Any, warnings).filters = filters
            being_tried.reset(token)
            random.setstate(state)
            np.random.set_state(state_of_numpy)


class _OfThisThread(type):
    def __subclasscheck__(cls, category: type) -> bool:
        return being_tried.get()


class _BeingTried(Warning, metaclass=_OfThisThread):
    """Any warning of code that is tried."""


_IGNORED = ("ignore", None, _BeingTried, None, 0)


@contextlib.contextmanager
def _withheld(name: str) -> Iterator[None]:
    """Replace a stream of `sys` by one that drops what this thread writes."""
    stream = getattr(sys, name)
    ours = _Withheld(stream)
    setattr(sys, name, ours)
    try:
        yield
    finally:
        if getattr(sys, name) is ours:
            setattr(sys, name, stream)


class _Withheld:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what others print."""
        return len(text) if being_tried.get() or self._stream is None else cast(int, self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def always_draws_numbers(call: Callable[[], object]) -> bool:
    """Whether each of three calls draws from Python's or NumPy's global generator: one draw may be another thread's."""
    return all(draws_numbers(call) for _ in range(3))


def draws_numbers(call: Callable[[], object]) -> bool:
    """The same for one call. It is also True if another thread draws meanwhile."""
    before = _generators()
    call()
    return before != _generators()


def _generators() -> tuple[Any, ...]:
    """The state of both generators, to be compared."""
    _, key, *rest = cast(Any, np.random.get_state())
    return random.getstate(), key.tobytes(), rest
