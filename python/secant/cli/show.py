"""The command ``secant show``: what a network in a file has learned, and how good it is on a test set."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from secant._common.files import require_writable, write_file
from secant.cli.console import say, table
from secant.cli.data import HELP, METAVAR, load, measured
from secant.datasets.npz_data import classes
from secant.errors import DataError
from secant.networks.two_layer import TwoLayerNet
from secant.plots import canvas, networks


def show(
    network: Annotated[Path, typer.Argument(metavar="NET.npz", help="What `secant train --save` wrote.")],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="Draw weights and confusion matrix here: .png, .svg, .pdf.")
    ] = Path("net.png"),
    units: Annotated[int, typer.Option(min=1, help="Hidden units to draw, those with the largest weights.")] = 16,
    shape: Annotated[
        str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Of a sample; by default it is a square.")
    ] = None,
    data: Annotated[str, typer.Option(metavar=METAVAR, help=HELP)] = "auto",
) -> None:
    """Draw the weights of a network and its confusion matrix, and print its accuracy on the test set."""
    size = _size(shape)
    file_format = canvas.figure_format(output)
    require_writable(output)
    if os.path.realpath(output) in (os.path.realpath(network), os.path.realpath(data)):
        raise typer.BadParameter("--output needs another file than NET.npz and --data.")
    net = TwoLayerNet.load(network)
    inputs, outputs = net.params["W1"].shape[0], len(net.params["b2"])
    figure = canvas.new_figure((12.5, 6.4), shown=False)
    left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
    networks.weights(net, units=units, shape=size, ax=left)
    _, t_train, x, t = load(data)
    if x.shape[1] != inputs or classes(t_train, t) > outputs:
        fits = f"{network} takes {inputs} inputs and knows {outputs} classes"
        raise DataError(f"{fits}, but --data {data} has {x.shape[1]} inputs and {classes(t_train, t)} classes.")
    y, share, loss = measured(net, x, t)
    networks.confusion_matrix(y, x, t, ax=right)
    write_file(output, canvas.encoded(figure, file_format))
    say(f"wrote {output}")
    table(
        ("network", repr(net).strip("<>").removeprefix("TwoLayerNet ")),
        ("accuracy", f"{share} on {len(t):,} test samples"),
        ("loss", loss),
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise typer.BadParameter(f"--shape must be HEIGHTxWIDTH, such as 28x28, got {text!r}.")
    return int(found[1]), int(found[2])
