"""Numerical derivatives and gradients of any function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation import elementwise
from secant.differentiation.derivatives import central_differences, derivatives, warn_of_loss
from secant.differentiation.evaluators import c_pointer
from secant.differentiation.evaluators.evaluation import Evaluator
from secant.differentiation.options import Options, are_defaults, is_float64, own_point
from secant.differentiation.problem import Problem, kind_of
from secant.differentiation.result import Derivative, with_error
from secant.differentiation.schemes import SCHEMES, SchemeName, Stencils

if TYPE_CHECKING:
    from concurrent.futures import Executor


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
    full_output: bool = False,
) -> Any:
    """Return the difference quotient of f at x: by default the central one, ``(f(x + h) - f(x - h)) / 2h``.

    Parameters
    ----------
    f : callable
        Takes x and returns a number, or an array of them.
    x : float or array
        f is evaluated at all elements at once, each shifted by its step.
    h : float, array_like or "relative"
        Half the distance of the two points. The truncation error grows as h**2, the rounding error as 1/h: at h = 1e-30
        both points round to x, and the result is 0.
    scheme, rel_step, bounds, args, kwargs, full_output
        As for `numerical_gradient`. With "auto", each element has the step and order that its own value of f asks for.

    Returns
    -------
    float, or ndarray of float64
        In the shape of what f returns. With ``full_output``, a `secant.Derivative`. Where elements of x have steps of
        their own (all but a number for h), f must be elementwise, which is checked in a few evaluations.

    Warns
    -----
    RuntimeWarning
        If h is lost in x, or larger than its scale allows; if f returns float32, or whole numbers that jump, as for
        `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f is not callable, x is float32 or float16, in whose rounding h is lost, x or h is not a number, or f
        does not return real numbers.
    ShapeError
        If f does not always return the same shape, or returns a number for an array x.
    UnsupportedError
        If bounds are given with "auto" or full_output, for which take `numerical_gradient`.
    ValueRangeError
        If h is not finite and greater than 0, there is no such scheme, x is not within bounds, or f is not defined at a
        shifted point, though it is at x.

    Examples
    --------
    >>> round(secant.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5.0), 6)
    0.2
    >>> found = secant.numerical_diff(np.exp, np.array([0.0, 10.0]), scheme="auto", full_output=True)
    >>> bool(np.all(np.abs(found.value - np.exp([0, 10])) <= found.error)), found.success
    (True, array([ True,  True]))
    """
    return elementwise.derivative(f, x, h, scheme, rel_step, bounds, args, kwargs, full_output)


@overload
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = ...,
    *,
    return_error: Literal[False] = ...,
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
    return_error: Literal[True],
    inplace: bool = ...,
    **options: Unpack[Options],
) -> tuple[Floats, Floats]: ...


@overload
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = ...,
    *,
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
    n_jobs: int | None = None,
    executor: Executor | None = None,
    full_output: bool = False,
    return_error: bool = False,
    inplace: bool = False,
    progress: bool = False,
) -> Any:
    """Return the numerical derivative of f in every coordinate of x.

    Parameters
    ----------
    f : callable, or a pointer to a C function
        Takes x and returns a number. Functions compiled by Numba are called from compiled code, if they always return
        real numbers. A pointer of ctypes, cffi, ``numba.cfunc`` or `scipy.LowLevelCallable` to
        ``double f(const double *x, intptr_t n, void *data)`` is called without Python.
    x : array_like, of any shape and layout
        f gets a copy of it that belongs to this call, with one entry shifted, so that threads may share x. If f can
        look at an array of float64 elsewhere, in its closure, globals, defaults or attributes of these, the array
        itself is shifted instead, and restored exactly, even if f raises: as in
        ``numerical_gradient(lambda _: net.loss(x, t), net.params["W1"])``. Two or four evaluations tell if f depends
        on it, and a warning says so if it depends on its argument as well. So it is if f turns out not to use its
        argument: all differences are 0, and f takes any object. Of modules and classes, those values and functions are
        looked at that code names, and all values of your own: where that finds nothing, ``inplace=True`` says that x
        itself is to be shifted.
    h : float, array_like or "relative"
        The shift of each coordinate. "relative" is SciPy's default for the scheme, and more accurate than 1e-4:
        ``eps**(1/2) * max(1, abs(x))`` of "2-point", away from 0, ``eps**(1/3)`` of "3-point", ``eps**(1/5)`` of
        "five-point", where eps is that of what f returns; f(x) is one evaluation more. Where x + h rounds to x,
        derivatives are 0, and a warning says so: for 1e-4, where x is above about 1e12. Where h is larger than an entry
        that is not 0, f(x) is one evaluation more; if f changes by more than f(x) within a step, and by another slope
        within half of it, a warning says so, unless f is in C and has few coordinates.
    scheme : {"central", "3-point", "forward", "2-point", "five-point", "auto"}
        Values of f at x + h and x - h; at x + h and x; or at both and at x + 2h and x - 2h as well. "3-point" and
        "2-point" are SciPy's names of the first two. With "auto" h does
        not count: step and order are chosen for each entry, from the noise of f and what is seen of truncation. Steps
        may leave the domain of f: an ArithmeticError, AssertionError, IndexError, RuntimeError or ValueError of f
        counts as NaN there, and is raised if nothing else is left.
    rel_step : float or array_like, optional
        As in SciPy, ``h = rel_step * abs(x)``, away from 0 for "2-point"; and that of "relative" where x + h is x.
    bounds : tuple (array_like, array_like) or scipy.optimize.Bounds, optional
        The domain of f: it is not evaluated outside. Near a bound, central differences become one-sided ones of the
        same order, for one to two evaluations more; the step becomes smaller where nothing else helps. "auto" takes
        smaller steps, and one-sided ones on a bound or where f is defined on one side of x only.
    args : tuple
        Further arguments of f.
    kwargs : dict, optional
        Further keyword arguments of f.
    vectorized : bool
        f takes a stack of points, (points, and the shape of x), and returns a value for each, which must not depend on
        the points beside it. It is called in blocks of at most 128 KB, or one point. About ten calls, some of them
        further from x, check that points are not mixed.
    n_jobs : int, optional
        The number of processes if f is a function of Python, of threads if it is in C or compiled by Numba.
        Processes compute ranges of coordinates, through joblib: its backend may be another one, such as that of
        Dask. Little work stays in this process. A C function runs on one thread unless more are asked for, which says
        that it is thread-safe; one with parallel loops of Numba's always runs on one. -1 means all. Workers copy x as
        they start: it must not change meanwhile.
    executor : concurrent.futures.Executor, optional
        The same with an executor, such as ``client.get_executor()`` of Dask or a pool of MPI. A range whose worker is
        lost is computed again. f must use its argument.
    full_output : bool
        Return a `secant.Derivative`: the gradient, how far each entry may be off, and the number of evaluations.
    return_error : bool
        Return the pair (gradient, error). Deprecated: take ``full_output``.
    inplace : bool
        x itself is shifted, for a function that looks at it elsewhere: an x that cannot be is an error.
    progress : bool
        Draw a bar with the time left on standard error, in a terminal or a notebook, if tqdm is installed.

    Returns
    -------
    gradient : ndarray of float64, in the shape of x
        With ``full_output`` a `secant.Derivative`. Its ``error`` is the error bar of "auto", and for the other schemes
        also what they differ from "auto" by, whose evaluations it takes.

    Warns
    -----
    RuntimeWarning
        If f depends on its argument and on x elsewhere, and both are shifted; if h is lost in x, or larger than its
        scale allows; if f returns float32, and h is too small for its rounding;
        or if it returns whole numbers, of NumPy's, that jump near x.

    Raises
    ------
    DTypeError
        If f is not callable, x does not hold real numbers, f looks at an x that cannot be shifted, or f does not
        return a real number.
    ShapeError
        If f does not return a single number.
    MissingExtraError
        If n_jobs needs joblib, and it is not installed.
    UnsupportedError
        If options do not go together.
    ValueRangeError
        If x is read-only and would be shifted in place, or not within bounds; h is not finite and greater than 0; f is
        not defined at a shifted point, where it raises one of those that "auto" takes for NaN or is NaN, though it is
        defined at x; f or x is not finite for "auto"; or f mixes the points of a stack. Other exceptions of f
        are passed on.

    Notes
    -----
    The truncation error is f''' h**2 / 6 of "central", f'' h / 2 of "forward", f''''' h**4 / 30 of "five-point"; the
    rounding error is about eps abs(f) / h. The result has the same bits however f is evaluated, and for any number of
    threads. An error or a note on an exception names the coordinate and its value.

    "auto" takes 100 to 300 evaluations of f first, then two to three per entry where noise leaves extrapolation little
    to win, six where f is smooth, and more where they disagree: central differences of groups of entries, or of an
    entry at three steps, extrapolated; and where those do not settle, of steps that grow from the smallest ones.

    Examples
    --------
    >>> secant.numerical_gradient(lambda x: np.sum(x**2), np.array([3.0, 4.0])).round(6)
    array([6., 8.])
    >>> f = lambda x: np.exp(x).sum()
    >>> found = secant.numerical_gradient(f, [0.0, 1.0], scheme="auto", full_output=True)
    >>> bool(np.all(np.abs(found.value - np.exp([0, 1])) <= found.error)), bool(np.all(found.error < 1e-10))
    (True, True)
    >>> secant.numerical_gradient(lambda x: np.sqrt(x).sum(), [0.0, 4.0], h="relative", bounds=(0, np.inf))[1].round(9)
    np.float64(0.25)
    """
    others = (scheme, vectorized, n_jobs, executor, full_output, return_error, inplace, progress)
    if are_defaults(others, rel_step, bounds, args, kwargs):
        kind = kind_of(f)
        is_plain = type(x) is np.ndarray and x.size > 0 and type(h) is float and 0 < h < math.inf
        if is_plain and kind == "C" and cast(Floats, x).size <= Evaluator.first_block and c_pointer.core() is not None:
            values = _of_c(f, cast(Floats, x) if is_float64(x) else own_point(x), h)
            if not math.isnan(values.dot(values)):  # else it is looked at where f is not defined
                return values
        problem = Problem.of_defaults(f, x, h, kind)
        if is_plain:
            values = central_differences(problem, x)
            return values if problem.x.ndim == 1 else values.reshape(problem.x.shape)
    else:
        if full_output is not False or return_error is not False:
            validation.flag("full_output", full_output)
            validation.flag("return_error", return_error)
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
            n_jobs=n_jobs,
            executor=executor,
            with_error=full_output or return_error,
            inplace=inplace,
            progress=progress,
        )
    values, errors, evaluations = derivatives(problem, x)
    shape = problem.x.shape
    gradient = values.reshape(shape)
    if errors is None:
        return gradient
    error = errors.reshape(shape)
    return with_error(gradient, error, evaluations) if full_output else (gradient, error)


def _of_c(f: Any, point: Floats, h: float) -> Floats:
    """Central differences of few coordinates of a C function: to make a `Problem` would take longer."""
    values = c_pointer.few_differences(f, point, h)
    if np.count_nonzero(values) != values.size:
        warn_of_loss(Stencils(SCHEMES["central"], h), point, values, stacklevel=4)
    return values if point.ndim == 1 else values.reshape(point.shape)
