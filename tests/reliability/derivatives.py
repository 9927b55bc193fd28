"""Gradients of any function: exceptions and Ctrl-C at random moments leave nothing changed, and error bars hold."""

import random
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import ways
from families import FAMILIES, in_float32
from hard_functions import CURVED, FUNCTIONS, SHAPES
from launching import measured, report
from outcome import Outcome, joined

import secant
from secant.differentiation.evaluators import c_pointer

INTERRUPTS = (
    "However an exception of f or a signal ends a derivative, x is what it was, bit for bit; nothing hangs, no thread "
    "or process is left behind, and the next result has the same bits as before."
)
ENTRIES = (
    "The error bar of an entry of `scheme='auto'` covers the truth in at least 99.9 % of the entries of each family of "
    "functions; in 99 % where a part of f is rounded so coarsely beside a fine one that few jumps are near x, where "
    "f is rounded and has values on one side of x only, or where x has few neighbors within a period of f."
)
HESSIANS = (
    "The error bar of an entry of `numerical_hessian` covers the truth in at least 99.9 % of the entries where f is "
    "smooth; in 99 % where it is rounded or noisy."
)
SECONDS = 0.004  # until a signal comes, at most
PATIENCE = 60.0
SIZES, FEW = (1, 2, 5, 20), (1, 2, 3, 5)
ENOUGH = 50_000  # entries to tell the rate of each family
AMBIGUOUS = "fine beside coarse", "rounded at an end", "sin at 1e12"
"""Where the coarse part hardly moves, f has a few jumps far from x, as in "small steps", where they are not meant: the
same values near x have two slopes, and no evaluations tell which."""


class Fault(BaseException):
    """Raised by f, or by the handler of a signal."""


class Faulty:
    """f that raises at one of its calls, in whatever thread."""

    def __init__(self, f, call):
        self.f, self.left, self.lock = f, call, threading.Lock()

    def __call__(self, x):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                raise Fault
        return self.f(x)


def run(trials: int, seed: int) -> Outcome:
    """In a process of their own, with a watch on it."""
    parts = [measured(interrupts, str(trials), str(seed), timeout=max(600, trials))]
    return joined([Outcome(INTERRUPTS, "derivatives"), *parts])


def interrupts(trials: str, seed: str) -> None:
    """Exceptions of f and signals; functions that are compiled raise nothing, so they get signals only."""
    c_pointer._ENOUGH_FOR_THREADS = 0.0
    outcome, rng = Outcome(INTERRUPTS, "derivatives"), random.Random(seed)
    signal.signal(signal.SIGALRM, _ring)
    start = np.random.RandomState(int(seed)).normal(size=(6, 8))
    with ThreadPoolExecutor(2) as pool:
        calls = {
            "plain": (ways.rosenbrock, {}),
            "plain, forward": (ways.rosenbrock, {"scheme": "forward"}),
            "plain, auto": (ways.rosenbrock, {"scheme": "auto"}),
            "stacks": (ways.rosenbrock_of_stacks, {"vectorized": True}),
            "map of threads": (ways.rosenbrock, {"workers": pool.map}),
            "joblib": (ways.rosenbrock, {"workers": 2}),
            "Numba": (ways.jitted(), {"workers": 2}),
            "C": (ways.in_c(), {"workers": 2}),
        }
        expected = {
            name: secant.numerical_gradient(f, start, **options).tobytes() for name, (f, options) in calls.items()
        }
        idle = threading.active_count()
        for trial in range(int(trials)):
            name = list(calls)[trial % len(calls)]
            if name == "joblib" and trial % 200 >= len(calls):  # to start its processes again takes seconds
                name = "plain"
            f, options = calls[name]
            # No signals while a user's own pool of threads works: Python's semaphore may keep its lock then.
            by_signal = name in ("Numba", "C") or (name != "map of threads" and rng.random() < 0.5)
            kind = f"{name}, {'signal' if by_signal else 'exception'}"
            begin, right = time.monotonic(), _unharmed(start, f, options, by_signal, rng)
            right = right and secant.numerical_gradient(f, start, **options).tobytes() == expected[name]
            right = right and time.monotonic() - begin < PATIENCE
            if name != "joblib":
                right = right and _settled(idle)
            outcome.add(kind, not right, example=f"seed {seed}, {trial}")
            outcome.tried += 1
            idle = threading.active_count() if name == "joblib" else idle
    report(outcome)


