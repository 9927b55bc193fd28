"""What a gradient of any function costs, by the way in which f is evaluated:
Rosenbrock's function, from 10 to 10,000.

    python bench/functions.py [--quick] [--write]    # --write puts table and chart into docs/records/functions.md

Contestants take turns of one gradient each; ratios are medians over the rounds. The
plain loop is the chapter's, without a check. SciPy's `approx_fprime` takes half as many
evaluations, those of forward differences. Answers are compared first.
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, TypedDict

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

import charts
import secant
from tables import alone, markdown, significant
from timing import Effort, Samples, median, ratio, turn

SIZES = (10, 100, 1_000, 10_000)
LOOP, SCIPY = "plain loop, f in NumPy", "scipy approx_fprime, f in Numba"
ALONE = "f in Numba alone, as often"
SECONDS = 0.02  # of a turn
Floats = NDArray[np.float64]


class Measured(TypedDict):
    """Seconds per gradient, by dimension; and of the slow f, alone and on two
    processes.
    """

    gradients: dict[int, Samples]
    slow: tuple[float, float]


def of_point(x: Floats) -> Any:
    """In NumPy."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def of_stack(x: Floats) -> Any:
    """In NumPy, of each row."""
    return np.sum(100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2, axis=1)


def _loop(x: Any) -> Any:
    total = 0.0
    for i in range(x.size - 1):
        a = x[i + 1] - x[i] * x[i]
        total += 100 * a * a + (1 - x[i]) * (1 - x[i])
    return total


jitted = numba.njit(_loop)


@numba.njit  # type: ignore[untyped-decorator]
def evaluations(x: Any) -> Any:
    """As many evaluations as central differences take, and nothing else: no gradient on
    one thread takes less.
    """
    total = 0.0
    for i in range(x.size):
        for shift in (1e-4, -1e-4):
            x[i] += shift
            total += jitted(x)
            x[i] -= shift
    return total


signature = numba.types.float64(
    numba.types.CPointer(numba.types.float64), numba.types.intp, numba.types.voidptr
)
pointer = numba.cfunc(signature)(lambda p, n, data: jitted(numba.carray(p, (n,))))


def slow(x: Floats) -> float:
    """Something that takes 10 ms of a core."""
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
    return float(x.sum())


def plain_loop(f: Callable[[Floats], Any], x: Floats, h: float = 1e-4) -> Floats:
    """As the chapter has it."""
    gradient = np.zeros_like(x)
    for i in range(x.size):
        value = x[i]
        x[i] = value + h
        above = f(x)
        x[i] = value - h
        below = f(x)
        gradient[i] = (above - below) / (2 * h)
        x[i] = value
    return gradient


def contestants(x: Floats) -> dict[str, Callable[[], Any]]:
    """All ways, by name."""
    ours = partial(secant.numerical_gradient, x=x)
    return {
        LOOP: partial(plain_loop, of_point, x),
        "f in NumPy": partial(ours, of_point),
        "f in NumPy, vectorized": partial(ours, of_stack, vectorized=True),
        SCIPY: partial(approx_fprime, x, jitted),
        ALONE: partial(evaluations, x.copy()),
        "f in Numba, 1 thread": partial(ours, jitted, workers=1),
        "f in Numba, 2 threads": partial(ours, jitted, workers=2),
        "C pointer, 1 thread": partial(ours, pointer),
        "C pointer, 2 threads": partial(ours, pointer, workers=2),
    }


def measure(effort: Effort) -> Measured:
    rounds = 5 if effort.quick else 25
    return {
        "gradients": {size: gradients(size, rounds) for size in SIZES},
        "slow": workers(),
    }


def gradients(size: int, rounds: int) -> Samples:
    """Seconds per gradient, of each round."""
    x = np.random.default_rng(0).normal(size=size)
    every = contestants(x)
    right = every[LOOP]()
    for name, call in every.items():
        found = call()
        if name == ALONE:
            continue
        np.testing.assert_allclose(
            found,
            right,
            rtol=1e-2 if name == SCIPY else 1e-6,
            atol=1e-2 * size,
            err_msg=name,
        )
    samples: Samples = {name: [[]] for name in every}
    for _ in range(rounds):
        for name, call in every.items():
            samples[name][0].append(turn(call, SECONDS))
    return samples


def workers() -> tuple[float, float]:
    """Seconds that a gradient of the slow f takes in 200 dimensions, alone and on two
    processes.
    """
    x = np.ones(200)
    with ProcessPoolExecutor(2) as pool:
        secant.numerical_gradient(slow, x[:20], workers=pool.map)
        start = time.perf_counter()
        alone = secant.numerical_gradient(slow, x)
        middle = time.perf_counter()
        shared = secant.numerical_gradient(slow, x, workers=pool.map)
        end = time.perf_counter()
    assert alone.tobytes() == shared.tobytes()
    return middle - start, end - middle


def table(measured: Measured) -> list[str]:
    """Microseconds per gradient, and in brackets how many times faster than the plain
    loop.
    """
    by_size, (one, two) = measured["gradients"], measured["slow"]
    rows = []
    for name in by_size[SIZES[0]]:
        row = [name]
        for times in by_size.values():
            faster = significant(ratio(times[LOOP], times[name]).median)
            row.append(f"{significant(1e6 * median(times[name]))} ({faster}×)")
        rows.append(row)
    lines = [*markdown(["", *(f"n = {size:,}" for size in by_size)], rows), ""]
    for size, kind in product((1_000, 10_000), ("f in Numba", "C pointer")):
        times = by_size[size]
        scipy, single, double = (
            times[SCIPY],
            times[f"{kind}, 1 thread"],
            times[f"{kind}, 2 threads"],
        )
        pairs = (
            (scipy, single),
            (scipy, double),
            (single, double),
            (times[ALONE], single),
        )
        on_one, on_two, threads, share = (ratio(*pair).median for pair in pairs)
        lines.append(
            f"- {kind}, n = {size:,}: {on_one:.1f} times faster than SciPy on one thread, {on_two:.1f} on two, "
            f"which are {threads:.2f} times faster than one; f alone takes {100 * share:.0f} % of the time on one."
        )
    return [
        *lines,
        "",
        f"f of 10 ms, n = 200: {one / two:.2f} times faster on two processes than on one.",
    ]


def chart(measured: Measured, path: Path) -> None:
    """Time a gradient against dimension, both axes logarithmic."""
    by_size = measured["gradients"]
    figure, (panel,) = charts.canvas(1, 1, 5.4)
    colors = [
        charts.INK,
        "#d0452f",
        "#e39b3d",
        "#9a9a9a",
        "#4269d0",
        "#4269d0",
        "#3ca951",
        "#3ca951",
    ]
    names = [name for name in by_size[SIZES[0]] if name != ALONE]
    for name, color in zip(names, colors, strict=True):
        middle = [1e3 * median(times[name]) for times in by_size.values()]
        style = "--" if name.endswith("2 threads") else "-"
        label = name if name in (LOOP, SCIPY) else f"Secant, {name}"
        panel.plot(
            list(by_size),
            middle,
            style,
            color=color,
            marker="o",
            markersize=3.5,
            label=label,
        )
    charts.logarithmic(panel, "xy")
    figure.legend(**charts.LEGEND, loc="outside lower center")
    charts.finish(panel, "Rosenbrock: ms a gradient", "dimensions")
    charts.save(figure, path)


if __name__ == "__main__":
    alone(__doc__, measure, table, page="records/functions.md", draw=chart)
