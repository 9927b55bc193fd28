"""The central difference from the Taylor series of the unit response (docs/method.md, "The series").

The steps of backends/numpy/series.py, each for one sample: with phi(s) = c_1 s + c_2 s^2 + ..., it is the mean over
samples of the sum over odd m <= K of h^(m-1) x^m c_m.
"""

import numpy as np
from numba import prange

from secant._common.validation import Floats
from secant.backends.base import Gradients, Parameters
from secant.backends.numba import jets
from secant.backends.numba.compilation import Kernel, compiled
from secant.backends.numba.forward import Activations, add_products, series
from secant.backends.numpy.series import contraction


@np.errstate(over="ignore", invalid="ignore")  # the caller looks for what overflowed
def summed_series(net: Parameters, layers: Activations, t: Floats, h: float, order: int, threads: int) -> Gradients:
    """The sum over samples, with targets t (N, O), each by a series of one odd order; without what is near a kink."""
    samples, (hidden, outputs) = len(t), net.W2.shape
    hidden_phi, output_phi = (np.empty((order + 1, samples, units)) for units in (hidden, outputs))
    _expand(threads, powers_of(net.W2.T, order), t, layers, hidden_phi, output_phi)
    w1, b1 = contraction(layers.x, hidden_phi, h), contraction(np.ones((samples, 1)), hidden_phi, h)[0]
    w2 = contraction(layers.z1, output_phi, h)
    return Gradients(w1, b1, w2[:-1], w2[-1])


def powers_of(w2: Floats, order: int) -> Floats:
    """The powers 0 to K of w2 (O, units), (K+1, O, units)."""
    factors = np.stack([np.ones(w2.shape)] + order * [w2])
    with np.errstate(over="ignore"):  # the caller looks for what overflowed
        powers: Floats = np.cumprod(factors, axis=0, dtype=np.float64)
    return powers


@Kernel
def _expand(powers: Floats, t: Floats, layers: Activations, hidden_phi: Floats, output_phi: Floats) -> None:
    for n in prange(len(t)):
        expand(powers, t[n], layers, n, hidden_phi, output_phi)


@compiled
def expand(powers: Floats, t: Floats, layers: Activations, n: int, hidden_phi: Floats, output_phi: Floats) -> None:
    """The series of sample n."""
    length, outputs, hidden = powers.shape
    softmax_growth, change, phi = np.empty((length, outputs)), np.empty((length, hidden)), np.empty((length, hidden))
    softmax_growths(layers, n, softmax_growth)
    series(layers.family1, layers.rate1, layers.p1[n], layers.q1[n], change)
    hidden_series(powers, layers.y[n], t, layers.log_offset, softmax_growth, change, phi)
    hidden_phi[:, n] = phi
    output_series(layers.y[n], t, layers.log_offset, softmax_growth, output_phi[:, n])


@compiled
def softmax_growths(layers: Activations, n: int, out: Floats) -> None:
    """The growths (K+1, O) of the softmax numerators of sample n, in the shift of a2."""
    z2_change = np.empty(out.shape)
    series(layers.family2, layers.rate2, layers.p2[n], layers.q2[n], z2_change)
    jets.expm1(z2_change, out)


@compiled
def moments(powers: Floats, y: Floats, softmax_growth: Floats, out: Floats) -> None:
    """M_m = sum over k of y_k g_k,m w_k^m: their mean S is the sum over m of M_m f^m."""
    weights = y * softmax_growth
    for m in range(1, len(softmax_growth)):
        out[m] = 0
        add_products(weights[m], powers[m], out[m])


@compiled
def hidden_series(
    powers: Floats, y: Floats, t: Floats, log_offset: float, softmax_growth: Floats, change: Floats, phi: Floats
) -> None:
    """The series phi (K+1, H) in the shift of a1, given growths (K+1, O) and the changes f of z1 (K+1, H)."""
    scratch = np.empty((5, *change.shape))
    c, power, mean, log_mean, target_growth = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    moments(powers, y, softmax_growth, c)
    jets.compose(c, change, power, mean)
    jets.log1p(mean, log_mean)
    phi[:] = 0
    for k in range(len(t)):
        if t[k] != 0:
            for m in range(1, len(c)):
                c[m] = softmax_growth[m, k] * powers[m, k]
            jets.compose(c, change, power, target_growth)
            add_target(y[k], t[k], log_offset, mean, log_mean, target_growth, phi)


@compiled
def output_series(y: Floats, t: Floats, log_offset: float, softmax_growth: Floats, phi: Floats) -> None:
    """The series phi (K+1, O) in the shift of a2: only the shifted unit's numerator grows, so S = y_k e_k."""
    mean, log_mean, target_growth = y * softmax_growth, np.empty(softmax_growth.shape), np.empty(softmax_growth.shape)
    jets.log1p(mean, log_mean)
    phi[:] = 0
    for k in range(len(t)):
        if t[k] != 0:
            target_growth[:] = 0
            target_growth[:, k] = softmax_growth[:, k]
            add_target(y[k], t[k], log_offset, mean, log_mean, target_growth, phi)


@compiled
def add_target(
    y: float, t: float, log_offset: float, mean: Floats, log_mean: Floats, target_growth: Floats, phi: Floats
) -> None:
    """Add t ( log1p(S) - log1p((1 - r) S + r e_t) ), with r = y_t / (y_t + log_offset).

    ``target_growth``, e_t, is overwritten.
    """
    r, rest = y / (y + log_offset), log_offset / (y + log_offset)
    log_target = np.empty(target_growth.shape)
    for m in range(1, len(target_growth)):
        for j in range(target_growth.shape[1]):
            target_growth[m, j] = rest * mean[m, j] + r * target_growth[m, j]
    jets.log1p(target_growth, log_target)
    for m in range(1, len(target_growth)):
        for j in range(target_growth.shape[1]):
            phi[m, j] += t * (log_mean[m, j] - log_target[m, j])
