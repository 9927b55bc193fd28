"""Ctrl-C in training, and alarms whose handlers raise: what is left behind is whole, and computing goes on."""

import os
import random
import signal
import threading
from collections.abc import Callable

import numpy as np
from calls import FOREVER
from launching import measured, report
from outcome import Outcome, joined

import secant
from secant.backends import BACKENDS

PROMISE = (
    "After Ctrl-C in training, parameters are those that the recorded losses lead to, bit for bit. However a signal "
    "ends a call, later calls compute the same bits as before."
)
MOST_SECONDS = 0.06
SIZES = (784, 50, 10)
SAMPLES = 1000


class Alarm(Exception):  # noqa: N818  it is no error
    """Raised by the handler."""


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(1)
    x = rng.uniform(size=(SAMPLES, SIZES[0])) * (rng.uniform(size=(SAMPLES, SIZES[0])) > 0.8)
    return x, np.arange(SAMPLES) % 10


class Training:
    """Training from the same start, again and again."""

    def __init__(self, backend: str):
        self.backend, (self.x, self.t) = backend, data()

    def run(self, iterations: int, history: secant.History) -> secant.TwoLayerNet:
        net = secant.TwoLayerNet(*SIZES, rng=0, backend=self.backend)
        self.net = net  # also when it is interrupted
        secant.train(
            net, self.x, self.t, self.x[:50], self.t[:50], n_iterations=iterations, rng=3, progress=False, n_threads=2,
            history=history,
        )  # fmt: skip
        return net

    def agrees(self, history: secant.History) -> bool:
        """Whether as many iterations, not interrupted, lead to the same losses and parameters."""
        interrupted, again = self.net, secant.History()
        if not history.train_loss_list:
            return same(interrupted.params, secant.TwoLayerNet(*SIZES, rng=0).params)
        whole = self.run(len(history.train_loss_list), again)
        return again.train_loss_list == history.train_loss_list and same(whole.params, interrupted.params)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(one[name].tobytes() == other[name].tobytes() for name in other)


def train_until_interrupted(seconds: float, training: Training) -> secant.History:
    """The record of a run that Ctrl-C ended."""
    history = secant.History()
    training.net = secant.TwoLayerNet(*SIZES, rng=0, backend=training.backend)
    try:
        interrupt_soon(seconds)
        training.run(FOREVER, history)
    except KeyboardInterrupt:
        pass
    return history


def interrupt_soon(seconds: float) -> None:
    """Ctrl-C after a while: from another thread, to the process."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()


def interrupts(backend: str, trials: str, seed: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    outcome, rng, training = Outcome(PROMISE, "signals"), random.Random(seed), Training(backend)
    training.run(3, secant.History())
    for _ in range(int(trials)):
        seconds = rng.uniform(0, MOST_SECONDS)
        history = train_until_interrupted(seconds, training)
        outcome.add(f"{backend}, Ctrl-C in train", not training.agrees(history), example=f"after {seconds} s")
        outcome.tried += 1
    report(outcome)


def ring(*_: object) -> None:
    raise Alarm


def until_alarm(seconds: float, work: Callable[[], object]) -> None:
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            work()
    except Alarm:
        pass


def alarms(backend: str, trials: str, seed: str) -> None:
    """In single calls, which must then give what they always gave."""
    signal.signal(signal.SIGALRM, ring)
    outcome, rng, training = Outcome(PROMISE, "signals"), random.Random(seed), Training(backend)
    net, (x, t) = training.run(3, secant.History()), data()
    calls = {
        "predict": lambda: {"y": net.predict(x)},
        "numerical_gradient": lambda: net.numerical_gradient(x, t, n_threads=2),
        "gradient": lambda: net.gradient(x, t, n_threads=2),
    }
    expected = {name: call() for name, call in calls.items()}
    for trial in range(int(trials)):
        seconds, name = rng.uniform(1e-4, MOST_SECONDS), [*calls][trial % 3]
        until_alarm(seconds, calls[name])
        right = same(calls[name](), expected[name])
        outcome.add(f"{backend}, alarm in {name}", not right, example=f"after {seconds} s")
        outcome.tried += 1
    report(outcome)


def run(trials: int, seed: int) -> Outcome:
    """As many Ctrl-C, and as many alarms, in each backend."""
    parts = [measured(what, name, trials, seed) for what in (interrupts, alarms) for name in BACKENDS]
    return joined([Outcome(PROMISE, "signals"), *parts])
