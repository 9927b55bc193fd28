"""The command ``secant show``: what a network in a file has learned, and how good it is
on a test set.
"""

from pathlib import Path
from typing import Annotated

import typer

from secant._common.files import require_writable, write_file
from secant.cli.console import say, table
from secant.cli.data import HELP, METAVAR, load, measured
from secant.networks.two_layer import TwoLayerNet
from secant.plots import canvas, networks


def show(
    network: Annotated[
        Path,
        typer.Argument(metavar="NET.npz", help="What `secant train --save` wrote."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Draw weights and confusion matrix here: .png, .svg, .pdf.",
        ),
    ] = Path("net.png"),
    units: Annotated[
        int,
        typer.Option(
            min=1, help="Hidden units to draw, those with the largest weights."
        ),
    ] = 16,
    shape: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT WIDTH", help="Of a sample; by default it is a square."
        ),
    ] = None,
    data: Annotated[str, typer.Option(metavar=METAVAR, help=HELP)] = "auto",
) -> None:
    """Draw the weights of a network and its confusion matrix, and print its accuracy on
    the test set.
    """
    file_format = canvas.figure_format(output)
    require_writable(output)
    net = TwoLayerNet.load(network)
    figure = canvas.new_figure((12.5, 6.4), shown=False)
    left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
    networks.weights(net, units=units, shape=shape, ax=left)
    _, _, x, t = load(data)
    y, share, loss = measured(net, x, t)
    networks.confusion_matrix(y, x, t, ax=right)
    write_file(output, canvas.encoded(figure, file_format))
    say(f"wrote {output}")
    table(
        ("network", repr(net).strip("<>").removeprefix("TwoLayerNet ")),
        ("accuracy", f"{share} on {len(t):,} test samples"),
        ("loss", loss),
    )
