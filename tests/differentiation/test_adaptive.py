"""The scheme "auto" and error bars: they cover the truth, and are no larger than they
have to be.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from families import FAMILIES, in_float32

import secant
from secant.differentiation.lines import Differences
from secant.errors import UnsupportedError, ValueRangeError


def gradient_and_bars(f, x, *arguments, **options):
    found = secant.numerical_gradient(f, x, *arguments, full_output=True, **options)
    return found.value, found.error


def require_covered(f, x, slope, most=np.inf):
    """The error bars of a gradient hold, and are at most so large. Returns them."""
    found, bars = gradient_and_bars(f, np.asarray(x), scheme="auto")
    assert (np.abs(found - slope) <= bars).all()
    assert (bars <= most).all()
    return bars


# where all squared kinks are 0
@pytest.mark.filterwarnings("ignore:f returned one and the same value")
@pytest.mark.parametrize(
    "rounded",
    [
        pytest.param(lambda case: case, id="float64"),
        pytest.param(in_float32, id="float32", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_error_bars_cover_the_truth(family, rounded):
    rng, errors, bars = np.random.default_rng(len(family)), [], []
    for n in (1, 2, 5, 20) * 4:
        case = rounded(FAMILIES[family](rng, n))
        gradient, bar = gradient_and_bars(case.f, case.x, scheme="auto")
        errors += list(np.abs(gradient - case.gradient))
        bars += list(bar)
    assert np.mean(np.array(errors) > bars) <= 0.01
    assert np.median(np.array(bars) / np.maximum(errors, 1e-300)) <= 200


ORDINARY = {
    # name: (f, x, gradient, the largest error bar)
    "a penalty beside x": (
        lambda x: 1e10 if x[0] < 1 - 1e-4 else x @ x,
        [1.0, 1.0],
        [2.0, 2.0],
        1e-8,
    ),
    "the branch cut of an angle": (
        lambda x: np.arctan2(x[1], x[0]),
        [-1.0, 0.0],
        [0.0, -1.0],
        1e-7,
    ),
    "x sqrt|x| at 0": (lambda x: (x * np.sqrt(np.abs(x))).sum(), [0.0], [0.0], 1e-3),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_error_bars_of_ordinary_functions_are_small(name):
    f, x, gradient, most = ORDINARY[name]
    require_covered(f, x, gradient, most)


def test_round_outputs_of_float64_are_not_taken_for_float32():
    found = secant.numerical_jacobian(
        lambda x: x**2, [1.0, 2.0], scheme="auto", full_output=True
    )
    assert (np.abs(found.value - np.diag([2, 4])) <= found.error).all()
    assert (found.error < 1e-11).all()


def test_an_infinite_slope_is_not_a_number():
    found = secant.numerical_gradient(
        lambda x: np.cbrt(x).sum(), np.zeros(1), scheme="auto", full_output=True
    )
    assert np.isnan(found.value)
    assert np.isinf(found.error)
    assert found.status.tolist() == ["unknown"]


def _noise(x):
    """At most a hundredth, and as good as random."""
    return 0.01 * np.sin(1e17 * x[0])


@pytest.mark.parametrize(
    ("f", "x", "status"),
    [
        pytest.param(lambda x: x @ x, [0.0, 1.0], ["converged"] * 2, id="minimum"),
        pytest.param(
            lambda x: np.sin(x[0]), [1.0, 2.0], ["converged"] * 2, id="unused"
        ),
        pytest.param(lambda x: 3.0, [1.0], ["converged"], id="constant"),
        pytest.param(
            lambda x: 1e-200 * np.sin(x).sum(), [1.0], ["converged"], id="tiny"
        ),
        pytest.param(
            lambda x: np.float32(np.sin(x).sum()), [1.0], ["converged"], id="float32"
        ),
        pytest.param(
            lambda x: np.arccos(1 - x[0]) ** 2, [0.0], ["converged"], id="end of domain"
        ),
        pytest.param(
            lambda x: abs(x[0]) + x[1], [0.0, 1.0], ["kink", "converged"], id="kink"
        ),
        pytest.param(lambda x: np.sin(x[0]) + _noise(x), [1.0], ["noisy"], id="noise"),
        pytest.param(
            lambda x: np.sqrt(x[0] - 1) ** 3 + _noise(x),
            [1.0],
            ["one-sided"],
            id="noise at the end of a domain",
        ),
        pytest.param(
            lambda x: 1e10 + 1e-8 * np.sin(x[0]), [1.0], ["noisy"], id="lost digits"
        ),
        pytest.param(lambda x: np.sqrt(x[0]), [0.0], ["unknown"], id="infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:f returned one and the same value")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_status_says_how_well_an_entry_is_known(f, x, status):
    found = secant.numerical_gradient(f, x, scheme="auto", full_output=True)
    assert found.status.tolist() == status
    assert found.success.tolist() == [each == "converged" for each in status]


def test_status_of_a_number_is_a_string():
    found = secant.numerical_diff(np.sin, 1.0, scheme="auto", full_output=True)
    assert (found.status, found.success) == ("converged", True)


@pytest.mark.parametrize("scheme", ["auto", "central", "forward"])
def test_status_of_difference_quotients_and_sparse_arrays(scheme):
    """Entries that are 0 are kept: each has its status."""
    x = np.array([0.0, 3.0])
    found = secant.numerical_jacobian(
        lambda x: np.array([0 * x[0], abs(x[1] - 3)]),
        x,
        scheme=scheme,
        sparsity=np.eye(2),
        full_output=True,
    )
    assert found.status.tolist() == ["converged", "kink"]
    assert (found.value.nnz, found.error.nnz) == (2, 2)


@pytest.mark.parametrize("sparsity", [None, np.eye(2)])
def test_status_of_hessians(sparsity):
    def f(x):
        return abs(x[0]) + x[1] ** 2

    def gradient(x):
        return np.array([abs(x[0]), 2 * x[1]])

    for found in (
        secant.numerical_hessian(f, [0.0, 1.0], sparsity=sparsity, full_output=True),
        secant.numerical_hessian(
            None,
            [0.0, 1.0],
            gradient=gradient,
            scheme="auto",
            sparsity=sparsity,
            full_output=True,
        ),
    ):
        is_diagonal = np.eye(2, dtype=bool) if sparsity is None else slice(None)
        assert found.status[is_diagonal].tolist() == ["kink", "converged"]


def test_status_of_a_hessian_at_a_small_x():
    """A second derivative is beside the change of f over the size of x, squared."""
    size = 1e-3
    found = secant.numerical_hessian(
        lambda x: np.sin(x / size).sum() + 0.01 * _noise(x / size),
        [size, 2 * size],
        full_output=True,
    )
    assert found.error[0, 1] > 1 / size  # which is beside f / size, not f / size**2
    assert (found.status == "converged").all()


def test_gradients_by_auto_have_hessians():
    def f(x):
        return np.cos(x[0] - x[1])

    def gradient(x):
        return secant.numerical_gradient(f, x, scheme="auto")

    found = secant.numerical_hessian(
        f, [0.0, 0.0], gradient=gradient, scheme="auto", full_output=True
    )
    assert (np.abs(found.value - [[-1, 1], [1, -1]]) <= found.error).all()
    assert (found.error < 1e-7).all()


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e9, 1e12])
def test_the_points_of_an_array_are_where_rounding_leaves_them(size):
    x = np.random.default_rng(0).uniform(0.5, 2, 50) * size
    found = secant.numerical_diff(np.sin, x, scheme="auto", full_output=True)
    assert (np.abs(found.value - np.cos(x)) <= found.error).all()
    assert np.median(found.error) < max(1e-8, 1e-13 * size)  # f may round x


def test_many_elements_are_evaluated_as_often_as_few():
    # the steps are learned from 100 of them
    x = np.linspace(0.1, 3, 20_000)
    found = secant.numerical_diff(np.sin, x, scheme="auto", full_output=True)
    assert (np.abs(found.value - np.cos(x)) <= found.error).all()
    assert found.error.max() < 1e-11
    few = secant.numerical_diff(np.sin, x[:100], scheme="auto", full_output=True)
    assert found.nfev <= 3 * few.nfev


def test_a_kink_among_many_elements_does_not_hide():
    x = np.linspace(1, 2, 1_001)
    x[555] = 0.0  # none of the 100 from which the steps are learned
    found = secant.numerical_diff(np.abs, x, scheme="auto", full_output=True)
    assert found.error[555] > 0.999
    assert np.delete(found.error, 555).max() < 1e-9


def test_an_elementwise_function_may_round_what_it_computes_of_x():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=20), 10 ** rng.uniform(1, 5, 20)
        found = secant.numerical_diff(
            lambda x: np.sin(w * x),  # noqa: B023
            x,
            scheme="auto",
            full_output=True,
        )
        assert (np.abs(found.value - w * np.cos(w * x)) <= found.error).all()


def test_a_part_in_float32_beside_a_larger_one_in_float64():
    def f(x):
        return 1e3 * np.sum(x**2) + float(np.sum(np.sin(x.astype(np.float32))))

    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=20)
        require_covered(f, x, 2e3 * x + np.cos(x))


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point"])
@pytest.mark.parametrize("h", [1e-2, 1e-4, 1e-10])
def test_the_error_bar_of_another_scheme_is_that_of_its_result(scheme, h):
    x = np.array([0.1, 1.0, 2.0])
    gradient, bar = gradient_and_bars(lambda x: np.exp(x).sum(), x, h, scheme=scheme)
    assert (
        gradient.tobytes()
        == secant.numerical_gradient(
            lambda x: np.exp(x).sum(), x, h, scheme=scheme
        ).tobytes()
    )
    error = np.abs(gradient - np.exp(x))
    assert (error <= bar).all()
    assert (bar <= 2 * error + 1e-10).all()


@pytest.mark.parametrize("seed", [15, 92])
def test_noise_that_jumps_now_and_then_is_not_taken_for_a_slope(seed):
    """What a solver leaves seems to grow from step to step, as smooth functions do, but
    does not go on.
    """
    optimize, integrate = (
        pytest.importorskip("scipy.optimize"),
        pytest.importorskip("scipy.integrate"),
    )
    w = np.random.default_rng(seed).uniform(0.5, 3, 2)

    def least(w):
        return optimize.minimize_scalar(
            lambda x: x**4 / 4 + w[1] * x**2 / 2 - w[0] * x
        ).x

    slope = 1 / (3 * least(w) ** 2 + w[1])
    found, bars = gradient_and_bars(least, w, scheme="auto")
    np.testing.assert_allclose(found, [slope, -slope * least(w)], rtol=1e-3)
    assert (bars < 1e-3).all()

    def decay(k):
        return integrate.solve_ivp(
            lambda t, y: [-k[0] * y[0], k[0] * y[0]], (0, 2), [1, 0], "LSODA"
        ).y[0, -1]

    for k in (np.array([1.3]), np.random.default_rng(43).uniform(0.2, 3, 1)):
        exact = np.exp(-2 * k[0])
        np.testing.assert_allclose(
            gradient_and_bars(decay, k, scheme="auto")[0], -2 * exact, rtol=0.1
        )
        np.testing.assert_allclose(
            secant.numerical_hessian(decay, k), 4 * exact, rtol=0.1
        )


def test_entries_are_shifted_by_a_tenth_of_one_or_of_their_size_at_most():
    x, shifts = np.array([1.3, 0.4, 1e-5, 0.0, 25.0]), [np.zeros(5)]

    def f(at):
        shifts.append(np.abs(at - x))
        return np.exp(at[0]) + 1e-6 * at[1:].sum() + 1e-3 * math.sin(1e9 * at.sum())

    secant.numerical_gradient(f, x, scheme="auto")
    with pytest.warns(RuntimeWarning, match="the Hessian is below the noise of f"):
        secant.numerical_hessian(f, x)
    assert (np.max(shifts, axis=0) <= 0.16 * np.maximum(1, np.abs(x))).all()


def test_an_entry_on_a_kink_has_a_bar_as_large_as_the_jump():
    gradient, bar = gradient_and_bars(
        lambda x: abs(x[0]) + x[1], np.array([0.0, 1.0]), scheme="auto"
    )
    assert bar[0] >= 1 - abs(gradient[0])
    assert bar[1] < 1e-9


@pytest.mark.parametrize("width", [1e-6, 1e-3, 1e-2, 0.1])
def test_a_function_that_is_0_beyond_a_step(width):
    f = lambda x: np.sum(np.where(np.abs(x - 0.5) < width, 1 + np.sin(x), 0))  # noqa: E731
    gradient, bar = gradient_and_bars(f, np.array([0.5]), scheme="auto")
    assert abs(gradient - np.cos(0.5)) <= bar
    assert secant.check_gradient(f, np.array([0.5]), np.cos([0.5])).verdict != "wrong"


def test_an_entry_of_which_f_is_constant_up_to_a_kink_has_an_error_bar_of_rounding():
    x = np.array([0.1, 0.2, 0.9])
    gradient, bar = gradient_and_bars(
        lambda x: np.maximum(x - 0.3, 0) @ [1, 2, 3], x, scheme="auto"
    )
    assert (gradient[:2] == 0).all()
    assert bar.max() < 1e-12


CANCELLING = {
    "sine of pi": (lambda x: np.sin(x).sum(), np.array([np.pi]), np.cos),
    "odd": (lambda x: np.sum(x**3), np.linspace(-1, 1, 10), lambda x: 3 * x**2),
    "zero": (lambda x: np.sin(x).sum(), np.zeros(5), np.cos),
    "tiny": (lambda x: np.sin(x).sum(), np.full(3, 1e-300), np.cos),
}


@pytest.mark.parametrize(
    ("rounded", "most"),
    [(np.float64, 1e-11), (np.float32, 1e-4)],
    ids=["float64", "float32"],
)
@pytest.mark.parametrize("case", CANCELLING)
def test_error_bars_do_not_depend_on_how_near_f_is_to_zero(case, rounded, most):
    f, x, gradient = CANCELLING[case]
    bars = require_covered(lambda x: rounded(f(x)), x, gradient(x), most)
    assert bars.min() > np.finfo(rounded).eps


@pytest.mark.parametrize("at", [0.0, 1e-6, 1e-3])
def test_a_kink_among_many_entries_does_not_hide(at):
    x = np.linspace(1, 2, 160)
    x[77] = at

    right = 2 * x + np.where(np.arange(160) == 77, np.sign(x), 0)
    bar = require_covered(lambda x: float(np.abs(x[77]) + np.sum(x**2)), x, right)
    assert bar[77] > 0.999 if at == 0 else bar[77] < 1e-5
    assert np.delete(bar, 77).max() < 1e-9


@pytest.mark.parametrize("frequency", [1, 8])
@pytest.mark.parametrize("x", [[1.0], [-2.0], [48.0], [4.0, 8.0], [2.0] * 40])
def test_steps_at_whole_numbers_are_no_multiples_of_a_period(x, frequency):
    right = 1 + frequency * np.pi * np.cos(frequency * np.pi * np.array(x))
    require_covered(
        lambda x: float(np.sum(x + np.sin(frequency * np.pi * x))), x, right, 1e-4
    )


def test_x_may_be_a_single_number():
    for x in (3.0, np.array(3.0)):
        gradient, bar = gradient_and_bars(lambda x: np.sum(x**2), x, scheme="auto")
        assert gradient.shape == bar.shape == ()
        assert abs(gradient - 6) <= bar < 1e-12
    assert (
        secant.gradient_descent(
            lambda x: np.sum(x**2), 3.0, 0.5, 1, scheme="auto"
        ).round(9)
        == 0
    )


@pytest.mark.parametrize("x", [[1e-5, 1.0], [1e-8, 5.0], [0.5, 1e-5, 3.0]])
def test_an_entry_near_the_end_of_the_domain_beside_large_ones(x):
    x = np.array(x)
    for f, right in (
        (np.log, 1 / x),
        (np.sqrt, 0.5 / np.sqrt(x)),
        (lambda x: x * np.log(x), np.log(x) + 1),
    ):
        require_covered(
            lambda x, f=f: float(np.sum(f(x))), x, right, 1e-4 * np.abs(right)
        )


def raising(f):
    """f, which raises where it is NaN."""

    def raises(x):
        if not math.isfinite(value := f(x)):
            raise ArithmeticError("not defined")
        return value

    return raises


AT_ENDS = {  # f, x and its derivative, the largest error bar
    "x**1.5": (lambda x: x[0] ** 1.5 + x[1], [0.0, 1.0], [0.0, 1.0], 0.1),
    "x**2.5": (
        lambda x: x[0] ** 2.5 + np.sin(x[0]) + x[1] ** 2,
        [0.0, 3.0],
        [1.0, 6.0],
        1e-4,
    ),
    "(1 - x)**2.5": (lambda x: (1 - x[0]) ** 2.5 + x[0], [1.0], [1.0], 1e-4),
    "0 * sqrt(x - 1)": (
        lambda x: np.exp(x[0]) + 0 * np.sqrt(x[0] - 1),
        [1.0],
        [np.e],
        1e-8,
    ),
    "infinite above 1": (
        lambda x: float(np.where(x > 1, np.inf, x).sum()),
        [1.0, 0.5, 0.0, 0.3],
        1.0,
        1e-9,
    ),
}


@pytest.mark.parametrize("wrapped", [lambda f: f, raising], ids=["NaN", "raises"])
@pytest.mark.parametrize(("f", "x", "slope", "largest"), AT_ENDS.values(), ids=AT_ENDS)
def test_where_the_domain_of_f_ends_at_x_the_derivative_is_one_sided(
    f, x, slope, largest, wrapped
):
    with np.errstate(invalid="ignore"):
        require_covered(wrapped(f), x, slope, largest)


@pytest.mark.parametrize("vectorized", [False, True])
def test_the_entry_that_has_no_slope_at_the_end_of_a_domain_is_named(vectorized):
    def f(x):
        if (x < 0).any():
            raise ValueError("math domain error")
        return (x**0.5).sum(axis=(-2, -1))

    x = np.array([[1.0, 2.0], [0.0, 3.0]])
    with pytest.raises(ValueError, match="math domain error") as caught:
        secant.numerical_gradient(f, x, scheme="auto", vectorized=vectorized)
    advice = "no slope with an error bar was found at x[1, 0] = 0.0: f is not defined beside it, or its slope is infinite"
    assert advice in caught.value.__notes__[-1]


def test_a_value_that_is_not_finite_is_named_with_its_point():
    with pytest.raises(
        ValueRangeError,
        match=r"^f must be finite at x for .*, got nan at x = \[1. 2.\]$",
    ):
        secant.numerical_gradient(lambda x: np.nan, np.array([1.0, 2.0]), scheme="auto")
    with pytest.raises(
        ValueRangeError, match=r"^x must be finite for .*, got -inf at x\[1, 0\]$"
    ):
        secant.numerical_gradient(
            lambda x: 1.0, np.array([[1.0], [-np.inf]]), scheme="auto"
        )


@pytest.mark.parametrize("power", [1.2, 1.25, 4 / 3, 1.4, 1.6, 2.2])
def test_powers_at_the_end_of_a_domain(power):
    rng, missed = np.random.default_rng(0), 0
    for _ in range(20):
        a, c = rng.normal(size=2)
        f = lambda x, a=a, c=c: a * x[0] ** power + np.exp(c * x[0])  # noqa: E731
        found, bar = gradient_and_bars(f, [0.0], scheme="auto", bounds=(0, 9))
        missed += not abs(found[0] - c) <= bar[0]
    assert missed <= 1


@pytest.mark.parametrize(
    "call", ["gradient", "jacobian", "sparse", "elements", "hessian"]
)
def test_the_noise_that_the_user_knows_is_in_the_bars(call):
    x, noise = np.array([0.3, 1.0, 2.0, 0.7, 0.1]), 1e-6

    def f(x):
        """Exp as a solver of that tolerance may return it: its errors are smooth, and
        do not scatter.
        """
        return np.exp(x) + noise * np.sin(3e3 * x)

    options = {"noise": noise, "full_output": True}
    if call == "gradient":
        found = secant.numerical_gradient(
            lambda x: f(x).sum(), x, scheme="auto", **options
        )
    elif call == "elements":
        found = secant.numerical_diff(f, x, scheme="auto", **options)
    elif call == "hessian":
        found = secant.numerical_hessian(lambda x: f(x).sum(), x, **options)
    else:
        sparsity = (
            np.eye(5) if call == "sparse" and pytest.importorskip("scipy") else None
        )
        found = secant.numerical_jacobian(
            f, x, scheme="auto", sparsity=sparsity, **options
        )
    expected = np.exp(x) if call in ("gradient", "elements") else np.diag(np.exp(x))
    value, error = (
        each.toarray() if hasattr(each, "toarray") else each
        for each in (found.value, found.error)
    )
    assert (np.abs(value - expected) <= error).all()
    assert error.max() < (1.0 if call == "hessian" else 0.02)
    with pytest.raises(
        UnsupportedError, match=r"^noise is for scheme='auto' and error bars"
    ):
        secant.numerical_gradient(lambda x: x @ x, x, noise=noise)


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("room", [1e-8, 1e-6, 1e-4, 1e-2])
def test_error_bars_cover_what_f_loses_beside_a_pole(room, n):
    """1 - x**2 is rounded as x is, which the smallest steps do not show."""
    x = 1 - room * np.linspace(1, 2, n)
    require_covered(
        lambda x: float(np.sqrt(1 - x**2).sum()), x, -x / np.sqrt((1 - x) * (1 + x))
    )


def least_squares(seed):
    """A random matrix with at least as many rows as columns, and the solution."""
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 7)
    a = rng.normal(size=(n + rng.integers(0, 5), n))
    return a, rng.normal(size=n) * 10.0 ** rng.uniform(-1, 1)


@pytest.mark.parametrize("seed", [1, 18, 39, 58])
def test_error_bars_of_a_hessian_hold_where_residuals_are_zero(seed):
    a, x = least_squares(seed)
    size = np.abs(x).max()

    def residuals(z):
        return np.tanh(a @ z / size) - np.tanh(a @ x / size)

    found = secant.numerical_hessian(
        lambda z: float(residuals(z) @ residuals(z)), x, full_output=True
    )
    jacobian = a / size / np.cosh(a @ x / size)[:, np.newaxis] ** 2
    assert (np.abs(found.value - 2 * jacobian.T @ jacobian) <= found.error).all()


@pytest.mark.parametrize("seed", [18, 20, 33, 166])
def test_error_bars_of_a_gradient_hold_where_linear_residuals_are_zero(seed):
    """The gradient is what the rounding of residuals leaves of it; three slopes may
    agree by chance.
    """
    a, x = least_squares(seed)
    y = a @ x
    exact = np.vectorize(Fraction, otypes=[object])
    truth = (2 * exact(a).T @ (exact(a) @ exact(x) - exact(y))).astype(float)
    most = 1e-12 * np.abs(a).sum(axis=0) * np.abs(x).max()
    require_covered(lambda z: float(np.sum((a @ z - y) ** 2)), x, truth, most)


def test_an_output_that_is_not_defined_beside_x_leaves_the_others_their_slopes():
    with np.errstate(invalid="ignore"):
        found = secant.numerical_jacobian(
            lambda x: np.array([x[0] ** 2, np.sqrt(x[0] - 1)]),
            np.ones(1),
            scheme="auto",
            full_output=True,
        )
    assert np.abs(found.value[0, 0] - 2) <= found.error[0, 0] < 1e-12
    assert found.success.tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (lambda x: ((1 + x) ** 2 - 1) / x, 4.862329085967119e-05, 1),
        (lambda x: ((x + 1e3) - 1e3) / x, 0.01249010235923264, 0),
        (lambda x: (np.exp(x) - 1) / x, 9.771241535346502e-05, 0.50003257),
    ],
)
def test_what_cancels_next_to_x_is_noise(f, x, slope):
    gradient = secant.numerical_gradient(
        lambda x: f(x)[0], [x], scheme="auto", full_output=True
    )
    pair = secant.numerical_diff(f, np.array([x, 0.5]), scheme="auto", full_output=True)
    for value, error in (
        (gradient.value[0], gradient.error[0]),
        (pair.value[0], pair.error[0]),
    ):
        assert abs(value - slope) <= error + 1e-8 < 0.1


@pytest.mark.parametrize(
    "f", [lambda x: 1 - np.cos(x[0]), lambda x: 2 * (np.sqrt(1 + x[0] ** 2 / 2) - 1)]
)
def test_a_function_that_is_0_to_its_last_digit_near_x_is_not_taken_for_a_constant(f):
    found = secant.numerical_gradient(f, [4e-9], scheme="auto", full_output=True)
    assert abs(found.value - 4e-9) <= found.error < 1e-6


def test_where_x_plus_h_and_x_minus_h_are_rounded_differently_the_slope_of_a_quadratic_is_exact():
    up, down = np.array([[[1.0]]]), np.array([[[-0.75]]])
    differences = Differences.of(
        3 * up + 5 * up**2, 3 * down + 5 * down**2, up, down, np.zeros((1, 1, 1))
    )
    assert [float(part.item()) for part in differences] == [0.875, 3, 2 * 5 * 0.875, 8]


def test_a_second_derivative_next_to_where_f_overflows():
    """The parameter divides in an exponent, and f overflows where it is a little
    negative.
    """
    k = np.array([2.0, 3.0])
    found = secant.numerical_hessian(
        lambda x: np.sum((np.exp(-k * 1e-6 / x[0]) - 0.1) ** 2),
        [1e-6],
        full_output=True,
    )
    e = np.exp(-k)
    right = np.sum(2 * (k * e) ** 2 + 2 * (e - 0.1) * (k**2 - 2 * k) * e) * 1e12
    assert abs(found.value[0, 0] - right) <= found.error[0, 0] <= 1e-9 * right


@pytest.mark.parametrize(
    ("family", "rounded", "most"),
    [("rosenbrock", False, 6.3), ("exponentials", True, 9.0)],
)
def test_entries_take_few_evaluations(family, rounded, most):
    """``most`` an entry, without those that are for all."""
    case = FAMILIES[family](np.random.default_rng(0), 800)
    f = (in_float32(case) if rounded else case).f
    found = secant.numerical_gradient(f, case.x, scheme="auto", full_output=True)
    assert found.nfev <= most * 800 + 300
    assert np.mean(np.abs(found.value - case.gradient) > found.error) <= 0.001


DOMAINS = {
    "math.log": (
        lambda x: math.log(x[0]) + math.log(x[1]),
        [0.1, 2.0],
        lambda x: 1 / x,
    ),
    "math.exp": (lambda x: math.exp(x[0]) + math.exp(x[1]), [600.0, 1.0], np.exp),
    "a complex root": (
        lambda x: float(x[0]) ** 0.5 + float(x[1]) ** 0.5,
        [0.1, 2.0],
        lambda x: 0.5 * x**-0.5,
    ),
}


@pytest.mark.parametrize(("f", "x", "slope"), DOMAINS.values(), ids=DOMAINS)
def test_what_f_raises_at_steps_that_leave_its_domain_does_not_matter(f, x, slope):
    x = np.array(x)
    require_covered(f, x, slope(x), 1e-6 * np.abs(slope(x)).max())
    jacobian = secant.numerical_jacobian(lambda x: [f(x), x[0]], x, scheme="auto")
    assert (
        jacobian[0].tobytes()
        == secant.numerical_gradient(f, x, scheme="auto").tobytes()
    )


def test_an_entry_of_1e_46_and_one_of_0_where_numpy_raises_errors_of_rounding():
    with np.errstate(all="raise"):
        found = secant.numerical_gradient(
            lambda x: np.exp(1e46 * x[0]) + x[1],
            [2e-46, 0],
            scheme="auto",
            full_output=True,
        )
    assert found.value == pytest.approx([1e46 * np.exp(2), 1], rel=1e-9)
    assert (abs(found.value - [1e46 * np.exp(2), 1]) <= found.error).all()


@pytest.mark.parametrize("options", [{}, {"sparsity": np.eye(3)}])
def test_bounds_that_are_nearer_than_h_are_kept_to_the_last_digit(options):
    x = np.array([1.7e-6, 4.1e-6, 6.3e-6])
    found = secant.numerical_jacobian(
        lambda x: np.sqrt(x) + np.sqrt(1e-5 - x), x, bounds=(0, 1e-5), **options
    )
    assert np.isfinite(found.diagonal()).all()


@pytest.mark.parametrize("size", [1e160, 1e300])
def test_numbers_whose_squares_overflow(size):
    x = np.array([1.0, 2.0])
    for f, there, slope in (
        (lambda v: size * float(np.sum(np.sin(v))), x, size * np.cos(x)),
        (lambda v: float(np.sum(np.sin(v / size))), size * x, np.cos(x) / size),
    ):
        require_covered(f, there, slope, 1e-9 * np.abs(slope))
        assert secant.check_gradient(f, there, slope).passed
        assert (
            secant.check_gradient(f, there, 2 * slope).diagnosis
            == "the gradient is 2 times too large"
        )
        assert not secant.check_gradient(f, there, slope * [1, 1.001]).passed
    for check, right in (
        (secant.check_vjp, lambda c: size * c),
        (secant.check_jvp, lambda t: size * t),
    ):
        assert check(lambda v: size * v, x, right).passed
        assert not check(
            lambda v: size * v, x, lambda c, right=right: right(c) * [1, 1.001]
        ).passed
