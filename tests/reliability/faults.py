"""Wrong gradients of 784-50-10: whether a check notices them, names the entry, and says what they look like."""

from collections.abc import Callable

import numpy as np
from alarms import probed
from outcome import Outcome

import secant
from secant.checking.point import Point
from secant.checking.probing import EVALUATIONS
from secant.checking.verdict import noticed as is_noticed

NOTICED = (
    "At least 99.9 % of wrong gradients of 784-50-10 are noticed in at most 100 evaluations of the loss. Not counted "
    "are those that then look for kinks, which might excuse them."
)
NAMED = (
    "The one wrong entry of 39,760 is named in at most 1,000 evaluations, in 99 % of the trials; of faults of 8 kinds "
    "the diagnosis is right in 90 %, and a wrong one in at most 2 %."
)
RATES = {": named": 0.01, ": diagnosis": 0.1, ": none wrong": 0.02}
Gradients = dict[str, np.ndarray]


def one_entry(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    key = rng.choice(["W1", "W1", "W2", "b1", "b2"])
    flat = g[key].reshape(-1)
    i = rng.choice(np.flatnonzero(np.abs(flat) >= 1e-6))
    flat[i] *= 1.01
    return "one entry, "


def one_array(g: Gradients, rng: np.random.Generator) -> np.ndarray:
    return g[rng.choice(list(g))]


def a_sign(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    array = one_array(g, rng)
    np.negative(array, out=array)
    return "wrong sign"


def all_signs(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    for array in g.values():
        np.negative(array, out=array)
    return "the gradient is of the wrong sign"


def a_pair(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    flat = g["W1" if rng.integers(2) else "W2"].reshape(-1)
    a, b = rng.choice(np.flatnonzero(np.abs(flat) >= 1e-6), 2, replace=False)
    flat[a], flat[b] = flat[b], flat[a]
    return "are exchanged"


def a_transposition(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    key = "W1" if rng.integers(2) else "W2"
    g[key] = g[key].T.reshape(g[key].shape).copy()
    return f"{key} is transposed"


def a_batch_size(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    for array in g.values():
        array *= 100
    return "the gradient is 100 times too large"


def a_shift(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    key = "b1" if rng.integers(2) else "b2"
    g[key] = np.roll(g[key], rng.choice([-1, 1]))
    return f"{key} is shifted"


def a_nan(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    flat = one_array(g, rng).reshape(-1)
    flat[rng.integers(flat.size)] = np.nan
    return "NaN"


def a_decay(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    for key in ("W1", "W2"):
        g[key] += 1e-8 * net.params[key]
    return "that f does not have"


def zeros(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    one_array(g, rng).fill(0)
    return "is 0 everywhere"


def a_factor(g: Gradients, rng: np.random.Generator, net: secant.TwoLayerNet) -> str:
    array = one_array(g, rng)
    array *= 2
    return "2 times too large"


Fault = Callable[[Gradients, np.random.Generator, secant.TwoLayerNet], str]
SEEDED: list[Fault] = [one_entry, a_sign, a_pair, a_transposition, a_batch_size, a_shift, a_nan, a_decay]
DIAGNOSED: list[Fault] = [one_entry, a_sign, a_transposition, a_batch_size, a_nan, a_decay, zeros, a_factor]


def networks(rng: np.random.Generator):
    """Networks of some training, with a mini-batch and their gradient."""
    (x, t), _ = secant.load_mnist(subset=True)
    while True:
        net = secant.TwoLayerNet(784, 50, 10, output_activation="identity", rng=int(rng.integers(2**31)))
        for array in net.params.values():
            array += rng.choice([0.01, 0.03, 0.1]) * rng.standard_normal(array.shape)
        batch = rng.choice(len(x), 100)
        own_x, own_t = x[batch].astype(np.float64), t[batch]
        yield net, own_x, own_t, net.gradient(own_x, own_t)


def noticed(trials: int, seed: int) -> Outcome:
    rng, outcome = np.random.default_rng(seed), Outcome(NOTICED, "faults", allowed={"": 0.001})
    for (net, x, t, right), number in zip(networks(rng), range(-(-trials // len(SEEDED))), strict=False):
        for fault in SEEDED[: trials - number * len(SEEDED)]:
            wrong = {key: array.copy() for key, array in right.items()}
            fault(wrong, rng, net)
            point = Point(lambda _, net=net, x=x, t=t: net.loss(x, t), dict(net.params), inplace=True)
            caught, share = True, 0.0
            if all(np.isfinite(array).all() for array in wrong.values()):
                caught = is_noticed(probed(point, wrong, outcome.tried))
                share = point.evaluations / EVALUATIONS
            outcome.add(fault.__name__, not (caught and share <= 1), share, f"seed {seed}, {outcome.tried}")
            outcome.tried += 1
    return outcome


def named(trials: int, seed: int) -> Outcome:
    rng, outcome = np.random.default_rng(seed), Outcome(NAMED, "faults", allowed=RATES)
    for (net, x, t, right), number in zip(networks(rng), range(-(-trials // len(DIAGNOSED))), strict=False):
        for fault in DIAGNOSED[: trials - number * len(DIAGNOSED)]:
            wrong = {key: array.copy() for key, array in right.items()}
            said = fault(wrong, rng, net)
            report = secant.check_network(net, x, t, wrong, rng=outcome.tried)
            right_said = report.diagnosis is not None and said in report.diagnosis
            example = f"seed {seed}, {outcome.tried}: {report.diagnosis}"
            outcome.add(f"{fault.__name__}: diagnosis", not right_said, example=example)
            outcome.add("diagnosis: none wrong", report.diagnosis is not None and not right_said, example=example)
            if fault is one_entry:
                (where,) = [(key, *i) for key in right for i in np.argwhere(right[key] != wrong[key])]
                found = [(finding.array, *finding.index) for finding in report.findings]
                good = found == [where] and report.evaluations <= 1000
                outcome.add("one_entry: named", not good, report.evaluations / 1000, example)
            outcome.tried += 1
    return outcome
