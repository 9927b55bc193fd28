"""The book's ``common.gradient``, and the other functions of its chapter 4."""

from collections.abc import Callable
from typing import Any

import numpy as np

from secant._common.validation import Floats, require_callable
from secant.differentiation.derivatives import derivatives
from secant.differentiation.evaluators.evaluation import InPlace
from secant.differentiation.options import own_point
from secant.differentiation.problem import Problem
from secant.differentiation.schemes import BOOK, DEFAULT_STEP
from secant.errors import DTypeError

__all__ = [
    "_numerical_gradient_1d",
    "gradient_descent",
    "np",
    "numerical_diff",
    "numerical_gradient",
    "numerical_gradient_1d",
    "numerical_gradient_2d",
]


def numerical_diff(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the central difference of f at x, ``(f(x + h) - f(x - h)) / (2 * h)`` with
    h = 1e-4.

    Parameters
    ----------
    f : callable
        Takes x and returns a number, or an array of the shape of x.
    x : float or ndarray of float64

    Returns
    -------
    float, or ndarray of float64

    See Also
    --------
    secant.numerical_diff : has options, and divides by the step that rounding leaves.

    Examples
    --------
    >>> secant.book.numerical_diff(lambda x: x**2 + 4**2, 3.0)
    6.00000000000378
    """
    return (f(x + DEFAULT_STEP) - f(x - DEFAULT_STEP)) / (2 * DEFAULT_STEP)


def numerical_gradient(f: Callable[[Floats], Any], x: Floats) -> Floats:
    """Return the central difference of f in every coordinate of x; in float64 with the
    very bits of the book's loop.

    Parameters
    ----------
    f : callable
        Takes x and returns a number. As in the book, it gets x itself, shifted in
        place: it may read its argument, the array x elsewhere, or both, but not write
        to it. No other thread may use x meanwhile.
    x : ndarray of float64 or float32, of any shape
        When the call ends it is what it was. Whole numbers, which cannot hold x + h,
        are copied to float64; so is what is read-only.

    Returns
    -------
    ndarray, in the shape and type of x

    See Also
    --------
    secant.numerical_gradient : has options, lists the errors, and divides by the step
        that rounding leaves.

    Examples
    --------
    >>> secant.book.numerical_gradient(
    ...     lambda x: np.sum(x**2), np.array([3.0, 4.0])
    ... ).round(6)
    array([6., 8.])
    """
    require_callable("f", f)
    own = own_point(x)
    is_float = isinstance(x, np.ndarray) and x.dtype in (np.float64, np.float32)
    shifted = x if is_float and x.flags.writeable else own.copy()
    problem = Problem(InPlace(f, shifted, own), own, scheme=BOOK)
    return (
        derivatives(problem, shifted)
        .values.reshape(own.shape)
        .astype(shifted.dtype, copy=False)
    )


numerical_gradient_1d = _numerical_gradient_1d = numerical_gradient


def numerical_gradient_2d(f: Callable[[Floats], Any], X: Floats) -> Floats:
    """Return the gradient of f at each row of X: f is called with a row.

    Parameters
    ----------
    f : callable
        Takes a row and returns a number.
    X : ndarray of float64, (N, n) or (n,)
        N points, or one. Shifted in place, as by `numerical_gradient`.

    Returns
    -------
    ndarray of float64, in the shape of X

    See Also
    --------
    secant.numerical_gradient : calls f with the whole array, as the course notes do,
        and lists the errors.

    Examples
    --------
    >>> points = np.array([[3.0, 4.0], [0.0, 2.0]])
    >>> secant.book.numerical_gradient_2d(lambda x: np.sum(x**2), points).round(6)
    array([[6., 8.],
           [0., 4.]])
    """
    if np.ndim(X) == 1:
        return numerical_gradient(f, X)
    return np.array([numerical_gradient(f, point) for point in X])


def gradient_descent(
    f: Callable[[Floats], Any], init_x: Floats, lr: float = 0.01, step_num: int = 100
) -> tuple[Floats, Floats]:
    """Walk down f from init_x, ``step_num`` times by ``-lr`` times the numerical
    gradient.

    Parameters
    ----------
    f : callable
        Takes init_x and returns a number, as `numerical_gradient` has it.
    init_x : ndarray of float64
        Where to start. As in the book, the walk is made in this array, which ends as x.
    lr : float
        The learning rate.
    step_num : int
        The number of steps.

    Returns
    -------
    x : ndarray of float64
        Where the walk ended: init_x itself.
    history : ndarray of float64, (step_num, ...)
        The point before each step.

    Raises
    ------
    DTypeError
        If init_x is not a writeable array of floats.
    ShapeError
        If f does not return a single number.

    See Also
    --------
    secant.gradient_descent : returns x alone, as the course notes do, and leaves init_x
        as it is.

    Examples
    --------
    >>> x, history = secant.book.gradient_descent(
    ...     lambda x: np.sum(x**2), np.array([-3.0, 4.0]), lr=0.1, step_num=20
    ... )
    >>> x.round(3), history.shape
    (array([-0.035,  0.046]), (20, 2))
    """
    is_float = isinstance(init_x, np.ndarray) and init_x.dtype.kind == "f"
    if not is_float or not init_x.flags.writeable:
        raise DTypeError(
            "init_x must be a writeable array of floats, in which the walk is made,"
            f" got {init_x!r}: pass np.array(init_x, dtype=float)"
        )
    history = np.empty((step_num, *init_x.shape))
    for step in range(step_num):
        history[step] = init_x
        init_x -= lr * numerical_gradient(f, init_x)
    return init_x, history
