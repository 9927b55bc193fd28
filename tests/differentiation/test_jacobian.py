"""Jacobians: dense and of a known pattern, however f is evaluated."""

import builtins
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import ways

import secant
from secant.errors import DTypeError, MissingExtraError, ShapeError, UnsupportedError

X = np.random.RandomState(0).normal(size=7)
A = np.random.RandomState(1).normal(size=(2, 3, 7))


def f(x):
    return np.sin(A @ x)


TRUE = np.cos(A @ X)[..., np.newaxis] * A


SCHEMES = [("central", 1e-7), ("forward", 1e-3), ("five-point", 1e-11), ("auto", 1e-12)]


@pytest.mark.parametrize(("scheme", "error"), SCHEMES)
def test_the_jacobian_has_the_shape_of_f_and_of_x(scheme, error):
    found = secant.numerical_jacobian(f, X.copy(), scheme=scheme, full_output=True)
    assert found.value.shape == found.error.shape == (2, 3, 7)
    np.testing.assert_allclose(found.value, TRUE, atol=error)
    assert (np.abs(found.value - TRUE) <= found.error).all()


def test_x_of_two_dimensions_and_an_f_of_one_number():
    x = np.arange(6.0).reshape(2, 3)
    jacobian = secant.numerical_jacobian(lambda x: x @ np.arange(3.0), x)
    assert jacobian.shape == (2, 2, 3)
    np.testing.assert_allclose(
        jacobian, np.einsum("ij,k->ijk", np.eye(2), np.arange(3)), atol=1e-9
    )
    gradient = secant.numerical_gradient(ways.rosenbrock, x)
    assert secant.numerical_jacobian(ways.rosenbrock, x).tobytes() == gradient.tobytes()
    assert secant.numerical_jacobian(lambda x: x, np.empty(0)).size == 0


def test_the_bits_are_the_same_in_every_way():
    for scheme in ("central", "forward", "five-point", "auto"):
        wanted = secant.numerical_jacobian(f, X.copy(), scheme=scheme)
        stacks = secant.numerical_jacobian(
            lambda stack: np.array([f(x) for x in stack]),
            X.copy(),
            scheme=scheme,
            vectorized=True,
        )
        with ThreadPoolExecutor(2) as pool:
            shared = secant.numerical_jacobian(
                f, X.copy(), scheme=scheme, workers=pool.map
            )
        assert wanted.tobytes() == stacks.tobytes() == shared.tobytes()


@pytest.mark.needs_numba
def test_a_jitted_function_of_many_outputs():
    numba = pytest.importorskip("numba")

    def squares(x):
        return np.stack((x * x, x + x))

    jacobian = secant.numerical_jacobian(numba.njit(squares), X.copy())
    assert jacobian.shape == (2, 7, 7)
    assert jacobian.tobytes() == secant.numerical_jacobian(squares, X.copy()).tobytes()


@pytest.mark.needs_numba
def test_a_jitted_constant_is_not_evaluated_outside_of_bounds():
    f = pytest.importorskip("numba").njit(lambda x: np.full(2, x.max() > 1))
    with pytest.warns(RuntimeWarning, match="f returned one and the same value"):
        secant.numerical_jacobian(f, np.array([1.0, 0.5]), bounds=(0, 1))


def test_the_jacobian_of_a_single_number():
    assert secant.numerical_jacobian(lambda x: x**2, 3.0).round(6) == 6
    assert secant.numerical_jacobian(
        lambda x: np.array([x, x**2]), 3.0, scheme="auto"
    ).round(9).tolist() == [1, 6]


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
@pytest.mark.parametrize("moved", [slice(1), slice(39, 40)])
@pytest.mark.parametrize("size", [1, 2])
def test_f_must_always_return_the_same_shape(scheme, moved, size):
    x = np.full(40, 0.5)
    with pytest.raises(ShapeError, match="f must always return the same shape"):
        secant.numerical_jacobian(
            lambda x: np.ones(3 if np.all(x[moved] == 0.5) else size), x, scheme=scheme
        )


# ---- with a pattern ------------------------------------------------------------------


