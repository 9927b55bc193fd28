"""The central difference in every coordinate: the loop that all of Secant is measured against."""

from collections.abc import Callable

import numpy as np

from secant._common.validation import Floats


def central_difference(f: Callable[[Floats], float], x: Floats, h: float) -> Floats:
    """(f(x + h) - f(x - h)) / 2h, one coordinate of x after the other.

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
