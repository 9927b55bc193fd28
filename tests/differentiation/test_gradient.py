"""Numerical differentiation: values, what f is shown, and that x comes back bit for
bit.
"""

import numpy as np
import pytest
from ways import function_2, not_called

import secant
from layouts import ARRAYS, same_bits
from secant.errors import DTypeError, ValueRangeError

# ---- numerical_diff ------------------------------------------------------------------


def test_numbers_of_any_type_are_shifted_in_float64():
    for x in (
        np.float32(3),
        np.array([3], np.float16),
        np.array([3], ">f4"),
        np.array([3], np.int8),
        [3],
    ):
        assert np.all(
            secant.numerical_diff(lambda v: v**2, x)
            == secant.numerical_diff(lambda v: v**2, 3.0)
        )


# ---- numerical_gradient: values ------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "gradient"),
    [([3.0, 4.0], [6, 8]), ([0.0, 2.0], [0, 4]), ([3.0, 0.0], [6, 0])],
    ids=str,
)
def test_the_partial_derivatives_are_the_chapters(x, gradient):
    np.testing.assert_allclose(
        secant.numerical_gradient(function_2, np.array(x)), gradient, atol=1e-11
    )


@pytest.mark.parametrize(
    "shape", [(), (1,), (5,), (2, 3), (3, 1), (2, 3, 4), (0,), (2, 0, 3)], ids=str
)
def test_any_shape_has_a_gradient_in_its_shape(shape):
    x = np.asarray(np.random.RandomState(0).normal(size=shape))
    gradient = secant.numerical_gradient(lambda p: np.sum(p**3), x)
    assert type(gradient) is np.ndarray
    assert gradient.shape == shape
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, 3 * x**2, atol=1e-7)


LAYOUTS = ARRAYS | {
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "permuted axes": lambda a: np.moveaxis(np.stack([a, a]), 0, 2)[..., 1],
    "float32": lambda a: a.astype(np.float32),
    "long double": lambda a: a.astype(np.longdouble),
}


def owner(array):
    return array if array.base is None else owner(array.base)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_any_layout_has_the_same_gradient_and_comes_back_bit_for_bit(layout):
    plain = (
        np.random.RandomState(1)
        .normal(size=(4, 3))
        .astype(np.float32)
        .astype(np.float64)
    )
    expected = secant.numerical_gradient(lambda p: np.exp(p.ravel()).prod(), plain)
    x = layout(plain)
    memory = owner(x).tobytes()
    functions = [lambda p: np.exp(p.ravel()).prod(), lambda _: np.exp(x.ravel()).prod()]
    # shifts a copy, and x itself
    for f in functions[: 2 if x.dtype == np.float64 and x.dtype.isnative else 1]:
        assert same_bits(secant.numerical_gradient(f, x), expected)
        assert owner(x).tobytes() == memory


# ---- what f gets, and whose x is shifted ---------------------------------------------


@pytest.mark.filterwarnings("ignore:f returned one and the same value")
def test_the_bits_of_nan_and_of_minus_zero_come_back():
    bits = [
        0x7FF8000000000123,
        0xFFF8DEADBEEF0001,
        0x7FF0000000000000,
        0x8000000000000000,
        1,
        0x7FF0000000000001,
    ]
    x = np.array(bits, np.uint64).view(np.float64)
    with np.errstate(invalid="ignore"):
        for options in ({}, {"inplace": True}):
            secant.numerical_gradient(lambda p: 0.0, x, **options)
            assert x.view(np.uint64).tolist() == bits


@pytest.mark.parametrize(
    "x", [[3.0, 4.0], np.array([3, 4], np.float32), np.array([[3, 4]])], ids=repr
)
def test_an_x_that_cannot_be_shifted_itself_has_a_gradient_of_zero_and_a_warning(x):
    with pytest.warns(
        RuntimeWarning,
        match=r"^f returned one and the same value .* must be a writeable array of float64$",
    ) as caught:
        assert not secant.numerical_gradient(
            lambda _: float(function_2(np.array(x))), x
        ).any()
    assert caught[0].filename == __file__


# ---- what is refused -----------------------------------------------------------------


CANNOT_HOLD = "it cannot hold x + h; use x.astype(float)"
BAD_IN_PLACE = [
    (
        [1.0, 2.0],
        DTypeError,
        "x must be a plain NumPy array, got list: it is perturbed in place",
    ),
    (np.array([3]), DTypeError, f"x must be float64, got int64: {CANNOT_HOLD}"),
    (
        np.ones(2, np.float32),
        DTypeError,
        f"x must be float64, got float32: {CANNOT_HOLD}",
    ),
    (np.ones(2, ">f8"), DTypeError, f"x must be float64, got >f8: {CANNOT_HOLD}"),
    (
        np.broadcast_to(1.0, (2,)),
        ValueRangeError,
        "x must be writeable, got a read-only array: it is perturbed",
    ),
]


@pytest.mark.parametrize(("x", "error", "message"), BAD_IN_PLACE, ids=str)
def test_an_x_that_cannot_be_perturbed_is_refused_before_f_is_called(x, error, message):
    with pytest.raises(error) as caught:
        secant.numerical_gradient(not_called, x, inplace=True)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "x",
    [*(np.zeros(2, dtype) for dtype in (complex, object, "U3", "M8[s]")), np.ma.masked],
    ids=str,
)
def test_an_x_of_no_real_numbers_is_refused(x):
    with pytest.raises(
        DTypeError, match=r"^x must (hold real numbers, got an array of |be .*masked)"
    ):
        secant.numerical_gradient(not_called, x)


@pytest.mark.parametrize(
    "options", [{}, {"sparsity": np.eye(3)}], ids=["dense", "sparse"]
)
def test_what_is_no_function_is_refused_first(options):
    with pytest.raises(DTypeError, match=r"^f must be callable, got ndarray$"):
        secant.numerical_jacobian(np.ones(3), not_called, **options)
