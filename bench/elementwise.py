"""Time sigmoid, softmax and the cross entropy against NumPy, on arrays small and large.

    python bench/elementwise.py [--quick]

NumPy's side is the chapter's formula without any check; ours is the public function with all of them. One
thread. Answers are compared first.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import secant
from rivals import Step, race
from tables import markdown
from timing import Contests, Effort, Samples, alone, ratio

Pair = tuple[Callable[[], Any], Callable[[], Any]]
SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
CLASSES = 10


def numpy_sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x))."""
    z: NDArray[np.float64] = 1 / (1 + np.exp(-x))
    return z


def numpy_softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(x) over its sum along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y: NDArray[np.float64] = e / e.sum(axis=-1, keepdims=True)
    return y


def numpy_cross_entropy(y: NDArray[np.float64], t: NDArray[np.float64]) -> float:
    """One-hot targets."""
    return float(-np.sum(t * np.log(y + 1e-7)) / y.shape[0])


def numpy_cross_entropy_labels(y: NDArray[np.float64], t: NDArray[np.int64]) -> float:
    """Class labels."""
    return float(-np.sum(np.log(y[np.arange(y.shape[0]), t] + 1e-7)) / y.shape[0])


def pairs(size: int) -> dict[str, Pair]:
    """Ours and NumPy's, on `size` elements."""
    rng = np.random.RandomState(0)
    x = rng.normal(0, 3, size)
    rows = x.reshape(-1, CLASSES)
    y = numpy_softmax(rows)
    labels = rng.randint(CLASSES, size=len(rows))
    one_hot = np.eye(CLASSES)[labels]
    return {
        "sigmoid": (lambda: secant.sigmoid(x), lambda: numpy_sigmoid(x)),
        "softmax": (lambda: secant.softmax(rows), lambda: numpy_softmax(rows)),
        "cross entropy, one-hot": (
            lambda: secant.cross_entropy_error(y, one_hot),
            lambda: numpy_cross_entropy(y, one_hot),
        ),
        "cross entropy, labels": (
            lambda: secant.cross_entropy_error(y, labels),
            lambda: numpy_cross_entropy_labels(y, labels),
        ),
    }


def measure(effort: Effort) -> Contests:
    """Seconds per call of both sides, for each function and size, on one thread."""
    sizes = SIZES[1::2] if effort.quick else SIZES
    names = [f"{name}, {size}" for size in sizes for name in pairs(CLASSES)]
    measured = race({"both": partial(steps, sizes)}, 1, effort)["samples"]
    return {
        name: {
            "samples": {who: measured[f"{name} | {who}"] for who in ("NumPy", "Secant")},
            "missing": {},
            "handovers": [],
        }
        for name in names
    }


def steps(sizes: tuple[int, ...]) -> dict[str, Step]:
    """Both sides, compared."""
    result: dict[str, Step] = {}
    for size in sizes:
        for name, (ours, numpys) in pairs(size).items():
            np.testing.assert_allclose(ours(), numpys(), rtol=1e-12, err_msg=name)
            result |= {f"{name}, {size} | NumPy": Step(numpys), f"{name}, {size} | Secant": Step(ours)}
    return result


def table(contests: Contests) -> list[str]:
    """Times faster than NumPy, by function and number of elements."""
    names = list(pairs(CLASSES))
    sizes = sorted({int(contest.rsplit(", ", 1)[1]) for contest in contests})
    rows = [[f"{size:,}", *(_cell(contests[f"{name}, {size}"]["samples"]) for name in names)] for size in sizes]
    return markdown(["elements", *names], rows, words=0)


def _cell(samples: Samples) -> str:
    return str(ratio(samples["NumPy"], samples["Secant"]))


if __name__ == "__main__":
    alone(__doc__, measure, table)
