"""The forward pass: affine, activation, affine, activation, softmax."""

from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends import activations as policy
from secant.backends.activations import ACTIVATIONS, FAMILIES, near_kink
from secant.backends.base import Fault, Parameters
from secant.backends.numba.compilation import Kernel, choose_threads, compiled, compiled_choice
from secant.backends.numpy.forward import checked_outputs, nan_where_infinite
from secant.backends.plan import blocks, in_float64

kinked_change, rounded_once = compiled(policy.kinked_change), compiled(policy.rounded_once)
state, series, change, large_change = map(compiled_choice, zip(*FAMILIES, strict=True))

BLOCK_MULTIPLICATIONS = 2**27
"""Of a block of samples: Ctrl-C waits for its end, some 50 ms."""


class Activations(NamedTuple):
    """Both layers after the forward pass, with the p and q of `activations.Family`.

    The output that is always 1 and belongs to a bias stands behind the others in z1. Where a shift may take a1 across a
    kink, as ``near`` says, it is rounded only once, and its slope p1 is 0.
    """

    family1: int  # its number
    rate1: float
    kinked: bool
    family2: int
    rate2: float
    log_offset: float
    near: NDArray[np.bool_]  # (N, H)
    x: Floats  # (N, I)
    a1: Floats  # (N, H)
    z1: Floats  # (N, H+1)
    p1: Floats  # (N, H)
    q1: Floats  # (N, H)
    a2: Floats  # (N, O)
    z2: Floats  # (N, O)
    p2: Floats  # (N, O)
    q2: Floats  # (N, O)
    y: Floats  # (N, O)


def predict(net: Parameters, x: NDArray[Any], n_threads: int) -> NDArray[Any] | Fault:
    return checked_outputs(lambda net, x: outputs(net, x, n_threads), net, x)


def outputs(net: Parameters, x: NDArray[Any], n_threads: int) -> NDArray[Any]:
    """The network's output y (N, O), or NaN where a pre-activation overflows."""
    cost, float64_net = net.W1.size + net.W2.size, in_float64(net)
    threads = choose_threads(n_threads, len(x) * cost)
    parts = (activations(float64_net, x[n], threads) for n in blocks(len(x), cost, BLOCK_MULTIPLICATIONS))
    y = [nan_where_infinite(part.y, part.a1, part.a2) for part in parts]
    return np.concatenate(y, dtype=net.W1.dtype, casting="same_kind")


@np.errstate(over="ignore", invalid="ignore")  # the caller looks for what overflowed
def activations(net: Parameters, x: NDArray[Any], threads: int, h: float = 0.0) -> Activations:
    """The forward pass of all samples, for shifts of parameters by ``h``."""
    x = x.astype(np.float64)
    samples, hidden, outputs = len(x), *net.W2.shape
    f, g = ACTIVATIONS[net.hidden_activation], ACTIVATIONS[net.output_activation]
    columns = (hidden, hidden + 1, hidden, hidden, outputs, outputs, outputs, outputs, outputs)
    arrays = (np.empty((samples, size)) for size in columns)
    kinds = FAMILIES.index(f.family), f.rate, f.kinked, FAMILIES.index(g.family), g.rate
    out = Activations(*kinds, net.log_offset, np.zeros((samples, hidden), np.bool_), x, *arrays)
    out.a1[:] = x @ net.W1 + net.b1
    _activate(threads, net.W2, net.b2, out)
    if out.kinked and h:
        out.near[:] = near_kink(net.W1, net.b1, x, out.a1, h)
        _refine(threads, net.W1, net.b1, out)
    return out


@Kernel
def _activate(w2: Floats, b2: Floats, out: Activations) -> None:
    for n in prange(len(out.x)):
        activate(w2, b2, out, n)


@Kernel
def _refine(w1: Floats, b1: Floats, out: Activations) -> None:
    for n in prange(len(out.x)):
        refine(w1, b1, out, n)


@compiled
def refine(w1: Floats, b1: Floats, out: Activations, n: int) -> None:
    """Prepare what is near a kink of sample n to be evaluated."""
    for j in np.flatnonzero(out.near[n]):
        out.a1[n, j] = rounded_once(out.x[n], w1[:, j], b1[j])
        out.p1[n, j] = 0


@compiled
def activate(w2: Floats, b2: Floats, out: Activations, n: int) -> None:
    """The forward pass of sample n, given a1."""
    a1, z1, p1, q1 = out.a1[n], out.z1[n], out.p1[n], out.q1[n]
    a2, z2, p2, q2 = out.a2[n], out.z2[n], out.p2[n], out.q2[n]
    for j in range(len(a1)):
        z1[j], p1[j], q1[j] = state(out.family1, out.rate1, out.kinked, a1[j])
    z1[-1] = 1
    a2[:] = b2
    add_products(z1, w2, a2)
    for k in range(len(b2)):
        z2[k], p2[k], q2[k] = state(out.family2, out.rate2, False, a2[k])
    softmax(z2, out.y[n])


@compiled
def add_products(values: Floats, rows: Floats, out: Floats) -> None:
    """Add the sum over i of values[i] * rows[i]: a row of a matrix product. Four at a time are faster."""
    full = len(rows) - len(rows) % 4
    for i in range(0, full, 4):
        x0, x1, x2, x3 = values[i], values[i + 1], values[i + 2], values[i + 3]
        for j in range(len(out)):
            out[j] += x0 * rows[i, j] + x1 * rows[i + 1, j] + x2 * rows[i + 2, j] + x3 * rows[i + 3, j]
    for i in range(full, len(rows)):
        for j in range(len(out)):
            out[j] += values[i] * rows[i, j]


@compiled
def softmax(x: Floats, out: Floats) -> None:
    """exp(x) over its sum."""
    out[:] = np.exp(x - x.max())
    out /= out.sum()
