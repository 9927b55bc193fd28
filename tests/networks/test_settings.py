"""What a network is besides its parameters: activations, the offset in the logarithm,
and what targets mean.
"""

import numpy as np
import pytest

import secant
from secant import TwoLayerNet
from secant.backends.activations import ACTIVATIONS
from secant.errors import DTypeError, ValueRangeError

X = np.random.RandomState(0).uniform(size=(6, 3))
SOFT = np.random.RandomState(1).uniform(size=(6, 2))
SETTINGS = {
    "hidden_activation": "tanh",
    "output_activation": "identity",
    "log_offset": 0.0,
    "soft_targets": "argmax",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_change_of_the_attribute_is_that_of_the_argument(backend, name):
    net, other = (
        TwoLayerNet(3, 4, 2, 1.0, rng=0),
        TwoLayerNet(3, 4, 2, 1.0, rng=0, **{name: SETTINGS[name]}),
    )
    before = net.loss(X, SOFT)
    setattr(net, name, SETTINGS[name])
    assert net.loss(X, SOFT) == other.loss(X, SOFT) != before
    assert (
        net.numerical_gradient(X, SOFT)["W1"] == other.numerical_gradient(X, SOFT)["W1"]
    ).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "hidden_activation",
            "gelu",
            f"one of {', '.join(map(repr, ACTIVATIONS))}, got 'gelu'",
        ),
        ("output_activation", "relu", "one of 'sigmoid', 'identity', got 'relu'"),
        ("soft_targets", None, "one of 'weights', 'argmax', got None"),
        ("log_offset", -1e-9, "finite and at least 0, got -1e-09"),
        ("log_offset", "1e-7", "a real number, got '1e-7'"),
        ("log_offset", True, "a real number, got True"),
    ],
)
def test_bad_settings(name, value, message):
    error = DTypeError if message.startswith("a real") else ValueRangeError
    with pytest.raises(error, match=f"^{name} must be {message}$"):
        TwoLayerNet(3, 4, 2, **{name: value})
    net = TwoLayerNet(3, 4, 2)
    setattr(net, name, value)
    with pytest.raises(error, match=f"^{name} must be {message}$"):
        net.loss(X, SOFT)


def test_a_file_keeps_the_settings_and_an_old_one_has_the_defaults(tmp_path):
    net = TwoLayerNet(3, 4, 2, 1.0, rng=0, **SETTINGS)
    net.save(tmp_path / "net.npz")
    loaded = TwoLayerNet.load(tmp_path / "net.npz")
    assert {name: getattr(loaded, name) for name in SETTINGS} == SETTINGS
    assert loaded.loss(X, SOFT) == net.loss(X, SOFT)
    np.savez(tmp_path / "old.npz", **net.params, output_activation="identity")
    assert (
        repr(TwoLayerNet.load(tmp_path / "old.npz"))
        == "<TwoLayerNet 3-4-2, identity output, 26 parameters>"
    )


# ---- targets -------------------------------------------------------------------------


def test_the_largest_weight_names_the_class(backend):
    net, labels = (
        TwoLayerNet(3, 4, 2, 1.0, rng=0, soft_targets="argmax"),
        SOFT.argmax(axis=1),
    )
    assert net.loss(X, SOFT) == net.loss(X, labels)
    assert net.loss(X[0], SOFT[0]) == net.loss(X[0], labels[0])
    for gradient in (net.gradient, net.numerical_gradient):
        assert (gradient(X, SOFT)["W2"] == gradient(X, labels)["W2"]).all()
    runs = [
        secant.train(
            TwoLayerNet(3, 4, 2, rng=0, soft_targets="argmax"),
            X,
            t,
            n_iterations=5,
            batch_size=2,
            rng=0,
        )
        for t in (SOFT, labels)
    ]
    assert runs[0] == runs[1]


# ---- no offset -----------------------------------------------------------------------


def one_probability_is_0():
    net = TwoLayerNet(3, 4, 2, output_activation="identity", log_offset=0, rng=0)
    net.params["b2"][...] = 0, 800
    return net


@pytest.mark.parametrize("method", ["auto", "direct", "series", "derivative", "loss"])
def test_a_probability_of_0_has_no_logarithm(backend, method):
    net = one_probability_is_0()
    before = {name: param.copy() for name, param in net.params.items()}
    calls = {"loss": net.loss, "derivative": net.gradient}
    call = calls.get(method, lambda x, t: net.numerical_gradient(x, t, method=method))
    with pytest.raises(
        ValueRangeError,
        match=r"^log_offset is 0 and the probability of a target has underflowed to 0",
    ):
        call(X, [1, 1, 0, 1, 1, 1])
    assert all((net.params[name] == param).all() for name, param in before.items())


@pytest.mark.parametrize(
    "t", [np.ones(6, int), np.eye(2)[np.ones(6, int)]], ids=["labels", "weights"]
)
def test_a_probability_of_0_whose_weight_is_0_counts_nothing(backend, t):
    net = one_probability_is_0()
    assert net.loss(X, t) == 0
    for grads in (
        net.gradient(X, t),
        *(net.numerical_gradient(X, t, method=m) for m in ("auto", "direct")),
    ):
        assert all((np.abs(grad) < 1e-18).all() for grad in grads.values())


def test_training_that_drives_a_probability_to_0_ends_before_it(backend):
    net = TwoLayerNet(3, 4, 2, output_activation="identity", log_offset=0, rng=0)
    with pytest.raises(
        ValueRangeError, match="in iteration 1, log_offset is 0 and the probability"
    ):
        secant.train(
            net,
            X,
            [0, 1, 0, 1, 0, 1],
            n_iterations=3,
            batch_size=6,
            learning_rate=1e5,
            rng=0,
            progress=False,
        )
    assert repr(net) == repr(
        TwoLayerNet(3, 4, 2, output_activation="identity", log_offset=0)
    )
    assert (net.params["W1"] == TwoLayerNet(3, 4, 2, rng=0).params["W1"]).all()
