"""Numerical Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Floats
from secant.differentiation.columns import Found, sparse_jacobian
from secant.differentiation.derivatives import central_differences, derivatives
from secant.differentiation.evaluators.evaluation import numbers
from secant.differentiation.options import MoreOptions
from secant.differentiation.problem import Problem, with_options
from secant.differentiation.result import with_error
from secant.differentiation.schemes import DEFAULT_STEP, SchemeName
from secant.errors import UnsupportedError


@with_options(MoreOptions)
def numerical_jacobian(
    f: Callable[..., Any],
    x: ArrayLike,
    h: Any = DEFAULT_STEP,
    *,
    scheme: SchemeName = "central",
    full_output: bool = False,
    sparsity: Any = None,
    **options: Unpack[MoreOptions],
) -> Any:
    """Return the numerical derivatives of all outputs of f in every coordinate of x.

    Parameters
    ----------
    f : callable
        Takes x and returns an array, always of the same shape.
    x : array_like, of any shape and layout
    h, scheme, full_output
        As for `numerical_gradient`.
    sparsity : array_like or sparse array, (outputs, coordinates), optional
        Not 0 where the Jacobian may not be. Coordinates that share no row are shifted
        together, which needs few evaluations of f. A derivative where the pattern has 0
        would make others wrong: the derivative along one direction, two evaluations
        more, tells if there is a large one. SciPy's ``(structure, groups)`` is
        accepted; the groups are computed again. It needs SciPy.
    rel_step, bounds, args, kwargs, vectorized, workers, progress, noise, f0, inplace
        As for `numerical_gradient`.

    Returns
    -------
    jacobian : ndarray of float64, (the shape of f(x), then that of x)
        With ``sparsity``: a `scipy.sparse.csr_array`, (outputs, coordinates).
        With ``full_output``, a `Derivative` of them.

    Warns
    -----
    RuntimeWarning
        If the pattern misses nonzero entries: the warning names a row. Or as for
        `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f is not callable, x or the pattern does not hold real numbers, or f does not
        return real numbers.
    MissingExtraError
        If ``sparsity`` needs SciPy, or workers joblib, and it is not installed.
    ShapeError
        If f does not always return the same shape, or the pattern does not have that of
        the Jacobian.
    UnsupportedError
        If options do not go together, or f is a C function.
    ValueRangeError
        If h is not finite and greater than 0, f or x is not finite for "auto", f is not
        finite at a shifted point, though it is at x, or f mixes the points of a stack.

    Examples
    --------
    >>> secant.numerical_jacobian(
    ...     lambda x: np.array([x[0] * x[1], x[1]]), np.array([3.0, 4.0])
    ... ).round(6)
    array([[4., 3.],
           [0., 1.]])
    >>> jacobian = secant.numerical_jacobian(
    ...     lambda x: x**2, np.array([3.0, 4.0]), sparsity=np.eye(2)
    ... )
    >>> jacobian.toarray().round(6)
    array([[6., 0.],
           [0., 8.]])
    """
    if (
        scheme == "central"
        and full_output is False
        and sparsity is None
        and not options
    ):
        return _outputs_first(*central_differences(f, x, h, numbers))
    jacobian, bars, evaluations = jacobian_with_bars(
        f, x, h, scheme, full_output, sparsity, **options
    )
    return with_error(jacobian, bars, evaluations) if full_output else jacobian


def jacobian_with_bars(
    f: Any,
    x: Any,
    h: Any,
    scheme: SchemeName,
    full_output: bool,
    sparsity: Any,
    **options: Any,
) -> Found:
    """The Jacobian, its error bars if wanted, and the evaluations."""
    problem = Problem.of(
        f, x, h, scheme=scheme, full_output=full_output, convert=numbers, **options
    )
    if sparsity is not None:
        if problem.inplace:
            raise UnsupportedError(
                "with sparsity copies of x are shifted: inplace=True does not go"
                " with it"
            )
        return sparse_jacobian(problem, x, sparsity)
    values, bars, evaluations = derivatives(problem, x)
    shape = problem.x.shape
    if bars is not None:
        bars = bars.each(lambda part: _outputs_first(part, shape))
    return _outputs_first(values, shape), bars, evaluations


def _outputs_first(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Derivatives (coordinates, outputs) as (outputs, and the shape of x)."""
    return np.ascontiguousarray(values.transpose(*range(1, values.ndim), 0)).reshape(
        values.shape[1:] + shape
    )
