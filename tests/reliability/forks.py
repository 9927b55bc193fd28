"""A child that is forked after parallel work, or during it, computes the same and does not hang."""

import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np
from launching import measured, report
from outcome import Outcome, joined

import secant
from secant.backends import BACKENDS

PROMISE = "A child forked after parallel work, or during it, computes the same bits as its parent, and does not hang."
HANGS = 10
MOST_SECONDS = 0.01


def work(backend: str) -> Callable[[], list[bytes]]:
    """The bits of two gradients, of a prediction and of some training, on two threads."""
    rng = np.random.RandomState(0)
    x, t = rng.uniform(size=(300, 120)), rng.randint(10, size=300)

    def bits() -> list[bytes]:
        net = secant.TwoLayerNet(120, 70, 10, rng=0, backend=backend)
        arrays = [*net.numerical_gradient(x, t, h=1e-5, n_threads=2).values(), net.predict(x)]
        arrays += net.gradient(x, t, n_threads=2).values()
        secant.train(net, x, t, x[:9], t[:9], n_iterations=5, h=1e-5, rng=2, progress=False, n_threads=2)
        return [array.tobytes() for array in (*arrays, *net.params.values())]

    return bits


def forked(bits: Callable[[], list[bytes]], expected: list[bytes]) -> bool:
    """Whether a child computes the same. One that hangs is ended by an alarm."""
    child = os.fork()
    if child == 0:
        right = False
        try:
            signal.alarm(HANGS)
            right = bits() == expected
        finally:
            os._exit(0 if right else 1)
    return os.waitpid(child, 0)[1] == 0


def children(backend: str, trials: str, seed: str) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: forking with threads may deadlock
    outcome, rng, bits = Outcome(PROMISE, "forks"), random.Random(seed), work(backend)
    expected, ended = bits(), threading.Event()

    def loop() -> None:
        while not ended.is_set():
            bits()

    for when in ("after", "during"):
        thread = threading.Thread(target=loop if when == "during" else bits)
        thread.start()
        for _ in range(int(trials)):
            time.sleep(rng.uniform(0, MOST_SECONDS))
            outcome.add(f"{backend}, {when}", not forked(bits, expected))
            outcome.add(f"{backend}, {when}, the parent", bits() != expected)
            outcome.tried += 1
        ended.set()
        thread.join()
        ended.clear()
    report(outcome)


def run(trials: int, seed: int) -> Outcome:
    """As many forks after the work, and as many during it, in each backend."""
    return joined([Outcome(PROMISE, "forks"), *(measured(children, name, trials, seed) for name in BACKENDS)])
