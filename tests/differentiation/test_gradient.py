"""Numerical differentiation: values, what f is shown, and that x comes back bit for bit."""

import numpy as np
import pytest

import secant
from secant.errors import DTypeError, ValueRangeError

CONSTANT = "f returned one and the same value"
BAD_STEPS = {
    "zero": (0, ValueRangeError, "must be finite and greater than 0, got 0"),
    "negative": (-1e-4, ValueRangeError, "must be finite and greater than 0, got -0.0001"),
    "nan": (np.nan, ValueRangeError, "must be finite and greater than 0, got nan"),
    "infinite": (np.inf, ValueRangeError, "must be finite and greater than 0, got inf"),
    "text": ("relative", DTypeError, "must be a real number, got 'relative'"),
    "boolean": (True, DTypeError, "must be a real number, got True"),
    "complex": (1j, DTypeError, "must be a real number, got 1j"),
}


def function_2(x):
    return np.sum(x**2)


def same_bits(got, expected):
    return (got.dtype, got.shape, got.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def not_called(point):
    raise AssertionError("f was called")


# ---- numerical_diff --------------------------------------------------------------------------------------------------


def test_numerical_diff_is_the_chapters():
    value = secant.numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0)
    assert value == pytest.approx(6, abs=1e-11)


def test_a_step_of_1e_30_is_lost_in_rounding():
    with pytest.warns(RuntimeWarning, match=r"^h is lost in x: "):
        assert secant.numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0, h=1e-30) == 0
    with pytest.warns(RuntimeWarning, match=r"^h is lost in x: x\[1\] \+ h = 10000000000000.0 \+ 0.0001 rounds to x"):
        assert secant.numerical_gradient(function_2, np.array([0.0, 1e13])).tolist() == [0, 0]


def test_the_truncation_error_of_a_cube_is_h_squared():
    assert secant.numerical_diff(lambda x: x**3, 0.0, h=0.5) == 0.25


def test_an_array_is_differentiated_element_by_element():
    x = np.array([[0.0, 1.0], [-2.0, 3.0]])
    before = x.tobytes()
    np.testing.assert_allclose(secant.numerical_diff(lambda v: v**2, x), 2 * x, atol=1e-10)
    assert x.tobytes() == before


def test_numbers_of_any_type_are_shifted_in_float64():
    for x in (np.float32(3), np.array([3], np.float16), np.array([3], ">f4"), np.array([3], np.int8), [3]):
        assert np.all(secant.numerical_diff(lambda v: v**2, x) == secant.numerical_diff(lambda v: v**2, 3.0))


# ---- numerical_gradient: values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "gradient"), [([3.0, 4.0], [6, 8]), ([0.0, 2.0], [0, 4]), ([3.0, 0.0], [6, 0])], ids=str)
def test_the_partial_derivatives_are_the_chapters(x, gradient):
    np.testing.assert_allclose(secant.numerical_gradient(function_2, np.array(x)), gradient, atol=1e-11)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (3, 1), (2, 3, 4), (0,), (2, 0, 3)], ids=str)
def test_any_shape_has_a_gradient_in_its_shape(shape):
    x = np.asarray(np.random.RandomState(0).normal(size=shape))
    gradient = secant.numerical_gradient(lambda p: np.sum(p**3), x)
    assert type(gradient) is np.ndarray
    assert gradient.shape == shape
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, 3 * x**2, atol=1e-7)


def unaligned(array):
    copy = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


LAYOUTS = {
    "fortran": lambda a: a.copy(order="F"),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "part of a larger one": lambda a: np.pad(a, 3, constant_values=7)[3:-3, 3:-3],
    "unaligned": unaligned,
    "permuted axes": lambda a: np.moveaxis(np.stack([a, a]), 0, 2)[..., 1],
}


def owner(array):
    return array if array.base is None else owner(array.base)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_any_layout_has_the_same_gradient_and_comes_back_bit_for_bit(layout):
    plain = np.random.RandomState(1).normal(size=(4, 3))
    expected = secant.numerical_gradient(lambda p: np.exp(p.ravel()).prod(), plain)
    x = layout(plain)
    memory = owner(x).tobytes()
    for f in (lambda p: np.exp(p.ravel()).prod(), lambda _: np.exp(x.ravel()).prod()):  # shifts a copy, and x itself
        assert same_bits(secant.numerical_gradient(f, x), expected)
        assert owner(x).tobytes() == memory


COPIED = {
    "list": [3, 4],
    "nested list": [[1.0, 2.0], [3.0, 4.0]],
    "number": 3.0,
    "integers": np.array([3, 4], np.int8),
    "float32": np.array([[3, 4]], np.float32),
    "big-endian": np.array([3, 4], ">f8"),
    "long double": np.array([3, 4], np.longdouble) / 7,
}


@pytest.mark.parametrize("x", COPIED.values(), ids=COPIED)
def test_what_is_not_float64_is_copied(x):
    before = np.array(x)
    gradient = secant.numerical_gradient(function_2, x)
    assert same_bits(gradient, secant.numerical_gradient(function_2, np.array(x, float)))
    assert gradient.shape == np.shape(x)
    assert np.array_equal(before, x)


