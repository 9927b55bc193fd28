"""The two networks: their initial weights, what they compute, and when the fast
backends must not be used.
"""

import re
import warnings

import numpy as np
import pytest

import bounds
import secant
from layouts import same_bits
from secant.errors import UnsupportedError

NAMES = ["W1", "b1", "W2", "b2"]
OUTPUTS = ["sigmoid", "identity"]
GRADIENTS = {
    "backpropagation": lambda net, x, t: net.gradient(x, t),
    "auto": lambda net, x, t: net.numerical_gradient(x, t),
    "direct": lambda net, x, t: net.numerical_gradient(x, t, method="direct"),
}
by_output = pytest.mark.parametrize("output", OUTPUTS)


def network(sizes=(5, 4, 3), output="sigmoid", cls=secant.TwoLayerNet):
    """A network whose weights and biases are of order 1."""
    rng = np.random.RandomState(0)
    net = cls(*sizes, output_activation=output, rng=rng)
    for param in net.params.values():
        param[...] = rng.normal(size=param.shape)
    return net


def batch(sizes=(5, 4, 3), samples=6, kind="one-hot"):
    """Inputs of which some are zero, and targets."""
    rng = np.random.RandomState(1)
    x = rng.uniform(size=(samples, sizes[0])) * (
        rng.uniform(size=(samples, sizes[0])) > 0.3
    )
    labels = rng.randint(sizes[2], size=samples)
    if kind == "labels":
        return x, labels
    return x, np.eye(sizes[2])[labels] if kind == "one-hot" else rng.uniform(
        size=(samples, sizes[2])
    )


def plain_predict(params, x, output):
    """The chapter's forward pass."""
    z1 = 1 / (1 + np.exp(-(np.asarray(x, float) @ params["W1"] + params["b1"])))
    a2 = z1 @ params["W2"] + params["b2"]
    z2 = 1 / (1 + np.exp(-a2)) if output == "sigmoid" else a2
    e = np.exp(z2 - z2.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def generic(net, x, t, h=1e-4):
    with warnings.catch_warnings():
        # of one class, the loss is 0
        warnings.filterwarnings("ignore", "f returned one and the same value")
        f = lambda _: net.loss(x, t)  # noqa: E731
        return {
            name: secant.numerical_gradient(f, param, h)
            for name, param in net.params.items()
        }


# ---- initial weights -----------------------------------------------------------------


def chapters_weights(std, inputs, hidden, outputs, randn):
    w1 = std * randn(inputs, hidden)
    return {
        "W1": w1,
        "b1": np.zeros(hidden),
        "W2": std * randn(hidden, outputs),
        "b2": np.zeros(outputs),
    }


@pytest.mark.parametrize("std", [0.01, 1, 0.3], ids=str)
def test_the_initial_weights_are_the_chapters_bit_for_bit(std):
    np.random.seed(7)
    net = secant.TwoLayerNet(6, 5, 4, weight_init_std=std)
    after = np.random.rand()
    np.random.seed(7)
    assert same_bits(net.params, chapters_weights(std, 6, 5, 4, np.random.randn))
    assert after == np.random.rand()


GENERATOR = np.random.default_rng(7)


@pytest.mark.parametrize(
    ("rng", "normal"),
    [
        (np.random.RandomState(7), np.random.RandomState(7).randn),
        (7, np.random.RandomState(7).randn),
        (np.random.default_rng(7), lambda *shape: GENERATOR.standard_normal(shape)),
    ],
    ids=["state", "seed", "generator"],
)
def test_another_source_of_initial_weights_leaves_the_global_one_alone(rng, normal):
    before = np.random.get_state()[1].tolist()
    assert same_bits(
        secant.TwoLayerNet(6, 5, 4, rng=rng).params,
        chapters_weights(0.01, 6, 5, 4, normal),
    )
    assert np.random.get_state()[1].tolist() == before


# ---- SimpleNet -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "rng", [None, 3, np.random.RandomState(3)], ids=["global", "seed", "state"]
)
def test_a_simple_net_starts_from_the_chapters_weights(rng):
    np.random.seed(3)
    assert same_bits(secant.SimpleNet(rng=rng).W, np.random.RandomState(3).randn(2, 3))


