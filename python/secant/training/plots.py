"""The learning curves of a training run, drawn by Matplotlib.

Matplotlib is imported when a figure is drawn. Neither its backend nor its settings are touched: what the look
depends on is said to each artist.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from secant._common.files import AnyPath, path_text
from secant.errors import DTypeError, MissingExtraError, ValueRangeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from secant.training.history import History

_LOSS, _TRAIN, _TEST = "#4269d0", "#6cc5b0", "#d0452f"
_INK, _GRID, _PAPER = "#3b3b3b", "#e3e3e3", "#ffffff"
_DPI = 150
_WINDOWS = 50  # the moving average is over a fiftieth of the iterations


def learning_curves(history: "History", axes: "Sequence[Axes] | None" = None, label: str | None = None) -> "Figure":
    """Draw the loss of each iteration, and the accuracy on both sets at each epoch.

    Parameters
    ----------
    history : History
        A loss that is not finite is a gap.
    axes : sequence of Axes
        For the loss and, if there are two, for the accuracies; by default those of a new figure.
    label : str, optional
        The name of the run, which then has the next colour of the axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    axes = axes or new_axes(shown=False)
    _draw_losses(axes[0], history.train_loss_list, label)
    if len(axes) == 2:
        _draw_accuracies(axes[1], history.train_acc_list, history.test_acc_list, label)
    figure: Figure = axes[0].figure.figure  # of axes in a subfigure, the whole one
    return figure


def new_axes(shown: bool) -> "Sequence[Axes]":
    """Return the axes of a new figure: if it is to be shown and pyplot has been imported, one that pyplot knows."""
    pyplot = sys.modules.get("matplotlib.pyplot") if shown else None
    make: Any = pyplot.figure if pyplot else _figure_class()
    axes: list[Axes] = list(make(figsize=(10, 4), dpi=_DPI, layout="constrained", facecolor=_PAPER).subplots(1, 2))
    return axes


def checked_axes(ax: Any) -> "Sequence[Axes]":
    """Return one or two axes as a list.

    Raises
    ------
    DTypeError
        It is something else.
    """
    _figure_class()
    from matplotlib.axes import Axes

    axes = [ax] if isinstance(ax, Axes) else list(ax) if isinstance(ax, list | tuple | np.ndarray) else []
    if not (0 < len(axes) <= 2 and all(isinstance(one, Axes) for one in axes)):
        raise DTypeError(f"ax must be Axes of Matplotlib, or a pair of them, got {ax!r}")
    return axes


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


def _draw_losses(axes: "Axes", losses: Sequence[float], label: str | None) -> None:
    """Each iteration's loss, light, and their moving average on top."""
    finite = np.array(losses, dtype=float)
    finite[~np.isfinite(finite)] = np.nan
    window = len(losses) // _WINDOWS
    name = "one mini-batch" if label is None else label if window < 2 else "_"  # not in the legend
    (line,) = axes.plot(finite, alpha=0.25, linewidth=0.8, label=name, color=_colour(_LOSS, label))
    if window > 1:
        centres = np.arange(len(losses) - window + 1) + (window - 1) / 2
        means = np.convolve(finite, np.full(window, 1 / window), mode="valid")
        axes.plot(centres, means, color=line.get_color(), linewidth=2, label=_name(label, f"mean of {window}"))
    _finish(axes, "Loss", "iteration", "upper right")


def _draw_accuracies(axes: "Axes", train: Sequence[float], test: Sequence[float], label: str | None) -> None:
    """Both accuracies, which often lie on each other: a broad line below a thin one. A gap is over-fitting."""
    from matplotlib.ticker import MaxNLocator

    name = _name(label, _with_last("training set", train))
    light = 1.0 if label is None else 0.4
    (line,) = axes.plot(
        train, linewidth=5, alpha=light, marker="o", markersize=5, label=name, color=_colour(_TRAIN, label)
    )
    if test:
        colour = _TEST if label is None else line.get_color()
        name = _name(label, _with_last("test set", test))
        axes.plot(test, color=colour, linewidth=1.5, marker="o", markersize=3.5, label=name)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, "Accuracy", "epoch", "best")


def _colour(own: str, label: str | None) -> str | None:
    """Return ours or, for a run with a label, None: the next one of the axes."""
    return own if label is None else None


def _name(label: str | None, what: str) -> str:
    return what if label is None else f"{label}: {what}"


def _with_last(name: str, values: Sequence[float]) -> str:
    return f"{name} ({values[-1]:.3f})" if values else name


def _finish(axes: "Axes", title: str, unit: str, corner: Literal["upper right", "best"]) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=_INK)
    axes.set_xlabel(unit, fontsize=10, color=_INK)
    axes.tick_params(labelsize=9, colors=_INK, length=0)
    axes.set_facecolor(_PAPER)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc=corner, fontsize=9, frameon=False, labelcolor=_INK)
