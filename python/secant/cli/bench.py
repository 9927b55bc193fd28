"""The command ``secant bench``: the benchmarks of the clone that Secant was installed from."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from urllib.request import url2pathname

import typer

from secant.errors import DataError, MissingExtraError


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Four minutes instead of half an hour.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write; by default docs/, or with --quick nowhere.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="OLD.json", help="Say what became slower since, and fail if something did.")
    ] = None,
) -> None:
    """Measure Secant against its peers, in a clone of the repository. It needs `pip install '.[bench]'` there."""
    if not find_spec("threadpoolctl"):
        raise MissingExtraError(
            "secant bench needs more packages: pip install '.[bench]' in the clone of the repository"
        )
    paths = {"--output": output, "--compare": compare}
    given = [part for option, path in paths.items() if path is not None for part in (option, str(path))]
    command = [sys.executable, str(_clone() / "bench" / "report.py"), *["--quick"] * quick, *given]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def _clone() -> Path:
    """Return the folder that pip installed Secant from; no other folder's files are run."""
    origin = json.loads(distribution("secant").read_text("direct_url.json") or "{}").get("url", "")
    folder = Path(url2pathname(urlsplit(origin).path)) if origin.startswith("file:") else Path()
    if not origin or not (folder / "bench" / "report.py").is_file():
        raise DataError(
            "secant bench needs the clone of the repository that Secant was installed from, and there is none: "
            "clone it, and run pip install '.[bench]' and secant bench in it."
        )
    return folder
