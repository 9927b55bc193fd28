"""The forward pass: affine, activation, affine, activation, softmax."""

from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends import activations as policy
from secant.backends.activations import ACTIVATIONS, near_kink
from secant.backends.base import Parameters
from secant.backends.numba.compilation import Kernel, choose_threads, compiled
from secant.backends.plan import blocks, in_double

change, kinked_change = compiled(policy.change), compiled(policy.kinked_change)
rounded_once, series, state = compiled(policy.rounded_once), compiled(policy.series), compiled(policy.state)

BLOCK_MULTIPLICATIONS = 2**27
"""Of a block of samples: Ctrl-C waits for its end, some 50 ms."""


class Activations(NamedTuple):
    """Both layers after the forward pass, with the p and q of `activations.state`.

    The input that is always 1 and belongs to a bias stands behind the others, in x and in z1. Where a shift may take a1
    across a kink, as ``near`` says, it is rounded only once, and its slope p1 is 0.
    """

    rate1: float
    kinked: bool
    rate2: float
    log_offset: float
    near: NDArray[np.bool_]  # (N, H)
    x: Floats  # (N, I+1)
    a1: Floats  # (N, H)
    z1: Floats  # (N, H+1)
    p1: Floats  # (N, H)
    q1: Floats  # (N, H)
    a2: Floats  # (N, O)
    z2: Floats  # (N, O)
    p2: Floats  # (N, O)
    q2: Floats  # (N, O)
    y: Floats  # (N, O)


def predict(net: Parameters, x: NDArray[Any], n_threads: int) -> NDArray[Any]:
    cost, own = net.W1.size + net.W2.size, in_double(net)
    threads = choose_threads(n_threads, len(x) * cost)
    y = [activations(own, x[n], threads).y for n in blocks(len(x), cost, BLOCK_MULTIPLICATIONS)]
    return np.concatenate(y, dtype=net.W1.dtype, casting="same_kind")


def activations(net: Parameters, x: NDArray[Any], threads: int, h: float = 0.0) -> Activations:
    """The forward pass of all samples, for shifts of parameters by ``h``."""
    samples, (inputs, hidden), outputs = len(x), net.W1.shape, len(net.b2)
    f, g = ACTIVATIONS[net.hidden_activation], ACTIVATIONS[net.output_activation]
    columns = (inputs + 1, hidden, hidden + 1, hidden, hidden, outputs, outputs, outputs, outputs, outputs)
    arrays = (np.empty((samples, size)) for size in columns)
    out = Activations(f.rate, f.kinked, g.rate, net.log_offset, np.zeros((samples, hidden), np.bool_), *arrays)
    out.x[:, :-1] = x
    out.x[:, -1] = 1
    _activate(threads, *net[:4], out)
    if out.kinked and h:
        out.near[:] = near_kink(net.W1, net.b1, out.x[:, :-1], out.a1, h)
        _refine(threads, net.W1, net.b1, out)
    return out


@Kernel
def _activate(w1: Floats, b1: Floats, w2: Floats, b2: Floats, out: Activations) -> None:
    for n in prange(len(out.x)):
        activate(w1, b1, w2, b2, out, n)


@Kernel
def _refine(w1: Floats, b1: Floats, out: Activations) -> None:
    for n in prange(len(out.x)):
        refine(w1, b1, out, n)


@compiled
def refine(w1: Floats, b1: Floats, out: Activations, n: int) -> None:
    """Prepare what is near a kink of sample n to be evaluated."""
    for j in np.flatnonzero(out.near[n]):
        out.a1[n, j] = rounded_once(out.x[n, :-1], w1[:, j], b1[j])
        out.p1[n, j] = 0


@compiled
def activate(w1: Floats, b1: Floats, w2: Floats, b2: Floats, out: Activations, n: int) -> None:
    """The forward pass of sample n."""
    lit = np.empty(len(w1), np.intp)
    count = find_nonzeros(out.x[n, :-1], lit)
    out.a1[n] = b1
    add_rows(out.x[n], lit[:count], w1, out.a1[n])
    for j in range(len(b1)):
        out.z1[n, j], out.p1[n, j], out.q1[n, j] = state(out.rate1, out.kinked, out.a1[n, j])
    out.z1[n, -1] = 1
    out.a2[n] = b2
    add_rows(out.z1[n], np.arange(len(w2)), w2, out.a2[n])
    for k in range(len(b2)):
        out.z2[n, k], out.p2[n, k], out.q2[n, k] = state(out.rate2, False, out.a2[n, k])
    softmax(out.z2[n], out.y[n])


@compiled
def find_nonzeros(values: Floats, ids: NDArray[np.intp]) -> int:
    """Where values are not zero: the first of ``ids``. Returns how many."""
    count = 0
    for i in range(len(values)):
        ids[count] = i  # written first and decided upon later: no branch to mispredict
        count += values[i] != 0
    return count


@compiled
def add_rows(values: Floats, ids: NDArray[np.intp], rows: Floats, out: Floats) -> None:
    """Add the sum over i in ids of values[i] * rows[i]: a row of a matrix product. Four at a time are faster."""
    full = len(ids) - len(ids) % 4
    for e in range(0, full, 4):
        i0, i1, i2, i3 = ids[e], ids[e + 1], ids[e + 2], ids[e + 3]
        x0, x1, x2, x3 = values[i0], values[i1], values[i2], values[i3]
        for j in range(len(out)):
            out[j] += x0 * rows[i0, j] + x1 * rows[i1, j] + x2 * rows[i2, j] + x3 * rows[i3, j]
    for i in ids[full:]:
        x = values[i]
        for j in range(len(out)):
            out[j] += x * rows[i, j]


@compiled
def softmax(x: Floats, out: Floats) -> None:
    """exp(x) over its sum."""
    out[:] = np.exp(x - x.max())
    out /= out.sum()
