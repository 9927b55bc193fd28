"""The whole run of the chapter: 784-50-10 on MNIST, 10,000 iterations of 100 samples,
the loss after each.

    python bench/whole_run.py [--quick]

Each in a fresh process on one core, side by side on all of them; CPU time from MNIST as
`load_mnist` returns it to the last loss, with what has to be converted, prepared or
compiled, but without imports. The memory is the most that the process took in that
time, libraries and training set included; where the system is not Linux, also in
loading MNIST.
"""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

import cases
import differences
import peers
import secant
import training
from rivals import side_by_side
from tables import alone, markdown, significant
from timing import Effort

ITERATIONS, QUICK_ITERATIONS = 10_000, 1_000
QUICK_WAYS = "NumPy by hand", "JAX jit and lax.scan"
LOOP = "NumPy loop, extrapolated from one gradient | float64"
# of what the system counts in
MEGABYTE = 1e6 / (1 if sys.platform == "darwin" else 1024)
Runs = dict[str, dict[str, float]]


def measure(effort: Effort) -> Runs:
    """Iterations, seconds, final accuracy and megabytes of each run; of the NumPy loop,
    extrapolated, only seconds.
    """
    wanted, dtypes = (
        (QUICK_ITERATIONS, ("float32",))
        if effort.quick
        else (ITERATIONS, tuple(training.TOLERANCE))
    )
    calls: dict[str, Callable[[], dict[str, float]]] = {}
    ours = product(
        cases.backends(effort.quick).items(), training.KINDS, training.TOLERANCE
    )
    for (backend, name), kind, dtype in ours:
        calls[f"{name}, {kind} | {dtype}"] = partial(
            run_secant, backend, kind, dtype, wanted
        )
    ways = {
        name: way for library in training.WAYS.values() for name, way in library.items()
    }
    ways = (
        {name: ways[name] for name in QUICK_WAYS}
        if effort.quick
        else ways | training.COMPILED
    )
    for (name, way), dtype in product(ways.items(), dtypes):
        calls[f"{name} | {dtype}"] = partial(
            run, partial(way, dtype=dtype, after=True), wanted
        )
    for dtype in dtypes:
        calls[f"scikit-learn MLPClassifier | {dtype}"] = partial(
            run_scikit_learn, dtype, wanted
        )
    if not effort.quick:
        calls[LOOP] = partial(run_loop, wanted)
    return side_by_side(calls, absent=(ImportError, secant.errors.UnsupportedError))


def run_secant(backend: str, kind: str, dtype: str, wanted: int) -> dict[str, float]:
    cases.require_series(backend)
    make = partial(
        peers.Secant,
        backend=backend,
        numerical=training.KINDS[kind],
        threads=1,
        dtype=dtype,
    )
    return run(make, wanted)


def run(make: Callable[[cases.Data], peers.Peer], wanted: int) -> dict[str, float]:
    """Train, and see how good it became."""
    data = cases.training_set("MNIST")
    # what is imported is imported
    make(dataclasses.replace(data, x=data.x[:1], t=data.t[:1]))
    forget_peak()
    stream, start = np.random.RandomState(0), time.process_time()
    peer = make(data)
    for _ in range(wanted // training.STEPS):
        training.descend(peer, data, stream)
    seconds, peak = time.process_time() - start, peak_memory()
    net = secant.TwoLayerNet(784, 50, 10)
    net.params = {
        key: np.array(param, dtype=np.float64) for key, param in peer.params().items()
    }
    return {
        "iterations": wanted,
        "seconds": seconds,
        "accuracy": net.accuracy(*cases.mnist_or_subset()[1]),
        "MB": peak,
    }


def run_scikit_learn(dtype: str, wanted: int) -> dict[str, float]:
    data = cases.training_set("MNIST")
    import sklearn.neural_network  # noqa: F401

    forget_peak()
    start = time.process_time()
    net = peers.ScikitLearn(
        data, dtype, epochs=round(wanted / (len(data.x) / training.BATCH))
    )
    net.fit()
    seconds, peak = time.process_time() - start, peak_memory()
    x, t = cases.mnist_or_subset()[1]
    return {
        "iterations": net.iterations,
        "seconds": seconds,
        "accuracy": net.net.score(x, t),
        "MB": peak,
    }


def run_loop(wanted: int) -> dict[str, float]:
    """One whole gradient of the NumPy loop, times their number: the rest of an
    iteration does not count beside it.
    """
    params, loss = differences.numpy_loss(cases.mnist())
    start = time.process_time()
    for param in params.values():
        differences.central_difference(loss, param)
    return {"iterations": wanted, "seconds": wanted * (time.process_time() - start)}


def forget_peak() -> None:
    """Have the most memory that the process took counted from now on, where the system
    can.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory() -> float:
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        for line in lines:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / MEGABYTE
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


def table(runs: Runs) -> list[str]:
    """One row a run."""
    rows = []
    for name, got in runs.items():
        good = (
            [f"{got['accuracy']:.2%}", f"{got['MB']:,.0f}"]
            if "accuracy" in got
            else ["–", "–"]
        )
        rows.append(
            [
                *name.split(" | "),
                f"{got['iterations']:,.0f}",
                f"{significant(got['seconds'])}",
                *good,
            ]
        )
    return markdown(
        ["", "type", "iterations", "s", "test accuracy", "memory, MB"], rows, words=2
    )


if __name__ == "__main__":
    alone(__doc__, measure, table)