def tridiagonal(x):
    padded = np.concatenate(
        [np.zeros((*x.shape[:-1], 1)), x, np.zeros((*x.shape[:-1], 1))], axis=-1
    )
    return (
        padded[..., :-2] ** 2
        - 2 * padded[..., 1:-1]
        + padded[..., 1:-1] * padded[..., 2:]
    )


@pytest.fixture
def sparse():
    return pytest.importorskip("scipy.sparse")


def pattern(n):
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point"])
def test_with_a_pattern_the_bits_are_those_without(sparse, scheme):
    x = np.random.RandomState(2).normal(size=20)
    dense = secant.numerical_jacobian(tridiagonal, x, scheme=scheme)
    for options in ({}, {"vectorized": True}):
        found = secant.numerical_jacobian(
            tridiagonal, x, scheme=scheme, sparsity=pattern(20), **options
        )
        assert isinstance(found, sparse.csr_array)
        if scheme == "five-point":  # 2h is twice what rounding leaves of h
            np.testing.assert_allclose(found.toarray(), dense, atol=1e-11)
        else:
            assert found.toarray().tobytes() == dense.tobytes()


def test_a_large_sparse_jacobian_needs_few_evaluations(sparse):
    n, calls = 100_000, []

    def counted(x):
        calls.append(1)
        return tridiagonal(x)

    ones = np.ones(n)
    known = sparse.diags_array([ones[1:], ones, ones[1:]], offsets=[-1, 0, 1])
    x = np.random.RandomState(0).normal(size=n)
    found = secant.numerical_jacobian(counted, x, sparsity=known)
    assert len(calls) <= 12
    np.testing.assert_allclose(found.diagonal(), -2 + np.append(x[1:], 0), atol=1e-8)
    np.testing.assert_allclose(found.diagonal(-1), 2 * x[:-1], atol=1e-8)


MISSES = "^the sparsity pattern misses nonzero entries in row "


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
@pytest.mark.parametrize("vectorized", [False, True])
def test_a_pattern_that_leaves_out_an_entry_has_one_warning_that_names_the_row(
    sparse, scheme, vectorized
):
    x = np.random.RandomState(2).normal(size=20)
    for row, column in ((0, 1), (7, 6), (19, 19)):
        wrong = pattern(20)
        wrong[row, column] = False
        options = {"scheme": scheme, "sparsity": wrong, "vectorized": vectorized}
        for full_output in (False, True):
            with pytest.warns(RuntimeWarning, match=f"{MISSES}{row}: ") as caught:
                secant.numerical_jacobian(
                    tridiagonal, x, full_output=full_output, **options
                )
            assert [warning.filename for warning in caught] == [__file__]


def left(u):
    return np.roll(u, 1)


def right(u):
    return np.roll(u, -1)


def upwind(u):
    return np.maximum(u, 0) * (u - left(u)) + np.minimum(u, 0) * (right(u) - u)


def minmod(u):
    """A finite-volume scheme with this limiter: it is not differentiable where
    neighbors are equal.
    """
    behind, ahead = u - left(u), right(u) - u
    slope = np.where(
        behind * ahead > 0, np.sign(ahead) * np.minimum(abs(behind), abs(ahead)), 0
    )
    flux = u + 0.5 * slope
    return flux - left(flux)


KINKED = {
    "relu": lambda u: np.maximum(u - 0.3 * right(u), 0),
    "upwind": upwind,
    "minmod": minmod,
    "saturated": lambda u: np.clip(right(u) - 2 * u + left(u), -1, 1),
}
STATES = {
    "zeros": np.zeros(16),
    "ones": np.ones(16),
    "ramp": np.arange(16.0),
    "wave": np.sin(2 * np.pi * np.arange(16) / 16),
    "saturated": np.resize([0, 0, 1.0, 0.5], 16),
}


