"""How the cost of a gradient grows, from 784-50-10 and a mini-batch of 100: with N, I,
H, O, the density, the threads.

    python bench/growth.py [--quick]

Inputs are random, as many of them zero as in MNIST. Central differences by the series,
and backpropagation, on one thread; that the series is right is checked for each size,
against backpropagation, from which it may differ by what a step of 1e-4 does.

Then both against backpropagation in NumPy by hand, in the same type: for each size
again, with inputs that are all not zero, and for some more sizes. That the gradients
are equal is checked, too.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import secant
from cases import Data
from differences import H as STEP
from peers import NumPy
from rivals import Step, race
from tables import alone, markdown, significant
from timing import Contests, Effort, Samples, median, ratio

KINDS = ("series", "backpropagation")
NUMPY, DTYPES = "NumPy", ("float64", "float32")
TRUNCATION = 1e-7  # more than h^2 / 6 times a third derivative
ROUNDING = {"float64": 1e-12, "float32": 1e-4}  # of the largest component
COLUMNS = [
    "",
    "from, to",
    "series",
    "exponent",
    "of backpropagation",
    "series / backpropagation, at most",
]


class Size(NamedTuple):
    """The sizes of a problem."""

    N: int = 100
    I: int = 784  # noqa: E741
    H: int = 50
    O: int = 10  # noqa: E741
    density: float = 0.19


SWEEPS: dict[str, tuple[Any, ...]] = {
    "N": (1, 10, 100, 1_000, 10_000),
    "I": (10, 100, 784, 3_000, 10_000),
    "H": (8, 50, 128, 512, 2_048),
    "O": (2, 10, 50, 200, 1_000),
    "density": (0.02, 0.05, 0.1, 0.19, 0.5, 1.0),
}
THREADS = {"784-50-10 x 100": Size(), "784-512-10 x 1,000": Size(N=1_000, H=512)}
SIZES = [
    Size(100, 784, 50, 10, 1.0),
    Size(1_000, 784, 512, 10, 1.0),
    Size(256, 1_024, 2_048, 100, 1.0),
    Size(64, 100, 32, 10, 1.0),
]
"""For which we are compared with NumPy, before those of the sweeps."""


def measure(effort: Effort) -> Contests:
    """Seconds per gradient, for each value of each quantity, and for each number of
    threads.
    """
    contests: Contests = {}
    for quantity, values in SWEEPS.items():
        chosen = values[-4:-1] if effort.quick else values
        contests[quantity] = race(
            {"Secant": partial(steps, quantity, chosen)}, 1, effort
        )
    contests["threads"] = race({"Secant": thread_steps}, 2, effort)
    contests[NUMPY] = race(
        {"Secant": partial(steps_against_numpy, compared(effort.quick))}, 1, effort
    )
    return contests


def steps(quantity: str, values: tuple[Any, ...]) -> dict[str, Step]:
    return {
        f"{value:g} | {kind}": Step(call)
        for value in values
        for kind, call in gradients(Size(**{quantity: value})).items()
    }


def thread_steps() -> dict[str, Step]:
    return {
        f"{name} | {threads}": Step(
            partial(gradients(size)["series"], n_threads=threads)
        )
        for name, size in THREADS.items()
        for threads in (1, 2)
    }


def compared(quick: bool) -> dict[str, Size]:
    """The sizes for which we are compared with NumPy, by name."""
    dense = Size(density=1.0)
    swept = [
        dense._replace(**{quantity: value})
        for quantity, values in SWEEPS.items()
        for value in values
    ]
    return {
        f"{size.I}-{size.H}-{size.O} x {size.N:,}, {size.density:.0%}": size
        for size in SIZES + swept * (not quick)
    }


def steps_against_numpy(sizes: dict[str, Size]) -> dict[str, Step]:
    return {
        f"{name} | {dtype} | {kind}": Step(call)
        for name, size in sizes.items()
        for dtype in DTYPES
        for kind, call in (
            gradients(size, dtype) | {NUMPY: by_hand(size, dtype)}
        ).items()
    }


def by_hand(size: Size, dtype: str) -> Callable[[], object]:
    """Backpropagation in NumPy, checked: as a step of training does it, without the
    batch that this gathers.
    """
    net, x, t = problem(size, dtype)
    peer = NumPy(Data(x, t, net.params), dtype, after=False)
    peer.allocate(size.N)
    peer.xb = x

    def gradient() -> None:
        peer.gradient(t, peer.forward(t), 1.0)

    gradient()
    for got, (key, grad) in zip(peer.grads, net.gradient(x, t).items(), strict=True):
        atol = ROUNDING[dtype] * float(np.abs(grad).max())
        np.testing.assert_allclose(got, grad, rtol=0, atol=atol, err_msg=key)
    return gradient


def problem(
    size: Size, dtype: str
) -> tuple[secant.TwoLayerNet, NDArray[Any], NDArray[np.int64]]:
    """A network of this size, and a mini-batch."""
    rng = np.random.RandomState(0)
    x = rng.uniform(0.01, 1, (size.N, size.I)) * (
        rng.uniform(size=(size.N, size.I)) < size.density
    )
    net = secant.TwoLayerNet(size.I, size.H, size.O, rng=0, dtype=np.dtype(dtype))
    return net, x.astype(dtype), rng.randint(size.O, size=size.N)


def gradients(size: Size, dtype: str = DTYPES[0]) -> dict[str, Callable[..., Any]]:
    """Both gradients of a network and a mini-batch of this size, one thread,
    checked.
    """
    net, x, t = problem(size, dtype)
    series = partial(net.numerical_gradient, x, t, h=STEP, method="series", n_threads=1)
    backward = partial(net.gradient, x, t, n_threads=1)
    for key, grad in backward().items():
        np.testing.assert_allclose(
            series()[key], grad, rtol=0, atol=TRUNCATION, err_msg=key
        )
    return dict(zip(KINDS, (series, backward), strict=True))


def table(contests: Contests) -> list[str]:
    """The growth of each quantity, the most expensive series, and what a second thread
    brings.
    """
    lines = [*markdown(COLUMNS, sweeps(contests)), "", *two_threads(contests)]
    return [*lines, "", *against_numpy(contests[NUMPY]["samples"])]


def sweeps(contests: Contests) -> list[list[str]]:
    """A row for each quantity, with the columns `COLUMNS`."""
    rows = []
    for quantity in SWEEPS:
        samples = contests[quantity]["samples"]
        values = [name.split(" | ")[0] for name in samples if name.endswith(KINDS[0])]
        most_expensive = max(
            (
                ratio(*(samples[f"{value} | {kind}"] for kind in KINDS))
                for value in values
            ),
            key=lambda r: r.median,
        )
        ends = (
            f"{significant(1e3 * median(samples[f'{value} | {KINDS[0]}']))} ms"
            for value in (values[0], values[-1])
        )
        exponents = (f"{exponent(quantity, samples, kind):.2f}" for kind in KINDS)
        rows.append(
            [
                quantity,
                f"{values[0]} to {values[-1]}",
                " to ".join(ends),
                *exponents,
                str(most_expensive),
            ]
        )
    return rows


def two_threads(contests: Contests) -> list[str]:
    """What a second thread brings, for each size."""
    samples = contests["threads"]["samples"]
    faster = [
        [name, str(ratio(samples[f"{name} | 1"], samples[f"{name} | 2"]))]
        for name in THREADS
    ]
    return markdown(["two threads against one", "times faster"], faster)


def against_numpy(samples: Samples) -> list[str]:
    """For each size and type, how many times as long as NumPy we take."""
    rows = []
    for name in dict.fromkeys(sample.split(" | ")[0] for sample in samples):
        row = [name]
        for dtype, kind in product(DTYPES, reversed(KINDS)):
            times = (
                samples[f"{name} | {dtype} | {contestant}"]
                for contestant in (kind, NUMPY)
            )
            row.append(str(ratio(*times)))
        rows.append(row)
    columns = [f"{dtype}, {kind}" for dtype, kind in product(DTYPES, reversed(KINDS))]
    return markdown(["net x samples, not zero; NumPy = 1", *columns], rows)


def exponent(quantity: str, samples: Samples, kind: str) -> float:
    """P of cost ~ value^p, fitted from the chapter's size up."""
    points = [
        (float(name.split(" | ")[0]), median(turns))
        for name, turns in samples.items()
        if name.endswith(kind)
    ]
    values, seconds = np.log(
        [point for point in points if point[0] >= getattr(Size(), quantity)]
    ).T
    return float(np.polyfit(values, seconds, 1)[0])


if __name__ == "__main__":
    alone(__doc__, measure, table)
