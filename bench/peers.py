"""The same training iteration in other libraries: 784-50-10, sigmoids, softmax, cross entropy, backpropagation.

An iteration gathers the mini-batch from the training set, runs it forward, takes the gradient and updates the
parameters. The loss that it gives is either that of the updated network (`after`), which takes a second forward pass
and is what the chapter and Secant give, or that of the forward pass which the gradient needs anyway.

Each peer is written as its users would write it for speed, and is given the training set in the type it computes with.
Secant takes float32 as `load_mnist` returns it, and widens what it reads.
"""

import warnings
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import secant
from cases import Data
from secant.descent import descent

RATE, H, EPSILON = 0.1, 1e-4, 1e-7
Params = dict[str, NDArray[Any]]


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
        self.x, self.t, self.after = data.typed(dtype), data.t, after
        self.w1, self.b1, self.w2, self.b2 = self.p = [data.params[key].astype(dtype) for key in KEYS]
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
            self.xb, self.z1, self.z2, self.y = (np.empty((size, width), self.x.dtype) for width in widths)
            self.slope1, self.slope2, self.d1 = map(np.empty_like, (self.z1, self.z2, self.z1))

    def iteration(self, batch: NDArray[np.int64]) -> float:
        np.take(self.x, batch, axis=0, out=self.xb, mode="clip")
        t = self.t.take(batch)
        p = self.forward(t)
        loss = 0.0 if self.after else cross_entropy(p)
        self.gradient(t, p, RATE)
        for param, step in zip(self.p, self.grads, strict=True):
            param -= step
        return cross_entropy(self.forward(t)) if self.after else loss

    def forward(self, t: NDArray[np.int64]) -> NDArray[Any]:
        affine_sigmoid(self.xb, self.w1, self.b1, self.z1)
        affine_sigmoid(self.z1, self.w2, self.b2, self.z2)
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
        np.dot(self.xb.T, self.d1, out=w1)
        np.dot(self.z1.T, d2, out=w2)
        self.d1.sum(axis=0, out=b1)
        d2.sum(axis=0, out=b2)


KEYS = ("W1", "b1", "W2", "b2")


def affine_sigmoid(x: NDArray[Any], w: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    np.dot(x, w, out=out)
    out += b
    np.negative(out, out=out)
    np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)


