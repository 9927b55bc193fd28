"""Timing that can be compared: every contestant in turn, round after round, and the median of each."""

import time
from collections.abc import Callable
from statistics import median


def interleaved(contestants: dict[str, Callable[[], object]], rounds: int, shortest: float = 0.05) -> dict[str, float]:
    """Seconds a call of each contestant: the median over rounds, in each of which all take their turn.

    A turn repeats the call until ``shortest`` seconds have passed, after one call that is not counted.
    """
    turns: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            turns[name].append(_turn(call, shortest))
    return {name: median(times) for name, times in turns.items()}


def _turn(call: Callable[[], object], shortest: float) -> float:
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    if first > shortest:  # long enough to be its own warm-up
        return first
    calls = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < shortest:
        call()
        calls += 1
    return elapsed / calls
