"""The interpreter exits, or Ctrl-C ends it, while a daemon thread computes in a backend."""

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

from calls import KINDS, prepared, turns
from launching import command, environment, launch
from outcome import Outcome

PROMISE = (
    "A program may end while a daemon thread computes: exit code 0, nothing on stderr; and Ctrl-C while it waits for "
    "that thread ends it by KeyboardInterrupt."
)
PATIENCE = 20
SECONDS_TO_JOIN = 1.0
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
    threading.Thread(target=tick, daemon=True).start()
    thread.join()


def tick() -> None:
    """Write the time again and again. Each time, this thread has the GIL."""
    while True:
        os.write(1, f"{time.monotonic()}\n".encode())
        time.sleep(0.01)


def wait_for_join(process: subprocess.Popen) -> None:
    """Return once the main thread waits for another, in the system.

    A signal that comes while Python is about to wait is noticed only with the next one. Python also waits without a
    time limit until another thread has the GIL that it gave away; but no longer than to the next tick.
    """
    system_call, before, since = Path(f"/proc/{process.pid}/syscall"), "", 0.0
    if not system_call.exists():
        time.sleep(SECONDS_TO_JOIN)
        return
    for line in process.stdout:
        call = system_call.read_text()
        without_limit = len(arguments := call.split()[1:]) > 3 and arguments[3] == "0x0"
        if call != before:
            before, since = call, time.monotonic()
        elif without_limit and float(line) > since:
            return


def interrupted(backend: str, call: str, seconds: float) -> tuple[int, str]:
    """The exit code and stderr of a process that waits for its thread, and gets Ctrl-C after a while."""
    with subprocess.Popen(
        command(wait, backend, call), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for_join(process)
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return 0, f"no answer within {PATIENCE} s"
        finally:
            process.kill()
    return process.returncode, errors


def run(trials: int, seed: int) -> Outcome:
    """For every trial an exit and a Ctrl-C; the calls of all backends in turn."""
    outcome, rng = Outcome(PROMISE, "exits"), random.Random(seed)
    for backend, call in turns(KINDS, trials, rng):
        done = launch(leave, backend, call, rng.uniform(0, MOST_SECONDS))
        bad = (done.returncode, done.stderr) != (0, "")
        outcome.add(f"{backend}, {call}: exit", bad, example=f"{done.returncode}: {done.stderr[-300:]}")
        code, errors = interrupted(backend, call, rng.uniform(0, MOST_SECONDS))
        bad = code not in BY_CTRL_C or not errors.endswith("KeyboardInterrupt\n")
        outcome.add(f"{backend}, {call}: Ctrl-C", bad, example=f"{code}: {errors[-300:]}")
        outcome.tried += 2
    return outcome
