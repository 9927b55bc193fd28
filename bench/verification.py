"""What it costs to compare a reader's loss with Secant's while a network is trained.

    python bench/verification.py [--quick]

784-50-10, MNIST, mini-batches of 100, one thread: the chapter's loop over an accelerated network that keeps its
parameters in a dict, and over one of layer objects. Two equal networks do one iteration each in turn: the loss of one
is called and compared before a gradient is returned, the other only computes. Times are means of CPU time. In the end
the parameters of both must be the same.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import secant
from secant.acceleration.accelerate import Accelerated
from tables import markdown

EPOCH = 600  # iterations
Array = NDArray[Any]


class Digits:
    """One hidden layer, all of it in a dict."""

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


class Affine:
    def __init__(self, weights: Array, biases: Array) -> None:
        self.weights, self.biases, self.x, self.dW = weights, biases, None, None

    def forward(self, x: Any) -> Array:
        self.x = x
        return cast(Array, x @ self.weights + self.biases)


class Sigmoid:
    def __init__(self) -> None:
        self.out: Any = None

    def forward(self, x: Array) -> Array:
        self.out = secant.sigmoid(x)
        return cast(Array, self.out)


class SoftmaxWithLoss:
    def __init__(self) -> None:
        self.y: Any = None
        self.t: Any = None

    def forward(self, x: Array, t: Array) -> float:
        self.y, self.t = secant.softmax(x), t
        return float(secant.cross_entropy_error(self.y, t))


class Layers(Digits):
    """The same of objects that keep what they saw."""

    def __init__(self) -> None:
        super().__init__()
        p = self.params
        self.layers: list[Any] = [Affine(p["W1"], p["b1"]), Sigmoid(), Affine(p["W2"], p["b2"])]
        self.last = SoftmaxWithLoss()

    def scores(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x: Array, t: Array) -> float:
        return self.last.forward(self.scores(x), t)


class Trusted(Accelerated):
    """Compares nothing."""

    def gradient(self, x: Any, t: Any, n_threads: int | None = None) -> dict[Any, Array]:
        network = self.two_layer_net()
        grads = network.numerical_gradient(x, t, h=self.recognition.h, n_threads=n_threads or self.n_threads)
        return dict(zip(self.recognition.keys, grads.values(), strict=True))


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def price(cls: type[Digits], iterations: int) -> list[str]:
    """A row of the table."""
    (x_train, t_train), (x_test, t_test) = secant.load_mnist(one_hot_label=True)
    chosen = np.random.default_rng(1).integers(len(x_train), size=(iterations, 100))
    nets = [cls(), cls()]
    recognition = cpu_seconds(lambda: [secant.accelerate(net) for net in nets]) / 2

    def update(net: Any, i: int) -> None:
        grads = net.numerical_gradient(x_train[chosen[i]], t_train[chosen[i]])
        for key in net.params:
            net.params[key] -= 0.1 * grads[key]

    def step(net: Digits, i: int) -> tuple[float, float]:
        lost = partial(net.loss, x_train[chosen[i]], t_train[chosen[i]])
        return cpu_seconds(partial(update, net, i)), cpu_seconds(lost)

    for net in nets:
        step(net, 0)
    vars(nets[1])["numerical_gradient"].__class__ = Trusted
    turns = [
        [step(nets[k], i) for k in ((0, 1) if i % 2 else (1, 0))][:: 1 if i % 2 else -1] for i in range(1, iterations)
    ]
    if not all(np.array_equal(nets[0].params[key], nets[1].params[key]) for key in nets[0].params):
        raise ValueError("the two networks differ: no time is worth anything")
    accuracies = cpu_seconds(lambda: (nets[1].accuracy(x_train, t_train), nets[1].accuracy(x_test, t_test)))
    compared, trusted = np.mean(turns, axis=0)
    comparing, bare, loss = compared[0] - trusted[0], trusted[0], trusted[1]
    loops = bare, bare + loss, bare + loss + accuracies / EPOCH
    return [
        cls.__name__,
        f"{1e6 * comparing:.0f}",
        *(f"{100 * comparing / each:.0f}" for each in loops),
        f"{1e3 * recognition:.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the iterations")
    iterations = 1_000 if parser.parse_args().quick else 10_000
    columns = [
        "network",
        "us per call",
        "% of gradient and update",
        "% with losses",
        "% with accuracies, too",
        "recognition, ms",
    ]
    with threadpool_limits(1):
        print("\n".join(markdown(columns, [price(cls, iterations) for cls in (Digits, Layers)])))


if __name__ == "__main__":
    main()
