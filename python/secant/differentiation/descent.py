"""Gradient descent on any function, with its numerical gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.progress import Progress
from secant._common.validation import Floats
from secant._common.warn import warn
from secant.differentiation.derivatives import derivatives
from secant.differentiation.options import Options, put_back, refuse_matrix
from secant.differentiation.problem import Problem, with_options
from secant.differentiation.schemes import DEFAULT_STEP, SchemeName
from secant.errors import DivergenceError, ValueRangeError

_BY_THE_BOOK = "take secant.book.gradient_descent, which walks in x itself"


@overload
def gradient_descent(
    f: Any,
    init_x: ArrayLike,
    lr: float = ...,
    step_num: int = ...,
    *,
    return_path: Literal[False] = ...,
    callback: Callable[[int, Floats], Any] | None = ...,
    h: Any = ...,
    scheme: SchemeName = ...,
    **options: Unpack[Options],
) -> Floats: ...


@overload
def gradient_descent(
    f: Any,
    init_x: ArrayLike,
    lr: float = ...,
    step_num: int = ...,
    *,
    return_path: Literal[True],
    callback: Callable[[int, Floats], Any] | None = ...,
    h: Any = ...,
    scheme: SchemeName = ...,
    **options: Unpack[Options],
) -> tuple[Floats, Floats]: ...


@with_options(Options)
def gradient_descent(
    f: Any,
    init_x: ArrayLike,
    lr: float = 0.01,
    step_num: int = 100,
    *,
    return_path: bool = False,
    callback: Callable[[int, Floats], Any] | None = None,
    h: Any = DEFAULT_STEP,
    scheme: SchemeName = "central",
    **options: Unpack[Options],
) -> Floats | tuple[Floats, Floats]:
    """Walk down f from init_x, ``step_num`` times by ``-lr`` times the numerical
    gradient.

    Parameters
    ----------
    f : callable, or a pointer to a C function
        Takes an array in the shape of init_x and returns a number. It must use its
        argument: where it reads an array elsewhere, such as ``lambda W: net.loss(x,
        t)``, `secant.book.gradient_descent` walks in that array.
    init_x : array_like
        Where to start. It is not modified.
    lr : float
        The learning rate. Too large a one diverges, too small a one hardly moves.
    step_num : int
        The number of steps.
    return_path : bool
        Whether to return the path too.
    callback : callable, optional
        ``callback(step, x)`` is called after each step, the first of which is 1, with a
        copy of x. If it returns something true, the walk ends.
    h, scheme, rel_step, args, kwargs, vectorized, workers
        As for `numerical_gradient`.
    bounds : (array_like, array_like) or scipy.optimize.Bounds, optional
        f is not evaluated outside, and each point of the walk is moved into them.
    progress : bool
        Draw a bar with the time left on standard error, in a terminal or a notebook, if
        tqdm is installed.

    Returns
    -------
    x : ndarray of float64, in the shape of init_x
        Where the walk ended.
    path : ndarray of float64, (steps + 1, ...)
        Only with ``return_path``: every point, the first and the last included.

    Warns
    -----
    RuntimeWarning
        If x grows so large that x + h is rounded to x, until when the gradient is that
        of f; or as for `numerical_gradient`, in the first step.

    Raises
    ------
    DivergenceError
        If x or the gradient is no longer finite: it names the step and the value. Its
        ``path`` holds the points before.
    DTypeError
        If init_x does not hold real numbers, or callback is not callable.
    ShapeError
        If f does not return a single number.
    UnsupportedError
        If options do not go together.
    ValueRangeError
        If lr is not finite, step_num not at least 1, or f not finite at init_x.

    Notes
    -----
    The course notes return x alone. The book returns ``(x, history)``: for that, use
    `secant.book.gradient_descent`, or ``return_path=True``, whose path ends with x.

    Examples
    --------
    >>> secant.gradient_descent(lambda x: np.sum(x**2), [-3.0, 4.0], lr=0.1).round(6)
    array([-0.,  0.])
    """
    refuse_matrix("init_x", init_x)
    start = validation.float_array("init_x", init_x).copy()
    x = start.copy()
    lr = validation.finite_number("lr", lr)
    count = validation.positive_int("step_num", step_num)
    if callback is not None:
        validation.require_callable("callback", callback)
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(
            f"gradient_descent() got an unexpected keyword argument '{unknown.pop()}'"
        )
    progress = bool(options.pop("progress", False))
    problem = Problem.of(f, x, h, scheme=scheme, **options)._replace(in_place=None)
    try:
        return _walk(problem, x, lr, count, return_path, callback, progress)
    finally:
        put_back(init_x, start)


def _walk(
    problem: Problem,
    x: Floats,
    lr: float,
    count: int,
    return_path: bool,
    callback: Callable[[int, Floats], Any] | None,
    progress: bool,
) -> Floats | tuple[Floats, Floats]:
    points, lost = [x.copy()], False
    with Progress(progress) as bar:
        for step in range(1, count + 1):
            bar("steps", step - 1, count)
            try:
                found = derivatives(
                    problem._replace(x=x), None, warns=step == 1, hint=_BY_THE_BOOK
                )
                gradient = found.values.reshape(x.shape)
            except ValueRangeError as error:
                # f is not finite at x, where error bars need that
                if step == 1:
                    raise
                raise _diverged(step, str(error), points, lr) from error
            problem = problem._replace(is_trusted=True)
            _require_finite("the gradient", gradient, step, points, lr)
            with np.errstate(over="ignore"):
                there = x - lr * gradient
            _require_finite("x", there, step, points, lr)
            x = np.asarray(
                there if problem.bounds is None else np.clip(there, *problem.bounds)
            )
            if (
                isinstance(problem.step, float)
                and problem.scheme is not None
                and not lost
            ):
                lost = bool(np.any(x + problem.step == x))
                if lost:
                    _warn_of_loss(x, problem.step, step, lr)
            if return_path:
                points.append(x.copy())
            else:
                points = [x.copy()]
            if callback is not None and callback(step, x.copy()):
                break
    return (x, np.array(points)) if return_path else x


def _warn_of_loss(x: Floats, h: float, step: int, lr: float) -> None:
    i = int(np.argmax(np.abs(x)))
    warn(
        f"gradient descent loses h: after step {step} x reaches {x.reshape(-1)[i]:.3g},"
        f" where x + h rounds to x and the gradient means nothing; lr={lr:g} may be too"
        f" large, or h={h:g} too small"
    )


def _require_finite(
    name: str, values: Floats, step: int, points: list[Floats], lr: float
) -> None:
    if not np.isfinite(values).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        if step == 1 and name == "the gradient":
            raise ValueRangeError(
                f"f must be finite at init_x and beside it, but {name} is"
                f" {values[first]} at {first}"
            )
        raise _diverged(step, f"{name} is {values[first]} at {first}", points, lr)


def _diverged(step: int, what: str, points: list[Floats], lr: float) -> DivergenceError:
    size = float(np.max(np.abs(points[-1])))
    message = (
        f"gradient descent diverged in step {step}, from an x of up to {size:.3g}:"
        f" {what}; lr={lr:g} may be too large"
    )
    return DivergenceError(message, np.array(points))
