"""Signals such as Ctrl-C, held back while half of a change would be left behind.

Design: a handler may raise at any instruction, also between those of this file. So a handler may be left over; outside
of its block, a leftover handler only forwards signals.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = tuple(map(int, signal.valid_signals()))


@contextmanager
def held_interrupts(*signals: int) -> Iterator[None]:
    """Hold signals back in a ``with`` block, in the main thread; a second Ctrl-C is not held.

    Parameters
    ----------
    *signals : int
        Which, of those that have a handler in Python: by default all of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    holder = _Holder()
    try:
        holder.replace(signals or _SIGNALS)
        yield
    finally:
        try:
            holder.restore()
        except BaseException:  # raised by a handler that was put back
            holder.holding = False
            holder.restore()
            raise
        finally:
            holder.holding = False
            holder.deliver()


class _Holder:
    """Takes the place of handlers."""

    def __init__(self) -> None:
        self.holding = True
        self._handlers: dict[int, Any] = {}
        self._held: dict[int, FrameType | None] = {}

    def replace(self, signals: tuple[int, ...]) -> None:
        """Take the place of the handlers of some signals, where they are Python's."""
        for number in signals:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._handle)

    def restore(self) -> None:
        """Put the handlers back, unless there is another by now."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)

    def deliver(self) -> None:
        """Call the handlers of the signals that were held back: all of them, even if one raises."""
        try:
            if self._held:
                number, frame = self._held.popitem()
                self._handlers[number](number, frame)
        finally:
            if self._held:
                self.deliver()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.holding and not (number == signal.SIGINT and number in self._held):
            self._held[number] = frame
        else:
            self._handlers[number](number, frame)
