"""Numerical Jacobians; of a known pattern, columns that share no row are shifted together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluation import SCHEMES, SchemeName, numbers
from secant.differentiation.noise import root_mean_square, scatter
from secant.differentiation.options import Options, argument, choose_evaluator, require_dependence, require_function
from secant.errors import MissingExtraError, ShapeError, UnsupportedError, ValueRangeError

if TYPE_CHECKING:
    from concurrent.futures import Executor

_SEED = 0
_STEP_OF_AUTO = 1e-4  # times the size of x
_TRUSTED = 30.0  # times the noise of a row, that its values may differ by where the pattern is right


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
        If x is read-only and would be perturbed in place, h is not finite and greater than 0, f or x is not finite for
        "auto", the pattern has 0 where the Jacobian has not, or f mixes the points of a stack.

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
    if options.inplace:
        raise UnsupportedError("with sparsity copies of x are shifted: inplace=True does not go with it")
    require_function(f)
    point, _ = argument(x)
    pattern = Pattern.of(sparsity, point.size)
    auto = options.scheme == "auto"
    # "auto" starts from the size of its argument, which is 0 here: units of shifts take its place
    scales = np.maximum(np.abs(point), root_mean_square(point) or 1.0) if auto else np.ones(point.shape)
    compressed_f = ColumnGroups(f, point, pattern.groups, scales)
    both = options._replace(return_error=options.return_error or auto)
    values, errors = derivatives(compressed_f, np.zeros(pattern.groups.max(initial=-1) + 1), h, both, numbers)
    require_dependence(f, values)
    if point.size and values[0].size != pattern.shape[0]:
        raise ShapeError(f"sparsity must have {values[0].size} rows, an output of f each, got {pattern.shape}")
    jacobian = pattern.expanded(values, scales)
    if point.size and (auto or not _agrees_along_directions(f, point, h, options, jacobian)):
        steps = (_STEP_OF_AUTO if auto else h) * scales
        _require_pattern(_values_of(f, bool(options.vectorized)), point, steps, pattern, jacobian)
    if not options.return_error:
        return jacobian
    assert errors is not None
    return jacobian, pattern.expanded(errors, scales)


class ColumnGroups:
    """f as a function of the shifts of groups of coordinates; of a stack of them, if that is what it gets."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, groups: Any, scales: Floats) -> None:
        self._f, self._x, self._scales = f, np.array(x, order="C"), scales
        self._groups = groups.reshape(x.shape)

    def __call__(self, shifts: Floats) -> Any:
        """Return f at x, shifted."""
        return self._f(self._x + shifts[..., self._groups] * self._scales)


@dataclass(frozen=True)
class Pattern:
    """Where a Jacobian may not be 0.

    Attributes
    ----------
    shape : tuple of int
        (outputs, coordinates)
    rows, columns, starts : ndarray of int
        Of each entry, row by row; and where each row starts.
    groups : ndarray of int, (coordinates,)
        Columns of the same group share no row.
    """

    shape: tuple[int, int]
    rows: Any
    columns: Any
    starts: Any
    groups: Any

    @classmethod
    def of(cls, sparsity: Any, coordinates: int) -> Pattern:
        """Read what the user gave."""
        try:
            from scipy.optimize._numdiff import group_columns
            from scipy.sparse import csr_array, issparse
        except ModuleNotFoundError:
            raise MissingExtraError("sparsity needs SciPy: pip install 'secant[sparse]'") from None
        if issparse(sparsity):
            given = _coordinates(sparsity)
            stored, shape = validation.real_array("sparsity", given.data) != 0, given.shape
            where = tuple(index[stored] for index in given.coords)
        else:
            dense = np.atleast_2d(validation.real_array("sparsity", sparsity))
            where, shape = np.nonzero(dense), dense.shape
        if len(shape) != 2 or shape[1] != coordinates:
            raise ShapeError(f"sparsity must have {coordinates} columns, a coordinate of x each, got {shape}")
        matrix = csr_array((np.ones(len(where[0])), where), shape=shape)
        groups = group_columns(matrix) if coordinates else np.zeros(0, np.int64)
        rows = np.repeat(np.arange(shape[0]), np.diff(matrix.indptr))
        return cls(matrix.shape, rows, matrix.indices, matrix.indptr, groups)

    def expanded(self, compressed: Floats, scales: Floats) -> Any:
        """The Jacobian as a sparse array, of the derivatives (groups, ...) in the shifts of groups."""
        from scipy.sparse import csr_array

        by_row = compressed.reshape(len(compressed), self.shape[0])
        entries = by_row[self.groups[self.columns], self.rows] / scales.reshape(-1)[self.columns]
        return csr_array((entries, self.columns.copy(), self.starts.copy()), shape=self.shape)


