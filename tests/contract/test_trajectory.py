"""Training in the core: the trajectory of a loop over the network's own methods, for any threads and blocks."""

import signal
import sys
import threading
import time

import numpy as np
import pytest

import bounds
import cases
import secant
from secant.backends import backend_module
from secant.networks.batch import checked
from secant.training import arguments, iterations
from secant.training import loop as training

LEARNING_RATE = 0.1


def run(case, n_iterations, **options):
    net, x, t = case
    np.random.seed(3)
    history = secant.train(
        net, x, t, x[:10], t[:10], n_iterations=n_iterations, batch_size=20, progress=False, **options
    )
    return np.array(history.train_loss_list), net.params


def loop(case, n_iterations, gradient="numerical_gradient", **options):
    """The chapter's loop."""
    net, x, t = case
    np.random.seed(3)
    losses = []
    for _ in range(n_iterations):
        batch = np.random.choice(len(x), 20)
        grads = getattr(net, gradient)(x[batch], t[batch], **options)
        for key in net.params:
            net.params[key] -= LEARNING_RATE * grads[key]
        losses.append(net.loss(x[batch], t[batch]))
    return np.array(losses), net.params


def losses_before(case, n_iterations, gradient="numerical_gradient", **options):
    """The losses of the mini-batches before their updates."""
    net, x, t = case
    np.random.seed(3)
    losses = []
    for _ in range(n_iterations):
        batch = np.random.choice(len(x), 20)
        losses.append(net.loss(x[batch], t[batch]))
        grads = getattr(net, gradient)(x[batch], t[batch], **options)
        for key in net.params:
            net.params[key] -= LEARNING_RATE * grads[key]
    return losses


def losses_of(indices, net, x, t, losses=None, learning_rate=LEARNING_RATE):
    """Descend in one call of the backend."""
    options = {"method": "auto", "h": 1e-4, "n_threads": None}
    losses = [] if losses is None else losses
    take_gradient, _ = arguments.gradient_of(net, "numerical", options)
    iterations.iterations_of(net, x, t, take_gradient, learning_rate).run(indices, losses)
    return losses


