"""A derivative with its error bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

STATUSES = ("noisy", "one-sided", "kink", "converged", "unknown")
"""What is said of an entry. The first three are also the kinds of a point."""
NOISY, ONE_SIDED, KINK, _CONVERGED, _UNKNOWN = range(len(STATUSES))

SMALL = 0.1
"""Of a value, or of what f changes by: an error bar that is at most so large is small.
A matter of definition, which `Derivative` tells users.
"""

_HALF_OF_DIGITS = 2.0**-26


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
        By entry, of a sparse array by stored entry: whether its status is "converged".
    status : str, or ndarray of str
        By entry:

        - "converged": the error bar is small. It is at most a tenth of the value, or a
          tenth of the slope that f has where it changes most.
        - "kink": the error bar is larger, since f or its slope jumps at x.
        - "one-sided": it is larger, and f is defined on one side of x only.
        - "noisy": it is larger for any other reason, mostly the noise of f.
        - "unknown": it is infinite, or the value is not finite, and x is not known to
          be on a kink.
    nfev : int
        How often f was evaluated: with ``vectorized=True``, at how many points.
        Evaluations made only to decide on a warning are not counted.

    Examples
    --------
    >>> found = secant.numerical_gradient(
    ...     lambda x: np.exp(x[0]) + abs(x[1]),
    ...     [1.0, 0.0],
    ...     scheme="auto",
    ...     full_output=True,
    ... )
    >>> found.status.tolist(), found.success.tolist()
    (['converged', 'kink'], [True, False])
    >>> bool(abs(found.value[0] - np.e) <= found.error[0])
    True
    """

    value: Any
    error: Any
    success: Any
    status: Any
    nfev: int


class Bars(NamedTuple):
    """How well derivatives are known: three arrays in their shape.

    ``kind`` says what kind of point x is for an entry, as an index of `STATUSES`.
    ``small``: an error bar that is small for f.
    """

    error: Any
    kind: Any
    small: Any

    def each(self, change: Callable[[Any], Any]) -> Bars:
        """The three after the same change."""
        return Bars(*(change(part) for part in self))


@np.errstate(over="ignore")
def small_for(value: Any, change: Any, scale: Any, order: int = 1) -> Any:
    """A small error bar of a derivative of an f that changes by so much from its value
    over a tenth of the scale; or not at all, up to half of its digits.
    """
    return SMALL * np.maximum(change, _HALF_OF_DIGITS * np.abs(value)) / scale**order


def with_error(value: Any, bars: Bars | None, nfev: int) -> Derivative:
    """Return a derivative with its error bars: infinite ones where they are NaN, since
    nothing is known.
    """
    assert bars is not None
    is_sparse = hasattr(value, "tocsr")
    values = value.data if is_sparse else np.asarray(value)
    error, kind, small = (part.data if is_sparse else np.asarray(part) for part in bars)
    error = np.where(np.isnan(error), np.inf, error)
    is_small = error <= np.maximum(SMALL * np.abs(values), small)
    is_known = np.isfinite(values) & np.isfinite(error)
    success = is_known & is_small
    codes = np.where(is_known | (kind == KINK), kind.astype(int), _UNKNOWN)
    status = np.array(STATUSES)[np.where(success, _CONVERGED, codes)]
    if is_sparse:
        bars.error.data[:] = error
        return Derivative(value, bars.error, success, status, nfev)
    if values.ndim:
        return Derivative(value, error, success, status, nfev)
    if not isinstance(value, np.ndarray):
        error = float(error)
    return Derivative(value, error, bool(success), str(status), nfev)
