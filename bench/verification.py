"""What it costs to compare a reader's loss with Secant's while a network is trained.

    python bench/verification.py [--quick]

784-50-10, MNIST, mini-batches of 100, one thread: the chapter's loop over an
accelerated network. Two equal networks do one iteration each in turn: the loss of one
is called and compared before a gradient is returned, the other only computes. Times are
means of CPU time. In the end the parameters of both must be the same.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import secant
from tables import markdown

EPOCH = 600  # iterations
Array = NDArray[Any]


class Digits:
    """The chapter's network, with one hidden layer."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.params = {"W1": 0.01 * rng.normal(size=(784, 50)), "b1": np.zeros(50)}
        self.params |= {"W2": 0.01 * rng.normal(size=(50, 10)), "b2": np.zeros(10)}

    def scores(self, x: Array) -> Array:
        p = self.params
        return cast(Array, secant.sigmoid(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])

    def loss(self, x: Array, t: Array) -> float:
        return float(secant.cross_entropy_error(secant.softmax(self.scores(x)), t))

    def accuracy(self, x: Array, t: Array) -> float:
        return float(np.mean(self.scores(x).argmax(axis=1) == t.argmax(axis=1)))


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def update(net: Any, x: Array, t: Array) -> None:
    grads = net.numerical_gradient(x, t)
    for key in net.params:
        net.params[key] -= 0.1 * grads[key]


def nothing(*_: object) -> None:
    """In place of the comparison."""


def price(iterations: int) -> list[str]:
    """Microseconds of comparing, and what part that is of a loop without it."""
    (x, t), test = secant.load_mnist(one_hot_label=True)
    compared, trusted = (secant.accelerate(Digits()) for _ in range(2))
    rng, turns = np.random.default_rng(1), []
    with mock.patch.object(
        vars(trusted)["numerical_gradient"], "require_same_loss", nothing
    ):
        for i in range(iterations):
            chosen = rng.integers(len(x), size=100)
            batch = x[chosen], t[chosen]
            first, second = (compared, trusted) if i % 2 else (trusted, compared)
            took = {
                net: cpu_seconds(partial(update, net, *batch))
                for net in (first, second)
            }
            turns.append(
                (
                    took[compared],
                    took[trusted],
                    cpu_seconds(partial(trusted.loss, *batch)),
                )
            )
    if not all(
        np.array_equal(compared.params[key], trusted.params[key])
        for key in trusted.params
    ):
        raise ValueError("the two networks differ: no time is worth anything")
    with_comparison, bare, loss = np.mean(turns[1:], axis=0)
    accuracies = sum(
        cpu_seconds(partial(trusted.accuracy, *data)) for data in ((x, t), test)
    )
    loops = bare, bare + loss, bare + loss + accuracies / EPOCH
    comparing = with_comparison - bare
    return [
        f"{1e6 * comparing:.0f}",
        *(f"{100 * comparing / each:.0f}" for each in loops),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the iterations"
    )
    iterations = 1_000 if parser.parse_args().quick else 10_000
    columns = [
        "us per call",
        "% of gradient and update",
        "% with losses",
        "% with accuracies, too",
    ]
    with threadpool_limits(1):
        print("\n".join(markdown(columns, [price(iterations)], words=0)))


if __name__ == "__main__":
    main()
