"""The cases that tests and benchmarks share: a batch of real digits, and one as large without a zero."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import secant


class Case(NamedTuple):
    """A network 784-50-10 as the chapter initialises it, and a mini-batch: x (N, 784), t one-hot (N, 10)."""

    net: secant.TwoLayerNet
    x: NDArray[Any]
    t: NDArray[Any]

    @property
    def density(self) -> float:
        """The share of inputs that are not zero."""
        return float(np.mean(self.x != 0))


def mnist(samples: int = 100, backend: str | None = None) -> Case:
    """Real digits, of which 81 % of the pixels are zero."""
    (x, t), _ = secant.load_mnist(one_hot_label=True, subset=True)
    return Case(_network(backend), x[:samples], t[:samples])


def dense(samples: int = 100, backend: str | None = None) -> Case:
    """Random inputs, all different and none zero, in the place of the digits."""
    x = np.random.RandomState(1).uniform(0.01, 1.0, (samples, 784))
    return Case(_network(backend), x, mnist(samples).t)


def _network(backend: str | None) -> secant.TwoLayerNet:
    return secant.TwoLayerNet(784, 50, 10, rng=0, backend=backend)
