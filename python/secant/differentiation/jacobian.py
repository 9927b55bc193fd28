"""Numerical Jacobians; of a known pattern, columns that share no row are shifted together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.choice import Options, argument, evaluator, require_dependence
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluation import SCHEMES, SchemeName, numbers
from secant.differentiation.noise import rounding
from secant.errors import MissingExtraError, ShapeError, UnsupportedError, ValueRangeError

if TYPE_CHECKING:
    from concurrent.futures import Executor

_SEED = 0
_DIRECTIONS = 2  # in all of which a row differs, where the pattern is wrong
_TRUSTED = 30.0  # times the error that is seen, that the derivative along a direction may be off


def numerical_jacobian(
    f: Callable[[Floats], Any],
    x: ArrayLike,
    h: float = 1e-4,
    *,
    scheme: SchemeName = "central",
    vectorized: bool = False,
    n_jobs: int | None = None,
    executor: Executor | None = None,
    return_error: bool = False,
    sparsity: Any = None,
    inplace: bool = False,
    progress: bool = False,
) -> Any:
    """Return the numerical derivatives of all outputs of f in every coordinate of x.

    Parameters
    ----------
    f : callable
        Takes x and returns an array, always of the same shape.
    x : array_like, of any shape and layout
    h, scheme, vectorized, n_jobs, executor, return_error, inplace, progress
        As for `numerical_gradient`.
    sparsity : array_like or sparse array, (outputs, coordinates), optional
        Not 0 where the Jacobian may not be. Coordinates that share no row are shifted together, which needs few
        evaluations of f. A derivative where the pattern has 0 would make others wrong: so the result is compared with
        the derivative along a random direction, in a few evaluations more. f must use its argument. It needs SciPy.

    Returns
    -------
    jacobian : ndarray of float64, (the shape of f(x), then that of x)
        With ``sparsity``: a `scipy.sparse.csr_array`, (outputs, coordinates).
    error : the same
        Only with ``return_error``: how far an entry may be from the derivative.

    Warns
    -----
    RuntimeWarning
        If f returns float32, or whole numbers that jump, as for `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f is not callable, x or the pattern does not hold real numbers, f ignores its argument where x was copied, or
        f does not return real numbers.
    MissingExtraError
        If ``sparsity`` needs SciPy, or n_jobs joblib, and it is not installed.
    ShapeError
        If f does not always return the same shape, or the pattern does not have that of the Jacobian.
    UnsupportedError
        If options do not go together, or f is a C function.
    ValueRangeError
        If x is read-only, h is not finite and greater than 0, f or x is not finite for "auto", or the pattern has 0
        where the Jacobian has not.

    Examples
    --------
    >>> secant.numerical_jacobian(lambda x: np.array([x[0] * x[1], x[1]]), np.array([3.0, 4.0])).round(6)
    array([[4., 3.],
           [0., 1.]])
    >>> jacobian = secant.numerical_jacobian(lambda x: x**2, np.array([3.0, 4.0]), sparsity=np.eye(2))
    >>> jacobian.toarray().round(6)
    array([[6., 0.],
           [0., 8.]])
    """
    options = Options(scheme, vectorized, n_jobs, executor, return_error, inplace, progress)
    if sparsity is not None:
        return _sparse(f, x, h, options, sparsity)
    values, errors = derivatives(f, x, h, options, numbers)
    jacobian = _outputs_first(values, np.shape(x))
    return jacobian if errors is None else (jacobian, _outputs_first(errors, np.shape(x)))


def _outputs_first(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Derivatives (coordinates, outputs) as (outputs, and the shape of x)."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(values.shape[1:] + shape)


def _sparse(f: Any, x: Any, h: Any, options: Options, sparsity: Any) -> Any:
    try:
        from scipy.optimize._numdiff import group_columns
        from scipy.sparse import csr_array
    except ModuleNotFoundError:
        raise MissingExtraError("sparsity needs SciPy: pip install 'secant[sparse]'") from None
    if options.inplace:
        raise UnsupportedError("with sparsity copies of x are shifted: inplace=True does not go with it")
    point, _ = argument(x)
    given = sparsity if hasattr(sparsity, "tocsr") else np.atleast_2d(validation.real_array("sparsity", sparsity))
    if given.ndim != 2 or given.shape[1] != point.size:
        raise ShapeError(f"sparsity must have {point.size} columns, a coordinate of x each, got {given.shape}")
    pattern = csr_array(given)
    pattern.eliminate_zeros()
    groups = group_columns(pattern) if point.size else np.zeros(0, np.int64)
    scales = np.ones(point.shape)
    auto = options.scheme == "auto"
    if auto:  # it starts from the size of x
        scales = np.maximum(np.abs(point), np.sqrt(np.mean(point**2)) or 1.0)
    together = Together(f, point, groups, scales)
    return_error, options = options.return_error, options._replace(return_error=options.return_error or auto)
    values, errors = derivatives(together, np.zeros(groups.max(initial=-1) + 1), h, options, numbers)
    require_dependence(f, values)
    if groups.size and values[0].size != pattern.shape[0]:
        raise ShapeError(f"sparsity must have {values[0].size} rows, an output of f each, got {pattern.shape}")
    rows, columns = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices
    flat = scales.reshape(-1)[columns]

    def spread(compressed: Floats) -> Any:
        entries = compressed.reshape(len(compressed), pattern.shape[0])[groups[columns], rows] / flat
        return csr_array((entries, columns.copy(), pattern.indptr.copy()), shape=pattern.shape)

    jacobian, bars = spread(values), None if errors is None else spread(errors)
    if point.size:
        _require_pattern(f, point, h, options, scales, jacobian, bars)
    return (jacobian, bars) if return_error else jacobian


def _require_pattern(f: Any, x: Floats, h: float, options: Options, scales: Floats, jacobian: Any, bars: Any) -> None:
    """Raise an error if derivatives along random directions are not those that the Jacobian has."""
    rng, wrong = np.random.default_rng(_SEED), np.ones(jacobian.shape[0], bool)
    for _ in range(_DIRECTIONS):
        direction = scales * rng.uniform(1, 2, x.shape)
        line = Together(f, x, np.zeros(x.size, np.int64), direction)
        found, expected, error = _along(line, h, options, direction.reshape(-1), jacobian, bars)
        with np.errstate(invalid="ignore"):
            wrong &= np.abs(found - expected) > _TRUSTED * error
        if not wrong.any():
            return
    row = int(np.argmax(wrong))
    raise ValueRangeError(
        f"sparsity must not have 0 where the Jacobian has not: in row {row} the derivative along a random direction is "
        f"{found[row]:.6g}, by the pattern {expected[row]:.6g}"
    )


def _along(
    line: Together, h: float, options: Options, direction: Floats, jacobian: Any, bars: Any
) -> tuple[Floats, Floats, Floats]:
    """The derivative along a direction, what the Jacobian says of it, and how far they may be off."""
    alone, start = Options(options.scheme, options.vectorized, return_error=True), np.zeros(1)
    expected = jacobian @ direction
    if options.scheme == "auto":
        values, errors = derivatives(line, start, h, alone, numbers)
        assert errors is not None
        return values.reshape(-1), expected, errors.reshape(-1) + bars @ direction
    scheme = SCHEMES[options.scheme]
    shifts = h * np.array(scheme.shifts + (0,) * scheme.uses_value)
    points = evaluator(line, start, alone, numbers).shifted(0, 1, [*shifts, *(2 * shifts)])[0]
    near, far = points.reshape(2, len(shifts), -1)
    with np.errstate(all="ignore"):
        found, other = scheme.quotient(near, h), scheme.quotient(far, 2 * h)  # truncation and noise make them differ
        sizes = abs(jacobian) @ direction + np.abs(found)
        share = np.nanmax(np.abs(found - other) / sizes, initial=0.0, where=sizes > 0)
        return found, expected, share * sizes + 2 * rounding(points[np.isfinite(points)]) / h


class Together:
    """f as a function of the shifts of groups of coordinates; of a stack of them, if that is what it gets."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, groups: Any, scales: Floats) -> None:
        self._f, self._x, self._scales = f, np.array(x, order="C"), scales
        self._groups = groups.reshape(x.shape)

    def __call__(self, shifts: Floats) -> Any:
        """Return f at x, shifted."""
        return self._f(self._x + shifts[..., self._groups] * self._scales)
