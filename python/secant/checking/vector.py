"""Checks of functions with many values: with random cotangents, they are checks of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from secant._common.validation import Array, Floats, require_callable
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Point, Value
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.structure import leaves, listed, mapped, of_arrays, ordered, rebuilt
from secant.differentiation.rounding import norm
from secant.errors import ShapeError


def check_vjp(
    f: Callable[[Any], Any],
    x: Any,
    vjp: Callable[[Any], Any],
    *,
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
    progress, rng
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
    require_callable("vjp", vjp)
    options = Options(progress, rng)
    function = _Weighted(f, rng)
    point = Point(function, x)

    def candidate() -> CandidateGradient:
        return CandidateGradient.linear(point, lambda factor: vjp(_times(factor, function.cotangent)))

    return replace(run_check(point, candidate, options), mode="reverse mode", cotangent=function.cotangent)


def check_jvp(
    f: Callable[[Any], Any],
    x: Any,
    jvp: Callable[[Any], Any],
    *,
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
    progress, rng
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
    require_callable("jvp", jvp)
    options = Options(progress, rng)
    function = _Weighted(f, rng)
    point = Point(function, x)

    def slope(direction: Floats) -> float:
        tangent = point.structure(direction)
        return function.dot(jvp(tangent), "jvp(tangent)", "jvp must return the shapes of f(x)").number

    report = run_check(point, lambda: Candidate(point, slope), options)
    return replace(report, mode="forward mode", cotangent=function.cotangent)


def check_derivative(
    f: Callable[[Any], Any],
    x: Any,
    df: Callable[[Any], Any],
    *,
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
    progress, rng
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

    return check_vjp(f, x, vjp, progress=progress, rng=rng)


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
        self._rng = np.random.default_rng([rng, 1])

    def __call__(self, x: Any) -> Value:
        value = of_arrays(self._f(x))
        if self.cotangent is None:
            arrays = [leaf.array for leaf in leaves("f(x)", value)]
            self.cotangent = rebuilt(value, (random_weights(a.shape, self._rng).astype(a.dtype) for a in arrays))
        return self.dot(value, "f(x)", "f must always return the same shapes")

    def dot(self, value: Any, title: str, wanted: str) -> Value:
        """The sum of products of the cotangent and a value; ``wanted`` is said where shapes differ."""
        weights = [leaf.array for leaf in leaves("cotangent", self.cotangent)]
        outputs = [leaf.array for leaf in leaves(title, ordered(title, self.cotangent, value, "f(x)"))]
        shapes = [[array.shape for array in side] for side in (weights, outputs)]
        if shapes[0] != shapes[1]:
            raise ShapeError(f"{wanted}, {listed(shapes[0])}, got {listed(shapes[1])}")
        return weighted(weights, outputs, [float(np.finfo(array.dtype).eps) for array in outputs])


@np.errstate(over="ignore")
def weighted(weights: Sequence[Array], outputs: Sequence[Array], eps: Sequence[float]) -> Value:
    """The sum of products of weights and outputs, which are rounded to ``eps`` of their size, in float64."""
    terms = [
        weight.astype(np.float64).ravel() * output.astype(np.float64).ravel()
        for weight, output in zip(weights, outputs, strict=True)
    ]
    roundings = (each / 2 * norm(own) for each, own in zip(eps, terms, strict=True))
    return Value(sum(float(own.sum()) for own in terms), math.hypot(*roundings))


def random_weights(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Random numbers of both signs, none of them small, of which cotangents are made."""
    signs = rng.choice([-1.0, 1.0], shape)
    return np.asarray(rng.uniform(0.5, 1.5, shape) * signs)


def _times(factor: float, value: Any) -> Any:
    """The same structure with its arrays times a factor: copies, to which a backward function may write."""
    return mapped(value, lambda array: np.asarray(factor * array))
