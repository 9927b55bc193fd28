"""The paths of gradient descent on the contours of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.evaluators.evaluation import number
from secant.errors import ShapeError, ValueRangeError
from secant.plots.canvas import INK, axes_for, finish, legend, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RESOLUTION = 81  # points of the grid in each direction
# of the extent of all paths, to either side of their middle: the paths fill two thirds
_ROOM = 0.75


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
        What ``gradient_descent(..., return_path=True)`` returned. A path begins with a
        square and ends with a star.
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
        f is not callable or does not return a number, or ``ax`` is not axes.
    ShapeError
        A path is not (points, 2), ``levels`` is not a list, or ``region`` is not two
        pairs.
    ValueRangeError
        A path is not finite, f is finite nowhere in the region, the region is empty, or
        ``levels`` do not rise.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> f = lambda x: x[0] ** 2 / 20 + x[1] ** 2
    >>> _, path = secant.gradient_descent(
    ...     f, [-7.0, 2.0], lr=0.9, step_num=20, return_path=True
    ... )
    >>> secant.plots.descent_paths(f, path).figure.savefig("descent.png")
    """
    validation.require_callable("f", f)
    named, levels = _named_paths(paths), _levels(levels)
    low, high = _around(list(named.values())) if region is None else _corners(region)
    grid = [np.linspace(low[i], high[i], _RESOLUTION) for i in (0, 1)]
    values = np.array([[number(f(np.array([a, b]))) for a in grid[0]] for b in grid[1]])
    masked = np.ma.masked_invalid(values)
    if masked.count() == 0:
        raise ValueRangeError("f must be finite somewhere in the region")
    ax = axes_for(ax, 6.4, 4.4)
    if masked.min() < masked.max():  # a constant has no contours
        ax.contourf(*grid, masked, levels=levels, cmap="Greys_r", alpha=0.4)
        ax.contour(
            *grid,
            masked,
            levels=levels,
            colors="#6b6b6b",
            linewidths=0.7,
            linestyles="solid",
        )
    for i, (name, path) in enumerate(named.items()):
        color, marker, _ = look_of(i)
        ax.plot(
            *path.T, color=color, marker=marker, markersize=4, linewidth=1.4, label=name
        )
        ax.plot(*path[0], color=color, marker="s", markersize=9, markeredgecolor=INK)
        ax.plot(*path[-1], color=color, marker="*", markersize=15, markeredgecolor=INK)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    finish(ax, "Gradient descent", "x0", "x1", picture=True)
    if any(named):
        legend(ax)
    return ax


def _named_paths(paths: Any) -> dict[str, Floats]:
    given = paths if isinstance(paths, Mapping) else {"": paths}
    if not given:
        raise ShapeError("paths must hold at least one path, got none")
    named = {}
    for name, path in given.items():
        title = f"paths[{name!r}]" if isinstance(paths, Mapping) else "paths"
        array = validation.float_array(title, path)
        if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
            raise ShapeError(
                f"{title} must be points of two numbers, (points, 2), got shape"
                f" {array.shape}"
            )
        validation.require_finite(title, array)
        named[str(name)] = array
    return named


def _around(paths: list[Floats]) -> tuple[Floats, Floats]:
    """The corners of the drawn region: all paths with a margin, of about the same width
    and height.
    """
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
        raise ShapeError(
            "levels must be a number or a list of at least two values, got shape"
            f" {array.shape}"
        )
    if not (np.isfinite(array).all() and (np.diff(array) > 0).all()):
        raise ValueRangeError(f"levels must be finite and rise, got {array.tolist()}")
    return array


def _corners(region: ArrayLike) -> tuple[Floats, Floats]:
    array = validation.float_array("region", region)
    if array.shape != (2, 2):
        raise ShapeError(
            "region must be ((from, to), (from, to)) of x0 and x1, got shape"
            f" {array.shape}"
        )
    validation.require_finite("region", array)
    if not (array[:, 0] < array[:, 1]).all():
        raise ValueRangeError(
            f"region must be from a smaller to a larger number, got {array.tolist()}"
        )
    return array[:, 0], array[:, 1]
