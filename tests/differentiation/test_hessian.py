"""Hessians: values, error bars, evaluations, and all ways of evaluating."""

import importlib.util
import math
import tracemalloc

import numpy as np
import pytest
import ways

import secant
from secant.differentiation import second_differences
from secant.errors import DTypeError, ShapeError, UnsupportedError, ValueRangeError

A = np.array([1.0, 2.0, -1.0])


def rosenbrock_hessian(x):
    n = len(x)
    hessian = np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    diagonal = np.zeros(n)
    diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal[1:] += 200
    return hessian + np.diag(diagonal)


CASES = {
    "Rosenbrock": (
        ways.rosenbrock,
        [1.2, 1.0, 0.8],
        rosenbrock_hessian(np.array([1.2, 1.0, 0.8])),
        1e-13,
    ),
    "exponential": (
        lambda x: np.exp(x @ A),
        [0.1, 0.2, 0.3],
        np.exp(0.2) * np.outer(A, A),
        1e-10,
    ),
    "cosine": (
        lambda x: np.cos(x[0] - x[1]),
        [0.0, 0.0],
        np.array([[-1.0, 1.0], [1.0, -1.0]]),
        1e-11,
    ),
    "scales": (
        lambda x: np.exp(1e3 * x[0]) + x[0] * x[1] + 1e-3 * x[1] ** 2,
        [1e-3, 1e3],
        np.array([[1e6 * np.e, 1.0], [1.0, 2e-3]]),
        1e-9,
    ),
    "domain": (
        lambda x: np.log(x).sum() + x[0] * x[1],
        [0.01, 0.2],
        np.array([[-1e4, 1], [1, -25]]),
        1e-9,
    ),
    "linear": (lambda x: float(x @ A), [1.0, 2.0, 3.0], np.zeros((3, 3)), 1e-10),
}


@pytest.mark.parametrize(("f", "x", "truth", "error"), CASES.values(), ids=CASES)
def test_values_bars_and_evaluations(f, x, truth, error):
    calls = []

    def counted(x):
        calls.append(1)
        with np.errstate(all="ignore"):
            return f(x)

    found = secant.numerical_hessian(counted, x, full_output=True)
    n = len(x)
    assert np.array_equal(found.value, found.value.T)
    assert np.abs(found.value - truth).max() <= error * max(1, np.abs(truth).max())
    assert (np.abs(found.value - truth) <= found.error).all()
    assert found.success.all()
    # for the noise of f, and steps of very different size
    assert found.nfev <= 4 * n * (n + 1) + 50 * n + 150
    assert len(calls) == found.nfev
    assert np.array_equal(secant.numerical_hessian(counted, x), found.value)


@pytest.mark.parametrize(
    "way", ["stacked", "a map", "jitted", "jitted, three threads", "ctypes, 2 threads"]
)
@pytest.mark.parametrize(
    "options", [{}, {"scheme": "central"}, {"scheme": "central", "h": None}], ids=str
)
def test_the_bits_are_the_same_in_every_way(way, options):
    x = np.array([[1.2, 1.0, 0.8], [0.3, 0.4, 2.0]])
    expected = secant.numerical_hessian(ways.rosenbrock, x, **options)
    np.testing.assert_allclose(expected, rosenbrock_hessian(x.reshape(-1)), atol=2e-3)
    f, others = ways.WAYS[way]()
    assert (
        secant.numerical_hessian(f, x, **options, **others).tobytes()
        == expected.tobytes()
    )


def test_of_a_gradient():
    x = np.array([[0.5, 1.0], [2.0, 0.1]])
    flat = np.exp(x.reshape(-1))
    truth = np.diag(flat * x.sum()) + flat[:, np.newaxis] + flat

    def gradient(x):
        return np.exp(x) * x.sum() + np.exp(x).sum()

    found = secant.numerical_hessian(None, x, gradient=gradient, full_output=True)
    assert np.array_equal(found.value, found.value.T)
    assert (np.abs(found.value - truth) <= found.error).all()
    assert np.abs(found.value - truth).max() < 1e-9
    with pytest.raises(ShapeError, match="gradient must return 4 numbers"):
        secant.numerical_hessian(None, x, gradient=np.sum)
    with pytest.raises(DTypeError, match="gradient must be callable"):
        secant.numerical_hessian(None, x, gradient=3)


