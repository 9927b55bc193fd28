"""Derivatives of many columns at once: columns of a Jacobian that share no row are
shifted together.

So a sparse Jacobian of a known pattern takes few evaluations, and an elementwise
function, whose Jacobian is diagonal, no more than a function of one number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant._common.warn import warn
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluators.evaluation import AWAY, name_of, numbers
from secant.differentiation.lines import GOLDEN, sizes_of
from secant.differentiation.options import put_back
from secant.differentiation.problem import Problem
from secant.differentiation.result import Bars, with_error
from secant.differentiation.schemes import Bounds, RelativeStep, Stencils, exact_steps
from secant.errors import MissingExtraError, ShapeError

_STEP_OF_AUTO = 1e-5  # times the size of x
_NEARER = 0.1, 0.01  # times the step
LARGE = 0.01  # of the terms of a row
_EPS = float(np.finfo(np.float64).eps)
# units of rounding, that values along a direction may differ by where the pattern is
# right
ROUNDING = 64.0

Found = tuple[Any, Bars | None, int]
"""Derivatives, their error bars if wanted, and the evaluations of f."""


def sparse_jacobian(problem: Problem, given: Any, sparsity: Any) -> Found:
    """The Jacobian of a pattern, its error bars, and the evaluations."""
    pattern = Pattern.of(sparsity, problem.x.size)

    incomplete_rows: list[int] = []

    def compute(problem: Problem) -> Found:
        columns, grouped, before = shifted_together(
            problem, pattern, sizes_of(problem.x.reshape(-1))[0]
        )
        values, bars, evaluations = derivatives(grouped, None)
        evaluations += before
        if problem.x.size and values[0].size != pattern.shape[0]:
            raise ShapeError(
                f"sparsity must have {values[0].size} rows, an output of f each, got"
                f" {pattern.shape}"
            )
        jacobian = columns.jacobian(columns.entries(values))
        if bars is not None:
            bars = columns.bars(bars).each(columns.jacobian)
        if problem.x.size:
            row, more = _find_incomplete_row(
                problem, pattern, columns.scales, jacobian, bars
            )
            evaluations += more
            if row is not None:
                incomplete_rows.append(row)
        return jacobian, bars, evaluations

    found = with_bars(problem, given, compute)
    warn_of_incomplete(incomplete_rows)
    return found


def warn_of_incomplete(rows: list[int]) -> None:
    """Warn of the first of these rows, if there is one."""
    if rows:
        warn(
            f"the sparsity pattern misses nonzero entries in row {rows[0]}: this row"
            " changes where only coordinates outside of its pattern are shifted; add"
            " them, since other entries are wrong without them"
        )


def elementwise_derivative(
    f: Any, x: Any, h: Any, full_output: Any, **options: Any
) -> Any:
    """As `numerical_diff`, which documents it: f gets a float where x is a number."""
    validation.require_callable("f", f)
    problem = Problem.of(
        f, x, h, full_output=full_output, convert=numbers, **options
    )._replace(kind="Python")
    shape, size = problem.x.shape, problem.x.size
    if not isinstance(x, np.ndarray) and problem.x.ndim == 0:
        problem = problem._replace(
            f=_OfNumber(problem.f, np.float64 if isinstance(x, np.generic) else float)
        )

    def compute(problem: Problem) -> Found:
        flat = problem.x.reshape(-1)
        sizes = np.where(flat != 0, np.abs(flat), 1.0)
        columns, grouped, before = shifted_together(
            problem, Pattern.diagonal(size), sizes
        )
        values, bars, evaluations = derivatives(grouped, None)
        if values.shape[1:] != shape:
            raise ShapeError(
                f"f must return an array of the shape of x, {shape}, whose elements are"
                f" shifted at once, got {values.shape[1:]}; for other functions take"
                " numerical_gradient or numerical_jacobian"
            )
        if bars is not None:
            bars = columns.bars(bars).each(lambda part: part.reshape(shape))
        value = columns.entries(values).reshape(shape)
        return value, bars, evaluations + before

    if size == 1:  # f may return anything
        values, bars, evaluations = derivatives(problem, x)
        value = values[0]
        if bars is not None:
            bars = bars.each(lambda part: part[0])
    else:
        value, bars, evaluations = with_bars(problem, x, compute)
    value = value if np.ndim(value) else float(value)
    return with_error(value, bars, evaluations) if full_output else value


class _OfNumber:
    """A function of a number as one of an array that holds it."""

    def __init__(self, f: Callable[[Any], Any], kind: type) -> None:
        self._f, self._kind = f, kind

    def __call__(self, x: Floats) -> Any:
        return self._f(self._kind(x))


def with_bars(
    problem: Problem, given: Any, compute: Callable[[Problem], Found]
) -> Found:
    """What was computed, with error bars if wanted: those of difference quotients are
    by slopes of "auto".
    """
    try:
        value, bars, evaluations = compute(
            problem._replace(with_error=problem.scheme is None)
        )
        if problem.with_error and problem.scheme is not None:
            slope, bars, more = compute(problem._replace(scheme=None, step=1e-4))
            assert bars is not None
            difference = _by_entry(np.subtract, value, slope)
            bars = bars._replace(error=plus_size(bars.error, difference))
            evaluations += more
    finally:
        put_back(given, problem.x)
    return value, bars, evaluations


def plus_size(matrix: Any, other: Any) -> Any:
    """The sum of an array and the absolute values of another of the same pattern."""
    return _by_entry(lambda each, added: each + np.abs(added), matrix, other)


def _by_entry(function: Callable[..., Any], *arrays: Any) -> Any:
    """A function of arrays, entry by entry.

    Sparse arrays must have the same pattern. The result has it, too: unlike a sum of
    SciPy's, it keeps entries that are 0.
    """
    if not hasattr(arrays[0], "tocsr"):
        return function(*arrays)
    result = arrays[0].copy()
    result.data = function(*(each.data for each in arrays))
    return result


def shifted_together(
    problem: Problem, pattern: Pattern, sizes: Floats
) -> tuple[ColumnGroups, Problem, int]:
    """Return groups of columns, f as a function of their shifts, and the evaluations
    that this took.

    Shifts are in units of the steps, or for "auto" of ``sizes``.
    """
    x = np.array(problem.x, order="C").reshape(-1)
    stencils, scales, evaluations = None, sizes, 0
    step: Any = 1.0
    bounds = None
    if problem.scheme is None:
        if problem.bounds is not None:
            lower, upper = (
                np.array(each, order="C").reshape(-1) - x for each in problem.bounds
            )
            pattern, _ = pattern.divided(upper < -lower)
            bounds = pattern.bounds_of_groups(lower / scales, upper / scales)
    else:
        returned = np.dtype(np.float64)
        # it depends on the type that f returns
        if problem.f0 is None and isinstance(problem.step, RelativeStep):
            evaluator = problem.evaluator()
            value = evaluator.at(problem.x)
            problem, returned, evaluations = (
                problem._replace(f0=value),
                evaluator.returned,
                evaluator.evaluations,
            )
        stencils = problem.stencils(returned)
        assert stencils is not None
        # steps that stay inside
        rounded = np.rint if problem.bounds is None else np.trunc
        scales = exact_steps(stencils.h, x, max(stencils.scheme.shifts), rounded)
        if not scales.all():
            scales = np.where(scales == 0, stencils.h, scales)
        if stencils.is_one_sided is not None:
            pattern, is_one_sided = pattern.divided(stencils.is_one_sided)
            step = stencils._replace(
                h=np.ones(len(is_one_sided)), is_one_sided=is_one_sided
            )

    def columns_of(f: Callable[[Any], Any]) -> ColumnGroups:
        return ColumnGroups(
            f, problem.x, pattern, scales, stencils, problem.bounds is not None
        )

    columns = columns_of(problem.f)
    grouped = problem._replace(
        f=columns,
        x=np.zeros(pattern.groups.max(initial=-1) + 1),
        in_place=None if problem.in_place is None else columns_of(problem.in_place),
        kind="Python",
        step=step,
        bounds=bounds,
        columns=columns,
    )
    return columns, grouped, evaluations


def _find_incomplete_row(
    problem: Problem,
    pattern: Pattern,
    scales: Floats,
    jacobian: Any,
    bars: Bars | None,
) -> tuple[int | None, int]:
    """Return a row of the pattern that misses an entry, if one is found, and the
    evaluations.

    The derivative along one direction must be that of the Jacobian. What the pattern
    leaves out is seen where it is more than a hundredth of the terms of its row. It is
    proportional to the step, unlike noise, jumps, and what the Jacobian itself is off
    by for its steps. A kink of f at x is proportional to it, too, and may hide an entry
    of another row. Therefore, where a row differs, all rows without noise are tried
    with only other columns shifted.
    """
    x = np.array(problem.x, order="C").reshape(-1)
    # columns that are shifted together are apart in it
    direction = (1 + np.arange(x.size) * GOLDEN % 1) * scales
    if problem.scheme is None:
        direction *= _STEP_OF_AUTO
    is_forward = problem.scheme is not None and problem.scheme.name == "forward"
    evaluator = problem.evaluator()

    def inside(point: Floats) -> Floats:
        if problem.bounds is None:
            return point
        lower, upper = (
            np.array(each, order="C").reshape(-1) for each in problem.bounds
        )
        return np.clip(point, lower, upper)

    def values_at(point: Floats) -> Floats:
        value: Floats = evaluator.at(point.reshape(problem.x.shape)).reshape(-1)
        return value

    def compare(factor: float) -> tuple[Any, Any]:
        """By how much a change of f is not what the Jacobian says, and how much is
        allowed.
        """
        above = inside(x + factor * direction)
        below = x if is_forward else inside(x - factor * direction)
        value_above, value_below = values_at(above), values_at(below)
        moved = above - below
        difference = value_above - value_below - jacobian @ moved
        allowed = LARGE * (abs(jacobian) @ np.abs(moved)) + _rounding(value_above)
        if bars is not None:
            allowed += bars.error @ np.abs(moved)
        return difference, allowed

    with np.errstate(all="ignore"):
        difference, allowed = compare(1.0)
        is_large = np.abs(difference) > allowed
        is_suspect = is_large
        for factor in _NEARER:
            if not is_suspect.any():
                return None, evaluator.evaluations
            nearer, allowed_nearer = compare(factor)
            is_proportional = np.abs(nearer / factor - difference) <= 0.1 * np.abs(
                difference
            )
            is_suspect = (
                is_suspect & (np.abs(nearer) > allowed_nearer) & is_proportional
            )
        if not is_suspect.any():
            return None, evaluator.evaluations
        allowed[is_large] = np.inf  # rows with noise or jumps
        allowed[is_suspect] = LARGE * np.abs(difference[is_suspect])
        row = _row_with_other_columns(pattern, values_at, x, inside, direction, allowed)
    return row, evaluator.evaluations


def _row_with_other_columns(
    pattern: Pattern,
    values_at: Callable[[Floats], Floats],
    x: Floats,
    inside: Callable[[Floats], Floats],
    direction: Floats,
    allowed: Floats,
) -> int | None:
    """Return a row that changes by more than allowed where none of its columns is
    shifted.

    Such a row depends on other columns, whether it is smooth or has a kink at x. A row
    has at most one column in a group of columns. Half of a group is shifted at a time,
    for each bit of the columns' numbers within the group: first the columns where the
    bit is 0, then those where it is 1. Any two numbers differ in a bit, so each other
    column is shifted once without the row's own.
    """
    at_x = values_at(x)
    allowed = allowed + _rounding(at_x)
    moved = inside(x + direction), inside(x - direction)
    for group, column_of_row in enumerate(pattern.column_of_rows()):
        members = np.flatnonzero(pattern.groups == group)
        numbers = np.arange(len(members))
        bits = range(max(1, int(numbers[-1]).bit_length()))
        for half in (
            members[numbers >> bit & 1 == side] for bit in bits for side in (0, 1)
        ):
            can_tell = np.isfinite(allowed) & ~np.isin(column_of_row, half)
            if not len(half) or not can_tell.any():
                continue
            for point in moved:
                shifted = x.copy()
                shifted[half] = point[half]
                is_incomplete = can_tell & (np.abs(values_at(shifted) - at_x) > allowed)
                if is_incomplete.any():
                    return int(np.argmax(is_incomplete))
    return None


def _rounding(values: Floats) -> Floats:
    return np.asarray(ROUNDING * _EPS * np.abs(values))


class ColumnGroups:
    """f as a function of the shifts of groups of coordinates; of a stack of them, if
    that is what it gets.

    Attributes
    ----------
    x : ndarray, (coordinates,)
    scales : ndarray, (coordinates,)
        The units of the shifts.
    stencils : Stencils, optional
        The steps of the coordinates; None for "auto".
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        x: Floats,
        pattern: Pattern,
        scales: Floats,
        stencils: Stencils | None,
        is_bounded: bool,
    ) -> None:
        self._f, self._x, self._pattern = f, np.array(x, order="C"), pattern
        self.x, self.scales, self.stencils, self._is_bounded = (
            self._x.reshape(-1),
            scales,
            stencils,
            is_bounded,
        )
        self._groups = pattern.groups.reshape(x.shape)

    @cached_property
    def _columns(self) -> Any:
        return self._pattern.column_of_rows()

    def __call__(self, shifts: Floats) -> Any:
        """Return f at x, shifted."""
        return self._f(
            np.asarray(
                self._x + shifts[..., self._groups] * self.scales.reshape(self._x.shape)
            )
        )

    @property
    def away(self) -> float:
        """A shift to another point than x: with bounds it is no larger than a step."""
        if self.stencils is None:
            return AWAY
        return (
            GOLDEN
            if self._is_bounded
            else max(
                GOLDEN, AWAY * float(np.min((1 + np.abs(self.x)) / abs(self.scales)))
            )
        )

    @property
    def resolution(self) -> float:
        """By how much shifts are rounded, at most; as x is, if that is not
        subnormal.
        """
        return (
            min(
                float(np.max(np.spacing(np.abs(self.x)) / self.scales, initial=0.0)),
                2.0**-52,
            )
            / 2
        )

    def moved(self, group: int, shift: float) -> Floats:
        """The shift of a group that rounding leaves, for each output of f: that of the
        coordinate it depends on.
        """
        with np.errstate(all="ignore"):
            left = ((self.x + shift * self.scales) - self.x) / self.scales
        columns = self._columns[group]
        return np.where(columns < 0, shift, left[columns])

    def place(self, group: int, shift: float, output: int) -> str:
        """Where an output was evaluated: the coordinate that it depends on."""
        columns = self._columns[group]
        column = int(columns[output] if len(columns) > output else columns.max())
        there = float(self.x[column] + shift * self.scales[column])
        return f"{name_of(column, self._x.shape)} = {there!r}"

    def entries(self, compressed: Floats) -> Floats:
        """The entries of the pattern, of the derivatives (groups, ...) in the shifts of
        groups.
        """
        found: Floats = (
            self._of_pattern(compressed) / self.scales[self._pattern.columns]
        )
        return found

    def bars(self, compressed: Bars) -> Bars:
        """How well these are known."""
        return Bars(
            self.entries(compressed.error),
            self._of_pattern(compressed.kind),
            self.entries(compressed.small),
        )

    def _of_pattern(self, compressed: Floats) -> Floats:
        pattern = self._pattern
        by_row = compressed.reshape(len(compressed), pattern.shape[0])
        found: Floats = by_row[pattern.groups[pattern.columns], pattern.rows]
        return found

    def jacobian(self, entries: Floats) -> Any:
        """The entries of the pattern as a sparse array."""
        from scipy.sparse import csr_array

        pattern = self._pattern
        where = pattern.columns.copy(), pattern.starts.copy()
        return csr_array((entries, *where), shape=pattern.shape)


