"""predict and loss, against 50 digits."""

import numpy as np
import pytest

import bounds
import cases
import oracles
import secant
from random_networks import HIDDEN, OUTPUTS


@pytest.mark.parametrize("output", OUTPUTS)
def test_predict_and_loss_of_real_digits(backend, output):
    net, x, t = cases.mnist(3)
    net.output_activation = output
    truth = oracles.of(net, x, t)
    expected = np.array([[float(v) for v in row] for row in truth.predict()])
    np.testing.assert_allclose(net.predict(x), expected, rtol=bounds.FORWARD, atol=0)
    assert abs(net.loss(x, t) - float(truth.loss())) <= bounds.FORWARD * max(
        1, net.loss(x, t)
    )


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 20.0])
def test_the_output_of_a_hidden_unit_is_right_to_the_last_digits(
    backend, hidden, scale
):
    """With W2 = 0 the gradient of W2 is half of it: tanh must not cancel where it is
    small.
    """
    net = secant.TwoLayerNet(
        1, 1, 2, hidden_activation=hidden, output_activation="identity", rng=0
    )
    net.params["W1"][:], net.params["W2"][:] = 1.0, 0.0
    net.log_offset = 0.0
    for a in np.random.RandomState(0).uniform(-scale, scale, 20):
        got = -2 * net.gradient([[a]], np.array([0]))["W2"][0, 0]
        true = oracles.ACTIVATIONS[hidden](oracles.mpfr(a))
        assert abs(got - true) <= 6 * bounds.EPS * abs(true)
