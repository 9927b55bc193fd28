"""Activations, losses and label conversion, against the chapter's values and plain
NumPy formulas.
"""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import secant
from layouts import FORMS, same_bits
from secant.errors import DTypeError, SecantError, ShapeError, ValueRangeError

Y = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
Y_OF_ANOTHER_CLASS = [0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]
T = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]

of_any_example = settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def ulps(got, expected):
    return abs(got - expected) / np.spacing(abs(expected))


# ---- the chapter's values ------------------------------------------------------------


def test_mean_squared_error_is_the_chapters():
    assert type(secant.mean_squared_error([0.5], [1])) is float
    assert (
        ulps(secant.mean_squared_error(np.array(Y), np.array(T)), 0.09750000000000003)
        <= 1
    )


@pytest.mark.parametrize(
    ("y", "loss"),
    [(Y, 0.510825457099338), (Y_OF_ANOTHER_CLASS, 2.302584092994546)],
    ids=["right", "wrong"],
)
@pytest.mark.parametrize(
    "t", [np.array(T), T, 2, [2], np.array(T, float), np.uint8(2)], ids=repr
)
def test_cross_entropy_error_is_the_chapters(backend, y, loss, t):
    assert type(secant.cross_entropy_error(np.array(y), t)) is float
    assert ulps(secant.cross_entropy_error(np.array(y), t), loss) <= 1


# ---- activations ---------------------------------------------------------------------

ACTIVATIONS = [secant.sigmoid, secant.softmax, secant.step_function]
by_name = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda f: f.__name__)


LAYOUTS = FORMS | {"long double": lambda a: a.astype(np.longdouble)}


@by_name
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4)], ids=str)
def test_the_layout_of_an_array_does_not_matter(backend, activation, layout, shape):
    x = np.random.RandomState(0).normal(size=shape)
    result = activation(layout(x))
    assert type(result) is np.ndarray
    assert same_bits(result, activation(x))


@by_name
def test_an_activation_leaves_its_input_alone_and_owns_its_result(backend, activation):
    x = np.random.RandomState(2).normal(size=(3, 4))
    before = x.tobytes()
    result = activation(x)
    result[...] = 7
    assert x.tobytes() == before


@pytest.mark.parametrize(
    "x", [0.0, 0, True, np.float32(0), np.array(0), np.array(0.0)], ids=repr
)
def test_sigmoid_of_a_scalar_is_a_scalar(backend, x):
    result = secant.sigmoid(x)
    assert isinstance(result, np.float64)
    assert result == 1 / (1 + np.exp(-float(x)))


@pytest.mark.parametrize("size", [3, 200])
def test_sigmoid_and_softmax_are_their_formulas_and_extreme_values_have_a_limit(
    backend, size
):
    x = np.random.RandomState(3).uniform(-20, 20, (2, 3, size))
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(secant.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_allclose(
        secant.softmax(x), e / e.sum(axis=-1, keepdims=True), rtol=1e-13
    )
    got = secant.sigmoid([800, -800, np.inf, -np.inf, 1e308, -1e308, -0.0, np.nan])
    np.testing.assert_array_equal(got, [1, 0, 1, 0, 1, 0, 0.5, np.nan])


def test_step_function_is_one_above_zero_only():
    got = secant.step_function([1e-300, 0.0, -0.0, -1e-300, np.inf, -np.inf, np.nan])
    assert got.tolist() == [1, 0, 0, 0, 1, 0, 0]
    assert got.dtype == np.int64


def test_softmax_of_extreme_values(backend):
    assert secant.softmax([800, -800]).tolist() == [1, 0]
    assert secant.softmax([-800.0, -800.0]).tolist() == [0.5, 0.5]
    assert secant.softmax([1e308, 1e308]).tolist() == [0.5, 0.5]
    assert secant.softmax([-np.inf, 0.0]).tolist() == [0, 1]
    got = secant.softmax(
        [[np.inf, 0.0], [0.0, 0.0], [np.nan, 0.0], [0.0, np.nan], [-np.inf, -np.inf]]
    )
    np.testing.assert_array_equal(
        got, [[np.nan] * 2, [0.5] * 2, [np.nan] * 2, [np.nan] * 2, [np.nan] * 2]
    )


# ---- losses --------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 30), st.integers(1, 12))
probabilities = sizes.flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(0, 1))
)


def plain_cross_entropy(y, t):
    terms = t * np.log(y + 1e-7)
    return -np.sum(terms) / len(y), 1e-14 * np.sum(np.abs(terms)) / len(y)


@of_any_example
@given(y=probabilities, data=st.data())
def test_cross_entropy_of_soft_targets_is_its_formula(backend, y, data):
    t = data.draw(arrays(np.float64, y.shape, elements=st.floats(0, 2)))
    expected, rounding = plain_cross_entropy(y, t)
    assert abs(secant.cross_entropy_error(y, t) - expected) <= rounding


