"""The central difference from the Taylor series of the unit response (docs/method.md, "The series").

With phi(s) = c_1 s + c_2 s^2 + ..., it is the mean over samples of the sum over odd m <= K of h^(m-1) x^m c_m. Cut
after c_1 it is the derivative, and this is backpropagation. A shift that may take a relu across its kink has no series
and is evaluated.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats
from secant.backends.activations import ACTIVATIONS, Activation, kinked_change, near_kink, rounded_once
from secant.backends.base import Parameters
from secant.backends.numpy import jets
from secant.backends.numpy.forward import mean_loss, nan_where_infinite, softmax
from secant.backends.plan import Sums, one_hot


class Layer(NamedTuple):
    """Units (N, units) after the forward pass: their outputs, and what their changes are computed from."""

    activation: Activation
    z: Floats
    p: Floats
    q: Floats

    def series(self, order: int) -> Floats:
        """The changes of z (K+1, N, units)."""
        out = np.empty((order + 1, *self.p.shape))
        self.activation.family.series(self.activation.rate, self.p, self.q, out)
        return out


def activated(activation: Activation, a: Floats) -> Layer:
    """The units of pre-activations a (N, units)."""
    return Layer(activation, *activation.family.state(activation.rate, activation.kinked, a))


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the caller looks for what overflowed
def summed_series(net: Parameters, x: Array, t: Array, h: float, order: int) -> Sums:
    """The sum over samples x (N, I), with targets t (N,) or (N, O), each by a series of one odd order.

    An ``h`` of 0 is for the derivative: there is no shift that could cross a kink.
    """
    x = x.astype(np.float64)
    t = one_hot(t, net.W2.shape[1])
    hidden, output = ACTIVATIONS[net.hidden_activation], ACTIVATIONS[net.output_activation]
    a1 = x @ net.W1 + net.b1
    inner = activated(hidden, a1)
    a2 = inner.z @ net.W2 + net.b2
    outer = activated(output, a2)
    y = nan_where_infinite(softmax(outer.z), a1, a2)
    near = np.zeros(a1.shape, np.bool_)
    if hidden.kinked and h:
        near = near_kink(net.W1, net.b1, x, a1, h)
        inner.p[near] = 0
    softmax_growth = jets.expm1(outer.series(order))  # of the softmax numerators, in the shift of a2

    hidden_phi = hidden_series(net, y, t, softmax_growth, inner.series(order))
    output_phi = output_series(net, y, t, softmax_growth)
    one = np.ones((len(x), 1))
    sums = Sums(
        contraction(x, hidden_phi, h),
        contraction(one, hidden_phi, h)[0],
        contraction(inner.z, output_phi, h),
        contraction(one, output_phi, h)[0],
        len(x) * mean_loss(y, t, net.log_offset),
    )
    for n, j in np.argwhere(near).tolist():
        difference = across_kink(net, x[n], t[n], h, j, outer, n, y[n])
        sums.W1[:, j] += difference[:-1]
        sums.b1[j] += difference[-1]
    return sums


def across_kink(net: Parameters, x: Floats, t: Floats, h: float, j: int, outer: Layer, n: int, y: Floats) -> Floats:
    """The central differences (I+1,) of sample n in the weights into unit j and its bias, evaluated."""
    inputs, counts = np.append(x, 1.0), t > 0
    a1 = rounded_once(x, net.W1[:, j], net.b1[j])
    a2_change = kinked_change(a1, h * np.stack([inputs, -inputs]))[..., np.newaxis] * net.W2[j]  # (2, I+1, O)
    rate, family = outer.activation.rate, outer.activation.family
    m = np.expm1(rate * np.abs(a2_change))
    softmax_growth = np.expm1(family.change(rate, outer.p[n], outer.q[n], a2_change, m))
    mean = (softmax_growth @ y)[..., np.newaxis]
    r = y[counts] / (y[counts] + net.log_offset)
    phi = np.log1p(r * (softmax_growth[..., counts] - mean) / (1 + mean)) @ -t[counts]
    difference: Floats = (phi[0] - phi[1]) / (2 * h)
    return difference


def hidden_series(net: Parameters, y: Floats, t: Floats, softmax_growth: Floats, changes: Floats) -> Floats:
    """The series phi (K+1, N, H) in the shift of a1, given the growths (K+1, N, O) and the changes f of z1 (K+1, N, H).

    A growth is a polynomial in w f, so their mean S is the sum over m of M_m f^m, M_m = sum over k of y_k g_k,m w_k^m.
    """
    powers = net.W2.T ** np.arange(len(softmax_growth))[:, np.newaxis, np.newaxis]  # (K+1, O, H)

    def target_growth(k: int, rows: NDArray[np.intp]) -> Floats:
        return jets.compose(softmax_growth[:, rows, k, np.newaxis] * powers[:, [k]], changes[:, rows])

    return loss_change(net, y, t, jets.compose((y * softmax_growth) @ powers, changes), target_growth)


def output_series(net: Parameters, y: Floats, t: Floats, softmax_growth: Floats) -> Floats:
    """The series phi (K+1, N, O) in the shift of a2: only the shifted unit's numerator grows, so S = y_k e_k."""
    return loss_change(net, y, t, y * softmax_growth, lambda k, rows: softmax_growth[:, rows] * np.eye(y.shape[1])[k])


def loss_change(
    net: Parameters, y: Floats, t: Floats, mean: Floats, target_growth: Callable[[int, NDArray[np.intp]], Floats]
) -> Floats:
    """The sum over targets of t ( log1p(S) - log1p((1 - r) S + r e_t) ), with r = y_t / (y_t + log_offset).

    ``mean`` is S, (K+1, N, units); ``target_growth(k, rows)`` gives e_k for some of the samples.
    """
    log_mean = jets.log1p(mean)
    phi = np.zeros_like(mean)
    for k in np.flatnonzero(t.any(axis=0)).tolist():
        rows = np.flatnonzero(t[:, k])
        y_k = y[rows, k, np.newaxis]
        target: Floats = (net.log_offset * mean[:, rows] + y_k * target_growth(k, rows)) / (y_k + net.log_offset)
        phi[:, rows] += t[rows, k, np.newaxis] * (log_mean[:, rows] - jets.log1p(target))
    return phi


def contraction(x: Floats, c: Floats, h: float) -> Floats:
    """The sum over samples n and odd m of h^(m-1) x[n,i]^m c_m[n,j], (I, J), of x (N, I) and c (K+1, N, J)."""
    total: Floats = x.T @ c[1]
    square = h * x
    square *= square
    for c_m in c[3::2]:
        x = x * square
        total += x.T @ c_m
    return total
