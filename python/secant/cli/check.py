"""The command ``secant check``: a gradient in files of your own, with an exit code for scripts."""

import os
import runpy
import sys
from typing import Annotated, Any

import typer

from secant.checking.check import check_gradient
from secant.cli.console import say
from secant.errors import DataError

_WHERE = "FILE.py:NAME"


def check(
    f: Annotated[str, typer.Argument(metavar=_WHERE, help="The function: takes x and returns a number.")],
    gradient: Annotated[str, typer.Argument(metavar=_WHERE, help="Its gradient: a function of x, or arrays as x.")],
    x: Annotated[str, typer.Argument(metavar=_WHERE, help="Where: an array, or a dict or list of arrays.")],
    budget: Annotated[int, typer.Option(min=1, help="Evaluations of the function, if the gradient is right.")] = 100,
    inplace: Annotated[
        bool, typer.Option("--inplace", help="Shift x itself: the function does not use its argument.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check a gradient: exit code 0 if it is right, 1 if it is wrong or cannot be checked.

    The files are run as scripts are, but ``__name__`` is not "__main__".
    """
    files: dict[str, dict[str, Any]] = {}
    function, claim, where = (_value(place, files) for place in (f, gradient, x))
    report = check_gradient(function, where, claim, budget=budget, inplace=inplace, progress=True)
    say(report.to_json() if json else str(report))
    raise typer.Exit(0 if report.passed else 1)


def _value(place: str, files: dict[str, dict[str, Any]]) -> Any:
    file, separator, name = place.rpartition(":")
    if not separator:
        raise typer.BadParameter(f"{place!r} is not {_WHERE}.")
    if not os.path.isfile(file):
        raise DataError(f"{file} does not exist")
    if file not in files:
        sys.path.insert(0, os.path.dirname(os.path.abspath(file)))  # what it imports may lie beside it
        try:
            files[file] = runpy.run_path(file)
        finally:
            del sys.path[0]
    if name not in files[file]:
        raise DataError(f"{file} defines no {name}")
    return files[file][name]
