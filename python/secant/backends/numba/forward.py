"""The forward pass: affine, sigmoid, affine, sigmoid, softmax."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import Parameters
from secant.backends.numba.compilation import Kernel, choose_threads, compiled

_BLOCK_MULTIPLICATIONS = 2**27
"""In a call of compiled code, which Ctrl-C waits for: some 30 ms."""


class Activations(NamedTuple):
    """Both layers after the forward pass. A sigmoid of -a is kept as zc: 1 - z loses everything when z is close to 1.

    The input that is always 1 and belongs to a bias stands behind the others, in x and in z1.
    """

    sigmoid_output: bool
    x: Floats  # (N, I+1)
    a1: Floats  # (N, H)
    z1: Floats  # (N, H+1)
    zc1: Floats  # (N, H)
    a2: Floats  # (N, O)
    z2: Floats  # (N, O)
    zc2: Floats  # (N, O)
    y: Floats  # (N, O)


def predict(net: Parameters, x: NDArray[Any], n_threads: int) -> Floats:
    multiplications = net.W1.size + net.W2.size
    threads = choose_threads(n_threads, len(x) * multiplications)
    rows = 1 + _BLOCK_MULTIPLICATIONS // multiplications
    return np.concatenate([activations(net, x[n : n + rows], threads).y for n in range(0, len(x), rows)])


def activations(net: Parameters, x: NDArray[Any], threads: int) -> Activations:
    """The forward pass of all samples."""
    if net.hidden_activation != "sigmoid" or net.log_offset != 1e-7:
        raise NotImplementedError
    samples, (inputs, hidden), outputs = len(x), net.W1.shape, len(net.b2)
    columns = (inputs + 1, hidden, hidden + 1, hidden, outputs, outputs, outputs, outputs)
    out = Activations(net.output_activation == "sigmoid", *(np.empty((samples, size)) for size in columns))
    out.x[:, :-1] = x
    out.x[:, -1] = 1
    _activate(threads, *net[:4], out)
    return out


@Kernel
def _activate(w1: Floats, b1: Floats, w2: Floats, b2: Floats, out: Activations) -> None:
    for n in prange(len(out.x)):
        activate(w1, b1, w2, b2, out, n)


@compiled
def activate(w1: Floats, b1: Floats, w2: Floats, b2: Floats, out: Activations, n: int) -> None:
    """The forward pass of sample n."""
    lit = np.empty(len(w1), np.intp)
    count = find_nonzeros(out.x[n, :-1], lit)
    out.a1[n] = b1
    add_rows(out.x[n], lit[:count], w1, out.a1[n])
    for j in range(len(b1)):
        out.z1[n, j], out.zc1[n, j] = sigmoids(out.a1[n, j])
    out.z1[n, -1] = 1
    out.a2[n] = b2
    add_rows(out.z1[n], np.arange(len(w2)), w2, out.a2[n])
    for k in range(len(b2)):
        out.z2[n, k], out.zc2[n, k] = sigmoids(out.a2[n, k]) if out.sigmoid_output else (out.a2[n, k], 0.0)
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
def sigmoids(a: float) -> tuple[float, float]:
    """Sigmoids of a and of -a."""
    e = math.exp(-abs(a))
    large, small = 1 / (1 + e), e / (1 + e)
    return (large, small) if a > 0 else (small, large)


@compiled
def softmax(x: Floats, out: Floats) -> None:
    """exp(x) over its sum."""
    top = x.max()
    total = 0.0
    for k in range(len(x)):
        out[k] = math.exp(x[k] - top)
        total += out[k]
    for k in range(len(x)):
        out[k] /= total
