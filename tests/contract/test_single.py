"""Networks of float32: their results against 50 digits, the same bits for any threads,
and training.
"""

from functools import partial
from itertools import product

import numpy as np
import pytest

import bounds
import cases
import oracles
import secant
from random_networks import HIDDEN, KINDS, OUTPUTS, error, random_case
from secant.backends import backend_module
from secant.backends.activations import ACTIVATIONS
from secant.networks.batch import checked
from secant.training import loop
from sweeps import grid

METHODS = ("auto", "direct")
single_case = partial(random_case, dtype=np.float32)


def share_of_terms(got, true, terms):
    """The largest error of a component, as a share of what is promised."""
    return max(
        (
            np.abs(got[key] - true[key]) / np.maximum(bounds.single(terms[key]), 1e-40)
        ).max()
        for key in true
    )


@pytest.mark.parametrize(
    ("hidden", "output", "kind"),
    grid(lambda *case: "one-hot" in case, HIDDEN, OUTPUTS, KINDS),
)
def test_gradients_are_within_a_few_ulps_of_their_terms(backend, hidden, output, kind):
    net, x, t = single_case(
        1,
        sizes=(9, 18, 5),
        samples=3,
        weights=0.5,
        output=output,
        kind=kind,
        hidden=hidden,
    )
    hard = t.argmax(axis=1) if kind == "argmax" and t.ndim == 2 else t
    terms = bounds.absolute_terms(net, x, hard)
    limit, difference = (
        oracles.gradients(net, x, t, 1e-15),
        oracles.gradients(net, x, t, 1e-4),
    )
    assert share_of_terms(net.gradient(x, t), limit, terms) <= 1
    for method in METHODS:
        assert (
            share_of_terms(
                net.numerical_gradient(x, t, method=method), difference, terms
            )
            <= 1
        ), method


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_predict_and_loss(backend, hidden, output):
    net, x, t = single_case(
        2, sizes=(9, 18, 5), samples=6, weights=0.5, output=output, hidden=hidden
    )
    truth = oracles.of(net, x, t)
    y = net.predict(x)
    assert y.dtype == np.float32
    assert (np.abs(y - np.array(truth.predict(), float)) <= bounds.single(y)).all()
    assert abs(net.loss(x, t) - float(truth.loss())) <= bounds.single(
        max(1, net.loss(x, t))
    )


@pytest.mark.parametrize(
    "h", grid(lambda h: h in (1e-6, 1e-1), [1e-6, 1e-4, 1e-2, 1e-1])
)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("weights", [0.02, 1.0, 10.0])
def test_any_step(backend, weights, hidden, output, h):
    net, x, t = single_case(
        3, weights=weights, output=output, kind="soft", hidden=hidden
    )
    assert error(net, x, t, h) <= 1


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (3, 16, 2), (2, 33, 5), (9, 8, 17), (130, 140, 3)], ids=str
)
def test_sizes_that_do_and_do_not_fill_packs(fast, sizes):
    net, x, t = single_case(5, sizes=sizes, samples=17, weights=0.1)
    terms = bounds.absolute_terms(net, x, t)
    exact = in_double(net)
    assert (
        share_of_terms(
            net.numerical_gradient(x, t), exact.numerical_gradient(x, t), terms
        )
        <= 1
    )
    assert (
        share_of_terms(
            net.numerical_gradient(x, t, method="direct"),
            exact.numerical_gradient(x, t),
            terms,
        )
        <= 1
    )


def in_double(net):
    """The same network, whose errors are 2^29 times smaller."""
    other = secant.TwoLayerNet(
        1, 1, 1, hidden_activation=net.hidden_activation, rng=0, backend=net.backend
    )
    other.output_activation, other.soft_targets = (
        net.output_activation,
        net.soft_targets,
    )
    other.params = {key: param.astype(np.float64) for key, param in net.params.items()}
    return other


