"""Numerical Hessians, by second differences or as the Jacobian of a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.warn import warn
from secant.differentiation.columns import (
    Found,
    Pattern,
    plus_size,
    warn_of_incomplete,
    with_bars,
)
from secant.differentiation.derivatives import computed, warn_of_values
from secant.differentiation.evaluators.evaluation import Evaluator
from secant.differentiation.jacobian import jacobian_with_bars
from secant.differentiation.options import MoreOptions
from secant.differentiation.problem import Problem, with_options
from secant.differentiation.result import Bars, with_error
from secant.differentiation.schemes import DEFAULT_STEP
from secant.differentiation.second_differences import SecondDifferences
from secant.errors import ShapeError


@with_options(MoreOptions)
def numerical_hessian(
    f: Any,
    x: ArrayLike,
    *,
    gradient: Callable[..., Any] | None = None,
    scheme: Literal["auto", "central"] = "auto",
    h: Any = DEFAULT_STEP,
    sparsity: Any = None,
    full_output: bool = False,
    **options: Unpack[MoreOptions],
) -> Any:
    """Return the second derivatives of f at x, a symmetric matrix.

    Parameters
    ----------
    f : callable, or a pointer to a C function
        Takes x and returns a number, as for `numerical_gradient`. With ``gradient``, f
        is not evaluated.
    x : array_like, of any shape and layout
        Its n entries are numbered as in ``x.flat``.
    gradient : callable, optional
        The gradient of f, in the shape of x: the Hessian is then its Jacobian, made
        symmetric, by `numerical_jacobian`. It takes the same arguments, and with
        ``vectorized`` a stack of points. Error bars include half of what is not
        symmetric, as of a gradient that is wrong.
    scheme : {"auto", "central"}
        "auto" chooses steps for each entry, by extrapolation, and takes no h; it takes
        about 4 n (n + 1) and 45 n + 45 evaluations where f is smooth. "central" takes n
        (n + 1) + 1.
    h : float, array_like or None
        The step of "central", as for `numerical_gradient`; None is ``eps**(1/4) *
        max(1, abs(x))``, where eps is that of what f returns.
    bounds : (array_like, array_like) or scipy.optimize.Bounds, optional
        f is not evaluated outside: steps are smaller near a bound. x may not be on one,
        unless ``gradient`` is given.
    sparsity : array_like or sparse array, (n, n), optional
        Not 0 where the Hessian may not be, on both sides of the diagonal. Only these
        entries are evaluated, and two second differences along a random direction tell
        if others are not 0. It needs SciPy.
    full_output : bool
        Return a `Derivative`: the Hessian, how far each entry may be off, and the
        number of evaluations.
    rel_step, args, kwargs, vectorized, workers, progress, noise, f0, inplace
        As for `numerical_gradient`.

    Returns
    -------
    ndarray of float64, (n, n)
        With ``sparsity`` a `scipy.sparse.csr_array`; with ``full_output`` a
        `Derivative`.

    Warns
    -----
    RuntimeWarning
        If the pattern misses nonzero entries, or no entry of the Hessian exceeds the
        noise of f. Or as for `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f or gradient is not callable, or x does not hold real numbers.
    MissingExtraError
        If ``sparsity`` needs SciPy, or workers joblib, and it is not installed.
    ShapeError
        If f does not return a single number, gradient not one for each entry, or the
        pattern is not (n, n).
    UnsupportedError
        If options do not go together.
    ValueRangeError
        If f or x is not finite, h is lost in x, x is on a bound, or f is not defined at
        a shifted point of "central".

    Notes
    -----
    The error bar of an entry is twelve times the disagreement of extrapolations and of
    what the rounding of f makes of them. Where no two agree it is infinite. Where f has
    a kink at x the entry is NaN; where its second derivative jumps it is the mean of
    both sides.

    Examples
    --------
    >>> secant.numerical_hessian(lambda x: x[0] ** 2 * x[1], [1.0, 2.0]).round(9)
    array([[4., 2.],
           [2., 0.]])
    """
    validation.one_of("scheme", scheme, ("auto", "central"))
    if gradient is not None:
        validation.require_callable("gradient", gradient)
        options.pop("f0", None)  # f is not evaluated
        jacobian, bars, evaluations = jacobian_with_bars(
            gradient, x, h, scheme, full_output, sparsity, **options
        )
        jacobian = _square(jacobian, np.size(x))
        if not full_output:
            return _half_sum(jacobian)
        assert bars is not None
        error, kind, small = bars.each(lambda part: _square(part, np.size(x)))
        asymmetry = _half_sum(jacobian, -1.0)
        bars = Bars(
            plus_size(_half_sum(error), asymmetry), _larger(kind), _half_sum(small)
        )
        return with_error(_half_sum(jacobian), bars, evaluations)
    problem = Problem.of(f, x, h, scheme=scheme, full_output=full_output, **options)
    size = problem.x.size
    pattern = None if sparsity is None else Pattern.of(sparsity, size)
    if pattern is not None and pattern.shape[0] != size:
        raise ShapeError(
            f"sparsity must have shape {(size, size)}, got {pattern.shape}"
        )
    incomplete_rows: list[int] = []
    values, bars, evaluations = with_bars(
        problem, x, lambda problem: _hessian(problem, pattern, incomplete_rows)
    )
    warn_of_incomplete(incomplete_rows)
    return with_error(values, bars, evaluations) if full_output else values


def _square(jacobian: Any, size: int) -> Any:
    """The Jacobian of a gradient as a matrix."""
    if not hasattr(jacobian, "tocsr"):
        if jacobian.size != size * size:
            count = jacobian.size // max(size, 1)
            raise ShapeError(
                f"gradient must return {size} numbers, one for each entry of x, got"
                f" {count}"
            )
        return jacobian.reshape(size, size)
    if jacobian.shape != (size, size):
        raise ShapeError(
            f"sparsity must have shape {(size, size)}, got {jacobian.shape}"
        )
    return jacobian


def _half_sum(matrix: Any, sign: float = 1.0) -> Any:
    """Half of the sum of a matrix and its transpose, or of their difference.

    A sparse one keeps entries that are 0.
    """
    if not hasattr(matrix, "tocsr"):
        return (matrix + sign * matrix.T) / 2
    from scipy.sparse import csr_array

    found = matrix.tocoo()
    places = (
        np.concatenate([found.row, found.col]),
        np.concatenate([found.col, found.row]),
    )
    return csr_array(
        (np.concatenate([found.data, sign * found.data]) / 2, places),
        shape=matrix.shape,
    )


def _larger(matrix: Any) -> Any:
    """The larger of each entry and the one across the diagonal: half of their sum, plus
    half of how far they are apart.
    """
    return plus_size(_half_sum(matrix), _half_sum(matrix, -1.0))


def _hessian(
    problem: Problem, pattern: Pattern | None, incomplete_rows: list[int]
) -> Found:
    """The Hessian, its error bars for "auto", and the evaluations.

    Adds a row where the pattern misses entries.
    """
    size = problem.x.size
    if pattern is None:
        pairs = np.stack(np.triu_indices(size, 1), axis=1)
    else:
        pairs = np.sort(np.stack([pattern.rows, pattern.columns], axis=1), axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)

    def make(evaluator: Evaluator, problem: Problem) -> SecondDifferences:
        return SecondDifferences(evaluator, problem, pairs)

    found, method, evaluator = computed(problem, make)
    values = np.concatenate([method.diagonal.values, found.values, found.values])
    of_diagonal, of_mixed = method.diagonal.bars, found.bars
    assert of_diagonal is not None
    assert of_mixed is not None
    bars = Bars(
        *(
            np.concatenate([own, mixed, mixed])
            for own, mixed in zip(of_diagonal, of_mixed, strict=True)
        )
    )
    warn_of_values(evaluator, method.stencils, problem.x, values)
    if not evaluator.is_constant and method.is_below_noise(
        evaluator, found.values, of_mixed.error
    ):
        cure = (
            "see the error bars of full_output=True"
            if problem.scheme is None
            else "take scheme='auto' or a larger h"
        )
        warn(
            "the Hessian is below the noise of f: all its entries may be 0; let f"
            f" return more digits, or {cure}"
        )
    where = (
        np.concatenate([np.arange(size), *pairs.T]),
        np.concatenate([np.arange(size), *pairs.T[::-1]]),
    )
    has_error = problem.scheme is None

    def matrix(entries: Any) -> Any:
        if pattern is not None:
            from scipy.sparse import csr_array

            return csr_array((entries, where), shape=(size, size))
        dense = np.empty((size, size))
        dense[where] = entries
        return dense

    hessian, bars = matrix(values), bars.each(matrix)
    before = evaluator.evaluations
    if pattern is not None:
        row = method.find_incomplete_row(evaluator, hessian, bars.error)
        if row is not None:
            incomplete_rows.append(row)
    evaluations = found.evaluations + evaluator.evaluations - before
    return hessian, bars if has_error else None, evaluations
