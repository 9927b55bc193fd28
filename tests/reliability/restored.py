"""Checks of gradients that an exception, a NaN or a signal ends: x is what it was, bit for bit."""

import contextlib
import signal

import numpy as np
from outcome import Outcome

import secant

PROMISE = (
    "However an exception of f, a value that is no number, or a signal ends a check of a gradient, x and the gradient "
    "are what they were, bit for bit."
)
SECONDS = 0.01  # until a signal comes, at most
LAST_CALL = 150  # a check that finds something takes some hundred


class Fault(BaseException):
    """Raised by f, or by the handler of a signal."""


def raised(*_: object) -> None:
    raise Fault


class Faulty:
    """A function of nested arrays, something of which goes wrong at one of its calls."""

    def __init__(self, call: int, value: float | None) -> None:
        self.left, self.value = call, value

    def __call__(self, x: dict) -> float:
        self.left -= 1
        if self.left == 0:
            if self.value is None:
                raise Fault
            return self.value
        return float(np.sum(np.sin(x["a"])) + sum(np.sum(array**2) for array in x["b"]))


def case(rng: np.random.Generator) -> tuple[dict, dict]:
    """A point and a gradient there, which is wrong every second time."""
    types = rng.choice([np.float64, np.float32], 3)
    a, b, c = (rng.standard_normal(rng.integers(1, 30)).astype(dtype) for dtype in types)
    x = {"a": a, "b": [b.reshape(1, -1), np.asfortranarray(np.tile(c, (2, 1)))]}
    error = rng.choice([0, 1e-3])
    return x, {"a": np.cos(a) + a.dtype.type(error), "b": [2 * array for array in x["b"]]}


def as_bytes(tree: dict) -> list[bytes]:
    return [array.tobytes() for array in (tree["a"], *tree["b"])]


def run(trials: int, seed: int) -> Outcome:
    rng, outcome = np.random.default_rng(seed), Outcome(PROMISE, "checks")
    handler = signal.signal(signal.SIGALRM, raised)
    try:
        for number in range(trials):
            kind = ("exception", "NaN", "infinity", "signal")[number % 4]
            value = {"NaN": np.nan, "infinity": np.inf}.get(kind)
            f = Faulty(0 if kind == "signal" else int(rng.integers(1, LAST_CALL)), value)
            x, gradient = case(rng)
            inplace = bool(rng.integers(2))
            before = as_bytes(x), as_bytes(gradient)
            with contextlib.suppress(Fault, secant.errors.ValueRangeError):
                if kind == "signal":
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, SECONDS))
                secant.check_gradient(f, x, gradient, inplace=inplace, rng=number)
                signal.setitimer(signal.ITIMER_REAL, 0)
            changed = (as_bytes(x), as_bytes(gradient)) != before
            outcome.add(f"{kind}, {'in place' if inplace else 'copies'}", changed, example=f"seed {seed}, {number}")
            outcome.tried += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    return outcome
