"""The same training iteration in other libraries: 784-50-10, sigmoids, softmax, cross
entropy, backpropagation.

An iteration gathers the mini-batch from the training set, runs it forward, takes the
gradient and updates the parameters. The loss that it gives is either that of the
updated network (`after`), which takes a second forward pass and is what the chapter
gives, or that of the forward pass which the gradient needs anyway.

Each peer is written as its users would write it for speed, and is given the training
set in the type it computes with. Secant takes float32 as `load_mnist` returns it, and
in a network of float64 widens what it reads.
"""

import warnings
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

import secant
from cases import Data
from secant.training.iterations import iterations_of

RATE, H, EPSILON = 0.1, 1e-4, 1e-7
KEYS = ("W1", "b1", "W2", "b2")
Params = dict[str, NDArray[Any]]
Way = TypeVar("Way")


def taking_part(
    ways: dict[str, dict[str, Way]], compiled: dict[str, Way], inputs: str, quick: bool
) -> dict[str, dict[str, Way]]:
    """The ways of each library: SciPy's where there are zeros, and what takes long to
    compile if there is time.
    """
    chosen = {
        library: of
        for library, of in ways.items()
        if library != "SciPy" or inputs == "MNIST"
    }
    return chosen if quick else chosen | {"PyTorch": chosen["PyTorch"] | compiled}


class Peer(Protocol):
    """One way to train."""

    def descend(self, indices: NDArray[np.int64]) -> Any:
        """Train on each row of ``indices`` (K, B), and return the K losses."""
        ...

    def params(self) -> Params:
        """The parameters as they are now."""
        ...


class NumPy:
    """By hand: every array is allocated once, and written in place."""

    def __init__(self, data: Data, dtype: str, after: bool) -> None:
        self.x: Any = data.typed(dtype)
        self.t, self.after = data.t, after
        self.w1, self.b1, self.w2, self.b2 = self.p = [
            data.params[key].astype(dtype) for key in KEYS
        ]
        self.grads = [np.empty_like(param) for param in self.p]
        self.rows = np.arange(0)

    def descend(self, indices: NDArray[np.int64]) -> list[float]:
        self.allocate(indices.shape[1])
        return [self.iteration(batch) for batch in indices]

    def params(self) -> Params:
        return dict(zip(KEYS, self.p, strict=True))

    def allocate(self, size: int) -> None:
        if len(self.rows) != size:
            self.rows = np.arange(size)
            widths = (*self.w1.shape, len(self.b2), len(self.b2))
            self.xb, self.z1, self.z2, self.y = (
                np.empty((size, width), self.x.dtype) for width in widths
            )
            self.slope1, self.slope2, self.d1 = map(
                np.empty_like, (self.z1, self.z2, self.z1)
            )

    def iteration(self, batch: NDArray[np.int64]) -> float:
        self.gather(batch)
        t = self.t.take(batch)
        p = self.forward(t)
        loss = 0.0 if self.after else cross_entropy(p)
        self.gradient(t, p, RATE)
        for param, step in zip(self.p, self.grads, strict=True):
            param -= step
        return cross_entropy(self.forward(t)) if self.after else loss

    def gather(self, batch: NDArray[np.int64]) -> None:
        np.take(self.x, batch, axis=0, out=self.xb, mode="clip")

    def first_products(self) -> None:
        np.dot(self.xb, self.w1, out=self.z1)

    def first_gradient(self, out: NDArray[Any]) -> None:
        np.dot(self.xb.T, self.d1, out=out)

    def forward(self, t: NDArray[np.int64]) -> NDArray[Any]:
        self.first_products()
        sigmoid(self.z1, self.b1)
        np.dot(self.z1, self.w2, out=self.z2)
        sigmoid(self.z2, self.b2)
        np.exp(self.z2, out=self.y)  # sigmoids are at most 1: nothing to subtract
        self.y /= self.y.sum(axis=1, keepdims=True)
        p: NDArray[Any] = self.y[self.rows, t]
        return p

    def gradient(self, t: NDArray[np.int64], p: NDArray[Any], rate: float) -> None:
        """Write ``rate`` times the gradient into `grads`."""
        w1, b1, w2, b2 = self.grads
        d2 = self.y
        d2[self.rows, t] -= 1
        d2 *= (p / (p + EPSILON) * (rate / len(t)))[:, None]
        d2 *= slope(self.z2, self.slope2)
        np.dot(d2, self.w2.T, out=self.d1)
        self.d1 *= slope(self.z1, self.slope1)
        self.first_gradient(w1)
        np.dot(self.z1.T, d2, out=w2)
        self.d1.sum(axis=0, out=b1)
        d2.sum(axis=0, out=b2)