@pytest.mark.parametrize(
    "options", [{"h": 1e-3}, {"h": [1e-4, 1e-4]}, {"rel_step": 1e-5}], ids=str
)
def test_a_step_is_not_ignored(options):
    with pytest.raises(
        UnsupportedError,
        match="scheme='auto' chooses the steps itself: h and rel_step do not go",
    ):
        secant.numerical_hessian(np.prod, [1.0, 2.0], **options)
    found = secant.numerical_hessian(np.prod, [1.0, 2.0], scheme="central", **options)
    np.testing.assert_allclose(found, [[0, 1], [1, 0]], atol=1e-5)


@pytest.mark.parametrize("sparsity", [None, np.ones((2, 2))], ids=["dense", "sparse"])
def test_error_bars_tell_of_a_gradient_that_is_wrong(sparsity):
    if sparsity is not None:
        pytest.importorskip("scipy")

    def gradient(x):  # that of x[0] x[1], but for a factor
        return np.array([1.1 * x[1], x[0]])

    found = secant.numerical_hessian(
        None, [1.3, 0.7], gradient=gradient, sparsity=sparsity, full_output=True
    )
    value, error = (
        part if sparsity is None else part.toarray()
        for part in (found.value, found.error)
    )
    np.testing.assert_allclose(value, [[0, 1.05], [1.05, 0]], atol=1e-9)
    np.testing.assert_allclose(error, [[0, 0.05], [0.05, 0]], atol=1e-9)
    assert (
        found.success.shape == (value if sparsity is None else found.value.data).shape
    )


@pytest.mark.parametrize("options", [{}, {"scheme": "central"}], ids=str)
def test_a_pattern(options):
    sparse = pytest.importorskip("scipy.sparse")
    x, calls = np.linspace(0.5, 2, 12), []

    def f(x):
        calls.append(1)
        return ways.rosenbrock(x)

    pattern = np.abs(np.subtract.outer(np.arange(12), np.arange(12))) <= 1
    found = secant.numerical_hessian(
        f, x, sparsity=pattern, full_output=True, **options
    )
    assert isinstance(found.value, sparse.csr_array)
    assert found.nfev == len(calls)
    truth = rosenbrock_hessian(x)
    assert (np.abs(found.value.toarray() - truth) <= found.error.toarray()).all()
    for full_output in (False, True):
        with pytest.warns(
            RuntimeWarning,
            match="^the sparsity pattern misses nonzero entries in row 0: ",
        ) as caught:
            secant.numerical_hessian(
                f, x, sparsity=np.eye(12), full_output=full_output, **options
            )
        assert [warning.filename for warning in caught] == [__file__]
    one_is_missing = pattern.copy()
    one_is_missing[7, 8] = one_is_missing[8, 7] = False
    with pytest.warns(
        RuntimeWarning, match="^the sparsity pattern misses nonzero entries in row 7: "
    ):
        secant.numerical_hessian(f, x, sparsity=one_is_missing, **options)
    of_gradient = secant.numerical_hessian(
        None, x, gradient=lambda x: x**3, sparsity=np.eye(12)
    )
    np.testing.assert_allclose(of_gradient.toarray(), np.diag(3 * x**2), atol=1e-8)
    with pytest.raises(
        ShapeError, match=r"sparsity must have shape \(12, 12\), got \(3, 12\)"
    ):
        secant.numerical_hessian(f, x, sparsity=np.ones((3, 12)))


@pytest.mark.parametrize("options", [{}, {"scheme": "central"}], ids=str)
def test_a_pattern_where_second_derivatives_jump(options):
    pytest.importorskip("scipy.sparse")

    def f(u):  # as of a penalty: its first derivatives are continuous
        return float(np.sum(np.maximum(u - 0.3 * np.roll(u, -1), 0) ** 2))

    def of_products(u):
        return float(np.sum(np.maximum(u, 0) * np.maximum(np.roll(u, -1), 0)))

    distance = np.abs(np.subtract.outer(np.arange(10), np.arange(10)))
    known = np.minimum(distance, 10 - distance) <= 1
    for right in (known, np.ones((10, 10))):
        secant.numerical_hessian(f, np.zeros(10), sparsity=right, **options)
        secant.numerical_hessian(of_products, np.zeros(10), sparsity=right, **options)
    for row in (0, 3, 8):  # the direction shows nothing of the entry of row 2
        wrong = known.copy()
        wrong[row, row + 1] = wrong[row + 1, row] = False
        with pytest.warns(
            RuntimeWarning, match=f"misses nonzero entries in row {row}: "
        ):
            secant.numerical_hessian(f, np.zeros(10), sparsity=wrong, **options)


