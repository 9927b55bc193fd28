"""What all plots share: figures, axes, colors and files.

Matplotlib is imported when something is drawn. Neither its backend nor its settings are
touched: each artist is given its style. Colors are those of Okabe and Ito (2008), which
people with any color vision can tell apart; no mark differs from another by its color
alone.
"""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from secant._common.files import AnyPath
from secant._common.progress import in_notebook
from secant.errors import DTypeError, MissingExtraError, ValueRangeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
)
INK, GRID, PAPER = "#3b3b3b", "#e3e3e3", "#ffffff"
DPI = 150

# Of the curves in one plot, in this order; as many of each.
_COLORS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = "os^DvP"
_DASHES = ("solid", "dashed", "dashdot", "dotted", (0, (8, 2)), (0, (5, 2, 1, 2, 1, 2)))


class Look(NamedTuple):
    """How one of several curves is drawn."""

    color: str
    marker: str
    dashes: Any


def look_of(curve: int) -> Look:
    """Return the look of a curve, counted from 0: another one for each of 36, without
    markers, too.
    """
    colors = len(_COLORS)
    # in each, another marker and other dashes come with a color
    rounds = curve // colors
    other = (curve + rounds) % colors
    return Look(_COLORS[curve % colors], _MARKERS[other], _DASHES[other])


def axes_for(ax: Any, width: float, height: float) -> "Axes":
    """Return ``ax`` if it is given, else the axes of a new figure of that size, in
    inches, that is to be shown.
    """
    figure_class()
    from matplotlib.axes import Axes

    if ax is None:
        return new_figure((width, height), shown=True).subplots()
    if not isinstance(ax, Axes):
        raise DTypeError(f"ax must be Axes of Matplotlib, got {ax!r}")
    return ax


def pair_for(ax: Any) -> "list[Axes]":
    """Return one or two axes as a list.

    Raises
    ------
    DTypeError
        It is something else.
    """
    figure_class()
    from matplotlib.axes import Axes

    axes = (
        [ax]
        if isinstance(ax, Axes)
        else list(ax)
        if isinstance(ax, list | tuple | np.ndarray)
        else []
    )
    if not (0 < len(axes) <= 2 and all(isinstance(one, Axes) for one in axes)):
        raise DTypeError(
            f"ax must be Axes of Matplotlib, or a pair of them, got {ax!r}"
        )
    return axes


def new_figure(size: tuple[float, float], shown: bool) -> "Figure":
    """Return a new figure.

    If it is to be shown, it is pyplot's where that has been imported, and in a
    notebook, which shows those.
    """
    make: Any = figure_class()
    if shown and in_notebook():
        import matplotlib.pyplot  # noqa: F401 - it tells the notebook how to show figures
    if shown and (pyplot := sys.modules.get("matplotlib.pyplot")):
        make = pyplot.figure
    figure: Figure = make(
        figsize=size,
        dpi=DPI if not in_notebook() else None,
        layout="constrained",
        facecolor=PAPER,
    )
    return figure


def returned(figure: "Figure") -> "Figure":
    """Take a new figure that a function returns from pyplot in a notebook, which shows
    what a cell returns anyway.
    """
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot and in_notebook():
        pyplot.close(figure)
    return figure


def figure_of(ax: "Axes") -> "Figure":
    """Return the figure that axes belong to: of axes in a subfigure, the whole one."""
    figure: Figure = ax.figure.figure
    return figure


def encoded(figure: "Figure", file_format: str) -> bytes:
    """Return the figure as the contents of a file of a format that `figure_format`
    returned.
    """
    content = io.BytesIO()
    figure.savefig(content, format=file_format, dpi=DPI, facecolor=PAPER)
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
    name = os.fsdecode(path)
    suffix = Path(name).suffix.removeprefix(".").lower()
    formats = figure_class()().canvas.get_supported_filetypes()
    if suffix not in formats:
        raise ValueRangeError(
            "a figure's file name must end in .png, .svg, .pdf or the like, got"
            f" {name!r}"
        )
    return suffix


def figure_class() -> "type[Figure]":
    """Return Matplotlib's class of figures.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Plots need Matplotlib: pip install matplotlib"
        ) from error
    return Figure


def finish(
    axes: "Axes",
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    *,
    picture: bool = False,
) -> None:
    """Write the title and the names of the axes, and draw a grid and the line below,
    unless it is a picture.
    """
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(xlabel, fontsize=10, color=INK)
    axes.set_ylabel(ylabel, fontsize=10, color=INK)
    axes.tick_params(which="both", labelsize=9, colors=INK, length=0)
    axes.set_facecolor(PAPER)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if picture:
        axes.spines["bottom"].set_visible(False)
    else:
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)


def legend(axes: "Axes", corner: Any = "best", **options: Any) -> None:
    """Name what is drawn."""
    options = {"framealpha": 0.85, "facecolor": PAPER, "edgecolor": "none"} | options
    axes.legend(loc=corner, fontsize=9, labelcolor=INK, **options)
