"""The forward pass: affine, activation, affine, activation, softmax; and the loss."""

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats, all_finite
from secant.backends import faults
from secant.backends.activations import ACTIVATIONS, Activation, near_kink, rounded_once
from secant.backends.base import Fault, Parameters
from secant.backends.bound import SMALL_SHIFT_LIMIT
from secant.backends.inputs import NormalizedPixels, Rows
from secant.backends.plan import blocks, in_float64


def softmax(x: Floats) -> Floats:
    # infinities make NaN, as they should
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y: Floats = e / e.sum(axis=-1, keepdims=True)
    return y


def cross_entropy(y: Floats, t: Array, log_offset: float) -> float:
    # a copy, to which no other thread writes
    t = t.astype(np.int64 if t.ndim == 1 else np.float64)
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
        # a weight of 0 counts nothing
        return float(-np.sum(t * np.log(y + (log_offset + (t == 0)))) / len(y))


def prepare(x: Array | Rows) -> Array:
    return x[:] if isinstance(x, NormalizedPixels) else cast("Array", x)


def predict(net: Parameters, x: Array, n_threads: int = 0) -> Array | Fault:
    if fault := faults.first(net, x):
        return fault
    y = outputs(net, x)
    return y if all_finite(y) else faults.OVERFLOW


def outputs(net: Parameters, x: Array) -> Array:
    """The network's output y (N, O), or NaN where a pre-activation overflows."""
    y = np.empty((len(x), len(net.b2)), net.W1.dtype)
    net = in_float64(net)
    for block in blocks(len(x), largest_row(net)):
        a1, a2 = pre_activations(net, x[block])
        y[block] = nan_where_infinite(
            softmax(ACTIVATIONS[net.output_activation].function(a2)), a1, a2
        )
    return y


class Layer(NamedTuple):
    """Units (N, units) after the forward pass: outputs, and the state for changes."""

    activation: Activation
    a: Floats
    z: Floats
    p: Floats
    q: Floats

    def series(self, order: int) -> Floats:
        """The series of the changes of z, (K+1, N, units)."""
        out = np.empty((order + 1, *self.p.shape))
        self.activation.family.series(self.activation.rate, self.p, self.q, out)
        return out

    def change(self, at: Any, u: Floats) -> Floats:
        """The changes of z[at] for shifts u of any size."""
        family, rate = self.activation.family, self.activation.rate
        a, p, q = self.a[at], self.p[at], self.q[at]
        if self.activation.kinked:
            changes: Floats = np.where(a > 0, np.maximum(u, -a), np.maximum(a + u, 0.0))
            return changes
        by_little = family.change(
            rate, p, q, u, np.expm1(np.minimum(rate * np.abs(u), SMALL_SHIFT_LIMIT))
        )
        _, shifted_p, shifted_q = family.state(rate, False, a + u)
        # of that which is small
        anew = np.where(2 * a + u > 0, q - shifted_q, shifted_p - p)
        changes = np.where(rate * np.abs(u) <= SMALL_SHIFT_LIMIT, by_little, anew)
        return changes


def activated(activation: Activation, a: Floats) -> Layer:
    """The units of pre-activations a (N, units)."""
    return Layer(
        activation, a, *activation.family.state(activation.rate, activation.kinked, a)
    )


class Pass(NamedTuple):
    """What a forward pass leaves behind, of inputs x (N, I).

    Where a shift may take a unit across a kink, as ``near`` (N, H) says, its a is
    rounded only once, and its slope p is
    0. The y of a sample is NaN where a pre-activation overflows.
    """

    x: Floats
    near: NDArray[np.bool_]
    inner: Layer
    outer: Layer
    y: Floats


@np.errstate(over="ignore", invalid="ignore")  # the caller looks for what overflowed
def forward_pass(net: Parameters, x: Array, h: float) -> Pass:
    """The forward pass of samples x (N, I), for shifts of parameters by ``h``."""
    x, hidden = x.astype(np.float64, copy=False), ACTIVATIONS[net.hidden_activation]
    a1 = x @ net.W1 + net.b1
    inner, near = activated(hidden, a1), np.zeros(a1.shape, np.bool_)
    a2 = inner.z @ net.W2 + net.b2
    outer = activated(ACTIVATIONS[net.output_activation], a2)
    y = nan_where_infinite(softmax(outer.z), a1, a2)
    if hidden.kinked and h:
        near = near_kink(net.W1, net.b1, x, a1, h)
        inner.p[near] = 0
        for n, j in np.argwhere(near).tolist():
            a1[n, j] = rounded_once(x[n], net.W1[:, j], net.b1[j])
    return Pass(x, near, inner, outer, y)


def nan_where_infinite(y: Floats, a1: Floats, a2: Floats) -> Floats:
    """Set y of a sample to NaN where a pre-activation is not finite.

    Such a sum may be NaN or an infinity, by the order of its terms, and an activation
    makes a number of it.
    """
    y[~(np.isfinite(a1).all(axis=1) & np.isfinite(a2).all(axis=1))] = np.nan
    return y


def logits(net: Parameters, x: Array) -> Floats:
    """What the softmax is taken of, (N, O)."""
    return ACTIVATIONS[net.output_activation].function(pre_activations(net, x)[1])


@np.errstate(over="ignore", invalid="ignore")  # the caller looks for what overflowed
def pre_activations(net: Parameters, x: Array) -> tuple[Floats, Floats]:
    """What the activations are taken of: a1 (N, H) and a2 (N, O)."""
    a1 = x.astype(np.float64, copy=False) @ net.W1 + net.b1
    return a1, ACTIVATIONS[net.hidden_activation].function(a1) @ net.W2 + net.b2


def log_softmax(x: Floats) -> Floats:
    """The logarithm of the softmax."""
    x = x - x.max(axis=-1, keepdims=True)
    logs: Floats = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return logs


def largest_row(net: Parameters) -> int:
    """How many numbers the largest array of a sample has."""
    return int(max(net.W1.shape + net.W2.shape))
