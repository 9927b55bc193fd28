"""How long Ctrl-C waits for its answer, in calls that take seconds."""

import os
import random
import signal
import threading
import time

from calls import KINDS, prepared, turns
from launching import measured, report
from outcome import Outcome, joined

SECONDS = 0.1
PROMISE = (
    f"Ctrl-C is answered within {SECONDS} s in predict and gradients of 20,000 x 784-2000-10, and at the end of an "
    "iteration in training: 784-50-10, mini-batches of 100."
)
SAMPLES, HIDDEN, HIDDEN_IN_TRAINING = 20_000, 2000, 50
MOST_SECONDS = 0.5
EACH = 5


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
    work = prepared(backend, call, SAMPLES, HIDDEN_IN_TRAINING if call == "train" else HIDDEN)
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
    """Processes, each with some Ctrl-C in one call of one backend; all of them in turn."""
    kinds = turns(KINDS, trials, random.Random(seed))
    parts = [measured(answers, backend, call, EACH, seed) for backend, call in kinds]
    return joined([Outcome(PROMISE, "signals"), *parts])
