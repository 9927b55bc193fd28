"""Series, direct, auto and 50 digits agree; and what they agree on is the central difference, not the derivative."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_central_difference import HIDDEN, OUTPUTS, TARGETS, random_case, share_of_bound, targets

import bounds
import oracles
import secant

pytestmark = pytest.mark.usefixtures("compiled")

PACKS = (4, 8, 12, 16)  # whole packs of doubles, whatever the instruction set

INPUTS = {
    "dense": lambda rng, shape: rng.uniform(0.01, 1, shape),
    "negative": lambda rng, shape: rng.uniform(-1, 1, shape),
    "sparse": lambda rng, shape: rng.uniform(0, 1, shape) * (rng.uniform(size=shape) > 0.8),
    "equal": lambda rng, shape: np.full(shape, rng.uniform(-1, 1)),
    "zero": lambda rng, shape: np.zeros(shape),
}

hidden_units = st.one_of(
    st.integers(1, 20), st.builds(lambda pack, more: pack + more, st.sampled_from(PACKS), st.integers(-1, 1))
)
networks = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "sizes": st.tuples(st.integers(1, 20), hidden_units, st.one_of(st.integers(1, 6), st.sampled_from([8, 9]))),
        "samples": st.integers(1, 20),
        "weights": st.sampled_from([0.01, 0.1, 1.0, 10.0]),
        "largest": st.sampled_from([1e-3, 1.0, 255.0]),
        "inputs": st.sampled_from(sorted(INPUTS)),
        "output": st.sampled_from(OUTPUTS),
        "kind": st.sampled_from(TARGETS),
        "hidden": st.sampled_from(HIDDEN),
    }
)


def case(seed, sizes, samples, weights, largest, inputs, output, kind, hidden):
    rng = np.random.RandomState(seed)
    net = secant.TwoLayerNet(*sizes, hidden_activation=hidden, output_activation=output, rng=rng)
    for param in net.params.values():
        param[...] = rng.uniform(-weights, weights, param.shape)
    return net, largest * INPUTS[inputs](rng, (samples, sizes[0])), targets(kind, rng, samples, sizes[2])


def by_method(net, x, t, h):
    """The gradients of every method that there is, the series where one is proven for each sample."""
    grads, info = net.numerical_gradient(x, t, h=h, return_info=True)
    others = ("direct",) if 0 in info.samples else ("direct", "series")
    return {"auto": grads} | {method: net.numerical_gradient(x, t, h=h, method=method) for method in others}


def picks(rng, grads, name):
    """Some components: the one in which the methods differ the most, and some at random."""
    direct = grads["direct"][name]
    furthest = max((np.abs(other[name] - direct) for other in grads.values()), key=np.max).argmax()
    return {np.unravel_index(i, direct.shape) for i in (furthest, *rng.randint(direct.size, size=4))}


@pytest.mark.slow
@settings(max_examples=30)
@given(network=networks, exponent=st.floats(-7, -1))
def test_some_networks(network, exponent):
    assert_agreement(network, exponent)


@pytest.mark.nightly
@settings(max_examples=150)
@given(network=networks, exponent=st.floats(-7, -1))
def test_any_network(network, exponent):
    assert_agreement(network, exponent)


def assert_agreement(network, exponent):
    h = 10**exponent
    net, x, t = case(**network)
    grads = by_method(net, x, t, h)
    for one in grads.values():
        assert share_of_bound(one, grads["direct"], x) <= 2
    truth = oracles.of(net, x, t)
    rng = np.random.RandomState(network["seed"])
    for name in net.params:
        for index in picks(rng, grads, name):
            exact = float(truth.central_difference(name, index, h))
            for method, got in grads.items():
                error = abs(got[name][index] - exact)
                assert error <= bounds.central_difference(x, exact), (method, name, index)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("weights", [0.1, 3.0])
def test_at_a_large_h_it_is_the_central_difference_and_not_the_derivative(weights, output, kind):
    h = 1e-2
    net, x, t = random_case(11, weights=weights, inputs=0.5, output=output, kind=kind)
    grads, derivative = by_method(net, x, t, h), net.gradient(x, t)
    assert ("series" in grads) == (output == "sigmoid")
    difference = oracles.gradients(net, x, t, h)
    limit = oracles.gradients(net, x, t, 1e-15)  # its truncation error is 1e-30
    for name, true in difference.items():
        bound = bounds.central_difference(x, true) + bounds.central_difference(x, limit[name])
        for got in grads.values():
            apart = got[name] - derivative[name]
            assert np.abs(apart).max() > 1e4 * bound.max(), name
            assert (np.abs(apart - (true - limit[name])) <= bound).all(), name


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize(("h", "size"), [(1e-4, 0.1), (1e-4, 1.0), (1e-3, 0.3), (3e-3, 0.1)])
def test_soft_targets_of_many_classes(compiled, h, size, hidden, output, zeros):
    """The series sums over them in products, and direct evaluates one after the other; for any number of samples."""
    rng = np.random.RandomState(5)
    for samples, classes in ((11, 70), (5, 33)):
        options = {"hidden_activation": hidden, "output_activation": output, "rng": rng}
        net = secant.TwoLayerNet(6, 19, classes, weight_init_std=size, **options)
        x, t = rng.uniform(size=(samples, 6)), rng.uniform(0.5, 1.0, (samples, classes))
        t[rng.uniform(size=t.shape) < zeros] = 0
        t[:, 3] += 0.1
        t /= t.sum(axis=1, keepdims=True)
        series, info = net.numerical_gradient(x, t, h=h, method="series", return_info=True)
        assert info.samples == {info.order: samples}
        for key, grad in net.numerical_gradient(x, t, h=h, method="direct").items():
            np.testing.assert_array_less(
                np.abs(series[key] - grad), 2 * bounds.central_difference(x, grad), err_msg=key
            )
