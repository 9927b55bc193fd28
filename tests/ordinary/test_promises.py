"""What ordinary use expects: a fresh array for each evaluation, exceptions that stay
what they are, x as it was.
"""

import sys
import threading
from collections import OrderedDict

import numpy as np
import pytest
from objectives import CASES

import secant
from secant.checking.candidate import RIGHT_DIGITS

X = np.array([1.0, 2.0, 3.0])


class Memo:
    """As SciPy's users share work between ``fun`` and ``jac``: it keeps x, not a
    copy.
    """

    x = None

    def _update(self, x):
        if self.x is None or (x != self.x).any():
            self.x, self.value, self.gradient = x, x @ x, 2 * x

    def fun(self, x):
        self._update(x)
        return self.value

    def jac(self, x):
        self._update(x)
        return self.gradient


def descent(f, x, **options):
    return secant.gradient_descent(f, x, lr=0.1, step_num=1, **options)


CALLS = {
    "gradient": secant.numerical_gradient,
    "forward": lambda f, x, **o: secant.numerical_gradient(f, x, scheme="forward", **o),
    "five-point": lambda f, x, **o: secant.numerical_gradient(
        f, x, scheme="five-point", **o
    ),
    "auto": lambda f, x, **o: secant.numerical_gradient(f, x, scheme="auto", **o),
    "jacobian": secant.numerical_jacobian,
    "hessian": secant.numerical_hessian,
    "hessian by central differences": lambda f, x, **o: secant.numerical_hessian(
        f, x, scheme="central", **o
    ),
    "check": lambda f, x, **o: secant.check_gradient(f, x, 2 * x, **o),
    "descent": descent,
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
AT_GIVEN_STEPS = {
    name: CALLS[name]
    for name in ("gradient", "forward", "five-point", "jacobian", "descent")
}
AT_OWN_STEPS = {name: CALLS[name] for name in ("auto", "hessian", "check")}


def within_bars(found, exact, more=0.0):
    return (np.abs(found.value - exact) <= found.error + more).all()


def require_like_plain(call, value):
    """A call had the result that it has for x @ x at X: all calls are compared at that
    function.
    """
    expected = call(lambda x: x @ x, X.copy())
    if isinstance(value, secant.GradientReport):
        assert value.verdict == expected.verdict == "right"
    else:
        assert np.array_equal(value, expected)


# 1. A fresh array for each evaluation
# --------------------------------------------------------------------------------


def test_a_memo_that_keeps_x_has_its_gradient_and_check_and_is_minimized():
    memo = Memo()
    np.testing.assert_allclose(
        secant.numerical_gradient(memo.fun, X.copy()), 2 * X, rtol=1e-9
    )
    np.testing.assert_allclose(
        secant.numerical_jacobian(memo.jac, X.copy()), 2 * np.eye(3), atol=1e-9
    )
    assert secant.check_gradient(memo.fun, X.copy(), memo.jac).verdict == "right"
    assert (
        secant.check_gradient(
            memo.fun, X.copy(), lambda x: memo.jac(x) * [1, 1, 1.01]
        ).verdict
        == "wrong"
    )
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")
    found = optimize.minimize(
        memo.fun, X.copy(), jac=lambda x: secant.numerical_gradient(memo.fun, x)
    )
    assert found.success
    np.testing.assert_allclose(found.x, 0, atol=1e-6)


@every_call
@pytest.mark.parametrize("writeable", [True, False], ids=["x writeable", "x read-only"])
def test_f_may_write_to_its_argument(call, writeable):
    def f(x):
        value = x @ x
        x[:] = np.nan
        return value

    x = X.copy()
    x.flags.writeable = writeable
    require_like_plain(call, call(f, x))
    assert np.array_equal(x, X)


@every_call
def test_points_that_are_kept_stay_what_they_were(call):
    kept, written = [], []

    def f(x):
        kept.append(x)
        written.append(x.copy())
        return x @ x

    x = X.copy()
    call(f, x)
    assert len({id(point) for point in kept}) == len(kept)
    assert all(
        np.array_equal(point, value) for point, value in zip(kept, written, strict=True)
    )
    assert not any(np.shares_memory(point, x) for point in kept)


@pytest.mark.parametrize(
    "start",
    [[1.0, 2.0], [1 / 3, np.pi], [0.0, 0.0]],
    ids=["round", "not round", "zeros"],
)
@pytest.mark.parametrize("decimals", [2, 20], ids=["rounded", "not rounded"])
# of rounded values, for which f may be evaluated once more
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_x_is_put_back_after_the_last_evaluation(start, decimals):
    theta = np.array(start)

    def loss(new):
        theta[:] = new
        return round(float(theta @ theta), decimals)

    bits, right = theta.tobytes(), 2 * theta
    for options in (
        {},
        {"inplace": False},
        {"scheme": "forward"},
        {"h": None},
        {"scheme": "auto"},
    ):
        found = secant.numerical_gradient(loss, theta, **options, full_output=True)
        assert within_bars(found, right) or decimals == 2, options
        assert theta.tobytes() == bits, options
    secant.numerical_diff(lambda new: loss(new) + 0 * new, theta)
    assert theta.tobytes() == bits


def test_an_array_that_f_reads_elsewhere_is_a_constant():
    x = X.copy()
    np.testing.assert_allclose(
        secant.numerical_gradient(lambda new: new @ x, x), X, rtol=1e-9
    )
    np.testing.assert_allclose(
        secant.numerical_jacobian(lambda new: new * x, x), np.diag(X), atol=1e-9
    )
    assert secant.check_gradient(lambda new: new @ x, x, X).verdict == "right"
    walked = secant.gradient_descent(lambda new: new @ x, x, lr=0.1, step_num=2)
    np.testing.assert_allclose(walked, 0.8 * X, rtol=1e-9)


@pytest.mark.parametrize(
    "calls", [200, pytest.param(10_000, marks=pytest.mark.nightly)]
)
def test_threads_may_share_x(calls):
    x, right, wrong = np.linspace(1, 2, 10), 3 + 2 * np.linspace(1, 2, 10), []

    def work():
        for _ in range(calls // 4):
            found = secant.numerical_gradient(
                lambda point: np.sum((point - x) * 3.0) + point @ point, x
            )
            if not np.allclose(found, right, rtol=1e-8):
                wrong.append(found)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong
    assert np.array_equal(x, np.linspace(1, 2, 10))


# 2. Closures that ignore their argument
# ------------------------------------------------------------------------------


class Net:
    """The book's: `loss` reads the parameters, whatever numerical_gradient's f is
    called with.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        self.params = {
            "W1": rng.standard_normal((3, 4)),
            "b1": np.zeros(4),
            "W2": rng.standard_normal((4, 2)),
        }
        self.x, self.t = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))

    def loss(self, x, t):
        hidden = np.tanh(x @ self.params["W1"] + self.params["b1"])
        return np.mean((hidden @ self.params["W2"] - t) ** 2)

    def gradient(self):
        x, t, p = self.x, self.t, self.params
        z = np.tanh(x @ p["W1"] + p["b1"])
        dy = 2 * (z @ p["W2"] - t) / t.size
        da = dy @ p["W2"].T * (1 - z**2)
        return {"W1": x.T @ da, "b1": da.sum(axis=0), "W2": z.T @ dy}


@pytest.fixture
def net():
    return Net()


@pytest.mark.parametrize("key", ["W1", "b1", "W2"])
@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_a_closure_over_a_network_has_its_gradient_to_the_bit_as_with_inplace(
    net, key, scheme
):
    param = net.params[key]
    bits = param.tobytes()
    f = lambda _: net.loss(net.x, net.t)  # noqa: E731
    found = secant.numerical_gradient(f, param, scheme=scheme)
    assert np.array_equal(
        found, secant.numerical_gradient(f, param, scheme=scheme, inplace=True)
    )
    np.testing.assert_allclose(
        found, net.gradient()[key], atol=1e-3 if scheme == "forward" else 1e-7
    )
    assert param.tobytes() == bits


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_a_closure_over_an_array_has_its_jacobian_hessian_and_diff(scheme):
    w, atol = np.array([0.5, 1.5]), 1e-3 if scheme == "forward" else 1e-9
    np.testing.assert_allclose(
        secant.numerical_jacobian(lambda _: w**2, w, scheme=scheme),
        np.diag(2 * w),
        atol=atol,
    )
    found = secant.numerical_diff(lambda _: w**2, w, scheme=scheme, full_output=True)
    np.testing.assert_allclose(found.value, 2 * w, atol=atol)
    assert within_bars(found, 2 * w)
    if scheme in ("central", "auto"):
        hessian = secant.numerical_hessian(lambda _: np.sum(w**3), w, scheme=scheme)
        np.testing.assert_allclose(hessian, np.diag(6 * w), atol=1e-5)
    assert np.array_equal(w, [0.5, 1.5])


def test_a_function_of_its_argument_is_not_computed_in_place_where_its_gradient_is_zero():
    x = np.zeros(3)  # a quadratic at its minimum: all differences are exactly 0
    assert not secant.numerical_gradient(lambda new: np.sum((new - x) ** 2), x).any()
    assert not secant.numerical_gradient(
        lambda new: np.sum((new - x) ** 2) + 7 * x.sum(), x
    ).any()


class MemoOfTheLast(Memo):
    def _update(self, x):
        if self.x is None or (x != self.x).any():
            self.x, self.value = x, np.sum(x[-3:] ** 2) / 2


WITH_DEAD_ENTRIES = {
    "closure": lambda x: lambda _: np.sum(x[-3:] ** 2) / 2,
    "memo": lambda x: MemoOfTheLast().fun,
    "constant elsewhere": lambda x: lambda new: new[-3:] @ x[-3:],
}


def test_a_closure_that_raises_an_exception_farther_away_has_its_gradient_too():
    x, far = np.array([1.0, 2.0]), np.array([1.0, 2.0]) + 5e-4

    def f(argument):
        assert (argument < far).all(), "outside"
        return np.sum(x**2)

    np.testing.assert_allclose(secant.numerical_gradient(f, x), [2, 4])


@pytest.mark.parametrize("kind", WITH_DEAD_ENTRIES)
def test_a_function_whose_first_derivatives_are_zero(kind):
    dead = np.concatenate([np.zeros(500), X])  # pixels that are always 0, say
    x = dead.copy()
    np.testing.assert_allclose(
        secant.numerical_gradient(WITH_DEAD_ENTRIES[kind](x), x), dead, atol=1e-8
    )
    assert np.array_equal(x, dead)


def test_nested_parameters_are_checked_by_argument_and_by_closure():
    params = {
        "layers": [{"w": np.array([1.0, 2.0])}, {"w": np.array([0.5])}],
        "bias": np.array(0.3),
    }
    gradient = {
        "layers": [{"w": np.array([2.0, 4.0])}, {"w": np.array([1.0])}],
        "bias": np.array(0.6),
    }

    def f(p):
        return sum((layer["w"] ** 2).sum() for layer in p["layers"]) + p["bias"] ** 2

    for verdict in ("right", "wrong"):
        assert secant.check_gradient(f, params, gradient).verdict == verdict
        assert (
            secant.check_gradient(lambda _: f(params), params, gradient).verdict
            == verdict
        )
        gradient["layers"][1]["w"] *= 1.1


def test_an_ordered_dict_reaches_f_as_such():
    params = OrderedDict(b=np.array([1.0]), a=np.array([2.0]))

    def f(p):
        assert type(p) is OrderedDict
        first, second = p.values()
        return (first**2 + 3 * second).sum()

    gradient = OrderedDict(b=np.array([2.0]), a=np.array([3.0]))
    assert secant.check_gradient(f, params, gradient).verdict == "right"


@pytest.mark.parametrize(
    "options",
    [
        {"h": None},
        {"rel_step": 1e-6},
        {"bounds": (0, 5)},
        {"bounds": (0.5, 1.5)},
        {"full_output": True},
    ],
    ids=["h=None", "rel_step", "bounds", "on a bound", "full_output"],
)
def test_a_closure_may_have_options(options):
    w = np.array([0.5, 1.5])
    found = secant.numerical_gradient(lambda _: np.sum(w**3), w, **options)
    np.testing.assert_allclose(getattr(found, "value", found), 3 * w**2, rtol=1e-6)
    assert np.array_equal(w, [0.5, 1.5])


def test_a_closure_over_parameters_of_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(3, 2).double(), torch.randn(4, 3, dtype=torch.float64)
    (layer(x) ** 2).mean().backward()
    weight = layer.weight.detach().numpy()  # the same memory
    bits = weight.tobytes()
    found = secant.numerical_gradient(lambda _: (layer(x) ** 2).mean().item(), weight)
    np.testing.assert_allclose(found, layer.weight.grad.numpy(), atol=1e-9)
    gradient = layer.weight.grad.numpy()
    assert (
        secant.check_gradient(
            lambda _: (layer(x) ** 2).mean().item(), weight, gradient
        ).verdict
        == "right"
    )
    assert (
        secant.check_gradient(
            lambda _: (layer(x) ** 2).mean().item(), weight, 1.1 * gradient
        ).verdict
        == "wrong"
    )
    assert weight.tobytes() == bits


class Stop(BaseException):
    pass


@pytest.mark.parametrize(
    "exception", [KeyboardInterrupt, SystemExit, Stop, ZeroDivisionError]
)
@pytest.mark.parametrize("kind", ["argument", "closure", "writes into x", "in place"])
@pytest.mark.parametrize(
    "call",
    [CALLS[name] for name in ("gradient", "auto", "hessian", "check", "jacobian")],
    ids=["gradient", "auto", "hessian", "check", "jacobian"],
)
def test_x_is_what_it_was_when_f_raises(call, kind, exception):
    x = np.array([1.0, -0.0, 3.0])
    bits, calls = x.tobytes(), 0

    def f(point):
        nonlocal calls
        calls += 1
        if kind == "writes into x":
            x[:] = point
        if calls >= 6:
            raise exception("now")
        used = point if kind == "argument" else x
        return used @ used

    with pytest.raises(exception, match="now"):
        call(f, x, **({"inplace": True} if kind == "in place" else {}))
    assert x.tobytes() == bits


# 3. The step that was taken
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point"])
@pytest.mark.parametrize("size", [1e3, 1e6, 1e9, 1e11])
def test_differences_are_divided_by_the_step_that_was_taken(size, scheme):
    np.testing.assert_allclose(
        secant.numerical_gradient(np.sum, [size], scheme=scheme), 1, rtol=1e-9
    )
    np.testing.assert_allclose(
        secant.numerical_jacobian(lambda x: x, [size], scheme=scheme), [[1]], rtol=1e-9
    )
    assert secant.numerical_diff(lambda x: 2 * x, size, scheme=scheme) == pytest.approx(
        2, rel=1e-9
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_book_keeps_its_quotient_to_the_bit(dtype):
    x, h, expected = np.array([1e6, 3.0], dtype), 1e-4, []
    for i in range(2):
        above, below = x.copy(), x.copy()
        above[i], below[i] = float(x[i]) + h, x[i] - h
        expected.append(
            (np.sum(above**2, dtype=float) - np.sum(below**2, dtype=float)) / (2 * h)
        )
    found = secant.book.numerical_gradient(lambda _: np.sum(x**2, dtype=float), x)
    assert np.array_equal(found, np.array(expected, dtype))
    assert found.dtype == dtype


# 4. Exceptions of f stay what they are
# -------------------------------------------------------------------------------


class SolverFailed(RuntimeError):  # noqa: N818
    pass


class OutOfBounds(Exception):  # noqa: N818
    pass


ERRORS = [
    SolverFailed,
    OutOfBounds,
    ValueError,
    FloatingPointError,
    AssertionError,
    IndexError,
    MemoryError,
    KeyError,
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", AT_GIVEN_STEPS.values(), ids=list(AT_GIVEN_STEPS))
def test_at_steps_that_the_user_chose_an_exception_passes_with_a_note(call, error):
    raised = []

    def f(x):
        if x[1] != 2.0:
            raised.append(error("no convergence"))
            raise raised[-1]
        return x @ x

    with pytest.raises(error) as caught:
        call(f, X.copy())
    assert len(raised) == 1
    assert caught.value is raised[0]
    assert type(caught.value) is error
    assert caught.value.args == ("no convergence",)
    assert any("x[1]" in note for note in caught.value.__notes__)


def require_one_of_few(call, f, raised):
    """What is raised is an exception of f, after at most ten steps, on both sides."""
    with pytest.raises(Exception, match="no solution") as caught:
        call(f, X.copy())
    assert any(caught.value is each for each in raised)
    assert len(raised) <= 20


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", AT_OWN_STEPS.values(), ids=list(AT_OWN_STEPS))
def test_at_steps_that_we_chose_ten_are_tried_then_that_exception_is_raised(
    call, error
):
    raised = []

    def f(x):
        if (x != X).any():
            raised.append(error("no solution"))
            raise raised[-1]
        return x @ x

    require_one_of_few(call, f, raised)


@every_call
def test_an_exception_at_x_itself_passes_at_once(call):
    raised = []

    def f(x):
        raised.append(SolverFailed("no solution"))
        raise raised[-1]

    require_one_of_few(call, f, raised)


@pytest.mark.parametrize("radius", [0.02, 1e-3])
@pytest.mark.parametrize("error", [OutOfBounds, SolverFailed, ValueError, IndexError])
def test_smaller_steps_are_tried_where_f_is_not_defined(error, radius):
    def f(x):
        if np.max(np.abs(x - X)) > radius:
            raise error("outside")
        return np.exp(x).sum()

    found = secant.numerical_gradient(f, X.copy(), scheme="auto", full_output=True)
    assert within_bars(found, np.exp(X), 1e-14)
    assert (found.error < 1e-5).all()
    assert secant.check_gradient(f, X.copy(), np.exp(X)).verdict == "right"
    assert (
        secant.check_gradient(f, X.copy(), np.exp(X) * [1, 1.01, 1]).verdict == "wrong"
    )
    hessian = secant.numerical_hessian(f, X.copy(), full_output=True)
    assert within_bars(hessian, np.diag(np.exp(X)), 1e-12)


@pytest.mark.parametrize(
    "x", [[400.0], [400.0, 390.0]], ids=["one entry", "two entries"]
)
@pytest.mark.parametrize("call", AT_OWN_STEPS.values(), ids=list(AT_OWN_STEPS))
def test_no_step_is_much_larger_than_a_tenth_of_an_entry(call, x):
    furthest = []

    def f(point):
        furthest.append(np.max(np.abs(point - x) / x))
        return point @ point

    call(f, np.array(x))
    assert max(furthest) <= 0.125


# 6. Error bars
# -------------------------------------------------------------------------------------------------------


def test_the_bars_of_a_sparse_jacobian_know_the_rounding_of_x():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    x = np.array([1e6, 2e6 + 0.3])
    found = secant.numerical_jacobian(
        np.sin, x, scheme="auto", sparsity=np.eye(2), full_output=True
    )
    assert (np.abs(found.value.diagonal() - np.cos(x)) <= found.error.diagonal()).all()
    assert (found.error.diagonal() < 1e-4).all()


# 8. What Python hands over
# -------------------------------------------------------------------------------------------


def cubes(x):
    return float(np.sum(np.asarray(x) ** 3))


def test_right_gradients_in_float32_are_off_by_a_30th_of_what_a_check_allows():
    """Those of all objectives whose formula stays in float32."""
    errors = []
    for case in CASES.values():
        x = case.x.astype(np.float32)
        own, exact = case.jacobian(x), case.jacobian(x.astype(float))
        if own.dtype == np.float32:
            errors.append(np.linalg.norm(own - exact) / np.linalg.norm(exact))
    assert len(errors) > 20
    assert max(errors) < np.finfo(np.float32).eps ** RIGHT_DIGITS / 30


def test_a_check_takes_a_series():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    x = pd.Series([1.0, 2.0], index=["a", "b"])
    assert secant.check_gradient(cubes, x, 3 * x**2).verdict == "right"
    assert (
        secant.check_gradient(
            cubes, x, lambda x: pd.Series(3 * np.asarray(x) ** 2)
        ).verdict
        == "right"
    )
    assert secant.check_gradient(cubes, x.to_numpy(), [3.0, 12.1]).verdict == "wrong"
    np.testing.assert_allclose(secant.numerical_gradient(cubes, x), [3, 12], rtol=1e-6)


def test_0d_arrays_and_fortran_order():
    assert secant.numerical_gradient(lambda x: x**3, np.array(2.0)) == pytest.approx(
        12, rel=1e-6
    )
    assert (
        secant.check_gradient(lambda x: x**3, np.array(2.0), np.array(12.0)).verdict
        == "right"
    )
    x = np.asfortranarray(np.arange(1.0, 7.0).reshape(2, 3))
    for f in (cubes, lambda _: cubes(x)):
        np.testing.assert_allclose(secant.numerical_gradient(f, x), 3 * x**2, rtol=1e-6)
        assert secant.check_gradient(f, x, 3 * x**2).verdict == "right"
    assert secant.numerical_jacobian(lambda x: x.T, x).shape == (3, 2, 2, 3)


@pytest.mark.parametrize(
    "f",
    [
        cubes,
        lambda x: x @ x,
        lambda x: abs(x).sum(),
        lambda x: x[0] + x[1],
        lambda x: x[2],
    ],
    ids=["cubes", "squares", "distance", "sum", "entry"],
)
def test_an_ordinary_function_gets_no_warning(f):
    for x in ([1.0, 2.0, 3.0], [0.5, -0.25, 1e3], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]):
        secant.numerical_gradient(f, np.array(x))
        secant.numerical_gradient(f, x)
