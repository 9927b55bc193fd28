"""Steps by entry, bounds, domains, further arguments, and results with error bars."""

import ctypes
import importlib.util
import inspect
import math

import numpy as np
import pytest
import ways

import secant
from layouts import same_bits
from secant.errors import DTypeError, ShapeError, UnsupportedError, ValueRangeError

SCHEMES = ["forward", "central", "five-point"]
OF_SCIPY = {"forward": "2-point", "central": "3-point"}


def exponentials(x):
    return float(np.sum(np.exp(x) * np.arange(1.0, x.size + 1)))


# ---- steps ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"), [("forward", "2-point"), ("central", "3-point")]
)
def test_schemes_have_scipys_names_too(ours, theirs):
    x = np.array([0.3, -2.0])
    for call, f in ((secant.numerical_gradient, exponentials), (secant.numerical_jacobian, exponentials),
                    (secant.numerical_diff, np.exp)):  # fmt: skip
        assert call(f, x, scheme=ours).tobytes() == call(f, x, scheme=theirs).tobytes()


@pytest.mark.parametrize("scheme", OF_SCIPY)
@pytest.mark.parametrize(
    "rel_step", [None, 1e-6, [1e-5, 1e-6, -1e-7, 0.0, 1e-4]], ids=repr
)
@pytest.mark.parametrize(
    "bounds",
    [(-np.inf, np.inf), (-1e13, 1e13), ([-3.0, 0.0, -5.0, 1e-6, 0.0], 1e13)],
    ids=repr,
)
def test_relative_steps_are_scipys(scheme, rel_step, bounds):
    numdiff = pytest.importorskip("scipy.optimize._numdiff")
    x, seen = np.array([-3.0, 0.0, 1e-6, 1e-6, 1e13]), []

    def f(x):
        seen.append(x.copy())
        return np.sin(x[:4]).sum() + x[4] ** 2 * 1e-26

    options = {"h": None} if rel_step is None else {"rel_step": rel_step}
    gradient = secant.numerical_gradient(f, x, scheme=scheme, bounds=bounds, **options)
    ours, seen[:] = seen.copy(), []
    steps = None if rel_step is None else np.broadcast_to(rel_step, 5)
    expected = numdiff.approx_derivative(
        f, x, OF_SCIPY[scheme], rel_step=steps, bounds=bounds
    )
    np.testing.assert_allclose(
        sorted(ours, key=list), sorted(seen, key=list), rtol=1e-15
    )
    if rel_step is None:
        np.testing.assert_allclose(gradient, expected, rtol=1e-7)


