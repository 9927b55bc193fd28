"""Numerical Jacobians; of a known pattern, columns that share no row are shifted together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Floats
from secant.differentiation.choice import Options, argument, require_dependence
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluation import numbers
from secant.differentiation.schemes import SchemeName
from secant.errors import MissingExtraError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from concurrent.futures import Executor


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
        evaluations of f. A derivative where the pattern has 0 is not seen, and makes others wrong. f must use its
        argument. It needs SciPy.

    Returns
    -------
    jacobian : ndarray of float64, (the shape of f(x), then that of x)
        With ``sparsity``: a `scipy.sparse.csr_array`, (outputs, coordinates).
    error : the same
        Only with ``return_error``: how far an entry may be from the derivative.

    Raises
    ------
    DTypeError
        If f is not callable, x does not hold real numbers, f ignores its argument where x was copied, or f does not
        return real numbers.
    MissingExtraError
        If ``sparsity`` needs SciPy, or n_jobs joblib, and it is not installed.
    ShapeError
        If f does not always return the same shape, or the pattern does not have that of the Jacobian.
    UnsupportedError
        If options do not go together, or f is a C function.
    ValueRangeError
        If x is read-only, h is not finite and greater than 0, or f or x is not finite for "auto".

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
    return np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(*values.shape[1:], *shape)


def _sparse(f: Any, x: Any, h: Any, options: Options, sparsity: Any) -> Any:
    try:
        from scipy.optimize._numdiff import group_columns
        from scipy.sparse import csr_array
    except ModuleNotFoundError:
        raise MissingExtraError("sparsity needs SciPy: pip install 'secant[sparse]'") from None
    if options.inplace:
        raise UnsupportedError("with sparsity copies of x are shifted: inplace=True does not go with it")
    point, _ = argument(x)
    pattern = csr_array(sparsity) if hasattr(sparsity, "tocsr") else csr_array(np.atleast_2d(sparsity))
    pattern.eliminate_zeros()
    if pattern.ndim != 2 or pattern.shape[1] != point.size:
        raise ShapeError(f"sparsity must have {point.size} columns, a coordinate of x each, got {pattern.shape}")
    groups = group_columns(pattern) if point.size else np.zeros(0, np.int64)
    scales = np.ones(point.shape)
    if options.scheme == "auto":  # it starts from the size of x
        scales = np.maximum(np.abs(point), np.sqrt(np.mean(point**2)) or 1.0)
    together = Together(f, point, groups, scales)
    values, errors = derivatives(together, np.zeros(groups.max(initial=-1) + 1), h, options, numbers)
    require_dependence(f, values)
    if groups.size and values[0].size != pattern.shape[0]:
        raise ShapeError(f"sparsity must have {values[0].size} rows, an output of f each, got {pattern.shape}")
    rows, columns = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices
    flat = scales.reshape(-1)[columns]

    def spread(compressed: Floats) -> Any:
        entries = compressed.reshape(len(compressed), -1)[groups[columns], rows] / flat
        return csr_array((entries, columns.copy(), pattern.indptr.copy()), shape=pattern.shape)

    return spread(values) if errors is None else (spread(values), spread(errors))


class Together:
    """f as a function of the shifts of groups of coordinates; of a stack of them, if that is what it gets."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, groups: Any, scales: Floats) -> None:
        self._f, self._x, self._scales = f, np.array(x, order="C"), scales
        self._groups = groups.reshape(x.shape)

    def __call__(self, shifts: Floats) -> Any:
        """Return f at x, shifted."""
        return self._f(self._x + shifts[..., self._groups] * self._scales)
