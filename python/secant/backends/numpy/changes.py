"""The central differences of one sample, for shifts of any size.

The formulas are in docs/derivation.md, "Changes, not differences".

The change of the loss is computed directly and never as a difference of two losses.
Both sides stand in one array: what belongs to +h first, then what belongs to -h.
"""

import numpy as np

from secant._common.validation import Floats
from secant.backends.base import Parameters
from secant.backends.bound import EXPONENT_LIMIT, SMALL_OFFSET
from secant.backends.numpy.forward import Pass, log_softmax
from secant.backends.plan import Sums

_LEAST_NORMAL = float(np.finfo(float).tiny)


def add_hidden(
    net: Parameters, layers: Pass, t: Floats, h: float, n: int, j: int, sums: Sums
) -> None:
    """Add the central differences of sample n in the parameters of hidden unit j.

    The targets t of the sample are (O,).
    """
    # equal inputs have equal responses
    inputs, same = np.unique(np.append(layers.x[n], 1.0), return_inverse=True)
    z1_change = layers.inner.change((n, j), h * np.stack([inputs, -inputs]))
    q = layers.outer.change(n, z1_change[..., np.newaxis] * net.W2[j])
    difference = _difference(layers, t, net.log_offset, h, n, q)[same]
    sums.W1[:, j] += difference[:-1]
    sums.b1[j] += difference[-1]


def add_output(
    net: Parameters, layers: Pass, t: Floats, h: float, n: int, k: int, sums: Sums
) -> None:
    """Add the central differences of sample n in the parameters of output k."""
    z1 = np.append(layers.inner.z[n], 1.0)
    q = np.zeros((2, len(z1), len(t)))
    q[..., k] = layers.outer.change((n, k), h * np.stack([z1, -z1]))
    difference = _difference(layers, t, net.log_offset, h, n, q)
    sums.W2[:, k] += difference[:-1]
    sums.b2[k] += difference[-1]


def _difference(
    layers: Pass, t: Floats, log_offset: float, h: float, n: int, q: Floats
) -> Floats:
    """The central difference of the loss of a sample whose z2 changes by q (2, ..., O).

    Softmax does not see a common factor of its numerators, so growths are relative to
    that of the most probable class: 1 + S is then at least 1 / O. Probabilities that
    move far are computed anew.
    """
    z2 = layers.outer.z[n]  # (O,)
    y = layers.y[n]  # (O,)
    targets = np.flatnonzero(t)
    exponents = q - q[..., [y.argmax()]]
    growth = np.expm1(exponents)
    mean = (growth @ y)[..., np.newaxis]
    relative = (
        y[targets]
        / (y[targets] + log_offset)
        * ((growth[..., targets] - mean) / (1 + mean))
    )
    log_y = log_softmax(z2 + q)[..., targets]
    if log_offset:
        anew = np.log((np.exp(log_y) + log_offset) / (y[targets] + log_offset))
    else:  # a probability may underflow
        anew = log_y - log_softmax(z2)[targets]
    moves_far = np.abs(exponents).max(axis=-1, keepdims=True) > EXPONENT_LIMIT
    far = moves_far | (relative < -0.5)
    if 0 < log_offset < SMALL_OFFSET and (y[targets] < _LEAST_NORMAL).any():
        # `relative` has lost a y that underflowed; a shift may bring it back above the
        # offset.
        far |= np.abs(exponents).max(axis=-1, keepdims=True) > 0
    loss = -np.where(far, anew, np.log1p(relative)) @ t[targets]
    difference: Floats = (loss[0] - loss[1]) / (2 * h)
    return difference
