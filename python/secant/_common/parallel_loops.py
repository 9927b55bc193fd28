"""Parallel loops that Numba has compiled: two threads that run one at once end the
process, by its simplest layer.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

one_at_a_time = threading.RLock()


def in_turn(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with parallel loops that waits for those of other threads."""

    @functools.wraps(function)
    def waiting(*arguments: Any) -> Any:
        with one_at_a_time:
            return function(*arguments)

    return waiting
