"""Contestants in processes of their own, that take turns.

Each family of contestants (those of one library) has a process, started with as many
cores and threads as it may use, so that no thread pool is in another's way and nothing
is limited after the fact. Only one process computes at a time.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import product
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import secant
from timing import Contest, Effort, Samples, turn

# seconds, after which the threads of the process before no longer spin, waiting for
# work
REST = 0.1
Result = TypeVar("Result")


class Step(NamedTuple):
    """What a contestant repeats, and how many iterations, or what part of one, that
    is.
    """

    call: Callable[[], object]
    iterations: float = 1
    cold: bool = False
    """Whether the system may have taken its data out of memory: then the first of two
    turns does not count.
    """


Family = Callable[[], dict[str, Step]]
"""Makes the contestants of one library, their answers checked.

It is pickled, and called in their process.
"""


class MissingLibraryError(Exception):
    """What a family needs is not installed, or does not offer what is measured."""


def race(families: dict[str, Family], threads: int, effort: Effort) -> Contest:
    """Let all contestants take turns of 50 ms on ``threads`` cores, in fresh processes:
    one launch.

    Samples are seconds per iteration: on one thread CPU time, of all threads of the
    process; on more, what passes.
    """
    missing: dict[str, str] = {}
    with _started(families, threads, missing) as processes:
        samples: Samples = {name: [[]] for _, names in processes for name in names}
        for _, (connection, names) in product(range(effort.rounds), processes):
            time.sleep(REST * (threads > 1))
            # not counted: a process that has waited is slow for longer than a warm-up
            _turn(connection, names[0])
            for name in names:
                samples[name][0].append(_turn(connection, name))
    return {"samples": samples, "missing": missing}


def apart(threads: int, function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a fresh process, on ``threads`` cores."""
    with _limited_to(threads):
        return _in_fresh_process(function, *arguments)


def side_by_side(
    calls: dict[str, Callable[[], Result]], absent: tuple[type[Exception], ...]
) -> dict[str, Result]:
    """Call functions in fresh processes, on one core each, as many at a time as there
    are cores.

    Those that raise one of ``absent`` are left out.
    """
    free: SimpleQueue[int] = SimpleQueue()
    for core in _cores() or [0]:
        free.put(core)

    def attempt(call: Callable[[], Result]) -> Result | None:
        core = free.get()
        try:
            return _in_fresh_process(partial(_on_core, core, call))
        except absent:
            return None
        finally:
            free.put(core)

    with _limited_to(1), ThreadPoolExecutor(free.qsize()) as pool:
        results = list(pool.map(attempt, calls.values()))
    return {
        name: result
        for name, result in zip(calls, results, strict=True)
        if result is not None
    }


def _in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _on_core(core: int, call: Callable[[], Result]) -> Result:
    if _cores():
        os.sched_setaffinity(0, {core})
    return call()


def _cores() -> list[int]:
    """Those that may be used; none known where processes cannot be bound to them."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


@contextmanager
def _started(
    families: dict[str, Family], threads: int, missing: dict[str, str]
) -> Iterator[list[tuple[Connection, list[str]]]]:
    context = multiprocessing.get_context("spawn")
    started: list[tuple[str, Connection, Any]] = []
    for family, make in families.items():
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_take_turns, args=(theirs, make, threads), daemon=True
        )
        with _limited_to(threads, first_core=len(started)):
            process.start()
        theirs.close()
        started.append((family, ours, process))
    processes = []
    try:
        for family, connection, _ in started:
            try:
                processes.append((connection, _answer(connection)))
            except MissingLibraryError as reason:
                missing[family] = str(reason)
        yield processes
    except BaseException:
        for _, _, process in started:
            process.kill()  # it may have long to go, and does not look at Ctrl-C
        raise
    finally:
        for _, connection, process in started:
            connection.close()
            process.join()


def _turn(connection: Connection, name: str) -> float:
    connection.send(name)
    return float(_answer(connection))


def _answer(connection: Connection) -> Any:
    answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _take_turns(connection: Connection, make: Family, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    clock = time.process_time if threads == 1 else time.perf_counter
    try:
        steps = make()
        connection.send(list(steps))
        while True:
            step = steps[connection.recv()]
            if step.cold:
                turn(step.call, 0.05, clock)
            connection.send(turn(step.call, 0.05, clock) / step.iterations)
    except EOFError:
        pass
    except (ImportError, secant.errors.UnsupportedError) as error:
        connection.send(MissingLibraryError(str(error)))
    except Exception:
        connection.send(RuntimeError(traceback.format_exc()))


@contextmanager
def _limited_to(threads: int, first_core: int = 0) -> Iterator[None]:
    """Processes started now may use so many cores, and their thread pools have so many
    threads.
    """
    pools = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    )
    before, known = dict(os.environ), _cores()
    os.environ.update(dict.fromkeys(pools, str(threads)))
    if known:
        os.sched_setaffinity(
            0, {known[(first_core + i) % len(known)] for i in range(threads)}
        )
    try:
        yield
    finally:
        if known:
            os.sched_setaffinity(0, known)
        os.environ.clear()
        os.environ.update(before)
