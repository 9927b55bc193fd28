"""Numerical differentiation: values, what f is shown, and that x comes back bit for bit."""

import numpy as np
import pytest

import secant
from secant.errors import DTypeError, ValueRangeError

BAD_STEPS = {
    "zero": (0, ValueRangeError, "must be finite and greater than 0, got 0"),
    "negative": (-1e-4, ValueRangeError, "must be finite and greater than 0, got -0.0001"),
    "nan": (np.nan, ValueRangeError, "must be finite and greater than 0, got nan"),
    "infinite": (np.inf, ValueRangeError, "must be finite and greater than 0, got inf"),
    "text": ("1e-4", DTypeError, "must be a real number, got '1e-4'"),
    "nothing": (None, DTypeError, "must be a real number, got None"),
    "boolean": (True, DTypeError, "must be a real number, got True"),
    "complex": (1j, DTypeError, "must be a real number, got 1j"),
}
bad_steps = pytest.mark.parametrize(("h", "error", "message"), BAD_STEPS.values(), ids=BAD_STEPS)


def function_2(x):
    return np.sum(x**2)


def same_bits(got, expected):
    return (got.dtype, got.shape, got.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


# ---- numerical_diff --------------------------------------------------------------------------------------------------


def test_numerical_diff_is_the_chapters():
    value = secant.numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0)
    assert abs(value - 6.00000000000378) <= np.spacing(6.0)


def test_a_step_of_1e_30_is_lost_in_rounding():
    with pytest.warns(RuntimeWarning, match=r"^h is lost in x: "):
        assert secant.numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0, h=1e-30) == 0
    with pytest.warns(RuntimeWarning, match=r"^h is lost in x: x\[1\] \+ h = 10000000000000.0 \+ 0.0001 rounds to x"):
        assert secant.numerical_gradient(function_2, np.array([0.0, 1e13])).tolist() == [0, 0]


def test_the_truncation_error_of_a_cube_is_h_squared():
    assert secant.numerical_diff(lambda x: x**3, 0.0, h=0.5) == 0.25


def test_an_integer_has_a_derivative_too():
    assert secant.numerical_diff(lambda x: x * x, 3) == pytest.approx(6, abs=1e-10)


def test_an_array_is_differentiated_element_by_element():
    x = np.array([[0.0, 1.0], [-2.0, 3.0]])
    before = x.tobytes()
    np.testing.assert_allclose(secant.numerical_diff(lambda v: v**2, x), 2 * x, atol=1e-10)
    assert x.tobytes() == before


@bad_steps
def test_numerical_diff_refuses_a_bad_step(h, error, message):
    with pytest.raises(error) as caught:
        secant.numerical_diff(lambda x: x, 1.0, h)
    assert str(caught.value) == f"h {message}"


@pytest.mark.parametrize("dtype", [np.float32, np.float16], ids=lambda t: t.__name__)
def test_numerical_diff_refuses_a_number_in_whose_rounding_h_is_lost(dtype):
    for x in (dtype(3), np.array([3], dtype)):
        with pytest.raises(DTypeError, match=f"^x must be float64, got {dtype.__name__}: h is lost in its rounding"):
            secant.numerical_diff(lambda v: v**2, x)


# ---- numerical_gradient ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "gradient"), [([3.0, 4.0], [6, 8]), ([0.0, 2.0], [0, 4]), ([3.0, 0.0], [6, 0])], ids=str)
def test_the_partial_derivatives_are_the_chapters(x, gradient):
    np.testing.assert_allclose(secant.numerical_gradient(function_2, np.array(x)), gradient, atol=1e-11)


def test_one_partial_derivative_is_that_of_a_function_of_one_variable():
    by_diff = secant.numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0)
    by_gradient = secant.numerical_gradient(lambda x: x[0] * x[0] + x[1] ** 2.0, np.array([3.0, 4.0]))[0]
    assert by_gradient == by_diff


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
    x = layout(plain)
    memory = owner(x).tobytes()
    gradient = secant.numerical_gradient(lambda p: np.exp(p.ravel()).prod(), x)
    assert owner(x).tobytes() == memory
    assert same_bits(gradient, secant.numerical_gradient(lambda p: np.exp(p.ravel()).prod(), plain))