def _unharmed(start, f, options, by_signal: bool, rng: random.Random) -> bool:
    """Whether x is what it was after a derivative that something ended, if it did."""
    x = start.copy()
    with warnings.catch_warnings(), suppress(Fault, ZeroDivisionError):
        warnings.simplefilter("ignore")  # that workers were ended
        try:
            if by_signal:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, SECONDS))
                end = time.monotonic() + 1  # Python ignores what a handler raises in some places, such as in __del__
                while time.monotonic() < end:
                    secant.numerical_gradient(f, x, **options)
            broken = _failing if "workers" in options else Faulty(f, rng.randrange(1, 90))
            secant.numerical_gradient(broken, x, **options)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return x.tobytes() == start.tobytes()


def _failing(x):
    """For processes, to which a lock cannot be sent."""
    if x.reshape(-1)[30] != x.reshape(-1)[30].round(9):
        raise ZeroDivisionError
    return ways.rosenbrock(x)


def _ring(*_: object) -> None:
    raise Fault


def _settled(idle: int) -> bool:
    """Whether threads that were started have ended."""
    end = time.monotonic() + 5
    while threading.active_count() > idle and time.monotonic() < end:
        time.sleep(0.001)
    return threading.active_count() <= idle


def entries(trials: int, seed: int) -> Outcome:
    """Entries of functions of all families, of which a share may be missed in each."""
    families = FUNCTIONS | FAMILIES | {f"{name}, in float32": _in_float32(each) for name, each in FAMILIES.items()}
    allowed = {name: 0.01 if name.endswith(AMBIGUOUS) else 0.001 for name in families}
    outcome = Outcome(ENTRIES, "entries", allowed=allowed if trials >= ENOUGH else {"": 0.001})
    rng, number = np.random.default_rng(seed), 0
    while outcome.tried < trials:
        name = list(families)[number % len(families)]
        case = families[name](rng, int(rng.choice(SIZES)))
        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "f returned one and the same value")  # as constants do
            found = secant.numerical_gradient(case.f, case.x, scheme="auto", full_output=True)
        bars = found.error + 2.0**-53 * np.abs(case.gradient)  # the gradient is rounded, too
        for i, (error, bar) in enumerate(zip(np.abs(found.value - case.gradient), bars, strict=True)):
            share = float(error / bar) if error else 0.0
            outcome.add(name, not share <= 1, share, f"seed {seed}, {number}, entry {i}")
            outcome.tried += 1
        number += 1
    return outcome


def _in_float32(family):
    return lambda rng, n: in_float32(family(rng, n))


def hessians(trials: int, seed: int) -> Outcome:
    """Entries of Hessians, likewise."""
    allowed = {name: 0.001 if name == "plain" else 0.01 for name in CURVED}
    outcome = Outcome(HESSIANS, "entries", allowed=allowed if trials >= ENOUGH else {"": 0.01})
    rng, number = np.random.default_rng(seed), 0
    while outcome.tried < trials:
        name = list(CURVED)[number % len(CURVED)]
        f, x, truth = CURVED[name](SHAPES[rng.choice(list(SHAPES))], rng, int(rng.choice(FEW)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that float32 is coarse
            found = secant.numerical_hessian(f, x, full_output=True)
        error, bar = np.abs(found.value - truth), found.error + 2.0**-50 * np.abs(truth).max()
        for share in np.divide(error, bar, where=error > 0, out=np.zeros_like(error)).reshape(-1).tolist():
            outcome.add(name, not share <= 1, share, f"seed {seed}, {number}")
            outcome.tried += 1
        number += 1
    return outcome