def slope(z: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    np.subtract(1, z, out=out)
    out *= z
    return out


def cross_entropy(p: NDArray[Any]) -> float:
    return -float(np.log(p + EPSILON).mean())


class Jax:
    """Automatic differentiation, compiled: an iteration a call, or all of them in one by `lax.scan`."""

    def __init__(self, data: Data, dtype: str, after: bool, scan: bool) -> None:
        import jax

        configure: Any = jax.config.update  # untyped
        configure("jax_enable_x64", True)
        configure("jax_cpu_enable_async_dispatch", False)
        self.x, self.t = jax_arrays(data, dtype)
        self.p = jax.device_put({key: param.astype(dtype) for key, param in data.params.items()})
        self.scan, iteration = scan, partial(jax_iteration, after)
        self.step = jax.jit(partial(jax_scan, iteration) if scan else iteration, donate_argnums=0)

    def descend(self, indices: NDArray[np.int64]) -> Any:
        if self.scan:
            self.p, losses = self.step(self.p, self.x, self.t, indices)
            return np.asarray(losses)
        losses = []
        for batch in indices:
            self.p, loss = self.step(self.p, self.x, self.t, batch)
            losses.append(loss)
        return np.asarray(losses)

    def params(self) -> Params:
        return {key: np.array(param) for key, param in self.p.items()}


@cache
def jax_arrays(data: Data, dtype: str) -> Any:
    import jax

    return jax.device_put((data.typed(dtype), data.t))


def jax_iteration(after: bool, p: Any, x: Any, t: Any, batch: Any) -> Any:
    import jax

    xb, tb = x[batch], t[batch]
    loss, grads = jax.value_and_grad(jax_loss)(p, xb, tb)
    p = jax.tree.map(lambda param, grad: param - RATE * grad, p, grads)
    return p, jax_loss(p, xb, tb) if after else loss


def jax_scan(iteration: Any, p: Any, x: Any, t: Any, indices: Any) -> Any:
    from jax import lax

    return lax.scan(lambda p, batch: iteration(p, x, t, batch), p, indices)


def jax_loss(p: Any, x: Any, t: Any) -> Any:
    import jax
    import jax.numpy as jnp

    z1 = jax.nn.sigmoid(x @ p["W1"] + p["b1"])
    y = jax.nn.softmax(jax.nn.sigmoid(z1 @ p["W2"] + p["b2"]))
    return -jnp.log(y[jnp.arange(len(t)), t] + EPSILON).mean()


class Torch:
    """PyTorch by automatic differentiation, eagerly or compiled."""

    def __init__(self, data: Data, dtype: str, after: bool, compiled: bool = False) -> None:
        import torch

        self.x = torch.from_numpy(data.typed(dtype))
        self.t = torch.from_numpy(data.t)
        self.p = [torch.from_numpy(data.params[key].astype(dtype)).requires_grad_() for key in KEYS]
        self.iteration = torch.compile(self.eager, dynamic=False) if compiled else self.eager
        self.after = after

    def descend(self, indices: NDArray[np.int64]) -> Any:
        import torch

        return torch.stack([self.iteration(batch) for batch in torch.from_numpy(indices)]).numpy()

    def params(self) -> Params:
        return {key: param.detach().numpy() for key, param in zip(KEYS, self.p, strict=True)}

    def eager(self, batch: Any) -> Any:
        import torch

        xb, tb = self.x.index_select(0, batch), self.t.index_select(0, batch)
        loss = self.loss(xb, tb)
        grads = torch.autograd.grad(loss, self.p)
        with torch.no_grad():
            for param, grad in zip(self.p, grads, strict=True):
                param.sub_(grad, alpha=RATE)
            return self.loss(xb, tb) if self.after else loss.detach()

    def loss(self, x: Any, t: Any) -> Any:
        import torch

        w1, b1, w2, b2 = self.p
        z2 = torch.addmm(b2, torch.addmm(b1, x, w1).sigmoid(), w2).sigmoid()
        return -(z2.softmax(1).gather(1, t[:, None]) + EPSILON).log().mean()


class TorchByHand(Torch):
    """PyTorch's operations with the gradient written out, in place where that saves an array."""

    def descend(self, indices: NDArray[np.int64]) -> Any:
        import torch

        with torch.no_grad():
            return torch.stack([self.by_hand(batch) for batch in torch.from_numpy(indices)]).numpy()

    def by_hand(self, batch: Any) -> Any:
        w1, b1, w2, b2 = self.p
        xb, tb = self.x.index_select(0, batch), self.t.index_select(0, batch)[:, None]
        z1, z2, y, p = self.forward(xb, tb)
        loss = None if self.after else self.mean(p)
        d2 = y.scatter_add_(1, tb, p.new_full((), -1).expand_as(p))
        d2.mul_(p / (p + EPSILON) * (RATE / len(tb))).mul_(z2).mul_(z2.neg_().add_(1))
        d1 = (d2 @ w2.T).mul_(z1).mul_(1 - z1)
        w1.addmm_(xb.T, d1, alpha=-1)
        w2.addmm_(z1.T, d2, alpha=-1)
        b1.sub_(d1.sum(0))
        b2.sub_(d2.sum(0))
        return self.mean(self.forward(xb, tb)[-1]) if self.after else loss

    def forward(self, x: Any, t: Any) -> Any:
        w1, b1, w2, b2 = self.p
        z1 = b1.addmm(x, w1).sigmoid_()
        z2 = b2.addmm(z1, w2).sigmoid_()
        y = z2.softmax(1)
        return z1, z2, y, y.gather(1, t)

    def mean(self, p: Any) -> Any:
        return -(p + EPSILON).log_().mean()


class ScikitLearn:
    """`MLPClassifier`, whose loop is its own.

    What differs: no sigmoid before the softmax, so its losses are others; the loss is that of the first forward pass;
    a shuffled set is walked through; each call of its loop, of one epoch, checks the shape of the data.
    """

    def __init__(self, data: Data, dtype: str, epochs: int = 1) -> None:
        from sklearn.neural_network import MLPClassifier

        self.x, self.t, self.iterations = data.typed(dtype), data.t, epochs * len(data.x) // 100
        options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": RATE, "batch_size": 100}
        self.net = MLPClassifier(50, activation="logistic", max_iter=epochs, warm_start=True, **options)

    def fit(self) -> None:
        from sklearn import config_context

        with config_context(assume_finite=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            self.net.fit(self.x, self.t)


class Secant:
    """One call of the core, which `secant.train` makes, for each block of mini-batches."""

    def __init__(self, data: Data, backend: str, numerical: bool, threads: int) -> None:
        self.net = secant.TwoLayerNet(784, 50, 10, rng=0, backend=backend)
        self.net.params = {key: param.copy() for key, param in data.params.items()}
        take = (
            partial(self.net.numerical_gradient, h=H, method="auto", n_threads=threads)
            if numerical
            else partial(self.net.gradient, n_threads=threads)
        )
        self.run = descent(self.net, data.x, data.t, take, RATE).run

    def descend(self, indices: NDArray[np.int64]) -> list[float]:
        losses: list[float] = []
        self.run(indices, losses)
        return losses

    def params(self) -> Params:
        return self.net.params
