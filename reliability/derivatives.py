"""Gradients of any function: exceptions and Ctrl-C at random moments leave nothing
changed, and error bars hold.
"""

import itertools
import random
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ways
from families import FAMILIES, in_float32

import secant
from hard_functions import CURVED, FUNCTIONS, SHAPES
from outcome import Outcome
from secant.differentiation.evaluators import c_pointer

SECONDS = 0.004  # until a signal comes, at most
PATIENCE = 60.0
COMPILED = "Numba", "C"  # these raise nothing
SIZES, FEW = (1, 2, 5, 20), (1, 2, 3, 5)


class Fault(BaseException):
    """Raised by f, or by the handler of a signal."""


def failing_at(f, call):
    """f that raises at one of its calls, in whatever thread, and counts them."""
    calls = itertools.count(1)

    def failing(x):
        failing.calls = next(calls)
        if failing.calls == call:
            raise Fault
        return f(x)

    return failing


def interrupts(outcome: Outcome, trials: int, seed: int) -> None:
    """Exceptions of f and signals; functions that are compiled get signals only."""
    c_pointer._ENOUGH_FOR_THREADS = 0.0
    rng = random.Random(seed)
    signal.signal(signal.SIGALRM, _ring)
    start = np.random.RandomState(seed).normal(size=(6, 8))
    with ThreadPoolExecutor(2) as pool:
        calls = {
            "plain": (ways.rosenbrock, {}),
            "plain, forward": (ways.rosenbrock, {"scheme": "forward"}),
            "plain, auto": (ways.rosenbrock, {"scheme": "auto"}),
            "stacks": (ways.rosenbrock_of_stacks, {"vectorized": True}),
            "map of threads": (ways.rosenbrock, {"workers": pool.map}),
            "Numba": (ways.jitted(), {"workers": 2}),
            "C": (ways.in_c(), {"workers": 2}),
        }
        expected, last = {}, {}
        for name, (f, options) in calls.items():
            counted = f if name in COMPILED else failing_at(f, 0)
            expected[name] = secant.numerical_gradient(
                counted, start, **options
            ).tobytes()
            last[name] = getattr(counted, "calls", 0)
        idle = threading.active_count()
        for trial in range(trials):
            name = list(calls)[trial % len(calls)]
            f, options = calls[name]
            # No signals while a user's own pool of threads works: Python's semaphore
            # may keep its lock then.
            by_signal = name in COMPILED or (
                name != "map of threads" and rng.random() < 0.5
            )
            kind = f"{name}, {'signal' if by_signal else 'exception'}"
            call = 0 if by_signal else rng.randint(1, last[name])
            begin, right = time.monotonic(), _unharmed(start, f, options, call, rng)
            right = (
                right
                and secant.numerical_gradient(f, start, **options).tobytes()
                == expected[name]
            )
            right = right and time.monotonic() - begin < PATIENCE
            right = right and _settled(idle)
            outcome.add(kind, not right, example=f"seed {seed}, {trial}")
            outcome.tried += 1


def _unharmed(start, f, options, call: int, rng: random.Random) -> bool:
    """Whether x is what it was after a derivative that was ended by an exception at a
    call, or else by a signal.
    """
    x, ended = start.copy(), False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that workers were ended
            if call:
                secant.numerical_gradient(failing_at(f, call), x, **options)
            else:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, SECONDS))
                # Python ignores what a handler raises in some places, such as in
                # __del__
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    secant.numerical_gradient(f, x, **options)
    except Fault:
        ended = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return x.tobytes() == start.tobytes() and (ended or not call)


def _ring(*_: object) -> None:
    raise Fault


def _settled(idle: int) -> bool:
    """Whether threads that were started have ended."""
    end = time.monotonic() + 5
    while threading.active_count() > idle and time.monotonic() < end:
        time.sleep(0.001)
    return threading.active_count() <= idle


def entries(outcome: Outcome, trials: int, seed: int) -> None:
    """Entries of functions of all families."""
    families = (
        FUNCTIONS
        | FAMILIES
        | {f"{name}, in float32": _in_float32(each) for name, each in FAMILIES.items()}
    )
    rng, number = np.random.default_rng(seed), 0
    while outcome.tried < trials:
        name = list(families)[number % len(families)]
        case = families[name](rng, int(rng.choice(SIZES)))
        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            # as constants do
            warnings.filterwarnings("ignore", "f returned one and the same value")
            found = secant.numerical_gradient(
                case.f, case.x, scheme="auto", full_output=True
            )
        # the gradient is rounded, too
        bars = found.error + 2.0**-53 * np.abs(case.gradient)
        _compare(
            outcome,
            name,
            np.abs(found.value - case.gradient),
            bars,
            f"seed {seed}, {number}",
        )
        number += 1


def _in_float32(family):
    return lambda rng, n: in_float32(family(rng, n))


def hessians(outcome: Outcome, trials: int, seed: int) -> None:
    """Entries of Hessians, likewise."""
    rng, number = np.random.default_rng(seed), 0
    while outcome.tried < trials:
        name = list(CURVED)[number % len(CURVED)]
        f, x, truth = CURVED[name](
            SHAPES[rng.choice(list(SHAPES))], rng, int(rng.choice(FEW))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that float32 is coarse
            found = secant.numerical_hessian(f, x, full_output=True)
        bars = found.error + 2.0**-50 * np.abs(truth).max()
        _compare(
            outcome, name, np.abs(found.value - truth), bars, f"seed {seed}, {number}"
        )
        number += 1


def _compare(
    outcome: Outcome, name: str, errors: np.ndarray, bars: np.ndarray, example: str
) -> None:
    with np.errstate(divide="ignore"):  # a bar of 0, which is missed
        shares = np.divide(errors, bars, where=errors != 0, out=np.zeros_like(errors))
    for i, share in enumerate(shares.ravel().tolist()):
        outcome.add(name, not share <= 1, share, f"{example}, entry {i}")
        outcome.tried += 1
