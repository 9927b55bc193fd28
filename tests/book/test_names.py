"""The book's names with the book's meaning, against its formulas written out."""

import doctest
import inspect
import os

import numpy as np
import pytest

import secant
from secant import book
from secant.errors import (
    DataError,
    DownloadError,
    DTypeError,
    MissingExtraError,
    ShapeError,
    ValueRangeError,
)

RNG = np.random.RandomState(0)


@pytest.mark.parametrize("name", [name for name in book.__all__ if name != "np"])
def test_the_examples_give_what_they_say(name):
    text = inspect.getdoc(getattr(book, name))
    example = doctest.DocTestParser().get_doctest(
        text, {"secant": secant, "np": np}, name, None, None
    )
    output = []
    assert example.examples
    assert not doctest.DocTestRunner().run(example, out=output.append).failed, "".join(
        output
    )


def test_a_star_brings_all_of_it_and_numpy():
    names = {}
    exec("from secant.book import *", names)
    assert names["np"] is np
    assert {*book.__all__} <= {*names}
    assert not doctest.testmod(book).failed


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (2, 3, 4)])
def test_functions_of_each_element(shape, backend):
    for x in (RNG.normal(size=shape) * scale for scale in (0, 1, 40)):
        assert book.identity_function(x) is x
        assert np.array_equal(book.step_function(x), x > 0)
        assert np.allclose(book.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-14, atol=0)
        assert np.allclose(
            book.sigmoid_grad(x), np.exp(-x) / (1 + np.exp(-x)) ** 2, rtol=1e-13, atol=0
        )
        assert np.array_equal(book.relu(x), np.where(x > 0, x, 0))
        assert np.array_equal(book.relu_grad(x), np.where(x >= 0, 1, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_relu_keeps_the_dtype(dtype):
    x = np.array([-1, 0, 2], dtype)
    assert book.relu(x).dtype == book.relu_grad(x).dtype == dtype


@pytest.mark.parametrize("shape", [(5,), (4, 3), (1, 6)])
def test_softmax_and_losses(shape, backend):
    x = RNG.normal(size=shape) * 10
    y = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    t = RNG.uniform(size=shape)
    rows, labels = np.atleast_2d(y), np.atleast_2d(t).argmax(axis=1)
    loss = -np.mean(
        [np.log(row[label] + 1e-7) for row, label in zip(rows, labels, strict=True)]
    )
    assert np.allclose(book.softmax(x), y, rtol=1e-14, atol=0)
    assert book.sum_squared_error(y, t) == pytest.approx(
        0.5 * ((y - t) ** 2).sum(), rel=1e-14
    )
    assert book.mean_squared_error is book.sum_squared_error
    targets = [t, labels] + [np.atleast_2d(t), int(labels[0])] * (y.ndim == 1)
    for target in targets:
        assert book.cross_entropy_error(y, target) == pytest.approx(loss, rel=1e-14)
        assert book.softmax_loss(x, target) == pytest.approx(loss, rel=1e-14)


@pytest.mark.parametrize("rows", [[[0, 2, 0]], [[0, 1, 1]], [[0, 0, 0]], [[0, -1, 1]]])
def test_rows_without_a_single_1_have_no_label(rows):
    with pytest.raises(ValueRangeError, match="must have a single 1 in each row"):
        book.to_labels(rows)


def test_soft_targets_are_labels_here_and_weights_in_secant():
    y, t = np.array([[0.2, 0.8]]), np.array([[0.4, 0.6]])
    assert book.cross_entropy_error(y, t) == pytest.approx(-np.log(0.8 + 1e-7))
    assert secant.cross_entropy_error(y, t) != pytest.approx(-np.log(0.8 + 1e-7))


def test_one_hot_targets_are_weights_in_the_shape_of_y(backend):
    y, t = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0], np.eye(10)[2]
    assert book.cross_entropy_error_onehot(y, t) == pytest.approx(
        0.510825457099338, rel=1e-15
    )
    soft = np.array([[0.4, 0.6]])
    assert book.cross_entropy_error_onehot(
        [[0.2, 0.8]], soft
    ) == secant.cross_entropy_error([[0.2, 0.8]], soft)
    with pytest.raises(
        ShapeError, match=r"^t must have the shape of y, \(1, 2\), got \(1,\)$"
    ):
        book.cross_entropy_error_onehot([[0.5, 0.5]], [0])


def test_one_class_is_always_right():
    for y, t in (([1.0], [0.0]), ([1.0], 0), ([[1.0]], [[5.0]])):
        assert book.cross_entropy_error(y, t) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "t", "error", "said"),
    [
        (
            (3, 2),
            [[0], [1], [0]],
            ShapeError,
            r"t must .*got \(3, 1\).*labels as \(N,\)",
        ),
        ((2, 3), np.zeros((3, 2)), ShapeError, r"t must have the shape of y"),
        ((2, 3), np.zeros(6), ShapeError, r"t must have the shape of y"),
        ((2, 3), [0.0, 1.0], DTypeError, r"t must hold class labels as integers"),
        ((2, 3), [0, 3], ValueRangeError, r"t must hold class labels from 0 to 2"),
        ((2, 3), [0, -1], ValueRangeError, r"t must hold class labels from 0 to 2"),
        ((2, 3), np.full((2, 3), np.nan), ValueRangeError, r"t must be finite"),
        ((1, 2, 3), np.zeros((1, 2, 3)), ShapeError, r"y must have shape"),
    ],
)
def test_targets_for_which_the_book_is_wrong_are_errors(shape, t, error, said):
    with pytest.raises(error, match=said):
        book.cross_entropy_error(np.full(shape, 0.3), np.array(t))


