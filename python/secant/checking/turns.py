"""Checks in several threads: those that shift copies run side by side, one that shifts
x itself runs alone.

An f that looks at x itself sees what another check shifts there: so while x is shifted,
no other check calls its f or reads its x, whether its x is the same or another array
that f looks at.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Who runs now. A thread never waits for itself: f may check something, too."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Let nobody run: also in a process that was forked, which has none of the
        other threads.
        """
        self._changed = threading.Condition()
        self._together = Counter[int]()  # checks of each thread
        self._alone: int | None = None  # the thread that shifts x itself

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run beside others, once no other thread runs alone."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._alone in (None, me))
            self._together[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._together[me] -= 1
                # leaves out those of threads that have ended
                self._together += Counter()
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run once no other thread runs."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(
                lambda: self._alone in (None, me) and not self._others_than(me)
            )
            before = self._alone
            self._alone = me
        try:
            yield
        finally:
            with self._changed:
                self._alone = before
                self._changed.notify_all()

    def _others_than(self, me: int) -> bool:
        return any(count for thread, count in self._together.items() if thread != me)


TURNS = Turns()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=TURNS.start)
