"""Checks of functions of NumPy with many values: with random cotangents, they are
checks of gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from secant._common.validation import Array, require_callable
from secant.checking import autodiff
from secant.checking.autodiff import Arrays
from secant.checking.options import Options
from secant.checking.report import GradientReport
from secant.checking.reproducer import Call, checked_arrays
from secant.checking.structure import Structure, as_vector, walk
from secant.differentiation.rounding import norm
from secant.errors import ShapeError

_MOVE = 1e-3  # of an element, and of the typical one, by which elements are moved
_SPREADS = 1e-6
"""A change of f that is smaller, relative to the largest one, is rounding."""
_NOT_ELEMENTWISE = (
    "f is not elementwise: an element of f(x) depends on other elements of x. "
    "check_derivative is for functions such as tanh; use check_vjp for others"
)


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
        Takes what x is, in float64 or complex128; returns an array of these or of lower
        precision, or nested dicts, lists and tuples of such.
    x : ndarray, or nested dicts, lists, tuples and named tuples of such
        Where it is checked.
    vjp : callable
        Takes a cotangent c, in the structure of f(x), and returns the gradient of sum(c
        * f(x)), in the structure of x. If f is complex, that is the gradient of
        sum(real(conj(c) * f(x))); see `check_gradient` for complex x.
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
    >>> secant.check_vjp(
    ...     lambda x: a @ x, np.ones(2), lambda cotangent: a.T @ cotangent
    ... ).passed
    True
    >>> secant.check_vjp(
    ...     lambda x: a @ x, np.ones(2), lambda cotangent: a @ cotangent
    ... ).passed
    False
    """
    require_callable("vjp", vjp)
    return autodiff.checked(Options(progress, rng), _Function(f, x, vjp), "rev")


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
        Takes what x is, in float64 or complex128; returns an array of these or of lower
        precision, or nested dicts, lists and tuples of such.
    x : ndarray, or nested dicts, lists, tuples and named tuples of such
        Where it is checked.
    jvp : callable
        Takes a tangent, in the structure of x, and returns the derivative of f along
        it, in the structure of f(x).
    progress, rng
        As for `check_vjp`.

    Returns
    -------
    GradientReport
        ``gradient`` of a finding is what ``jvp`` says of that entry alone.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> secant.check_jvp(
    ...     lambda x: a @ x, np.ones(2), lambda tangent: a @ tangent
    ... ).passed
    True
    """
    require_callable("jvp", jvp)
    return autodiff.checked(Options(progress, rng), _Function(f, x, jvp), "fwd")


def check_derivative(
    f: Callable[[Any], Any],
    x: Any,
    df: Callable[[Any], Any],
    *,
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check the derivative of an elementwise function, such as an activation or the
    density of a distribution.

    Parameters
    ----------
    f, df : callable
        Take an array, and return one of its shape: f and its derivative at each
        element. That of a complex f is its complex derivative, that of a real f of
        complex x as in `check_gradient`.
    x : array_like
        Where it is checked.
    progress, rng
        As for `check_gradient`.

    Returns
    -------
    GradientReport
        The report of the gradient of the sum of f(x) times random numbers,
        ``report.cotangent``. If it is wrong, and an element of f(x) depends on another
        element of x, the diagnosis says so: see `check_vjp` for such functions.

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
    inputs = Structure("x", x, least="float64")
    there = inputs.at(as_vector(inputs.arrays))

    def vjp(cotangent: Array) -> Array:
        slope = np.asarray(df(np.array(there)))
        for title, shape in (("f", np.shape(cotangent)), ("df", slope.shape)):
            if shape != there.shape:
                raise ShapeError(
                    f"{title} must return an array of the shape of x, {there.shape},"
                    f" got {shape}"
                )
        if not np.iscomplexobj(cotangent):
            return np.asarray(cotangent * slope)
        product = np.asarray(cotangent * slope.conj())
        return product if np.iscomplexobj(there) else product.real

    report = replace(
        check_vjp(f, x, vjp, progress=progress, rng=rng), mode="elementwise"
    )
    if report.verdict == "wrong" and not _is_elementwise(f, there):
        return replace(report, diagnosis=_NOT_ELEMENTWISE)
    return report


def _is_elementwise(f: Callable[[Any], Any], x: Array) -> bool:
    """Whether a change of every second element of x leaves f as it is at the others."""
    moved = x.copy()
    size = np.abs(x) + norm(np.abs(x).ravel()) / math.sqrt(x.size)
    moved.flat[::2] += _MOVE * size.flat[::2]
    try:
        changes = np.abs(np.asarray(f(moved)) - np.asarray(f(x.copy()))).ravel()
    except Exception:  # f may not be defined there
        return True
    of_others = np.nanmax(changes[1::2], initial=0)
    return not of_others > _SPREADS * np.nanmax(changes, initial=0)


class _Function(autodiff.Function):
    """A function of arrays of NumPy, with a VJP or a JVP of one's own, which may use
    what f left: f goes first.
    """

    is_known_elsewhere = False

    def __init__(
        self, f: Callable[[Any], Any], x: Any, product: Callable[[Any], Any]
    ) -> None:
        require_callable("f", f)
        self._f = f
        self._product = product
        self.inputs = Structure("x", x, least="float64")
        self.outputs = Structure(
            "f(x)", f(self.inputs.at(as_vector(self.inputs.arrays)))
        )

    def call(self, x: Any) -> Call:
        outputs = [
            path for path, array in walk("output", self.outputs.value) if array.size
        ]
        return Call(
            self._f, (x,), self.inputs.names, checked_arrays(x), outputs=outputs
        )

    def values(self, x: Any) -> Arrays:
        # f may return one buffer
        return [array.copy() for array in self.outputs.like("f near x", self._f(x))]

    def pulled_back(self, x: Any, cotangents: Any) -> tuple[Arrays, Any]:
        return self.values(x), self._product(cotangents)

    def pushed_forward(self, x: Any, tangents: Any) -> tuple[Arrays, Arrays]:
        return self.values(x), self.outputs.like(
            "jvp(tangent)", self._product(tangents)
        )