def test_squares_of_labels_that_would_be_paired_with_every_row_are_an_error():
    with pytest.raises(ShapeError, match="t must have the shape of y"):
        book.mean_squared_error(np.zeros(3), np.zeros((3, 1)))


@pytest.mark.parametrize("shape", [(4,), (3, 2), (2, 3, 2)])
def test_numerical_gradient_of_any_shape(shape):
    x = RNG.normal(size=shape)
    before = x.copy()
    # its argument, and x elsewhere
    read_both = book.numerical_gradient(lambda v: np.sum(v**3) + np.sum(x**2), x)
    assert np.allclose(read_both, 3 * x**2 + 2 * x, atol=1e-7)
    assert np.array_equal(x, before)


def test_the_two_dimensional_gradient_goes_row_by_row():
    x = RNG.normal(size=(5, 3))
    seen = []
    gradient = book.numerical_gradient_2d(
        lambda row: seen.append(row.shape) or np.sum(row**2), x
    )
    assert {*seen} == {(3,)}
    assert np.allclose(gradient, 2 * x, atol=1e-9)
    assert np.allclose(
        book.numerical_gradient_2d(lambda row: np.sum(row**2), x[0]),
        2 * x[0],
        atol=1e-9,
    )
    # x itself is shifted
    assert np.allclose(
        book.numerical_gradient_2d(lambda _: np.sum(x**2), x), 2 * x, atol=1e-8
    )
    assert np.allclose(
        book.numerical_gradient_2d(lambda row: np.sum(row**2), x.T), 2 * x.T, atol=1e-9
    )


def test_gradients_of_one_dimension():
    assert book.numerical_gradient_1d(np.sum, np.zeros(3)) == pytest.approx(np.ones(3))
    assert book._numerical_gradient_1d is book.numerical_gradient_1d
    assert book.numerical_diff(lambda x: x**2, 3) == pytest.approx(6)


def test_integers_have_a_gradient():
    x = np.array([3, 4])
    for function in (book.numerical_gradient, book.numerical_gradient_1d):
        assert np.allclose(function(lambda x: np.sum(x**2), x), [6, 8])
    assert np.allclose(book.numerical_gradient_2d(lambda x: np.sum(x**2), x), [6, 8])


READ_ONLY = np.array([3.0, 4.0])
READ_ONLY.flags.writeable = False


