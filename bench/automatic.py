"""The training iteration of peers.py, by libraries that differentiate by themselves."""

from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cases import Data
from peers import EPSILON, KEYS, RATE, Params


class Jax:
    """Automatic differentiation, compiled: one iteration per call, or all of them in
    one by `lax.scan`.
    """

    def __init__(self, data: Data, dtype: str, after: bool, scan: bool) -> None:
        import jax

        configure: Any = jax.config.update  # untyped
        configure("jax_enable_x64", True)
        configure("jax_cpu_enable_async_dispatch", False)
        self.x, self.t = jax_arrays(data, dtype)
        self.p = jax.device_put(
            {key: param.astype(dtype) for key, param in data.params.items()}
        )
        self.scan, iteration = scan, partial(jax_iteration, after)
        self.step = jax.jit(
            partial(jax_scan, iteration) if scan else iteration, donate_argnums=0
        )

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

    def __init__(
        self, data: Data, dtype: str, after: bool, compiled: bool = False
    ) -> None:
        import torch

        self.x = torch.from_numpy(data.typed(dtype))
        self.t = torch.from_numpy(data.t)
        self.p = [
            torch.from_numpy(data.params[key].astype(dtype)).requires_grad_()
            for key in KEYS
        ]
        self.iteration = (
            torch.compile(self.eager, dynamic=False) if compiled else self.eager
        )
        self.after = after

    def descend(self, indices: NDArray[np.int64]) -> Any:
        import torch

        return torch.stack(
            [self.iteration(batch) for batch in torch.from_numpy(indices)]
        ).numpy()

    def params(self) -> Params:
        return {
            key: param.detach().numpy() for key, param in zip(KEYS, self.p, strict=True)
        }

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
    """PyTorch's operations with the gradient written out, in place where that saves an
    array.
    """

    def descend(self, indices: NDArray[np.int64]) -> Any:
        import torch

        with torch.no_grad():
            return torch.stack(
                [self.by_hand(batch) for batch in torch.from_numpy(indices)]
            ).numpy()

    def by_hand(self, batch: Any) -> Any:
        w1, b1, w2, b2 = self.p
        xb, tb = self.x.index_select(0, batch), self.t.index_select(0, batch)[:, None]
        z1, d1, d2, p = self.deltas(xb, tb, RATE)
        loss = None if self.after else self.mean(p)
        w1.addmm_(xb.T, d1, alpha=-1)
        w2.addmm_(z1.T, d2, alpha=-1)
        b1.sub_(d1.sum(0))
        b2.sub_(d2.sum(0))
        return self.mean(self.forward(xb, tb)[-1]) if self.after else loss

    def gradient(self, x: Any, t: Any) -> tuple[Any, ...]:
        import torch

        with torch.no_grad():
            z1, d1, d2, _ = self.deltas(x, t[:, None], 1.0)
            return x.T @ d1, d1.sum(0), z1.T @ d2, d2.sum(0)

    def deltas(self, x: Any, t: Any, rate: float) -> tuple[Any, ...]:
        """The hidden units, ``rate`` times the gradients in the pre-activations, and
        the probabilities of t.
        """
        z1, z2, y, p = self.forward(x, t)
        d2 = y.scatter_add_(1, t, p.new_full((), -1).expand_as(p))
        d2.mul_(p / (p + EPSILON) * (rate / len(t))).mul_(z2).mul_(z2.neg_().add_(1))
        d1 = (d2 @ self.p[2].T).mul_(z1).mul_(1 - z1)
        return z1, d1, d2, p

    def forward(self, x: Any, t: Any) -> Any:
        w1, b1, w2, b2 = self.p
        z1 = b1.addmm(x, w1).sigmoid_()
        z2 = b2.addmm(z1, w2).sigmoid_()
        y = z2.softmax(1)
        return z1, z2, y, y.gather(1, t)

    def mean(self, p: Any) -> Any:
        return -(p + EPSILON).log_().mean()
