"""Wrong gradients of 784-50-10: whether a check notices them, names the entry, and says
what they look like.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import secant
from alarms import probed
from outcome import Outcome
from secant.checking.point import Point
from secant.checking.search import EVALUATIONS
from secant.checking.verdict import noticed as is_noticed

WEIGHTS, BIASES = ("W1", "W2"), ("b1", "b2")
ALL = WEIGHTS + BIASES
Gradients = dict[str, np.ndarray]


class Fault(NamedTuple):
    """What the diagnosis of it should say, and what makes one of the arrays, which is
    chosen by chance, wrong.
    """

    said: str
    arrays: tuple[str, ...]
    wrong: Callable[[np.ndarray, np.random.Generator], np.ndarray]


def at_entries(count: int, change: Callable[[np.ndarray], np.ndarray]):
    """So many entries that are not 0 are changed."""

    def wrong(grad: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        grad = grad.copy()
        where = rng.choice(np.flatnonzero(np.abs(grad) >= 1e-6), count, replace=False)
        grad.flat[where] = change(grad.flat[where])
        return grad

    return wrong


FAULTS = {
    "one_entry": Fault("one entry, ", ("W1", *ALL), at_entries(1, lambda g: 1.01 * g)),
    "a_sign": Fault("wrong sign", ALL, lambda grad, rng: -grad),
    "a_pair": Fault("are exchanged", WEIGHTS, at_entries(2, lambda g: g[::-1])),
    "a_transposition": Fault(
        "is transposed", WEIGHTS, lambda grad, rng: grad.T.reshape(grad.shape)
    ),
    "a_shift": Fault(
        "is shifted", BIASES, lambda grad, rng: np.roll(grad, rng.choice([-1, 1]))
    ),
    "a_nan": Fault("NaN", ALL, at_entries(1, lambda g: np.nan * g)),
    "zeros": Fault("is 0 everywhere", ALL, lambda grad, rng: 0 * grad),
    "a_factor": Fault("2 times too large", ALL, lambda grad, rng: 2 * grad),
}
OF_ALL_ARRAYS = {  # what they should be said to be, and what they become
    "a_batch_size": (
        "the gradient is 100 times too large",
        lambda name, grad, net: 100 * grad,
    ),
    "a_decay": (
        "a weight decay that f does not have",
        lambda name, grad, net: grad + 1e-8 * net.params[name] * (name in WEIGHTS),
    ),
}
COMMON = ["one_entry", "a_sign", "a_transposition", "a_batch_size", "a_nan", "a_decay"]
SEEDED, DIAGNOSED = [*COMMON, "a_pair", "a_shift"], [*COMMON, "zeros", "a_factor"]


def networks(rng: np.random.Generator):
    """Networks of some training, with a mini-batch and their gradient."""
    (x, t), _ = secant.load_mnist(subset=True)
    while True:
        net = secant.TwoLayerNet(
            784, 50, 10, output_activation="identity", rng=int(rng.integers(2**31))
        )
        for array in net.params.values():
            array += rng.choice([0.01, 0.03, 0.1]) * rng.standard_normal(array.shape)
        batch = rng.choice(len(x), 100)
        own_x, own_t = x[batch].astype(np.float64), t[batch]
        yield net, own_x, own_t, net.gradient(own_x, own_t)


def planted(faults: list[str], trials: int, rng: np.random.Generator):
    """Networks with one of the faults in turn, each network with all of them; and what
    the diagnosis should say.
    """
    for number, (net, x, t, right) in zip(
        range(-(-trials // len(faults))), networks(rng), strict=False
    ):
        for fault in faults[: trials - number * len(faults)]:
            if fault in OF_ALL_ARRAYS:
                said, change = OF_ALL_ARRAYS[fault]
                wrong = {name: change(name, grad, net) for name, grad in right.items()}
            else:
                said, arrays, change = FAULTS[fault]
                name = rng.choice(arrays)
                wrong = right | {name: change(right[name], rng)}
            yield net, x, t, right, wrong, fault, said


def noticed(outcome: Outcome, trials: int, seed: int) -> None:
    for net, x, t, _, wrong, fault, _ in planted(
        SEEDED, trials, np.random.default_rng(seed)
    ):
        point = Point(
            lambda _, net=net, x=x, t=t: net.loss(x, t), dict(net.params), inplace=True
        )
        caught, share = True, 0.0
        if all(np.isfinite(array).all() for array in wrong.values()):
            caught = is_noticed(probed(point, wrong, outcome.tried))
            point.restore()
            share = point.evaluations / EVALUATIONS
        outcome.add(
            fault, not (caught and share <= 1), share, f"seed {seed}, {outcome.tried}"
        )
        outcome.tried += 1


def named(outcome: Outcome, trials: int, seed: int) -> None:
    for net, x, t, right, wrong, fault, said in planted(
        DIAGNOSED, trials, np.random.default_rng(seed)
    ):
        report = secant.check_network(net, x, t, wrong, rng=outcome.tried)
        right_said = report.diagnosis is not None and said in report.diagnosis
        example = f"seed {seed}, {outcome.tried}: {report.diagnosis}"
        outcome.add(f"{fault}: diagnosis", not right_said, example=example)
        outcome.add(
            "diagnosis: none wrong",
            report.diagnosis is not None and not right_said,
            example=example,
        )
        if fault == "one_entry":
            (where,) = [
                (key, *i)
                for key in right
                for i in np.argwhere(right[key] != wrong[key])
            ]
            found = [(finding.array, *finding.index) for finding in report.findings]
            good = found == [where] and report.evaluations <= 1000
            outcome.add(
                "one_entry: named", not good, report.evaluations / 1000, example
            )
        outcome.tried += 1
