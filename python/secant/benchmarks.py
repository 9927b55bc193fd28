"""The benchmarks, which are in the repository and not in the package: found, and run with this Python."""

import subprocess
import sys
from pathlib import Path

from secant.errors import DataError

_PACKAGE = Path(__file__).parent


def run(arguments: list[str]) -> int:
    """Run bench/report.py of a clone of the repository, and return its exit status.

    Parameters
    ----------
    arguments : list of str
        What bench/report.py takes.

    Raises
    ------
    DataError
        If neither the working directory nor the package is in a clone.
    """
    return subprocess.run([sys.executable, str(_script()), *arguments], check=False).returncode


def _script() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents, _PACKAGE.parent.parent):
        project = folder / "pyproject.toml"
        if project.is_file() and '\nname = "secant"\n' in project.read_text(encoding="utf-8"):
            return folder / "bench" / "report.py"
    raise DataError(
        "secant bench runs in a clone of the repository, where pyproject.toml and bench/ are; go there first."
    )