def _coordinates(sparsity: Any) -> Any:
    """A sparse array in coordinate format. It is a copy: to compare it with 0 would sum its duplicates in place."""
    try:
        copy = sparsity.copy()
        if hasattr(copy, "check_format"):
            copy.check_format()  # what is not valid might be read out of bounds
        given = copy.tocoo(copy=True)
        in_range = all(
            ((index >= 0) & (index < size)).all() for index, size in zip(given.coords, given.shape, strict=True)
        )
    except Exception as error:
        raise ValueRangeError(f"sparsity must be a valid sparse array, got {sparsity!r}: {error}") from error
    if not in_range:
        raise ValueRangeError(f"sparsity must have indices within its shape {given.shape}")
    return given


def _values_of(f: Any, vectorized: bool) -> Callable[[Floats], Floats]:
    """What f returns at a point, in one row."""
    if vectorized:
        return lambda point: numbers(f(point[np.newaxis])[0]).reshape(-1)
    return lambda point: numbers(f(point)).reshape(-1)


def _agrees_along_directions(f: Any, x: Floats, h: float, options: Options, jacobian: Any) -> bool:
    """Whether each row of the Jacobian has the derivative along two random directions, up to its own small error.

    It takes few evaluations, but truncation or noise of a row may hide what is wrong with it: then it does not agree.
    """
    rng, scheme = np.random.default_rng(_SEED), SCHEMES[options.scheme]
    shifts = h * np.array(scheme.shifts + (0,) * scheme.uses_value)
    for _ in range(2):
        direction = rng.uniform(1, 2, x.shape)
        line = ColumnGroups(f, x, np.zeros(x.size, np.int64), direction)
        line_evaluator = choose_evaluator(line, np.zeros(1), Options(vectorized=options.vectorized), numbers)
        points = line_evaluator.shifted(0, 1, [*shifts, *(2 * shifts)])[0].reshape(2 * len(shifts), -1)
        flat = direction.reshape(-1)
        with np.errstate(all="ignore"):
            derivative = scheme.quotient(points[: len(shifts)], h)
            of_twice_h = scheme.quotient(points[len(shifts) :], 2 * h)
            row_sizes = abs(jacobian) @ flat + np.abs(derivative)
            largest_terms = np.abs(points).max(axis=0) + abs(jacobian) @ np.abs(x.reshape(-1))
            rounding = 8 * np.finfo(np.float64).eps * largest_terms / h
            error = 3 * np.abs(derivative - of_twice_h) + rounding
            agrees = np.abs(derivative - jacobian @ flat) <= error
            nothing_is_hidden = error <= 1e-6 * row_sizes  # a larger error may hide an entry
            is_zero = (points == points[0]).all(axis=0) & (row_sizes == 0)
        if not (agrees & nothing_is_hidden | is_zero).all():
            return False
    return True


