"""Blocks of 112 inputs of which few or none are zero, alone and among sparse ones."""

import numpy as np
import pytest

import bounds
import oracles
import secant
from random_networks import OUTPUTS, share_of_bound, trained_by_the_core
from sweeps import grid

pytestmark = pytest.mark.usefixtures("compiled")

# columns that the core takes at once; with more than three fifths of them not zero, it
# keeps the zeros
BLOCK = 112
INPUTS = (111, 225)
DTYPES = (np.uint8, np.float32, np.float64)
DENSITIES = {
    "all": lambda n: 1.0,
    "four fifths": lambda n: 0.8,
    "half": lambda n: 0.5,
    "rows of each": lambda n: (1.0, 0.8, 0.1, 0.5)[n % 4],
    "sparse and then dense": lambda n: 0.1 if n < 9 else 1.0,
    "one sparse row": lambda n: 0.0 if n == 20 else 1.0,
}
ORDERS = {3: 1e-5, 5: 5e-4, 7: 5e-3, 9: 1e-2}  # and a step that needs it


def inputs(rng, size, density, dtype=np.float64, samples=40):
    """Pixels of which each row has a share of its own, in each block of columns, that
    is not zero: exactly.
    """
    x = rng.randint(1, 256, (samples, size)) / (1 if dtype is np.uint8 else 255)
    for n, row in enumerate(x):
        for first in range(0, size, BLOCK):
            block = row[first : first + BLOCK]
            zeros = len(block) - round(DENSITIES[density](n) * len(block))
            block[rng.choice(len(block), zeros, replace=False)] = 0
    return x.astype(dtype)


def network(size, hidden=5, output="sigmoid", classes=3):
    return secant.TwoLayerNet(
        size, hidden, classes, weight_init_std=0.02, output_activation=output, rng=0
    )


def case(size, density, dtype=np.float64, **options):
    rng = np.random.RandomState(1)
    x = inputs(rng, size, density, dtype)
    net = network(size, **options)
    return net, x, rng.randint(net.params["b2"].size, size=len(x))


def require_right(net, x, t):
    """The series is within the contract's bound of what is computed directly,
    backpropagation of NumPy's.
    """
    got, direct = (
        net.numerical_gradient(x, t, method=method, n_threads=1)
        for method in ("series", "direct")
    )
    assert share_of_bound(got, direct, x) <= 2
    derivative = net.gradient(x, t, n_threads=1)
    net.backend = "numpy"
    assert share_of_bound(derivative, net.gradient(x, t), x) <= 2


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: t.__name__)
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("size", INPUTS)
def test_any_share_of_zeros(size, density, dtype):
    require_right(*case(size, density, dtype))


# on one thread 300 have their inputs copied
@pytest.mark.parametrize("hidden", [1, 12, 70, 300])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("density", ["all", "rows of each"])
def test_any_number_of_hidden_units(density, output, hidden):
    require_right(*case(225, density, hidden=hidden, output=output))


