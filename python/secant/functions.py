"""Activations, losses and label conversion: the chapter's functions, computed by the
backend in use.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secant._common import validation
from secant._common.validation import Floats
from secant.backends import backend_module, faults
from secant.backends.base import LOG_OFFSET, Backend
from secant.errors import ShapeError, ValueRangeError


def step_function(x: ArrayLike) -> NDArray[np.int64]:
    """Return 1 where x > 0, else 0.

    Its derivative is 0 wherever it exists, which is why a network of step functions
    cannot learn.

    Parameters
    ----------
    x : array_like of any shape

    Returns
    -------
    ndarray of int64, in the shape of x

    Raises
    ------
    DTypeError
        If x does not hold real numbers.

    Examples
    --------
    >>> secant.step_function([-1, 0, 2])
    array([0, 0, 1])
    """
    return (validation.real_array("x", x) > 0).astype(np.int64)


def sigmoid(x: ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-x)) for each element.

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
    The compiled core errs by at most 2 ulp. NaN stays NaN.

    Examples
    --------
    >>> secant.sigmoid([-1, 0, 2]).round(4)
    array([0.2689, 0.5   , 0.8808])
    """
    result = backend_module().sigmoid(validation.float_array("x", x))
    return result if result.ndim else result[()]


def softmax(x: ArrayLike) -> Floats:
    """Return exp(x) divided by its sum along the last axis.

    Parameters
    ----------
    x : array_like, (..., O)

    Returns
    -------
    ndarray of float64, in the shape of x

    Raises
    ------
    DTypeError
        If x does not hold real numbers.
    ShapeError
        If x is a scalar or empty.

    Notes
    -----
    The largest element of a row is subtracted first, so that nothing overflows. The
    compiled core errs by at most 2 ulp.

    Examples
    --------
    >>> secant.softmax([0.3, 2.9, 4.0]).round(4)
    array([0.0182, 0.2452, 0.7366])
    """
    array = validation.float_array("x", x)
    if array.ndim == 0 or array.size == 0:
        raise ShapeError(
            "x must have at least one element along its last axis, got shape"
            f" {array.shape}"
        )
    return backend_module().softmax(array)


def mean_squared_error(y: ArrayLike, t: ArrayLike) -> float:
    """Return half the sum of squared differences, ``0.5 * sum((y - t)**2)``.

    It is the sum over all elements; the name is the book's.

    Parameters
    ----------
    y : array_like of any shape
        The network's output.
    t : array_like in the shape of y
        The target, one-hot for a class.

    Raises
    ------
    DTypeError
        If y or t does not hold real numbers.
    ShapeError
        If their shapes differ.

    Examples
    --------
    >>> round(secant.mean_squared_error([0.1, 0.6, 0.3], [0, 1, 0]), 4)
    0.13
    """
    y, t = validation.float_array("y", y), validation.float_array("t", t)
    if y.shape != t.shape:
        raise ShapeError(f"t must have the shape of y, {y.shape}, got {t.shape}")
    return float(0.5 * np.sum((y - t) ** 2))


def cross_entropy_error(y: ArrayLike, t: ArrayLike) -> float:
    """Return the cross entropy, ``-sum(t * log(y + 1e-7)) / N``.

    Parameters
    ----------
    y : array_like, (N, O) or (O,)
        The network's output: N rows of probabilities, or one.
    t : array_like, (N, O) or (N,); (O,) or a single label for one row
        Weights of the classes, one-hot or soft, or class labels.

    Raises
    ------
    DTypeError
        If y or t does not hold real numbers, or labels are not integers.
    ShapeError
        If the shapes do not match, or y is empty.
    ValueRangeError
        If a label is out of range, or a y or weight is negative or not finite, or the
        loss overflows. With labels, only the y that they name count.

    Notes
    -----
    The 1e-7 keeps the logarithm finite where y is 0. Targets that are not one-hot are
    used as they are.

    Examples
    --------
    >>> y = [0.1, 0.6, 0.3]
    >>> round(secant.cross_entropy_error(y, 1), 4)  # -log 0.6
    0.5108
    >>> secant.cross_entropy_error(y, [0, 1, 0]) == secant.cross_entropy_error(y, 1)
    True
    """
    return cross_entropy_by(backend_module(), y, t)


def cross_entropy_by(
    backend: Backend,
    y: ArrayLike,
    t: ArrayLike,
    log_offset: float = LOG_OFFSET,
    *,
    given: str = "y",
) -> float:
    """Return `cross_entropy_error` as one backend computes it.

    ``given`` names the array of the user that has a row for each target.
    """
    y = validation.float_array("y", y)
    if y.ndim not in (1, 2) or y.size == 0:
        raise ShapeError(
            f"y must have shape (N, O) or (O,) and not be empty, got {y.shape}"
        )
    rows = y if y.ndim == 2 else y[np.newaxis]
    checked = validation.targets(t, *rows.shape, is_one_sample=y.ndim == 1, like=given)
    loss = backend.cross_entropy(rows, checked, log_offset)
    if not math.isfinite(loss):  # only then is it worth a look at every element
        fault = faults.of_targets(checked, rows.shape[1]) or faults.of_weights("y", y)
        raise faults.error(
            fault or faults.of_result(math.inf, log_offset), {"t": checked, "y": y}
        )
    return loss


def to_one_hot(labels: ArrayLike, classes: int | None = None) -> Floats:
    """Return a row for each label: 1 in the label's column, 0 elsewhere.

    Parameters
    ----------
    labels : array_like of int, (N,)
    classes : int, optional
        The number of columns; one more than the largest label by default.

    Returns
    -------
    ndarray of float64, (N, classes)

    Raises
    ------
    DTypeError
        If the labels are not integers.
    ShapeError
        If they are not one-dimensional.
    ValueRangeError
        If one is negative, or not below ``classes``.

    Examples
    --------
    >>> secant.to_one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    array = validation.real_array("labels", labels)
    if array.ndim != 1:
        raise ShapeError(f"labels must have shape (N,), got {array.shape}")
    most = None if classes is None else validation.positive_int("classes", classes)
    checked = validation.labels(array, most, "labels")
    columns = most or int(checked.max(initial=0)) + 1
    try:
        one_hot = np.zeros((len(array), columns))
    except (MemoryError, ValueError) as error:
        # ValueError: more bytes than an address can count
        raise ValueRangeError(
            f"labels must have few enough classes for memory, got {columns}"
        ) from error
    one_hot[np.arange(len(array)), checked] = 1
    return one_hot