def test_f_sees_each_coordinate_above_and_below_and_nothing_else_moved():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    seen = []

    def f(point):
        assert point is x
        seen.append(point.copy())
        return 0.0

    secant.numerical_gradient(f, x, h=0.25)
    assert len(seen) == 8
    for call, point in enumerate(seen):
        expected = np.array([1.0, 2.0, 3.0, 4.0])
        expected[call // 2] += 0.25 if call % 2 == 0 else -0.25
        assert point.ravel().tolist() == expected.tolist()


def test_f_may_ignore_its_argument():
    x = np.array([3.0, 4.0])
    assert same_bits(
        secant.numerical_gradient(lambda _: function_2(x), x), secant.numerical_gradient(function_2, x.copy())
    )


def test_f_may_look_at_a_view():
    x = np.array([1.0, 2.0, 3.0])
    last = x[-1:]
    np.testing.assert_allclose(secant.numerical_gradient(lambda _: last.sum() ** 2, x), [0, 0, 6], atol=1e-10)


class Fault(BaseException):
    pass


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, Fault])
@pytest.mark.parametrize("call", range(1, 7))
def test_x_comes_back_also_when_f_raises(fault, call):
    x = np.array([0.1, -0.0, 3e300])
    before, calls = x.tobytes(), []

    def f(point):
        calls.append(point)
        if len(calls) == call:
            raise fault("stop")
        return 0.0

    with pytest.raises(fault, match="stop"):
        secant.numerical_gradient(f, x)
    assert x.tobytes() == before


@pytest.mark.parametrize("written", [0, 1, -1])
@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_a_function_that_writes_a_coordinate_is_refused(scheme, written):
    x = np.array([1.0, 2.0, np.pi])

    def f(point):
        value = float(point.sum())
        point[written] = 77.0
        return value

    with pytest.raises(ValueRangeError, match="f must leave its argument as it is, but it changes x"):
        secant.numerical_gradient(f, x, scheme=scheme)
    with pytest.raises(ValueRangeError, match="f must leave its argument as it is, but it changes x"):
        secant.numerical_jacobian(lambda point: np.array([f(point)]), x, scheme=scheme)
    assert x.tolist() == [1.0, 2.0, np.pi]


def test_x_comes_back_also_when_f_writes_to_it():
    x = np.array([1.0, 2.0])

    def f(point):
        point[...] = np.nan
        return 0.0

    with pytest.raises(ValueRangeError, match="f must leave its argument as it is"):
        secant.numerical_gradient(f, x)
    assert x.tolist() == [1, 2]


def test_the_bits_of_nan_and_of_minus_zero_come_back():
    bits = [0x7FF8000000000123, 0xFFF8DEADBEEF0001, 0x7FF0000000000000, 0x8000000000000000, 0x0000000000000001]
    x = np.array(bits, np.uint64).view(np.float64)
    secant.numerical_gradient(lambda p: 0.0, x)
    assert x.view(np.uint64).tolist() == bits


def test_the_bits_of_a_signalling_nan_come_back():
    x = np.array([0x7FF0000000000001], np.uint64).view(np.float64)
    with np.errstate(invalid="ignore"):
        secant.numerical_gradient(lambda p: 0.0, x)
    assert x.view(np.uint64).tolist() == [0x7FF0000000000001]


BAD_X = {
    "list": ([1.0, 2.0], DTypeError, "x must be a plain NumPy array, got list: it is perturbed in place"),
    "float": (3.0, DTypeError, "x must be a plain NumPy array, got float: it is perturbed in place"),
    "scalar": (np.float64(3.0), DTypeError, "x must be a plain NumPy array, got float64: it is perturbed in place"),
    "integers": (
        np.array([3, 4]),
        DTypeError,
        "x must be float64, got int64: it cannot hold x + h; use x.astype(float)",
    ),
    "booleans": (
        np.array([True]),
        DTypeError,
        "x must be float64, got bool: it cannot hold x + h; use x.astype(float)",
    ),
    "float32": (
        np.array([3, 4], np.float32),
        DTypeError,
        "x must be float64, got float32: h is lost in its rounding; use x.astype(float)",
    ),
    "float16": (
        np.array([3, 4], np.float16),
        DTypeError,
        "x must be float64, got float16: h is lost in its rounding; use x.astype(float)",
    ),
    "read-only": (
        np.broadcast_to(np.array(1.0), (2,)),
        ValueRangeError,
        "x must be writeable, got a read-only array: it is perturbed in place; use x.copy()",
    ),
}


def not_called(point):
    raise AssertionError("f was called")