def test_a_simple_net_is_the_chapters(backend):
    net = secant.SimpleNet(rng=1)
    x, t = np.array([0.6, 0.7]), np.array([0, 0, 1])
    scores = x @ net.W
    y = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(net.predict(x), scores, rtol=1e-15)
    assert net.loss(x, t) == pytest.approx(-np.log(y[2] + 1e-7), rel=1e-14)
    gradient = secant.numerical_gradient(lambda W: net.loss(x, t), net.W)
    # but for the 1e-7 in the logarithm
    np.testing.assert_allclose(gradient, np.outer(x, y - t), atol=1e-5)


def test_a_simple_net_takes_batches_and_labels(backend):
    net = secant.SimpleNet(rng=0)
    x = np.array([[0.6, 0.9], [1.0, 2.0]])
    assert same_bits(net.predict(x)[1], net.predict(x[1]))
    assert net.loss(x, [2, 0]) == pytest.approx(
        (net.loss(x[0], 2) + net.loss(x[1], 0)) / 2, rel=1e-15
    )


@pytest.mark.parametrize("kind", ["labels", "weights", "one label", "one row"])
def test_a_simple_net_has_gradients_of_its_own(kind):
    net, x = (
        secant.SimpleNet(4, 3, rng=0),
        np.random.RandomState(1).uniform(size=(5, 4)),
    )
    t = {
        "labels": [0, 2, 1, 1, 0],
        "weights": x[:, :3],
        "one label": 2,
        "one row": [0.0, 1, 0],
    }[kind]
    x = x[0] if "one" in kind else x
    before = net.W.copy()
    grad = net.gradient(x, t)["W"]
    np.testing.assert_allclose(grad, net.numerical_gradient(x, t)["W"], atol=1e-8)
    assert same_bits(net.W, before)
    assert grad.shape == (4, 3)


@pytest.mark.parametrize("h", [1e-4, 0.5])
def test_the_gradient_of_a_simple_net_is_a_difference_over_that_h(h):
    net, x = secant.SimpleNet(rng=0), np.array([0.6, 0.9])
    expected, w = np.empty((2, 3)), net.W.copy()
    for index in np.ndindex(2, 3):
        losses = []
        for sign in (1, -1):
            net.W = w.copy()
            net.W[index] += sign * h
            losses.append(net.loss(x, 2))
        expected[index] = (losses[0] - losses[1]) / (2 * h)
    net.W = w
    np.testing.assert_allclose(
        net.numerical_gradient(x, 2, h=h)["W"], expected, rtol=0, atol=1e-11
    )


def test_the_weights_of_a_simple_net_have_two_names():
    net = secant.SimpleNet(4, 3, rng=0)
    assert net.W is net.params["W"]
    net.W = np.eye(4, 3)
    assert net.params["W"] is net.W
    assert net.accuracy(np.eye(4), [0, 1, 2, 2]) == 0.75


# ---- what a network shows of itself --------------------------------------------------


def test_a_network_is_described_in_one_line():
    assert (
        repr(secant.TwoLayerNet(784, 50, 10))
        == "<TwoLayerNet 784-50-10, sigmoid output, 39,760 parameters>"
    )
    options = {"hidden_activation": "tanh", "log_offset": 0.0, "soft_targets": "argmax"}
    facts = "tanh hidden, sigmoid output, log_offset 0.0, argmax targets"
    assert (
        repr(secant.TwoLayerNet(3, 4, 2, **options))
        == f"<TwoLayerNet 3-4-2, {facts}, 26 parameters>"
    )
    assert repr(secant.SimpleNet(5, 2)) == "<SimpleNet 5-2, 10 parameters>"
    net = DecayingNet(3, 4, 2, output_activation="identity")
    assert repr(net) == "<DecayingNet 3-4-2, identity output, 26 parameters>"
    net.params = {"W1": "spoilt"}
    assert repr(net) == "<DecayingNet ?, identity output, 0 parameters>"
    del net.params
    assert repr(net) == "<DecayingNet ?, identity output, 0 parameters>"


