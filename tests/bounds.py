"""The numerical contract: what is promised of each result, in one place. README.md repeats it, a test compares them."""

from typing import NamedTuple

import numpy as np

from secant.backends.activations import ACTIVATIONS
from secant.backends.numpy.series import activated

EPS, EPS32 = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)


class Promise(NamedTuple):
    """A row of the contract, as it stands in the README."""

    quantity: str
    bound: str


CONTRACT = (
    Promise("sigmoid, softmax, log in the compiled core", "2 ulp"),
    Promise("predict, loss", "1e-14 · max(1, value) for pre-activations of order 1; each adds eps · I · Σ abs(x w)"),
    Promise(
        "direct and series, against the exact central difference D at the same h, 1e-6 to 1e-1",
        "1e-14 · max(1, max abs(x), max abs(z1)) · max(1, abs(D)); more where pre-activations cancel, as for predict",
    ),
    Promise("direct and series, against the NumPy loop", "the loop's own rounding: 8 eps · max(1, loss) / h"),
    Promise(
        "float32 parameters: predict, loss, gradients at h up to 1e-4",
        "16 eps32 · Σ abs(terms), for pre-activations of order 1; for others, and larger h, the bounds above · 2^29",
    ),
    Promise("results for 1, 2, ... threads, and for a call repeated", "the same bits"),
    Promise("training, against the NumPy loop, same seed", "losses within 1e-9 over 20 iterations of a small net"),
    Promise(
        "NaN, infinity, wrong shapes and types in what a network is given",
        "an error that names the argument; nothing is changed",
    ),
)

ELEMENTARY_ULP = 2
FORWARD = 1e-14
TRAJECTORY = 1e-9


def central_difference(x: np.ndarray, true: np.ndarray | float) -> np.ndarray:
    """The largest error of a compiled central difference, absolute, for each component of the true one."""
    return 1e-14 * max(1.0, float(np.abs(x).max())) * np.maximum(1.0, np.abs(true))


SINGLE = EPS32 / EPS
"""How much less exact float32 is: what holds of float64 elsewhere holds times this."""


def single(terms: np.ndarray | float) -> np.ndarray | float:
    """The largest error of a result of float32 parameters, given the sum of the absolute terms that make it up."""
    return 16 * EPS32 * terms


def absolute_terms(net, x: np.ndarray, t: np.ndarray) -> dict:
    """The sums of absolute terms of a gradient, by backpropagation in which none cancels another."""
    params = {key: param.astype(np.float64) for key, param in net.params.items()}
    x, t = x.astype(np.float64), np.eye(net.params["b2"].size)[t] if t.ndim == 1 else t
    a1 = x @ params["W1"] + params["b1"]
    activation = ACTIVATIONS[net.hidden_activation]
    z1 = activation.function(a1)
    slope1 = 1.0 * (a1 > -1e-3) if activation.kinked else activated(activation, a1).series(1)[1]
    a2 = z1 @ params["W2"] + params["b2"]
    z2 = 1 / (1 + np.exp(-a2)) if net.output_activation == "sigmoid" else a2
    slope2 = z2 * (1 - z2) if net.output_activation == "sigmoid" else 1.0
    y = np.exp(z2 - z2.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    outputs = slope2 * (t.sum(axis=1, keepdims=True) * y + t) / len(x)
    hidden = slope1 * (outputs @ np.abs(params["W2"]).T)
    return {
        "W1": np.abs(x).T @ hidden,
        "b1": hidden.sum(axis=0),
        "W2": np.abs(z1).T @ outputs,
        "b2": outputs.sum(axis=0),
    }


def numpy_loop(loss: float, h: float) -> float:
    """The rounding error of two losses subtracted and divided by 2h: what the plain loop itself is good for."""
    return 8 * EPS * max(1.0, loss) / h


def wide_range(x: np.ndarray, z1: np.ndarray, w2: np.ndarray, true: float) -> float:
    """The bound of one component for inputs and weights up to 1e6, steps 1e-9 to 10, pre-activations up to 1e4.

    The outputs z1 of hidden units are the inputs of the next layer; with relu or the identity they may be large, too.
    To it comes what the rounding of pre-activations does, which depends on the network: tests/reliability/rounding.py
    tries that out.
    """
    largest = max(1.0, float(np.abs(x).max()), float(np.abs(z1).max()))
    return 1e-14 * largest * max(1.0, float(np.abs(w2).max()), abs(true))
