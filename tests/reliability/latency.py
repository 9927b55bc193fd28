"""How long Ctrl-C waits for its answer, in calls that take seconds."""

import os
import random
import signal
import threading
import time

from calls import KINDS, kinds, prepared
from launching import measured, report
from outcome import Outcome, joined

SECONDS = 0.1
PROMISE = f"Ctrl-C is answered within {SECONDS} s in every call, however large: 20,000 x 784-2000-10."
SAMPLES, HIDDEN = 20_000, 2000
MOST_SECONDS = 0.5


class Sender:
    """A thread that sends SIGINT after a while, and remembers when it did."""

    def __init__(self, seconds: float):
        self.seconds, self.sent = seconds, 0.0
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def send(self) -> None:
        time.sleep(self.seconds)
        self.sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)


def answers(backend: str, call: str, trials: str, seed: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    outcome, rng = Outcome(PROMISE, "signals"), random.Random(seed)
    work = prepared(backend, call, SAMPLES, HIDDEN)
    for _ in range(int(trials)):
        sender = None
        try:
            sender = Sender(rng.uniform(0.01, MOST_SECONDS))
            while True:
                work()
        except KeyboardInterrupt:
            waited = time.monotonic() - sender.sent
        outcome.add(f"{backend}, {call}", waited > SECONDS, waited / SECONDS, f"{waited:.2f} s")
        outcome.tried += 1
    report(outcome)


def run(trials: int, seed: int) -> Outcome:
    """As many Ctrl-C in each call of each backend."""
    parts = [measured(answers, backend, call, trials or 1, seed) for backend, call in (KINDS if trials else kinds(0))]
    return joined([Outcome(PROMISE, "signals"), *parts])
