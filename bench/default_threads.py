"""What it costs on an idle machine that work of under a millisecond stays on one thread by default.

    python bench/default_threads.py [--quick]

One gradient of 784-50-10 by the series, for mini-batches of several sizes: by default, and on two threads. That both
give the same bits is checked first. With one core busy, two threads may take a hundred times longer: that is why.
"""

from functools import partial

import numpy as np

import cases
from rivals import Step, race
from tables import markdown
from timing import Contests, Effort, alone, median, ratio

SIZES = (10, 100, 300, 1_000, 3_000)
BY_DEFAULT, TWO_THREADS = "by default", "two threads"


def measure(effort: Effort) -> Contests:
    """Seconds per gradient, for each kind of input."""
    return {name: race({"Secant": partial(steps, name)}, 2, effort) for name in cases.INPUTS}


def steps(name: str) -> dict[str, Step]:
    found: dict[str, Step] = {}
    for size in SIZES:
        case = cases.mnist(size) if name == "MNIST" else cases.dense(size)
        call = partial(case.net.numerical_gradient, case.x, case.t.argmax(axis=1), method="series")
        for key, grad in call().items():
            if not np.array_equal(grad, call(n_threads=2)[key]):
                raise ValueError(f"{key} depends on the number of threads: no timing is worth anything")
        found |= {f"{size} | {BY_DEFAULT}": Step(call), f"{size} | {TWO_THREADS}": Step(partial(call, n_threads=2))}
    return found


def table(contests: Contests) -> list[str]:
    """A row for each kind of input and size."""
    rows = []
    for name, contest in contests.items():
        for size in SIZES:
            default, two = (contest["samples"][f"{size} | {kind}"] for kind in (BY_DEFAULT, TWO_THREADS))
            times = (f"{median(samples) * 1e3:.2f}" for samples in (default, two))
            rows.append([name, str(size), *times, f"{ratio(default, two).median:.2f}"])
    return markdown(["input", "samples", "by default, ms", "two threads, ms", "default / two threads"], rows)


if __name__ == "__main__":
    alone(__doc__, measure, table)
