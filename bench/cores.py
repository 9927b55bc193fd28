"""Whether two cores work together as well as they can.

The cores of a virtual machine are moved about: for minutes they may be far from each other, and what one writes takes
several times as long to reach the other, or a neighbor takes one of them. Each alone is as fast as ever, but threads
that share work are not. So two processes hand a byte to and fro: slow is what takes longer than it once did.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

BURSTS, HANDOVERS = 15, 400
MARGIN = 1.5
"""A handover is slow if it takes so many times as long as it can."""
PATIENCE = 90.0
"""Seconds to wait for it, in all."""


class Best:
    """The least seconds that a handover took since this process began, and how long it may yet wait for that again."""

    seconds = float("inf")
    patience = PATIENCE


def disturbed(seconds: float) -> bool:
    """Whether a handover took longer than it has to."""
    return seconds > MARGIN * Best.seconds


class Pair:
    """A byte that this process and another have in common, each on a core of its own."""

    def __init__(self, byte: Any, connection: Connection, core: int) -> None:
        self._byte, self._connection, self._core = byte, connection, core

    def undisturbed(self) -> float:
        """Wait until a handover is as fast as it was, while there is patience; return the seconds it takes."""
        while disturbed(seconds := self.seconds()) and Best.patience > 0:
            time.sleep(1)
            Best.patience -= 1
        return seconds

    def seconds(self) -> float:
        """How long a handover takes."""
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._core})
        try:
            self._connection.send(None)
            seconds = median(_hand_over(self._byte) for _ in range(BURSTS))
            Best.seconds = min(Best.seconds, seconds)
            return seconds
        finally:
            os.sched_setaffinity(0, cores)


@contextmanager
def paired() -> Iterator[Pair | None]:
    """Another process to hand a byte to; none where processes cannot be bound to cores, or there is but one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    byte = context.RawArray("b", 1)
    ours, theirs = context.Pipe()
    process = context.Process(target=_hand_back, args=(byte, theirs, cores[1]), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()  # it is on its core
        yield Pair(byte, ours, cores[0])
    finally:
        process.kill()
        process.join()


def _hand_over(byte: Any) -> float:
    start = time.perf_counter()
    for _ in range(HANDOVERS):
        byte[0] = 1
        while byte[0]:
            pass
    return (time.perf_counter() - start) / HANDOVERS


def _hand_back(byte: Any, connection: Connection, core: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    os.sched_setaffinity(0, {core})
    connection.send(None)
    while True:  # until it is killed
        connection.recv()
        for _ in range(BURSTS * HANDOVERS):
            while not byte[0]:
                pass
            byte[0] = 0