# ---- predict, loss, accuracy ---------------------------------------------------------


@by_output
@pytest.mark.parametrize("kind", ["one-hot", "soft", "labels"])
def test_accuracy_is_the_share_of_right_answers(backend, output, kind):
    net, (x, t) = network(output=output), batch(samples=50, kind=kind)
    expected = t if kind == "labels" else t.argmax(axis=1)
    accuracy = net.accuracy(x, t)
    assert type(accuracy) is float
    assert accuracy == np.mean(
        plain_predict(net.params, x, output).argmax(axis=1) == expected
    )
    assert 0 < accuracy < 1
    assert net.accuracy(x, net.predict(x)) == 1


@by_output
def test_one_sample_is_a_batch_of_one(backend, output):
    net, (x, t) = network(output=output), batch(samples=1)
    label = int(t.argmax())
    assert same_bits(net.predict(x[0]), net.predict(x)[0])
    for method in (net.loss, net.accuracy, net.gradient, net.numerical_gradient):
        expected = method(x, t)
        assert same_bits(method(x[0], t[0]), expected)
        assert same_bits(method(x[0], label), method(x, [label]))
        assert same_bits(method(x[0].tolist(), [label]), method(x, [label]))
    assert net.loss(x, t) == net.loss(x, [label])


# ---- inputs of any kind --------------------------------------------------------------


def everything(net, x, t):
    """All that a network computes of a batch, as one dict."""
    results = {
        "predict": net.predict(x),
        "loss": net.loss(x, t),
        "accuracy": net.accuracy(x, t),
    }
    for kind, gradient in GRADIENTS.items():
        for name, grad in gradient(net, x, t).items():
            results[f"{kind} of {name}"] = grad
    return results


def test_nothing_that_is_passed_in_is_changed(backend):
    net, (x, t) = network(), batch()
    params = {name: param.copy() for name, param in net.params.items()}
    given = x.copy(), t.copy()
    results = everything(net, x, t)
    for result in results.values():
        np.asarray(result)[...] = 7  # the caller owns it
    assert same_bits(net.params, params)
    assert same_bits(x, given[0])
    assert same_bits(t, given[1])
    for result in results.values():
        assert not any(
            np.may_share_memory(result, array) for array in (x, t, *net.params.values())
        )


# ---- parameters ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_replaced_parameter_is_seen(backend, name):
    net, (x, t) = network(), batch()
    net.params[name] = net.params[name] * 2 + 1
    np.testing.assert_allclose(
        net.predict(x), plain_predict(net.params, x, "sigmoid"), rtol=1e-13
    )
    bound = bounds.plain_loop(net.loss(x, t), 1e-4)
    for key, grad in generic(net, x, t).items():
        assert np.abs(net.numerical_gradient(x, t)[key] - grad).max() <= bound


def test_a_replaced_dict_and_other_sizes_are_seen(backend):
    net, other = network(), network((7, 2, 5))
    net.params = dict(other.params)
    x, t = batch((7, 2, 5))
    assert same_bits(everything(net, x, t), everything(other, x, t))


def test_parameters_may_be_views_of_one_vector(backend):
    net, (x, t) = network(), batch()
    expected = everything(net, x, t)
    vector = np.concatenate([param.ravel() for param in net.params.values()])
    parts = np.split(
        vector, np.cumsum([param.size for param in net.params.values()])[:-1]
    )
    net.params = {
        name: part.reshape(net.params[name].shape)
        for name, part in zip(NAMES, parts, strict=True)
    }
    assert same_bits(everything(net, x, t), expected)


