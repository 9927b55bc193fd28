"""Checks of functions with many values: with random cotangents, they are checks of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from secant._common.randomness import seed
from secant._common.validation import Array, require_callable
from secant.checking.candidate import CandidateDerivative, CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Direction, Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.structure import leaves, listed, of_arrays, ordered, rebuilt
from secant.differentiation.rounding import Value, norm
from secant.errors import ShapeError


def check_vjp(
    f: Callable[[Any], Any],
    x: Any,
    vjp: Callable[[Any], Any],
    *,
    scale: Any = None,
    max_evaluations: int | None = None,
    max_findings: int = 20,
    names: Sequence[str] | None = None,
    inplace: bool = False,
    entries: bool = False,
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check a vector-Jacobian product, such as a backward function written by hand.

    Parameters
    ----------
    f : callable
        Takes what x is, and returns an array of float64, float32, float16, complex128 or complex64, or nested dicts,
        lists and tuples of such.
    x : ndarray, or nested dicts, lists, tuples and named tuples of such
        Where it is checked.
    vjp : callable
        Takes a cotangent c, in the structure of f(x), and returns the gradient of sum(c * f(x)), in the structure of x.
        If f is complex, that is the gradient of sum(real(conj(c) * f(x))); see `check_gradient` for complex x.
    scale, max_evaluations, max_findings, names, inplace, entries, progress, rng
        As for `check_gradient`.

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
    options = Options(max_evaluations, max_findings, entries, progress, names, scale, rng)
    require_callable("vjp", vjp)
    weighted = _Weighted(f, rng)
    point = Point(weighted, x, inplace=inplace, names=names, scale=scale)

    def candidate() -> CandidateGradient:
        return CandidateGradient.linear(point, lambda factor: vjp(_times(factor, weighted.cotangent)))

    report = run_check(point, candidate, options)
    return replace(report, mode="reverse mode", cotangent=weighted.cotangent)


def check_jvp(
    f: Callable[[Any], Any],
    x: Any,
    jvp: Callable[[Any], Any],
    *,
    scale: Any = None,
    max_evaluations: int | None = None,
    max_findings: int = 20,
    names: Sequence[str] | None = None,
    inplace: bool = False,
    entries: bool = False,
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check a Jacobian-vector product, such as a forward-mode rule written by hand.

    Parameters
    ----------
    f : callable
        Takes what x is, and returns an array of float64, float32, float16, complex128 or complex64, or nested dicts,
        lists and tuples of such.
    x : ndarray, or nested dicts, lists, tuples and named tuples of such
        Where it is checked.
    jvp : callable
        Takes a tangent, in the structure of x, and returns the derivative of f along it, in the structure of f(x).
    scale, max_evaluations, max_findings, names, inplace, entries, progress, rng
        As for `check_vjp`.

    Returns
    -------
    GradientReport
        ``candidate`` of a finding is what ``jvp`` says of that entry alone. There is no diagnosis.

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
    options = Options(max_evaluations, max_findings, entries, progress, names, scale, rng)
    require_callable("jvp", jvp)
    x, weighted = of_arrays(x), _Weighted(f, rng)
    point = Point(weighted, x, inplace=inplace, names=names, scale=scale)

    def slope(direction: Direction) -> float:
        parts = zip(direction, point.origin, strict=True)
        tangent = rebuilt(x, (part.reshape(array.shape) for part, array in parts))
        return weighted.dot(jvp(tangent), "jvp(tangent)", "jvp must return the shapes of f(x)").number

    report = run_check(point, lambda: CandidateDerivative(point, slope), options)
    return replace(report, mode="forward mode", cotangent=weighted.cotangent)


def check_derivative(
    f: Callable[[Any], Any],
    x: Any,
    df: Callable[[Any], Any],
    *,
    scale: Any = None,
    max_evaluations: int | None = None,
    max_findings: int = 20,
    names: Sequence[str] | None = None,
    entries: bool = False,
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check the derivative of an elementwise function, such as an activation or the density of a distribution.

    Parameters
    ----------
    f, df : callable
        Take an array, and return one of its shape: f and its derivative at each element.
    x : array_like
        Where it is checked.
    scale, max_evaluations, max_findings, names, entries, progress, rng
        As for `check_gradient`.

    Returns
    -------
    GradientReport
        The report of the gradient of the sum of f(x) times random numbers, ``report.cotangent``.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does; ShapeError too if f or df returns another shape.

    Examples
    --------
    >>> x = np.linspace(-2, 2, 9)
    >>> secant.check_derivative(np.tanh, x, lambda x: 1 - np.tanh(x) ** 2).passed
    True
    """
    require_callable("df", df)
    x = of_arrays(x)

    def vjp(cotangent: Array) -> Array:
        slope = np.asarray(df(np.array(x)))
        for title, shape in (("f", np.shape(cotangent)), ("df", slope.shape)):
            if shape != np.shape(x):
                raise ShapeError(f"{title} must return an array of the shape of x, {np.shape(x)}, got {shape}")
        return np.asarray(cotangent * slope)

    return check_vjp(
        f,
        x,
        vjp,
        scale=scale,
        max_evaluations=max_evaluations,
        max_findings=max_findings,
        names=names,
        entries=entries,
        progress=progress,
        rng=rng,
    )


class _Weighted:
    """The sum of products of f and a cotangent: a function with a single value.

    Attributes
    ----------
    cotangent : array, or structure of arrays
        Random; made for what f returns when it is called first.
    """

    cotangent: Any = None

    def __init__(self, f: Callable[[Any], Any], rng: int) -> None:
        require_callable("f", f)
        self._f = f
        self._numbers = np.random.default_rng([seed(rng), 1])

    def __call__(self, x: Any) -> Value:
        value = of_arrays(self._f(x))
        if self.cotangent is None:
            self.cotangent = rebuilt(value, (self._random(leaf.array) for leaf in leaves("f(x)", value)))
        return self.dot(value, "f(x)", "f must always return the same shapes")

    @np.errstate(over="ignore")
    def dot(self, value: Any, title: str, wanted: str) -> Value:
        """The sum of products of the cotangent and a value; ``wanted`` is said where shapes differ."""
        own = leaves("cotangent", self.cotangent)
        others = leaves(title, ordered(title, self.cotangent, value, "f(x)"))
        shapes = [[leaf.array.shape for leaf in side] for side in (own, others)]
        if shapes[0] != shapes[1]:
            raise ShapeError(f"{wanted}, {listed(shapes[0])}, got {listed(shapes[1])}")
        total, roundings = 0.0, []
        for weights, outputs in zip(own, others, strict=True):
            terms = weights.array.astype(np.float64).ravel() * outputs.array.astype(np.float64).ravel()
            total += float(terms.sum())
            roundings.append(float(np.finfo(outputs.array.dtype).eps) / 2 * norm(terms))
        return Value(total, math.hypot(*roundings))

    def _random(self, array: Array) -> Array:
        signs = self._numbers.choice([-1.0, 1.0], array.shape)
        return np.asarray(self._numbers.uniform(0.5, 1.5, array.shape) * signs, array.dtype)


def _times(factor: float, value: Any) -> Any:
    """The same structure with its arrays times a factor: copies, to which a backward function may write."""
    return rebuilt(value, (np.asarray(factor * leaf.array) for leaf in leaves("cotangent", value)))