@of_any_example
@given(y=probabilities, seed=st.integers(0, 1000))
def test_cross_entropy_of_labels_is_that_of_their_one_hot_rows(backend, y, seed):
    labels = np.random.RandomState(seed).randint(y.shape[1], size=len(y))
    t = np.eye(y.shape[1])[labels]
    expected, rounding = plain_cross_entropy(y, t)
    for targets in (
        labels,
        labels.astype(np.uint8),
        labels.astype(">i4"),
        labels.tolist(),
        t,
        t.astype(bool),
    ):
        assert abs(secant.cross_entropy_error(y, targets) - expected) <= rounding


def test_cross_entropy_of_more_samples_than_are_summed_at_once(backend):
    rng = np.random.RandomState(0)
    y, soft, labels = (
        rng.uniform(size=(70_000, 3)),
        rng.uniform(size=(70_000, 3)),
        rng.randint(3, size=70_000),
    )
    for t, targets in ((soft, soft), (np.eye(3)[labels], labels)):
        expected, rounding = plain_cross_entropy(y, t)
        assert abs(secant.cross_entropy_error(y, targets) - expected) <= rounding


@of_any_example
@given(
    y=arrays(np.float64, st.integers(2, 40), elements=st.floats(0, 1)),
    seed=st.integers(0, 1000),
)
def test_one_sample_is_a_batch_of_one(backend, y, seed):
    label = np.random.RandomState(seed).randint(len(y))
    t = np.random.RandomState(seed).uniform(size=len(y))
    assert secant.cross_entropy_error(y, t) == secant.cross_entropy_error([y], [t])
    assert secant.cross_entropy_error(y, label) == secant.cross_entropy_error(
        [y], [label]
    )


@of_any_example
@given(data=st.data(), shape=array_shapes(min_dims=0, max_dims=3, max_side=10))
def test_mean_squared_error_is_its_formula(data, shape):
    y, t = (
        data.draw(arrays(np.float64, shape, elements=st.floats(-100, 100)))
        for _ in range(2)
    )
    assert secant.mean_squared_error(y, t) == 0.5 * np.sum((y - t) ** 2)


def test_the_mean_squared_error_of_unsigned_integers_does_not_wrap():
    assert (
        secant.mean_squared_error(np.array([0], np.uint8), np.array([200], np.uint8))
        == 20_000
    )


def test_with_labels_only_the_probabilities_that_they_name_count(backend):
    expected = secant.cross_entropy_error([[0.25, 0.5]], [1])
    for unused in (np.nan, np.inf):
        assert secant.cross_entropy_error([[unused, 0.5]], [1]) == expected


# ---- labels --------------------------------------------------------------------------


@of_any_example
@given(
    labels=arrays(
        st.sampled_from(["i1", "u1", "i8", ">i2"]),
        st.integers(0, 30),
        elements=st.integers(0, 19),
    ),
    spare=st.integers(0, 3),
)
def test_one_hot_and_back(labels, spare):
    classes = int(labels.max(initial=0)) + 1
    one_hot = secant.to_one_hot(labels, classes + spare)
    assert one_hot.shape == (len(labels), classes + spare)
    assert one_hot.dtype == np.float64
    assert one_hot.sum() == len(labels)
    assert secant.book.to_labels(one_hot).tolist() == labels.tolist()
    assert same_bits(secant.to_one_hot(labels), np.eye(classes)[labels])


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f4", ">f8"])
def test_one_hot_rows_of_any_dtype_have_labels(dtype):
    labels = secant.book.to_labels(np.eye(3)[[2, 0, 1, 1]].astype(dtype))
    assert labels.tolist() == [2, 0, 1, 1]
    assert labels.dtype == np.int64


# ---- errors --------------------------------------------------------------------------

CROSS = secant.cross_entropy_error
OF_ANY_ARRAY = {
    "sigmoid": (secant.sigmoid, "x"),
    "softmax": (secant.softmax, "x"),
    "step_function": (secant.step_function, "x"),
    "mean_squared_error, y": (lambda a: secant.mean_squared_error(a, [1.0]), "y"),
    "mean_squared_error, t": (lambda a: secant.mean_squared_error([1.0], a), "t"),
    "cross_entropy_error, y": (lambda a: CROSS(a, [1.0]), "y"),
    "cross_entropy_error, t": (lambda a: CROSS([1.0], a), "t"),
    "to_one_hot": (secant.to_one_hot, "labels"),
    "to_labels": (secant.book.to_labels, "one_hot"),
}


