"""A textbook's backpropagation, y - t, of networks that have 1e-7 in their loss: right,
and with faults planted.
"""

from itertools import pairwise

import numpy as np

import secant
from outcome import Outcome
from secant import softmax
from secant.book import cross_entropy_error

ACTIVATIONS = {
    "sigmoid": (secant.sigmoid, lambda z: z * (1 - z)),
    "tanh": (np.tanh, lambda z: 1 - z * z),
    "relu": (lambda a: np.maximum(a, 0), lambda z: (z > 0) * 1.0),
}
Gradients = dict[str, np.ndarray]


class Network:
    """Affine layers, a softmax and the cross entropy with 1e-7; a weight decay."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.layers, outputs, hidden = (
            int(rng.integers(1, 4)),
            int(rng.integers(2, 11)),
            int(rng.integers(2, 15)),
        )
        sizes = [int(rng.integers(2, 40)), *[hidden] * (self.layers - 1), outputs]
        if rng.integers(3) == 0:
            sizes = [outputs] * (self.layers + 1)  # so that matrices can be transposed
        self.activation, self.slope = ACTIVATIONS[rng.choice(list(ACTIVATIONS))]
        self.decay = rng.choice([0, 1e-4, 1e-2])
        self.returns_scores, self.summed = (
            bool(rng.integers(2)),
            bool(rng.integers(4) == 0),
        )
        spread = rng.choice([0.1, 0.5, 1.5])
        self.params: Gradients = {}
        for i, (a, b) in enumerate(pairwise(sizes), 1):
            self.params |= {
                f"W{i}": rng.normal(0, spread, (a, b)),
                f"b{i}": rng.normal(0, spread, b),
            }
        count = int(rng.integers(2, 25))
        self.x, self.labels = (
            rng.uniform(size=(count, sizes[0])),
            rng.integers(outputs, size=count),
        )
        self.one_hot = np.eye(outputs)[self.labels]

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """The inputs of each layer, and the scores."""
        values = [x]
        for i in range(1, self.layers + 1):
            a = values[-1] @ self.params[f"W{i}"] + self.params[f"b{i}"]
            values.append(self.activation(a) if i < self.layers else a)
        return values

    def predict(self, x: np.ndarray) -> np.ndarray:
        scores = self.run(x)[-1]
        return scores if self.returns_scores else softmax(scores)

    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        y = self.predict(x)
        loss = cross_entropy_error(softmax(y) if self.returns_scores else y, t) * (
            len(x) if self.summed else 1
        )
        return loss + self.decay / 2 * sum(
            np.sum(w**2) for key, w in self.params.items() if key[0] == "W"
        )

    def textbook(self) -> Gradients:
        values, grads = self.run(self.x), {}
        d = (softmax(values[-1]) - self.one_hot) / (1 if self.summed else len(self.x))
        for i in range(self.layers, 0, -1):
            w = self.params[f"W{i}"]
            grads |= {
                f"W{i}": values[i - 1].T @ d + self.decay * w,
                f"b{i}": d.sum(axis=0),
            }
            if i > 1:
                d = d @ w.T * self.slope(values[i - 1])
        return grads


def one(grads: Gradients, rng: np.random.Generator, square: bool = False) -> str | None:
    """An array whose entries are not all close to 0."""
    shapes = {
        key: grad.shape for key, grad in grads.items() if np.abs(grad).max() > 1e-4
    }
    keys = [
        key
        for key, shape in shapes.items()
        if not square or (len(shape) == 2 and shape[0] == shape[1])
    ]
    return rng.choice(keys) if keys else None


def planted(
    fault: str, grads: Gradients, net: Network, rng: np.random.Generator
) -> bool:
    """Plant a fault. False if there is no array for it."""
    key, layer = one(grads, rng, fault == "transposed"), rng.integers(1, net.layers + 1)
    if key is None:
        return False
    grads |= {
        k: g.copy()
        for k, g in FAULTS[fault](
            grads, net, rng, key, f"W{layer}", f"b{net.layers}"
        ).items()
    }
    return True


def one_entry(grad: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wrong = grad.copy()
    wrong.flat[rng.integers(grad.size)] += 1e-4 * np.abs(grad).max()
    return wrong


# of gradients g of a network: what array `key`, weights w, or the last biases b become
FAULTS = {
    "1.01 times": lambda g, net, rng, key, w, b: {key: 1.01 * g[key]},
    "1.0001 times": lambda g, net, rng, key, w, b: {key: 1.0001 * g[key]},
    "not divided by N": lambda g, net, rng, key, w, b: {
        k: g[k] * (1 / len(net.x) if net.summed else len(net.x)) for k in g
    },
    "mean for sum": lambda g, net, rng, key, w, b: {b: g[b] / len(net.x)},
    "sign": lambda g, net, rng, key, w, b: {key: -g[key]},
    "transposed": lambda g, net, rng, key, w, b: {key: g[key].T},
    "shifted": lambda g, net, rng, key, w, b: {w: np.roll(g[w], 1, axis=0)},
    "decay dropped or too many": lambda g, net, rng, key, w, b: {
        w: g[w] + (-net.decay if net.decay else 1e-3) * net.params[w]
    },
    "no bias": lambda g, net, rng, key, w, b: {b: 0 * g[b]},
    "one entry": lambda g, net, rng, key, w, b: {key: one_entry(g[key], rng)},
}


def run(outcome: Outcome, trials: int, seed: int) -> None:
    while outcome.tried < trials:
        number = outcome.tried
        rng = np.random.default_rng([seed, number])
        net = Network(rng)
        grads = net.textbook()
        fault = ("", *FAULTS)[number % (len(FAULTS) + 1)]
        changed = bool(fault) and planted(fault, grads, net, rng)
        report = secant.check_network(
            net,
            net.x,
            net.labels if rng.integers(2) else net.one_hot,
            grads,
            rng=number,
        )
        if changed:
            good = not report.passed
        elif report.passed:
            good = "without the 1e-7" in report.compared_with
        else:
            off = max(
                array.relative_error for array in report.arrays if not array.passed
            )
            good = "adds 1e-7 or so to each probability" in report.note or not off < 0.1
        outcome.add(
            fault if changed else "right",
            not good,
            None,
            f"seed {seed}, {number}: {str(report)[:80]}",
        )
        outcome.tried += 1
