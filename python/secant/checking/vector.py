"""Checks of functions with many values: with random cotangents, they are checks of gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from secant._common.randomness import seed
from secant._common.validation import Array, require_callable
from secant.checking.candidate import CandidateDerivative, CandidateGradient
from secant.checking.point import Direction, Point, leaves, listed, rebuilt
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.errors import ShapeError


def check_vjp(
    f: Callable[[Any], Any],
    x: Any,
    vjp: Callable[[Any], Any],
    *,
    scale: Any = None,
    names: Sequence[str] | None = None,
    inplace: bool = False,
    rng: int = 0,
    **options: Any,
) -> GradientReport:
    """Check a vector-Jacobian product, such as a backward function written by hand.

    Parameters
    ----------
    f : callable
        Takes what x is, and returns an array of float64 or float32, or nested dicts, lists and tuples of such.
    x : ndarray, or nested dicts, lists, tuples and named tuples of such
        Where it is checked.
    vjp : callable
        Takes a cotangent, in the structure of f(x), and returns the gradient of the sum of products of cotangent and
        f(x), in the structure of x.
    scale, names, inplace, rng
        As for `check_gradient`.
    **options
        ``max_evaluations``, ``confidence``, ``max_findings``, ``entries`` and ``progress`` of `check_gradient`.

    Returns
    -------
    GradientReport

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> secant.check_vjp(lambda x: a @ x, np.ones(2), lambda cotangent: a.T @ cotangent).passed
    True
    >>> secant.check_vjp(lambda x: a @ x, np.ones(2), lambda cotangent: a @ cotangent).passed
    False
    """
    cotangent, weighted = _weighted(f, x, rng, "vjp", vjp)
    point = Point(weighted, x, inplace=inplace, names=names, scale=scale)
    return run_check(point, lambda: CandidateGradient.of(point, vjp(cotangent)), rng=rng, **options)


def check_jvp(
    f: Callable[[Any], Any],
    x: Any,
    jvp: Callable[[Any], Any],
    *,
    scale: Any = None,
    names: Sequence[str] | None = None,
    inplace: bool = False,
    rng: int = 0,
    **options: Any,
) -> GradientReport:
    """Check a Jacobian-vector product, such as a forward-mode rule written by hand.

    Parameters
    ----------
    f : callable
        Takes what x is, and returns an array of float64 or float32, or nested dicts, lists and tuples of such.
    x : ndarray, or nested dicts, lists, tuples and named tuples of such
        Where it is checked.
    jvp : callable
        Takes a tangent, in the structure of x, and returns the derivative of f along it, in the structure of f(x).
    scale, names, inplace, rng, **options
        As for `check_vjp`.

    Returns
    -------
    GradientReport
        ``given`` of a finding is what ``jvp`` says of that entry alone. There is no diagnosis.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> secant.check_jvp(lambda x: a @ x, np.ones(2), lambda tangent: a @ tangent).passed
    True
    """
    cotangent, weighted = _weighted(f, x, rng, "jvp", jvp)
    point = Point(weighted, x, inplace=inplace, names=names, scale=scale)

    def slope(direction: Direction) -> float:
        parts = zip(direction, point.origin, strict=True)
        tangent = rebuilt(x, (part.reshape(array.shape) for part, array in parts))
        return _dot(cotangent, jvp(tangent), "jvp must return the shapes of f(x)")

    return run_check(point, lambda: CandidateDerivative(point, slope), rng=rng, **options)


def _weighted(
    f: Callable[[Any], Any], x: Any, rng: int, title: str, product: Any
) -> tuple[Any, Callable[[Any], float]]:
    """A random cotangent for f(x), and the sum of products of both: a function with a single value."""
    for name, function in (("f", f), (title, product)):
        require_callable(name, function)
    value = _as_array(f(x))
    numbers = np.random.default_rng([seed(rng), 1])

    def random(array: Array) -> Array:
        signs = numbers.choice([-1.0, 1.0], array.shape)
        return np.asarray(numbers.uniform(0.5, 1.5, array.shape) * signs, array.dtype)

    cotangent = rebuilt(value, (random(leaf.array) for leaf in leaves("f(x)", value)))
    return cotangent, lambda there: _dot(cotangent, f(there), "f must always return the same shapes")


def _as_array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, float | np.floating) else value


def _dot(cotangent: Any, value: Any, wanted: str) -> float:
    own, others = leaves("cotangent", cotangent), leaves("f(x)", _as_array(value))
    shapes = [[leaf.array.shape for leaf in side] for side in (own, others)]
    if shapes[0] != shapes[1]:
        raise ShapeError(f"{wanted}, {listed(shapes[0])}, got {listed(shapes[1])}")
    pairs = zip(own, others, strict=True)
    return sum(float(a.array.astype(np.float64).ravel() @ b.array.astype(np.float64).ravel()) for a, b in pairs)
