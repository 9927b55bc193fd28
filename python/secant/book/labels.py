"""The way back from one-hot rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secant._common import validation
from secant.errors import ShapeError, ValueRangeError


def to_labels(one_hot: ArrayLike) -> NDArray[np.int64]:
    """Return the label of each one-hot row: the inverse of `secant.to_one_hot`.

    Parameters
    ----------
    one_hot : array_like, (N, O)

    Returns
    -------
    ndarray of int64, (N,)

    Raises
    ------
    DTypeError
        If it does not hold real numbers.
    ShapeError
        If it is not two-dimensional.
    ValueRangeError
        If a row is not a single 1 among zeros.

    Examples
    --------
    >>> secant.book.to_labels([[0, 0, 1], [1, 0, 0]])
    array([2, 0])
    """
    array = validation.real_array("one_hot", one_hot)
    if array.ndim != 2:
        raise ShapeError(f"one_hot must have shape (N, O), got {array.shape}")
    bad = ((array != 0).sum(axis=1) != 1) | (array.max(axis=1) != 1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueRangeError(
            f"one_hot must have a single 1 in each row, got {array[row]} in row {row}"
        )
    labels: NDArray[np.int64] = array.argmax(axis=1)
    return labels