@pytest.mark.parametrize(("x", "error", "message"), BAD_X.values(), ids=BAD_X)
def test_an_x_that_cannot_be_perturbed_is_refused_before_f_is_called(x, error, message):
    with pytest.raises(error) as caught:
        secant.numerical_gradient(not_called, x, inplace=True)
    assert str(caught.value) == message


def test_what_is_no_function_is_refused_first():
    x = np.ones(3)
    for call in (
        lambda: secant.numerical_gradient(x, not_called),
        lambda: secant.numerical_jacobian(x, not_called),
        lambda: secant.numerical_jacobian(x, not_called, sparsity=np.eye(3)),
    ):
        with pytest.raises(DTypeError, match=r"^f must be callable, got ndarray$"):
            call()


def test_an_array_of_no_dimensions_is_a_number():
    x = np.array([3.0, 4.0])
    expected = secant.numerical_gradient(lambda x: np.sum(x**2), x, 0.25)
    assert secant.numerical_gradient(lambda x: np.sum(x**2), x, np.array(0.25)).tolist() == expected.tolist()
    for no_number in (np.array(True), np.array("1"), np.array(None)):
        with pytest.raises(DTypeError, match="h must be a real number"):
            secant.numerical_gradient(not_called, x, no_number)


@pytest.mark.parametrize("dtype", [complex, object, "U3", "M8[s]"], ids=str)
def test_an_x_of_no_real_numbers_is_refused(dtype):
    with pytest.raises(DTypeError, match=r"^x must hold real numbers, got an array of "):
        secant.numerical_gradient(not_called, np.zeros(2, dtype))


@pytest.mark.parametrize("dtype", [">f8", np.longdouble], ids=["big-endian", "long double"])
def test_the_reason_why_other_floats_are_refused_is_the_right_one(dtype):
    with pytest.raises(DTypeError, match=r"^x must be float64, got ") as caught:
        secant.numerical_gradient(not_called, np.ones(2, dtype), inplace=True)
    assert "rounding" not in str(caught.value)


COPIED = {
    "list": [3, 4],
    "nested list": [[1.0, 2.0], [3.0, 4.0]],
    "number": 3.0,
    "integers": np.array([3, 4], np.int8),
    "float32": np.array([[3, 4]], np.float32),
    "big-endian": np.array([3, 4], ">f8"),
    "long double": np.array([3, 4], np.longdouble),
}


@pytest.mark.parametrize("x", COPIED.values(), ids=COPIED)
def test_what_is_not_float64_is_copied(x):
    before = np.array(x)
    gradient = secant.numerical_gradient(function_2, x)
    assert same_bits(gradient, secant.numerical_gradient(function_2, np.array(x, float)))
    assert gradient.shape == np.shape(x)
    assert np.array_equal(before, x)


def test_a_function_that_ignores_its_argument_does_not_get_the_gradient_of_a_copy():
    for x in ([3.0, 4.0], np.array([3, 4], np.float32), np.array([[3, 4]])):
        with pytest.raises(DTypeError, match=r"^f must use its argument, since a copy of x is shifted"):
            secant.numerical_gradient(lambda _, x=x: function_2(np.array(x)), x)


def test_a_copy_may_have_a_gradient_of_zero():
    assert secant.numerical_gradient(lambda x: np.sum(x > 2), [3, 1]).tolist() == [0, 0]
    assert secant.numerical_gradient(lambda _: 0.0, np.array([3.0, 1.0])).tolist() == [0, 0]


def test_a_masked_array_is_refused():
    with pytest.raises(DTypeError, match=r"^x must "):
        secant.numerical_gradient(function_2, np.ma.array([1.0, 2.0], mask=[False, True]))


@bad_steps
def test_numerical_gradient_refuses_a_bad_step(h, error, message):
    with pytest.raises(error) as caught:
        secant.numerical_gradient(not_called, np.ones(2), h)
    assert str(caught.value) == f"h {message}"


def test_a_step_beyond_the_largest_float_is_refused():
    with pytest.raises(ValueRangeError, match=r"^h must be finite"):
        secant.numerical_gradient(not_called, np.ones(2), 10**400)


@pytest.mark.parametrize("h", [1, np.float32(0.5), np.int8(1), np.float64(0.25)], ids=repr)
def test_a_step_may_be_any_real_number(h):
    assert secant.numerical_gradient(function_2, np.array([1.0]), h).tolist() == [2]


def test_numerical_diff_knows_small_floats_of_any_byte_order():
    with pytest.raises(secant.errors.DTypeError, match="h is lost in its rounding"):
        secant.numerical_diff(lambda v: v**2, np.array([3], ">f4"))