def periodic(n, reach=2):
    """Each output depends on so many neighbors on both sides."""
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.minimum(distance, n - distance) <= reach


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
@pytest.mark.parametrize("f", KINKED.values(), ids=KINKED)
def test_a_right_pattern_at_a_kink_has_the_jacobian_without_it(sparse, scheme, f):
    for x in STATES.values():
        dense = secant.numerical_jacobian(f, x, scheme=scheme)
        for right_pattern in (periodic(16), np.ones((16, 16))):
            found = secant.numerical_jacobian(
                f, x, scheme=scheme, sparsity=right_pattern
            )
            # "auto" steps over kinks nearby
            np.testing.assert_allclose(found.toarray(), dense, atol=0.01)


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_a_wrong_pattern_at_a_kink_has_a_warning(sparse, scheme):
    """Also if all rows are on kinks, and one entry is missing."""
    relu, x = KINKED["relu"], np.zeros(16)
    upper = np.eye(16) + np.roll(np.eye(16), 1, axis=1)
    if scheme == "forward":
        secant.numerical_jacobian(relu, x, scheme=scheme, sparsity=upper)
    for missing in range(16) if scheme == "forward" else ():
        wrong = upper.copy()
        wrong[missing, missing] = 0
        with pytest.warns(RuntimeWarning, match=f"{MISSES}{missing}: "):
            secant.numerical_jacobian(relu, x, scheme=scheme, sparsity=wrong)
    for missing in range(16):
        wrong = periodic(16)
        # the derivative there is -1, whatever the limiter does
        wrong[missing, missing - 1] = False
        with pytest.warns(RuntimeWarning, match=f"{MISSES}{missing}: "):
            secant.numerical_jacobian(
                minmod, np.ones(16), scheme=scheme, sparsity=wrong
            )


def test_a_pattern_is_checked_at_kinks_in_few_evaluations(sparse):
    n, calls = 20_000, []

    def counted(u):
        calls.append(1)
        return minmod(u)

    ones = np.ones(n)
    known = sparse.diags_array([ones] * 5, offsets=range(-2, 3), shape=(n, n)).tolil()
    known[[0, 0, 1, -1, -1, -2], [-1, -2, -1, 0, 1, 0]] = 1
    secant.numerical_jacobian(counted, np.ones(n), sparsity=known.tocsr())
    assert len(calls) < 500  # of 40,000 without a pattern


def test_the_pattern_of_scipy_with_groups_is_its_structure(sparse):
    x = np.random.RandomState(2).normal(size=9)
    wanted = secant.numerical_jacobian(tridiagonal, x, sparsity=pattern(9))
    groups = np.arange(9) % 3
    for structure in (pattern(9), pattern(9).tolist(), sparse.csr_array(pattern(9))):
        for given in (
            (structure, groups),
            (structure, groups.tolist()),
            (structure, np.zeros(9, int)),
        ):
            found = secant.numerical_jacobian(tridiagonal, x, sparsity=given)
            assert found.toarray().tobytes() == wanted.toarray().tobytes()
    found = secant.numerical_hessian(ways.rosenbrock, x, sparsity=(pattern(9), groups))
    assert (
        found.toarray()
        == secant.numerical_hessian(ways.rosenbrock, x, sparsity=pattern(9)).toarray()
    ).all()
    # a pattern as a tuple of rows
    rows = secant.numerical_jacobian(np.square, [1.0, 2.0], sparsity=([1, 0], [0, 1]))
    assert rows.nnz == 2


ROUGH = {
    "large": lambda x: 1e9 + tridiagonal(x),
    "noisy": lambda x: tridiagonal(x) * (1 + 1e-9 * np.cos(1e17 * x)),
    "kinks": lambda x: np.maximum(tridiagonal(x), 0),
    "fast": lambda x: np.sin(100 * tridiagonal(x)),
    "steps": lambda x: np.floor(10 * tridiagonal(x)),
    "float32": lambda x: tridiagonal(x).astype(np.float32).astype(float),
    "infinite": lambda x: np.where(x > 0, np.inf, tridiagonal(x)),
    "norms": lambda x: x / np.linalg.norm(x / np.linalg.norm(x)),
}


# not an error of "auto", and no derivatives that are off by several percent
SMOOTH_ENOUGH = [
    (name, scheme)
    for name in ROUGH
    for scheme in ("central", "forward", "five-point", "auto")
    if (name, scheme) not in (("infinite", "auto"), ("fast", "forward"))
]


