"""Numerical Jacobians; of a known pattern, columns that share no row are shifted together."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluation import SCHEMES, SchemeName, numbers
from secant.differentiation.noise import root_mean_square, scatter
from secant.differentiation.options import Options, argument, evaluator, require_dependence
from secant.errors import MissingExtraError, ShapeError, UnsupportedError, ValueRangeError

if TYPE_CHECKING:
    from concurrent.futures import Executor

_SEED = 0
_DIRECTIONS = 2  # in all of which rows that need no closer look agree
_TRUNCATION, _ROUNDED = 3.0, 8.0  # times what is seen of truncation, and rounding, that such a row may be off
_SMALL = 1e-6  # of a row: a larger error may hide an entry
_STEP_OF_AUTO = 1e-4  # times the size of x
_TRUSTED = 30.0  # times the noise of a row, that its values may differ by where the pattern is right
_HIDDEN = 0.01  # of a row, that noise may hide without a warning


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
        evaluations of f. A derivative where the pattern has 0 would make others wrong: so each row is compared with its
        derivatives along random directions and, if it does not agree, with its values where parts of a group of
        coordinates are shifted. The pattern is copied. f must use its argument. It needs SciPy.

    Returns
    -------
    jacobian : ndarray of float64, (the shape of f(x), then that of x)
        With ``sparsity``: a `scipy.sparse.csr_array`, (outputs, coordinates).
    error : the same
        Only with ``return_error``: how far an entry may be from the derivative.

    Warns
    -----
    RuntimeWarning
        If f returns float32, or whole numbers that jump, as for `numerical_gradient`; or if the noise of a row hides
        whether its pattern is right.

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
        If x is read-only, h is not finite and greater than 0, f or x is not finite for "auto", the pattern has 0
        where the Jacobian has not, or f mixes the points of a stack.

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
        from scipy.sparse import csr_array, issparse
    except ModuleNotFoundError:
        raise MissingExtraError("sparsity needs SciPy: pip install 'secant[sparse]'") from None
    if options.inplace:
        raise UnsupportedError("with sparsity copies of x are shifted: inplace=True does not go with it")
    point, _ = argument(x)
    if issparse(sparsity):
        given = sparsity.tocoo(copy=True)  # to compare it with 0 would sum its duplicates in place
        stored, shape = validation.real_array("sparsity", given.data) != 0, given.shape
        where = tuple(index[stored] for index in given.coords)
    else:
        dense = np.atleast_2d(validation.real_array("sparsity", sparsity))
        where, shape = np.nonzero(dense), dense.shape
    if len(shape) != 2 or shape[1] != point.size:
        raise ShapeError(f"sparsity must have {point.size} columns, a coordinate of x each, got {shape}")
    pattern = csr_array((np.ones(len(where[0])), where), shape=shape)
    groups = group_columns(pattern) if point.size else np.zeros(0, np.int64)
    scales = np.ones(point.shape)
    auto = options.scheme == "auto"
    if auto:  # it starts from the size of x
        scales = np.maximum(np.abs(point), root_mean_square(point) or 1.0)
    together = ColumnGroups(f, point, groups, scales)
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
        vectorized = bool(options.vectorized)
        if auto or not _agrees(f, point, h, options, jacobian):
            _require_pattern(f, point, _STEP_OF_AUTO * scales if auto else h * scales, vectorized, groups, jacobian)
    return (jacobian, bars) if return_error else jacobian


def _agrees(f: Any, x: Floats, h: float, options: Options, jacobian: Any) -> bool:
    """Whether each row of the Jacobian has the derivative along random directions, up to its own small error.

    It takes few evaluations, but truncation or noise of a row may hide what is wrong with it: then it does not agree.
    """
    rng, scheme = np.random.default_rng(_SEED), SCHEMES[options.scheme]
    shifts = h * np.array(scheme.shifts + (0,) * scheme.uses_value)
    alone = Options(options.scheme, options.vectorized)
    for _ in range(_DIRECTIONS):
        direction = rng.uniform(1, 2, x.shape)
        line = ColumnGroups(f, x, np.zeros(x.size, np.int64), direction)
        points = evaluator(line, np.zeros(1), alone, numbers).shifted(0, 1, [*shifts, *(2 * shifts)])[0]
        points = points.reshape(2 * len(shifts), -1)
        along = direction.reshape(-1)
        with np.errstate(all="ignore"):
            near, far = scheme.quotient(points[: len(shifts)], h), scheme.quotient(points[len(shifts) :], 2 * h)
            sizes = abs(jacobian) @ along + np.abs(near)
            terms = np.abs(points).max(axis=0) + abs(jacobian) @ np.abs(x.reshape(-1))
            error = _TRUNCATION * np.abs(near - far) + _ROUNDED * np.finfo(np.float64).eps * terms / h
            same = (points == points[0]).all(axis=0) & (sizes == 0)
            agrees = (np.abs(near - jacobian @ along) <= error) & (error <= _SMALL * sizes)
        if not (agrees | same).all():
            return False
    return True


def _require_pattern(f: Any, x: Floats, steps: Any, vectorized: bool, groups: Any, jacobian: Any) -> None:
    """Raise an error if a row changes with coordinates that its pattern leaves out.

    Coordinates of a group share no row. So where some of a group are shifted, a row has one of two values, whatever its
    function is: that at x if none of them is its own, and else that of the whole group. Each two of a group are told
    apart by a bit of their number. Only noise makes other values: that of the row, which is then measured.
    """

    def at(point: Floats) -> Floats:
        return numbers(f(point[np.newaxis])[0] if vectorized else f(point)).reshape(-1)

    def shifted_where(mask: Any) -> Floats:
        return x + np.where(mask.reshape(x.shape), steps, 0.0)

    flat = np.broadcast_to(steps, x.shape).reshape(-1)
    rows, columns = np.repeat(np.arange(jacobian.shape[0]), np.diff(jacobian.indptr)), jacobian.indices
    rng, start = np.random.default_rng(_SEED), at(x.copy())
    away, lost = np.zeros(len(start)), np.zeros(len(start), bool)
    with np.errstate(all="ignore"):
        for group in range(groups.max() + 1):
            members = np.flatnonzero(groups == group)
            whole = at(shifted_where(groups == group))
            own = np.full(len(start), -1)
            in_group = groups[columns] == group
            code = np.full(x.size, -1)
            code[members] = rng.permutation(len(members))
            own[rows[in_group]] = code[columns[in_group]]
            for bit in range(-1, int(len(members) - 1).bit_length()):
                shifted, values = own >= 0, whole
                if bit >= 0:
                    shifted &= own >> bit & 1 == 1
                    values = at(shifted_where((code >= 0) & (code >> bit & 1 == 1)))
                expected = np.where(shifted, whole, start)
                known = np.isfinite(values) & np.isfinite(expected)
                lost |= ~known & ~((values == expected) | (np.isnan(values) & np.isnan(expected)))
                away = np.maximum(away, np.where(known, np.abs(values - expected), 0.0))
        if not away.any() and not lost.any():
            return
        noise = scatter(at, x)
        wrong = away > _TRUSTED * noise
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueRangeError(
                f"sparsity must not have 0 where the Jacobian has not: in row {row} f changes by {away[row]:.3g} with "
                "coordinates that the pattern leaves out"
            )
        hidden = _TRUSTED * noise / np.median(flat)
        sizes = abs(jacobian).max(axis=1).toarray().reshape(-1)
        natural = np.where(sizes > hidden, sizes, np.abs(start) / max(1.0, float(np.abs(x).max())))
        lost |= (away > 0) & ~(hidden <= _HIDDEN * natural)
    if lost.any():
        row = int(np.argmax(lost))
        warnings.warn(
            f"whether sparsity has 0 only where the Jacobian has cannot be told for {int(lost.sum())} rows, such as "
            f"row {row}: f is not finite there, or its noise hides entries of up to {hidden[row]:.3g}",
            RuntimeWarning,
            stacklevel=4,
        )


class ColumnGroups:
    """f as a function of the shifts of groups of coordinates; of a stack of them, if that is what it gets."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, groups: Any, scales: Floats) -> None:
        self._f, self._x, self._scales = f, np.array(x, order="C"), scales
        self._groups = groups.reshape(x.shape)

    def __call__(self, shifts: Floats) -> Any:
        """Return f at x, shifted."""
        return self._f(self._x + shifts[..., self._groups] * self._scales)