@pytest.mark.parametrize(("function", "name"), OF_ANY_ARRAY.values(), ids=OF_ANY_ARRAY)
def test_what_is_no_array_of_real_numbers_is_refused(backend, function, name):
    with pytest.raises(
        DTypeError, match=f"^{name} must hold real numbers, got an array of complex128$"
    ):
        function([1j])
    with pytest.raises(
        ShapeError,
        match=f"^{name} must be a regular array, got rows of different lengths$",
    ):
        function([[1, 2], [3]])


EXAMPLE, LABELS = [[0.5, 0.5]], "must hold class labels from 0 to"
BAD_SHAPES = {
    "softmax of a scalar": (
        secant.softmax,
        [1.0],
        "x must have at least one element along its last axis",
    ),
    "squares": (
        secant.mean_squared_error,
        [[[1.0], [2.0]], [1, 2]],
        "t must have the shape of y, (2, 1), got (2,)",
    ),
    "labels as a column": (
        CROSS,
        [EXAMPLE * 2, [[0], [1]]],
        "t must have shape (2,) or (2, 2), got (2, 1)",
    ),
    "too many labels": (CROSS, [EXAMPLE, [0, 1]], "t must have 1 rows like y, got 2"),
    "too many labels of the book": (
        secant.book.cross_entropy_error,
        [EXAMPLE, [0, 1, 1]],
        "t must have 1 rows like y, got 3",
    ),
    "y of three dimensions": (
        CROSS,
        [[EXAMPLE], [0]],
        "y must have shape (N, O) or (O,) and not be empty",
    ),
    "y empty": (
        CROSS,
        [np.empty((0, 2)), []],
        "y must have shape (N, O) or (O,) and not be empty, got (0, 2)",
    ),
    "one-hot of a scalar": (
        secant.to_one_hot,
        [3],
        "labels must have shape (N,), got ()",
    ),
}
BAD_VALUES = {
    "a label too large": (CROSS, [EXAMPLE, [2]], f"t {LABELS} 1, got 2"),
    "a negative label": (CROSS, [EXAMPLE, [-1]], f"t {LABELS} 1, got -1"),
    "a label beyond all memory": (
        secant.to_one_hot,
        [[2**40]],
        "labels must have few enough classes for memory, got",
    ),
    "a label beyond the classes": (
        secant.to_one_hot,
        [[0, 3], 3],
        f"labels {LABELS} 2, got 3",
    ),
    "no class": (secant.to_one_hot, [[0], 0], "classes must be at least 1, got 0"),
    "a negative output": (
        CROSS,
        [[0.5, -0.25], [1, 0]],
        "y must hold weights of at least 0, got -0.25",
    ),
    "a negative weight": (
        CROSS,
        [EXAMPLE, [[1, -0.5]]],
        "t must hold weights of at least 0, got -0.5",
    ),
    "overflows": (
        CROSS,
        [[1e-300, 1e300], [1e308, 1e308]],
        "t must be small enough for a finite loss",
    ),
    "an output of nan": (
        CROSS,
        [[EXAMPLE[0], [np.nan, 0.5]], [0, 0]],
        "y must be finite, got nan at (1, 0)",
    ),
    "an infinite weight": (
        CROSS,
        [EXAMPLE, [[0.0, np.inf]]],
        "t must be finite, got inf at (0, 1)",
    ),
    "no label": (
        secant.book.to_labels,
        [[[1, 0], [1, 1]]],
        "one_hot must have a single 1 in each row, got [1 1]",
    ),
    "half a label": (
        secant.book.to_labels,
        [[[1, 0], [1, np.nan]]],
        "one_hot must have a single 1 in each row",
    ),
}
REFUSED = {name: (*case, ShapeError) for name, case in BAD_SHAPES.items()}
REFUSED |= {name: (*case, ValueRangeError) for name, case in BAD_VALUES.items()}


@pytest.mark.parametrize(
    ("function", "arguments", "message", "error"), REFUSED.values(), ids=REFUSED
)
def test_shapes_and_values_that_do_not_fit_are_refused(
    backend, function, arguments, message, error
):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        function(*arguments)


@pytest.mark.parametrize("labels", [[0.0], [0.5], [True], []], ids=repr)
def test_labels_that_are_not_integers_are_refused(backend, labels):
    dtype = np.asarray(labels).dtype
    with pytest.raises(
        DTypeError, match=f"^labels must hold class labels as integers, got {dtype}$"
    ):
        secant.to_one_hot(labels)
    if labels:
        with pytest.raises(
            DTypeError, match=f"^t must hold class labels as integers, got {dtype}$"
        ):
            secant.cross_entropy_error([[0.5, 0.5]], labels)


@pytest.mark.parametrize(
    "error", [DTypeError, ShapeError, ValueRangeError], ids=lambda e: e.__name__
)
def test_errors_are_what_users_of_numpy_expect(error):
    assert issubclass(error, SecantError)
    assert issubclass(error, TypeError if error is DTypeError else ValueError)