def test_bounds_make_steps_smaller():
    def f(x):
        assert ((x >= 0) & (x <= 1)).all()
        return float(np.sqrt(x).sum())

    x = np.array([1e-3, 0.999, 0.5])
    for scheme in ("auto", "central"):
        for pattern in (
            (None, np.eye(3)) if importlib.util.find_spec("scipy") else (None,)
        ):
            found = secant.numerical_hessian(
                f, x, bounds=(0, 1), scheme=scheme, sparsity=pattern
            )
            dense = found if pattern is None else found.toarray()
            np.testing.assert_allclose(
                dense, np.diag(-0.25 * x**-1.5), rtol=1e-2, atol=1e-4
            )
    with pytest.raises(
        ValueRangeError,
        match=r"x must be within bounds on both sides, but x\[0\] = 0.0 is on one",
    ):
        secant.numerical_hessian(f, [0.0, 0.5], bounds=(0, 1))


def test_what_has_no_hessian():
    with pytest.raises(ValueRangeError, match="f must be finite at x, got nan"):
        secant.numerical_hessian(lambda x: np.nan, [1.0])
    with pytest.raises(ValueRangeError, match=r"x must be finite, got inf at x\[1\]"):
        secant.numerical_hessian(lambda x: 0.0, [1.0, np.inf])
    with (
        pytest.raises(
            ValueRangeError, match="where the domain of f ends, give it as bounds="
        ),
        np.errstate(all="ignore"),
    ):
        secant.numerical_hessian(lambda x: np.log(x[0]), [1e-5], scheme="central")
    with pytest.warns(RuntimeWarning, match="f returned one and the same value"):
        assert secant.numerical_hessian(lambda x: 3.0, [1, 2]).tolist() == [
            [0, 0],
            [0, 0],
        ]
    for scheme in ("auto", "central"):
        assert secant.numerical_hessian(np.sum, [], scheme=scheme).shape == (0, 0)


def test_steps_of_central_that_tell_nothing():
    with pytest.raises(
        ValueRangeError,
        match=r"h must not be lost in x, but x\[0\] \+ h = 10000000000000.0",
    ):
        secant.numerical_hessian(lambda x: np.sum(x**2), [1e13, 1.0], scheme="central")
    with pytest.warns(
        RuntimeWarning,
        match="f returns float32 and round-off dominates at h = 0.0001: take h = 3e-02",
    ):
        secant.numerical_hessian(
            lambda x: np.float32(x.sum() ** 2), [1.0, 2.0], scheme="central"
        )
    found = secant.numerical_hessian(
        lambda x: np.float32(x.sum() ** 2), [1.0, 2.0], h=None, scheme="central"
    )
    np.testing.assert_allclose(found, 2, rtol=0.05)
    for scheme in ("central", "auto"):
        with pytest.warns(
            RuntimeWarning, match="f returns int64 and jumps near x"
        ) as caught:
            secant.numerical_hessian(
                lambda x: np.int64(1e3 * x.sum()), [1.0, 2.0], scheme=scheme
            )
        assert len(caught) == 1
    with pytest.warns(RuntimeWarning, match="f returns rounded values"):
        secant.numerical_hessian(
            lambda x: round(float(np.exp(x).sum()), 3),
            [0.3, 2.0],
            h=0.01,
            scheme="central",
        )


def noisy(x):
    """What is not the same twice, by as much as f changes."""
    return float(x @ x) + 1e3 * float(np.sin(1e15 * x.sum()))


BELOW_THE_NOISE = {
    "small steps": (
        lambda x: 1e6 + float(x @ x),
        [1e-3, 2e-3],
        {"scheme": "central", "h": 1e-6},
    ),
    "a large value": (lambda x: 1e9 + float(x @ x), [1.0, 2.0], {"scheme": "central"}),
    "one coordinate": (lambda x: 1e9 + float(x @ x), [1.0], {"scheme": "central"}),
    "a pattern": (
        lambda x: 1e9 + float(x @ x),
        [1.0, 2.0],
        {"scheme": "central", "sparsity": np.eye(2)},
    ),
    "noise": (noisy, [1.0, 2.0], {}),
}


