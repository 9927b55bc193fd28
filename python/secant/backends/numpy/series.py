"""The central difference from the Taylor series of the unit response (docs/method.md, "The series").

With phi(s) = c_1 s + c_2 s^2 + ..., it is the mean over samples of the sum over odd m <= K of h^(m-1) x^m c_m. Cut
after c_1 it is the derivative, and this is backpropagation.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats
from secant.backends.base import Gradients, Parameters
from secant.backends.bound import LOG_OFFSET
from secant.backends.numpy import jets
from secant.backends.numpy.forward import sigmoid, softmax


@np.errstate(over="ignore", invalid="ignore")  # the caller looks for what overflowed
def summed_series(net: Parameters, x: Array, t: Array, h: float, order: int) -> Gradients:
    """The sum over samples x (N, I), with targets t (N,) or (N, O), each by a series of one odd order."""
    x = x.astype(np.float64)
    t = np.eye(net.W2.shape[1])[t] if t.ndim == 1 else t
    a1 = x @ net.W1 + net.b1
    z1 = sigmoid(a1)
    a2 = z1 @ net.W2 + net.b2
    if net.output_activation == "sigmoid":
        z2 = sigmoid(a2)
        z2_change = jets.sigmoid(z2, sigmoid(-a2), order)
    else:
        z2 = a2
        z2_change = jets.variable(a2.shape, order)
    growth = jets.expm1(z2_change)  # of the softmax numerators, in the shift of a2
    y = softmax(z2)

    hidden = hidden_series(net.W2, y, t, growth, jets.sigmoid(z1, sigmoid(-a1), order))
    output = output_series(y, t, growth)
    one = np.ones((len(x), 1))
    return Gradients(
        contraction(x, hidden, h),
        contraction(one, hidden, h)[0],
        contraction(z1, output, h),
        contraction(one, output, h)[0],
    )


def hidden_series(w2: Floats, y: Floats, t: Floats, growth: Floats, change: Floats) -> Floats:
    """The series phi (K+1, N, H) in the shift of a1, given the growths (K+1, N, O) and the changes f of z1 (K+1, N, H).

    A growth is a polynomial in w f, so their mean S is the sum over m of M_m f^m, M_m = sum over k of y_k g_k,m w_k^m.
    """
    powers = w2.T ** np.arange(len(growth))[:, np.newaxis, np.newaxis]  # (K+1, O, H)

    def own(k: int, rows: NDArray[np.intp]) -> Floats:
        return jets.compose(growth[:, rows, k, np.newaxis] * powers[:, [k]], change[:, rows])

    return loss_change(y, t, jets.compose((y * growth) @ powers, change), own)


def output_series(y: Floats, t: Floats, growth: Floats) -> Floats:
    """The series phi (K+1, N, O) in the shift of a2: only the shifted unit's numerator grows, so S = y_k e_k."""
    return loss_change(y, t, y * growth, lambda k, rows: growth[:, rows] * np.eye(y.shape[1])[k])


def loss_change(y: Floats, t: Floats, mean: Floats, own: Callable[[int, NDArray[np.intp]], Floats]) -> Floats:
    """The sum over targets of t ( log1p(S) - log1p((1 - r) S + r e_t) ), with r = y_t / (y_t + 1e-7).

    ``mean`` is S, (K+1, N, units); ``own(k, rows)`` gives e_k for some of the samples.
    """
    log_mean = jets.log1p(mean)
    phi = np.zeros_like(mean)
    for k in np.flatnonzero(t.any(axis=0)).tolist():
        rows = np.flatnonzero(t[:, k])
        y_k = y[rows, k, np.newaxis]
        target: Floats = (LOG_OFFSET * mean[:, rows] + y_k * own(k, rows)) / (y_k + LOG_OFFSET)
        phi[:, rows] += t[rows, k, np.newaxis] * (log_mean[:, rows] - jets.log1p(target))
    return phi


def contraction(x: Floats, c: Floats, h: float) -> Floats:
    """The sum over samples n and odd m of h^(m-1) x[n,i]^m c_m[n,j], (I, J), of x (N, I) and c (K+1, N, J)."""
    total: Floats = x.T @ c[1]
    square = (h * x) ** 2
    for c_m in c[3::2]:
        x = x * square
        total += x.T @ c_m
    return total