# ---- gradients -----------------------------------------------------------------------


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS)
def test_a_gradient_has_the_keys_and_shapes_of_the_parameters(backend, gradient):
    net, (x, t) = network(), batch()
    grads = gradient(net, x, t)
    assert list(grads) == NAMES
    for name, grad in grads.items():
        assert type(grad) is np.ndarray
        assert grad.shape == net.params[name].shape
        assert grad.dtype == np.float64
        assert grad.flags.c_contiguous
        assert grad.flags.writeable


@pytest.mark.parametrize("method", ["auto", "direct"])
def test_the_smallest_and_the_largest_steps_give_numbers(backend, method):
    net, (x, t) = network(), batch()
    for h in (1e-150, 1e-30, 1.0, 1e3, 1e150):
        assert all(
            np.isfinite(grad).all()
            for grad in net.numerical_gradient(x, t, h=h, method=method).values()
        )


# ---- how a gradient was computed -----------------------------------------------------


@pytest.mark.parametrize("n_threads", [None, 1, 3])
def test_the_options_of_a_gradient_reach_the_backend(asked, n_threads):
    net, (x, t) = network(), batch()
    net.numerical_gradient(x, t, h=1e-3, method="direct", n_threads=n_threads)
    net.gradient(x, t, n_threads=n_threads)
    assert asked == [
        ("direct", 1e-3, n_threads or 0),
        ("derivative", 1.0, n_threads or 0),
    ]


def test_a_series_is_that_of_auto_where_it_is_proven(backend):
    net, (x, t) = network(), batch()
    grads, info = net.numerical_gradient(x, t, method="series", return_info=True)
    assert same_bits(grads, net.numerical_gradient(x, t))
    assert info.method == "series"
    assert sum(info.samples.values()) == len(x)
    assert info.order == max(info.samples) >= 3
    assert 0 < info.truncation_bound < bounds.plain_loop(0, 1e-4) / 8


def test_direct_is_direct(backend):
    net, (x, t) = network(), batch()
    grads, info = net.numerical_gradient(x, t, method="direct", return_info=True)
    assert same_bits(grads, net.numerical_gradient(x, t, method="direct"))
    assert (info.method, info.order, info.samples, info.truncation_bound) == (
        "direct",
        0,
        {0: len(x)},
        0,
    )


# ---- networks that are not ours ------------------------------------------------------


class ReluNet(secant.TwoLayerNet):
    def predict(self, x):
        hidden = np.maximum(0, x @ self.params["W1"] + self.params["b1"])
        return secant.softmax(hidden @ self.params["W2"] + self.params["b2"])


class DecayingNet(secant.TwoLayerNet):
    def loss(self, x, t):
        return super().loss(x, t) + 0.1 * sum(
            np.sum(param**2) for param in self.params.values()
        )


def replaced_predict(_):
    net = network()
    net.predict = lambda x: np.full((len(x), 3), net.params["b2"].mean() ** 2)
    return net


def patched_loss(monkeypatch):
    original = secant.TwoLayerNet.loss
    monkeypatch.setattr(
        secant.TwoLayerNet, "loss", lambda self, x, t: 3 * original(self, x, t)
    )
    return network()


def extra_parameter(_):
    net = network()
    net.params["W3"] = np.array([[1.0, 2.0]])
    return net


def tied_weights(_):
    """A shift of W1 is one of W2 too."""
    net = network((3, 3, 3))
    net.params["W2"] = net.params["W1"]
    return net


