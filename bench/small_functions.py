"""What a gradient of a small function of Python costs: f = x @ x, of 2, 10 and 100 entries.

    python bench/small_functions.py [--quick] [--earlier FOLDER]

All evaluate f from Python. Central differences are compared with SciPy's `approx_derivative` and with numdifftools, at
their own steps, and with another Secant, such as the folder ``python`` of an earlier clone. Contestants take turns
of 20 ms; times are CPU time, ratios are medians over the rounds, with the quartiles. Answers are compared first.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import secant
from tables import markdown, significant
from timing import turn

SIZES = (2, 10, 100)
SECONDS = 0.02  # of a turn
SECANT, EARLIER = "Secant", "Secant, earlier"
Floats = NDArray[np.float64]


def f(x: Floats) -> Any:
    """The sum of squares."""
    return x @ x


def contestants(size: int) -> dict[str, Callable[[], Any]]:
    """All gradients at the same point, by name."""
    from numdifftools import Gradient
    from scipy.optimize._numdiff import approx_derivative

    x = np.linspace(0.5, 2.0, size)
    every: dict[str, Callable[[], Any]] = {
        SECANT: partial(secant.numerical_gradient, f, x),
        "SciPy, 2-point": partial(approx_derivative, f, x, method="2-point"),
        "SciPy, 3-point": partial(approx_derivative, f, x, method="3-point"),
        "numdifftools": partial(Gradient(f), x),
    }
    for name, call in every.items():
        np.testing.assert_allclose(call(), 2 * x, rtol=1e-5, err_msg=name)
    return every


def serve() -> None:
    """For each size on standard input, time a turn of this process's Secant."""
    every = {size: partial(secant.numerical_gradient, f, np.linspace(0.5, 2.0, size)) for size in SIZES}
    for line in sys.stdin:
        print(turn(every[int(line)], SECONDS, time.thread_time), flush=True)


def of_folder(folder: str) -> Callable[[int], float]:
    """Return what times a turn of the Secant in a folder, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": folder}
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    ask, answers = process.stdin, process.stdout

    def seconds(size: int) -> float:
        ask.write(f"{size}\n")
        ask.flush()
        return float(answers.readline())

    return seconds


def measure(size: int, rounds: int, earlier: Callable[[int], float] | None) -> dict[str, list[float]]:
    """Seconds per gradient, of each round."""
    turns: dict[str, Callable[[], float]] = {
        name: partial(turn, call, SECONDS, time.thread_time) for name, call in contestants(size).items()
    }
    if earlier is not None:
        turns[EARLIER] = partial(earlier, size)
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, take in turns.items():
            times[name].append(take())
    return times


def table(measured: dict[int, dict[str, list[float]]]) -> list[str]:
    """Microseconds per gradient, and in brackets how many times as long as Secant's."""
    rows = []
    for name in measured[SIZES[0]]:
        row = [name]
        for times in measured.values():
            low, middle, high = np.percentile(np.array(times[name]) / np.array(times[SECANT]), [25, 50, 75])
            ratio = "" if name == SECANT else f" ({middle:.2f}×, {low:.2f} to {high:.2f})"
            row.append(f"{significant(1e6 * float(np.median(times[name])))}{ratio}")
        rows.append(row)
    return markdown(["us a gradient", *(f"n = {size}" for size in measured)], rows)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--earlier", metavar="FOLDER", help="of the code to compare with: its package is in there")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    earlier = of_folder(options.earlier) if options.earlier else None
    measured = {size: measure(size, 5 if options.quick else 25, earlier) for size in SIZES}
    print("\n".join(table(measured)))


if __name__ == "__main__":
    main()
