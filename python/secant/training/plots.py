"""The learning curves of a training run, as a Matplotlib figure that pyplot does not know.

Matplotlib is imported when a figure is drawn. Neither its backend nor its settings are touched: what the look
depends on is said to each artist.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from secant._common.files import AnyPath, path_text
from secant.errors import MissingExtraError, ValueRangeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

_LOSS, _TRAIN, _TEST = "#4269d0", "#6cc5b0", "#d0452f"
_INK, _GRID, _PAPER = "#3b3b3b", "#e3e3e3", "#ffffff"
_DPI = 150
_WINDOWS = 50  # the moving average is over a fiftieth of the iterations


def learning_curves(
    losses: Sequence[float], train_accuracies: Sequence[float], test_accuracies: Sequence[float]
) -> "Figure":
    """Draw the loss of each iteration, and the accuracy on both sets at each epoch.

    Parameters
    ----------
    losses : sequence of float, length I
        One loss an iteration. What is not finite is a gap.
    train_accuracies, test_accuracies : sequence of float, length E
        One accuracy an epoch, from 0 to 1.

    Returns
    -------
    matplotlib.figure.Figure
        Axes for the loss on the left, for the accuracies on the right.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    figure = _figure_class()(figsize=(10, 4), dpi=_DPI, layout="constrained", facecolor=_PAPER)
    left, right = figure.subplots(1, 2)
    finite = np.array(losses, dtype=float)
    finite[~np.isfinite(finite)] = np.nan
    _draw_losses(left, finite)
    _draw_accuracies(right, train_accuracies, test_accuracies)
    return figure


def encoded(figure: "Figure", file_format: str) -> bytes:
    """Return the figure as the contents of a file of a format that `figure_format` returned."""
    content = io.BytesIO()
    figure.savefig(content, format=file_format, dpi=_DPI, facecolor=_PAPER)
    return content.getvalue()


def figure_format(path: AnyPath) -> str:
    """Return the format, such as "png", that the suffix of ``path`` stands for.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    ValueRangeError
        Matplotlib has no such format.
    """
    name = path_text(path)
    suffix = Path(name).suffix.removeprefix(".").lower()
    formats = _figure_class()().canvas.get_supported_filetypes()
    if suffix not in formats:
        raise ValueRangeError(f"a figure's file name must end in .png, .svg, .pdf or the like, got {name!r}")
    return suffix


def _figure_class() -> "type[Figure]":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("Plots need Matplotlib: pip install 'secant[plot]'.") from error
    return Figure


def _draw_losses(axes: "Axes", losses: NDArray[np.float64]) -> None:
    """Each iteration's loss, light, and their moving average on top."""
    axes.plot(losses, color=_LOSS, alpha=0.25, linewidth=0.8, label="one mini-batch")
    window = len(losses) // _WINDOWS
    if window > 1:
        centres = np.arange(len(losses) - window + 1) + (window - 1) / 2
        means = np.convolve(losses, np.full(window, 1 / window), mode="valid")
        axes.plot(centres, means, color=_LOSS, linewidth=2, label=f"mean of {window}")
    _finish(axes, "Loss", "iteration", "upper right")


def _draw_accuracies(axes: "Axes", train: Sequence[float], test: Sequence[float]) -> None:
    """Both accuracies, which often lie on each other: a broad line below a thin one. A gap is over-fitting."""
    axes.plot(train, color=_TRAIN, linewidth=5, marker="o", markersize=5, label=_with_last("training set", train))
    axes.plot(test, color=_TEST, linewidth=1.5, marker="o", markersize=3.5, label=_with_last("test set", test))
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(_whole_numbers())
    _finish(axes, "Accuracy", "epoch", "best")


def _with_last(name: str, values: Sequence[float]) -> str:
    return f"{name} ({values[-1]:.3f})" if values else name


def _whole_numbers() -> "Locator":
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _finish(axes: "Axes", title: str, unit: str, corner: Literal["upper right", "best"]) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=_INK)
    axes.set_xlabel(unit, fontsize=10, color=_INK)
    axes.tick_params(labelsize=9, colors=_INK, length=0)
    axes.set_facecolor(_PAPER)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc=corner, fontsize=9, frameon=False, labelcolor=_INK)