# ---- what f gets, and whose x is shifted -----------------------------------------------------------------------------


def test_f_gets_a_new_array_each_time_with_one_coordinate_moved():
    x, seen = np.array([[1.0, 2.0], [3.0, 4.0]]), []

    def f(point):
        seen.append(point)
        return float(np.sum(point**2)) / 7

    secant.numerical_gradient(f, x, h=0.25)
    assert len(seen) == len({id(point) for point in seen}) == 8
    for call, point in enumerate(seen):
        expected = np.array([1.0, 2.0, 3.0, 4.0])
        expected[call // 2] += 0.25 if call % 2 == 0 else -0.25
        assert point.ravel().tolist() == expected.tolist()
        assert not np.shares_memory(point, x)


@pytest.mark.parametrize("call", [secant.numerical_gradient, secant.numerical_jacobian])
@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_a_function_that_ignores_its_argument_sees_x_shifted(call, scheme):
    x = np.array([3.0, 4.0, -1.0])
    last = x[-1:]
    for f, same in ((lambda _: float(x @ x), lambda x: float(x @ x)), (lambda _: last @ last, lambda x: x[2] ** 2)):
        wanted = call(same, x.copy(), scheme=scheme)
        for options in ({}, {"inplace": True}):
            assert same_bits(call(f, x, scheme=scheme, **options), wanted)
            assert x.tolist() == [3, 4, -1]


@pytest.mark.filterwarnings(f"ignore:{CONSTANT}")
def test_the_bits_of_nan_and_of_minus_zero_come_back():
    bits = [0x7FF8000000000123, 0xFFF8DEADBEEF0001, 0x7FF0000000000000, 0x8000000000000000, 1, 0x7FF0000000000001]
    x = np.array(bits, np.uint64).view(np.float64)
    with np.errstate(invalid="ignore"):
        for options in ({}, {"inplace": True}):
            secant.numerical_gradient(lambda p: 0.0, x, **options)
            assert x.view(np.uint64).tolist() == bits


@pytest.mark.parametrize("x", [[3.0, 4.0], np.array([3, 4], np.float32), np.array([[3, 4]])], ids=repr)
def test_an_x_that_cannot_be_shifted_itself_has_a_gradient_of_zero_and_a_warning(x):
    with pytest.warns(RuntimeWarning, match=f"^{CONSTANT} .* must be a writeable array of float64$") as caught:
        assert not secant.numerical_gradient(lambda _: float(function_2(np.array(x))), x).any()
    assert caught[0].filename == __file__


# ---- what is refused -------------------------------------------------------------------------------------------------

IN_PLACE = "it is perturbed in place"
BAD_X = {
    "list": ([1.0, 2.0], DTypeError, f"x must be a plain NumPy array, got list: {IN_PLACE}"),
    "float": (3.0, DTypeError, f"x must be a plain NumPy array, got float: {IN_PLACE}"),
    "integers": (
        np.array([3]),
        DTypeError,
        "x must be float64, got int64: it cannot hold x + h; use x.astype(float)",
    ),
    "float32": (
        np.ones(2, np.float32),
        DTypeError,
        "x must be float64, got float32: it cannot hold x + h; use x.astype(float)",
    ),
    "big-endian": (
        np.ones(2, ">f8"),
        DTypeError,
        "x must be float64, got >f8: it cannot hold x + h; use x.astype(float)",
    ),
    "read-only": (
        np.broadcast_to(np.array(1.0), (2,)),
        ValueRangeError,
        f"x must be writeable, got a read-only array: {IN_PLACE}; use x.copy()",
    ),
}


@pytest.mark.parametrize(("x", "error", "message"), BAD_X.values(), ids=BAD_X)
def test_an_x_that_cannot_be_perturbed_is_refused_before_f_is_called(x, error, message):
    with pytest.raises(error) as caught:
        secant.numerical_gradient(not_called, x, inplace=True)
    assert str(caught.value) == message


def test_what_is_no_function_is_refused_first():
    x = np.ones(3)
    for call, options in (
        (secant.numerical_gradient, {}),
        (secant.numerical_jacobian, {}),
        (secant.numerical_jacobian, {"sparsity": np.eye(3)}),
    ):
        with pytest.raises(DTypeError, match=r"^f must be callable, got ndarray$"):
            call(x, not_called, **options)


@pytest.mark.parametrize("dtype", [complex, object, "U3", "M8[s]"], ids=str)
def test_an_x_of_no_real_numbers_is_refused(dtype):
    with pytest.raises(DTypeError, match=r"^x must hold real numbers, got an array of "):
        secant.numerical_gradient(not_called, np.zeros(2, dtype))


def test_a_masked_array_is_refused():
    with pytest.raises(DTypeError, match=r"^x must "):
        secant.numerical_gradient(function_2, np.ma.array([1.0, 2.0], mask=[False, True]))


@pytest.mark.parametrize(("h", "error", "message"), BAD_STEPS.values(), ids=BAD_STEPS)
def test_a_bad_step_is_refused(h, error, message):
    for call, x in ((secant.numerical_diff, 1.0), (secant.numerical_gradient, np.ones(2))):
        with pytest.raises(error) as caught:
            call(not_called, x, h)
        assert str(caught.value) == f"h {message}"
