"""Numerical derivatives and gradients of any function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Unpack, overload

from numpy.typing import ArrayLike

from secant._common.validation import Floats
from secant.differentiation.columns import elementwise_derivative
from secant.differentiation.derivatives import central_differences, derivatives
from secant.differentiation.evaluators import c_pointer
from secant.differentiation.options import MoreOptions, kind_of
from secant.differentiation.problem import Problem, with_options
from secant.differentiation.result import Derivative, with_error
from secant.differentiation.schemes import DEFAULT_STEP, SchemeName


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
    """Return the difference quotient of f at x: by default the central one, ``(f(x + h)
    - f(x - h)) / 2h``.

    Parameters
    ----------
    f : callable
        Takes x and returns a number, or an array of them. It must be elementwise: an
        element of f(x) depends on the same element of x alone. For other functions take
        `numerical_gradient` or `numerical_jacobian`.
    x : float or array_like
        f is evaluated at all elements at once, each shifted by its step. It gets a
        float, or a new array each time.
    h : float, array_like or None
        Half the distance of the two points. The truncation error grows as h**2, the
        rounding error as 1/h: at h = 1e-30 both points round to x, and the result is 0.
    scheme, rel_step, bounds, args, kwargs, noise, full_output
        As for `numerical_gradient`. With "auto", each element has the step and order
        that its own value of f asks for.

    Returns
    -------
    float, or ndarray of float64
        In the shape of what f returns. With ``full_output``, a `secant.Derivative`.

    Warns
    -----
    RuntimeWarning
        If h is lost in x, f returns float32 or whole numbers that jump, or all values
        of f are equal, as for `numerical_gradient`.

    Raises
    ------
    DTypeError
        If f is not callable, x or h is not a number, or f does not return real numbers.
    ShapeError
        If f does not always return the same shape, or not that of an array x.
    UnsupportedError
        If h is given with "auto".
    ValueRangeError
        If h is not finite and greater than 0, there is no such scheme, x is not within
        bounds, or f is not finite at a shifted point, though it is at x.

    Examples
    --------
    >>> round(secant.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5.0), 6)
    0.2
    >>> found = secant.numerical_diff(
    ...     np.exp, np.array([0.0, 10.0]), scheme="auto", full_output=True
    ... )
    >>> (
    ...     bool(np.all(np.abs(found.value - np.exp([0, 10])) <= found.error)),
    ...     found.success,
    ... )
    (True, array([ True,  True]))
    """
    return elementwise_derivative(
        f,
        x,
        h,
        full_output,
        scheme=scheme,
        rel_step=rel_step,
        bounds=bounds,
        args=args,
        kwargs=kwargs,
        noise=noise,
    )


@overload
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = ...,
    *,
    scheme: SchemeName = ...,
    full_output: Literal[False] = ...,
    **options: Unpack[MoreOptions],
) -> Floats: ...


@overload
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = ...,
    *,
    scheme: SchemeName = ...,
    full_output: Literal[True],
    **options: Unpack[MoreOptions],
) -> Derivative: ...


@with_options(MoreOptions)
def numerical_gradient(
    f: Any,
    x: ArrayLike,
    h: Any = DEFAULT_STEP,
    *,
    scheme: SchemeName = "central",
    full_output: bool = False,
    **options: Unpack[MoreOptions],
) -> Any:
    """Return the numerical derivative of f in every coordinate of x.

    >>> secant.numerical_gradient(lambda x: np.sum(x**2), np.array([3.0, 4.0])).round(6)
    array([6., 8.])

    Parameters
    ----------
    f : callable, or a pointer to a C function
        Takes x and returns a number. It gets a new array each time, and may keep it or
        write to it. What f sets, such as an attribute, stays as its last call left it.
        Functions compiled by Numba, and pointers of ctypes, cffi, ``numba.cfunc`` or
        `scipy.LowLevelCallable` to ``double f(const double *x, intptr_t n, void
        *data)``, are called without Python, except by "auto" and at bounds.
    x : array_like, of any shape and layout
        It is not changed. If f ignores its argument and reads x itself, x is shifted in
        place and restored; it must then be a writeable array of float64, which f does
        not write to. An f that reads both needs ``inplace=True``.
    h : float, array_like or None, default 1e-4
        Step: f is evaluated at x + h and x - h. None is SciPy's step for the scheme.
    scheme : {"central", "3-point", "forward", "2-point", "five-point", "auto"}, default
    "central"
        "3-point" and "2-point" are SciPy's names of "central" and "forward". "auto"
        chooses a step for each entry.
    full_output : bool, default False
        Return a `secant.Derivative`.
    rel_step : float or array_like, optional
        As in SciPy, ``h = rel_step * abs(x)``.
    bounds : tuple (array_like, array_like) or scipy.optimize.Bounds, optional
        f is never evaluated outside these bounds: near one, differences are one-sided.
    args, kwargs : tuple and dict, optional
        Further arguments of f.
    vectorized : bool, default False
        f takes a stack of points, (points, and the shape of x), and returns a value for
        each.
    workers : int or map-like callable, optional
        Processes, or threads if f is in C or Numba; -1 means all. Or a callable like
        ``map``.
    progress : bool, default False
        Draw a progress bar, if tqdm is installed.
    noise : float, optional
        By how much values of f may be off, such as by the tolerance of a solver, which
        does not scatter: for "auto" and error bars.
    f0 : float, optional
        f(x), which saves an evaluation where the scheme needs it.
    inplace : bool, default False
        Shift x itself from the start. f must not write to it.

    Returns
    -------
    gradient : ndarray of float64, in the shape of x
        With ``full_output`` a `secant.Derivative`, with an error bar for each entry.

    Warns
    -----
    RuntimeWarning
        If x + h rounds to x, h is too small for the rounding of f, f jumps within the
        step, or all values of f are equal, also if f changes farther away. An f in C or
        Numba is not watched for equal values.

    Raises
    ------
    DTypeError
        If f is not callable, x does not hold real numbers, or f does not return a real
        number.
    ShapeError
        If f does not return a single number.
    MissingExtraError
        If workers needs joblib, and it is not installed.
    UnsupportedError
        If options do not go together, such as "auto" and h.
    ValueRangeError
        If x is not within bounds, h is not finite and greater than 0, or f is not
        finite at a shifted point, though it is at x.

    See Also
    --------
    numerical_jacobian : of a function with many outputs.
    numerical_hessian : second derivatives.
    check_gradient : whether a gradient is right.

    Notes
    -----
    Differences are divided by ``(x + h) - (x - h)``. The truncation error is f3 h**2 /
    6 of "central", f2 h / 2 of "forward" and f5 h**4 / 30 of "five-point", where f3 is
    the third derivative; the rounding error is about eps abs(f) / h. Results are
    bitwise the same for any number of workers. Exceptions of f are passed on, with a
    note that names the coordinate.

    Examples
    --------
    With error bars:

    >>> result = secant.numerical_gradient(
    ...     lambda x: np.exp(x).sum(), [0.0, 1.0], scheme="auto", full_output=True
    ... )
    >>> result.value.round(6), result.error < 1e-10
    (array([1.      , 2.718282]), array([ True,  True]))
    """
    if scheme == "central" and full_output is False and not options:
        if (
            kind_of(f) == "C"
            and (found := c_pointer.few_differences(f, x, h)) is not None
        ):
            return found
        values, shape = central_differences(f, x, h)
        return values if len(shape) == 1 else values.reshape(shape)
    problem = Problem.of(f, x, h, scheme=scheme, full_output=full_output, **options)
    values, bars, evaluations = derivatives(problem, x)
    gradient = values.reshape(problem.x.shape)
    if bars is None:
        return gradient
    return with_error(
        gradient, bars.each(lambda part: part.reshape(gradient.shape)), evaluations
    )
