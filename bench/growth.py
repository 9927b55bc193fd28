"""How the cost of a gradient grows, from 784-50-10 and a mini-batch of 100: with N, I, H, O, the density, the threads.

    python bench/growth.py [--quick]

Inputs are random, as many of them zero as in MNIST. Central differences by the series, and backpropagation, on one
thread; that the series is right is checked for each size, against backpropagation, from which it may differ by what a
step of 1e-4 does.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import secant
from differences import H as STEP
from rivals import Step, race
from tables import markdown, significant
from timing import Contests, Effort, Samples, alone, median, ratio

KINDS = ("series", "backpropagation")
TRUNCATION = 1e-7  # more than h^2 / 6 times a third derivative


class Size(NamedTuple):
    """The sizes of a problem."""

    N: int = 100
    I: int = 784  # noqa: E741
    H: int = 50
    O: int = 10  # noqa: E741
    density: float = 0.19


SWEEPS: dict[str, tuple[float, ...]] = {
    "N": (1, 10, 100, 1_000, 10_000),
    "I": (10, 100, 784, 3_000, 10_000),
    "H": (8, 50, 128, 512, 2_048),
    "O": (2, 10, 50, 200, 1_000),
    "density": (0.02, 0.05, 0.1, 0.19, 0.5, 1.0),
}
THREADS = {"784-50-10 x 100": Size(), "784-512-10 x 1,000": Size(N=1_000, H=512)}


def measure(effort: Effort) -> Contests:
    """Seconds a gradient, for each value of each quantity, and for each number of threads."""
    contests: Contests = {}
    for quantity, values in SWEEPS.items():
        chosen = values[1:4] if effort.quick else values
        contests[quantity] = race({"Secant": partial(steps, quantity, chosen)}, 1, effort)
    contests["threads"] = race({"Secant": thread_steps}, 2, effort)
    return contests


def steps(quantity: str, values: tuple[Any, ...]) -> dict[str, Step]:
    return {
        f"{value:g} | {kind}": Step(call)
        for value in values
        for kind, call in gradients(Size(**{quantity: value})).items()
    }


def thread_steps() -> dict[str, Step]:
    return {
        f"{name} | {threads}": Step(partial(gradients(size)["series"], n_threads=threads))
        for name, size in THREADS.items()
        for threads in (1, 2)
    }


def gradients(size: Size) -> dict[str, Callable[..., Any]]:
    """Both gradients of a network and a mini-batch of this size, one thread, checked."""
    rng = np.random.RandomState(0)
    x = rng.uniform(0.01, 1, (size.N, size.I)) * (rng.uniform(size=(size.N, size.I)) < size.density)
    t = rng.randint(size.O, size=size.N)
    net = secant.TwoLayerNet(size.I, size.H, size.O, rng=0)
    series = partial(net.numerical_gradient, x, t, h=STEP, method="series", n_threads=1)
    backward = partial(net.gradient, x, t, n_threads=1)
    for key, grad in backward().items():
        np.testing.assert_allclose(series()[key], grad, rtol=0, atol=TRUNCATION, err_msg=key)
    return dict(zip(KINDS, (series, backward), strict=True))


def table(contests: Contests) -> list[str]:
    """The growth of each quantity, the dearest series, and what a second thread brings."""
    rows = []
    for quantity in SWEEPS:
        samples = contests[quantity]["samples"]
        values = [name.split(" | ")[0] for name in samples if name.endswith(KINDS[0])]
        dearest = max(
            (ratio(*(samples[f"{value} | {kind}"] for kind in KINDS)) for value in values), key=lambda r: r.median
        )
        ends = (
            f"{significant(1e3 * median(samples[f'{value} | {KINDS[0]}']))} ms" for value in (values[0], values[-1])
        )
        exponents = (f"{exponent(quantity, samples, kind):.2f}" for kind in KINDS)
        rows.append([quantity, f"{values[0]} to {values[-1]}", " to ".join(ends), *exponents, str(dearest)])
    columns = ["", "from, to", "series", "exponent", "of backpropagation", "series / backpropagation, at most"]
    lines = [*markdown(columns, rows), ""]
    samples = contests["threads"]["samples"]
    faster = [[name, str(ratio(samples[f"{name} | 1"], samples[f"{name} | 2"]))] for name in THREADS]
    return [*lines, *markdown(["two threads against one", "times faster"], faster)]


def exponent(quantity: str, samples: Samples, kind: str) -> float:
    """P of cost ~ value^p, fitted from the chapter's size up."""
    points = [(float(name.split(" | ")[0]), median(turns)) for name, turns in samples.items() if name.endswith(kind)]
    values, seconds = np.log([point for point in points if point[0] >= getattr(Size(), quantity)]).T
    return float(np.polyfit(values, seconds, 1)[0])


if __name__ == "__main__":
    alone(__doc__, measure, table)
