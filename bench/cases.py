"""The cases that tests and benchmarks share: real digits, and inputs as large without a
zero.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import secant
from secant.backends import BACKENDS as KNOWN
from secant.backends.base import Method

INPUTS = ("MNIST", "dense")
THREADS = {"1 thread": 1, "2 threads": 2}
BACKENDS = {"cpp": "Secant", "numba": "Secant in Numba", "numpy": "Secant in NumPy"}


class Case(NamedTuple):
    """A network 784-50-10 as the chapter initializes it, and a mini-batch: x (N, 784),
    t one-hot (N, 10).
    """

    net: secant.TwoLayerNet
    x: NDArray[Any]
    t: NDArray[Any]

    @property
    def density(self) -> float:
        """The share of inputs that are not zero."""
        return float(np.mean(self.x != 0))


@dataclass(frozen=True, eq=False)
class Data:
    """A training set, x (M, 784) and labels t (M,), and the parameters to start
    with.
    """

    x: NDArray[Any]
    t: NDArray[np.int64]
    params: dict[str, NDArray[Any]]

    @cache  # noqa: B019  it lives as long as its process
    def typed(self, dtype: str) -> NDArray[Any]:
        """X in another type, once for all who ask."""
        return self.x.astype(dtype, copy=False)


def mnist(
    samples: int = 100, backend: str | None = None, dtype: str = "float64"
) -> Case:
    """Real digits, of which 81 % of the pixels are zero."""
    x, t = _digits()
    return Case(_network(backend, dtype), x[:samples].copy(), t[:samples].copy())


@cache
def _digits() -> tuple[NDArray[Any], NDArray[Any]]:
    return secant.load_mnist(one_hot_label=True, subset=True)[0]


def dense(
    samples: int = 100, backend: str | None = None, dtype: str = "float64"
) -> Case:
    """Random inputs, all different and none zero, in the place of the digits."""
    x = np.random.RandomState(1).uniform(0.01, 1.0, (samples, 784))
    return Case(_network(backend, dtype), x, mnist(samples).t)


def training_set(name: str) -> Data:
    """All of MNIST, or as many random inputs with the labels of the digits."""
    (x, t), _ = mnist_or_subset()
    if name == "dense":
        x = np.random.default_rng(1).uniform(0.01, 1.0, x.shape).astype(np.float32)
    return Data(x, t.astype(np.int64), _network(None, "float64").params)


def backends(quick: bool) -> dict[str, str]:
    """What computes in Secant, and what to call it: the compiled core first, and alone
    if it has to be quick.
    """
    return {
        backend: name
        for backend, name in BACKENDS.items()
        if backend in KNOWN and not (quick and backend != "cpp")
    }


def methods(backend: str) -> tuple[Method, ...]:
    """How a backend computes differences.

    NumPy's direct is left out: it is the loop.
    """
    return ("series",) if backend == "numpy" else ("direct", "series")


def require_series(backend: str) -> None:
    """Raise what says that a backend is not installed or has no series."""
    net, x, t = mnist(1, backend)
    net.numerical_gradient(x, t, method="series")


@cache
def mnist_or_subset() -> Any:
    """MNIST, or where it cannot be downloaded the 12,000 digits that come with the
    package.
    """
    try:
        return secant.load_mnist()
    except secant.errors.DownloadError:
        return secant.load_mnist(subset=True)


def _network(backend: str | None, dtype: str) -> secant.TwoLayerNet:
    return secant.TwoLayerNet(784, 50, 10, rng=0, dtype=dtype, backend=backend)
