"""What f returns, and what it does to its argument: what is taken, what is warned of and what is refused."""

import numpy as np
import pytest

import secant
from secant.differentiation import native
from secant.errors import DTypeError, ShapeError, ValueRangeError

RESULTS = {
    "int": int,
    "numpy float": np.float64,
    "zero-dimensional array": np.array,
    "array of one": lambda v: np.array([v]),
    "matrix of one": lambda v: np.array([[v]]),
    "list of one": lambda v: [v],
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_f_may_return_anything_that_is_one_number(result):
    assert secant.numerical_gradient(lambda p: result(4 * p[0]), np.zeros(1), h=0.25).tolist() == [4]


@pytest.mark.parametrize("returned", [None, [1.0]])
def test_a_derivative_needs_a_number_or_an_array(returned):
    with pytest.raises(DTypeError, match=f"f must return a number or an array, got {type(returned).__name__}"):
        secant.numerical_diff(lambda x: returned, 3.0)


def test_whole_numbers_that_jump_are_differentiated_with_a_warning():
    for kind in (np.int64, np.uint8, np.bool_):
        with pytest.warns(RuntimeWarning, match=f"^f returns {np.dtype(kind)} and jumps near x") as caught:
            gradient = secant.numerical_gradient(lambda p, kind=kind: kind(p[0] > 3), np.array([3.0]), 0.25)
        assert gradient.tolist() == [2]
        assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(RuntimeWarning, match="^f returns int64"):
        secant.numerical_jacobian(lambda p: (p > 1).astype(np.int64), np.ones(2))
    with pytest.warns(RuntimeWarning, match="^f returns int64"):
        secant.numerical_gradient(lambda s: np.sum(s > 1, axis=1), np.ones(2), vectorized=True)


def test_a_step_function_is_differentiated_without_one():
    x = np.array([-1.0, 2.0])
    for scheme in ("central", "forward", "five-point", "auto"):
        assert secant.numerical_gradient(lambda p: np.sum(p > 0), x, scheme=scheme).tolist() == [0, 0]
    assert secant.numerical_diff(lambda p: (p > 0).astype(np.int64), x).tolist() == [0, 0]


@pytest.mark.parametrize(("scheme", "step"), [("central", "5e-02"), ("forward", "3e-03"), ("five-point", "4e-01")])
def test_float32_is_differentiated_with_a_warning_that_names_a_step(scheme, step):
    def f(x):
        return np.sum(np.exp(x / 10).astype(np.float32))

    x = np.array([10.0, -10.0])
    with pytest.warns(RuntimeWarning, match=f"^f returns float32, .* at h = 0.0001: take h = {step}, scheme='auto'"):
        before = secant.numerical_gradient(f, x, scheme=scheme)
    after = secant.numerical_gradient(f, x, float(step), scheme=scheme)
    right = np.exp(x / 10) / 10
    assert np.abs(after - right).max() < np.abs(before - right).max() / 4
    secant.numerical_gradient(f, x, scheme="auto")


@pytest.mark.parametrize("core", [True, False], ids=["core", "numba"])
def test_what_a_jitted_function_returns_is_known_too(core, monkeypatch):
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(native, "core", native.core if core else lambda: None)
    for kind in (np.float32, np.int64):
        with pytest.warns(RuntimeWarning, match=f"^f returns {np.dtype(kind)}"):
            secant.numerical_gradient(numba.njit(lambda x, kind=kind: kind(x[0])), np.ones(2))
    with pytest.warns(RuntimeWarning, match="^f returns float32"):
        secant.numerical_jacobian(numba.njit(lambda x: x.astype(np.float32)), np.ones(2))
    assert secant.numerical_gradient(numba.njit(lambda x: (x[0],)[0]), np.ones(1)).round(6).tolist() == [1]


def test_f_must_return_one_number():
    with pytest.raises(ShapeError, match=r"^f must return a single number, got an array of shape \(2,\)\n"):
        secant.numerical_gradient(lambda p: p**2, np.array([1.0, 2.0]))
    with pytest.raises(ShapeError, match=r"^f must return a single number, got an array of shape \(0,\)\n"):
        secant.numerical_gradient(lambda p: [], np.array([1.0, 2.0]))


@pytest.mark.parametrize("value", [None, "3", 1j, np.complex128(1j), [None]], ids=repr)
def test_what_f_returns_must_be_real(value):
    with pytest.raises(DTypeError, match=r"^f must return a real number, got "):
        secant.numerical_gradient(lambda p: value, np.ones(2))


def test_a_ragged_result_of_f_is_no_number():
    with pytest.raises(secant.ShapeError, match="f must return a single number"):
        secant.numerical_gradient(lambda _: [[1], [1, 2]], np.zeros(2))


def doubled(v):
    v *= 2
    return v


@pytest.mark.parametrize("options", [{}, {"scheme": "forward"}, {"n_jobs": 2}])
def test_a_function_that_writes_to_its_argument_is_refused(options):
    x = np.array([1.0, 2.0, 3.0])
    with pytest.raises(ValueRangeError, match="f must leave its argument as it is, but it changes x"):
        secant.numerical_gradient(lambda v: float(np.sum(doubled(v) ** 2)), x, **options)
    with pytest.raises(ValueRangeError, match="f must leave its argument as it is, but it changes x"):
        secant.numerical_jacobian(lambda v: doubled(v) ** 2, x, **options)
    assert x.tolist() == [1, 2, 3]


def test_a_masked_value_is_refused():
    for value in (np.ma.array(5.0, mask=True), np.ma.masked):
        with pytest.raises(DTypeError, match="f must return a real number, got a masked array"):
            secant.numerical_gradient(lambda v, value=value: value, np.ones(3))


def test_a_function_that_takes_its_stack_as_one_point_is_refused():
    with pytest.raises(ValueRangeError, match="f must return the value of each point by itself"):
        secant.numerical_gradient(lambda v: np.full(len(v), np.sum(v**2)), np.array([1.0, 2.0]), vectorized=True)


def test_a_function_that_writes_to_its_stack_is_refused():
    x = np.array([1.0, 2.0])
    with pytest.raises(ValueRangeError, match="f must leave its argument as it is, but it changes the stack"):
        secant.numerical_gradient(lambda v: np.sum(doubled(v), axis=1), x, vectorized=True)
    assert x.tolist() == [1, 2]
