"""On how many threads a kernel runs. Each owns what it writes, so the result does not depend on their number."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
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
    if parts == 1:
        kernel(0, count, *arguments)
        return
    with ThreadPoolExecutor(parts) as pool:
        for result in [pool.submit(kernel, first, last, *arguments) for first, last in pairwise(ends)]:
            result.result()
