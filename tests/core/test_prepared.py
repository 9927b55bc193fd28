"""Inputs in another form than an array: the same bits as the array, in every result."""

import numpy as np
import pytest

import secant
from layouts import same_bits
from random_networks import trained_by_the_core
from secant.backends import backend_module
from secant.backends.inputs import NormalizedPixels, Rows

DTYPES = (np.uint8, np.float32, np.float64)
H = 1e-4


def digits(samples, dtype=np.uint8):
    (x, t), _ = secant.load_mnist(normalize=False, subset=True)
    return x[:samples].astype(dtype), t[:samples].astype(np.int64)


def network(backend="cpp"):
    return secant.TwoLayerNet(784, 20, 10, weight_init_std=0.05, rng=0, backend=backend)


def trained(x, t, method="auto", h=H, n_threads=1):
    indices = np.random.RandomState(1).randint(len(x), size=(10, 30))
    return trained_by_the_core(network(), x, t, indices, method, h, n_threads)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("method", "h"), [("auto", 1e-6), ("auto", H), ("direct", H), ("derivative", 1.0)]
)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: t.__name__)
def test_training_on_indexed_inputs_is_training_on_the_array(dtype, method, h):
    x, t = digits(200, dtype)
    indexed = backend_module("cpp").prepare(x)
    assert isinstance(indexed, Rows)
    expected = trained(x, t, method, h)
    for n_threads in (1, 3):
        assert same_bits(trained(indexed, t, method, h, n_threads), expected)


def changed(columns, values, every=1):
    x = np.zeros((20, 784))
    x[::every, :columns] = values
    return x


INPUTS = {  # whether they can be indexed
    "two of seven blocks without a zero": (changed(224, np.arange(1, 225), 3), True),
    "256 values, some negative": (changed(256, np.arange(-128, 128) + 0.5), True),
    "257 values": (changed(257, np.arange(1, 258)), False),
    "half of them not zero": (changed(393, 1), False),
}


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("x", "is_indexed"), INPUTS.values(), ids=INPUTS)
def test_which_inputs_are_indexed(x, is_indexed):
    indexed, t = backend_module("cpp").prepare(x), np.arange(20) % 10
    assert isinstance(indexed, Rows) if is_indexed else indexed is x
    assert same_bits(trained(indexed, t, h=1e-6), trained(x, t, h=1e-6))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: t.__name__)
def test_a_network_computes_the_same_of_indexed_inputs(dtype):
    x, t = digits(150, dtype)
    net = network()
    indexed = backend_module("cpp").prepare(x)
    assert net.predict(indexed).tobytes() == net.predict(x).tobytes()
    assert net.loss(indexed, t) == net.loss(x, t)
    assert net.accuracy(indexed, t) == net.accuracy(x, t)
    assert same_bits(net.gradient(indexed, t), net.gradient(x, t))
    for method in ("auto", "direct"):
        got, info = net.numerical_gradient(
            indexed, t, h=H, method=method, return_info=True
        )
        expected, expected_info = net.numerical_gradient(
            x, t, h=H, method=method, return_info=True
        )
        assert same_bits(got, expected)
        assert info == expected_info


def test_normalized_pixels_are_what_load_mnist_returns(backend):
    x, t = digits(100)
    (normalized, _), _ = secant.load_mnist(subset=True)
    normalized = normalized[:100]
    pixels = NormalizedPixels(x)
    assert np.asarray(pixels).tobytes() == normalized.tobytes()
    net = network(backend)
    assert net.predict(pixels).tobytes() == net.predict(normalized).tobytes()
    assert same_bits(net.gradient(pixels, t), net.gradient(normalized, t))


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient": "backprop"}, {"sampling": "epoch", "n_threads": 2}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["digits", "dense", "columns of a table"])
def test_training_on_pixels_that_are_normalized_when_read(backend, kind, options):
    x, t = digits(120)
    if backend == "numpy":
        x, options = x[:, 300:306], options | {"n_iterations": 5}
    if kind == "dense":
        x = 255 - x  # cannot be indexed
    if kind == "columns of a table":
        x = np.column_stack([t.astype(np.uint8), x])[:, 1:]
    runs = []
    for inputs, normalize in ((x, True), (np.divide(x, 255, dtype=np.float32), False)):
        net = secant.TwoLayerNet(x.shape[1], 5, 10, rng=0, backend=backend)
        data = inputs[:100], t[:100], inputs[100:], t[100:]
        options = {
            "n_iterations": 25,
            "batch_size": 10,
            "rng": 2,
            "progress": False,
        } | options
        runs.append(
            (secant.train(net, *data, normalize=normalize, **options), net.params)
        )
    (history, params), (expected, their_params) = runs
    assert history == expected
    assert same_bits(params, their_params)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.int64, bool], ids=lambda t: t.__name__
)
@pytest.mark.parametrize("wrong", ["x_train", "x_test"])
def test_only_uint8_is_normalized(wrong, dtype):
    x, t = digits(20)
    data = {"x_train": x, "t_train": t, "x_test": x, "t_test": t}
    data[wrong] = x.astype(dtype)
    net = network(None)
    before = {key: param.copy() for key, param in net.params.items()}
    message = (
        f"^{wrong} must hold uint8 pixels to be normalized, got {np.dtype(dtype)}$"
    )
    with pytest.raises(secant.errors.DTypeError, match=message):
        secant.train(net, **data, n_iterations=1, progress=False, normalize=True)
    assert same_bits(net.params, before)


class Own:
    """A network of the user's own that remembers what it was shown."""

    def __init__(self):
        self.params = {"w": np.zeros(1)}
        self.seen = []

    def numerical_gradient(self, x, t):
        self.seen.append(x)
        return {"w": np.ones(1)}

    def loss(self, x, t):
        self.seen.append(x)
        return 1.0

    def accuracy(self, x, t):
        self.seen.append(x)
        return 0.5


def test_a_network_of_ones_own_sees_normalized_float32():
    x, t = digits(60)
    own = Own()
    secant.train(
        own,
        x,
        t,
        x[:9],
        t[:9],
        n_iterations=2,
        batch_size=7,
        rng=4,
        progress=False,
        normalize=True,
    )
    batches = np.random.RandomState(4)
    first, second = (
        np.divide(x[batches.choice(60, 7)], 255, dtype=np.float32) for _ in range(2)
    )
    whole = np.divide(x, 255, dtype=np.float32)
    expected = [first, first, whole, whole[:9], second, second]
    assert [(seen.dtype, seen.shape, seen.tobytes()) for seen in own.seen] == [
        (np.float32, batch.shape, batch.tobytes()) for batch in expected
    ]
