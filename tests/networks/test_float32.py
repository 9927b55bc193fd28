"""`TwoLayerNet` with parameters of float32: what it takes, returns and keeps."""

import numpy as np
import pytest

import secant
from secant.errors import ValueRangeError

RNG = np.random.RandomState(0)
X, T = RNG.uniform(size=(6, 4)).astype(np.float32), np.array([0, 1, 1, 0, 1, 0])


def network(**options):
    return secant.TwoLayerNet(
        4, 5, 2, weight_init_std=0.5, rng=0, **{"dtype": np.float32, **options}
    )


def test_the_initial_weights_are_those_of_float64_rounded():
    double = network(dtype=np.float64)
    for name, param in network().params.items():
        np.testing.assert_array_equal(
            param, double.params[name].astype(np.float32), strict=True
        )


def test_results_are_float32(backend):
    net = network()
    assert net.predict(X).dtype == net.predict(X[0]).dtype == np.float32
    for grads in (
        net.gradient(X, T),
        net.numerical_gradient(X, T),
        net.numerical_gradient(X, T, method="direct"),
    ):
        assert {grad.dtype for grad in grads.values()} == {np.dtype(np.float32)}
    assert type(net.loss(X, T)) is type(net.accuracy(X, T)) is float


def test_parameters_that_are_replaced_decide(backend):
    net = network(dtype=np.float64)
    double = net.numerical_gradient(X, T)
    net.params = {name: param.astype(np.float32) for name, param in net.params.items()}
    for name, grad in net.numerical_gradient(X, T).items():
        assert grad.dtype == np.float32
        np.testing.assert_allclose(grad, double[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "call",
    [lambda net, x: net.predict(x), lambda net, x: net.gradient(x, T)],
    ids=["y", "grads"],
)
def test_an_input_beyond_the_range_of_float32(backend, call):
    x = X.astype(np.float64)
    x[2, 1] = -1e39
    with pytest.raises(ValueRangeError) as caught:
        call(network(), x)
    assert (
        str(caught.value)
        == "x must be within the range of float32, got -1e+39 at (2, 1)"
    )


def test_a_loss_beyond_the_range_of_float32_comes_with_the_gradient(backend):
    net, t = network(output_activation="identity"), np.full((len(X), 2), 3e37)
    net.params["b2"][...] = 90, 0
    _, info = net.numerical_gradient(X, t, return_info=True)
    assert (
        float(np.finfo(np.float32).max)
        < info.loss
        == pytest.approx(net.loss(X, t), rel=1e-6)
    )


def test_a_step_that_is_too_small_for_float32(backend):
    net = network()
    for method in ("auto", "direct"):
        with pytest.raises(ValueRangeError) as caught:
            net.numerical_gradient(X, T, h=1e-19, method=method)
        assert (
            str(caught.value)
            == "h must be at least 1e-18 for float32 parameters, got 1e-19"
        )
        assert (
            net.numerical_gradient(X, T, h=1e-18, method=method)["b2"].dtype
            == np.float32
        )
    with pytest.raises(
        ValueRangeError, match="h must be at least 1e-18 for float32 parameters"
    ):
        secant.train(net, X, T, h=1e-19, n_iterations=2, batch_size=3, progress=False)


def test_training_keeps_the_type_and_learns(backend):
    net = network()
    history = secant.train(
        net,
        X,
        T,
        X,
        T,
        n_iterations=200,
        batch_size=6,
        learning_rate=1.0,
        rng=0,
        progress=False,
    )
    assert {param.dtype for param in net.params.values()} == {np.dtype(np.float32)}
    assert history.train_loss_list[-1] < history.train_loss_list[0]
    assert all(isinstance(loss, float) for loss in history.train_loss_list)
