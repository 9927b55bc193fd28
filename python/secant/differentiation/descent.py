"""Gradient descent on any function, with its numerical gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.gradient import numerical_gradient


@overload
def gradient_descent(
    f: Callable[[Floats], Any],
    init_x: ArrayLike,
    lr: float = ...,
    step_num: int = ...,
    *,
    return_path: Literal[False] = ...,
) -> Floats: ...


@overload
def gradient_descent(
    f: Callable[[Floats], Any], init_x: ArrayLike, lr: float = ..., step_num: int = ..., *, return_path: Literal[True]
) -> tuple[Floats, Floats]: ...


def gradient_descent(
    f: Callable[[Floats], Any], init_x: ArrayLike, lr: float = 0.01, step_num: int = 100, *, return_path: bool = False
) -> Floats | tuple[Floats, Floats]:
    """Walk down f from init_x, ``step_num`` times by ``-lr`` times the numerical gradient.

    Parameters
    ----------
    f : callable
        Takes an array in the shape of init_x and returns a number.
    init_x : array_like
        Where to start. It is not modified.
    lr : float
        The learning rate. Too large a one diverges, too small a one hardly moves.
    step_num : int
        The number of steps.
    return_path : bool
        Whether to return the path too.

    Returns
    -------
    x : ndarray of float64, in the shape of init_x
        Where the walk ended.
    path : ndarray of float64, (step_num + 1, ...)
        Only with ``return_path``: every point, the first and the last included.

    Raises
    ------
    DTypeError
        If init_x does not hold real numbers.
    ShapeError
        If f does not return a single number.
    ValueRangeError
        If lr is not finite, or step_num not at least 1.

    Notes
    -----
    The course notes return x alone. The book returns ``(x, history)``: for that, use `secant.book.gradient_descent`, or
    ``return_path=True``, whose path ends with x.

    Examples
    --------
    >>> secant.gradient_descent(lambda x: np.sum(x**2), [-3.0, 4.0], lr=0.1).round(6)
    array([-0.,  0.])
    """
    x = validation.float_array("init_x", init_x).copy()
    lr = validation.finite_number("lr", lr)
    path = np.empty((validation.positive_int("step_num", step_num) + 1, *x.shape))
    path[0] = x
    for step in range(1, len(path)):
        x -= lr * numerical_gradient(f, x)
        path[step] = x
    return (x, path) if return_path else x
