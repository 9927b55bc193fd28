"""On how many threads a kernel runs. Each owns what it writes, so the result does not depend on their number."""

import os
import threading
from collections.abc import Callable
from typing import Any

import numba

_ENOUGH_FOR_THREADS = 30_000_000
"""Multiplications, some milliseconds: less is not worth starting threads."""


def max_threads() -> int:
    """How many threads a call uses by default: NUMBA_NUM_THREADS, by default the number of processors."""
    return min(int(numba.config.NUMBA_NUM_THREADS), max(64, os.cpu_count() or 1))


def choose_threads(asked: int, multiplications: int) -> int:
    """How many threads to use if ``asked`` are wanted; 0 stands for the default."""
    return 1 if multiplications < _ENOUGH_FOR_THREADS else min(asked or max_threads(), max_threads())


def run(kernel: Callable[..., None], count: int, threads: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` for the parts of ``range(count)``, each in a thread of its own."""
    parts = max(1, min(threads, count))
    ends = [count * part // parts for part in range(parts + 1)]
    failures: list[BaseException] = []

    def work(part: int) -> None:
        try:
            kernel(ends[part], ends[part + 1], *arguments)
        except BaseException as error:
            failures.append(error)

    started = []
    for part in range(1, parts):
        thread = threading.Thread(target=work, args=(part,), daemon=True)
        try:
            thread.start()
            started.append(thread)
        except RuntimeError:  # the system has no more, or Python is about to end
            work(part)
    kernel(0, ends[1], *arguments)
    for thread in started:
        thread.join()
    if failures:
        raise failures[0]
