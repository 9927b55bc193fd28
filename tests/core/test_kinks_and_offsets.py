"""The compiled core: kinks where pre-activations cancel, and losses without an
offset.
"""

import itertools

import numpy as np
import pytest

import oracles
import secant
from random_networks import HIDDEN, KINDS, OUTPUTS, share_of_bound, targets
from sweeps import parts

pytestmark = pytest.mark.usefixtures("compiled")

METHODS = ("direct", "auto")


def network(rng, sizes, weights, **settings):
    net = secant.TwoLayerNet(*sizes, rng=rng, **settings)
    for param in net.params.values():
        param[...] = rng.uniform(-weights, weights, param.shape)
    return net


def worst_share(net, x, t, h, names=("W1", "b1", "W2", "b2")):
    """The largest error of a component, by any method, as a share of the contract's
    bound.
    """
    true = {
        name: grad
        for name, grad in oracles.gradients(net, x, t, h).items()
        if name in names
    }
    return max(
        share_of_bound(net.numerical_gradient(x, t, h=h, method=method), true, x)
        for method in METHODS
    )


@pytest.mark.parametrize("h", [1e-6, 1e-4, 1.0, 30.0, 300.0])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_without_an_offset_probabilities_far_below_epsilon_still_count(
    hidden, output, h
):
    rng = np.random.RandomState(4)
    net = network(
        rng,
        (3, 2, 3),
        1.0,
        hidden_activation=hidden,
        output_activation=output,
        log_offset=0.0,
    )
    net.params["b2"][:] = 0, 100, 650
    x, weights = (
        rng.uniform(0, 1, (2, 3)),
        np.array([[0.5, 0.25, 0.0], [1.0, 0.0, 0.0]]),
    )
    assert worst_share(net, x, weights, h) <= 1
    exact = float(oracles.of(net, x, weights).loss())
    assert abs(net.loss(x, weights) - exact) <= 1e-14 * exact * 10


def test_a_weight_of_0_counts_nothing_where_the_probability_is_0():
    y, t = np.array([[1.0, 0.0], [0.25, 0.75]]), np.array([[1.0, 0.0], [0.5, 0.0]])
    core = pytest.importorskip("secant._core")
    assert core.cross_entropy(y, t, 0.0) == pytest.approx(np.log(4) / 4, rel=1e-15)
    assert core.cross_entropy(y, np.array([1, 0]), 0.0) == np.inf
    assert core.cross_entropy(
        np.array([[5e-324, 1e-310]]), np.array([0]), 0.0
    ) == pytest.approx(-np.log(5e-324))
    assert np.isnan(core.cross_entropy(-y, t, 0.0))


@pytest.mark.parametrize("h", [1e-4, 1.0])
@pytest.mark.parametrize("output", OUTPUTS)
def test_of_many_targets_those_without_a_weight_count_nothing(output, h):
    rng = np.random.RandomState(4)
    net = network(rng, (3, 2, 9), 1.0, output_activation=output, log_offset=0.0)
    net.params["b2"][0] = -800  # with the identity its probability is 0
    x, weights = rng.uniform(0, 1, (4, 3)), rng.uniform(0.05, 0.1, (4, 9))
    weights[:, 0] = weights[0, 2:] = 0
    assert worst_share(net, x, weights, h) <= 1


def test_an_underflowed_target_has_no_gradient():
    core = pytest.importorskip("secant._core")
    params = np.ones((2, 2)), np.zeros(2), np.ones((2, 2)), np.array([0.0, 800.0])
    for method, label in itertools.product(
        ("derivative", "series", "auto", "direct"), (0, 1)
    ):
        arguments = (
            (*params, "relu", "identity", 0.0),
            np.ones((1, 2)),
            np.array([label]),
            method,
            1e-4,
            1,
        )
        grads, samples, _, loss = core.gradient(*arguments)
        assert (grads is None) == (label == 0) == np.isinf(loss)
        assert sum(samples.values()) == 1


def near_kinks(rng, h, large, exact):
    """A ReLU network and samples: each unit has one with a1 at, within or next to h
    |x|, in spite of ``large`` weights.

    Where it is ``exact``, and h a power of 2, no sum and no product is rounded.
    """
    net = network(
        rng,
        (6, 12, 3),
        1.0,
        hidden_activation="relu",
        output_activation=str(rng.choice(OUTPUTS)),
    )
    x, w1 = (
        rng.uniform(-1, 1, (3, 6)) * (rng.uniform(size=(3, 6)) > 0.3),
        rng.uniform(-1, 1, (6, 12)),
    )
    x[:, 0] = 1
    if exact:
        x, w1 = np.round(64 * x) / 64, np.round(64 * w1) / 64
    net.params["W1"][...] = large * w1
    net.params["W2"] /= large  # so that outputs are not saturated
    at = [
        0,
        1,
        -1,
        1 + 2**-20,
        -1 - 2**-20,
        1 - 2**-20,
        -1 + 2**-20,
        0.5,
        -0.5,
        1e-9,
        -1e-9,
        2,
    ]
    sample, column = rng.randint(3, size=12), rng.randint(6, size=12)
    wanted = h * x[sample, column] * at
    net.params["b1"][...] = wanted - np.einsum("ji,ij->j", x[sample], net.params["W1"])
    return net, x, targets(str(rng.choice(KINDS)), rng, 3, 3)


@pytest.mark.parametrize("seed", parts(3))
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("large", [1, 1024, 2.0**20])
@pytest.mark.parametrize("h", [2.0**-20, 2.0**-13, 1e-4, 1e-2, 1.0])
def test_a_difference_across_a_kink_is_that_of_50_digits(h, large, exact, seed):
    net, x, t = near_kinks(np.random.RandomState(seed), h, large, exact)
    # The gradient of W2 is proportional to z1, with whatever rounding did to a1; that
    # of W1 and b1 is not.
    assert worst_share(net, x, t, h, ("W1", "b1") if large > 1 else net.params) <= 1
