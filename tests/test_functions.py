"""Activations, losses and label conversion, against the chapter's values and plain NumPy formulas."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import secant
from secant.errors import DTypeError, SecantError, ShapeError, ValueRangeError

Y = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
Y_OF_ANOTHER_CLASS = [0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]
T = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]

of_any_example = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Subclass(np.ndarray):
    pass


def ulps(got, expected):
    return abs(got - expected) / np.spacing(abs(expected))


def same_bits(got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    return (got.dtype, got.shape, got.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def unaligned(array):
    copy = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


# ---- the chapter's values --------------------------------------------------------------------------------------------


def test_mean_squared_error_is_the_chapters():
    assert ulps(secant.mean_squared_error(np.array(Y), np.array(T)), 0.09750000000000003) <= 1


@pytest.mark.parametrize(
    ("y", "loss"), [(Y, 0.510825457099338), (Y_OF_ANOTHER_CLASS, 2.302584092994546)], ids=["right", "wrong"]
)
@pytest.mark.parametrize("t", [np.array(T), T, 2, [2], np.array(T, float), np.uint8(2)], ids=repr)
def test_cross_entropy_error_is_the_chapters(backend, y, loss, t):
    assert ulps(secant.cross_entropy_error(np.array(y), t), loss) <= 1


@pytest.mark.parametrize("t", [[T], [2]], ids=["one-hot", "labels"])
def test_a_batch_of_one_has_the_loss_of_its_sample(backend, t):
    assert ulps(secant.cross_entropy_error([Y], t), 0.510825457099338) <= 1


def test_a_probability_of_zero_has_a_finite_loss(backend):
    assert secant.cross_entropy_error([0.0, 1.0], 0) == pytest.approx(-np.log(1e-7), rel=1e-15)


# ---- activations -----------------------------------------------------------------------------------------------------

LAYOUTS = {
    "list": np.ndarray.tolist,
    "fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[..., ::-1].copy()[..., ::-1],
    "part of a larger one": lambda a: np.pad(a, 1)[tuple(slice(1, -1) for _ in a.shape)],
    "big-endian": lambda a: a.astype(">f8"),
    "long double": lambda a: a.astype(np.longdouble),
    "subclass": lambda a: a.view(Subclass),
    "unaligned": unaligned,
}
ACTIVATIONS = [secant.sigmoid, secant.softmax, secant.step_function]
by_name = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda f: f.__name__)


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


@pytest.mark.parametrize("x", [0.0, 0, True, np.float32(0), np.array(0), np.array(0.0)], ids=repr)
def test_sigmoid_of_a_scalar_is_a_scalar(backend, x):
    result = secant.sigmoid(x)
    assert isinstance(result, np.float64)
    assert result == 1 / (1 + np.exp(-float(x)))


def test_sigmoid_of_extreme_values(backend):
    got = secant.sigmoid([800, -800, np.inf, -np.inf, 1e308, -1e308, -0.0])
    assert got.tolist() == [1, 0, 1, 0, 1, 0, 0.5]


def test_sigmoid_of_nan_is_nan_and_of_its_neighbors_is_not(backend):
    got = secant.sigmoid([0.0, np.nan, 0.0])
    np.testing.assert_array_equal(got, [0.5, np.nan, 0.5])


def test_step_function_is_one_above_zero_only():
    got = secant.step_function([1e-300, 0.0, -0.0, -1e-300, np.inf, -np.inf, np.nan])
    assert got.tolist() == [1, 0, 0, 0, 1, 0, 0]
    assert got.dtype == np.int64


def test_a_step_function_has_no_slope_to_learn_from():
    x = np.array([-2.0, -0.5, 0.5, 2.0])
    with pytest.warns(RuntimeWarning, match="f returned one and the same value at all 10 points"):
        assert secant.numerical_gradient(lambda p: secant.step_function(p).sum(), x).tolist() == [0, 0, 0, 0]


@of_any_example
@given(x=arrays(np.float64, array_shapes(max_dims=3, max_side=20), elements=st.floats(-700, 700)))
def test_sigmoid_is_its_formula(backend, x):
    np.testing.assert_allclose(secant.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-15)


@of_any_example
@given(x=arrays(np.float64, array_shapes(max_dims=3, max_side=12), elements=st.floats(-100, 100)))
def test_softmax_is_its_formula_along_the_last_axis(backend, x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    # The plain formula itself errs by eps (max - x) / 2: it rounds that difference and then takes the exponential.
    np.testing.assert_allclose(secant.softmax(x), e / e.sum(axis=-1, keepdims=True), rtol=1e-13)


def test_softmax_of_extreme_values(backend):
    assert secant.softmax([800, -800]).tolist() == [1, 0]
    assert secant.softmax([-800.0, -800.0]).tolist() == [0.5, 0.5]
    assert secant.softmax([1e308, 1e308]).tolist() == [0.5, 0.5]
    assert secant.softmax([-np.inf, 0.0]).tolist() == [0, 1]


def test_softmax_of_infinity_is_nan_and_of_other_rows_is_not(backend):
    got = secant.softmax([[np.inf, 0.0], [0.0, 0.0], [np.nan, 0.0], [0.0, np.nan], [-np.inf, -np.inf]])
    np.testing.assert_array_equal(got, [[np.nan] * 2, [0.5] * 2, [np.nan] * 2, [np.nan] * 2, [np.nan] * 2])


# ---- losses ----------------------------------------------------------------------------------------------------------

sizes = st.tuples(st.integers(1, 30), st.integers(1, 12))
probabilities = sizes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(0, 1)))


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
    for targets in (labels, labels.astype(np.uint8), labels.astype(">i4"), labels.tolist(), t, t.astype(bool)):
        assert abs(secant.cross_entropy_error(y, targets) - expected) <= rounding


def test_cross_entropy_of_more_samples_than_are_summed_at_once(backend):
    rng = np.random.RandomState(0)
    y, soft, labels = rng.uniform(size=(70_000, 3)), rng.uniform(size=(70_000, 3)), rng.randint(3, size=70_000)
    for t, targets in ((soft, soft), (np.eye(3)[labels], labels)):
        expected, rounding = plain_cross_entropy(y, t)
        assert abs(secant.cross_entropy_error(y, targets) - expected) <= rounding


@of_any_example
@given(y=arrays(np.float64, st.integers(2, 40), elements=st.floats(0, 1)), seed=st.integers(0, 1000))
def test_one_sample_is_a_batch_of_one(backend, y, seed):
    label = np.random.RandomState(seed).randint(len(y))
    t = np.random.RandomState(seed).uniform(size=len(y))
    assert secant.cross_entropy_error(y, t) == secant.cross_entropy_error([y], [t])
    assert secant.cross_entropy_error(y, label) == secant.cross_entropy_error([y], [label])


@of_any_example
@given(
    data=st.data(),
    shape=array_shapes(min_dims=0, max_dims=3, max_side=10),
)
def test_mean_squared_error_is_its_formula(data, shape):
    y, t = (data.draw(arrays(np.float64, shape, elements=st.floats(-100, 100))) for _ in range(2))
    assert secant.mean_squared_error(y, t) == 0.5 * np.sum((y - t) ** 2)


def test_the_mean_squared_error_of_unsigned_integers_does_not_wrap():
    assert secant.mean_squared_error(np.array([0], np.uint8), np.array([200], np.uint8)) == 20_000


def test_losses_are_python_floats(backend):
    assert type(secant.cross_entropy_error([0.5, 0.5], 1)) is float
    assert type(secant.mean_squared_error([0.5], [1])) is float


def test_with_labels_only_the_probabilities_that_they_name_count(backend):
    expected = secant.cross_entropy_error([[0.25, 0.5]], [1])
    for unused in (np.nan, np.inf):
        assert secant.cross_entropy_error([[unused, 0.5]], [1]) == expected


# ---- labels ----------------------------------------------------------------------------------------------------------


@of_any_example
@given(
    labels=arrays(st.sampled_from(["i1", "u1", "i8", ">i2"]), st.integers(0, 30), elements=st.integers(0, 19)),
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


# ---- errors ----------------------------------------------------------------------------------------------------------

NOT_REAL = {
    "complex": ([1j], "complex128"),
    "strings": (["1"], "<U1"),
}
OF_ANY_ARRAY = {
    "sigmoid": (secant.sigmoid, "x"),
    "softmax": (secant.softmax, "x"),
    "step_function": (secant.step_function, "x"),
    "mean_squared_error, y": (lambda a: secant.mean_squared_error(a, [1.0]), "y"),
    "mean_squared_error, t": (lambda a: secant.mean_squared_error([1.0], a), "t"),
    "cross_entropy_error, y": (lambda a: secant.cross_entropy_error(a, [1.0]), "y"),
    "cross_entropy_error, t": (lambda a: secant.cross_entropy_error([1.0], a), "t"),
    "to_one_hot": (secant.to_one_hot, "labels"),
    "to_labels": (secant.book.to_labels, "one_hot"),
}


@pytest.mark.parametrize(("function", "name"), OF_ANY_ARRAY.values(), ids=OF_ANY_ARRAY)
@pytest.mark.parametrize(("value", "dtype"), NOT_REAL.values(), ids=NOT_REAL)
def test_what_is_not_real_is_refused(backend, function, name, value, dtype):
    with pytest.raises(DTypeError, match=f"^{name} must hold real numbers, got an array of {dtype}$"):
        function(value)


@pytest.mark.parametrize(("function", "name"), OF_ANY_ARRAY.values(), ids=OF_ANY_ARRAY)
def test_ragged_lists_are_refused(backend, function, name):
    with pytest.raises(ShapeError, match=f"^{name} must be a regular array, got rows of different lengths$"):
        function([[1, 2], [3]])


BAD_SHAPES = {
    "softmax of a scalar": (
        lambda: secant.softmax(1.0),
        "x must have at least one element along its last axis, got shape ()",
    ),
    "squares of other shapes": (
        lambda: secant.mean_squared_error([[1.0], [2.0]], [1.0, 2.0]),
        "t must have the shape of y, (2, 1), got (2,)",
    ),
    "y of three dimensions": (
        lambda: secant.cross_entropy_error(np.ones((1, 2, 2)), [0]),
        "y must have shape (N, O) or (O,) and not be empty, got (1, 2, 2)",
    ),
    "y empty": (
        lambda: secant.cross_entropy_error(np.empty((0, 2)), []),
        "y must have shape (N, O) or (O,) and not be empty, got (0, 2)",
    ),
    "labels as a column": (
        lambda: secant.cross_entropy_error([[0.5, 0.5]] * 2, [[0], [1]]),
        "t must have shape (2,) or (2, 2), got (2, 1): give labels as (N,)",
    ),
    "too many labels": (
        lambda: secant.cross_entropy_error([[0.5, 0.5]], [0, 1]),
        "t must have 1 rows like x, got 2",
    ),
    "one-hot of a scalar": (lambda: secant.to_one_hot(3), "labels must have shape (N,), got ()"),
    "labels of a vector": (lambda: secant.book.to_labels([0, 1]), "one_hot must have shape (N, O), got (2,)"),
}


@pytest.mark.parametrize(("call", "message"), BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_shapes_that_do_not_fit_are_refused(backend, call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message


BAD_VALUES = {
    "a label too large": (lambda: secant.cross_entropy_error([[0.5, 0.5]], [2]), "t", "0 to 1, got 2"),
    "a negative label": (lambda: secant.cross_entropy_error([[0.5, 0.5]], [-1]), "t", "0 to 1, got -1"),
    "a label beyond int64": (
        lambda: secant.cross_entropy_error([[0.5, 0.5]], np.array([2**64 - 1], np.uint64)),
        "t",
        f"0 to 1, got {2**64 - 1}",
    ),
    "a label beyond the classes": (lambda: secant.to_one_hot([0, 3], 3), "labels", "0 to 2, got 3"),
}


@pytest.mark.parametrize(("call", "name", "rest"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_labels_out_of_range_are_refused(backend, call, name, rest):
    with pytest.raises(ValueRangeError) as caught:
        call()
    assert str(caught.value) == f"{name} must hold class labels from {rest}"


@pytest.mark.parametrize("labels", [[0.0], [0.5], [True], []], ids=repr)
def test_labels_that_are_not_integers_are_refused(backend, labels):
    dtype = np.asarray(labels).dtype
    with pytest.raises(DTypeError, match=f"^labels must hold class labels as integers, got {dtype}$"):
        secant.to_one_hot(labels)
    if labels:
        with pytest.raises(DTypeError, match=f"^t must hold class labels as integers, got {dtype}$"):
            secant.cross_entropy_error([[0.5, 0.5]], labels)


def test_a_cross_entropy_whose_terms_overflow_to_both_sides_is_an_error(backend):
    with pytest.raises(ValueRangeError, match="t must be small enough for a finite loss, got an overflow"):
        secant.cross_entropy_error([[1e-300, 1e300]], [[1e308, 1e308]])


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (0, ValueRangeError, "classes must be at least 1, got 0"),
        (-1, ValueRangeError, "classes must be at least 1, got -1"),
        (2.0, DTypeError, "classes must be a whole number, got 2.0"),
        ("2", DTypeError, "classes must be a whole number, got '2'"),
    ],
    ids=repr,
)
def test_a_bad_number_of_classes_is_refused(classes, error, message):
    with pytest.raises(error) as caught:
        secant.to_one_hot([0], classes)
    assert str(caught.value) == message


@pytest.mark.parametrize("row", [[0, 0], [1, 1], [0.5, 0.5], [1, np.nan]], ids=str)
def test_rows_that_are_not_one_hot_have_no_label(row):
    with pytest.raises(ValueRangeError) as caught:
        secant.book.to_labels([[1, 0], row])
    array = np.array([[1, 0], row])[1]
    assert str(caught.value) == f"one_hot must have a single 1 in each row, got {array} in row 1"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=repr)
def test_outputs_and_weights_that_are_not_finite_are_refused(backend, bad):
    with pytest.raises(ValueRangeError, match=rf"^y must be finite, got {bad} at \(1, 0\)$"):
        secant.cross_entropy_error([[0.5, 0.5], [bad, 0.5]], [0, 0])
    with pytest.raises(ValueRangeError, match=rf"^t must be finite, got {bad} at \(0, 1\)$"):
        secant.cross_entropy_error([[0.5, 0.5]], [[0.0, bad]])


def test_negative_outputs_and_weights_are_refused(backend):
    with pytest.raises(ValueRangeError, match=r"^y must hold weights of at least 0, got -0\.25$"):
        secant.cross_entropy_error([[0.5, -0.25]], [[1, 0]])
    with pytest.raises(ValueRangeError, match=r"^t must hold weights of at least 0, got -0\.5$"):
        secant.cross_entropy_error([[0.5, 0.5]], [[1, -0.5]])


@pytest.mark.parametrize("error", [DTypeError, ShapeError, ValueRangeError], ids=lambda e: e.__name__)
def test_errors_are_what_users_of_numpy_expect(error):
    assert issubclass(error, SecantError)
    assert issubclass(error, TypeError if error is DTypeError else ValueError)
