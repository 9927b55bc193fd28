"""The command ``secant check``: a gradient or a network in files of your own, with an
exit code for scripts.
"""

import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Annotated, Any

import numpy as np
import typer

from secant.acceleration.check_network import check_network
from secant.book import modules
from secant.checking.gradient import check_gradient
from secant.checking.report import GradientReport
from secant.cli.console import note, say
from secant.cli.readers_network import mini_batch, readers_network
from secant.errors import DataError, SecantError


def check(
    f: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py|FUNCTION",
            help="A file with a network; or takes x and returns a number.",
        ),
    ],
    gradient: Annotated[
        str | None,
        typer.Argument(
            metavar="GRADIENT", help="A function of x, or arrays shaped like x."
        ),
    ] = None,
    x: Annotated[
        str | None,
        typer.Argument(
            metavar="X", help="The point: an array, or a dict or list of arrays."
        ),
    ] = None,
    inplace: Annotated[
        bool,
        typer.Option(
            "--inplace", help="Shift x itself: the function does not use its argument."
        ),
    ] = False,
    loss_method: Annotated[
        str,
        typer.Option(
            "--loss", metavar="NAME", help="The network's method for its loss."
        ),
    ] = "loss",
    gradient_method: Annotated[
        str,
        typer.Option(
            "--gradient", metavar="NAME", help="The network's method that is checked."
        ),
    ] = "gradient",
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON.")
    ] = False,
) -> None:
    """Check a gradient: exit code 0 if it is right, 1 if it is wrong or cannot be
    checked.

    FILE.py alone: the network in it, an object, or a class that needs no arguments,
    with params, loss(x, t) and gradient(x, t), on a small mini-batch; FILE.py:NAME if
    there are several. A gradient that is right for the loss without the 1e-7 in its
    logarithm, as the book's is, counts as right, and the first line says so.

    Otherwise each argument is FILE.py:NAME. The files are run as scripts are, but
    __name__ is not "__main__".
    """
    # of this process, so that a command that is repeated says the same
    np.random.seed(0)
    with redirect_stdout(sys.stderr) if json else nullcontext():
        if gradient is None:
            report = _check_network(f, loss_method, gradient_method)
        elif x is None:
            raise typer.BadParameter(
                "a function needs GRADIENT and X, a network neither."
            )
        else:
            files: dict[str, dict[str, Any]] = {}
            function, candidate, where = (
                _value(place, files) for place in (f, gradient, x)
            )
            with _users_code():
                report = check_gradient(
                    function, where, candidate, inplace=inplace, progress=True
                )
    say(report.to_json() if json else str(report))
    raise typer.Exit(0 if report.passed else 1)


def _check_network(place: str, loss: str, gradient: str) -> GradientReport:
    file, name = (
        (place, "")
        if os.path.exists(place) or ":" not in place
        else place.rsplit(":", 1)
    )
    modules.supply(os.path.dirname(os.path.realpath(file)), note)
    names = _run(file, {})
    with _users_code():
        net, made = readers_network(file, names, name, loss, gradient)
        x, t, data = mini_batch(net, made, loss)
        note(f"checking {made} of {file} on {data}")
        return check_network(net, x, t, loss=loss, gradient=gradient, progress=True)


def _value(place: str, files: dict[str, dict[str, Any]]) -> Any:
    file, separator, name = place.rpartition(":")
    if not (file and separator and name):
        raise typer.BadParameter(f"{place!r} is not FILE.py:NAME.")
    names = _run(file, files)
    if name not in names:
        raise DataError(f"{file} defines no {name}")
    return names[name]


def _run(file: str, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a file defines; ``files`` has what the files define that were run before."""
    if not os.path.isfile(file):
        raise DataError(
            f"{file} is a folder, no file"
            if os.path.isdir(file)
            else f"{file} does not exist"
        )
    if file not in files:
        sys.argv = [file]
        # what it imports, also later, may be next to it
        sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
        with _users_code():
            files[file] = runpy.run_path(file)
    return files[file]


@contextmanager
def _users_code() -> Iterator[None]:
    """Run code of the user: show its errors, and do not let it choose the exit code."""
    try:
        yield
    except SystemExit as end:
        raise SecantError(
            f"nothing was checked, since your code called sys.exit({end.code!r})"
        ) from end
    except (SecantError, MemoryError):
        raise
    except Exception as error:
        traceback.print_exc()
        raise typer.Exit(1) from error
