"""What a library costs before it computes: time to import it, and room on the disk.

    python bench/footprint.py [--quick]

Imports are CPU time of fresh interpreters, less that of one which imports nothing, each
the median of some. A size is that of the installed files, its dependencies included.
Last, the most memory that `secant train` takes.
"""

import contextlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from statistics import median

from rivals import apart
from tables import alone, markdown, significant
from timing import Effort
from whole_run import peak_memory

LIBRARIES = {
    "Secant": ("secant", "secant"),
    "NumPy": ("numpy", "numpy"),
    "SciPy": ("scipy.optimize", "scipy"),
    "numdifftools": ("numdifftools", "numdifftools"),
    "JAX": ("jax", "jax"),
    "PyTorch": ("torch", "torch"),
    "scikit-learn": ("sklearn.neural_network", "scikit-learn"),
}
Costs = dict[str, dict[str, float]]


def measure(effort: Effort) -> Costs:
    """Seconds to import and megabytes on disk of each library; megabytes of memory of
    `secant train`.
    """
    times = 1 if effort.quick else 3
    nothing = median(spent("-c", "pass") for _ in range(times))
    costs: Costs = {}
    for name, (module, distribution) in LIBRARIES.items():
        try:
            size = sum(map(installed, closure(distribution, set()))) / 1e6
        except metadata.PackageNotFoundError:
            continue
        seconds = (
            median(spent("-c", f"import {module}") for _ in range(times)) - nothing
        )
        costs[name] = {"seconds": seconds, "MB on disk": size}
    return costs | {"secant train": {"MB of memory": apart(2, memory_of_training)}}


def memory_of_training() -> float:
    """Megabytes at the most of `secant train`, which this process becomes."""
    from secant.cli.app import app

    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        app(["train", "--iters", "1000"], standalone_mode=False)
    return peak_memory()


def spent(*arguments: str) -> float:
    """Seconds of CPU time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def closure(distribution: str, seen: set[str]) -> Iterator[str]:
    """A distribution and all that it requires without an extra."""
    if distribution in seen:
        return
    seen.add(distribution)
    requirements = metadata.requires(distribution) or []
    yield distribution
    for requirement in requirements:
        match = re.match(r"[\w.-]+", requirement)
        if match and "extra ==" not in requirement:
            try:
                yield from closure(re.sub(r"[-_.]+", "-", match[0]).lower(), seen)
            except metadata.PackageNotFoundError:
                continue  # for another platform or another Python


def installed(distribution: str) -> int:
    """Bytes of the files of a distribution."""
    paths = (file.locate() for file in metadata.files(distribution) or [])
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))


def table(costs: Costs) -> list[str]:
    """One row a library."""
    costs = dict(costs)
    memory = costs.pop("secant train")["MB of memory"]
    rows = [
        [name, significant(1e3 * cost["seconds"]), f"{cost['MB on disk']:,.0f}"]
        for name, cost in costs.items()
    ]
    columns = ["", "import, ms", "on disk with what it requires, MB"]
    return [
        *markdown(columns, rows),
        "",
        f"`secant train` took at most {memory:.0f} MB of memory.",
    ]


if __name__ == "__main__":
    alone(__doc__, measure, table)
