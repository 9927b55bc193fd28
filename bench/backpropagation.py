"""One gradient of a mini-batch by backpropagation, with the peers of peers.py and
automatic.py.

Each way takes the mini-batch as the data, and a type, and gives a function that
computes the gradient anew at each call: arrays in the order of `peers.KEYS`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import automatic
import peers
from cases import Data
from differences import chosen

Gradient = Callable[[], Any]
Way = Callable[[Data, str], Gradient]


def numpy_by_hand(peer: type[peers.NumPy], data: Data, dtype: str) -> Gradient:
    net = peer(data, dtype, after=False)
    net.allocate(len(data.t))
    net.xb = net.x

    def gradient() -> Any:
        net.gradient(data.t, net.forward(data.t), 1.0)
        return net.grads

    return gradient


def jax_jit(data: Data, dtype: str) -> Gradient:
    import jax

    net = automatic.Jax(data, dtype, after=False, scan=False)
    grad = jax.jit(jax.grad(automatic.jax_loss))

    def gradient() -> Any:
        grads = jax.block_until_ready(grad(net.p, net.x, net.t))  # type: ignore[no-untyped-call, unused-ignore]
        return [grads[key] for key in peers.KEYS]

    return gradient


def torch_autograd(compiled: bool, data: Data, dtype: str) -> Gradient:
    import torch

    net = automatic.Torch(data, dtype, after=False)
    loss = torch.compile(net.loss, dynamic=False) if compiled else net.loss
    return lambda: torch.autograd.grad(loss(net.x, net.t), net.p)


def torch_by_hand(data: Data, dtype: str) -> Gradient:
    net = automatic.TorchByHand(data, dtype, after=False)
    return lambda: net.gradient(net.x, net.t)


WAYS: dict[str, dict[str, Way]] = {
    "NumPy": {"NumPy by hand": partial(numpy_by_hand, peers.NumPy)},
    "SciPy": {"SciPy, sparse, by hand": partial(numpy_by_hand, peers.SciPySparse)},
    "JAX": {"JAX jit and grad": jax_jit},
    "PyTorch": {
        "PyTorch autograd": partial(torch_autograd, False),
        "PyTorch by hand": torch_by_hand,
    },
}
COMPILED: dict[str, Way] = {"PyTorch, torch.compile": partial(torch_autograd, True)}


def derivatives(gradient: Gradient) -> NDArray[np.float64]:
    """The chosen ones."""
    return chosen(dict(zip(peers.KEYS, map(np.asarray, gradient()), strict=True)))
