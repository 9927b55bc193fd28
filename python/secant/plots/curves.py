"""The learning curves of a training run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from secant._common.validation import Floats
from secant.errors import DTypeError
from secant.plots.canvas import (
    BLUE,
    GREEN,
    INK,
    VERMILION,
    Look,
    finish,
    legend,
    look_of,
    new_figure,
    pair_for,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PALE = 0.25  # the opacity of the losses of single mini-batches
_VISIBLE = 0.01  # a gap; smaller ones are hidden by the lines
_WINDOWS = 50  # the moving average is over a fiftieth of the iterations


@runtime_checkable
class Curves(Protocol):
    """What is drawn of a `secant.History`."""

    train_loss_list: list[float]
    train_acc_list: list[float]
    test_acc_list: list[float]


def learning_curves(
    history: Curves, *, ax: Any = None, label: str | None = None
) -> "list[Axes]":
    """Draw the loss of each iteration, and the accuracy on both sets at each epoch.

    Where the accuracies part, the gap is shaded. A star marks over-fitting: since that
    epoch the accuracy on the test set has fallen from its best, and that on the
    training set has not.

    Parameters
    ----------
    history : History
        A loss that is not finite is a gap.
    ax : matplotlib.axes.Axes or a pair of them, optional
        For the loss and, if there are two, for the accuracies; by default those of a
        new figure.
    label : str, optional
        The name of the run, which then has colors of its own, and neither shade nor
        star.

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    DTypeError
        ``history`` is not a `secant.History`, or ``ax`` is neither axes nor a pair of
        them.
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    >>> history = secant.History(
    ...     [2.3, 2.1, 1.9], [0.1, 0.8, 0.9], [0.1, 0.7, 0.6], [0, 1, 2]
    ... )
    >>> loss, accuracy = secant.plots.learning_curves(history)
    >>> loss.figure.savefig("curves.png")
    """
    if not isinstance(history, Curves):
        raise DTypeError(f"history must be a History, got {type(history).__name__}")
    return draw_curves(history, None if ax is None else pair_for(ax), label, shown=True)


def draw_curves(
    history: Curves, axes: "list[Axes] | None", label: str | None, *, shown: bool
) -> "list[Axes]":
    """Draw on one or two axes, by default those of a new figure, which may be pyplot's
    if it is to be shown.
    """
    losses = np.array(history.train_loss_list, dtype=float)
    used: list[Axes] = axes or list(new_figure((10, 4), shown).subplots(1, 2))
    look = look_of(_runs(used[0]))
    _draw_losses(used[0], losses, label, look)
    if len(used) == 2:
        _draw_accuracies(
            used[1], history.train_acc_list, history.test_acc_list, label, look
        )
    return used


def _draw_losses(axes: "Axes", losses: Floats, label: str | None, look: Look) -> None:
    """Each iteration's loss, light, and their moving average on top."""
    finite = np.where(np.isfinite(losses), losses, np.nan)
    window = len(losses) // _WINDOWS
    has_mean = window > 1
    color, dashes = (BLUE, "solid") if label is None else (look.color, look.dashes)
    name = "one mini-batch" if label is None else label
    if label is not None and has_mean:
        name = "_"  # not in the legend, which names the mean
    axes.plot(
        finite,
        alpha=_PALE,
        linewidth=0.8,
        label=name,
        color=color,
        linestyle="solid" if has_mean else dashes,
    )
    if has_mean:
        centers = np.arange(len(losses) - window + 1) + (window - 1) / 2
        means = np.convolve(finite, np.full(window, 1 / window), mode="valid")
        axes.plot(
            centers,
            means,
            color=color,
            linestyle=dashes,
            linewidth=2,
            label=_name(label, f"mean of {window}"),
        )
    finish(axes, "Loss", "iteration")
    legend(axes, "upper right")


def _draw_accuracies(
    axes: "Axes",
    train: Sequence[float],
    test: Sequence[float],
    label: str | None,
    look: Look,
) -> None:
    """Both accuracies, and the gap between them.

    One line is broad and one thin, so both show where they coincide.
    """
    from matplotlib.ticker import MaxNLocator

    size = 5 if len(train) <= 40 else 0  # of markers, which would hide a longer line
    colors = (GREEN, VERMILION) if label is None else (look.color, look.color)
    style: dict[str, Any] = {"marker": "o"}
    if label is not None:
        style = {"marker": look.marker, "linestyle": look.dashes}
    name = _name(label, _with_last("training set", train))
    light = 1.0 if label is None else 0.4
    axes.plot(
        train,
        linewidth=4,
        alpha=light,
        markersize=size,
        label=name,
        color=colors[0],
        **style,
    )
    if test:
        name = _name(label, _with_last("test set", test))
        axes.plot(
            test,
            linewidth=1.5,
            markersize=0.7 * size,
            label=name,
            color=colors[1],
            **style,
        )
    if test and label is None and len(train) == len(test):
        _draw_gap(axes, train, test)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(train) == 1:
        axes.set_xticks([0])
    finish(axes, "Accuracy", "epoch")
    legend(axes)


def _draw_gap(axes: "Axes", train: Sequence[float], test: Sequence[float]) -> None:
    gap = train[-1] - test[-1]
    if abs(gap) > _VISIBLE:
        name = f"gap ({gap:.3f})"
        axes.fill_between(
            range(len(test)),
            train,
            test,
            color=VERMILION,
            alpha=0.15,
            linewidth=0,
            label=name,
        )
    best = int(np.argmax(test))
    if test[-1] < test[best] and train[-1] >= train[best]:
        name = f"best on the test set ({test[best]:.3f}, epoch {best})"
        axes.axvline(best, color=INK, linewidth=0.8, linestyle=":")
        axes.scatter(
            [best],
            [test[best]],
            marker="*",
            s=150,
            color=VERMILION,
            edgecolors=INK,
            zorder=3,
            label=name,
        )


def _runs(axes: "Axes") -> int:
    """Return how many runs are drawn already, on the axes of the loss."""
    return sum(line.get_alpha() == _PALE for line in axes.lines)


def _name(label: str | None, what: str) -> str:
    return what if label is None else f"{label}: {what}"


def _with_last(name: str, values: Sequence[float]) -> str:
    return f"{name} ({values[-1]:.3f})" if values else name