@dataclass(frozen=True)
class Pattern:
    """Where a Jacobian may not be 0.

    Attributes
    ----------
    shape : tuple of int
        (outputs, coordinates)
    rows, columns, starts : ndarray of int
        The row and the column of each entry, row by row; and where each row starts.
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
        """Read what the user gave: a pattern, or SciPy's pair of one and of groups,
        which are found anew.
        """
        try:
            from scipy.optimize._numdiff import group_columns
            from scipy.sparse import csr_array, issparse
        except ModuleNotFoundError:
            raise MissingExtraError("sparsity needs SciPy: pip install scipy") from None
        if (
            isinstance(sparsity, tuple)
            and len(sparsity) == 2
            and (issparse(sparsity[0]) or np.ndim(sparsity[0]) == 2)
        ):
            sparsity = sparsity[0]
        if issparse(sparsity):
            # to compare with 0 would sum its duplicates in place
            given = sparsity.tocoo(copy=True)
            stored, shape = (
                validation.real_array("sparsity", given.data) != 0,
                given.shape,
            )
            where = tuple(index[stored] for index in given.coords)
        else:
            dense = np.atleast_2d(validation.real_array("sparsity", sparsity))
            where, shape = np.nonzero(dense), dense.shape
        if len(shape) != 2 or shape[1] != coordinates:
            raise ShapeError(
                f"sparsity must have {coordinates} columns, a coordinate of x each, got"
                f" {shape}"
            )
        matrix = csr_array((np.ones(len(where[0])), where), shape=shape)
        groups = group_columns(matrix) if coordinates else np.zeros(0, np.int64)
        rows = np.repeat(np.arange(shape[0]), np.diff(matrix.indptr))
        return cls(matrix.shape, rows, matrix.indices, matrix.indptr, groups)

    @classmethod
    def diagonal(cls, size: int) -> Pattern:
        """That of an elementwise function: all columns are one group."""
        each = np.arange(size)
        return cls(
            (size, size), each, each, np.arange(size + 1), np.zeros(size, np.int64)
        )

    def divided(self, by: Any) -> tuple[Pattern, Any]:
        """Divide each group into the columns where ``by`` is true and the others; and
        say which is which.
        """
        kinds, groups = np.unique(2 * np.asarray(self.groups) + by, return_inverse=True)
        return replace(self, groups=groups.reshape(-1)), kinds % 2 == 1

    def column_of_rows(self) -> Any:
        """The column of each group in each row, (groups, outputs); -1 where it has
        none.
        """
        found = np.full((self.groups.max(initial=-1) + 1, self.shape[0]), -1)
        found[self.groups[self.columns], self.rows] = self.columns
        return found

    def bounds_of_groups(self, lower: Floats, upper: Floats) -> Bounds:
        """The bounds of the shift of each group, where those of its columns are
        given.
        """
        count = self.groups.max(initial=-1) + 1
        least, most = np.full(count, -np.inf), np.full(count, np.inf)
        np.maximum.at(least, self.groups, lower)
        np.minimum.at(most, self.groups, upper)
        return Bounds(least, most)