def _require_pattern(f: Callable[[Floats], Floats], x: Floats, steps: Floats, pattern: Pattern, jacobian: Any) -> None:
    """Raise an error if a row changes with coordinates that its pattern leaves out; warn where that cannot be told."""
    start = f(x.copy())
    away, untold = np.zeros(len(start)), np.zeros(len(start), bool)
    with np.errstate(all="ignore"):
        for values, expected in _parts_of_groups(f, x, steps, pattern, start):
            same = (values == expected) | (np.isnan(values) & np.isnan(expected))
            finite = np.isfinite(values) & np.isfinite(expected)
            untold |= ~finite & ~same
            away = np.maximum(away, np.where(finite, np.abs(values - expected), 0.0))
        if not away.any() and not untold.any():
            return
        trusted = _TRUSTED * scatter(f, x)
        wrong = away > trusted
        if wrong.any():
            row = int(np.argmax(wrong))
            column = _left_out(f, x, steps, pattern, row, start[row], trusted[row])
            such = f", such as column {column}" if column is not None else ""
            raise ValueRangeError(
                f"sparsity must not have 0 where the Jacobian has not: in row {row} f changes by {away[row]:.3g} with "
                f"coordinates that the pattern leaves out{such}"
            )
        hidden = trusted / np.median(steps)
        largest_entries = abs(jacobian).max(axis=1).toarray().reshape(-1)
        usual_entries = np.abs(start) / max(1.0, float(np.abs(x).max()))
        row_sizes = np.where(largest_entries > hidden, largest_entries, usual_entries)
        untold |= (away > 0) & ~(hidden <= 0.01 * row_sizes)
    if untold.any():
        row = int(np.argmax(untold))
        warnings.warn(
            f"whether sparsity has 0 only where the Jacobian has cannot be told for {int(untold.sum())} rows, such as "
            f"row {row}: f is not finite there, or its noise hides entries of up to {hidden[row]:.3g}",
            RuntimeWarning,
            stacklevel=4,
        )


def _left_out(
    f: Callable[[Floats], Floats], x: Floats, steps: Floats, pattern: Pattern, row: int, before: float, noise: float
) -> int | None:
    """The column that a row changes with and its pattern leaves out: of halves the one that changes it more."""
    columns = np.setdiff1d(np.arange(x.size), pattern.columns[pattern.starts[row] : pattern.starts[row + 1]])

    def change(some: Any) -> float:
        is_shifted = np.isin(np.arange(x.size), some).reshape(x.shape)
        return abs(float(f(x + np.where(is_shifted, steps, 0.0))[row]) - before)

    while len(columns) > 1:
        columns = max(np.array_split(columns, 2), key=change)
    return int(columns[0]) if len(columns) and change(columns) > noise else None


def _parts_of_groups(
    f: Callable[[Floats], Floats], x: Floats, steps: Floats, pattern: Pattern, start: Floats
) -> Iterator[tuple[Floats, Floats]]:
    """Yield what f returns where parts of a group are shifted, and what it would return if the pattern is right.

    Coordinates of a group share no row. So whatever its function is, a row has one of two values: that of the whole
    group if the row's own coordinate is shifted, else that at x, ``start``. The coordinates of a group are numbered at
    random; a part of it are those whose number has a certain bit, which tells each two of them apart in some part.
    """
    rng = np.random.default_rng(_SEED)

    def shifted(mask: Any) -> Floats:
        return f(x + np.where(mask.reshape(x.shape), steps, 0.0))

    for group in range(pattern.groups.max() + 1):
        is_member = pattern.groups == group
        count = int(np.count_nonzero(is_member))
        numbers_of_columns = np.full(x.size, -1)
        numbers_of_columns[is_member] = rng.permutation(count)
        numbers_of_rows = np.full(len(start), -1)  # that of the row's own coordinate in this group; -1 if it has none
        in_group = is_member[pattern.columns]
        numbers_of_rows[pattern.rows[in_group]] = numbers_of_columns[pattern.columns[in_group]]
        whole = shifted(is_member)
        yield whole, np.where(numbers_of_rows >= 0, whole, start)
        for bit in range((count - 1).bit_length()):
            columns, rows = ((each >= 0) & (each >> bit & 1 == 1) for each in (numbers_of_columns, numbers_of_rows))
            yield shifted(columns), np.where(rows, whole, start)
