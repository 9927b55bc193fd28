"""Any function: the paths of gradient descent on it, and how far off its difference quotients are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.evaluation import SCHEMES
from secant.differentiation.gradient import numerical_diff
from secant.errors import DTypeError, ShapeError, ValueRangeError
from secant.plots.canvas import INK, MARKERS, SEQUENCE, axes_for, finish, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RESOLUTION = 81  # points of the grid in each direction
_ROOM = 0.75  # of the extent of all paths, to either side of their middle: the paths fill two thirds
_EPS = float(np.finfo(np.float64).eps)
_POWERS = {1: "h", 2: "h²", 4: "h⁴"}
_CLEAR_OF_ROUNDING = 30.0  # times, where truncation is measured


def descent_paths(
    f: Callable[[Any], Any],
    paths: Any,
    *,
    levels: int | Sequence[float] = 14,
    region: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw paths of gradient descent on the contours of a function of two numbers.

    Parameters
    ----------
    f : callable
        Takes an array (2,) and returns a number. It is evaluated on a grid.
    paths : ndarray, (points, 2), or dict of such by name
        What ``gradient_descent(..., return_path=True)`` returned. A path begins with a square and ends with a star.
    levels : int or sequence of float
        About so many contours, at even steps of f; or the values of f that have one.
    region : ((float, float), (float, float)), optional
        From where to where x0 and x1 are drawn; by default all paths with some room.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DTypeError
        f is not callable or does not return a number, or ``ax`` is no axes.
    ShapeError
        A path is not (points, 2), ``levels`` are no list, or ``region`` no two pairs.
    ValueRangeError
        A path is not finite, f is finite nowhere in the region, the region is empty, or ``levels`` do not rise.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> f = lambda x: x[0] ** 2 / 20 + x[1] ** 2
    >>> _, path = secant.gradient_descent(f, [-7.0, 2.0], lr=0.9, step_num=20, return_path=True)
    >>> secant.plots.descent_paths(f, path).figure.savefig("descent.png")
    """
    validation.require_callable("f", f)
    named, levels = _named_paths(paths), _levels(levels)
    ax = axes_for(ax, 6.4, 4.4)
    low, high = _around(list(named.values())) if region is None else _corners(region)
    grid = [np.linspace(low[i], high[i], _RESOLUTION) for i in (0, 1)]
    values = np.array([[_number(f(np.array([a, b]))) for a in grid[0]] for b in grid[1]])
    masked = np.ma.masked_invalid(values)
    if masked.count() == 0:
        raise ValueRangeError("f must be finite somewhere in the region")
    if masked.min() < masked.max():  # a constant has no contours
        ax.contourf(*grid, masked, levels=levels, cmap="Greys_r", alpha=0.4)
        ax.contour(*grid, masked, levels=levels, colors="#6b6b6b", linewidths=0.7, linestyles="solid")
    for i, (name, path) in enumerate(named.items()):
        colour, marker = SEQUENCE[i % len(SEQUENCE)], MARKERS[i % len(MARKERS)]
        ax.plot(*path.T, color=colour, marker=marker, markersize=4, linewidth=1.4, label=name)
        ax.plot(*path[0], color=colour, marker="s", markersize=9, markeredgecolor=INK)
        ax.plot(*path[-1], color=colour, marker="*", markersize=15, markeredgecolor=INK)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    finish(ax, "Gradient descent", "x0", "x1", picture=True)
    if any(named):
        legend(ax)
    return ax


