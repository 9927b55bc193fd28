"""The interpreter exits, or Ctrl-C ends it, while a daemon thread computes in a backend."""

import contextlib
import random
import signal
import subprocess
import threading
import time

from calls import KINDS, prepared, turns
from launching import command, environment, launch
from outcome import Outcome

PROMISE = (
    "A program may end while a daemon thread computes: exit code 0, nothing on stderr; and Ctrl-C while it waits for "
    "that thread ends it by KeyboardInterrupt. In up to 2 %, where it comes as Python begins to "
    "wait or that thread starts others, Python needs a second one: nothing wakes its main thread."
)
RATES = {": exit": 0.0, ": Ctrl-C": 0.0}
LOST, LOST_OF_FEW = 0.02, 0.1
ENOUGH = 100  # trials to tell a rate
PATIENCE = 10
MOST_SECONDS = 0.05
BY_CTRL_C = (-signal.SIGINT, 128 + signal.SIGINT, 1)


def begin(backend: str, call: str) -> threading.Thread:
    """Start a daemon thread that computes, and return once it does."""
    work, begun = prepared(backend, call), threading.Event()

    def loop() -> None:
        begun.set()
        while True:
            work()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    begun.wait()
    return thread


def leave(backend: str, call: str, seconds: str) -> None:
    begin(backend, call)
    time.sleep(float(seconds))


def wait(backend: str, call: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell has set
    thread = begin(backend, call)
    print("begun", flush=True)
    thread.join()


def interrupted(backend: str, call: str, seconds: float) -> tuple[int, str, int]:
    """The exit code and stderr of a process that waits for its thread and gets Ctrl-C, and how many it took."""
    with subprocess.Popen(
        command(wait, backend, call), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            process.stdout.readline()
            time.sleep(seconds)
            for count in (1, 2):
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _, errors = process.communicate(timeout=PATIENCE)
                    return process.returncode, errors, count
            return 0, f"no answer within {2 * PATIENCE} s", 2
        finally:
            process.kill()


def run(trials: int, seed: int) -> Outcome:
    """For every trial an exit and a Ctrl-C; the calls of all backends in turn."""
    allowed = RATES | {"the first Ctrl-C": LOST if trials >= ENOUGH else LOST_OF_FEW}
    outcome, rng = Outcome(PROMISE, "exits", allowed=allowed), random.Random(seed)
    for backend, call in turns(KINDS, trials, rng):
        done = launch(leave, backend, call, rng.uniform(0, MOST_SECONDS))
        bad = (done.returncode, done.stderr) != (0, "")
        outcome.add(f"{backend}, {call}: exit", bad, example=f"{done.returncode}: {done.stderr[-300:]}")
        code, errors, count = interrupted(backend, call, rng.uniform(0, MOST_SECONDS))
        bad = code not in BY_CTRL_C or not errors.endswith("KeyboardInterrupt\n")
        outcome.add(f"{backend}, {call}: Ctrl-C", bad, example=f"{code}: {errors[-300:]}")
        outcome.add("the first Ctrl-C", count > 1, example=f"{backend}, {call}: it took a second Ctrl-C")
        outcome.tried += 2
    return outcome
