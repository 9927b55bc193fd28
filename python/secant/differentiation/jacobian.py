"""Numerical Jacobians; of a known pattern, columns that share no row are shifted together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluators.evaluation import numbers
from secant.differentiation.noise import root_mean_square, scatter
from secant.differentiation.options import are_defaults, require_use
from secant.differentiation.problem import Problem, kind_of
from secant.differentiation.result import with_error
from secant.differentiation.schemes import RelativeStep, SchemeName, Stencils
from secant.errors import MissingExtraError, ShapeError, UnsupportedError, ValueRangeError

if TYPE_CHECKING:
    from concurrent.futures import Executor

_SEED = 0
_STEP_OF_AUTO = 1e-4  # times the size of x
_TRUSTED = 30.0  # times the noise of a row, that its values may differ by where the pattern is right


def numerical_jacobian(
    f: Callable[..., Any],
    x: ArrayLike,
    h: Any = 1e-4,
    *,
    scheme: SchemeName = "central",
    rel_step: Any = None,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    vectorized: bool = False,
    n_jobs: int | None = None,
    executor: Executor | None = None,
    full_output: bool = False,
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
    h, scheme, rel_step, bounds, args, kwargs, vectorized, n_jobs, executor, full_output, return_error
        As for `numerical_gradient`.
    inplace, progress
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
        With ``full_output``, a `Derivative` of them.

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
    others = (scheme, vectorized, n_jobs, executor, full_output, return_error, inplace, progress)
    if are_defaults(others, rel_step, bounds, args, kwargs):
        problem = Problem.of_defaults(f, x, h, kind_of(f), numbers)
    else:
        for name, flag in (("full_output", full_output), ("return_error", return_error)):
            validation.flag(name, flag)
        problem = Problem.of(
            f,
            x,
            h,
            scheme=scheme,
            rel_step=rel_step,
            bounds=bounds,
            args=args,
            kwargs=kwargs,
            vectorized=vectorized,
            n_jobs=n_jobs,
            executor=executor,
            with_error=full_output or return_error,
            inplace=inplace,
            progress=progress,
            convert=numbers,
        )
    if sparsity is not None:
        if inplace:
            raise UnsupportedError("with sparsity copies of x are shifted: inplace=True does not go with it")
        jacobian, error, evaluations = _sparse(problem, x, sparsity)
    else:
        values, errors, evaluations = derivatives(problem, x)
        jacobian = _outputs_first(values, problem.x.shape)
        error = None if errors is None else _outputs_first(errors, problem.x.shape)
    if full_output:
        return with_error(jacobian, error, evaluations)
    return (jacobian, error) if return_error else jacobian


def _outputs_first(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Derivatives (coordinates, outputs) as (outputs, and the shape of x)."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(values.shape[1:] + shape)


def _sparse(problem: Problem, given: Any, sparsity: Any) -> tuple[Any, Any, int]:
    """The Jacobian, its error bars, and the evaluations: f as a function of the shifts of groups of columns."""
    x, f = np.asarray(problem.x, order="C"), _Counted(problem.f, problem.vectorized)
    pattern = Pattern.of(sparsity, x.size)
    auto = problem.scheme is None
    if problem.bounds is not None and (auto or problem.with_error):
        raise UnsupportedError("bounds and sparsity together do not go with the scheme 'auto' and error bars")
    step, scales = _units(problem, f.at)
    if isinstance(step, Stencils) and step.is_one_sided is not None:
        pattern, is_one_sided = pattern.divided(step.is_one_sided)
        step = step._replace(h=np.ones(len(is_one_sided)), is_one_sided=is_one_sided)
    grouped = problem._replace(
        f=ColumnGroups(problem.f, x, pattern.groups, scales),
        x=np.zeros(pattern.groups.max(initial=-1) + 1),
        place=None,
        kind="Python",
        step=step,
        bounds=None,
        with_error=problem.with_error and auto,
    )
    values, errors, evaluations = derivatives(grouped, None)
    if values.size and not values.any():
        require_use(problem.f, given)
    if x.size and values[0].size != pattern.shape[0]:
        raise ShapeError(f"sparsity must have {values[0].size} rows, an output of f each, got {pattern.shape}")
    jacobian = pattern.expanded(values, scales)
    h = _STEP_OF_AUTO if auto else step if isinstance(step, float) else 1.0
    if x.size:
        may_agree = not auto and problem.bounds is None
        if not may_agree or not _agrees_along_directions(grouped, f, x, h, scales, jacobian):
            _require_pattern(f.at, x, h * scales, pattern, jacobian)
    evaluations += f.evaluations
    if not problem.with_error:
        return jacobian, None, evaluations
    if errors is not None:
        return jacobian, pattern.expanded(errors, scales), evaluations
    slopes, bars, more = _sparse(problem._replace(scheme=None, probes=0), given, sparsity)
    return jacobian, abs(jacobian - slopes) + bars, evaluations + more


def _units(problem: Problem, at: Callable[[Floats], Floats]) -> tuple[Any, Floats]:
    """The step of groups of columns, and the units in which a column is shifted by that."""
    x = np.asarray(problem.x, order="C")
    if problem.scheme is None:  # "auto" starts from the size of its argument, which is 0 here: units take its place
        return problem.step, np.maximum(np.abs(x), root_mean_square(x) or 1.0)
    if isinstance(problem.step, float) and problem.bounds is None:
        return problem.step, np.ones(x.shape)
    returned = at(x.copy()).dtype if isinstance(problem.step, RelativeStep) else np.dtype(np.float64)
    found = problem.stencils(returned)
    assert found is not None
    scales = np.broadcast_to(found.h, x.size).reshape(x.shape)
    if found.is_one_sided is None:
        return 1.0, scales
    return found, scales


class _Counted:
    """What f returns at a point, in one row; and how often it was asked."""

    def __init__(self, f: Any, vectorized: bool) -> None:
        self.f, self._vectorized, self.evaluations = f, vectorized, 0

    def at(self, point: Floats) -> Floats:
        """Return the values of f."""
        self.evaluations += 1
        value = self.f(point[np.newaxis])[0] if self._vectorized else self.f(point)
        return numbers(value).reshape(-1)


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

    def divided(self, by: Any) -> tuple[Pattern, Any]:
        """Divide each group into the columns where ``by`` is true and the others; and say which is which."""
        kinds, groups = np.unique(2 * np.asarray(self.groups) + by, return_inverse=True)
        return replace(self, groups=groups.reshape(-1)), kinds % 2 == 1

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


def _agrees_along_directions(problem: Problem, f: _Counted, x: Floats, h: float, scales: Floats, jacobian: Any) -> bool:
    """Whether each row of the Jacobian has the derivative along two random directions, up to its own small error.

    It takes few evaluations, but truncation or noise of a row may hide what is wrong with it: then it does not agree.
    """
    rng, scheme = np.random.default_rng(_SEED), problem.scheme
    assert scheme is not None
    shifts = h * np.array(scheme.shifts + (0,) * scheme.uses_value)
    for _ in range(2):
        direction = rng.uniform(1, 2, x.shape) * scales
        line = ColumnGroups(f.f, x, np.zeros(x.size, np.int64), direction)
        evaluator = Problem(line, np.zeros(1), convert=numbers, vectorized=problem.vectorized).evaluator()
        points = evaluator.shifted(0, 1, [*shifts, *(2 * shifts)])[0].reshape(2 * len(shifts), -1)
        f.evaluations += evaluator.evaluations
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