@pytest.mark.parametrize("samples", [1, 26])
@pytest.mark.parametrize("classes", [1, 9, 130])
@pytest.mark.parametrize("output", OUTPUTS)
def test_any_number_of_classes_and_of_samples(output, classes, samples):
    rng = np.random.RandomState(2)
    net = network(30, 13, output, classes=classes)
    require_right(
        net, rng.uniform(0.01, 1, (samples, 30)), rng.randint(classes, size=samples)
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("size", INPUTS)
def test_every_order_is_right(size, density, order):
    net, x, t = case(size, density)
    got, info = net.numerical_gradient(x, t, h=ORDERS[order], return_info=True)
    assert info.samples == {order: len(x)}
    direct = net.numerical_gradient(x, t, h=ORDERS[order], method="direct")
    assert share_of_bound(got, direct, x) <= 2


@pytest.mark.parametrize(
    ("output", "h"), [("sigmoid", 1e-4), ("sigmoid", 3e-5), ("identity", 3e-5)]
)
@pytest.mark.parametrize("weights", [0.1, 4.0])
@pytest.mark.parametrize("classes", [3, 130])
def test_terms_that_are_summed_in_float32_round_off_no_more_than_may_be_cut(
    classes, weights, output, h
):
    net, x, t = case(225, "all", hidden=20, output=output, classes=classes)
    net.params["W2"] *= weights / np.abs(net.params["W2"]).max()
    got, info = net.numerical_gradient(x, t, h=h, return_info=True)
    direct = net.numerical_gradient(x, t, h=h, method="direct")
    assert info.order == 3
    assert all(
        np.abs(got[key] - grad).max() <= info.truncation_bound + 2e-15
        for key, grad in direct.items()
    )


@pytest.mark.parametrize(
    ("h", "largest", "weights"),
    [(1e-15, 1e13, 0.0), (1e-13, 2e13, 0.0), (1e-30, 1e14, 0.3)],
)
def test_cubes_that_a_float_cannot_hold(h, largest, weights):
    net, x, t = case(225, "all")
    x *= largest
    net.params["W1"] /= largest
    net.params["W2"][...] = weights
    got = net.numerical_gradient(x, t, h=h, method="series")
    assert all(np.isfinite(grad).all() for grad in got.values())


@pytest.mark.parametrize("method", ["series", "direct"])
@pytest.mark.parametrize("size", INPUTS)
def test_against_50_digits(size, method):
    net, x, t = case(size, "rows of each")
    x, t = x[:3], t[:3]
    x[:, 17] = 0  # the inputs into a weight whose gradient is exactly 0
    got = net.numerical_gradient(x, t, method=method)
    truth = oracles.of(net, x, t)
    kept = int(np.flatnonzero(x[1] == 0)[0])  # a zero in a row of four fifths
    picks = [
        ("W1", (0, 0)),
        ("W1", (kept, 1)),
        ("W1", (size - 1, 4)),
        ("b1", (2,)),
        ("W2", (3, 1)),
        ("b2", (0,)),
    ]
    for name, index in picks:
        exact = float(truth.central_difference(name, index, 1e-4))
        assert abs(got[name][index] - exact) <= bounds.central_difference(x, exact), (
            name,
            index,
        )
    assert not got["W1"][17].any()


@pytest.mark.parametrize("method", ["series", "direct"])
def test_the_zeros_of_a_dense_block_count_for_nothing(method):
    net, x, t = case(225, "four fifths")
    got = net.numerical_gradient(x, t, method=method)
    for column in (0, 5, 111, 112, 223):
        zero = x[:, column] == 0
        assert zero.any()
        rest = net.numerical_gradient(x[~zero], t[~zero], method=method)["W1"][column]
        assert np.abs(
            got["W1"][column] - rest * np.mean(~zero)
        ).max() <= 2 * bounds.central_difference(x, 0.0)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("size", grid(lambda size: size == 225, INPUTS))
def test_training(size, density):
    net, x, t = case(size, density)
    other, expected = network(size), []
    indices = np.random.RandomState(2).randint(len(x), size=(20, 30))
    got = trained_by_the_core(net, x, t, indices, n_threads=2)
    for batch in indices:
        grads = other.numerical_gradient(x[batch], t[batch])
        for key, param in other.params.items():
            param -= 0.1 * grads[key]
        expected.append(other.loss(x[batch], t[batch]))
    for key, right in (other.params | {"losses": expected}).items():
        np.testing.assert_allclose(got[key], right, rtol=0, atol=1e-13)


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize(
    ("h", "size"), [(1e-4, 0.1), (1e-4, 1.0), (1e-3, 0.3), (3e-3, 0.1)]
)
def test_soft_targets_of_many_classes(h, size, hidden, output, zeros):
    """The series sums over them in products, and direct evaluates one after the other;
    for any number of samples.
    """
    rng = np.random.RandomState(5)
    for samples, classes in ((11, 70), (5, 33)):
        options = {"hidden_activation": hidden, "output_activation": output, "rng": rng}
        net = secant.TwoLayerNet(6, 19, classes, weight_init_std=size, **options)
        x, t = rng.uniform(size=(samples, 6)), rng.uniform(0.5, 1.0, (samples, classes))
        t[rng.uniform(size=t.shape) < zeros] = 0
        t[:, 3] += 0.1
        t /= t.sum(axis=1, keepdims=True)
        series, info = net.numerical_gradient(
            x, t, h=h, method="series", return_info=True
        )
        assert info.samples == {info.order: samples}
        for key, grad in net.numerical_gradient(x, t, h=h, method="direct").items():
            np.testing.assert_array_less(
                np.abs(series[key] - grad),
                2 * bounds.central_difference(x, grad),
                err_msg=key,
            )
