"""Sums over many samples are as exact as those over few: equal samples, whose rounding
errors add up.
"""

import numpy as np
import pytest

import bounds
import secant
from random_networks import DTYPES
from secant.backends import backend_module
from secant.networks.batch import checked

SAMPLES = 60_000
METHODS = ("derivative", "series", "direct")


def equal_samples(hidden, units, kind, dtype, backend):
    """A network, one sample and its target. The first unit of relu is at its kink."""
    net = secant.TwoLayerNet(
        7,
        units,
        5,
        weight_init_std=0.3,
        hidden_activation=hidden,
        rng=0,
        dtype=dtype,
        backend=backend,
    )
    net.params["W1"][:, 0] *= hidden != "relu"
    rng = np.random.RandomState(1)
    x = rng.uniform(0.3, 1.3, (1, 7)).astype(dtype)
    return net, x, np.array([0]) if kind == "labels" else rng.uniform(0, 1, (1, 5))


def differences(net, x, t, method):
    """The gradients and the loss of a backend."""
    core = backend_module(net.backend)
    return core.gradient(checked(net, x, t, core), method, 1e-4, 1)


def share_of_contract(net, x, t, method):
    """The largest difference between many equal samples and one, as a share of what is
    promised.
    """
    one = differences(net, x, t, method)
    many = differences(
        net, np.repeat(x, SAMPLES, axis=0), np.repeat(t, SAMPLES, axis=0), method
    )
    terms, shares = (
        bounds.absolute_terms(net, x, t),
        [abs(many.loss - one.loss) / max(1, one.loss) / bounds.FORWARD],
    )
    for key, true in one.gradients.items():
        is_single = true.dtype == np.float32
        allowed = (
            bounds.single(terms[key])
            if is_single
            else bounds.central_difference(x, true)
        )
        shares.append(
            (
                np.abs(many.gradients[key].astype(float) - true)
                / np.maximum(allowed, 1e-40)
            ).max()
        )
    return max(shares)


each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@each_dtype
@pytest.mark.parametrize("kind", ["labels", "soft"])
# more than 128 have longer blocks of samples
@pytest.mark.parametrize("units", [20, 144])
@pytest.mark.parametrize("hidden", ["sigmoid", "identity", "relu"])
@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_of_many_equal_samples_is_that_of_one(
    compiled, method, hidden, units, kind, dtype
):
    assert (
        share_of_contract(*equal_samples(hidden, units, kind, dtype, "cpp"), method)
        <= 1
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_backend_sums_many_samples(backend, method):
    assert (
        share_of_contract(
            *equal_samples("identity", 20, "labels", np.float64, backend), method
        )
        <= 1
    )


@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize("classes", [5, 200])
def test_the_loss_of_many_equal_outputs_is_that_of_one(backend, kind, classes):
    rng = np.random.RandomState(0)
    y = rng.uniform(0.1, 1, (1, classes))
    y /= y.sum()
    t = np.array([0]) if kind == "labels" else np.full((1, classes), 1 / classes)
    module = backend_module(backend)
    one = module.cross_entropy(y, t, 1e-7)
    many = module.cross_entropy(
        np.repeat(y, SAMPLES, axis=0), np.repeat(t, SAMPLES, axis=0), 1e-7
    )
    assert abs(many - one) <= bounds.FORWARD * max(1, one)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_loss_of_a_large_batch_in_training(compiled, when):
    net, x, t = equal_samples("sigmoid", 20, "labels", np.float64, "cpp")
    one = net.loss(x, t)
    x, t = np.repeat(x, SAMPLES, axis=0), np.repeat(t, SAMPLES, axis=0)
    options = {
        "n_iterations": 1,
        "batch_size": SAMPLES,
        "sampling": "ordered",
        "progress": False,
    }
    losses = secant.train(
        net, x, t, learning_rate=1e-300, loss=when, **options
    ).train_loss_list
    assert abs(losses[0] - one) <= bounds.FORWARD * max(1, one)