@pytest.mark.parametrize(
    ("f", "x", "options"), BELOW_THE_NOISE.values(), ids=BELOW_THE_NOISE
)
def test_a_hessian_below_the_noise_of_f_is_warned_of(f, x, options):
    if "sparsity" in options:
        pytest.importorskip("scipy.sparse")
    with pytest.warns(
        RuntimeWarning, match="^the Hessian is below the noise of f: "
    ) as caught:
        secant.numerical_hessian(f, x, **options)
    assert [warning.filename for warning in caught] == [__file__]


NO_CURVATURE = {
    "linear": lambda x: float(x @ A[: len(x)]) / 3,
    "linear and large": lambda x: 1e9 + float(x @ A[: len(x)]) / 3,
    "kinks farther away": lambda x: float(
        np.maximum(x - 0.995, 0).sum() + np.abs(x + 3).sum() / 3
    ),
    "logarithm of a product": lambda x: float(np.log(np.exp(x)).sum()),
}


@pytest.mark.parametrize(
    "options", [{}, {"scheme": "central"}, {"scheme": "central", "h": 1e-6}], ids=str
)
@pytest.mark.parametrize("f", NO_CURVATURE.values(), ids=NO_CURVATURE)
def test_where_f_is_linear_its_hessian_is_rightly_0(f, options):
    for x in ([1.0, 2.0, 0.3], [0.0, 0.0], [1.5]):
        found = secant.numerical_hessian(f, x, full_output=True, **options)
        assert (np.abs(found.value) <= found.error).all() or options


@pytest.mark.parametrize("k", [9772, 17431, 18245])
def test_many_periods_are_not_taken_for_a_constant(k):
    found = secant.numerical_hessian(
        lambda x: np.cos(k * x[0]), [1.0], full_output=True
    )
    truth = -(k**2) * np.cos(k)
    assert abs(found.value[0, 0] - truth) <= found.error[0, 0] < 1e-3 * abs(truth)


def test_at_a_kink_there_is_no_second_derivative():
    found = secant.numerical_hessian(
        lambda x: abs(x[0]) + x[1] ** 2, [0.0, 1.0], full_output=True
    )
    assert math.isnan(found.value[0, 0])
    assert found.error[0, 0] == math.inf
    assert found.value[1, 1] == pytest.approx(2)


def test_what_f_raises_on_one_side_of_x_is_raised():
    def f(x):
        return math.sqrt(x[0]) + x[1] ** 2

    with pytest.raises(ValueError, match=r"math domain error|nonnegative") as caught:
        secant.numerical_hessian(f, [0.0, 1.0])
    assert caught.value.__notes__[0].startswith("f was evaluated at x = [-")


@pytest.mark.slow
def test_points_of_many_coordinates_are_made_in_blocks(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    monkeypatch.setattr(second_differences, "_BLOCK", 2**12)

    def hessian(x):
        return secant.numerical_hessian(
            lambda x: x @ x, x, sparsity=sparse.eye_array(len(x), format="csr")
        )

    hessian(np.ones(2))  # which imports what is needed
    x = np.linspace(0.5, 1, 400)
    tracemalloc.start()
    try:
        found = hessian(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found.diagonal(), 2, rtol=1e-9)
    assert peak < x.nbytes * len(x)  # as many points at once would take that, and more


@pytest.mark.parametrize("scheme", ["auto", "central"])
def test_x_may_be_on_a_bound_where_there_is_a_gradient(scheme):
    def gradient(x):
        assert (x >= 0).all()
        return 3 * x**2

    options = {"scheme": scheme, "bounds": (0, None)}
    found = secant.numerical_hessian(None, [0.0, 1.0], gradient=gradient, **options)
    np.testing.assert_allclose(found, np.diag([0, 6]), atol=1e-6)
    with pytest.raises(ValueRangeError, match="bound"):
        secant.numerical_hessian(lambda x: (x**3).sum(), [0.0, 1.0], **options)
