"""predict and loss, against 50 digits."""

import numpy as np
import pytest

import bounds
import cases
import oracles


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_predict_and_loss_of_real_digits(backend, output):
    net, x, t = cases.mnist(3)
    net.output_activation = output
    truth = oracles.of(net, x, t)
    expected = np.array([[float(v) for v in row] for row in truth.predict()])
    np.testing.assert_allclose(net.predict(x), expected, rtol=bounds.FORWARD, atol=0)
    assert abs(net.loss(x, t) - float(truth.loss())) <= bounds.FORWARD * max(1, net.loss(x, t))
