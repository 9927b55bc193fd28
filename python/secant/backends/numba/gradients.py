"""The gradients: the NumPy backend's, with the steps that take most of the time compiled, and "direct" in loops."""

from functools import partial

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends import bound, plan
from secant.backends.activations import ACTIVATIONS, LINEAR, LOGISTIC
from secant.backends.base import AnyMethod, Batch, Differences, Fault, Parameters
from secant.backends.numba import kernels
from secant.backends.numba.threads import choose_threads, run
from secant.backends.numpy import gradients, jets, series
from secant.backends.numpy.direct import by_loop
from secant.backends.numpy.forward import forward_pass, mean_loss

_BLOCK_MULTIPLICATIONS = 2**27
"""Of a block of samples: Ctrl-C waits for its end, some 50 ms."""

_PARTS = 8
"""Parts of a block of samples, each with its own sums: so many threads can share the block in "direct"."""

_BY_TERMS, _EXACT = 3, 400
"""What the change of the loss is worth in multiplications, for each class."""

_COMPILED = {LOGISTIC, LINEAR}
"""The families of activations that are in the kernels."""


def gradient(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    return plan.fault_if_not_finite(differences(batch, method, h, n_threads), batch)


def differences(batch: Batch, method: AnyMethod, h: float, n_threads: int) -> Differences | Fault:
    """The gradient, which may have overflowed."""
    steps = series.Steps(_response, _compose, partial(_contraction, n_threads))
    by_series = partial(gradients.by_series, steps=steps)
    return plan.planned_gradient(batch, method, h, by_series, partial(_directly, n_threads))


def _response(net: Parameters, y: Floats, targets: list[series.Targets], growth: Floats, powers: Floats) -> Floats:
    mean = (y * growth) @ powers
    phi = np.zeros(mean.shape)
    for k, weight in targets:
        kernels.add_targets(mean, growth, powers, y, k, weight, net.log_offset, phi)
    return phi


def _compose(c: Floats, f: Floats) -> Floats:
    out, power = np.empty(f.shape), np.empty((len(f), f[0].size))
    kernels.compose(c.reshape(power.shape), f.reshape(power.shape), power, out.reshape(power.shape))
    return out


def _contraction(n_threads: int, x: Floats, phi: Floats, h: float) -> Floats:
    """`series.contraction`, which is faster for the usual orders where most of x is zero."""
    sample, order = x[::8], len(phi) - 1
    if order > 3 or 2 * np.count_nonzero(sample) > sample.size:
        return series.contraction(x, phi, h)
    out = np.zeros((x.shape[1], phi.shape[2]))
    threads = choose_threads(n_threads, x.size * phi.shape[2])
    run(kernels.contract, len(out), threads, x, h, phi[1], phi[3 if order == 3 else 0], out)  # phi[0] is 0
    return out


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the caller looks for what overflowed
def _directly(n_threads: int, net: Parameters, x: Array, t: Array, h: float) -> plan.Sums:
    """The mean over samples of what every shift changes."""
    (inputs, hidden), classes = net.W1.shape, len(net.b2)
    f, g = ACTIVATIONS[net.hidden_activation], ACTIVATIONS[net.output_activation]
    if not {f.family, g.family} <= _COMPILED:
        return by_loop(net, x, t, h)
    largest_weight = float(np.abs(net.W2).max())
    terms = bound.terms_needed(h, plan.largest_inputs(x), plan.largest_z1(net, x), f.steepest, largest_weight)
    cost = (_BY_TERMS if terms.all() else _EXACT) * classes * (net.W1.size + net.W2.size)
    threads, most = choose_threads(n_threads, len(x) * cost), max(1, terms.max())
    powers = np.cumprod([np.ones((classes, 2 * hidden)), *most * [np.tile(net.W2.T, 2)]], axis=0)

    def summed(block: slice) -> plan.Sums:
        targets, forward = plan.one_hot(t[block], classes), forward_pass(net, x[block], h)
        layers = kernels.Layers(
            *(f.rate, f.kinked, g.rate, net.log_offset, forward.x, forward.a1),
            *(*forward.inner[1:], forward.a2, *forward.outer[1:], forward.y),
        )
        growth, parts = jets.expm1(forward.outer.series(most)), min(_PARTS, len(targets))
        w1, w2 = np.zeros((parts, inputs + 1, hidden)), np.zeros((parts, classes, hidden + 1))
        run(kernels.add_differences, parts, threads, powers, targets, h, terms[block], growth, layers, w1, w2)
        w1_sum, w2_sum = w1.sum(axis=0), np.ascontiguousarray(w2.sum(axis=0).T)
        loss = mean_loss(forward.y, targets, net.log_offset) * len(targets)
        return plan.Sums(w1_sum[:-1], w1_sum[-1], w2_sum[:-1], w2_sum[-1], loss)

    return plan.mean(len(x), plan.add_gradients(map(summed, plan.blocks(len(x), cost, _BLOCK_MULTIPLICATIONS))))
