"""What a network has learned and what it gets wrong: its weights as pictures, its mistakes, its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Array, Floats
from secant.backends import faults
from secant.errors import DTypeError, ShapeError, ValueRangeError
from secant.plots.canvas import GRID, INK, axes_for, finish
from secant.plots.mosaic import draw_mosaic, mosaic_size, pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SATURATED = 0.995  # of the weights are within the range of colors
_MOST_NUMBERED = 20  # classes, whose cells have room for a number
_SUM_TOLERANCE = 1e-6  # of probabilities, which may be float32


def weights(
    net: Any, *, units: int | Sequence[int] = 16, shape: tuple[int, int] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the weights into hidden units as pictures: what each unit looks for.

    Red weights are positive, blue ones negative, white ones 0. The largest 0.5 % all have the darkest colors.

    Parameters
    ----------
    net : network with ``params["W1"]``, or ndarray, (I, H)
    units : int or sequence of int
        The number of units, those with the largest weights first; or the indices of units.
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
        ``net`` has no such weights, ``units`` are not whole numbers, or ``ax`` is not axes.
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
    images = pictures(matrix.T[chosen], shape)
    limit = float(np.quantile(np.abs(images), _SATURATED)) or float(np.abs(images).max()) or 1.0
    ax = axes_for(ax, *mosaic_size(len(images), bar=True))
    captions = [f"unit {unit}" for unit in chosen]
    shown = draw_mosaic(ax, images, captions, "RdBu_r", (-limit, limit))
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.7, pad=0.02, extend="both")
    bar.ax.tick_params(labelsize=9, colors=INK, length=0)
    bar.outline.set_visible(False)
    finish(ax, "Weights into hidden units", picture=True)
    return ax


def mistakes(
    net: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    count: int = 12,
    shape: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the worst mistakes: of the samples that are taken for another class, those with the greatest loss.

    Parameters
    ----------
    net : network with a method ``predict``, or ndarray, (N, O)
        A network whose ``predict(x)`` returns probabilities, or what it returned.
    x : array_like, (N, ...)
    t : array_like, (N,) or (N, O)
        Labels, or one-hot or soft targets, whose largest weight is the label.
    count : int
        Not more than so many.
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
        ``net`` cannot predict, x or t do not hold real numbers, or ``ax`` is not axes.
    ShapeError
        x, t and the predictions do not fit each other, or ``shape`` does not fit x.
    ValueRangeError
        The predictions are not probabilities, or ``count`` is not at least 1.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> _, (x, t) = secant.load_mnist(subset=True)
    >>> net = secant.TwoLayerNet(784, 50, 10, rng=0)
    >>> secant.plots.mistakes(net, x, t, count=4).figure.savefig("mistakes.png")
    """
    count = validation.positive_int("count", count)
    y, labels, samples = _predictions(net, x, t)
    if y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise ValueRangeError("net must predict probabilities, which sum to 1: give softmax of the scores instead")
    predicted = y.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(y[wrong, labels[wrong]], kind="stable")][:count]
    images = pictures(samples[worst], shape)
    ax = axes_for(ax, *mosaic_size(len(worst)))
    captions = [f"is {labels[i]}, taken for {predicted[i]}\np = {y[i, predicted[i]]:.2f}" for i in worst]
    draw_mosaic(ax, images, captions, "gray_r", (float(samples.min()), float(samples.max())))
    finish(ax, f"The worst of {len(wrong):,} mistakes in {len(labels):,} samples", picture=True)
    return ax


def confusion_matrix(net: Any, x: ArrayLike, t: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw how often each class was taken for each class.

    A color is the share of its row, that is of all samples of a class; the number is that of the samples.

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
    y, labels, _ = _predictions(net, x, t)
    ax = axes_for(ax, 5.6, 5.6)
    from matplotlib.colors import PowerNorm

    classes = y.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, y.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.4, 0, 1))  # rare mistakes are to be seen
    for row, column in np.argwhere(counts) if classes <= _MOST_NUMBERED else ():
        color = "white" if shares[row, column] > 0.15 else INK
        ax.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=9, color=color)
    if classes <= _MOST_NUMBERED:
        ax.set_xticks(range(classes))
        ax.set_yticks(range(classes))
    right = f"{np.trace(counts):,} of {counts.sum():,} are right"
    finish(ax, f"Confusion matrix: {right}", "predicted class", "true class", picture=True)
    ax.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=GRID, linewidth=0.5)
    return ax


def _weights_of(net: Any) -> Floats:
    if not isinstance(net, np.ndarray):
        try:
            net = net.params["W1"]
        except (AttributeError, KeyError, TypeError):
            raise DTypeError(f'net must have params["W1"], or be the array itself, got {type(net).__name__}') from None
    matrix = validation.float_array("net", net)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ShapeError(f"net must have a matrix of weights, (I, H), got shape {matrix.shape}")
    validation.require_finite("net", matrix)
    return matrix


def _chosen_units(units: Any, matrix: Floats) -> list[int]:
    hidden = matrix.shape[1]
    if isinstance(units, int | np.integer):
        count = validation.positive_int("units", units)
        return [int(unit) for unit in np.argsort(-np.linalg.norm(matrix, axis=0), kind="stable")[:count]]
    chosen = validation.real_array("units", units)
    if chosen.ndim != 1 or chosen.size == 0:
        raise ShapeError(f"units must be a number or a list of units, got shape {chosen.shape}")
    if chosen.dtype.kind not in "iu":
        raise DTypeError(f"units must be whole numbers, got {chosen.dtype}")
    if chosen.min() < 0 or chosen.max() >= hidden:
        raise ValueRangeError(f"units must be from 0 to {hidden - 1}, got {units!r}")
    return [int(unit) for unit in chosen]


def _predictions(net: Any, x: ArrayLike, t: ArrayLike) -> tuple[Floats, Array, Array]:
    """Return predictions (N, O), labels (N,) and samples (N, ...)."""
    samples = validation.real_array("x", x)
    if samples.ndim < 2 or samples.size == 0:
        raise ShapeError(f"x must hold samples, (N, ...), got shape {samples.shape}")
    if not isinstance(net, np.ndarray):
        if not callable(getattr(net, "predict", None)):
            raise DTypeError(f"net must have a method predict, or be what it returned, got {type(net).__name__}")
        net = net.predict(x)
    y = validation.float_array("net.predict(x)", net)
    if y.ndim != 2 or len(y) != len(samples):
        raise ShapeError(f"net must predict ({len(samples)}, number of classes), got shape {y.shape}")
    validation.require_finite("net.predict(x)", y)
    targets = validation.targets(t, *y.shape)
    if fault := faults.of_targets(targets, y.shape[1]):
        raise faults.error(fault, {"t": targets})
    return y, targets.astype(np.int64) if targets.ndim == 1 else targets.argmax(axis=1), samples