@pytest.mark.parametrize(
    ("output", "name"),
    grid(
        lambda output, name: (output == "sigmoid") == (name == "MNIST"),
        OUTPUTS,
        cases.INPUTS,
    ),
)
def test_many_samples_lose_no_more_than_few(fast, output, name):
    """Sums have one level for the samples of a block, and another for blocks."""
    _, x, t = cases.mnist(6_000) if name == "MNIST" else cases.dense(6_000)
    net = secant.TwoLayerNet(
        784, 20, 10, output_activation=output, rng=0, dtype=np.float32
    )
    x = x.astype(np.float32)
    terms, exact = bounds.absolute_terms(net, x, t), in_double(net)
    assert share_of_terms(net.gradient(x, t), exact.gradient(x, t), terms) <= 1
    assert (
        share_of_terms(
            net.numerical_gradient(x, t), exact.numerical_gradient(x, t), terms
        )
        <= 1
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_at_the_usual_step_order_1_is_proven_and_the_gradient_is_that_of_backpropagation(
    backend, hidden, output
):
    net, x, t = cases.mnist(20)
    net = secant.TwoLayerNet(
        784,
        50,
        10,
        hidden_activation=hidden,
        output_activation=output,
        rng=0,
        dtype=np.float32,
        backend=backend,
    )
    grads, info = net.numerical_gradient(x, t, return_info=True)
    assert info.samples == {1: 20}
    assert 0 < info.truncation_bound <= 2e-15 * bounds.SINGLE
    if not ACTIVATIONS[hidden].kinked:  # which are differences
        for key, grad in net.gradient(x, t).items():
            np.testing.assert_array_equal(grads[key], grad)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_whole_training_ends_as_that_of_float64_does(output):
    (x, t), (x_test, t_test) = cases.mnist_or_subset()

    def accuracy(dtype):
        net = secant.TwoLayerNet(
            784, 50, 10, output_activation=output, rng=0, dtype=dtype
        )
        secant.train(net, x, t, rng=0, progress=False)
        return net.accuracy(x_test, t_test)

    assert abs(accuracy(np.float32) - accuracy(np.float64)) <= 0.003


@pytest.mark.parametrize("large", [0, 5, 9])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_sample_without_a_series_among_others(backend, hidden, large):
    net, x, t = single_case(11, sizes=(5, 6, 3), samples=10, hidden=hidden)
    x[large] *= 30
    info = net.numerical_gradient(x, t, h=1e-2, return_info=True)[1]
    assert len(info.samples) > 1
    assert error(net, x, t, 1e-2) <= 1


@pytest.mark.parametrize("zeros", [0, 17], ids=["dense", "sparse"])
@pytest.mark.parametrize("samples", [100, 1024])
# more than 128 have longer blocks of samples
@pytest.mark.parametrize("hidden", [20, 144])
def test_equal_terms_whose_rounding_errors_add_up(compiled, hidden, samples, zeros):
    net = secant.TwoLayerNet(
        20,
        hidden,
        5,
        weight_init_std=0.3,
        hidden_activation="identity",
        rng=0,
        dtype=np.float32,
    )
    x = np.random.RandomState(0).uniform(0.3, 1.3, (1, 20)).astype(np.float32)
    x[:, :zeros] = 0
    one = net.gradient(x, [0])
    for key, grad in net.gradient(
        np.repeat(x, samples, axis=0), np.zeros(samples, int)
    ).items():
        assert np.all(
            np.abs(grad - one[key].astype(np.float64))
            <= bounds.single(np.abs(one[key]))
        ), key


@pytest.mark.parametrize("learning_rate", [1e-1, 1e-4])
@pytest.mark.parametrize("zeros", [0, 16], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("hidden", "method"), [("sigmoid", "auto"), ("sigmoid", "direct"), ("relu", "auto")]
)
def test_a_step_of_training_is_rounded_once(
    compiled, hidden, method, zeros, learning_rate
):
    """Else steps that are small beside the weights are lost: they are summed over the
    samples first.
    """
    rng = np.random.default_rng(0)
    x, t = rng.uniform(0.3, 1.0, (100, 20)).astype(np.float32), rng.integers(0, 5, 100)
    x[rng.permuted(np.arange(20) < np.full((100, 1), zeros), axis=1)] = 0
    net = secant.TwoLayerNet(
        20,
        12,
        5,
        weight_init_std=0.3,
        hidden_activation=hidden,
        rng=1,
        dtype=np.float32,
    )
    net.params["b1"] += np.float32(0.25)
    before = {key: param.astype(np.float64) for key, param in net.params.items()}
    grads = in_double(net).numerical_gradient(x, t)
    options = {
        "n_iterations": 1,
        "batch_size": 100,
        "sampling": "ordered",
        "progress": False,
        "method": method,
    }
    secant.train(net, x, t, learning_rate=learning_rate, **options)
    for key, param in net.params.items():
        step = -learning_rate * grads[key]
        once = (before[key] + step).astype(np.float32)
        lost, least = (
            np.sqrt(np.mean((after - before[key] - step) ** 2))
            for after in (param, once)
        )
        assert lost <= 1.01 * least + 1e-6 * np.abs(step).max(), key


@pytest.mark.parametrize("method", ["derivative", "series", "direct"])
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_sums_over_many_classes(compiled, kind, method):
    """Equal terms, whose rounding errors add up: of the means, of the loss, and of what
    targets weigh.
    """
    classes = 1000 if kind == "soft" or method == "direct" else 30_000
    options = {
        "hidden_activation": "identity",
        "output_activation": "identity",
        "dtype": np.float32,
    }
    net = secant.TwoLayerNet(2, 3, classes, rng=1, **options)
    net.params["W2"][...] = 0.31
    x = np.array([[0.4, 0.7]], np.float32)
    t = np.full((1, classes), 1 / classes) if kind == "soft" else np.array([1])
    core = backend_module("cpp")
    wide, own = (
        core.gradient(checked(each, x, t, core), method, 1e-4, 1)
        for each in (in_double(net), net)
    )
    one_hot = t if kind == "soft" else np.arange(classes) == np.array([[1]])
    for key, terms in bounds.absolute_terms(net, x, one_hot * 1.0).items():
        assert np.all(
            np.abs(own.gradients[key] - wide.gradients[key]) <= bounds.single(terms)
        ), key
    assert abs(own.loss - wide.loss) <= bounds.single(wide.loss)


@pytest.mark.parametrize(
    ("weights", "mass"), [(1e-5, 1.0), (1e-10, 1.0), (1e-3, 1e-5), (1.0, 1e-5)]
)
@pytest.mark.parametrize("h", [1e-4, 1e-3, 1e-2])
# the others have no terms that could be left out
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh"])
def test_what_a_series_leaves_out_is_small_beside_a_small_gradient(
    backend, hidden, h, weights, mass
):
    """What is promised is a share of the gradient, and this is a share of the weights
    and of the targets.
    """
    net = secant.TwoLayerNet(3, 4, 3, hidden_activation=hidden, rng=0, dtype=np.float32)
    rng = np.random.default_rng(0)
    for key, size in ("W1", 1e-6), ("W2", weights), ("b1", 0.5):
        net.params[key][...] = size * rng.standard_normal(net.params[key].shape)
    x = np.array([[200, 100, 50], [20, 1, 5], [1, 0.5, 0.1]], np.float32)
    t = mass * rng.uniform(0.2, 1, (3, 3))
    for n in range(len(x)):
        one, targets = x[n : n + 1], t[n : n + 1]
        grads, info = net.numerical_gradient(one, targets, h=h, return_info=True)
        terms = bounds.absolute_terms(net, one, targets)
        assert (
            share_of_terms(grads, oracles.gradients(net, one, targets, h), terms) <= 1
        ), info.samples


# ---- numbers of any size -------------------------------------------------------------


def given_case(w1, b1, w2, b2, x, hidden="identity", dtype=np.float32, log_offset=1e-7):
    """A network of these numbers, with identity outputs, and one sample of the first
    class.
    """
    arrays = np.atleast_2d(w1), np.atleast_1d(b1), np.atleast_2d(w2), np.atleast_1d(b2)
    sizes = (*arrays[0].shape, arrays[2].shape[1])
    net = secant.TwoLayerNet(
        *sizes,
        hidden_activation=hidden,
        output_activation="identity",
        log_offset=log_offset,
    )
    net.params = dict(
        zip(
            ("W1", "b1", "W2", "b2"),
            (array.astype(dtype) for array in arrays),
            strict=True,
        )
    )
    return net, np.atleast_2d(x).astype(dtype), np.array([0])


def share_at_any_scale(net, x, t, h, method):
    """The largest error of a component, as a share of what is promised for numbers of
    any size.
    """
    true = oracles.gradients(net, x, t, h or 1e-15)
    got = net.numerical_gradient(x, t, h=h, method=method) if h else net.gradient(x, t)
    allowed = bounds.single_at_any_scale(net, x, t, h)
    return max((np.abs(got[key] - true[key]) / allowed[key]).max() for key in true)


@pytest.mark.parametrize("h", [0.0, 1e-4], ids=["derivative", "difference"])
@pytest.mark.parametrize("hidden", ["identity", "tanh", "relu", "sigmoid"])
def test_an_entry_of_w2_whose_pre_activation_cancels(fast, hidden, h):
    """0.99 - 0.990011: each product is rounded, so z1 has half the digits, and W2's
    gradient has no more.
    """
    w1, x = [[0.90001], [0.9]], [[1.1, -1.1]]
    net, x, t = given_case(w1, [0.0], [[1.0, -0.5]], [0.0, 0.0], x, hidden)
    for method in METHODS:
        assert share_at_any_scale(net, x, t, h, method) <= 1
    terms, allowed = (
        bounds.absolute_terms(net, x, t)["W2"],
        bounds.single_at_any_scale(net, x, t, h)["W2"],
    )
    if hidden != "sigmoid":  # whose z1 does not cancel
        assert (allowed > 10 * bounds.single(terms)).all()
    assert (allowed < 0.1 * terms).all()  # yet they count


def extremes():
    """Networks of which some number overflows or underflows: a name, net and x, t, h,
    the largest error of what size.

    A size of 0 is that of the largest entry.
    """
    wide, none = {"dtype": np.float64, "log_offset": 0.0}, [0.0, 0.0]
    for size, h in ((1e45, 4e-48), (1e80, 1e-83), (1e110, 1e-120), (1e140, 1e-147)):
        net = given_case(
            [[0.5 / size]], [0.0], [[size, 2 * size]], none, [1.0], dtype=np.float64
        )
        yield f"powers of weights of {size}", net, [0], h, 1e-13, 0.0
    for (b2, h), top, label in product(
        ((-711, 650), (-740, 700), (-711, 500), (-300, 650)), (0, 7), (0, 1)
    ):
        net = given_case([[0.0]], [0.0], [none], [top, top + b2], [1.0], **wide)
        yield (
            f"a probability that vanishes or comes back, {top}, {b2}, {h}, {label}",
            net,
            [label],
            h,
            1e-13,
            1.0,
        )
    # On both sides, the logarithm of what it was before would cancel in the central
    # difference.
    b2 = [7.0, 7.0 - 711 + 1000 / (1 + np.exp(-3.0))]
    net = given_case([[0.0]], [3.0], [[0.0, -1000.0]], b2, [1.0], "sigmoid", **wide)
    yield "a probability that comes back on one side", net, [1], 30.0, 1e-12, 1.0
    for dtype, offset, b2, x in (
        ("f8", 1e-300, -760, 1e3),
        ("f8", 1e-100, -800, 3e3),
        ("f4", 1e-30, -110, 200),
    ):
        net = given_case(
            [[1e-3]],
            [0.0],
            [[0.0, 2.0]],
            [0.0, b2],
            [x],
            dtype=dtype,
            log_offset=offset,
        )
        yield (
            f"a probability beside an offset of {offset}",
            net,
            [1],
            0.1,
            1e-12 if dtype == "f8" else 3e-6,
            1.0,
        )
    net = given_case(
        [[-8.0]], [-79.0], [[1e17, -2e17]], none, [0.4], "sigmoid", log_offset=0.0
    )
    yield (
        "a change of a saturated unit that underflows, before large weights",
        net,
        [0],
        3e-16,
        1e-5,
        0.0,
    )
    net = given_case(
        [[1e3]], [0.0], [[1e3, -1e3]], none, [1.0], dtype=np.float64, log_offset=1e-50
    )
    yield "no target beside a small offset", net, np.zeros((1, 2)), 0.1, 0.0, 1.0
    sizes = ("f4", 1e14), ("f4", 1e26), ("f8", 1e150), ("f8", 1e170)
    for (dtype, size), hidden in product(sizes, ("identity", "relu")):
        rng, most = (
            np.random.default_rng(1),
            16 * bounds.EPS32 if dtype == "f4" else 1e-14,
        )
        w1, w2 = rng.standard_normal((2, 3)) / size, rng.standard_normal((3, 2)) / size
        net = given_case(
            w1,
            np.zeros(3),
            w2,
            np.zeros(2),
            rng.standard_normal((3, 2)) * size,
            hidden,
            dtype,
        )
        yield (
            f"large inputs, {dtype}, {size}, {hidden}",
            net,
            [0, 1, 0],
            1e-3,
            most,
            0.0,
        )


@pytest.mark.parametrize(
    ("case", "t", "h", "most", "size"),
    [pytest.param(*each, id=name) for name, *each in extremes()],
)
def test_numbers_that_overflow_or_underflow_on_the_way(backend, case, t, h, most, size):
    net, x, _ = case
    with oracles.digits(700):  # of what h z1 = 1e-287 changes
        true = oracles.gradients(net, x, np.array(t), h)
    for method, key in product(METHODS, ("W1", "W2")):
        largest = np.abs(true[key]).max()
        error = np.abs(
            net.numerical_gradient(x, t, h=h, method=method)[key] - true[key]
        ).max()
        assert error <= most * max(size, largest), (method, key)


@pytest.mark.parametrize("seconds", [1e-7, 1e-4])
def test_an_iteration_beyond_float32_does_not_change_the_bits_of_others(
    compiled, monkeypatch, seconds
):
    """How many iterations are one call depends on the clock."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((32, 5)).astype(np.float32), rng.integers(0, 3, 32)
    x[20] = 1e25

    def run():
        net = secant.TwoLayerNet(5, 7, 3, rng=1, dtype=np.float32)
        for key in net.params:
            net.params[key] *= 1000 if key == "W1" else 10
        options = {
            "n_iterations": 32,
            "batch_size": 4,
            "rng": 0,
            "sampling": "epoch",
            "progress": False,
        }
        losses = secant.train(net, x, t, learning_rate=0.5, **options).train_loss_list
        return losses, {key: param.tobytes() for key, param in net.params.items()}

    first = run()
    monkeypatch.setattr(loop, "_BLOCK_SECONDS", seconds)
    assert run() == first


def test_a_result_beyond_the_range_of_float32_is_refused(backend):
    net, x, t = given_case(
        [[0.0]], [0.0], [[1e10, -1e10]], [0.0, 0.0], [1e30], log_offset=0.0
    )
    with pytest.raises(secant.errors.ValueRangeError, match="finite result"):
        net.gradient(x, t)
    with pytest.raises(secant.errors.ValueRangeError, match="finite result"):
        net.numerical_gradient(x, t, h=1e-18)
