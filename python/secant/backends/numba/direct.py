"""The central difference, evaluated: phi(h x) - phi(-h x) for every weight and every input that is not zero.

Both sides stand in one array, (2 units,): what belongs to +h first, then what belongs to -h.
"""

import math
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends import bound
from secant.backends.activations import ACTIVATIONS, Unit
from secant.backends.base import Gradients, Parameters
from secant.backends.bound import EXPONENT_LIMIT, MOST_TERMS, SMALL_OFFSET, SMALL_SHIFT_LIMIT
from secant.backends.numba.compilation import Kernel, compiled
from secant.backends.numba.forward import Activations, change, kinked_change, large_change, softmax, state
from secant.backends.numba.series import moments, powers_of, softmax_growths
from secant.backends.plan import largest_inputs, largest_z1

_PARTS = 8
"""Parts of a block of samples, each with its own sums: so many threads can share the block."""

_LEAST_NORMAL = float(np.finfo(float).tiny)
_LOG1P = np.array([0.0] + [(-1.0) ** (m + 1) / m for m in range(1, MOST_TERMS + 1)])


def summed_differences(
    net: Parameters,
    layers: Activations,
    t: Floats,
    h: float,
    terms: NDArray[np.int64],
    threads: int,
    only_near: bool = False,
) -> Gradients:
    """The sum over samples, with targets t (N, O), in all weights or only in those into what is near a kink."""
    parts, (inputs, hidden), outputs = min(_PARTS, len(t)), net.W1.shape, len(net.b2)
    w1, w2 = np.zeros((parts, inputs + 1, hidden)), np.zeros((parts, outputs, hidden + 1))
    powers = powers_of(np.tile(net.W2.T, 2), max(1, int(terms.max())))
    _add_samples(threads, powers, t, h, terms, layers, only_near, w1, w2)
    w1_sum, w2_sum = w1.sum(axis=0), np.ascontiguousarray(w2.sum(axis=0).T)
    return Gradients(w1_sum[:-1], w1_sum[-1], w2_sum[:-1], w2_sum[-1])


def terms_of(net: Parameters, x: NDArray[Any], h: float) -> NDArray[np.int64]:
    """How many terms each sample needs, see `bound.terms_needed`."""
    slope = ACTIVATIONS[net.hidden_activation].steepest
    return bound.terms_needed(h, largest_inputs(x), largest_z1(net, x), slope, float(np.abs(net.W2).max()))


@Kernel
def _add_samples(
    powers: Floats, t: Floats, h: float, terms: Any, layers: Activations, only_near: bool, w1: Floats, w2: Floats
) -> None:
    for part in prange(len(w1)):
        add_part(powers, t, h, terms, layers, only_near, part, w1, w2)


