"""Numerical differentiation of any function."""

from collections.abc import Callable
from typing import Any

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.errors import DTypeError, ShapeError, ValueRangeError


def numerical_diff(f: Callable[[Any], Any], x: Any, h: float = 1e-4) -> Any:
    """Return the central difference of f at x, ``(f(x + h) - f(x - h)) / 2h``.

    Parameters
    ----------
    f : callable
        Takes x and returns a number, or an array of them.
    x : float or array
    h : float
        Half the distance of the two points. The truncation error grows as h**2, the rounding error as 1/h: at h = 1e-30
        both points round to x, and the result is 0.

    Returns
    -------
    float or array
        Whatever f returns.

    Raises
    ------
    DTypeError
        If x is float32 or float16, in whose rounding h is lost, or h is not a number.
    ValueRangeError
        If h is not finite and greater than 0.

    Examples
    --------
    >>> round(secant.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5.0), 6)
    0.2
    """
    h = validation.finite_number("h", h, above=0)
    if isinstance(x, np.ndarray | np.generic) and _loses_h(x.dtype):
        raise DTypeError(f"x must be float64, got {x.dtype}: {_LOST}")
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[Floats], Any], x: Floats, h: float = 1e-4) -> Floats:
    """Return the central difference of f in every coordinate of x.

    Parameters
    ----------
    f : callable
        Takes x and returns a number. It may ignore its argument and look at the same array elsewhere, as in
        ``numerical_gradient(lambda _: net.loss(x, t), net.params["W1"])``.
    x : ndarray of float64, of any shape and layout
        Perturbed in place while f runs. When the call ends it is what it was, bit for bit, also when f raises.
    h : float
        The shift of a coordinate.

    Returns
    -------
    ndarray of float64, in the shape of x

    Raises
    ------
    DTypeError
        If x is not a plain array of float64, or f does not return a real number.
    ShapeError
        If f does not return a single number.
    ValueRangeError
        If x is read-only, or h is not finite and greater than 0.

    Notes
    -----
    The truncation error is f''' h**2 / 6, the rounding error about eps |f| / h.

    Examples
    --------
    >>> secant.numerical_gradient(lambda x: np.sum(x**2), np.array([3.0, 4.0])).round(6)
    array([6., 8.])
    """
    require_perturbable("x", x)
    return central_difference(lambda point: number(f(point)), x, validation.finite_number("h", h, above=0))


numerical_gradient_1d = numerical_gradient
numerical_gradient_2d = numerical_gradient


def central_difference(f: Callable[[Floats], float], x: Floats, h: float) -> Floats:
    """(f(x + h) - f(x - h)) / 2h, one coordinate of x after the other: what all of Secant is measured against.

    x itself is perturbed, since f may look at it without using its argument. Afterwards it is what it was, bit for
    bit, also when f raises.
    """
    gradient = np.zeros(x.shape)
    original = x.copy()
    try:
        for index in np.ndindex(x.shape):
            value = original[index]
            x[index] = value + h
            above = f(x)
            x[index] = value - h
            below = f(x)
            x[index] = value
            gradient[index] = (above - below) / (2 * h)
    finally:
        x[...] = original
    return gradient


def require_perturbable(name: str, x: Any) -> None:
    """Raise the error that says why the elements of x cannot be shifted by h in place."""
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        raise DTypeError(f"{name} must be a plain NumPy array, got {type(x).__name__}: it is perturbed in place")
    if x.dtype != np.float64:
        why = "it is perturbed in place"
        if x.dtype.kind in "biu":
            why = "it cannot hold x + h"
        elif _loses_h(x.dtype):
            why = _LOST
        raise DTypeError(f"{name} must be float64, got {x.dtype}: {why}; use x.astype(float)")
    if not x.flags.writeable:
        raise ValueRangeError(f"{name} must be writeable, got a read-only array: it is perturbed in place")


_LOST = "h is lost in its rounding"


def _loses_h(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" and dtype.itemsize < 8


def number(value: Any) -> float:
    """Return what f returned as a float, if it is a single real number."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ShapeError(f"f must return a single number, got {value!r}") from None
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"f must return a real number, got {value!r}")
    if array.size != 1:
        raise ShapeError(f"f must return a single number, got an array of shape {array.shape}")
    return float(array.item())
