"""What a training run records, and the file it is kept in.

Design: the file is JSON that any reader takes, so numbers that JSON lacks, the losses
of a run that diverged, are the strings "NaN", "Infinity" and "-Infinity". A file
appears under its name in one step.
"""

import base64
import html
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from secant._common.files import AnyPath, read_file, write_file
from secant.errors import DataError, MissingExtraError, ValueRangeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FORMAT = "secant history 1"
_FLOATS = ("train_loss_list", "train_acc_list", "test_acc_list")


@dataclass
class History:
    """What `secant.train` recorded.

    Attributes
    ----------
    train_loss_list : list of float
        The loss of each iteration's mini-batch, after the update; or before it, if the
        settings say so.
    train_acc_list, test_acc_list : list of float
        The accuracy on the whole training and test set, from 0 to 1, at each of
        ``epoch_iterations``. Without a test set the latter is empty.
    epoch_iterations : list of int
        The iterations after which the accuracies were taken: the first of every epoch,
        or the last.
    settings : dict
        The hyperparameters of the run: strings, numbers, booleans and None.

    Examples
    --------
    >>> secant.History([2.3, 2.2, 2.1], [0.1, 0.25], [0.1, 0.2], [0, 2])
    <History of 3 iterations, last loss 2.1, train acc 0.25, test acc 0.2>

    A notebook shows its curves.
    """

    train_loss_list: list[float] = field(default_factory=list)
    train_acc_list: list[float] = field(default_factory=list)
    test_acc_list: list[float] = field(default_factory=list)
    epoch_iterations: list[int] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the number of iterations, the last loss and the last accuracies."""
        lists = {
            "last loss": self.train_loss_list,
            "train acc": self.train_acc_list,
            "test acc": self.test_acc_list,
        }
        facts = [f"{name} {values[-1]:.4g}" for name, values in lists.items() if values]
        head = f"{type(self).__name__} of {len(self.train_loss_list):,} iterations"
        return f"<{', '.join([head, *facts])}>"

    def _repr_html_(self) -> str | None:
        """Return the curves for a notebook; without Matplotlib None, and it shows the
        line of `__repr__`.
        """
        from secant.plots import canvas, curves

        try:
            axes = curves.draw_curves(self, None, None, shown=False)
        except MissingExtraError:
            return None
        image = base64.b64encode(
            canvas.encoded(canvas.figure_of(axes[0]), "png")
        ).decode()
        return (
            f'<img src="data:image/png;base64,{image}" alt="{html.escape(repr(self))}"'
            ' width="750">'
        )

    def __add__(self, other: "History") -> Self:
        """Return the record of a run and of its continuation, with the settings of the
        latter.

        Raises
        ------
        ValueRangeError
            Only one of them has accuracies on a test set.

        Examples
        --------
        >>> secant.History([2.3, 2.2], [0.1], [0.1], [0]) + secant.History(
        ...     [2.1], [0.2], [0.2], [0]
        ... )
        <History of 3 iterations, last loss 2.1, train acc 0.2, test acc 0.2>
        """
        if not isinstance(other, History):
            return NotImplemented
        if (
            self.train_acc_list
            and other.train_acc_list
            and bool(self.test_acc_list) != bool(other.test_acc_list)
        ):
            raise ValueRangeError(
                "both histories must have accuracies on a test set, or none, got them"
                " in one only"
            )
        before = len(self.train_loss_list)
        return type(self)(
            self.train_loss_list + other.train_loss_list,
            self.train_acc_list + other.train_acc_list,
            self.test_acc_list + other.test_acc_list,
            self.epoch_iterations
            + [before + iteration for iteration in other.epoch_iterations],
            dict(other.settings),
        )

    def plot(
        self,
        path: AnyPath | None = None,
        *,
        ax: "Axes | Sequence[Axes] | None" = None,
        label: str | None = None,
    ) -> "Figure":
        """Draw the loss and the accuracies: `secant.plots.learning_curves` says what is
        marked.

        Parameters
        ----------
        path : str, bytes or path-like, optional
            Where to save the figure; its suffix is the format: .png, .svg, .pdf.
        ax : matplotlib.axes.Axes or a pair of them, optional
            Where to draw: the loss on the first or only one, the accuracies on the
            second. By default on a new figure.
        label : str, optional
            The name of the run in the legend. With a label each run has a color of its
            own.

        Returns
        -------
        matplotlib.figure.Figure
            That of ``ax``. A new one is pyplot's, so that ``plt.show()`` shows it, if
            pyplot has been imported and there is no ``path``; else nothing is shown,
            and nothing has to be closed. A notebook shows the figure where the call is
            the last line of a cell; elsewhere use ``display``.

        Raises
        ------
        MissingExtraError
            Matplotlib is not installed.
        DTypeError
            ``ax`` is neither axes nor a pair of them.
        ValueRangeError
            Matplotlib has no format of that suffix.
        DataError
            The file cannot be written.

        Examples
        --------
        >>> short, long = (
        ...     secant.History([2.3, 2.1], [0.1], [0.1]),
        ...     secant.History([2.3, 2.0, 1.8], [0.1], [0.1]),
        ... )
        >>> figure = short.plot(label="two iterations")
        >>> figure is long.plot("both.png", ax=figure.axes, label="three iterations")
        True
        """
        from secant.plots import canvas, curves

        file_format = canvas.figure_format(path) if path is not None else ""
        axes = curves.draw_curves(
            self, None if ax is None else canvas.pair_for(ax), label, shown=path is None
        )
        figure = canvas.figure_of(axes[0])
        if path is not None:
            write_file(path, canvas.encoded(figure, file_format))
        return figure if ax is not None else canvas.returned(figure)

    def save(self, path: AnyPath) -> None:
        """Write the record to a JSON file, all of it or nothing; into a pipe or a
        device, if ``path`` is one.

        Raises
        ------
        DataError
            The file cannot be written, or ``settings`` holds what JSON cannot hold.

        Examples
        --------
        >>> history = secant.History([2.3, 2.2], [0.1], [0.1], [0])
        >>> history.save("history.json")
        >>> secant.History.load("history.json") == history
        True
        """
        name, content = os.fsdecode(path), {"format": _FORMAT} | asdict(self)
        try:
            for key in _FLOATS:
                content[key] = [
                    x if math.isfinite(x) else json.dumps(float(x))
                    for x in content[key]
                ]
            text = json.dumps(content, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(
                f"{name} was not written: JSON cannot hold the history ({error})."
            ) from error
        write_file(path, text.encode())

    @classmethod
    def load(cls, path: AnyPath) -> Self:
        """Return the record that `save` wrote to ``path``.

        Raises
        ------
        DataError
            The file cannot be read, or does not hold a history.

        Examples
        --------
        >>> secant.History([2.3, 2.2], [0.1], [0.1], [0]).save("history.json")
        >>> secant.History.load("history.json").train_loss_list
        [2.3, 2.2]
        """
        name = os.fsdecode(path)
        try:
            content = json.loads(read_file(path).decode())
            if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
                raise ValueError(
                    f"it must be a JSON object with the format {_FORMAT!r}"
                )
            content |= {
                key: [float(value) for value in content[key]] for key in _FLOATS
            }
            return cls(**content)
        except (
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
        ) as error:
            raise DataError(
                f"{name} does not hold a history that History.save wrote: {error}."
            ) from error
