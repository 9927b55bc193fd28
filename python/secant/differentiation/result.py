"""A derivative with its error bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True, eq=False)
class Derivative:
    """What ``full_output=True`` returns.

    Attributes
    ----------
    value : float or ndarray of float64
        The derivative; of a Jacobian or Hessian with ``sparsity`` a
        `scipy.sparse.csr_array`.
    error : the same
        How far each entry may be from the derivative of f; infinite where that is not
        known.
    success : bool, or ndarray of bool
        By entry, of a sparse array by stored entry: whether the derivative and its
        error bar are finite.
    status : {"converged", "partial", "failed"}
        Whether all entries succeeded, some, or none.
    nfev : int
        How often f was evaluated: with ``vectorized=True``, at how many points.
        Evaluations made only to decide on a warning are not counted.

    Examples
    --------
    >>> found = secant.numerical_gradient(
    ...     lambda x: np.exp(x).sum(), [0.0, 1.0], scheme="auto", full_output=True
    ... )
    >>> (
    ...     bool(np.all(np.abs(found.value - np.exp([0, 1])) <= found.error)),
    ...     found.success,
    ...     found.status,
    ... )
    (True, array([ True,  True]), 'converged')
    """

    value: Any
    error: Any
    success: Any
    status: Literal["converged", "partial", "failed"]
    nfev: int


def with_error(value: Any, error: Any, nfev: int) -> Derivative:
    """Return a derivative with its error bars: infinite ones where they are NaN, since
    nothing is known.
    """
    if hasattr(error, "tocsr"):
        error.data[np.isnan(error.data)] = np.inf
    else:
        error = (
            np.where(np.isnan(error), np.inf, error)
            if np.ndim(error)
            else np.inf
            if np.isnan(error)
            else error
        )
    stored = (value.data, error.data) if hasattr(value, "tocsr") else (value, error)
    success = np.isfinite(stored[0]) & np.isfinite(stored[1])
    status: Any = (
        "converged" if np.all(success) else "partial" if np.any(success) else "failed"
    )
    return Derivative(
        value, error, success if np.ndim(success) else bool(success), status, nfev
    )
