"""Training in the core: the trajectory of a loop over the network's own methods, for
any threads and blocks.
"""

import signal
import threading

import numpy as np
import pytest

import bounds
import cases
import random_networks
import secant
from secant.backends.activations import ACTIVATIONS
from secant.training import arguments, iterations
from secant.training import loop as training

LEARNING_RATE = 0.1


def run(case, n_iterations, **options):
    net, x, t = case
    np.random.seed(3)
    history = secant.train(
        net,
        x,
        t,
        x[:10],
        t[:10],
        n_iterations=n_iterations,
        batch_size=20,
        progress=False,
        **options,
    )
    return np.array(history.train_loss_list), net.params


def loop(
    case,
    n_iterations,
    gradient=secant.TwoLayerNet.numerical_gradient,
    *,
    before=False,
    **options,
):
    """The chapter's loop; the losses are those before the updates, or after them."""
    net, x, t = case
    np.random.seed(3)
    losses = []
    for _ in range(n_iterations):
        batch = np.random.choice(len(x), 20)
        loss = net.loss(x[batch], t[batch])
        grads = gradient(net, x[batch], t[batch], **options)
        for key in net.params:
            net.params[key] -= LEARNING_RATE * grads[key]
        losses.append(loss if before else net.loss(x[batch], t[batch]))
    return np.array(losses), net.params


def losses_of(indices, net, x, t, losses=None, learning_rate=LEARNING_RATE):
    """Descend in one call of the backend."""
    options = {"method": "auto", "h": 1e-4, "n_threads": None}
    losses = [] if losses is None else losses
    take_gradient, _ = arguments.gradient_of(net, "numerical", options)
    iterations.iterations_of(net, x, t, take_gradient, learning_rate).run(
        indices, losses
    )
    return losses


def same(one, other):
    return np.array_equal(one[0], other[0]) and all(
        np.array_equal(one[1][key], other[1][key]) for key in one[1]
    )


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    "iterations", [200, pytest.param(1000, marks=pytest.mark.nightly)]
)
@pytest.mark.parametrize(
    ("options", "gradient"),
    [
        ({}, secant.TwoLayerNet.numerical_gradient),
        ({"gradient": "backprop"}, secant.TwoLayerNet.gradient),
    ],
)
def test_the_trajectory_of_the_loop(options, gradient, iterations):
    losses, params = run(cases.mnist(500), iterations, **options)
    expected, theirs = loop(cases.mnist(500), iterations, gradient)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-10)
    for key in theirs:
        np.testing.assert_allclose(params[key], theirs[key], rtol=0, atol=1e-9)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("seconds", [0.0, 1e-3, 10.0])
def test_the_same_bits_whatever_is_done_in_one_call(monkeypatch, seconds):
    first = run(cases.mnist(200), 200)
    monkeypatch.setattr(training, "_BLOCK_SECONDS", seconds)
    assert same(first, run(cases.mnist(200), 200))


def small(backend, output="sigmoid", hidden="sigmoid"):
    activations = {"hidden_activation": hidden, "output_activation": output}
    net = secant.TwoLayerNet(
        12, 5, 3, weight_init_std=0.5, **activations, rng=0, backend=backend
    )
    rng = np.random.RandomState(1)
    return net, rng.uniform(size=(50, 12)), rng.randint(3, size=50)


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "direct"}, {"method": "series"}, {"gradient": "backprop"}],
    ids=str,
)
def test_losses_before_the_update(backend, options):
    _, params = run(small(backend), 20, **options)
    losses, theirs = run(small(backend), 20, loss="before", **options)
    assert all(np.array_equal(params[key], theirs[key]) for key in params)
    by_hand = (
        {"gradient": secant.TwoLayerNet.gradient} if "gradient" in options else options
    )
    expected, _ = loop(small(backend), 20, before=True, **by_hand)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("threads", [1, 3])
def test_losses_before_the_update_of_a_mini_batch_larger_than_a_block(threads):
    net, x, t = cases.mnist(300)
    expected = net.loss(x, t)
    options = {
        "batch_size": 300,
        "sampling": "ordered",
        "loss": "before",
        "n_threads": threads,
        "progress": False,
    }
    losses = secant.train(net, x, t, n_iterations=2, **options).train_loss_list
    assert losses[0] == pytest.approx(expected, rel=1e-13)
    assert losses[1] < losses[0]


@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_small_networks_against_the_books_loop(backend, hidden, output):
    losses, _ = run(small(backend, output, hidden), 20)
    expected, _ = loop(small("numpy", output, hidden), 20, random_networks.loop)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=bounds.TRAJECTORY)


def test_an_interrupted_call_has_the_losses_of_the_iterations_that_it_completed(
    backend, default_handler
):
    net, x, t = small(backend)
    indices = np.random.RandomState(2).randint(50, size=(500_000, 1))
    losses_of(indices[:2], *small(backend))  # compiled now
    losses = []
    ctrl_c = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        losses_of(indices, net, x, t, losses)
    ctrl_c.join()
    assert 0 < len(losses) < len(indices)
    again = small(backend)
    assert losses == losses_of(indices[: len(losses)], *again)
    assert same(([], net.params), ([], again[0].params))


def test_an_iteration_that_diverges_is_undone(backend):
    net, x, t = overflowing(backend)
    # one iteration is on record already
    indices, losses = np.array([[1, 2], [3, 4], [5, 9], [6, 7]]), [0.5]
    what = r"(params\['W1'\] is not finite|the loss is nan)"
    message = (
        rf"^learning_rate must be small enough .*, got 0\.1: in iteration 4, {what}$"
    )
    with pytest.raises(secant.errors.ValueRangeError, match=message):
        losses_of(indices, net, x, t, losses)
    again = overflowing(backend)
    assert losses == [0.5, *losses_of(indices[:2], *again)]
    assert same(([], net.params), ([], again[0].params))


def overflowing(backend):
    net, x, t = small(backend, "identity")
    net.params["b1"][:2], net.params["W1"][0, :2] = -800, 1
    net.params["W2"][:2, 0] = 1.7e308
    x[9, 0] = 2000  # it alone turns on two units, whose sum overflows
    return net, x, t


def test_a_parameter_that_the_loss_does_not_show_is_looked_at_too(backend):
    """W1 overflows where the input of the mini-batch is huge, and the loss stays
    finite: its unit is off.
    """
    net, x, t = (
        secant.TwoLayerNet(2, 2, 2, rng=0, backend=backend),
        np.array([[1e300, 1.0]] * 2),
        np.array([0, 1]),
    )
    net.params["W1"][0] = 0.0
    net.params["W2"][...] = [[3.0, -3.0], [1.0, 2.0]]
    with pytest.raises(
        secant.errors.ValueRangeError,
        match=r"in iteration 1, params\['W1'\] is not finite$",
    ):
        secant.train(
            net,
            x,
            t,
            x,
            t,
            n_iterations=3,
            batch_size=1,
            learning_rate=1e10,
            gradient="backprop",
            rng=0,
        )
    assert all(np.isfinite(param).all() for param in net.params.values())
