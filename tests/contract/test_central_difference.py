"""The central differences of each backend, against 50 digits and against the chapter's
loop.
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import bounds
import cases
import oracles
import random_networks
from random_networks import (
    DTYPES,
    HIDDEN,
    KINDS,
    OUTPUTS,
    TARGETS,
    error,
    random_case,
    share_of_bound,
)
from sweeps import grid

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def test_oracle_is_the_literal_definition():
    net, x, t = random_case(0, kind="soft")
    h = 1e-3
    oracle = oracles.of(net, x, t)
    for name, param in net.params.items():
        index = tuple(n - 1 for n in param.shape)
        losses = []
        for sign in (1, -1):
            shifted = oracles.of(net, x, t)
            row = (
                shifted.params[name]
                if param.ndim == 1
                else shifted.params[name][index[0]]
            )
            row[index[-1]] += sign * oracles.mpfr(h)
            losses.append(shifted.loss())
        literal = (losses[0] - losses[1]) / (2 * oracles.mpfr(h))
        assert abs(oracle.central_difference(name, index, h) - literal) < 1e-40


@pytest.mark.parametrize(
    ("kind", "h"),
    grid(
        lambda kind, h: kind == "soft" or h == 1e-4,
        KINDS,
        [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
    ),
)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_small_networks(backend, hidden, output, kind, h):
    net, x, t = random_case(1, output=output, kind=kind, hidden=hidden)
    assert error(net, x, t, h) <= 1


@pytest.mark.parametrize(
    ("weights", "h"),
    grid(
        lambda weights, h: weights == 0.2 or h == 1e-4,
        [0.02, 0.2, 10],
        [1e-6, 1e-4, 1e-2, 1e-1],
    ),
)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_unnormalized_pixels(backend, hidden, output, weights, h):
    net, x, t = random_case(
        2, inputs=255, weights=weights, output=output, hidden=hidden
    )
    assert error(net, np.round(x).astype(np.uint8), t, h) <= 1


@pytest.mark.parametrize("h", [1e-6, 1e-4, 1e-1])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("layer", ["b1", "b2"])
@each_dtype
def test_saturated_units(backend, layer, hidden, output, h, dtype):
    net, x, t = random_case(3, output=output, hidden=hidden, dtype=dtype)
    net.params[layer][...] = [40, -40, 39, 0][: len(net.params[layer])]
    assert error(net, x, t, h) <= 1


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("examples", [50, pytest.param(300, marks=pytest.mark.nightly)])
def test_any_network(examples):
    """Sizes that do and do not fill packs of numbers, too."""
    settings(max_examples=examples)(NETWORKS(within_the_contract))()


NETWORKS = given(
    seed=st.integers(0, 10**6),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 17), st.integers(1, 9)),
    samples=st.integers(1, 4),
    weights=st.sampled_from([0.01, 1.0, 10.0]),
    inputs=st.sampled_from([1e-3, 1.0, 255.0]),
    exponent=st.floats(-6, -1),
    output=st.sampled_from(OUTPUTS),
    kind=st.sampled_from(KINDS),
    hidden=st.sampled_from(HIDDEN),
    log_offset=st.sampled_from([1e-7, 1e-3, 0.0]),
)


def within_the_contract(
    seed, sizes, samples, weights, inputs, exponent, output, kind, hidden, log_offset
):
    net, x, t = random_case(seed, sizes, samples, weights, inputs, output, kind, hidden)
    net.log_offset = log_offset
    assume(log_offset or net.predict(x).min() > 1e-200)
    assert error(net, x, t, 10**exponent) <= 1


@cache
def sampled_parameters_of_a_real_batch():
    """The exact central differences of some parameters."""
    net, x, t = cases.mnist(100)
    truth = oracles.of(net, x, t)
    rng = np.random.RandomState(5)
    active = np.flatnonzero((x != 0).sum(axis=0) > 20)
    picks = [("W1", (rng.choice(active), rng.randint(50))) for _ in range(6)]
    picks += [("W2", (rng.randint(50), rng.randint(10))) for _ in range(3)] + [
        ("b1", (7,)),
        ("b2", (3,)),
    ]
    return {
        (name, index): float(truth.central_difference(name, index, 1e-4))
        for name, index in picks
    }


@pytest.mark.slow
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("method", ["direct", "series"])
def test_sampled_parameters_of_a_real_batch(method):
    net, x, t = cases.mnist(100)
    got = net.numerical_gradient(x, t, method=method)
    for (name, index), exact in sampled_parameters_of_a_real_batch().items():
        assert abs(got[name][index] - exact) <= bounds.central_difference(x, exact), (
            name,
            index,
        )


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_the_whole_gradient_of_a_real_batch_is_that_of_the_loop():
    net, x, t = cases.mnist(100)
    loop = random_networks.loop(net, x, t)  # it takes a while
    assert sum(grad.size for grad in loop.values()) == 39_760
    for method in ("direct", "series"):
        got = net.numerical_gradient(x, t, method=method)
        for name, grad in loop.items():
            assert np.abs(got[name] - grad).max() <= bounds.plain_loop(
                net.loss(x, t), 1e-4
            ), (method, name)


def by_method(net, x, t, h):
    """The gradients of every method that there is, the series where one is proven for
    each sample.
    """
    grads, info = net.numerical_gradient(x, t, h=h, return_info=True)
    others = ("direct",) if 0 in info.samples else ("direct", "series")
    return {"auto": grads} | {
        method: net.numerical_gradient(x, t, h=h, method=method) for method in others
    }


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("weights", [0.1, 3.0])
def test_at_a_large_h_it_is_the_central_difference_and_not_the_derivative(
    weights, output, kind
):
    h = 1e-2
    net, x, t = random_case(11, weights=weights, inputs=0.5, output=output, kind=kind)
    grads, derivative = by_method(net, x, t, h), net.gradient(x, t)
    assert ("series" in grads) == (output == "sigmoid")
    difference = oracles.gradients(net, x, t, h)
    limit = oracles.gradients(net, x, t, 1e-15)  # its truncation error is 1e-30
    for name, true in difference.items():
        bound = bounds.central_difference(x, true) + bounds.central_difference(
            x, limit[name]
        )
        for got in grads.values():
            apart = got[name] - derivative[name]
            assert np.abs(apart).max() > 1e4 * bound.max(), name
            assert (np.abs(apart - (true - limit[name])) <= bound).all(), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_backpropagation_is_the_limit(backend, hidden, output, kind):
    net, x, t = random_case(7, output=output, kind=kind, hidden=hidden)
    true = oracles.gradients(net, x, t, 1e-15)  # its truncation error is 1e-30
    assert share_of_bound(net.gradient(x, t), true, x) <= 1


@pytest.mark.parametrize(
    ("weights", "h"),
    grid(
        lambda weights, h: weights == 10 or h == 40,
        [1.0, 10.0, 100.0],
        [1.0, 40.0, 400.0],
    ),
)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
@each_dtype
def test_a_step_that_moves_a_probability_from_1_to_0(
    fast, hidden, output, weights, h, dtype
):
    net, x, t = random_case(
        9, weights=weights, output=output, kind="soft", hidden=hidden, dtype=dtype
    )
    assert error(net, x, t, h) <= 1


@pytest.mark.parametrize("inputs", [0.0, 1e-3])
@pytest.mark.parametrize("output", OUTPUTS)
def test_large_weights_behind_small_inputs(fast, output, inputs):
    net, x, t = random_case(8, inputs=inputs, output=output)
    # of the bias, whose input is 1, the response is the largest
    for weights in (40, 100, 400):
        net.params["W2"][...] = np.random.RandomState(9).uniform(
            -weights, weights, net.params["W2"].shape
        )
        assert error(net, x, t, 1e-4) <= 1


@pytest.mark.parametrize("output", OUTPUTS)
def test_targets_that_sum_to_much(fast, output):
    """A loss is as large as its targets, and so is its rounding where a difference
    cancels.
    """
    mass = 1e5
    net, x, t = random_case(12, output=output, kind="soft")
    t *= mass / t.sum(axis=1).max()
    true, shares = oracles.gradients(net, x, t, 1e-4), []
    for method in ("direct", "auto"):
        for key, grad in net.numerical_gradient(x, t, method=method).items():
            error = np.abs(grad - true[key])
            assert (error <= bounds.central_difference(x, true[key], mass)).all(), (
                method,
                key,
            )
            shares.append((error / bounds.central_difference(x, true[key])).max())
    assert max(shares) > 1  # without that factor it is more


@pytest.mark.parametrize("h", [1e-6, 1e-1])
@pytest.mark.parametrize("output", OUTPUTS)
def test_steps_that_large_outgoing_weights_make_large(fast, output, h):
    net, x, t = random_case(13, output=output)
    net.params["W2"] *= 1e4
    true = oracles.gradients(net, x, t, h)
    for method in ("direct", "auto"):
        for key, grad in net.numerical_gradient(x, t, h=h, method=method).items():
            allowed = bounds.central_difference(
                x, true[key], np.abs(net.params["W2"]).max()
            )
            assert (np.abs(grad - true[key]) <= allowed).all(), (method, key)
