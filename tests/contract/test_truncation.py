"""The bound of what a series leaves out is never below what it leaves out, in 2,500
random cases for each activation.

A loss is proportional to its targets. Tiny ones make the rounding tiny too, while the
order is chosen by an absolute bound: so what was cut stands out, by many orders of
magnitude. The default run tries 500.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

import bounds
import secant
from random_networks import HIDDEN, OUTPUTS
from secant.backends.base import GradientInfo

CASES = [500, pytest.param(2500, marks=pytest.mark.nightly)]
SIZES = [(1, 1, 1), (1, 3, 2), (2, 4, 3), (3, 9, 5), (5, 8, 2)]


class Cut(NamedTuple):
    """A case for which a series was proven, and how much of the bound and of rounding
    its error is.
    """

    params: dict[str, np.ndarray]
    x: np.ndarray
    t: np.ndarray
    h: float
    info: GradientInfo
    share: float
    stands_out: bool


def networks(hidden):
    return [
        secant.TwoLayerNet(
            *size, hidden_activation=hidden, output_activation=output, rng=0
        )
        for size in SIZES
        for output in OUTPUTS
    ]


def randomized(net, rng):
    """New parameters, inputs for one to three samples, and targets whose weights are of
    order 1.
    """
    weights = 10 ** rng.uniform(-3, 1, 4)
    for param, most in zip(net.params.values(), weights, strict=True):
        param[...] = rng.uniform(-most, most, param.shape)
    samples = rng.randint(1, 4)
    (inputs, _), (_, outputs) = net.params["W1"].shape, net.params["W2"].shape
    return 10 ** rng.uniform(-2, 2) * rng.uniform(
        -1, 1, (samples, inputs)
    ), rng.uniform(0, 1, (samples, outputs))


def accepted(rng, nets, cases) -> Iterator[Cut]:
    """So many random cases, of those that all have a proven order."""
    done = 0
    while done < cases:
        net = nets[rng.randint(len(nets))]
        x, t = randomized(net, rng)
        h = 10 ** rng.uniform(-2, 0) / max(1.0, np.abs(x).max())
        scale = 2.0 ** -rng.randint(20, 60)  # nothing is rounded by a power of 2
        series, info = net.numerical_gradient(x, scale * t, h=h, return_info=True)
        if 0 in info.samples:
            continue
        done += 1
        direct = net.numerical_gradient(x, scale * t, h=h, method="direct")
        errors = [np.abs(series[name] - grad) for name, grad in direct.items()]
        allowed = [
            2 * scale * bounds.central_difference(x, grad / scale)
            for grad in direct.values()
        ]
        shares = [
            (error / (info.truncation_bound + most)).max()
            for error, most in zip(errors, allowed, strict=True)
        ]
        stands_out = max(map(np.max, errors)) > 3 * max(map(np.max, allowed))
        yield Cut(
            net.params, x, scale * t, h, info, float(max(shares)), bool(stands_out)
        )


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("cases", CASES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_bound_is_never_below_what_was_cut(hidden, cases):
    seen = Counter()
    for case in accepted(np.random.RandomState(0), networks(hidden), cases):
        assert case.share <= 1, case
        seen[case.info.order] += int(case.stands_out)
    assert seen.total() > 0.4 * cases
    assert all(seen[order] > cases / 250 for order in (3, 5, 7, 9))