class SciPySparse(NumPy):
    """The same, with the inputs as a sparse matrix."""

    def __init__(self, data: Data, dtype: str, after: bool) -> None:
        from scipy.sparse import csr_array

        super().__init__(data, dtype, after)
        self.x = csr_array(self.x)

    def gather(self, batch: NDArray[np.int64]) -> None:
        self.xb = self.x[batch]

    def first_products(self) -> None:
        self.z1[...] = self.xb @ self.w1

    def first_gradient(self, out: NDArray[Any]) -> None:
        out[...] = self.xb.T @ self.d1


def sigmoid(a: NDArray[Any], b: NDArray[Any]) -> None:
    """The sigmoid of a + b, in a."""
    a += b
    np.negative(a, out=a)
    np.exp(a, out=a)
    a += 1
    np.reciprocal(a, out=a)


def slope(z: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    np.subtract(1, z, out=out)
    out *= z
    return out


def cross_entropy(p: NDArray[Any]) -> float:
    return -float(np.log(p + EPSILON).mean())


class ScikitLearn:
    """`MLPClassifier`, whose loop is its own.

    What differs: no sigmoid before the softmax, so its losses are others; the loss is
    that of the first forward pass; a shuffled set is walked through; each call of its
    loop, of one epoch, checks the shape of the data.
    """

    def __init__(
        self, data: Data, dtype: str, epochs: int = 1, shuffle: bool = True
    ) -> None:
        from sklearn.neural_network import MLPClassifier

        self.x, self.t, self.iterations = (
            data.typed(dtype),
            data.t,
            epochs * len(data.x) // 100,
        )
        options = {
            "solver": "sgd",
            "momentum": 0.0,
            "alpha": 0.0,
            "learning_rate_init": RATE,
            "batch_size": 100,
        }
        loop = {"max_iter": epochs, "warm_start": True, "shuffle": shuffle}
        self.net = MLPClassifier(50, activation="logistic", **options, **loop)

    def fit(self) -> None:
        from sklearn import config_context

        with config_context(assume_finite=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            self.net.fit(self.x, self.t)

    def params(self) -> Params:
        (w1, w2), (b1, b2) = self.net.coefs_, self.net.intercepts_
        return dict(zip(KEYS, (w1, b1, w2, b2), strict=True))


class Secant:
    """One call of the core, which `secant.train` makes, for each block of
    mini-batches.
    """

    def __init__(
        self,
        data: Data,
        backend: str,
        numerical: bool,
        threads: int,
        dtype: str = "float64",
        after: bool = True,
    ) -> None:
        self.net = secant.TwoLayerNet(784, 50, 10, rng=0, backend=backend)
        self.net.params = {
            key: param.astype(dtype) for key, param in data.params.items()
        }
        take = (
            partial(self.net.numerical_gradient, h=H, method="auto", n_threads=threads)
            if numerical
            else partial(self.net.gradient, n_threads=threads)
        )
        self.run = iterations_of(
            self.net, data.x, data.t, take, RATE, before=not after
        ).run

    def descend(self, indices: NDArray[np.int64]) -> list[float]:
        losses: list[float] = []
        self.run(indices, losses)
        return losses

    def params(self) -> Params:
        return self.net.params