@pytest.mark.parametrize(("name", "scheme"), SMOOTH_ENOUGH)
@pytest.mark.filterwarnings(
    "ignore:f returned one and the same value", "ignore:f returns rounded values"
)
@pytest.mark.filterwarnings(
    "ignore:all differences of f are 0", "ignore:f jumps within the step"
)
def test_a_right_pattern_is_accepted_however_rough_f_is(sparse, name, scheme):
    for n in (1, 2, 30):
        x = np.random.RandomState(n).normal(size=n)
        with np.errstate(invalid="ignore"):
            secant.numerical_jacobian(
                ROUGH[name], x, scheme=scheme, sparsity=pattern(n)
            )


@pytest.mark.parametrize("power", [2, 3, 4])
@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_where_derivatives_are_zero_their_truncation_is_not_taken_for_another_entry(
    sparse, scheme, power
):
    for h in (1e-4, None):
        found = secant.numerical_jacobian(
            lambda x: x**power, np.zeros(5), h, scheme=scheme, sparsity=np.eye(5)
        )
        assert np.abs(found.toarray()).max() < 1e-3


def test_without_scipy_the_error_names_it(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **options):
        if name.startswith("scipy"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install scipy"):
        secant.numerical_jacobian(tridiagonal, X.copy(), sparsity=pattern(7))


def test_the_pattern_given_is_left_as_it_is(sparse):
    data, indices, starts = (
        np.array([1.0, -1.0, 0.0, 2.0, 5.0]),
        np.array([0, 0, 1, 1, 2]),
        np.array([0, 3, 4, 5]),
    )
    given = sparse.csr_array((data.copy(), indices.copy(), starts.copy()), shape=(3, 3))
    x = np.array([1.0, 2.0, 3.0])
    for form in (
        given,
        sparse.csr_matrix(given, copy=True),
        given.tocoo(copy=True),
        given.tocsc(copy=True),
    ):
        before = form.copy()
        found = secant.numerical_jacobian(np.square, x, sparsity=form)
        np.testing.assert_allclose(found.toarray(), np.diag(2 * x), atol=1e-8)
        assert form.nnz == before.nnz
        assert (form.toarray() == before.toarray()).all()
    for kept, before in (
        (given.data, data),
        (given.indices, indices),
        (given.indptr, starts),
    ):
        assert np.array_equal(kept, before)  # duplicates that cancel are entries
    for form in (
        np.eye(3).view(np.matrix),
        np.eye(3, dtype=bool),
        np.eye(3).tolist(),
        sparse.eye_array(3, dtype=bool),
    ):
        assert secant.numerical_jacobian(np.square, x, sparsity=form).nnz == 3


BAD_PATTERNS = [
    ({"sparsity": "eye"}, DTypeError, "sparsity must hold real numbers, got str"),
    (
        {"sparsity": 1j * np.eye(7)},
        DTypeError,
        "sparsity must hold real numbers, got an array of complex128",
    ),
    (
        {"sparsity": np.ones((3, 3, 7))},
        ShapeError,
        r"sparsity must have 7 columns, .* got \(3, 3, 7\)",
    ),
    (
        {"sparsity": np.ones((6, 7))},
        ShapeError,
        r"^sparsity must have 7 rows, an output of f each, got \(6, 7\)",
    ),
    (
        {"sparsity": pattern(7), "inplace": True},
        UnsupportedError,
        "inplace=True does not go",
    ),
]


@pytest.mark.parametrize(
    ("options", "error", "message"), BAD_PATTERNS, ids=lambda value: str(value)[:40]
)
def test_bad_patterns(sparse, options, error, message):
    with pytest.raises(error, match=message):
        secant.numerical_jacobian(tridiagonal, X.copy(), **options)


def test_what_f_returns_is_checked():
    with pytest.raises(DTypeError, match="f must return real numbers"):
        secant.numerical_jacobian(lambda x: x + 1j, np.zeros(1))
    with pytest.raises(UnsupportedError, match="a C function returns one number"):
        secant.numerical_jacobian(ways.in_c(), np.zeros(1))