def test_what_is_read_only_has_a_gradient():
    assert np.allclose(
        book.numerical_gradient(lambda x: np.sum(x**2), READ_ONLY), [6, 8]
    )
    assert READ_ONLY.tolist() == [3, 4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_has_the_shape_and_the_type_of_x(dtype):
    x = np.ones((2, 3), dtype)
    found = book.numerical_gradient(lambda x: np.sum(x, dtype=float) / 6, x)
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    assert np.allclose(found, 1 / 6, rtol=1e-2)


@pytest.mark.parametrize(
    "start", [np.array([3, 4]), [3.0, 4.0], 3.0, READ_ONLY, np.array([True])], ids=repr
)
def test_gradient_descent_says_which_array_it_needs(start):
    message = r"^init_x must be a writeable array of floats, .*: pass np.array\(init_x, dtype=float\)$"
    with pytest.raises(DTypeError, match=message):
        book.gradient_descent(lambda x: np.sum(x**2), start)
    x, _ = book.gradient_descent(
        lambda x: np.sum(x**2), np.array(start, dtype=float), 0.5, 1
    )
    assert np.allclose(x, 0, atol=1e-6)


def test_gradient_descent_returns_the_history_and_walks_in_place():
    start = np.array([-3.0, 4.0])
    x, history = book.gradient_descent(
        lambda x: np.sum(x**2), start, lr=0.1, step_num=20
    )
    assert x is start
    assert history.shape == (20, 2)
    assert np.allclose(history, np.outer(0.8 ** np.arange(20), [-3, 4]))
    assert np.allclose(x, 0.8**20 * np.array([-3, 4]))
    own = np.array([[1.0, 2.0]])
    assert np.allclose(
        book.gradient_descent(lambda v: np.sum(v**2 + own**2), own, 0.25, 3)[0],
        0,
        atol=1e-6,
    )


def literal_loss(net, x, t):
    w1, b1, w2, b2 = net.params.values()
    a2 = 1 / (1 + np.exp(-(x @ w1 + b1))) @ w2 + b2
    y = np.exp(a2) / np.exp(a2).sum(axis=1, keepdims=True)
    return -np.mean(np.log(y[np.arange(len(x)), t.argmax(axis=1)] + 1e-7))


def test_the_network_is_the_books(backend):
    np.random.seed(3)
    net = book.TwoLayerNet(
        input_size=6, hidden_size=5, output_size=4, weight_init_std=0.5
    )
    np.random.seed(3)
    assert np.array_equal(net.params["W1"], 0.5 * np.random.randn(6, 5))
    assert np.array_equal(net.params["W2"], 0.5 * np.random.randn(5, 4))
    np.random.seed(3)
    assert np.array_equal(
        book.TwoLayerNet(6, 5, 4).params["W1"],
        0.01 * np.random.RandomState(3).randn(6, 5),
    )
    x, t = RNG.normal(size=(7, 6)), RNG.uniform(size=(7, 4))
    assert net.loss(x, t) == pytest.approx(literal_loss(net, x, t), rel=1e-13)
    assert net.loss(x, t.argmax(axis=1)) == net.loss(x, t)
    assert net.accuracy(x, t) == np.mean(
        net.predict(x).argmax(axis=1) == t.argmax(axis=1)
    )
    grads, backprop = net.numerical_gradient(x, t), net.gradient(x, t)
    for key, param in net.params.items():
        literal = book.numerical_gradient(lambda _: literal_loss(net, x, t), param)
        assert np.allclose(grads[key], literal, rtol=0, atol=1e-10)
        assert np.allclose(backprop[key], literal, rtol=0, atol=1e-7)


def test_the_network_is_saved_and_loaded_as_what_it_is(tmp_path):
    net, x = book.TwoLayerNet(3, 4, 2), RNG.normal(size=(5, 3))
    net.save(tmp_path / "net.npz")
    for cls in (book.TwoLayerNet, secant.TwoLayerNet):
        loaded = cls.load(tmp_path / "net.npz")
        assert type(loaded) is cls
        assert (loaded.output_activation, loaded.soft_targets) == ("identity", "argmax")
        assert np.array_equal(loaded.predict(x), net.predict(x))


def test_mnist_is_loaded_with_the_books_arguments():
    assert [*inspect.signature(book.load_mnist).parameters][:3] == [
        "normalize",
        "flatten",
        "one_hot_label",
    ]
    (x, t), _ = book.load_mnist(False, False, True, subset=True)
    (same_x, same_t), _ = secant.load_mnist(False, False, True, subset=True)
    assert (x.shape, t.shape, x.dtype) == ((10000, 1, 28, 28), (10000, 10), np.uint8)
    assert np.array_equal(x, same_x)
    assert np.array_equal(t, same_t)


@pytest.mark.parametrize("error", [DownloadError, MissingExtraError])
def test_where_mnist_cannot_be_downloaded_the_digits_that_come_with_secant_are_loaded_and_that_is_said(
    monkeypatch, tmp_path, error
):
    def download(*_):
        raise error("no network")

    monkeypatch.setattr("secant.datasets.mnist._download", download)
    monkeypatch.setenv("SECANT_DATA_HOME", str(tmp_path))
    with pytest.raises(error):
        secant.load_mnist()
    said = (
        "MNIST could not be downloaded: using the 12,000 digits .* set SECANT_DATA_HOME"
    )
    with pytest.warns(UserWarning, match=said) as warned:
        (x, t), (x_test, _) = book.load_mnist(one_hot_label=True)
    assert [os.path.basename(warning.filename) for warning in warned] == [
        os.path.basename(__file__)
    ]
    assert (x.shape, t.shape, x_test.shape) == ((10000, 784), (10000, 10), (2000, 784))


def test_damaged_files_are_no_reason_to_load_other_digits(monkeypatch, tmp_path):
    monkeypatch.setenv("SECANT_DATA_HOME", str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(DataError):
        book.load_mnist()
