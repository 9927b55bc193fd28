"""What a network has learned and what it gets wrong: its weights as pictures, its
confusion matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Array, Floats
from secant.backends import faults
from secant.errors import DTypeError, ShapeError, ValueRangeError
from secant.plots.canvas import GRID, INK, axes_for, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SATURATED = 0.995  # of the weights are within the range of colors
_MOST_NUMBERED = 20  # classes, whose cells have room for a number
_TILE = 1.3  # inches of a picture of weights, with its caption
_GAP, _CAPTION = 0.12, 0.17  # between pictures, and for a caption, of the side of one


def weights(
    net: Any,
    *,
    units: int | Sequence[int] = 16,
    shape: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights into hidden units as pictures: what each unit looks for.

    Red weights are positive, blue ones negative, white ones 0. The largest 0.5 % all
    have the darkest colors.

    Parameters
    ----------
    net : network with ``params["W1"]``, or ndarray, (I, H)
    units : int or sequence of int
        The number of units, those with the largest weights first; or the indices of
        units.
    shape : (int, int), optional
        Height and width of a sample. By default it is a square.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DTypeError
        ``net`` has no such weights, ``units`` are not whole numbers, or ``ax`` is not
        axes.
    ShapeError
        The weights are not a matrix, or ``shape`` does not have I pixels.
    ValueRangeError
        A unit does not exist, or a weight is not finite.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> net = secant.TwoLayerNet(784, 50, 10, rng=0)
    >>> secant.plots.weights(net, units=[0, 1, 2]).figure.savefig("weights.png")
    """
    matrix = _weights_of(net)
    chosen = _chosen_units(units, matrix)
    height, width = _picture_shape(shape, len(matrix))
    images = matrix.T[chosen].reshape(-1, height, width)
    limit = (
        float(np.quantile(np.abs(images), _SATURATED))
        or float(np.abs(images).max())
        or 1.0
    )
    columns = _columns(len(images))
    rows, across, down = (
        math.ceil(len(images) / columns),
        width * (1 + _GAP),
        height * (1 + _GAP + _CAPTION),
    )
    ax = axes_for(ax, max(columns * _TILE + 1, 3.6), rows * _TILE * 1.1 + 0.5)
    shown: Any = None
    for i, (unit, image) in enumerate(zip(chosen, images, strict=True)):
        left, top = i % columns * across, i // columns * down
        extent = (left, left + width, top + height, top)
        shown = ax.imshow(
            image,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            extent=extent,
            interpolation="nearest",
        )
        ax.text(
            left + width / 2,
            top + height * 1.03,
            f"unit {unit}",
            ha="center",
            va="top",
            fontsize=8,
            color=INK,
        )
    ax.set(
        xlim=(-width * _GAP / 2, columns * across - width * _GAP / 2),
        ylim=(rows * down, -height * _GAP / 2),
    )
    ax.set(aspect="equal", xticks=[], yticks=[])
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.7, pad=0.02, extend="both")
    bar.ax.tick_params(labelsize=9, colors=INK, length=0)
    bar.outline.set_visible(False)
    finish(ax, "Weights into hidden units", picture=True)
    return ax


