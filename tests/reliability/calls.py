"""The four calls that compute in a backend, with inputs large enough to take a while."""

import itertools
import random
from collections.abc import Callable, Iterator

import numpy as np

import secant
from secant.backends import BACKENDS

CALLS = ("predict", "numerical_gradient", "gradient", "train")
KINDS = [(backend, call) for backend in BACKENDS for call in CALLS]
FOREVER = 100_000_000


def turns(kinds: list, count: int, rng: random.Random) -> Iterator:
    """So many of the kinds: all in turn, in an order that is drawn."""
    return itertools.islice(itertools.cycle(rng.sample(kinds, len(kinds))), count)


def endless(net: secant.TwoLayerNet, x: np.ndarray, t: np.ndarray, history: secant.History | None = None) -> None:
    secant.train(
        net, x, t, x[:50], t[:50], n_iterations=FOREVER, rng=3, progress=False, n_threads=2, history=history
    )  # fmt: skip


def prepared(backend: str, call: str, samples: int = 4000, hidden: int = 200) -> Callable[[], object]:
    """A call of 784-hidden-10, its code compiled and its threads started by the same call on less."""
    rng = np.random.RandomState(0)
    net = secant.TwoLayerNet(784, hidden, 10, rng=0, backend=backend)
    x, t = rng.randint(256, size=(samples, 784)).astype(np.uint8), np.arange(samples) % 10
    net.numerical_gradient(x[:100], t[:100], n_threads=2)
    net.gradient(x[:100], t[:100], n_threads=2)
    net.predict(x[:100])
    return {
        "predict": lambda: net.predict(x),
        "numerical_gradient": lambda: net.numerical_gradient(x, t, h=1e-6, n_threads=2),
        "gradient": lambda: net.gradient(x, t, n_threads=2),
        "train": lambda: endless(net, x, t),
    }[call]
