"""The series: which order is taken, that its bound holds, and that nothing unproven
passes for proven.
"""

import numpy as np
import pytest

import bounds
import oracles
import secant
from random_networks import OUTPUTS, TARGETS, random_case, share_of_bound

pytestmark = pytest.mark.usefixtures("backend")


def gradient(case, h, method="auto"):
    net, x, t = case
    return net.numerical_gradient(x, t, h=h, method=method, return_info=True)


@pytest.mark.parametrize(("h", "order"), [(1e-6, 3), (1e-4, 3), (1e-2, 9), (0.3, 0)])
def test_the_order_grows_with_h_until_none_is_proven(h, order):
    _, info = gradient(random_case(1, weights=0.1, inputs=0.5), h)
    assert info.order == order
    assert info.method == ("series" if order else "direct")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("h", [1e-3, 2e-3, 4e-3])
def test_high_orders_are_right(output, kind, h):
    net, x, t = random_case(2, weights=0.3, output=output, kind=kind)
    got, info = gradient((net, x, t), h, "series")
    true = oracles.gradients(net, x, t, h)
    assert info.order >= 5
    assert share_of_bound(got, true, x) <= 1


def test_each_sample_has_an_order_of_its_own():
    net, x, t = random_case(3, samples=4)
    x[0] *= 1e-3
    x[1] *= 1e3
    grads, info = gradient((net, x, t), 1e-3)
    assert info.method == "mixed"
    assert sum(info.samples.values()) == len(x)
    direct, _ = gradient((net, x, t), 1e-3, "direct")
    assert share_of_bound(grads, direct, x) <= 2


def test_a_series_that_is_not_proven_is_refused():
    with pytest.raises(
        secant.errors.UnsupportedError,
        match="no proven order for 4 of 4 samples at h = 1",
    ):
        gradient(random_case(4), 1.0, "series")


def test_the_bound_is_within_the_contract_and_a_hundredth_of_the_rounding_of_the_loop():
    for seed in range(50):
        for h in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2):
            _, info = gradient(
                random_case(seed, weights=2.0, inputs=10 ** (seed % 5)), h
            )
            assert info.truncation_bound <= min(2e-15, 0.01 * bounds.EPS / h) * 1.001


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_bound_holds_for_weights_below_the_rounding_of_1(output):
    net, x, t = random_case(6, inputs=8e4, output=output)
    net.params["W1"] *= 1e-5
    net.params["W2"] *= 1e-17
    grads, info = gradient((net, x, t), 1e-5)
    true = oracles.gradients(net, x, t, 1e-5)
    assert 0 not in info.samples
    assert (
        np.abs(grads["W1"] - true["W1"]).max()
        <= info.truncation_bound + 1e-14 * np.abs(true["W1"]).max()
    )
