"""The forward pass: affine, activation, affine, activation, softmax; and the loss."""

from collections.abc import Callable
from typing import cast

import numpy as np

from secant._common.validation import Array, Floats, all_finite
from secant.backends import faults
from secant.backends.activations import ACTIVATIONS
from secant.backends.base import Fault, Parameters
from secant.backends.inputs import NormalizedPixels, Rows
from secant.backends.plan import blocks, in_float64


def softmax(x: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):  # infinities make NaN, as they should
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y: Floats = e / e.sum(axis=-1, keepdims=True)
    return y


def cross_entropy(y: Floats, t: Array, log_offset: float) -> float:
    t = t.astype(np.int64 if t.ndim == 1 else np.float64)  # a copy, to which no other thread writes
    if t.ndim == 1 and faults.of_targets(t, y.shape[1]):
        return np.nan
    return mean_loss(y, t, log_offset)


def mean_loss(y: Floats, t: Array, log_offset: float) -> float:
    """`cross_entropy`, of labels that are in range."""
    if t.ndim == 1:
        y, t = y[np.arange(len(y)), t], np.ones(len(y))
    if y.min() < 0 or t.min() < 0:
        return np.nan
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return float(-np.sum(t * np.log(y + (log_offset + (t == 0)))) / len(y))  # a weight of 0 counts nothing


def prepare(x: Array | Rows) -> Array:
    return x[:] if isinstance(x, NormalizedPixels) else cast("Array", x)


def predict(net: Parameters, x: Array, n_threads: int = 0) -> Array | Fault:
    return checked_outputs(outputs, net, x)


def checked_outputs(outputs: Callable[[Parameters, Array], Array], net: Parameters, x: Array) -> Array | Fault:
    """What ``outputs(net, x)`` returns, if all of it is finite."""
    if fault := faults.first(net, x):
        return fault
    y = outputs(net, x)
    return y if all_finite(y) else faults.OVERFLOW


def loss_of(net: Parameters, x: Array, t: Array) -> float:
    """The loss of a mini-batch."""
    return mean_loss(outputs(net, x), t, net.log_offset)


def outputs(net: Parameters, x: Array) -> Array:
    """The network's output y (N, O), or NaN where a pre-activation overflows."""
    y = np.empty((len(x), len(net.b2)), net.W1.dtype)
    net = in_float64(net)
    for block in blocks(len(x), largest_row(net)):
        a1, a2 = pre_activations(net, x[block])
        y[block] = nan_where_infinite(softmax(ACTIVATIONS[net.output_activation].function(a2)), a1, a2)
    return y


def nan_where_infinite(y: Floats, a1: Floats, a2: Floats) -> Floats:
    """Set y of a sample to NaN where a pre-activation is not finite.

    Such a sum may be NaN or an infinity, by the order of its terms, and an activation makes a number of it.
    """
    y[~(np.isfinite(a1).all(axis=1) & np.isfinite(a2).all(axis=1))] = np.nan
    return y


def logits(net: Parameters, x: Array) -> Floats:
    """What the softmax is taken of, (N, O)."""
    return ACTIVATIONS[net.output_activation].function(pre_activations(net, x)[1])


@np.errstate(over="ignore", invalid="ignore")  # the caller looks for what overflowed
def pre_activations(net: Parameters, x: Array) -> tuple[Floats, Floats]:
    """What the activations are taken of: a1 (N, H) and a2 (N, O)."""
    a1 = x.astype(np.float64) @ net.W1 + net.b1
    return a1, ACTIVATIONS[net.hidden_activation].function(a1) @ net.W2 + net.b2


def loss_of_logits(z2: Floats, t: Array) -> float:
    """The cross entropy without an offset, also where a probability underflows."""
    t = np.eye(z2.shape[1])[t] if t.ndim == 1 else t
    z2 = z2 - z2.max(axis=1, keepdims=True)
    return float(-np.sum(t * (z2 - np.log(np.exp(z2).sum(axis=1, keepdims=True)))) / len(z2))


def largest_row(net: Parameters) -> int:
    """How many numbers the largest array of a sample has."""
    return int(max(net.W1.shape + net.W2.shape))
