"""The bound of what a series leaves out is never below what it leaves out, in 10,000 random cases.

A loss is proportional to its targets. Tiny ones make the rounding tiny too, while the order is chosen by an absolute
bound: so what was cut stands out, by many orders of magnitude.
"""

from collections import Counter

import numpy as np
import pytest
from test_central_difference import OUTPUTS

import bounds
import secant

pytestmark = pytest.mark.usefixtures("compiled")

CASES = 10_000
SIZES = [(1, 1, 1), (1, 3, 2), (2, 4, 3), (3, 9, 5), (5, 8, 2)]


def networks():
    return [secant.TwoLayerNet(*size, output_activation=output, rng=0) for size in SIZES for output in OUTPUTS]


def randomized(net, rng):
    """New parameters, inputs for one to three samples, and targets whose weights are of order 1."""
    weights = 10 ** rng.uniform(-3, 1, 4)
    for param, most in zip(net.params.values(), weights, strict=True):
        param[...] = rng.uniform(-most, most, param.shape)
    samples = rng.randint(1, 4)
    (inputs, _), (_, outputs) = net.params["W1"].shape, net.params["W2"].shape
    return 10 ** rng.uniform(-2, 2) * rng.uniform(-1, 1, (samples, inputs)), rng.uniform(0, 1, (samples, outputs))


def test_the_bound_is_never_below_what_was_cut():
    rng = np.random.RandomState(0)
    nets = networks()
    done, seen = 0, Counter()
    while done < CASES:
        net = nets[rng.randint(len(nets))]
        x, t = randomized(net, rng)
        h = 10 ** rng.uniform(-2, 0) / max(1.0, np.abs(x).max())
        scale = 2.0 ** -rng.randint(20, 60)  # nothing is rounded by a power of 2
        series, info = net.numerical_gradient(x, scale * t, h=h, return_info=True)
        if 0 in info.samples:
            continue
        direct = net.numerical_gradient(x, scale * t, h=h, method="direct")
        cut, rounding = 0.0, 0.0
        for name, grad in direct.items():
            error = np.abs(series[name] - grad)
            allowed = 2 * scale * bounds.central_difference(x, grad / scale)
            assert (error <= info.truncation_bound + allowed).all(), (net.params, x, t, h, scale, info)
            cut, rounding = max(cut, error.max()), max(rounding, allowed.max())
        done += 1
        seen[info.order] += int(cut > 3 * rounding)
    assert seen.total() > CASES / 2
    assert all(seen[order] > 50 for order in (3, 5, 7, 9))