def confusion_matrix(
    net: Any, x: ArrayLike, t: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Draw how often each class was taken for each class.

    A color is the share of its row, that is of all samples of a class; the number is
    that of the samples.

    Parameters
    ----------
    net : network with a method ``predict``, or ndarray, (N, O)
        A network, or what its ``predict(x)`` returned.
    x : array_like, (N, ...)
    t : array_like, (N,) or (N, O)
        Labels, or one-hot or soft targets, whose largest weight is the label.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DTypeError
        ``net`` cannot predict, x or t do not hold real numbers, or ``ax`` is not axes.
    ShapeError
        x, t and the predictions do not fit each other.
    ValueRangeError
        A label is out of range, or a prediction is not finite.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> _, (x, t) = secant.load_mnist(subset=True)
    >>> net = secant.TwoLayerNet(784, 50, 10, rng=0)
    >>> secant.plots.confusion_matrix(net, x, t).figure.savefig("confusion.png")
    """
    y, labels = _predictions(net, x, t)
    ax = axes_for(ax, 5.6, 5.6)
    from matplotlib.colors import PowerNorm

    classes = y.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, y.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # rare mistakes are to be seen
    ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.4, 0, 1))
    for row, column in np.argwhere(counts) if classes <= _MOST_NUMBERED else ():
        color = "white" if shares[row, column] > 0.15 else INK
        ax.text(
            column,
            row,
            f"{counts[row, column]}",
            ha="center",
            va="center",
            fontsize=9,
            color=color,
        )
    if classes <= _MOST_NUMBERED:
        ax.set_xticks(range(classes))
        ax.set_yticks(range(classes))
    right = f"{np.trace(counts):,} of {counts.sum():,} are right"
    finish(
        ax, f"Confusion matrix: {right}", "predicted class", "true class", picture=True
    )
    ax.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=GRID, linewidth=0.5)
    return ax


def _weights_of(net: Any) -> Floats:
    if not isinstance(net, np.ndarray):
        try:
            net = net.params["W1"]
        except (AttributeError, KeyError, TypeError):
            raise DTypeError(
                'net must have params["W1"], or be the array itself, got'
                f" {type(net).__name__}"
            ) from None
    matrix = validation.float_array("net", net)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ShapeError(
            f"net must have a matrix of weights, (I, H), got shape {matrix.shape}"
        )
    validation.require_finite("net", matrix)
    return matrix


def _chosen_units(units: Any, matrix: Floats) -> list[int]:
    hidden = matrix.shape[1]
    if isinstance(units, int | np.integer):
        count = validation.positive_int("units", units)
        return [
            int(unit)
            for unit in np.argsort(-np.linalg.norm(matrix, axis=0), kind="stable")[
                :count
            ]
        ]
    chosen = validation.real_array("units", units)
    if chosen.ndim != 1 or chosen.size == 0:
        raise ShapeError(
            f"units must be a number or a list of units, got shape {chosen.shape}"
        )
    if chosen.dtype.kind not in "iu":
        raise DTypeError(f"units must be whole numbers, got {chosen.dtype}")
    if chosen.min() < 0 or chosen.max() >= hidden:
        raise ValueRangeError(f"units must be from 0 to {hidden - 1}, got {units!r}")
    return [int(unit) for unit in chosen]


def _picture_shape(shape: Any, pixels: int) -> tuple[int, int]:
    """Return the height and width of a sample."""
    if shape is None:
        side = math.isqrt(pixels)
        if side * side != pixels:
            raise ShapeError(
                "shape must be given, (height, width), since a sample is not square,"
                f" got {pixels} pixels"
            )
        return side, side
    if not (isinstance(shape, tuple | list) and len(shape) == 2):
        raise ShapeError(f"shape must be (height, width), got {shape!r}")
    height, width = (validation.positive_int("shape", side) for side in shape)
    if height * width != pixels:
        raise ShapeError(
            f"shape must have {pixels} pixels as a sample has, got {height} x {width}"
        )
    return height, width


def _columns(count: int) -> int:
    """Return the columns of a nearly square grid: wider than high, and full if
    possible.
    """
    least = math.ceil(math.sqrt(count))
    return min(
        range(least, int(1.6 * least) + 1),
        key=lambda columns: (-count % columns, columns),
    )


def _predictions(net: Any, x: ArrayLike, t: ArrayLike) -> tuple[Floats, Array]:
    """Return predictions (N, O) and labels (N,)."""
    samples = validation.real_array("x", x)
    if samples.ndim < 2 or samples.size == 0:
        raise ShapeError(f"x must hold samples, (N, ...), got shape {samples.shape}")
    if not isinstance(net, np.ndarray):
        if not callable(getattr(net, "predict", None)):
            raise DTypeError(
                "net must have a method predict, or be what it returned, got"
                f" {type(net).__name__}"
            )
        net = net.predict(x)
    y = validation.float_array("net.predict(x)", net)
    if y.ndim != 2 or len(y) != len(samples):
        raise ShapeError(
            f"net must predict ({len(samples)}, number of classes), got shape {y.shape}"
        )
    validation.require_finite("net.predict(x)", y)
    targets = validation.targets(t, *y.shape)
    if fault := faults.of_targets(targets, y.shape[1]):
        raise faults.error(fault, {"t": targets})
    return y, targets.astype(np.int64) if targets.ndim == 1 else targets.argmax(axis=1)
