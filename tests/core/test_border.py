"""What `secant._core` refuses, rather than write where it may not: its callers pass none of it."""

import numpy as np
import pytest

core = pytest.importorskip("secant._core")

X, T = np.zeros((2, 3)), np.array([0, 1])


def network(dtype=np.float64, inputs=3, hidden=4, outputs=2):
    shapes = (inputs, hidden), hidden, (hidden, outputs), outputs
    return *(np.zeros(shape, dtype) for shape in shapes), "relu", "identity", 1e-7


def gradient(net, x=X, method="auto", h=1e-4, threads=1):
    return core.gradient(net, x.astype(net[0].dtype), T, method, h, threads)


def train(net, x=X, method="auto", h=1e-4, threads=1):
    return core.train(net, x.astype(net[0].dtype), T, np.array([[0, 1]]), method, h, 0.1, threads, [], False)


@pytest.mark.parametrize("call", [gradient, train])
@pytest.mark.parametrize("threads", [-1, -(2**31)])
def test_a_negative_number_of_threads(call, threads):
    with pytest.raises(ValueError, match="n_threads must not be negative"):
        call(network(), threads=threads)
    with pytest.raises(ValueError, match="n_threads must not be negative"):
        core.predict(network(), X, threads)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_difference_on_no_thread(threads):
    with pytest.raises(ValueError, match="threads must be at least 1"):
        core.difference(1, 0, np.zeros(3), 0, 3, "central", 1e-4, threads)


@pytest.mark.parametrize("call", [gradient, train])
@pytest.mark.parametrize("method", ["auto", "direct"])
@pytest.mark.parametrize(
    ("h", "dtype"),
    [(0.0, np.float64), (-1e-4, np.float64), (np.nan, np.float64), (np.inf, np.float64), (1e-50, np.float32)],
)
def test_a_step_that_is_not_positive(call, method, h, dtype):
    with pytest.raises(ValueError, match="h must be positive and finite"):
        call(network(dtype), method=method, h=h)
    call(network(dtype), method="derivative", h=h)  # takes no step


@pytest.mark.parametrize("call", [gradient, train])
def test_more_classes_than_a_float_can_number(call):
    net = network(np.float32, 1, 1, 2**24 + 1)
    with pytest.raises(ValueError, match="more classes than the type can number"):
        call(net, np.zeros((2, 1)), "derivative")


def unaligned(array):
    moved = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


def test_arrays_that_are_not_aligned():
    w1, *rest = network()
    for call in (gradient, train):
        with pytest.raises(ValueError, match="parameters must be C-contiguous, aligned"):
            call((unaligned(w1), *rest))
    for call in (core.index_inputs, lambda x: core.predict((w1, *rest), x, 1)):
        with pytest.raises(ValueError, match="x must be C-contiguous, aligned"):
            call(unaligned(X))


@pytest.mark.parametrize("h", [0.0, np.nan, np.inf, 1e200])
def test_a_derivative_takes_no_step(h):
    found, expected = (gradient(network(), method="derivative", h=step)[0] for step in (h, 1e-4))
    assert all(np.array_equal(found[key], expected[key]) for key in expected)


def test_a_log_offset_below_0():
    with pytest.raises(ValueError, match="log_offset must be at least 0"):
        core.cross_entropy(np.full((2, 2), 0.5), T, -1e-7)


def test_a_table_of_pixels_that_does_not_begin_with_0():
    with pytest.raises(ValueError, match="the first value must be 0"):
        core.index_inputs(np.zeros((2, 3), np.uint8), np.ones(256))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_not_indexed(value):
    assert core.index_inputs(np.array([[0.0, value, 0.0]])) is None


def test_an_unknown_activation_is_an_error():
    params = np.ones((2, 2)), np.zeros(2), np.ones((2, 2)), np.zeros(2)
    for names in (("no such", "sigmoid"), ("sigmoid", "relu")):
        with pytest.raises(ValueError, match=r"activation must be one of .*identity.*, got '(no such|relu)'"):
            core.predict((*params, *names, 1e-7), np.ones((1, 2)), 1)
    with pytest.raises(ValueError, match="log_offset must be at least 0"):
        core.predict((*params, "relu", "sigmoid", -1.0), np.ones((1, 2)), 1)


def test_what_is_no_network_is_an_error():
    net = np.ones((2, 2)), np.zeros(2), np.ones((2, 2)), np.zeros(2), "relu", "sigmoid", 0.0
    x, t = np.ones((1, 2)), np.array([0])
    mixed, strided = (net[0].astype("f4"), *net[1:]), (np.ones((4, 2))[::2], *net[1:])
    for other, match in ((net[:6], "a tuple of 7"), (mixed, "all float64 or all float32"), (strided, "C-contiguous")):
        with pytest.raises(ValueError, match=match):
            core.predict(other, x, 1)
    assert core.gradient(net, x, t, "auto", 1e-4, 1)[0] is not None
    with pytest.raises(ValueError, match="not empty"):
        core.predict(net, x[:0], 1)
