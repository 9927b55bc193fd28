"""The NumPy backend's gradients, with the slowest steps compiled."""

from functools import partial

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends import bound, plan
from secant.backends.activations import ACTIVATIONS, LINEAR, LOGISTIC
from secant.backends.base import Parameters
from secant.backends.numba import kernels
from secant.backends.numpy import gradients, jets, series
from secant.backends.numpy.changes import add_hidden, add_output
from secant.backends.numpy.forward import forward_pass, mean_loss

_BLOCK_MULTIPLICATIONS = 2**27
"""Of a block of samples: Ctrl-C waits for its end, some 50 ms."""

_COMPILED = {LOGISTIC, LINEAR}
"""The families of hidden activations that are in the kernels."""


def _response(
    net: Parameters,
    y: Floats,
    targets: list[series.Targets],
    growth: Floats,
    powers: Floats,
) -> Floats:
    mean = (y * growth) @ powers
    phi = np.zeros(mean.shape)
    for k, weight in targets:
        kernels.add_targets(mean, growth, powers, y, k, weight, net.log_offset, phi)
    return phi


def _compose(c: Floats, f: Floats) -> Floats:
    out, power = np.empty(f.shape), np.empty((len(f), f[0].size))
    kernels.compose(
        c.reshape(power.shape), f.reshape(power.shape), power, out.reshape(power.shape)
    )
    return out


def _contraction(x: Floats, phi: Floats, h: float) -> Floats:
    """Compute `series.contraction`, faster where most of x is zero.

    It is faster for the usual order only.
    """
    sample = x[::8]
    if len(phi) != 4 or 2 * np.count_nonzero(sample) > sample.size:
        return series.contraction(x, phi, h)
    out = np.zeros((x.shape[1], phi.shape[2]))
    kernels.contract(x, h, phi[1], phi[3], out)
    return out


def _directly(net: Parameters, x: Array, t: Array, h: float, count: int) -> plan.Sums:
    """Return the sum over samples, divided by ``count``, of what every shift changes.

    A few terms are used where those suffice.
    """
    hidden, largest, classes = (
        ACTIVATIONS[net.hidden_activation],
        plan.largest_inputs(x),
        len(net.b2),
    )
    largest_weight = float(np.abs(net.W2).max())
    terms = bound.terms_needed(
        h, largest, plan.largest_z1(net, x), hidden.steepest, largest_weight
    )
    terms[
        (hidden.rate * h * largest > bound.SMALL_SHIFT_LIMIT)
        | (hidden.family not in _COMPILED)
    ] = 0
    powers = np.cumprod(
        [np.ones((classes, 2 * len(net.W2))), *terms.max() * [np.tile(net.W2.T, 2)]],
        axis=0,
    )

    def summed(block: slice) -> plan.Sums:
        targets, layers = (
            plan.one_hot(t[block], classes) / count,
            forward_pass(net, x[block], h),
        )
        of_hidden, of_output = (
            np.zeros((len(net.W1) + 1, len(net.W2))),
            np.zeros((len(net.W2) + 1, classes)),
        )
        growth = jets.expm1(layers.outer.series(max(1, terms.max())))
        inner = layers.inner
        units = kernels.Units(
            hidden.rate, layers.x, inner.p, inner.q, inner.z, layers.y, net.log_offset
        )
        kernels.add_differences(
            powers, targets, h, terms[block], growth, units, of_hidden, of_output
        )
        loss = len(targets) / count * mean_loss(layers.y, t[block], net.log_offset)
        sums = plan.Sums(
            of_hidden[:-1], of_hidden[-1], of_output[:-1], of_output[-1], loss
        )
        far = terms[block, np.newaxis] == 0
        for n, j in np.argwhere(layers.near | far).tolist():
            add_hidden(net, layers, targets[n], h, n, j, sums)
        for n, k in np.argwhere(np.repeat(far, classes, axis=1)).tolist():
            add_output(net, layers, targets[n], h, n, k, sums)
        return sums

    blocks = plan.blocks(
        len(x), 3 * classes * (net.W1.size + net.W2.size), _BLOCK_MULTIPLICATIONS
    )
    return plan.add_gradients(map(summed, blocks))


_by_series = partial(
    gradients.by_series, steps=series.Steps(_response, _compose, _contraction)
)
differences = partial(plan.planned_gradient, by_series=_by_series, directly=_directly)
gradient = partial(gradients.gradient, differences=differences)