def test_relative_steps_fit_the_type_that_f_returns():
    x = np.array([0.5, 2.0])
    for scheme, error in (("forward", 2e-3), ("central", 1e-4), ("five-point", 2e-5)):
        found = secant.numerical_gradient(
            lambda x: np.float32(np.sum(np.sin(x))), x, None, scheme=scheme
        )
        np.testing.assert_allclose(found, np.cos(x), atol=error)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "way",
    [
        "stacked",
        "jitted",
        "jitted, three threads",
        "ctypes, 1 threads",
        "ctypes, 2 threads",
    ],
)
@pytest.mark.parametrize("shape", [(20,), (4, 5)])
def test_steps_by_entry_and_bounds_have_the_same_bits_in_every_way(way, scheme, shape):
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=shape), 10.0 ** rng.integers(-6, -3, size=shape)
    f, options = ways.WAYS[way]()
    expected = np.array(
        [
            secant.numerical_gradient(ways.rosenbrock, x, h[i], scheme=scheme)[i]
            for i in np.ndindex(shape)
        ]
    ).reshape(shape)
    assert (
        secant.numerical_gradient(ways.rosenbrock, x, h, scheme=scheme).tobytes()
        == expected.tobytes()
    )
    assert (
        secant.numerical_gradient(f, x, h, scheme=scheme, **options).tobytes()
        == expected.tobytes()
    )
    x = np.resize([0.0, 1.0, 0.5, 0.2], shape)
    for step in (h, None):
        found = secant.numerical_gradient(
            f, x, step, scheme=scheme, bounds=(0, 1), **options
        )
        expected = secant.numerical_gradient(
            ways.rosenbrock, x, step, scheme=scheme, bounds=(0, 1)
        )
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"h": [1e-4, 1e-4, 1e-4]},
            ShapeError,
            r"h must have the shape of x, \(2,\), or broadcast to it, got \(3,\)",
        ),
        (
            {"h": [1e-4, 0.0]},
            ValueRangeError,
            "h must be finite and greater than 0, got 0.0",
        ),
        (
            {"h": np.nan},
            ValueRangeError,
            "h must be finite and greater than 0, got nan",
        ),
        ({"h": True}, DTypeError, "h must be a real number, got True"),
        ({"h": "relativ"}, DTypeError, "h must be a real number, got 'relativ'"),
        ({"rel_step": np.inf}, ValueRangeError, "rel_step must be finite, got inf"),
        (
            {"h": 1e-3, "rel_step": 1e-3},
            ValueRangeError,
            "h must be left out where rel_step is given",
        ),
        (
            {"bounds": 3},
            DTypeError,
            r"bounds must be a tuple \(lower, upper\) or scipy.optimize.Bounds, got 3",
        ),
        (
            {"bounds": (0, [1, 2, 3])},
            ShapeError,
            r"bounds must have the shape of x, \(2,\), or broadcast to it",
        ),
        (
            {"bounds": (0, 1)},
            ValueRangeError,
            r"within bounds, .*, got 2.0 at \(1,\), outside of \[0.0, 1.0\]",
        ),
        ({"bounds": (2, 2)}, ValueRangeError, "x must be within bounds"),
        (
            {"bounds": ([1, 2], [1, 3])},
            ValueRangeError,
            r"bounds must leave room to shift x, got \[1.0, 1.0\] at 0",
        ),
        ({"args": 3}, DTypeError, "args must be a tuple, got int"),
        ({"args": np.array([2])}, DTypeError, "args must be a tuple, got ndarray"),
        (
            {"bounds": (3, 0)},
            ValueRangeError,
            r"bounds must be .*: lower 3.0 exceeds upper 0.0 at \(0,\)",
        ),
        (
            {"bounds": [(0, 5), (1, 9), (0, 1)]},
            DTypeError,
            r"for each entry make scipy.optimize.Bounds\(\*zip",
        ),
        (
            {"bounds": ((0, None), (1, None))},
            DTypeError,
            r"for each entry make scipy.optimize.Bounds\(\*zip",
        ),
        ({"kwargs": 3}, DTypeError, "kwargs must be a dict, got int"),
    ],
    ids=str,
)
def test_what_is_given_is_checked(options, error, message):
    for call in (secant.numerical_gradient, secant.numerical_jacobian):
        with pytest.raises(error, match=message):
            call(np.sum, [1.0, 2.0], **options)


def test_one_step_is_that_of_each_entry():
    x = np.array([0.5, 2.0])
    assert np.array_equal(
        secant.numerical_gradient(exponentials, x, [1e-3]),
        secant.numerical_gradient(exponentials, x, 1e-3),
    )


def test_a_step_that_is_lost_is_said_once():
    x = np.array([1e13, 2.0, 1e14])

    def f(x):
        return float(x @ [1e-13, 1.0, 1e-14])

    with pytest.warns(RuntimeWarning, match=r"^h is lost in x: x\[0\]") as caught:
        assert secant.numerical_gradient(f, x).round(6).tolist() == [0, 1, 0]
    assert len(caught) == 1
    with pytest.warns(RuntimeWarning, match=r"^h is lost in x"):
        secant.numerical_gradient(ways.in_c(), x)
    np.testing.assert_allclose(
        secant.numerical_gradient(f, x, None), [1e-13, 1, 1e-14], rtol=1e-8
    )
    with pytest.warns(RuntimeWarning, match=r"^h is lost in x: "):
        # the chapter's
        assert secant.numerical_diff(lambda x: x * x + 16.0, 3.0, h=1e-30) == 0


