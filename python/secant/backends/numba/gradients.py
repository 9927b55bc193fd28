"""The forward pass and the gradients: blocks of samples, one after the other, through the kernels."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array, Floats
from secant.backends import bound, plan
from secant.backends.activations import ACTIVATIONS, near_kink
from secant.backends.base import AnyMethod, Batch, Differences, Fault, Parameters
from secant.backends.numba import kernels
from secant.backends.numba.kernels import Layers
from secant.backends.numba.threads import choose_threads, run
from secant.backends.numpy.forward import checked_outputs, mean_loss
from secant.backends.numpy.series import contraction

_BLOCK_MULTIPLICATIONS = 2**27
"""Of a block of samples: Ctrl-C waits for its end, some 50 ms."""

_PARTS = 8
"""Parts of a block of samples, each with its own sums: so many threads can share the block in "direct"."""

_BY_TERMS, _EXACT = 3, 400
"""What the change of the loss is worth in multiplications, for each class."""


def predict(net: Parameters, x: Array, n_threads: int) -> Array | Fault:
    return checked_outputs(partial(outputs, n_threads=n_threads), net, x)


def outputs(net: Parameters, x: Array, n_threads: int) -> Array:
    """The network's output y (N, O), or NaN where a pre-activation overflows."""
    cost, float64_net = net.W1.size + net.W2.size, plan.in_float64(net)
    threads = choose_threads(n_threads, len(x) * cost)
    y = [layers(float64_net, x[n], threads).y for n in plan.blocks(len(x), cost, _BLOCK_MULTIPLICATIONS)]
    return np.concatenate(y, dtype=net.W1.dtype, casting="same_kind")


def gradient(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    return plan.fault_if_not_finite(differences(batch, method, h, n_threads), batch)


def differences(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    """The gradient, which may have overflowed."""
    return plan.planned_gradient(batch, method, h, partial(_by_series, n_threads), partial(_directly, n_threads))


def layers(net: Parameters, x: Array, threads: int, h: float = 0.0) -> Layers:
    """The forward pass of all samples, for shifts of parameters by ``h``."""
    samples, hidden, outputs = len(x), *net.W2.shape
    f, g = ACTIVATIONS[net.hidden_activation], ACTIVATIONS[net.output_activation]
    x = x.astype(np.float64, copy=not x.flags.writeable)  # Numba would compile anew for what is read-only
    arrays = (np.empty((samples, n)) for n in (hidden, hidden + 1, hidden, hidden, *5 * [outputs]))
    near = np.zeros((samples, hidden), np.bool_)
    out = Layers(f.rate, f.kinked, g.rate, net.log_offset, near, x, *arrays)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what overflowed
        out.a1[:] = x @ net.W1 + net.b1
    run(kernels.activate, samples, threads, net.W2, net.b2, out)
    if f.kinked and h:
        out.near[:] = near_kink(net.W1, net.b1, x, out.a1, h)
        kernels.refine(net.W1, net.b1, out)
    return out


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the caller looks for what overflowed
def _by_series(n_threads: int, net: Parameters, x: Array, t: Array, h: float, order: int) -> plan.Sums:
    """The mean over samples, each by a series of one odd order."""
    (inputs, hidden), classes = net.W1.shape, len(net.b2)
    cost = (2 + order // 2) * (net.W1.size + net.W2.size)
    threads, powers = choose_threads(n_threads, len(x) * cost), _powers_of(net.W2.T, order)

    def summed(block: slice) -> plan.Sums:
        targets, forward = plan.one_hot(t[block], classes), layers(net, x[block], threads, h)
        hidden_phi, output_phi = (np.empty((order + 1, len(targets), units)) for units in (hidden, classes))
        run(kernels.expand, len(targets), threads, powers, targets, forward, hidden_phi, output_phi)
        w1 = np.empty((inputs + 1, hidden))
        w1[:-1] = _contraction(forward.x, hidden_phi, h, threads)
        w1[-1:] = contraction(np.ones((len(targets), 1)), hidden_phi, h)
        w2 = contraction(forward.z1, output_phi, h)
        if forward.near.any():
            kernels.add_near(net.W2, targets, h, forward, w1)
        return _sums(w1, w2, forward, targets)

    return plan.mean(len(x), plan.add_gradients(map(summed, plan.blocks(len(x), cost, _BLOCK_MULTIPLICATIONS))))


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _directly(n_threads: int, net: Parameters, x: Array, t: Array, h: float) -> plan.Sums:
    """The mean over samples of what every shift changes."""
    (inputs, hidden), classes = net.W1.shape, len(net.b2)
    slope, largest_weight = ACTIVATIONS[net.hidden_activation].steepest, float(np.abs(net.W2).max())
    terms = bound.terms_needed(h, plan.largest_inputs(x), plan.largest_z1(net, x), slope, largest_weight)
    cost = (_BY_TERMS if terms.all() else _EXACT) * classes * (net.W1.size + net.W2.size)
    threads, powers = choose_threads(n_threads, len(x) * cost), _powers_of(np.tile(net.W2.T, 2), max(1, terms.max()))

    def summed(block: slice) -> plan.Sums:
        targets, forward = plan.one_hot(t[block], classes), layers(net, x[block], threads, h)
        parts = min(_PARTS, len(targets))
        w1, w2 = np.zeros((parts, inputs + 1, hidden)), np.zeros((parts, classes, hidden + 1))
        run(kernels.add_differences, parts, threads, powers, targets, h, terms[block], forward, w1, w2)
        return _sums(w1.sum(axis=0), np.ascontiguousarray(w2.sum(axis=0).T), forward, targets)

    return plan.mean(len(x), plan.add_gradients(map(summed, plan.blocks(len(x), cost, _BLOCK_MULTIPLICATIONS))))


def _contraction(x: Floats, phi: Floats, h: float, threads: int) -> Floats:
    """`contraction`, which is faster where most of x is zero."""
    if 2 * np.count_nonzero(x) > x.size:
        return contraction(x, phi, h)
    out, factors, order = np.zeros((x.shape[1], phi.shape[2])), x, len(phi) - 1
    for m in range(1, order + 1, 4):  # two odd orders at a time; phi[0] is 0
        if m > 1:
            factors = factors * np.square(np.square(h * x))
        run(kernels.contract, len(out), threads, x, factors, h, phi[m], phi[m + 2 if m < order else 0], out)
    return out


def _sums(w1: Floats, w2: Floats, forward: Layers, targets: Floats) -> plan.Sums:
    loss = mean_loss(forward.y, targets, forward.log_offset) * len(targets)
    return plan.Sums(w1[:-1], w1[-1], w2[:-1], w2[-1], loss)


def _powers_of(w2: Floats, order: int) -> NDArray[Any]:
    """The powers 0 to K of w2 (O, units), (K+1, O, units)."""
    return np.cumprod(np.stack([np.ones(w2.shape)] + order * [w2]), axis=0)
