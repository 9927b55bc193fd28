"""A derivative with its error bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# What is said of an entry. The first three are also the kinds of a point: where points
# are joined, the later kind counts.
_STATUSES = ("noisy", "one-sided", "kink", "converged", "unknown")
NOISY, ONE_SIDED, KINK, _CONVERGED, _UNKNOWN = range(len(_STATUSES))
_SMALL = 0.1  # a small error bar is at most this part of the value: a definition
_HALF_OF_DIGITS = 2.0**-26  # the root of the rounding unit of float64


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

        - "converged": the error bar is small. It is at most a tenth of the value, or
          of ``change / size``, or for a Hessian of ``change / size**2``. Here
          ``change`` is how much f changed at most while it was measured, or 1.5e-8 of
          f(x) if that is more; and ``size`` is about the size of that entry of x.
        - "kink": the error bar is larger or infinite, since f or its slope jumps at x
          or near it.
        - "one-sided": it is larger, and f is defined on one side of x only.
        - "noisy": it is larger for any other reason, mostly the noise of f.
        - "unknown": it is infinite, or the value is not finite.
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

    ``kind`` says what kind of point x is for an entry: NOISY, ONE_SIDED or KINK.
    ``small``: the largest error bar that is small beside what f changes by.
    """

    error: Any
    kind: Any
    small: Any

    def each(self, change: Callable[[Any], Any]) -> Bars:
        """The three after the same change."""
        return Bars(*(change(part) for part in self))


@np.errstate(over="ignore")
def small_for(value: Any, change: Any, scale: Any, order: int = 1) -> Any:
    """The largest error bar that is small beside what f changes by.

    ``value``: f at x. ``scale``: the unit of the steps.
    """
    change = np.maximum(change, _HALF_OF_DIGITS * np.abs(value))
    return _SMALL * change / scale**order


def with_error(value: Any, bars: Bars | None, nfev: int) -> Derivative:
    """Return a derivative with its error bars: infinite ones where they are NaN, since
    nothing is known.
    """
    assert bars is not None
    is_sparse = hasattr(value, "tocsr")
    values = value.data if is_sparse else np.asarray(value)
    error, kind, small = (part.data if is_sparse else np.asarray(part) for part in bars)
    error = np.where(np.isnan(error), np.inf, error)
    is_small = error <= np.maximum(_SMALL * np.abs(values), small)
    is_known = np.isfinite(values) & np.isfinite(error)
    success = is_known & is_small
    codes = kind.astype(int)
    codes = np.where(is_known | (codes == KINK), codes, _UNKNOWN)
    codes = np.where(success, _CONVERGED, codes)
    status = np.array(_STATUSES)[codes]
    if is_sparse:
        bars.error.data[:] = error
        return Derivative(value, bars.error, success, status, nfev)
    if values.ndim:
        return Derivative(value, error, success, status, nfev)
    if not isinstance(value, np.ndarray):
        error = float(error)
    return Derivative(value, error, bool(success), str(status), nfev)