# ---- bounds and domains --------------------------------------------------------------

PLACES = {
    "lower": 0.0,
    "upper": 1.0,
    "near the lower": 1e-6,
    "near the upper": 1 - 1e-6,
    "inside": 0.5,
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_point_is_outside_where_the_way_to_a_bound_is_rounded(scheme):
    rng = np.random.default_rng(0)
    lower, upper = -(rng.uniform(0, 1, 500) ** 9), rng.uniform(0, 1, 500) ** 9
    x = np.clip(rng.uniform(-1, 1, 500), lower, upper)

    def f(x):
        assert ((lower <= x) & (x <= upper)).all()
        return x

    found = secant.numerical_diff(f, x, 10.0, scheme=scheme, bounds=(lower, upper))
    np.testing.assert_allclose(found, 1)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("h", [1e-3, None, [1e-3, 2e-3, 1e-4]], ids=str)
def test_no_point_is_outside_and_the_order_stays(scheme, place, h):
    x = np.array([place, 0.5, 1 - place])

    def f(x):
        assert ((x >= 0) & (x <= 1)).all()
        return exponentials(x)

    truth = np.exp(x) * [1, 2, 3]
    error = {"forward": 1e-2, "central": 2e-5, "five-point": 1e-9}[scheme]
    for options in ({}, {"workers": 1}):
        found = secant.numerical_gradient(
            f, x, h, scheme=scheme, bounds=(0, 1), **options
        )
        np.testing.assert_allclose(found, truth, atol=error)
    found = secant.numerical_diff(
        lambda x: (f(x), np.exp(x))[1], x, h, scheme=scheme, bounds=(0, 1)
    )
    np.testing.assert_allclose(found, np.exp(x), atol=error)


@pytest.mark.parametrize("options", [{}, {"workers": 1}, {"vectorized": True}], ids=str)
@pytest.mark.parametrize("scheme", ["auto", *SCHEMES])
def test_error_bars_within_bounds(scheme, options):
    x = np.array([0.0, 0.3, 1.0, 1e-3, 0.9999])

    def f(x):  # also of a stack
        assert ((x >= 0) & (x <= 1)).all()
        return np.exp(x) @ [1.0, 2.0, 3.0, 4.0, 5.0]

    truth = np.exp(x) * [1, 2, 3, 4, 5]
    found = secant.numerical_gradient(
        f, x, scheme=scheme, bounds=(0, 1), full_output=True, **options
    )
    assert (np.abs(found.value - truth) <= found.error).all()
    assert found.success.all()
    assert (found.error <= {"auto": 1e-7, "forward": 1e-2}.get(scheme, 1e-6)).all()


def test_an_infinite_derivative_on_a_bound_is_not_known():
    x_log_x = lambda x: np.where(x > 0, x * np.log(np.maximum(x, 1e-300)), 0)  # noqa: E731
    # of the last one nothing says that it is 0
    for f in (np.sqrt, x_log_x, lambda x: x**1.05):
        found = secant.numerical_gradient(
            lambda x, f=f: float(f(x)[0]),
            [0.0],
            scheme="auto",
            bounds=(0, 1),
            full_output=True,
        )
        assert np.isnan(found.value)
        assert np.isinf(found.error)
    found = secant.numerical_gradient(
        lambda x: np.sqrt(x).sum(),
        [0.0, 1.0],
        scheme="forward",
        bounds=(0, 5),
        full_output=True,
    )
    assert np.isinf(found.error[0])
    assert found.error[1] < 1e-3


def test_a_pattern_names_the_coordinate_where_f_is_not_finite():
    pytest.importorskip("scipy")
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ValueRangeError, match=r"f is NaN at x\[1\] = -9e-05"),
    ):
        secant.numerical_jacobian(np.sqrt, [1.0, 1e-5], sparsity=np.eye(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_not_finite_beside_x_is_an_error_that_names_it(scheme, bad):
    name = "NaN" if np.isnan(bad) else str(bad)
    message = rf"^f is {name} at x\[1\] = 1.000\d, and finite at x; where .* give it as bounds=, else take a smaller h$"
    f = lambda x: np.where(x > 1, bad, x)  # noqa: E731
    for call, options in (
        (lambda x: f(x).sum(), {}),
        (lambda stack: f(stack).sum(1), {"vectorized": True}),
        (lambda x: f(x).sum(), {"workers": 2}),
        (
            ways.SIGNATURE(
                lambda p, *_: (
                    bad
                    if ctypes.cast(p, ctypes.POINTER(ctypes.c_double))[1] > 1
                    else 1.0
                )
            ),
            {},
        ),
    ):
        with pytest.raises(ValueRangeError, match=message):
            secant.numerical_gradient(
                call, np.array([0.5, 1.0]), scheme=scheme, **options
            )
    with pytest.raises(ValueRangeError, match=message):
        secant.numerical_jacobian(f, np.array([0.5, 1.0]), scheme=scheme)
    with pytest.raises(ValueRangeError, match=message):
        secant.numerical_diff(f, np.array([0.5, 1.0]), scheme=scheme)


def test_a_function_that_is_not_finite_at_x_has_no_gradient_and_no_error():
    for f in (
        lambda x: np.nan,
        lambda x: np.inf * x[0],
        ways.SIGNATURE(lambda *_: math.nan),
    ):
        assert np.isnan(secant.numerical_gradient(f, np.ones(2))).all()
    with np.errstate(divide="ignore"):
        assert np.isnan(
            secant.numerical_gradient(lambda x: (1 / x).sum(), np.array([0.0, 2.0]))[1]
        )


@pytest.mark.needs_numba
def test_the_exception_of_a_jitted_function_names_the_coordinate():
    numba = pytest.importorskip("numba")

    @numba.njit
    def f(x):
        if x[3] > 3:
            raise ValueError("no")
        return x[0]

    with pytest.raises(ValueError, match="no") as caught:
        secant.numerical_gradient(f, np.arange(8.0))
    assert caught.value.__notes__ == ["f was evaluated at x[3] = 3.0001"]


# ---- further arguments and results ---------------------------------------------------


def scaled(x, factor, power=1):
    return factor * np.asarray(x) ** power


@pytest.mark.parametrize("x", [1.0, [1.0], np.ones(2), np.float64(1)], ids=repr)
@pytest.mark.parametrize("scheme", [*SCHEMES, "auto"])
def test_a_function_of_numbers_gets_numbers_and_one_of_arrays_arrays(x, scheme):
    wanted = np.ndarray if isinstance(x, list) else type(x)

    def f(x):
        assert type(x) is wanted
        return x**2

    assert secant.numerical_diff(f, x, scheme=scheme) == pytest.approx(2, rel=1e-3)


def test_args_and_kwargs_go_to_f():
    both = {"args": (3.0,), "kwargs": {"power": 2}}
    assert secant.numerical_diff(scaled, 2.0, **both) == pytest.approx(12)

    def summed(x, factor, power=1):
        return float(np.sum(scaled(x, factor, power)))

    assert secant.numerical_gradient(summed, [1.0, 2.0], workers=2, **both).round(
        6
    ).tolist() == [6, 12]
    for options in (
        {},
        {"scheme": "auto"},
        {"sparsity": np.eye(2)} if importlib.util.find_spec("scipy") else {},
    ):
        slopes = secant.numerical_jacobian(scaled, [1.0, 2.0], **both, **options)
        assert np.trace(
            slopes if isinstance(slopes, np.ndarray) else slopes.toarray()
        ) == pytest.approx(18)
    with pytest.raises(UnsupportedError, match="LowLevelCallable"):
        secant.numerical_gradient(ways.in_c(), [1.0, 2.0], args=(1,))


def test_a_descent_stays_within_bounds():
    def f(x):
        assert (x >= 1).all()
        return float(np.sum(x**2))

    assert secant.gradient_descent(
        f, [3.0, 2.0], lr=0.1, bounds=(1, np.inf)
    ).tolist() == [1, 1]


@pytest.mark.parametrize("scheme", [*SCHEMES, "auto"])
@pytest.mark.parametrize(
    "way", ["stacked", "jitted", "ctypes, 2 threads", "cfunc, 1 threads"]
)
def test_full_output_says_how_sure_it_is_and_counts(scheme, way):
    x = np.random.RandomState(0).normal(size=(3, 4))
    truth = secant.numerical_gradient(ways.rosenbrock, x, 1e-3, scheme="five-point")
    calls = []

    def f(x):
        calls.append(1)
        return ways.rosenbrock(x)

    plain = secant.numerical_gradient(f, x, scheme=scheme, full_output=True)
    assert len(calls) - plain.nfev in (0, 1)  # what only a warning needs
    assert plain.success.all()
    assert (np.abs(plain.value - truth) <= plain.error + 1e-8).all()
    g, options = ways.WAYS[way]()
    found = secant.numerical_gradient(g, x, scheme=scheme, full_output=True, **options)
    assert same_bits(found.value, plain.value)
    assert same_bits(found.error, plain.error)
    # SciPy's SLSQP ignores the strides of a gradient, and ends elsewhere
    assert found.value.flags.c_contiguous
    # some evaluate f(x) again, and a function of Python is asked what it looks at
    if way != "stacked":
        assert plain.nfev - 4 <= found.nfev <= plain.nfev + 2
    with pytest.raises(AttributeError):
        found.value = 0


def test_auto_for_each_element_of_an_array():
    x, shapes = np.array([[0.0, 1.0, 30.0], [-2.0, 1e-3, 5.0]]), []

    def f(x):
        shapes.append(np.shape(x))
        return np.exp(x)

    found = secant.numerical_diff(f, x, scheme="auto", full_output=True)
    assert (np.abs(found.value - np.exp(x)) <= found.error).all()
    assert (found.error <= 1e-9 * np.exp(x)).all()
    assert set(shapes) == {(2, 3)}
    assert found.nfev == len(shapes)
    assert found.success.all()
    one = secant.numerical_diff(np.sin, 2.0, scheme="auto")
    assert isinstance(one, float)
    assert one == pytest.approx(np.cos(2), rel=1e-12)


@pytest.mark.parametrize(
    "bounds", [(0, None), ([0, 0], [None, 5]), (np.array([0, None], object), None)]
)
def test_none_is_no_bound(bounds):
    assert secant.numerical_gradient(np.sum, [0.0, 1.0], bounds=bounds).round(
        9
    ).tolist() == [1, 1]


def test_the_derivative_of_one_number_by_many_is_a_gradient():
    for options in (
        {},
        {"scheme": "auto"},
        {"h": None},
        {"full_output": True},
        {"bounds": (0, 5)},
    ):
        with pytest.raises(
            ShapeError,
            match=r"f must return an array of the shape of x, \(2,\), .* numerical_gradient",
        ):
            secant.numerical_diff(
                lambda x: x[0] ** 2 + x[1] ** 2, np.array([3.0, 4.0]), **options
            )


def test_an_elementwise_function_with_noise_has_error_bars():
    rng, x = np.random.default_rng(0), np.array([0.5, 1.0, 2.0])
    found = secant.numerical_diff(
        lambda v: np.sin(v) + 1e-8 * rng.normal(size=v.shape),
        x,
        scheme="auto",
        full_output=True,
    )
    assert (np.abs(found.value - np.cos(x)) <= found.error).all()
    assert (found.error < 1e-2).all()


def test_signatures_show_the_options_and_a_typo_is_an_error():
    calls = (
        secant.numerical_gradient,
        secant.numerical_jacobian,
        secant.numerical_hessian,
        secant.gradient_descent,
    )
    for call in calls:
        assert {"rel_step", "bounds", "args", "workers"} <= inspect.signature(
            call
        ).parameters.keys()
        with pytest.raises(TypeError, match="unexpected keyword argument 'n_jobs'"):
            call(np.sum, np.ones(2), n_jobs=2)
    # which would make the later steps of a walk wrong
    for name in ("f0", "inplace", "full_output"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            secant.gradient_descent(np.sum, np.ones(2), **{name: 1})


def test_bounds_a_pattern_and_steps_go_together():
    optimize = pytest.importorskip("scipy.optimize")
    x = np.array([0.0, 0.5, 1.0, 0.0])

    def f(x):
        assert ((x >= 0) & (x <= 1)).all()
        return np.exp(x) + np.roll(x, 1)

    rolled = np.roll(np.eye(4), 1, axis=0)
    expected, options = (
        np.diag(np.exp(x)) + rolled,
        {"bounds": optimize.Bounds(0, 1), "sparsity": np.eye(4) + rolled},
    )
    for scheme, error in (("forward", 1e-3), ("central", 1e-7), ("five-point", 1e-10)):
        for h in (1e-4, None):
            found = secant.numerical_jacobian(f, x, h, scheme=scheme, **options)
            np.testing.assert_allclose(found.toarray(), expected, atol=error)
    for scheme in ("auto", "central"):
        found = secant.numerical_jacobian(
            f, x, scheme=scheme, full_output=True, **options
        )
        assert (np.abs(found.value.toarray() - expected) <= found.error.toarray()).all()
        assert found.error.max() < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"h": None},
        {"rel_step": 1e-6},
        {"h": [1e-4, 1e-5, 1e-4]},
        {"scheme": "auto"},
        {"bounds": (0, 1)},
    ],
)
def test_steps_of_numerical_diff_are_those_of_each_element_and_counted(options):
    x, calls = np.array([0.0, 0.3, 1.0]), []

    def f(x):
        assert "bounds" not in options or ((x >= 0) & (x <= 1)).all()
        calls.append(1)
        return np.exp(x)

    found = secant.numerical_diff(f, x, full_output=True, **options)
    assert found.nfev == len(calls)
    np.testing.assert_allclose(found.value, np.exp(x), rtol=1e-6)
    if "h" in options:
        steps = options["h"] or [None] * 3
        assert found.value.tolist() == [
            secant.numerical_diff(np.exp, *each) for each in zip(x, steps, strict=True)
        ]


@pytest.mark.parametrize(
    ("call", "options"),
    [
        (secant.numerical_gradient, {"scheme": "forward"}),
        (secant.numerical_jacobian, {"scheme": "forward", "sparsity": np.ones((1, 2))}),
        (secant.numerical_hessian, {"scheme": "central"}),
        (secant.numerical_hessian, {"scheme": "auto"}),
    ],
)
def test_a_value_that_is_known_saves_an_evaluation(call, options):
    if "sparsity" in options:
        pytest.importorskip("scipy")
    x, points = np.array([0.5, 1.5]), []

    def f(x):
        points.append(tuple(x))
        return float(np.exp(x).sum())

    expected, evaluations = call(f, x, **options), points.count(tuple(x))
    points.clear()
    found = call(f, x, f0=np.exp(x).sum(), **options)
    assert points.count(tuple(x)) == evaluations - 1
    assert abs(found - expected).max() == 0
