"""The error of difference quotients of a function, against h."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.gradient import numerical_diff
from secant.differentiation.schemes import SCHEMES
from secant.errors import ShapeError
from secant.plots.canvas import INK, MARKERS, SEQUENCE, axes_for, finish, legend, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EPS = float(np.finfo(np.float64).eps)
_POWERS = {1: "h", 2: "h²", 4: "h⁴"}
_CLEAR_OF_ROUNDING = 30.0  # times, where truncation is measured


def difference_error(
    f: Callable[[Any], Any],
    x: float,
    derivative: float | Callable[[Any], Any],
    *,
    schemes: Sequence[str] = ("forward", "central", "five-point"),
    h: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the error of difference quotients against h: truncation grows with h, rounding falls.

    A dashed line is what the rounding of f makes of it, eps abs(f(x)) / h. Dotted lines are truncation: a power of h,
    to which the measured errors are fitted where rounding does not count.

    Parameters
    ----------
    f : callable
        Takes a number and returns one.
    x : float
    derivative : float or callable
        The true derivative at x, or a function that returns it.
    schemes : sequence of {"forward", "central", "five-point"}
    h : array_like, optional
        The steps; by default from 1e-15 to 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DTypeError
        f is not callable or does not return a number, or ``ax`` is not axes.
    ShapeError
        h is not a list of numbers.
    ValueRangeError
        x, the derivative or f(x) is not finite, an h is not greater than 0, or there is no such scheme.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> secant.plots.difference_error(np.exp, 1.0, np.e).figure.savefig("error.png")
    """
    validation.require_callable("f", f)
    x = validation.finite_number("x", x)
    truth = validation.finite_number("derivative", derivative(x) if callable(derivative) else derivative)
    value = validation.finite_number("f(x)", number(f(x)))
    steps = _steps(h)
    ax = axes_for(ax, 6.4, 4.4)
    rounding = _EPS * abs(value) / steps
    for i, name in enumerate(schemes):
        order = SCHEMES[validation.one_of("schemes", name, tuple(SCHEMES))].order
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of steps that are lost in x
            distances = [abs(number(numerical_diff(f, x, float(step), scheme=name)) - truth) for step in steps]  # type: ignore[arg-type]
        errors = np.array(distances)
        errors[~(errors > 0)] = np.nan  # a logarithm has no 0
        ax.plot(steps, errors, color=SEQUENCE[i], marker=MARKERS[i], markersize=4, linewidth=0, label=name)
        _draw_truncation(ax, steps, errors, rounding, order, SEQUENCE[i])
    if value:
        ax.plot(steps, rounding, color=INK, linestyle="--", linewidth=1, label="rounding: eps |f| / h")
    ax.set_xscale("log")
    ax.set_yscale("log")
    finish(ax, "Error of a difference quotient", "h", "error of the derivative")
    legend(ax, "lower left")
    return ax


def _draw_truncation(ax: Axes, steps: Floats, errors: Floats, rounding: Floats, order: int, color: str) -> None:
    """The line C h^order through the smallest steps whose errors are well above rounding."""
    with np.errstate(invalid="ignore"):
        clear = np.flatnonzero(errors > _CLEAR_OF_ROUNDING * np.maximum(rounding, 1e-300))
    # Only steps above which all others qualify: at a small step the rounding error may be large by chance.
    last = np.flatnonzero(~np.isin(np.arange(len(steps)), clear))
    asymptotic = clear[clear > (last.max() if last.size else -1)][:5]
    if asymptotic.size < 2:
        return
    factor = np.exp(np.mean(np.log(errors[asymptotic] / steps[asymptotic] ** order)))
    name = f"truncation: {_POWERS[order]}"
    line = factor * steps**order
    seen = line > np.nanmin(errors) / 10
    ax.plot(steps[seen], line[seen], color=color, linestyle=":", linewidth=1.5, label=name)


def _steps(h: Any) -> Floats:
    if h is None:
        return np.logspace(-15, 0, 61)
    steps = validation.float_array("h", h)
    if steps.ndim != 1 or steps.size == 0:
        raise ShapeError(f"h must be a list of steps, got shape {steps.shape}")
    for step in steps:
        validation.finite_number("h", float(step), above=0)
    return np.sort(steps)
