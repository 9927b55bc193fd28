"""How compiled functions share their work between threads: all of threading, and none of Numba's threading layers.

Numba's layers abort the process when two threads of Python call them at once, or after a fork, depending on which of
them is installed. So the threads are Python's own: each runs the same compiled function, which needs no GIL and claims
tasks from a shared counter until there are none. The caller does not depend on help: a thread that never comes, because
the process was forked or has no more threads, leaves the tasks to the others. Each task owns what it writes, so the
result does not depend on who did which.

A thread that sleeps, be it for work or for the GIL, may not be back before a gradient is computed. So a helper stays in
compiled code for a while after its work, and looks whether a bell has been rung: a caller does that when it needs the
GIL no more.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from secant.backends.numba.compilation import inlined, intrinsic

_CLAIMED, _FINISHED, _RUNG = 0, 8, 16  # where tasks and rings are counted, in cache lines of their own


class Team(NamedTuple):
    """What threads need to share the tasks of a call."""

    counters: NDArray[np.int64]
    bell: NDArray[np.int64]
    leads: bool  # whether the thread is the caller's own
    patience: int  # how often it looks at the bell in the end


_MOST_THREADS = 64
_PATIENCE, _LONG_PATIENCE = 30_000, 3_000_000  # looks at a counter: about 10 and 1000 microseconds
_ENOUGH_FOR_THREADS = 500_000
"""A call of fewer multiplications is over before a second thread has started."""


def max_threads() -> int:
    """How many threads a call uses when it is not told: NUMBA_NUM_THREADS, by default the number of processors."""
    return int(config.NUMBA_NUM_THREADS)


def choose_threads(asked: int, multiplications: int) -> int:
    """How many threads to use where ``asked`` are wanted, 0 for no matter how many."""
    if asked:
        return min(asked, max(max_threads(), _MOST_THREADS))
    return max_threads() if multiplications >= _ENOUGH_FOR_THREADS else 1


def run(threads: int, call: Callable[[Team], None]) -> None:
    """Call a kernel here and in ``threads - 1`` other threads; all of its tasks are done then."""
    counters = np.zeros(24, np.int64)
    helpers = _helpers.ready(threads - 1)
    bell = _helpers.bell if helpers else counters
    patience = _LONG_PATIENCE if helpers < max_threads() else 0  # else there is no processor for it
    for _ in range(helpers):
        _helpers.work.put(partial(call, Team(counters, bell, False, patience)))
    call(Team(counters, bell, True, 0))


class _Helpers:
    """Threads that wait for work. One that comes too late finds no task left."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.bell = np.zeros(24, np.int64)
        self._started = 0

    def ready(self, wanted: int) -> int:
        """How many there are, of so many wanted."""
        with suppress(RuntimeError):  # no more can be started
            while self._started < wanted:
                Thread(target=self._help, name="secant", daemon=True).start()
                self._started += 1
        return min(self._started, wanted)

    def _help(self) -> None:
        while True:
            with suppress(MemoryError):  # no room for its own: that leaves the tasks to the others
                self.work.get()()


def _forget_helpers() -> None:
    global _helpers
    _helpers = _Helpers()


_helpers = _Helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)  # a child has none of its parent's threads


@intrinsic
def _atomic_add(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to an element that other threads change too; return what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def _atomic_load(typing_context: Any, array: Any, index: Any) -> Any:
    """An element that other threads change, with all that they wrote before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8)

    return types.int64(array, types.intp), generate


@intrinsic
def _give_way(typing_context: Any) -> Any:
    """Let another thread have the processor, if one waits for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if sys.platform != "win32":
            function = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, function, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@inlined
def join(team: Team) -> int:
    """Claim a first task: its number. There may be no such task."""
    if team.leads:
        team.counters[_RUNG] = _atomic_add(team.bell, _RUNG, 1) + 1
    number: int = _claim(team)
    return number


@inlined
def finish(team: Team) -> int:
    """Say that a claimed task is done, and claim another."""
    _atomic_add(team.counters, _FINISHED, 1)
    number: int = _claim(team)
    return number


@inlined
def _claim(team: Team) -> int:
    number: int = _atomic_add(team.counters, _CLAIMED, 1)
    return number


@inlined
def wait(team: Team, tasks: int) -> None:
    """Wait until so many are done."""
    looks = 0
    while _atomic_load(team.counters, _FINISHED) < tasks:
        looks += 1
        if looks > _PATIENCE:
            _give_way()


@inlined
def leave(team: Team, tasks: int) -> None:
    """Wait until all are done, and a helper for a while longer."""
    wait(team, tasks)
    looks = 0
    while looks < team.patience and _atomic_load(team.bell, _RUNG) == team.counters[_RUNG]:
        looks += 1