def difference_error(
    f: Callable[[Any], Any],
    x: float,
    derivative: float | Callable[[Any], Any],
    *,
    schemes: Sequence[str] = ("forward", "central", "five-point"),
    h: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far difference quotients are off, against h: truncation grows with h, rounding falls.

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
        f is not callable or does not return a number, or ``ax`` is no axes.
    ShapeError
        h is no list of numbers.
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
    value = validation.finite_number("f(x)", _number(f(x)))
    steps = _steps(h)
    ax = axes_for(ax, 6.4, 4.4)
    rounding = _EPS * abs(value) / steps
    for i, name in enumerate(schemes):
        order = SCHEMES[validation.one_of("schemes", name, tuple(SCHEMES))].order
        with np.errstate(all="ignore"):
            found = [abs(_number(numerical_diff(f, x, float(step), scheme=name)) - truth) for step in steps]  # type: ignore[arg-type]
        errors = np.array(found)
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


def _draw_truncation(ax: Axes, steps: Floats, errors: Floats, rounding: Floats, order: int, colour: str) -> None:
    """The line C h^order through the smallest steps whose errors are clear of rounding."""
    with np.errstate(invalid="ignore"):
        clear = np.flatnonzero(errors > _CLEAR_OF_ROUNDING * np.maximum(rounding, 1e-300))
    # Of them, those from which on all are: rounding may be large at a small step by chance.
    last = np.flatnonzero(~np.isin(np.arange(len(steps)), clear))
    asymptotic = clear[clear > (last.max() if last.size else -1)][:5]
    if asymptotic.size < 2:
        return
    factor = np.exp(np.mean(np.log(errors[asymptotic] / steps[asymptotic] ** order)))
    name = f"truncation: {_POWERS[order]}"
    line = factor * steps**order
    seen = line > np.nanmin(errors) / 10
    ax.plot(steps[seen], line[seen], color=colour, linestyle=":", linewidth=1.5, label=name)


def _named_paths(paths: Any) -> dict[str, Floats]:
    given = paths if isinstance(paths, Mapping) else {"": paths}
    if not given:
        raise ShapeError("paths must hold at least one path, got none")
    named = {}
    for name, path in given.items():
        title = f"paths[{name!r}]" if isinstance(paths, Mapping) else "paths"
        array = validation.float_array(title, path)
        if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
            raise ShapeError(f"{title} must be points of two numbers, (points, 2), got shape {array.shape}")
        validation.require_finite(title, array)
        named[str(name)] = array
    return named


def _around(paths: list[Floats]) -> tuple[Floats, Floats]:
    """The corners of what is drawn: all paths, with some room, and not much wider than high or the other way."""
    points = np.concatenate(paths)
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.maximum(high - low, (high - low).max() / 4)
    room = np.where(room > 0, room, 1.0)
    middle = (low + high) / 2
    return middle - _ROOM * room, middle + _ROOM * room


def _levels(levels: Any) -> Any:
    if isinstance(levels, int | np.integer):
        return validation.positive_int("levels", levels)
    array = validation.float_array("levels", levels)
    if array.ndim != 1 or array.size < 2:
        raise ShapeError(f"levels must be a number or a list of at least two values, got shape {array.shape}")
    if not (np.isfinite(array).all() and (np.diff(array) > 0).all()):
        raise ValueRangeError(f"levels must be finite and rise, got {array.tolist()}")
    return array


def _corners(region: ArrayLike) -> tuple[Floats, Floats]:
    array = validation.float_array("region", region)
    if array.shape != (2, 2):
        raise ShapeError(f"region must be ((from, to), (from, to)) of x0 and x1, got shape {array.shape}")
    validation.require_finite("region", array)
    if not (array[:, 0] < array[:, 1]).all():
        raise ValueRangeError(f"region must be from a smaller to a larger number, got {array.tolist()}")
    return array[:, 0], array[:, 1]


def _steps(h: Any) -> Floats:
    if h is None:
        return np.logspace(-15, 0, 61)
    steps = validation.float_array("h", h)
    if steps.ndim != 1 or steps.size == 0:
        raise ShapeError(f"h must be a list of steps, got shape {steps.shape}")
    for step in steps:
        validation.finite_number("h", float(step), above=0)
    return np.sort(steps)


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise DTypeError(f"f must return a number, got {value!r}")
    return float(array.reshape(()))
