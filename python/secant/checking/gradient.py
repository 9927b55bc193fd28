"""`check_gradient`: all entries at once along random directions, and the culprit where
they disagree.

The tolerance comes from what was measured of f, its noise and its truncation, never
from a number given. See docs/check_method.md for what a check that passes proves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from secant._common.validation import finite_number
from secant.checking.candidate import CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.reproducer import Call, checked_arrays, with_program
from secant.differentiation.evaluators import c_pointer
from secant.differentiation.options import bound


def check_gradient(
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
) -> GradientReport:
    """Check a whole gradient in about a hundred evaluations of f, and name the entries
    that are wrong.

    Parameters
    ----------
    f : callable
        Takes what x is, in float64 or complex128, which tell mistakes from rounding:
        what needs less converts it. It returns a number, the same for the same x. What
        it sets, such as the parameters of a model, stays as the last call of f left it.
    x : ndarray of float64, float32, float16, complex128 or complex64; or nested dicts,
    lists, tuples and named tuples
        Where the gradient is checked. When the call ends it is what it was, bit for
        bit.
    gradient : the same structure as x, or callable
        What is checked. A callable takes what f does and returns it. It is called twice
        right after f(x), and once more after f was called elsewhere: it is wrong if
        results differ. One that raises an exception when it is called again, as it uses
        up what f left, is not. Where x is complex, that is df/d(real x) + i df/d(imag
        x), as in PyTorch; what ``jax.grad`` returns is its conjugate.
    inplace : bool
        Shift the arrays of x themselves, for a function that looks at them in place of
        its argument, or besides it. They are restored exactly, even if f raises. Where
        f ignores its argument and looks at x, such as in ``check_gradient(lambda W:
        net.loss(x, t), net.W, grad)``, that is done without being asked for. No other
        thread may use x meanwhile; checks in other threads wait.
    args, kwargs : tuple and dict, optional
        Further arguments of f and of a gradient that is callable.
    bounds : tuple (lower, upper) or scipy.optimize.Bounds, optional
        f is never evaluated outside these bounds: near one, differences are one-sided.
        Where x has several arrays, lower and upper have its structure, or are numbers.
    noise : float, optional
        By how much values of f may be off, such as by the tolerance of a solver, which
        does not scatter: then slopes may be off as well, by as much as two values at
        the largest usual step.
    names : the same structure as x, of strings, optional
        What you call the entries: a list of names for a vector, or a dict of such
        lists, in which arrays may be missing. The report, its JSON and its program use
        them in place of ``x[4]``.
    progress : bool
        Draw a bar with the time left on standard error, in a terminal or a notebook, if
        tqdm is installed.
    rng : int
        The seed of the directions: the same check gives the same report.

    Returns
    -------
    GradientReport
        Whether it is right, what would have been noticed, and which entries are wrong.

    Raises
    ------
    DTypeError, ShapeError
        If f is not callable, x or the gradient is no such structure, they do not match,
        or f does not return a single real number.
    ValueRangeError
        If x is not finite or not within bounds, or f(x) is not finite; f is not
        deterministic, or has no slope at x.

    See Also
    --------
    numerical_gradient : every entry of it, in two evaluations each.

    Notes
    -----
    It takes about a hundred evaluations of f where the gradient is right; where x lies
    on kinks, each array takes a hundred more. Group testing: along a random direction v
    the errors d of all entries show as their sum d . v, which is compared with the
    error bar of the slope of f in that direction: that of the scheme "auto". Meanwhile
    NumPy neither warns of floating-point errors nor raises them: the report says what
    is not finite.

    Examples
    --------
    >>> x = np.array([3.0, 4.0])
    >>> secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x).passed
    True
    >>> report = secant.check_gradient(lambda x: np.sum(x**2), x, np.array([6.0, 8.1]))
    >>> report.passed, report.findings[0].name
    (False, 'x[1]')
    """
    options = Options(progress, rng)
    with_arguments, kind = bound(f, args, kwargs)
    function = c_pointer.as_function(with_arguments) if kind == "C" else with_arguments
    least_noise = 0.0 if noise is None else finite_number("noise", noise, least=0.0)
    point = Point(function, x, inplace=inplace, noise=least_noise, bounds=bounds)
    point.labels = {} if names is None else point.structure.labels(names)
    further = kwargs or {}

    def candidate() -> CandidateGradient:
        if not callable(gradient):
            return CandidateGradient(point, gradient)
        given = CandidateGradient.repeated(point, lambda _: gradient_at(point))
        given.elsewhere = lambda other: CandidateGradient(other, gradient_at(other))
        return given

    def gradient_at(there: Point) -> Any:
        return gradient(there.structure.at(there.x), *args, **further)

    report = run_check(point, candidate, options)
    there = point.structure.at(point.x)
    call = Call(
        f,
        (there, *args),
        point.names,
        checked_arrays(there),
        keywords=further,
        gradient=gradient if callable(gradient) else None,
        reads_x_itself=inplace or point.is_constant,
    )
    return with_program(report, call)
