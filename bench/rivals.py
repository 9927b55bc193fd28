"""Contestants in processes of their own, that take turns.

Each family of contestants (those of one library) has a process, started with as many cores and threads as it may use,
so that no thread pool is in another's way and nothing is limited after the fact. Only one process computes at a time.
"""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

import secant
from timing import Contest, Effort, turn

REST = 0.1  # seconds, after which the threads of the process before no longer spin, waiting for work
Result = TypeVar("Result")


class Step(NamedTuple):
    """What a contestant repeats, and how many iterations, or what part of one, that is."""

    call: Callable[[], object]
    iterations: float = 1


Family = Callable[[], dict[str, Step]]
"""Makes the contestants of one library, their answers checked. It is pickled, and called in their process."""


class MissingLibraryError(Exception):
    """What a family needs is not installed, or does not offer what is measured."""


def race(families: dict[str, Family], threads: int, effort: Effort) -> Contest:
    """Let all contestants take turns of 50 ms on ``threads`` cores, in fresh processes for each launch.

    Samples are seconds an iteration: on one thread CPU time, of all threads of the process; on more, what passes.
    """
    contest: Contest = {"samples": {}, "missing": {}}
    for launch in range(effort.launches):
        with _started(families, threads, contest["missing"]) as processes:
            for _ in range(effort.rounds):
                for connection, names in processes:
                    time.sleep(REST * (threads > 1))
                    for name in names:
                        connection.send(name)
                        launches = contest["samples"].setdefault(name, [[] for _ in range(effort.launches)])
                        launches[launch].append(_answer(connection))
    return contest


def apart(threads: int, function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a fresh process, on ``threads`` cores."""
    with _limited_to(threads), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@contextmanager
def _started(
    families: dict[str, Family], threads: int, missing: dict[str, str]
) -> Iterator[list[tuple[Connection, list[str]]]]:
    context = multiprocessing.get_context("spawn")
    started: list[tuple[str, Connection, Any]] = []
    for family, make in families.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_take_turns, args=(theirs, make, threads), daemon=True)
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
    finally:
        for _, connection, process in started:
            connection.close()
            process.join()


def _answer(connection: Connection) -> Any:
    answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _take_turns(connection: Connection, make: Family, threads: int) -> None:
    clock = time.process_time if threads == 1 else time.perf_counter
    try:
        steps = make()
        connection.send(list(steps))
        while True:
            step = steps[connection.recv()]
            connection.send(turn(step.call, 0.05, clock) / step.iterations)
    except EOFError:
        pass
    except (ImportError, secant.UnsupportedError) as error:
        connection.send(MissingLibraryError(str(error)))
    except Exception:
        connection.send(RuntimeError(traceback.format_exc()))


@contextmanager
def _limited_to(threads: int, first_core: int = 0) -> Iterator[None]:
    """Processes started now may use so many cores, and their thread pools have so many threads."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = dict(os.environ)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    os.environ.update(dict.fromkeys(pools, str(threads)))
    if cores:
        os.sched_setaffinity(0, {cores[(first_core + i) % len(cores)] for i in range(threads)})
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        os.environ.clear()
        os.environ.update(before)
