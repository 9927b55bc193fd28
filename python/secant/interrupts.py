"""Ctrl-C, held back while half of a change would be left behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back in a ``with`` block, in the main thread; a second one is not held.

    Yields
    ------
    callable
        To be called where an interrupt does no harm: lets one that was held back happen. So does the block's end.
    """
    previous: Any = signal.getsignal(signal.SIGINT)
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            previous(number, frame)
        held.append(number)

    def deliver() -> None:
        if held:
            previous(held.pop(), None)

    replaced = callable(previous) and threading.current_thread() is threading.main_thread()
    if replaced:
        signal.signal(signal.SIGINT, hold)
    try:
        yield deliver
    finally:
        if replaced:
            signal.signal(signal.SIGINT, previous)
    deliver()
