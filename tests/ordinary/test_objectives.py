"""Derivatives, descent and checks of objectives that people write: all agree with the
exact derivatives.
"""

import functools
import importlib.util
import warnings

import numpy as np
import pytest
from objectives import CASES, VECTORS

import secant

FLOAT32 = 1e-2  # of the largest entry: the rounding of float32 divided by h


DEAR = (
    "ode_by_solve_ivp",
    "ode_by_odeint",
    "returns_a_float_of_sympy",
    "columns_of_a_data_frame",
)


def of_each(table, every=1, dear=DEAR):
    """Run a test for each objective.

    The default run takes every ``every``-th, and none that takes long.
    """
    left_out = [name for i, name in enumerate(table) if i % every or name in dear]
    marks = {name: pytest.mark.slow if name in left_out else () for name in table}
    return pytest.mark.parametrize(
        "case",
        [pytest.param(table[name], id=name, marks=marks[name]) for name in table],
    )


@pytest.fixture(autouse=True)
def installed(case):
    for name in case.needs:
        if not importlib.util.find_spec(name):
            pytest.skip(f"{name} is not installed")


def of_new_function(case, call, *others, **options):
    """Call with a new f and the array that it may hold, which has the same bits
    afterwards.
    """
    x = case.x.copy()
    f, bits = case.make(x), x.tobytes()
    with warnings.catch_warnings():
        if case.is_float32:
            warnings.filterwarnings("ignore", ".*float32", RuntimeWarning)
        value = call(f, x, *others, **options)
    assert x.tobytes() == bits
    return value


def derivative(case, call, **options):
    return of_new_function(case, call, args=case.args, kwargs=case.kwargs, **options)


def agrees(case, given, exact, rtol=None):
    rtol = FLOAT32 if case.is_float32 else rtol or case.rtol
    assert given.shape == exact.shape
    np.testing.assert_allclose(given, exact, rtol=0, atol=rtol * np.max(np.abs(exact)))


def is_covered(case, found, exact, digits=1e-15):
    """The error bar holds, and is small enough to be of use."""
    assert found.value.shape == exact.shape
    size = np.max(np.abs(exact))
    assert (
        np.abs(found.value - exact) <= found.error + (digits + case.own_error) * size
    ).all()
    assert (found.error <= (0.1 if case.is_float32 else 1e-4) * size).all()


@of_each(CASES, dear=())
def test_gradient(case):
    agrees(case, derivative(case, secant.numerical_gradient), case.jacobian())


@pytest.mark.slow
@of_each(CASES)
def test_gradient_of_five_points(case):
    agrees(
        case,
        derivative(case, secant.numerical_gradient, scheme="five-point"),
        case.jacobian(),
    )


@of_each(CASES)
def test_gradient_by_auto(case):
    found = derivative(case, secant.numerical_gradient, scheme="auto", full_output=True)
    is_covered(case, found, case.jacobian())


@of_each(CASES | VECTORS)
def test_jacobian(case):
    agrees(case, derivative(case, secant.numerical_jacobian), case.jacobian())


@of_each(VECTORS)
def test_jacobian_by_auto(case):
    found = derivative(case, secant.numerical_jacobian, scheme="auto", full_output=True)
    is_covered(case, found, case.jacobian())


@of_each(VECTORS)
def test_jacobian_of_a_pattern(case):
    pytest.importorskip("scipy", reason="SciPy is not installed")
    exact = case.jacobian().reshape(-1, case.x.size)
    found = derivative(case, secant.numerical_jacobian, sparsity=exact != 0)
    agrees(case, found.toarray(), exact)


@of_each(CASES, every=2)
def test_hessian(case):
    found = derivative(case, secant.numerical_hessian, full_output=True)
    exact = case.hessian()
    size = max(np.max(np.abs(exact)), np.max(np.abs(case.jacobian())))
    known = found.error <= 0.1 * size
    assert (
        np.abs(found.value - exact)
        <= found.error + (1e-11 + 10 * case.own_error) * size
    ).all()
    assert case.is_float32 or case.own_error or known.all()


@pytest.mark.slow
@of_each(CASES)
def test_descent(case):
    exact, path = case.x.copy(), [case.x.copy()]
    rate = 0.02 / np.max(np.abs(case.jacobian()))
    for _ in range(3):
        exact = exact - rate * case.jacobian(exact)
        path.append(exact)
    end, walked = derivative(
        case, secant.gradient_descent, lr=rate, step_num=3, return_path=True
    )
    np.testing.assert_allclose(
        walked, path, rtol=0, atol=0.1 * (FLOAT32 if case.is_float32 else case.rtol)
    )
    assert np.array_equal(end, walked[-1])


def check(case, gradient):
    def call(f, x):
        f = functools.partial(f, **case.kwargs) if case.kwargs else f
        return secant.check_gradient(f, x, gradient, args=case.args)

    return of_new_function(case, call)


@of_each(CASES)
def test_check_of_the_right_gradient(case):
    report = check(case, case.jacobian())
    if case.own_error:  # which the check is fine enough to see
        size = np.max(np.abs(case.jacobian()))
        assert all(
            abs(each.gradient - each.numerical) <= case.own_error * size
            for each in report.findings
        )
    else:
        assert report.verdict in (
            ("right", "not verified") if case.is_float32 else ("right",)
        ), report


@of_each(CASES, every=2)
def test_check_of_a_wrong_gradient(case):
    gradient = case.jacobian()
    wrong = np.argmax(np.abs(gradient))
    gradient.flat[wrong] *= 1.3
    report = check(case, gradient)
    assert report.verdict == "wrong"
    assert wrong in [
        np.ravel_multi_index(each.index, gradient.shape) for each in report.findings
    ]
