"""The book's ``common.functions``: activations and losses."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant import functions
from secant._common import validation
from secant._common.validation import Array, Floats
from secant.errors import ShapeError
from secant.functions import mean_squared_error, sigmoid, softmax, step_function

__all__ = [
    "cross_entropy_error",
    "cross_entropy_error_onehot",
    "identity_function",
    "mean_squared_error",
    "np",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]

sum_squared_error = mean_squared_error


def identity_function(x: Any) -> Any:
    """Return x itself.

    Examples
    --------
    >>> secant.book.identity_function(2.5)
    2.5
    """
    return x


def sigmoid_grad(x: ArrayLike) -> Floats:
    """Return the derivative of the sigmoid, ``sigmoid(x) * sigmoid(-x)``.

    Parameters
    ----------
    x : array_like of any shape

    Returns
    -------
    ndarray of float64, in the shape of x; a scalar for a scalar

    Raises
    ------
    DTypeError
        If x does not hold real numbers.

    Notes
    -----
    The book's ``(1 - sigmoid(x)) * sigmoid(x)`` is the same number, and 0 for x above
    37, where 1 - sigmoid(x) cancels.

    Examples
    --------
    >>> secant.book.sigmoid_grad([0, 2]).round(4)
    array([0.25 , 0.105])
    """
    x = validation.float_array("x", x)
    return sigmoid(x) * sigmoid(-x)


def relu(x: ArrayLike) -> Array:
    """Return the larger of 0 and x, for each element.

    Parameters
    ----------
    x : array_like of any shape

    Returns
    -------
    ndarray in the shape and of the dtype of x

    Raises
    ------
    DTypeError
        If x does not hold real numbers.

    Examples
    --------
    >>> secant.book.relu([-1.5, 0.0, 2.0])
    array([0., 0., 2.])
    """
    result: Array = np.maximum(0, validation.real_array("x", x))
    return result


def relu_grad(x: ArrayLike) -> Array:
    """Return 1 where x >= 0, else 0.

    At the kink itself it is 1 as in the book's ``common.functions``; the book's layer
    ``Relu`` takes 0 there.

    Parameters
    ----------
    x : array_like of any shape

    Returns
    -------
    ndarray in the shape and of the dtype of x

    Raises
    ------
    DTypeError
        If x does not hold real numbers.

    Examples
    --------
    >>> secant.book.relu_grad([-1.5, 0.0, 2.0])
    array([0., 1., 1.])
    """
    array = validation.real_array("x", x)
    return (array >= 0).astype(array.dtype)


def cross_entropy_error(y: ArrayLike, t: ArrayLike) -> float:
    """Return the mean of ``-log(y + 1e-7)`` at the classes of t.

    Parameters
    ----------
    y : array_like, (N, O) or (O,)
        Probabilities.
    t : array_like, (N, O) or (N,); (O,) or a single label for one row
        Where t has as many elements as y, the largest element of a row is its class.
        Otherwise t holds class labels.

    Raises
    ------
    DTypeError
        If y or t does not hold real numbers, or labels are not integers.
    ShapeError
        If the shapes do not match. Labels of shape (N, 1) are refused: NumPy would pair
        each of them with every row.
    ValueRangeError
        If a label is out of range, or something is not finite.

    See Also
    --------
    secant.cross_entropy_error : takes targets that are not one-hot as weights, and so
        do the course notes.

    Examples
    --------
    >>> y = [0.1, 0.6, 0.3]
    >>> round(secant.book.cross_entropy_error(y, [0, 0.9, 0.1]), 4)  # -log 0.6
    0.5108
    """
    y, t = validation.float_array("y", y), np.atleast_1d(validation.real_array("t", t))
    rows = np.atleast_2d(y)
    if t.size == y.size > 0:
        if t.shape not in (y.shape, rows.shape):
            raise ShapeError(
                f"t must have the shape of y, {y.shape}, or hold one label for each"
                f" row, got {t.shape}"
            )
        validation.require_finite("t", t)
        t = t.reshape(rows.shape).argmax(axis=1)
    return functions.cross_entropy_error(rows, t)


def cross_entropy_error_onehot(y: ArrayLike, t: ArrayLike) -> float:
    """Return the chapter's ``-sum(t * log(y + 1e-7)) / N``, for targets in the shape of
    y only.

    Parameters
    ----------
    y : array_like, (N, O) or (O,)
        Probabilities.
    t : array_like, in the shape of y
        Weights of the classes, one-hot or soft.

    Raises
    ------
    ShapeError
        If t does not have the shape of y.

    See Also
    --------
    secant.cross_entropy_error : takes labels too, and lists the other errors.

    Examples
    --------
    >>> round(secant.book.cross_entropy_error_onehot([0.1, 0.6, 0.3], [0, 1, 0]), 4)
    0.5108
    """
    y, t = validation.float_array("y", y), validation.real_array("t", t)
    if y.shape != t.shape:
        raise ShapeError(f"t must have the shape of y, {y.shape}, got {t.shape}")
    return functions.cross_entropy_error(y, t)


def softmax_loss(X: ArrayLike, t: ArrayLike) -> float:
    """Return ``cross_entropy_error(softmax(X), t)``.

    Parameters
    ----------
    X : array_like, (N, O) or (O,)
        What goes into the softmax.
    t : array_like
        As for `cross_entropy_error`.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `softmax` and `cross_entropy_error` do.

    Examples
    --------
    >>> round(secant.book.softmax_loss([0.0, 1.0, 0.0], 1), 4)
    0.5514
    """
    return cross_entropy_error(softmax(X), t)
