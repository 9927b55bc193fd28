"""Numerical derivatives and gradients of any function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, Unpack, cast, overload

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.columns import elementwise_derivative
from secant.differentiation.derivatives import central_differences, derivatives
from secant.differentiation.evaluators import c_pointer
from secant.differentiation.evaluators.evaluation import Evaluator
from secant.differentiation.options import Options, Workers, are_defaults, is_float64, own_point
from secant.differentiation.problem import Problem, kind_of
from secant.differentiation.result import Derivative, with_error
from secant.differentiation.schemes import SchemeName


def numerical_diff(
    f: Callable[..., Any],
    x: Any,
    h: Any = 1e-4,
    *,
    scheme: SchemeName = "central",
    rel_step: Any = None,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    noise: float | None = None,
    full_output: bool = False,
) -> Any:
    """Return the difference quotient of f at x: by default the central one, ``(f(x + h) - f(x - h)) / 2h``.

    Parameters
    ----------
    f : callable
        Takes x and returns a number, or an array of them. It must be elementwise: an element of f(x) depends on the
        same element of x alone. For other functions take `numerical_gradient` or `numerical_jacobian`.
    x : float or array_like
        f is evaluated at all elements at once, each shifted by its step. It gets a float, or a new array each time.
    h : float, array_like or None
        Half the distance of the two points. The truncation error grows as h**2, the rounding error as 1/h: at h = 1e-30
        both points round to x, and the result is 0.
    scheme, rel_step, bounds, args, kwargs, noise, full_output
        As for `numerical_gradient`. With "auto", each element has the step and order that its own value of f asks for.

    Returns
    -------
    float, or ndarray of float64
        In the shape of what f returns. With ``full_output``, a `secant.Derivative`.

    Warns
    -----
    RuntimeWarning
        If h is lost in x, f returns float32 or whole numbers that jump, or all values of f are equal, as for
        `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f is not callable, x or h is not a number, or f does not return real numbers.
    ShapeError
        If f does not always return the same shape, or not that of an array x.
    UnsupportedError
        If h is given with "auto".
    ValueRangeError
        If h is not finite and greater than 0, there is no such scheme, x is not within bounds, or f is not finite at a
        shifted point, though it is at x.

    Examples
    --------
    >>> round(secant.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5.0), 6)
    0.2
    >>> found = secant.numerical_diff(np.exp, np.array([0.0, 10.0]), scheme="auto", full_output=True)
    >>> bool(np.all(np.abs(found.value - np.exp([0, 10])) <= found.error)), found.success
    (True, array([ True,  True]))
    """
    return elementwise_derivative(
        f, x, h, full_output, scheme=scheme, rel_step=rel_step, bounds=bounds, args=args, kwargs=kwargs, noise=noise
    )


@overload
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = ...,
    *,
    noise: float | None = ...,
    f0: float | None = ...,
    full_output: Literal[False] = ...,
    inplace: bool = ...,
    **options: Unpack[Options],
) -> Floats: ...


@overload
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = ...,
    *,
    noise: float | None = ...,
    f0: float | None = ...,
    full_output: Literal[True],
    inplace: bool = ...,
    **options: Unpack[Options],
) -> Derivative: ...


def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = 1e-4,
    *,
    scheme: SchemeName = "central",
    rel_step: Any = None,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    vectorized: bool = False,
    workers: Workers = None,
    noise: float | None = None,
    f0: float | None = None,
    full_output: bool = False,
    inplace: bool = False,
    progress: bool = False,
) -> Any:
    """Return the numerical derivative of f in every coordinate of x.

    Parameters
    ----------
    f : callable, or a pointer to a C function
        Takes x and returns a number. It gets a new array for each evaluation, and may keep it or write to it. Functions
        compiled by Numba are called from compiled code, if they always return real numbers. A pointer of ctypes, cffi,
        ``numba.cfunc`` or `scipy.LowLevelCallable` to ``double f(const double *x, intptr_t n, void *data)`` is called
        without Python.
    x : array_like, of any shape and layout
        It is not changed. The exception are functions that ignore their argument and look at x instead, as in
        ``numerical_gradient(lambda _: net.loss(x, t), net.params["W1"])``: where the first values of f are all equal, x
        is shifted once to see if f moves. If it does, x itself is shifted for each evaluation, and restored, also if f
        raises; it must be a writeable array of float64.
    h : float, array_like or None
        The shift of each coordinate. None is SciPy's for the scheme: ``eps**(1/2) * max(1, abs(x))`` of "2-point", away
        from 0, ``eps**(1/3)`` of "3-point", ``eps**(1/5)`` of "five-point", where eps is that of what f returns; f(x)
        is one evaluation more.
    scheme : {"central", "3-point", "forward", "2-point", "five-point", "auto"}
        Values of f at x + h and x - h; at x + h and x; or at both and at x + 2h and x - 2h as well. "3-point" and
        "2-point" are SciPy's names of the first two. "auto" chooses step and order for each entry, from the noise of f
        and the truncation that it sees. Its steps may leave the domain of f: where f raises an exception, smaller ones
        are tried, at most ten, before it is raised.
    rel_step : float or array_like, optional
        As in SciPy, ``h = rel_step * abs(x)``, away from 0 for "2-point"; and that of None where x + h is x.
    bounds : tuple (array_like, array_like) or scipy.optimize.Bounds, optional
        f is never evaluated outside these bounds. Near one, central differences become one-sided ones of the same
        order, for one to two evaluations more; the step becomes smaller where nothing else helps.
    args : tuple
        Further arguments of f.
    kwargs : dict, optional
        Further keyword arguments of f.
    vectorized : bool
        f takes a stack of points, (points, and the shape of x), and returns a value for each, which must not depend on
        the others. It is called in blocks of at most 128 KB, or one point.
    workers : int or map-like callable, optional
        The number of processes, by joblib, if f is a function of Python; of threads if it is in C, which says that it
        is thread-safe, or compiled by Numba. -1 means all. Or a callable like ``map``, such as that of an executor, a
        pool of MPI or a client of Dask. Workers get copies of f and x.
    noise : float, optional
        By how much values of f may be off, such as by the tolerance of a solver: for "auto" and error bars, which
        measure what scatters, but cannot tell what is smooth and wrong.
    f0 : float, optional
        f(x), if it is known: that saves an evaluation where the scheme needs it.
    full_output : bool
        Return a `secant.Derivative`: the gradient, how far each entry may be off, and the number of evaluations.
    inplace : bool
        Shift x itself from the start, for a function that looks at it.
    progress : bool
        Draw a bar with the time left on standard error, in a terminal or a notebook, if tqdm is installed.

    Returns
    -------
    gradient : ndarray of float64, in the shape of x
        With ``full_output`` a `secant.Derivative`. Its ``error`` is the error bar of "auto"; of another scheme the
        difference from "auto" is added, whose evaluations it takes.

    Warns
    -----
    RuntimeWarning
        If x + h rounds to x; if f returns float32, and h is too small for its rounding; if f returns whole numbers that
        jump near x, or rounded ones; or if it returned the same value everywhere.

    Raises
    ------
    DTypeError
        If f is not callable, x does not hold real numbers, or f does not return a real number.
    ShapeError
        If f does not return a single number.
    MissingExtraError
        If workers needs joblib, and it is not installed.
    UnsupportedError
        If options do not go together, such as "auto" and h.
    ValueRangeError
        If x is not within bounds, h is not finite and greater than 0, f is not finite at a shifted point, though it is
        at x, f or x is not finite for "auto", or f mixes the points of a stack. Exceptions of f are passed on, with a
        note that names the coordinate and its value.

    Notes
    -----
    Differences are divided by the distance of the points after rounding, ``(x + h) - (x - h)``. The truncation error is
    f3 h**2 / 6 of "central", f2 h / 2 of "forward", f5 h**4 / 30 of "five-point", where f3 is the third derivative; the
    rounding error is about eps abs(f) / h. The result has the same bits however f is evaluated, and for any number of
    workers.

    "auto" takes 100 to 300 evaluations of f first, then two to three per entry where noise leaves extrapolation little
    to win, six where f is smooth, and more where they disagree.

    Examples
    --------
    >>> secant.numerical_gradient(lambda x: np.sum(x**2), np.array([3.0, 4.0])).round(6)
    array([6., 8.])
    >>> f = lambda x: np.exp(x).sum()
    >>> found = secant.numerical_gradient(f, [0.0, 1.0], scheme="auto", full_output=True)
    >>> bool(np.all(np.abs(found.value - np.exp([0, 1])) <= found.error)), bool(np.all(found.error < 1e-10))
    (True, True)
    >>> secant.numerical_gradient(lambda x: np.sqrt(x).sum(), [0.0, 4.0], h=None, bounds=(0, np.inf))[1].round(9)
    np.float64(0.25)
    """
    others = (scheme, vectorized, workers, noise, full_output, inplace, progress)
    if f0 is None and are_defaults(others, rel_step, bounds, args, kwargs):
        kind = kind_of(f)
        is_plain = type(x) is np.ndarray and x.size > 0 and type(h) is float and 0 < h < math.inf
        if is_plain and kind == "C" and cast(Floats, x).size <= Evaluator.first_block and c_pointer.core() is not None:
            point = cast(Floats, x) if is_float64(x) else own_point(x)
            values = c_pointer.few_differences(f, point, h)
            if np.isfinite(values).all() and values.all():  # others may need a warning or an error
                return values if point.ndim == 1 else values.reshape(point.shape)
        problem = Problem.of_defaults(f, x, h, kind)
        if is_plain:
            values = central_differences(problem, x)
            return values if problem.x.ndim == 1 else values.reshape(problem.x.shape)
    else:
        if full_output is not False:
            validation.flag("full_output", full_output)
        problem = Problem.of(
            f,
            x,
            h,
            scheme=scheme,
            rel_step=rel_step,
            bounds=bounds,
            args=args,
            kwargs=kwargs,
            vectorized=vectorized,
            workers=workers,
            noise=noise,
            with_error=full_output,
            inplace=inplace,
            progress=progress,
            f0=f0,
        )
    values, errors, evaluations = derivatives(problem, x)
    gradient = values.reshape(problem.x.shape)
    return with_error(gradient, errors.reshape(problem.x.shape), evaluations) if errors is not None else gradient