OTHER = "is overridden"
NOT_OURS = {
    "predict overridden": (lambda _: network(cls=ReluNet), f"ReluNet.predict {OTHER}"),
    "loss overridden": (
        lambda _: network(cls=DecayingNet),
        f"DecayingNet.loss {OTHER}",
    ),
    "predict of one object": (replaced_predict, f"TwoLayerNet.predict {OTHER}"),
    "loss patched in the class": (patched_loss, f"TwoLayerNet.loss {OTHER}"),
    "extra parameter": (extra_parameter, "params has the extra key 'W3'"),
    "tied weights": (tied_weights, "params['W1'] and params['W2'] share memory"),
}


@pytest.mark.parametrize(("make", "named"), NOT_OURS.values(), ids=NOT_OURS)
def test_another_network_gets_the_gradient_of_its_own_loss_one_warning_and_nothing_else(
    backend, monkeypatch, make, named
):
    net = make(monkeypatch)
    x, t = batch((len(net.params["W1"]), 4, 3))
    with pytest.warns(RuntimeWarning) as caught:
        first, info = net.numerical_gradient(x, t, return_info=True)
    # a warning would be an error
    second = net.numerical_gradient(x, t, h=1e-3, n_threads=2, method="direct")
    assert (info.method, info.order, info.loss) == ("generic", 0, net.loss(x, t))
    assert len(caught) == 1
    falls_back = (
        "numerical_gradient falls back to a loop over every parameter, which is slow"
    )
    assert str(caught[0].message) == f"{named}: {falls_back}"
    assert caught[0].filename == __file__
    for got, h in ((first, 1e-4), (second, 1e-3)):
        assert list(got) == list(net.params)
        for name, expected in generic(net, x, t, h).items():
            np.testing.assert_allclose(
                got[name], expected, rtol=0, atol=bounds.plain_loop(net.loss(x, t), h)
            )
    for call, said in (
        (
            lambda: net.numerical_gradient(x, t, method="series"),
            "method 'series' knows the built-in network only; use",
        ),
        (
            lambda: net.gradient(x, t),
            "backpropagation knows the built-in network only; use numerical_gradient",
        ),
    ):
        with pytest.raises(UnsupportedError, match=re.escape(f"{named}: {said}")):
            call()


@pytest.mark.parametrize(
    "value", [np.ones(2, np.float32), 0.1], ids=["float32", "a number"]
)
def test_an_extra_parameter_that_cannot_be_perturbed_is_named(value):
    net, (x, t) = network(), batch()
    net.params["W3"] = value
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(secant.SecantError, match=r"^params\['W3'\] must be "),
    ):
        net.numerical_gradient(x, t)


class Pasted(secant.TwoLayerNet):
    """With an __init__ of its own, as the book's network has it; overrides nothing that
    the backends replace.
    """

    note = ""  # of the user's

    def __init__(self, input_size, hidden_size, output_size):
        self.params = {
            "W1": 0.01 * np.random.randn(input_size, hidden_size),
            "b1": np.zeros(hidden_size),
            "W2": 0.01 * np.random.randn(hidden_size, output_size),
            "b2": np.zeros(output_size),
        }

    def accuracy(self, x, t):
        return super().accuracy(x, t)


def test_a_subclass_that_overrides_nothing_relevant_stays_fast_and_may_set_its_parameters_only(
    backend, tmp_path
):
    np.random.seed(3)
    own = Pasted(3, 4, 2)
    np.random.seed(3)
    net = secant.TwoLayerNet(3, 4, 2)
    x, t = np.ones((5, 3)), np.array([0, 1, 1, 0, 1])
    own.history = []
    assert own.loss(x, t) == net.loss(x, t)
    # a warning would be an error
    assert same_bits(own.numerical_gradient(x, t), net.numerical_gradient(x, t))
    assert same_bits(own.gradient(x, t), net.gradient(x, t))
    options = {"n_iterations": 3, "batch_size": 2, "rng": 0, "progress": False}
    assert secant.train(own, x, t, x, t, **options) == secant.train(
        net, x, t, x, t, **options
    )
    own.save(tmp_path / "net")
    assert same_bits(secant.TwoLayerNet.load(tmp_path / "net").params, net.params)
