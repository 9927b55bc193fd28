"""For test-suites: assertions about gradients.

>>> import numpy as np
>>> from secant.testing import assert_gradient
>>> assert_gradient(lambda x: np.sum(x**3), np.array([1.0, 2.0]), lambda x: 3 * x**2)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from secant.checking.gradient import check_gradient


def assert_gradient(
    f: Callable[..., Any],
    x: Any,
    gradient: Any,
    *,
    inplace: bool = False,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    bounds: Any = None,
    noise: float | None = None,
    names: Any = None,
    progress: bool = False,
    rng: int = 0,
) -> None:
    """Raise an AssertionError with a report unless a gradient is right.

    Parameters
    ----------
    f, x, gradient, inplace, args, kwargs, bounds, noise, names, progress, rng
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
    report = check_gradient(
        f,
        x,
        gradient,
        inplace=inplace,
        args=args,
        kwargs=kwargs,
        bounds=bounds,
        noise=noise,
        names=names,
        progress=progress,
        rng=rng,
    )
    report.raise_if_failed()
