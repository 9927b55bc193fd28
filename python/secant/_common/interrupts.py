"""Ctrl-C, held back while half of a change would be left behind.

Other signals end a call wherever they come.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back in a ``with`` block, in the main thread; a second one is not
    held.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(
        handler
    ):
        yield
        return
    waiting: list[FrameType | None] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if waiting:
            handler(number, frame)
        else:
            waiting.append(frame)

    try:
        signal.signal(signal.SIGINT, hold)
        yield
    finally:
        # else the block has set another one
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, handler)
        if waiting:
            handler(signal.SIGINT, waiting[0])
