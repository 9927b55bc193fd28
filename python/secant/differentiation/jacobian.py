"""Numerical Jacobians; of a known pattern, columns that share no row are shifted together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluators.evaluation import numbers
from secant.differentiation.options import Workers, are_defaults, put_back
from secant.differentiation.problem import Problem, kind_of
from secant.differentiation.result import with_error
from secant.differentiation.rounding import root_mean_square
from secant.differentiation.schemes import Bounds, RelativeStep, SchemeName
from secant.errors import MissingExtraError, ShapeError, UnsupportedError, ValueRangeError

_SEED = 0
_STEP_OF_AUTO = 1e-4  # times the size of x
_NEARER = 0.1, 0.01  # times the step
_LARGE = 0.01  # of the terms of a row
_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 64.0  # units of rounding, that values along a direction may differ by where the pattern is right


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
    workers: Workers = None,
    f0: ArrayLike | None = None,
    full_output: bool = False,
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
    h, scheme, rel_step, bounds, args, kwargs, vectorized, workers, f0, full_output, inplace, progress
        As for `numerical_gradient`.
    sparsity : array_like or sparse array, (outputs, coordinates), optional
        Not 0 where the Jacobian may not be. Coordinates that share no row are shifted together, which needs few
        evaluations of f. A derivative where the pattern has 0 would make others wrong: the derivative along a random
        direction, two evaluations more, tells if there is a large one. It needs SciPy.

    Returns
    -------
    jacobian : ndarray of float64, (the shape of f(x), then that of x)
        With ``sparsity``: a `scipy.sparse.csr_array`, (outputs, coordinates).
        With ``full_output``, a `Derivative` of them.

    Warns
    -----
    RuntimeWarning
        As for `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f is not callable, x or the pattern does not hold real numbers, or f does not return real numbers.
    MissingExtraError
        If ``sparsity`` needs SciPy, or workers joblib, and it is not installed.
    ShapeError
        If f does not always return the same shape, or the pattern does not have that of the Jacobian.
    UnsupportedError
        If options do not go together, or f is a C function.
    ValueRangeError
        If h is not finite and greater than 0, f or x is not finite for "auto", f is not finite at a shifted point,
        though it is at x, the pattern has 0 where the Jacobian has not, or f mixes the points of a stack.

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
    others = (scheme, vectorized, workers, full_output, inplace, progress)
    if f0 is None and are_defaults(others, rel_step, bounds, args, kwargs):
        problem = Problem.of_defaults(f, x, h, kind_of(f), numbers)
    else:
        validation.flag("full_output", full_output)
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
            workers=workers,
            with_error=full_output,
            inplace=inplace,
            progress=progress,
            f0=f0,
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
    return with_error(jacobian, error, evaluations) if full_output else jacobian


def _outputs_first(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Derivatives (coordinates, outputs) as (outputs, and the shape of x)."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(values.shape[1:] + shape)


def _sparse(problem: Problem, given: Any, sparsity: Any) -> tuple[Any, Any, int]:
    """The Jacobian, its error bars, and the evaluations: f as a function of the shifts of groups of columns."""
    x = np.asarray(problem.x, order="C")
    pattern = Pattern.of(sparsity, x.size)
    pattern, grouped, scales = _grouped(problem, pattern)
    try:
        values, errors, evaluations = derivatives(grouped, None)
        if x.size and values[0].size != pattern.shape[0]:
            raise ShapeError(f"sparsity must have {values[0].size} rows, an output of f each, got {pattern.shape}")
        jacobian = pattern.expanded(values, scales)
        bars = None if errors is None else pattern.expanded(errors, scales)
        if x.size:
            evaluations += _require_pattern(problem, scales, jacobian, bars)
    finally:
        put_back(given, problem.x)
    if not problem.with_error:
        return jacobian, None, evaluations
    if bars is not None:
        return jacobian, bars, evaluations
    slopes, bars, more = _sparse(problem._replace(scheme=None, step=1e-4), given, sparsity)
    return jacobian, abs(jacobian - slopes) + bars, evaluations + more


def _grouped(problem: Problem, pattern: Pattern) -> tuple[Pattern, Problem, Floats]:
    """Return f as a function of the shifts of groups of columns, in units of ``scales``, (coordinates,)."""
    x = np.array(problem.x, order="C").reshape(-1)
    step: Any = 1.0
    bounds = None
    if problem.scheme is None:  # "auto" starts from the size of its argument, which is 0 here: units take its place
        scales = np.maximum(np.abs(x), root_mean_square(x) or 1.0)
        if problem.bounds is not None:
            lower, upper = (np.array(each, order="C").reshape(-1) - x for each in problem.bounds)
            pattern, _ = pattern.divided(upper < -lower)
            bounds = pattern.bounds_of_groups(lower / scales, upper / scales)
    else:
        value = problem.f0
        if value is None and isinstance(problem.step, RelativeStep):
            evaluator = problem.evaluator()
            value = evaluator.at(problem.x)
            problem = problem._replace(f0=value)
            stencils = problem.stencils(evaluator.returned)
        else:
            stencils = problem.stencils(np.dtype(np.float64))
        assert stencils is not None
        h = np.broadcast_to(stencils.h, x.size)
        scales = np.where((left := (x + h) - x) == 0, h, left)  # the step that rounding leaves
        if stencils.is_one_sided is not None:
            pattern, is_one_sided = pattern.divided(stencils.is_one_sided)
            step = stencils._replace(h=np.ones(len(is_one_sided)), is_one_sided=is_one_sided)
    function = ColumnGroups(problem.f, problem.x, pattern, scales)
    grouped = problem._replace(
        f=function,
        x=np.zeros(pattern.groups.max(initial=-1) + 1),
        given=None,
        kind="Python",
        step=step,
        bounds=bounds,
        with_error=problem.scheme is None,
        moved=function.moved,
    )
    return pattern, grouped, scales


def _require_pattern(problem: Problem, scales: Floats, jacobian: Any, errors: Any) -> int:
    """Raise an error if the derivative along a random direction is not that of the Jacobian; return the evaluations.

    What the pattern leaves out is seen where it is more than a hundredth of the terms of its row. It is proportional to
    the step, unlike noise, jumps, and what the Jacobian itself is off by for its steps.
    """
    x = np.array(problem.x, order="C").reshape(-1)
    direction = np.random.default_rng(_SEED).uniform(1, 2, x.size) * scales
    if problem.scheme is None:
        direction *= _STEP_OF_AUTO
    is_forward = problem.scheme is not None and problem.scheme.name == "forward"
    evaluator = problem._replace(given=None, is_trusted=True).evaluator()

    def missing(factor: float) -> tuple[Any, Any, Any]:
        """What f changes by, what the Jacobian says, and whether their difference is large."""
        points = [x + factor * direction, x if is_forward else x - factor * direction]
        if problem.bounds is not None:
            lower, upper = (np.array(each, order="C").reshape(-1) for each in problem.bounds)
            points = [np.clip(point, lower, upper) for point in points]
        above, below = (evaluator.at(point.reshape(problem.x.shape)).reshape(-1) for point in points)
        moved = points[0] - points[1]
        change, expected = above - below, jacobian @ moved
        known = _LARGE * (abs(jacobian) @ np.abs(moved)) + _ROUNDING * _EPS * np.abs(above)
        if errors is not None:
            known += errors @ np.abs(moved)
        return change, expected, np.abs(change - expected) > known

    with np.errstate(all="ignore"):
        change, expected, wrong = missing(1.0)
        for factor in _NEARER:
            if not wrong.any():
                return evaluator.evaluations
            nearer, expected_nearer, is_large = missing(factor)
            away = (nearer - expected_nearer) / factor - (change - expected)
            wrong &= is_large & (np.abs(away) <= 0.1 * np.abs(change - expected))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueRangeError(
            f"sparsity must not have 0 where the Jacobian has not: along a random direction row {row} of f changes by "
            f"{change[row]:.3g}, of which {expected[row]:.3g} is what the pattern has there; or h is too large for f"
        )
    return evaluator.evaluations


class ColumnGroups:
    """f as a function of the shifts of groups of coordinates; of a stack of them, if that is what it gets."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, pattern: Pattern, scales: Floats) -> None:
        self._f, self._x, self._scales = f, np.array(x, order="C"), scales.reshape(x.shape)
        self._groups = pattern.groups.reshape(x.shape)
        self._columns = pattern.column_of_rows()

    def __call__(self, shifts: Floats) -> Any:
        """Return f at x, shifted."""
        return self._f(self._x + shifts[..., self._groups] * self._scales)

    def moved(self, group: int, shift: float) -> Floats:
        """The shift of a group that rounding leaves, for each output of f: that of the coordinate it depends on."""
        x, scales = self._x.reshape(-1), self._scales.reshape(-1)
        left = ((x + shift * scales) - x) / scales
        columns = self._columns[group]
        return np.where(columns < 0, shift, left[columns])


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

    def column_of_rows(self) -> Any:
        """The column of each group in each row, (groups, outputs); -1 where it has none."""
        found = np.full((self.groups.max(initial=-1) + 1, self.shape[0]), -1)
        found[self.groups[self.columns], self.rows] = self.columns
        return found

    def bounds_of_groups(self, lower: Floats, upper: Floats) -> Bounds:
        """The bounds of the shift of each group, where those of its columns are given."""
        count = self.groups.max(initial=-1) + 1
        least, most = np.full(count, -np.inf), np.full(count, np.inf)
        np.maximum.at(least, self.groups, lower)
        np.minimum.at(most, self.groups, upper)
        return Bounds(least, most)

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