@compiled
def add_part(
    powers: Floats, t: Floats, h: float, terms: Any, layers: Any, only_near: bool, part: int, w1: Floats, w2: Floats
) -> None:
    """Add the central differences of one part of the samples to its sums."""
    samples, parts = len(t), len(w1)
    for n in range(samples * part // parts, samples * (part + 1) // parts):
        if only_near and not layers.near[n].any():
            continue
        softmax_growth = np.empty((terms[n] + 1, t.shape[1]))
        if terms[n]:
            softmax_growths(layers, n, softmax_growth)
        add_hidden(powers, t[n], h, layers, only_near, n, softmax_growth, w1[part])
        if not only_near:
            add_outputs(t[n], h, layers, n, softmax_growth, w2[part])


@compiled
def add_hidden(
    powers: Floats,
    t: Floats,
    h: float,
    layers: Activations,
    only_near: bool,
    n: int,
    softmax_growth: Floats,
    sums: Floats,
) -> None:
    """Add the central differences (I+1, H) of one sample in the weights of hidden units."""
    hidden, x, w2 = layers.a1.shape[1], np.append(layers.x[n], 1.0), powers[1]
    sides, mean_terms = 2 * hidden, np.empty((len(softmax_growth), 2 * hidden))
    moments(powers, layers.y[n], softmax_growth, mean_terms)
    active = np.flatnonzero(x)
    change, phi, mean, target_growth = np.empty(sides), np.empty(sides), np.empty(sides), np.empty(sides)
    q, before = np.empty(len(t)), 0.0
    for i in active[np.argsort(x[active])]:
        if x[i] != before:  # equal inputs have equal responses
            before = x[i]
            hidden_changes(layers, only_near, n, h * before, change)
            if len(softmax_growth) > 1:
                polynomials(mean_terms, change, mean)
                phi[:] = 0
                for k in range(len(t)):
                    if t[k] != 0:
                        polynomial(softmax_growth[:, k], w2[k] * change, target_growth)
                        add_target(
                            len(softmax_growth), layers.y[n, k], t[k], layers.log_offset, mean, target_growth, phi
                        )
            else:
                for j in range(len(change)):
                    for k in range(len(t)):
                        q[k] = exponent(layers, n, k, w2[k, j] * change[j])
                    phi[j] = exact_response(q, t, layers, n)
            for j in range(hidden):
                phi[j] = (phi[j] - phi[hidden + j]) / (2 * h)
        for j in range(hidden):
            sums[i, j] += phi[j]


@compiled
def add_outputs(t: Floats, h: float, layers: Activations, n: int, softmax_growth: Floats, sums: Floats) -> None:
    """Add the central differences (O, H+1) of one sample in the weights of output units."""
    units, shift = layers.z1.shape[1], np.concatenate((h * layers.z1[n], -h * layers.z1[n]))
    phi, target_growth, q = np.empty(len(shift)), np.empty(len(shift)), np.zeros(len(t))
    for k in range(len(t)):
        if len(softmax_growth) > 1:
            phi[:] = 0
            for target in range(len(t)):
                if t[target] != 0:
                    polynomial(softmax_growth[:, k], shift, target_growth)
                    mean = layers.y[n, k] * target_growth
                    target_growth *= target == k
                    add_target(
                        len(softmax_growth), layers.y[n, target], t[target], layers.log_offset, mean, target_growth, phi
                    )
        else:
            for j in range(len(shift)):
                q[k] = exponent(layers, n, k, shift[j])
                phi[j] = exact_response(q, t, layers, n)
            q[k] = 0
        for j in range(units):
            sums[k, j] += (phi[j] - phi[units + j]) / (2 * h)


@compiled
def hidden_changes(layers: Activations, only_near: bool, n: int, shift: float, out: Floats) -> None:
    """The changes of z1 of a sample, when a1 is shifted by ``shift`` and by its negative."""
    family, rate, hidden = layers.family1, layers.rate1, layers.a1.shape[1]
    if layers.kinked:
        for j in range(hidden):
            a, u = layers.a1[n, j], shift if layers.near[n, j] or not only_near else 0.0
            out[j], out[hidden + j] = kinked_change(a, u), kinked_change(a, -u)
    elif rate * abs(shift) > SMALL_SHIFT_LIMIT:
        for j in range(hidden):
            unit = layers.a1[n, j], layers.z1[n, j], layers.p1[n, j], layers.q1[n, j]
            out[j], out[hidden + j] = unit_change(family, rate, unit, shift), unit_change(family, rate, unit, -shift)
    else:
        m = math.expm1(rate * abs(shift))
        for j in range(hidden):
            p, q = layers.p1[n, j], layers.q1[n, j]
            out[j], out[hidden + j] = change(family, rate, p, q, shift, m), change(family, rate, p, q, -shift, m)


@compiled
def unit_change(family: int, rate: float, unit: Unit, u: float) -> float:
    """F(u) for a u of any size, see `activations.Family`."""
    a, _, p, q = unit
    if rate * abs(u) > SMALL_SHIFT_LIMIT:
        z, shifted_p, shifted_q = state(family, rate, False, a + u)
        return float(large_change(family, unit, (a + u, z, shifted_p, shifted_q), u))
    return float(change(family, rate, p, q, u, math.expm1(rate * abs(u))))


# ---- small shifts: the change of the loss by a few terms of the series of growths and of log1p -----------------------


@compiled
def add_target(
    length: int, y: float, t: float, log_offset: float, mean: Floats, target_growth: Floats, phi: Floats
) -> None:
    """Add - t log1p( y / (y + log_offset) (e_t - S) / (1 + S) ). ``target_growth``, e_t, is overwritten."""
    r, logs = y / (y + log_offset), np.empty(len(phi))
    for j in range(len(phi)):
        target_growth[j] = r * ((target_growth[j] - mean[j]) / (1 + mean[j]))
    polynomial(_LOG1P[:length], target_growth, logs)
    for j in range(len(phi)):
        phi[j] -= t * logs[j]


@compiled
def polynomial(c: Floats, x: Floats, out: Floats) -> None:
    """The sum over m >= 1 of c[m] x^m, for a multiple of four terms: four of them at a time."""
    out[:] = 0
    for m in range(len(c) - 4, 0, -4):
        c0, c1, c2, c3 = c[m], c[m + 1], c[m + 2], c[m + 3]
        for j in range(len(x)):
            out[j] = x[j] * (c0 + x[j] * (c1 + x[j] * (c2 + x[j] * (c3 + out[j]))))


@compiled
def polynomials(c: Floats, x: Floats, out: Floats) -> None:
    """The same, with separate coefficients for each x."""
    out[:] = 0
    for m in range(len(c) - 4, 0, -4):
        for j in range(len(x)):
            out[j] = x[j] * (c[m, j] + x[j] * (c[m + 1, j] + x[j] * (c[m + 2, j] + x[j] * (c[m + 3, j] + out[j]))))


# ---- shifts of any size: the full functions, and no cancellation however far a probability moves ---------------------


@compiled
def exact_response(q: Floats, t: Floats, layers: Activations, n: int) -> float:
    """The change of the loss when each z2_k changes by q_k.

    Softmax does not see a common factor of its numerators, so growths are relative to that of the most probable class:
    1 + S is then at least 1 / O.
    """
    y, change, shifted = layers.y[n], 0.0, layers.z2[n] + q
    q = q - q[y.argmax()]
    limit = EXPONENT_LIMIT
    if 0 < layers.log_offset < SMALL_OFFSET:
        for k in range(len(t)):
            if t[k] != 0 and y[k] < _LEAST_NORMAL:
                limit = 0.0  # what has underflowed counts as soon as it comes back
    if np.abs(q).max() > limit:
        return float(loss_change_anew(layers.z2[n], shifted, y, t, layers.log_offset))
    mean = (y * np.expm1(q)).sum()
    for k in range(len(t)):
        if t[k] != 0:
            excess = math.expm1(q[k]) - mean
            change -= t[k] * log_change(y[k], layers.log_offset, math.exp(q[k]) / (1 + mean), excess / (1 + mean))
    return change


@compiled
def exponent(layers: Activations, n: int, k: int, u: float) -> float:
    """The change of z2_k when a2_k is shifted by u."""
    unit = layers.a2[n, k], layers.z2[n, k], layers.p2[n, k], layers.q2[n, k]
    q: float = unit_change(layers.family2, layers.rate2, unit, u)
    return q


@compiled
def log_change(y: float, log_offset: float, factor: float, excess: float) -> float:
    """The change of log(y + log_offset) when y is multiplied by ``factor``, which is 1 + ``excess``."""
    change = y / (y + log_offset) * excess
    if change < -0.5 and log_offset == 0:
        return math.log(factor)  # y times it may underflow
    if change < -0.5:  # where the probability has all but vanished, it is computed as such
        return math.log((log_offset + y * factor) / (y + log_offset))
    return math.log1p(change)


@compiled
def loss_change_anew(before: Floats, z2: Floats, y: Floats, t: Floats, log_offset: float) -> float:
    """The change of the loss, from probabilities y, the softmax of ``before``, to those of z2."""
    shifted, change = np.empty(len(y)), 0.0
    softmax(z2, shifted)
    for k in range(len(t)):
        if t[k] != 0 and log_offset == 0:  # a probability may underflow
            change -= t[k] * (log_softmax(z2, k) - log_softmax(before, k))
        elif t[k] != 0:
            change -= t[k] * math.log((shifted[k] + log_offset) / (y[k] + log_offset))
    return change


@compiled
def log_softmax(x: Floats, k: int) -> float:
    """The logarithm of the softmax of x, of class k."""
    top = x.max()
    return float(x[k] - top - math.log(np.exp(x - top).sum()))
