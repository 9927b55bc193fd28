"""The central difference from the Taylor series of the unit response.

The formulas are in docs/derivation.md, "The series".

With phi(s) = c_1 s + c_2 s^2 + ..., it is the mean over samples of the sum over odd m
<= K of h^(m-1) x^m c_m. Cut after c_1 it is the derivative, and this is
backpropagation. A shift that may take a relu across its kink has no series and is
evaluated.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats
from secant.backends.base import Parameters
from secant.backends.numpy import jets
from secant.backends.numpy.changes import add_hidden
from secant.backends.numpy.forward import forward_pass, mean_loss
from secant.backends.plan import Sums, one_hot


def contraction(x: Floats, c: Floats, h: float) -> Floats:
    """Return the sum over samples n and odd m of h^(m-1) x[n,i]^m c_m[n,j].

    x is (N, I), c (K+1, N, J), and the sum (I, J).
    """
    total: Floats = x.T @ c[1]
    square = (h * x) ** 2 if len(c) > 2 else x
    for c_m in c[3::2]:
        x = x * square
        total += x.T @ c_m
    return total


Targets = tuple[NDArray[np.int64], Floats]


def response(
    net: Parameters, y: Floats, targets: list[Targets], growth: Floats, powers: Floats
) -> Floats:
    """The series (K+1, N, units) of the loss in the change f of a unit's output.

    The numerator of class k grows by e_k, the sum over m of g_k,m (w_k f)^m, with
    growths g (K+1, N, O) and powers of w (K+1, O, units). So their mean S is the sum of
    M_m f^m, M_m = sum over k of y_k g_k,m w_k^m, and the loss changes by the sum over
    targets of t ( log1p(S) - log1p((1 - r) S + r e_t) ), with r = y_t / (y_t +
    log_offset).
    """
    mean, samples = (y * growth) @ powers, np.arange(len(y))
    log_mean, phi = jets.log1p(mean), np.zeros_like(mean)
    for k, weight in targets:
        # nothing is added where a sample has fewer targets
        y_k = np.where(weight, y[samples, k], 1.0)[:, np.newaxis]
        target = net.log_offset * mean + y_k * (
            growth[:, samples, k, np.newaxis] * powers[:, k]
        )
        phi += weight[:, np.newaxis] * (
            log_mean - jets.log1p(target / (y_k + net.log_offset))
        )
    return phi


class Steps(NamedTuple):
    """The steps that take most of the time: Numba's backend has its own."""

    response: Callable[[Parameters, Floats, list[Targets], Floats, Floats], Floats] = (
        response
    )
    compose: Callable[[Floats, Floats], Floats] = jets.compose
    contraction: Callable[[Floats, Floats, float], Floats] = contraction


PLAIN = Steps()


def summed_series(
    net: Parameters,
    x: Array,
    t: Array,
    h: float,
    order: int,
    count: int = 1,
    steps: Steps = PLAIN,
) -> Sums:
    """Return the sum over samples, divided by ``count``, by a series of one odd order.

    The samples x are (N, I), their targets (N,) or (N, O).

    An ``h`` of 0 is for the derivative: there is no shift that could cross a kink.
    """
    targets, layers = one_by_one(t, count), forward_pass(net, x, h)
    # of the softmax numerators, in the shift of a2
    growth = jets.expm1(layers.outer.series(order))
    powers = np.cumprod([np.ones(net.W2.T.shape), *order * [net.W2.T]], axis=0)
    # a2_k is an exponent of its own class only
    own = np.tile(np.eye(len(net.b2)), (order + 1, 1, 1))

    of_z1 = steps.response(net, layers.y, targets, growth, powers)
    hidden_phi = steps.compose(of_z1, layers.inner.series(order))
    output_phi = steps.response(net, layers.y, targets, growth, own)
    one = np.ones((len(x), 1))
    sums = Sums(
        steps.contraction(layers.x, hidden_phi, h),
        contraction(one, hidden_phi, h)[0],
        contraction(layers.inner.z, output_phi, h),
        contraction(one, output_phi, h)[0],
        len(x) / count * mean_loss(layers.y, t, net.log_offset),
    )
    for n, j in np.argwhere(layers.near).tolist():
        add_hidden(
            net, layers, one_hot(t[n : n + 1], len(net.b2))[0] / count, h, n, j, sums
        )
    return sums


def one_by_one(t: Array, count: int) -> list[Targets]:
    """Return targets as pairs of classes and weights / ``count``, both (N,).

    Each pair has one target of every sample.
    """
    if t.ndim == 1:
        return [(t, np.full(len(t), 1 / count))]
    targets_first = np.argsort(t == 0, axis=1, kind="stable")[
        :, : np.count_nonzero(t, axis=1).max()
    ]
    return [
        (k, t[np.arange(len(t)), k] / count)
        for k in np.ascontiguousarray(targets_first.T)
    ]
