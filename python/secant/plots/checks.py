"""What a gradient check found."""

import math
from typing import TYPE_CHECKING

from secant._common import validation
from secant.checking.report import GradientReport
from secant.errors import DTypeError
from secant.plots.canvas import BLUE, GRID, INK, VERMILION, axes_for, finish, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def findings(report: GradientReport, *, count: int = 20, ax: "Axes | None" = None) -> "Axes":
    """Draw the wrong entries that a gradient check found: what the gradient says, and the slope with its error bar.

    An entry has a scale of its own: both are drawn as shares of the larger one. The numbers stand beside it.

    Parameters
    ----------
    report : GradientReport
    count : int
        At most so many entries, the worst first.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DTypeError
        ``report`` is not a GradientReport, ``count`` is not a whole number, or ``ax`` is not axes.
    ValueRangeError
        ``count`` is not at least 1.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> x = np.array([3.0, 4.0])
    >>> report = secant.check_gradient(lambda x: np.sum(x**2), x, np.array([6.0, 8.1]))
    >>> secant.plots.findings(report).figure.savefig("findings.png")
    """
    if not isinstance(report, GradientReport):
        raise DTypeError(f"report must be a GradientReport, got {type(report).__name__}")
    entries = report.findings[: validation.positive_int("count", count)]
    ax = axes_for(ax, 6.4, 1.7 + 0.26 * len(entries))
    rows = range(len(entries))
    scales = [_scale(entry.candidate, entry.numerical, entry.error_bar) for entry in entries]
    candidates = [entry.candidate / scale for entry, scale in zip(entries, scales, strict=True)]
    slopes = [entry.numerical / scale for entry, scale in zip(entries, scales, strict=True)]
    bars = [entry.error_bar / scale for entry, scale in zip(entries, scales, strict=True)]
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.hlines(rows, candidates, slopes, color=GRID, linewidth=3, zorder=1)
    ax.errorbar(slopes, rows, xerr=bars, fmt="o", color=BLUE, markersize=6, capsize=3, label="slope of f")
    ax.plot(candidates, rows, "X", color=VERMILION, markersize=7, label="your gradient")
    for row, entry in enumerate(entries):
        beside = f"{entry.candidate:.2e} for {entry.numerical:.2e}"
        ax.text(1.15, row, beside, va="center", fontsize=9, color=INK)
    ax.set_yticks(rows, [entry.name for entry in entries])
    ax.set_ylim(len(entries) - 0.4, -0.6)
    ax.set_xlim(-1.1, 1.1)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    unit = "share of the larger value" + (f"\nlooks like: {report.diagnosis}" if report.diagnosis else "")
    finish(ax, f"Gradient check: {report.verdict}", unit)
    if entries:
        legend(ax, "lower left", bbox_to_anchor=(1, 1))
    return ax


def _scale(*values: float) -> float:
    """The largest finite absolute value."""
    return max((abs(value) for value in values if math.isfinite(value)), default=0.0) or 1.0
