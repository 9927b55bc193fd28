"""What f returns: what is taken, what is warned of and what is refused."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import secant
from secant.differentiation.evaluators import c_pointer
from secant.errors import DTypeError, ShapeError, ValueRangeError


def of_package(name, make):
    """A number as a package has it, made where that is installed."""
    return lambda v: make(pytest.importorskip(name), float(v))


def tensor(name):
    def make(v):
        torch = pytest.importorskip("torch")
        return torch.tensor(v, dtype=getattr(torch, name), requires_grad=True)

    return make


RESULTS = {
    "float": float,
    "numpy float": np.float64,
    "long double": np.longdouble,
    "zero-dimensional array": np.array,
    "array of one": lambda v: np.array([v]),
    "matrix of one": lambda v: np.array([[v]]),
    "list of one": lambda v: [v],
    "fraction": Fraction,
    "decimal": lambda v: Decimal(float(v)),
    "mpmath": of_package("mpmath", lambda mpmath, v: mpmath.mpf(v)),
    "sympy": of_package("sympy", lambda sympy, v: sympy.Float(v, 30)),
    "tensor": tensor("float64"),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_f_may_return_anything_that_is_one_number(result):
    f = lambda p: result(4 * p[0] + 0.1)  # noqa: E731
    assert secant.numerical_gradient(f, np.zeros(1), h=0.25).tolist() == [4]
    np.testing.assert_allclose(
        np.squeeze(secant.numerical_jacobian(f, np.zeros(1), h=0.25)), 4
    )
    np.testing.assert_allclose(
        secant.numerical_diff(lambda x: result(4 * x), 0.0, h=0.25), 4
    )
    np.testing.assert_allclose(
        secant.numerical_gradient(f, np.zeros(1), scheme="auto"), 4
    )
    np.testing.assert_allclose(secant.numerical_hessian(f, np.zeros(1)), 0, atol=1e-8)
    assert secant.check_gradient(f, np.zeros(1), [4.0]).passed


def of_pandas(v):
    return pytest.importorskip("pandas").Series(
        v, dtype="float32", index=range(np.size(v))
    )


OTHERS = {
    "torch float32": (tensor("float32"), np.float32),
    "torch float16": (tensor("float16"), np.float16),
    "pandas": (of_pandas, np.float32),
}


@pytest.mark.parametrize(("make", "dtype"), OTHERS.values(), ids=OTHERS)
def test_arrays_of_other_libraries_are_numbers_and_their_rounding_is_warned_of(
    make, dtype
):
    x = np.array([0.5, 1.0])
    for call in (
        lambda: secant.numerical_gradient(lambda v: make(4 * v[:1]), x),
        lambda: secant.numerical_gradient(
            lambda s: make(4 * s[:, 0]), x, vectorized=True
        ),
        lambda: secant.numerical_jacobian(lambda v: make(4 * v), x)[0],
        lambda: secant.numerical_diff(lambda v: make([4 * v, v]), 0.5)[::-1],
    ):
        with pytest.warns(
            RuntimeWarning,
            match=f"^f returns {np.dtype(dtype)} and round-off dominates",
        ) as caught:
            found = call()
        assert caught[0].filename == __file__
        np.testing.assert_allclose(
            found,
            [4, 0] if found[1] == 0 else [1, 4],
            atol=5 if dtype == np.float16 else 0.01,
        )


CONSTANT = {
    "a constant": lambda p: 3.0,
    "a step function": lambda p: float(np.sum(p > 0)),
    "whole numbers": lambda p: np.sum(p > 0),
}


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
@pytest.mark.parametrize("f", CONSTANT.values(), ids=CONSTANT)
def test_one_value_everywhere_is_a_slope_of_zero_and_one_warning(f, scheme):
    x = np.array([-1.0, 2.0])
    for call in (secant.numerical_gradient, secant.numerical_jacobian):
        with pytest.warns(
            RuntimeWarning, match=r"^f returned one and the same value at all points"
        ) as caught:
            assert not call(f, x, scheme=scheme).any()
        assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(RuntimeWarning, match="^f returned one and the same value"):
        assert secant.numerical_diff(f, 1.0, scheme=scheme) == 0
    with pytest.warns(
        RuntimeWarning, match="^f returned one and the same value"
    ) as caught:
        secant.numerical_gradient(
            lambda stack: np.full(len(stack), f(x)), x, scheme=scheme, vectorized=True
        )
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("scheme", "step"),
    [("central", "5e-02"), ("forward", "3e-03"), ("five-point", "4e-01")],
)
def test_float32_is_differentiated_with_a_warning_that_names_a_step(scheme, step):
    def f(x):
        return np.sum(np.exp(x / 10).astype(np.float32))

    x = np.array([10.0, -10.0])
    with pytest.warns(
        RuntimeWarning,
        match=f"^f returns float32 and .* at h = 0.0001: take h = {step}, scheme='auto'",
    ):
        before = secant.numerical_gradient(f, x, scheme=scheme)
    after = secant.numerical_gradient(f, x, float(step), scheme=scheme)
    right = np.exp(x / 10) / 10
    assert np.abs(after - right).max() < np.abs(before - right).max() / 4
    secant.numerical_gradient(f, x, scheme="auto")


@pytest.mark.needs_numba
def test_the_signature_for_float64_decides_how_a_jitted_function_is_differentiated():
    """The first one that is declared may be for another type."""
    numba = pytest.importorskip("numba")
    f = numba.njit(["float32(float32[:])", "float64(float64[:])"])(
        lambda x: (x**3).sum()
    )
    assert np.allclose(
        secant.numerical_gradient(f, np.ones(3), h=None), 3, rtol=1e-9, atol=0
    )
    # nor is there a warning
    assert np.allclose(secant.numerical_gradient(f, np.ones(3)), 3, rtol=1e-7, atol=0)
    f = numba.njit(["float32(float32[:])"])(lambda x: x.sum())
    with pytest.raises(
        TypeError, match=r"No matching definition for argument type.*float64"
    ):
        secant.numerical_gradient(f, np.ones(3))


@pytest.mark.needs_numba
@pytest.mark.parametrize("core", [True, False], ids=["core", "numba"])
def test_what_a_jitted_function_returns_is_known_too(core, monkeypatch):
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(c_pointer, "core", c_pointer.core if core else lambda: None)
    for kind in (np.float32, np.int64):
        with pytest.warns(RuntimeWarning, match=f"^f returns {np.dtype(kind)}"):
            secant.numerical_gradient(
                numba.njit(lambda x, kind=kind: kind(x[0])), np.ones(2)
            )
    with pytest.warns(RuntimeWarning, match="^f returns float32"):
        secant.numerical_jacobian(
            numba.njit(lambda x: x.astype(np.float32)), np.ones(2)
        )
    assert secant.numerical_gradient(
        numba.njit(lambda x: (x[0],)[0]), np.ones(1)
    ).round(6).tolist() == [1]


def test_a_matrix_is_refused_as_x_since_its_products_are_others():
    with pytest.warns(PendingDeprecationWarning):
        x = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    for call in (
        lambda x: secant.numerical_gradient(np.sum, x),
        lambda x: secant.numerical_gradient(np.sum, x, workers=2),
        lambda x: secant.numerical_jacobian(np.asarray, x.astype(int)),
        lambda x: secant.gradient_descent(np.sum, x),
        lambda x: secant.check_gradient(np.sum, x, np.ones((2, 2))),
        lambda x: secant.check_vjp(lambda v: v, np.ones((2, 2)), lambda _: x),
    ):
        with pytest.raises(
            DTypeError, match=r"must be an array, got np\.matrix, whose"
        ):
            call(x)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_elements_of_x_that_overlap_are_copied_or_refused(shape):
    x = np.lib.stride_tricks.as_strided(np.ones(1), shape, (0,) * len(shape))
    for options in ({}, {"scheme": "auto"}, {"workers": 2}):
        gradient = secant.numerical_gradient(
            lambda v: float(np.sum(v**2)), x, **options
        )
        assert gradient.round(6).tolist() == np.full(shape, 2.0).tolist()
    assert secant.check_gradient(lambda v: float(np.sum(v**2)), x, 2 * x).passed
    for call in (
        lambda: secant.numerical_gradient(np.sum, x, inplace=True),
        lambda: secant.check_gradient(np.sum, x, np.ones(shape), inplace=True),
    ):
        with pytest.raises(
            ValueRangeError, match="x must have elements that share no memory"
        ):
            call()
    with pytest.warns(RuntimeWarning, match="f returned one and the same value"):
        secant.numerical_gradient(lambda _: float(np.sum(x**2)), x)


@pytest.mark.parametrize("kind", [np.uint8, np.uint64, np.int64, int, np.bool_])
def test_whole_numbers_that_jump_are_differentiated_with_a_warning(kind):
    """And do not wrap around."""
    for call, slope in (
        (lambda: secant.numerical_diff(lambda x: kind(x < 3), 3.0, 0.25), -2),
        (
            lambda: secant.numerical_gradient(
                lambda p: kind(p[0] > 3), np.array([3.0]), 0.25
            ),
            2,
        ),
        (
            lambda: secant.numerical_jacobian(
                lambda p: (p > 3).astype(kind), np.array([3.0]), 0.25
            ),
            2,
        ),
        (
            lambda: secant.numerical_gradient(
                lambda s: (s > 3).astype(kind)[:, 0], [3.0], 0.25, vectorized=True
            ),
            2,
        ),
    ):
        with pytest.warns(
            RuntimeWarning, match=f"^f returns {np.dtype(kind)} and jumps near x"
        ) as caught:
            assert np.squeeze(call()) == slope
        assert [warning.filename for warning in caught] == [__file__]


def test_a_hinge_that_returns_the_integer_0_has_its_slope_without_a_warning():
    assert secant.numerical_gradient(
        lambda p: p[0] ** 2 if p[0] > 0 else 0, np.zeros(1)
    ).round(3).tolist() == [0]
    assert secant.numerical_gradient(lambda p: max(0, p[0] - 1), np.ones(1)).round(
        9
    ).tolist() == [0.5]


@pytest.mark.parametrize(
    "rounded",
    [lambda v: round(v, 3), lambda v: float(f"{v:.4g}")],
    ids=["round", "%.4g"],
)
def test_rounded_values_are_differentiated_with_a_warning(rounded):
    f, x = lambda p: rounded(float(np.exp(p).sum())), np.array([0.3, 2.0])
    with pytest.warns(
        RuntimeWarning, match="^f returns rounded values, so its differences are too"
    ) as caught:
        secant.numerical_gradient(f, x)
    assert [warning.filename for warning in caught] == [__file__]
    found = secant.numerical_gradient(f, x, scheme="auto", full_output=True)
    assert (np.abs(found.value - np.exp(x)) <= found.error).all()


def remembering():
    """A function that keeps its values by rounded keys: it has one value within the
    step.
    """
    values = {}
    return lambda x: values.setdefault(tuple(np.round(x, 3).tolist()), float(x @ x))


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point"])
def test_differences_of_0_next_to_another_value_are_warned_of(scheme):
    x = np.array([1.0, 2.0])
    for call in (
        lambda: secant.numerical_gradient(remembering(), x, scheme=scheme),
        lambda: secant.numerical_gradient(
            remembering(), x, scheme=scheme, inplace=True
        ),
        lambda: secant.numerical_jacobian(remembering(), x, scheme=scheme),
        lambda: secant.numerical_gradient(
            lambda stack: np.sum(np.round(stack, 3) ** 2, axis=1),
            x,
            scheme=scheme,
            vectorized=True,
        ),
        lambda: secant.numerical_diff(lambda x: np.round(x, 3) ** 2, x, scheme=scheme),
        lambda: secant.numerical_gradient(
            remembering(), x, scheme=scheme, bounds=(1, 2)
        ),
        lambda: secant.numerical_hessian(remembering(), x, scheme="central"),
    ):
        with pytest.warns(
            RuntimeWarning,
            match="^all differences of f are 0, but f changes farther away: ",
        ) as caught:
            assert not call().any()
        assert [warning.filename for warning in caught] == [__file__]


OPTIMA = {
    "squares": (lambda x: float(x @ x), np.zeros(3), 1e-4),
    "squares and a constant": (lambda x: 5 + float(x @ x), np.zeros(3), 1e-9),
    "cosine": (lambda x: float(np.cos(x).sum()), np.zeros(3), 1.5e-8),
    "fourth powers": (lambda x: 1 + float(np.sum(x**4)), np.zeros(2), 1e-4),
    "not even": (lambda x: 1 + float(np.sum(x**2 + x**3)), np.zeros(2), 1.5e-8),
    "absolute values": (lambda x: float(np.abs(x).sum()), np.zeros(2), 1e-4),
    "an array": (lambda x: 2 + x**2, np.zeros(2), 1e-9),
}


@pytest.mark.parametrize("scheme", ["central", "five-point"])
@pytest.mark.parametrize(("f", "x", "h"), OPTIMA.values(), ids=OPTIMA)
def test_at_an_optimum_differences_of_0_are_right(f, x, h, scheme):
    call = secant.numerical_jacobian if np.ndim(f(x)) else secant.numerical_gradient
    assert not call(f, x, h, scheme=scheme).any()


JUMPS = {
    "one coordinate": (lambda x: 1.0 * (x[0] > 1), [1.0, 2.0]),
    "floor": (lambda x: 0.5 * float(np.sum(np.floor(x))), [1.0, 2.0]),
    "ceil": (lambda x: 0.5 * float(np.sum(np.ceil(x))), [1.0, 2.0, 3.0]),
    "a threshold": (lambda x: 3.5 if x.sum() < 3 else -1.25, [1.0, 2.0]),
}


@pytest.mark.parametrize(("f", "x"), JUMPS.values(), ids=JUMPS)
def test_a_jump_is_called_a_jump(f, x):
    with pytest.warns(RuntimeWarning, match="^f jumps within the step: ") as caught:
        assert secant.numerical_gradient(f, x).any()
    assert [warning.filename for warning in caught] == [__file__]


def test_the_book_is_named_where_its_descent_is_meant():
    x = np.array([3.0, 4.0])
    for call in (
        secant.numerical_gradient,
        secant.numerical_jacobian,
        secant.numerical_hessian,
    ):
        with pytest.warns(
            RuntimeWarning, match="^f returned one and the same value"
        ) as caught:
            call(lambda _: 2.5, x)
        assert "book" not in str(caught[0].message)


def of_sympy():
    return pytest.importorskip("sympy").symbols("b")


BAD_RETURNS = [
    (lambda: None, DTypeError, "a real number, got None"),
    (lambda: "3", DTypeError, "a real number, got '3'"),
    (lambda: 1j, DTypeError, "a real number, got 1j"),
    (lambda: [None], DTypeError, "a real number, got "),
    (of_sympy, DTypeError, r"a real number, got b of type Symbol\n"),
    (
        lambda: tensor("bfloat16")(1.0),
        DTypeError,
        r"a real number, got tensor\(.*bfloat16",
    ),
    (lambda: np.ma.masked, DTypeError, "a real number, got a masked array"),
    (
        lambda: np.ones(2),
        ShapeError,
        r"a single number, got an array of shape \(2,\)\n",
    ),
    (lambda: [], ShapeError, r"a single number, got an array of shape \(0,\)\n"),
]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    BAD_RETURNS,
    ids=[message for *_, message in BAD_RETURNS],
)
def test_f_must_return_one_real_number(make, error, message):
    returned = make()
    with pytest.raises(error, match=f"^f must return {message}"):
        secant.numerical_gradient(lambda p: returned, np.ones(2))
    if error is DTypeError:
        with pytest.raises(DTypeError, match=r"^f must return real numbers, got "):
            secant.numerical_diff(lambda x: returned, 3.0)
