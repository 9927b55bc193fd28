"""The command ``secant bench``: the benchmarks of a clone of the repository."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from secant.errors import DataError


def bench(
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARGS", help="--quick, --output FOLDER, --compare OLD.json"
        ),
    ] = None,
) -> None:
    """Measure Secant against its peers.

    Run it in a clone of the repository, after `pip install '.[bench]'` there.
    """
    report = Path("bench") / "report.py"
    if not report.is_file():
        raise DataError(
            "secant bench must be run in a clone of the repository: there is no"
            " bench/report.py here"
        )
    raise typer.Exit(
        subprocess.run(
            [sys.executable, str(report), *(options or [])], check=False
        ).returncode
    )