def same(one, other):
    return np.array_equal(one[0], other[0]) and all(np.array_equal(one[1][key], other[1][key]) for key in one[1])


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("iterations", [200, pytest.param(1000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(("options", "gradient"), [({}, "numerical_gradient"), ({"gradient": "backprop"}, "gradient")])
def test_the_trajectory_of_the_loop(options, gradient, iterations):
    losses, params = run(cases.mnist(500), iterations, **options)
    expected, theirs = loop(cases.mnist(500), iterations, gradient)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-10)
    for key in theirs:
        np.testing.assert_allclose(params[key], theirs[key], rtol=0, atol=1e-9)


@pytest.mark.usefixtures("fast")
def test_direct_and_series_train_alike():
    series, _ = run(cases.mnist(200), 100)
    direct, _ = run(cases.mnist(200), 100, method="direct")
    np.testing.assert_allclose(series, direct, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("method", ["auto", "direct"])
def test_the_same_bits_for_any_number_of_threads(method):
    first = run(cases.mnist(200), 30, method=method, n_threads=1)
    assert all(same(first, run(cases.mnist(200), 30, method=method, n_threads=n)) for n in (2, 3))


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("hidden", [50, 300])  # of 300, one thread copies dense inputs, and three do not
def test_the_same_bits_for_any_number_of_threads_where_inputs_are_dense(hidden, dtype):
    def trained(n_threads):
        net = secant.TwoLayerNet(120, hidden, 10, rng=0, dtype=dtype)
        rng = np.random.RandomState(0)
        x, t = rng.uniform(0.1, 1, (200, 120)).astype(dtype), rng.randint(10, size=200)
        secant.train(
            net, x, t, x[:1], t[:1], n_iterations=3, batch_size=110, rng=0, n_threads=n_threads, progress=False
        )
        return net.params

    first = trained(1)
    for n_threads in (2, 3):
        other = trained(n_threads)
        assert all(np.array_equal(first[key], other[key]) for key in first)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("seconds", [0.0, 1e-3, 10.0])
def test_the_same_bits_whatever_is_done_in_one_call(monkeypatch, seconds):
    first = run(cases.mnist(200), 200)
    monkeypatch.setattr(training, "_BLOCK_SECONDS", seconds)
    assert same(first, run(cases.mnist(200), 200))


@pytest.mark.usefixtures("fast")
def test_pixels_of_any_type_train_alike():
    net, x, t = cases.mnist(200)
    other = cases.mnist(200).net
    assert same(run((net, x, t), 20), run((other, x.astype(np.float64), t), 20))


@pytest.mark.usefixtures("fast")
def test_a_mini_batch_larger_than_a_block_of_samples():
    net, x, t = cases.mnist(400)
    rows = np.arange(300)[np.newaxis]
    grads = net.numerical_gradient(x[:300], t[:300])
    expected = {key: value - LEARNING_RATE * grads[key] for key, value in net.params.items()}
    (loss,) = losses_of(rows, net, x, t)
    for key, value in expected.items():
        np.testing.assert_allclose(net.params[key], value, rtol=0, atol=1e-15)
    assert abs(loss - net.loss(x[:300], t[:300])) <= bounds.FORWARD * loss


def small(backend, output="sigmoid"):
    net = secant.TwoLayerNet(12, 5, 3, weight_init_std=0.5, output_activation=output, rng=0, backend=backend)
    rng = np.random.RandomState(1)
    return net, rng.uniform(size=(50, 12)), rng.randint(3, size=50)


@pytest.mark.parametrize(
    ("options", "gradient", "taken"),
    [
        ({}, "numerical_gradient", {}),
        ({"gradient": "backprop"}, "gradient", {}),
        ({"method": "direct"}, "numerical_gradient", {"method": "direct"}),
        ({"method": "series"}, "numerical_gradient", {"method": "series"}),
    ],
    ids=["auto", "backprop", "direct", "series"],
)
def test_losses_before_the_update(backend, options, gradient, taken):
    _, params = run(small(backend), 20, **options)
    losses, theirs = run(small(backend), 20, loss="before", **options)
    assert all(np.array_equal(params[key], theirs[key]) for key in params)
    np.testing.assert_allclose(losses, losses_before(small(backend), 20, gradient, **taken), rtol=0, atol=1e-12)
    assert losses[0] == pytest.approx(small(backend)[0].loss(*first_batch(small(backend))), rel=1e-14)


def first_batch(case):
    np.random.seed(3)
    batch = np.random.choice(len(case[1]), 20)
    return case[1][batch], case[2][batch]


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("threads", [1, 3])
def test_losses_before_the_update_of_a_mini_batch_larger_than_a_block(threads):
    net, x, t = cases.mnist(400)
    expected = net.loss(x[:300], t[:300])
    take_gradient, _ = arguments.gradient_of(net, "numerical", {"method": "auto", "h": 1e-4, "n_threads": threads})
    losses = []
    rows = np.tile(np.arange(300), (2, 1))
    iterations.iterations_of(net, x, t, take_gradient, LEARNING_RATE, before=True).run(rows, losses)
    assert losses[0] == pytest.approx(expected, rel=1e-13)
    assert losses[1] < losses[0]


@pytest.mark.usefixtures("compiled")
def test_losses_before_the_update_end_where_a_training_diverges():
    net, x, t = small(None, "identity")
    history = secant.History()
    options = {"learning_rate": 1e308, "loss": "before", "history": history, "progress": False, "rng": 0}
    with pytest.raises(secant.errors.ValueRangeError, match="learning_rate must be small enough"):
        secant.train(net, 1e3 * x, t, n_iterations=50, batch_size=20, **options)
    assert np.isfinite(history.train_loss_list).all()
    assert all(np.isfinite(param).all() for param in net.params.values())


def test_a_small_network_against_the_numpy_loop(backend):
    losses, _ = run(small(backend), 20)
    expected, _ = loop(small("numpy"), 20, method="direct")
    np.testing.assert_allclose(losses, expected, rtol=0, atol=bounds.TRAJECTORY)


@pytest.mark.parametrize("options", [{}, {"gradient": "backprop"}], ids=["numerical", "backprop"])
def test_all_backends_train_alike(fast, options):
    losses, params = run(cases.mnist(200, fast), 100, **options)
    expected, theirs = run(cases.mnist(200, "numpy"), 100, **options)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-10)
    for key in theirs:
        np.testing.assert_allclose(params[key], theirs[key], rtol=0, atol=1e-10)


def test_an_interrupted_call_has_the_losses_of_the_iterations_that_it_completed(backend, default_handler):
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


class Rate:
    """A learning rate that says when it is read."""

    def __init__(self):
        self.read = threading.Event()

    def __float__(self):
        self.read.set()
        return LEARNING_RATE


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_a_thread_trains_on_while_another_keeps_the_interpreter():
    net, x, t = small("cpp")
    backend = backend_module("cpp")
    indices = np.random.RandomState(2).randint(50, size=(100_000, 20))
    rate = Rate()
    run = (checked(net, x, t, backend), indices, "auto", 1e-4, rate, 1, [])
    bias = net.params["b2"]
    start = bias.tobytes()
    thread = threading.Thread(target=backend.train, args=run)
    before = sys.getswitchinterval()
    sys.setswitchinterval(100)  # so that a thread keeps the interpreter until it lets go of it
    try:
        thread.start()
        assert rate.read.wait(60)  # goes on once the core has let go of it
        assert bias.tobytes() == start  # they are written at the end
        deadline = time.perf_counter() + 30
        while bias.tobytes() == start and time.perf_counter() < deadline:
            pass
        assert bias.tobytes() != start
    finally:
        sys.setswitchinterval(before)
    thread.join()


def test_an_iteration_that_diverges_is_undone(backend):
    net, x, t = overflowing(backend)
    indices, losses = np.array([[1, 2], [3, 4], [5, 9], [6, 7]]), [0.5]  # one iteration is on record already
    what = r"(params\['W1'\] is not finite|the loss is nan)"
    message = rf"^learning_rate must be small enough .*, got 0\.1: in iteration 4, {what}$"
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


def test_a_step_too_large_for_a_finite_loss_is_undone(backend):
    net, x, t = small(backend, "identity")
    net.params["b1"][:] = 50.0
    before, losses = {key: param.copy() for key, param in net.params.items()}, []
    message = r"^learning_rate must be small enough .*, got 1\.7e\+308: in iteration 1, the loss is nan$"
    with pytest.raises(secant.errors.ValueRangeError, match=message):
        losses_of(np.array([[1], [2]]), net, x, t, losses, learning_rate=1.7e308)
    assert losses == []
    assert same(([], net.params), ([], before))


def test_a_parameter_that_the_loss_does_not_show_is_looked_at_too(backend):
    """W1 overflows where the input of the mini-batch is huge, and the loss stays finite: its unit is off."""
    net, x, t = secant.TwoLayerNet(2, 2, 2, rng=0, backend=backend), np.array([[1e300, 1.0]] * 2), np.array([0, 1])
    net.params["W1"][0] = 0.0
    net.params["W2"][...] = [[3.0, -3.0], [1.0, 2.0]]
    with pytest.raises(secant.errors.ValueRangeError, match=r"in iteration 1, params\['W1'\] is not finite$"):
        secant.train(net, x, t, x, t, n_iterations=3, batch_size=1, learning_rate=1e10, gradient="backprop", rng=0)
    assert all(np.isfinite(param).all() for param in net.params.values())
