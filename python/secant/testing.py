"""For test-suites: assertions about gradients.

>>> import numpy as np
>>> from secant.testing import assert_gradient
>>> assert_gradient(lambda x: np.sum(x**3), np.array([1.0, 2.0]), lambda x: 3 * x**2)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from secant.checking.gradient import check_gradient
from secant.checking.options import GradientOptions, require_known


def assert_gradient(f: Callable[..., Any], x: Any, gradient: Any, **options: Unpack[GradientOptions]) -> None:
    """Raise an AssertionError with a report unless a gradient is right.

    Parameters
    ----------
    f, x, gradient, **options
        As for `secant.check_gradient`.

    Raises
    ------
    GradientMismatchError
        An AssertionError whose message is the report.

    Examples
    --------
    >>> x = np.array([3.0, 4.0])
    >>> secant.testing.assert_gradient(lambda x: np.sum(x**2), x, 2 * x)
    """
    __tracebackhide__ = True
    require_known("assert_gradient", options, GradientOptions)
    check_gradient(f, x, gradient, **options).raise_if_failed()
