"""Time one training iteration against other libraries: 784-50-10, mini-batches of 100, the chapter's loss.

    python bench/training.py [--quick]

Same parameters to start with, same mini-batches: that the losses agree is checked before anything is timed. Secant
gives the loss after the update, with a second forward pass; the peers are timed with it and, doing less, with the loss
of the forward pass that the gradient needs. Drawing the mini-batch is counted for all.
"""

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

import automatic
import cases
import peers
import secant
from rivals import Family, Step, race
from tables import standings
from timing import Contests, Effort, alone

Ways = dict[str, Callable[..., peers.Peer]]
STEPS, BATCH = 50, 100  # mini-batches a call, samples in each
THREADS = {"1 thread": 1, "2 threads": 2}
LOSSES = {True: "after", False: "before"}
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
WAYS: dict[str, Ways] = {
    "NumPy": {"NumPy by hand": peers.NumPy},
    "SciPy": {"SciPy, sparse, by hand": peers.SciPySparse},
    "JAX": {"JAX jit": partial(automatic.Jax, scan=False), "JAX jit and lax.scan": partial(automatic.Jax, scan=True)},
    "PyTorch": {"PyTorch eager": automatic.Torch, "PyTorch by hand": automatic.TorchByHand},
}
COMPILED: Ways = {"PyTorch, torch.compile": partial(automatic.Torch, compiled=True)}
KINDS = {"numerical": True, "backpropagation": False}
YARDSTICK = "Secant, numerical | float64 | after"


def measure(effort: Effort) -> Contests:
    """Seconds an iteration of every peer, for each kind of input and number of threads."""
    inputs = cases.INPUTS[:1] if effort.quick else cases.INPUTS
    return {
        f"{name}, {label}": race(families(name, threads, effort.quick), threads, effort)
        for name, (label, threads) in product(inputs, THREADS.items())
    }


def table(contests: Contests) -> list[str]:
    """One row a peer, in microseconds an iteration."""
    lines: list[str] = []
    for inputs in cases.INPUTS:
        columns = {name.split(", ")[1]: contest for name, contest in contests.items() if name.startswith(inputs)}
        if columns:
            lines += [f"### {inputs}", "", *standings(columns, YARDSTICK, ("", "type", "loss"), "µs", 1e6), ""]
    return lines


def families(inputs: str, threads: int, quick: bool) -> dict[str, Family]:
    """What is timed, by library. What takes long to compile is left out if it has to be quick, and on dense input."""
    jax = {name: way for name, way in WAYS["JAX"].items() if "scan" in name or not quick}
    return {
        **{name: partial(secant_steps, inputs, threads, backend) for backend, name in cases.backends(quick).items()},
        "NumPy": partial(library, inputs, WAYS["NumPy"]),
        **({"SciPy": partial(library, inputs, WAYS["SciPy"])} if inputs == "MNIST" else {}),
        "JAX": partial(library, inputs, jax),
        "PyTorch": partial(torch_steps, inputs, threads, quick or inputs != "MNIST"),
        "scikit-learn": partial(scikit_learn_steps, inputs),
    }


def secant_steps(inputs: str, threads: int, backend: str) -> dict[str, Step]:
    data = cases.training_set(inputs)
    cases.require_series(backend)
    return checked(
        data,
        {
            f"{cases.BACKENDS[backend]}, {kind} | float64 | after": peers.Secant(data, backend, numerical, threads)
            for kind, numerical in KINDS.items()
        },
    )


def torch_steps(inputs: str, threads: int, quick: bool) -> dict[str, Step]:
    import torch

    torch.set_num_threads(threads)
    steps = library(inputs, WAYS["PyTorch"])
    return steps if quick else steps | library(inputs, COMPILED, losses=(True,))


def library(inputs: str, ways: Ways, losses: tuple[bool, ...] = (True, False)) -> dict[str, Step]:
    """Each way to train, in both types and with both losses."""
    data = cases.training_set(inputs)
    return checked(
        data,
        {
            f"{name} | {dtype} | {LOSSES[after]}": make(data, dtype, after)
            for (name, make), dtype, after in product(ways.items(), TOLERANCE, losses)
        },
    )


def scikit_learn_steps(inputs: str) -> dict[str, Step]:
    data = cases.training_set(inputs)
    nets = {f"scikit-learn MLPClassifier | {dtype} | before": peers.ScikitLearn(data, dtype) for dtype in TOLERANCE}
    return {name: Step(net.fit, net.iterations) for name, net in nets.items()}


def checked(data: cases.Data, contestants: dict[str, peers.Peer]) -> dict[str, Step]:
    """Train each on the first mini-batches, and refuse one whose losses are not those of the plain loop."""
    stream = np.random.RandomState(0)
    first = batches(data, stream)
    before, after = expected(data, first)
    for name, peer in contestants.items():
        _, dtype, loss = name.split(" | ")
        error = np.abs(np.array(peer.descend(first)) - (after if loss == "after" else before)).max()
        if not error < TOLERANCE[dtype]:
            raise ValueError(f"{name}: losses differ by {error:.1e}, more than {TOLERANCE[dtype]}: nothing to time")
    return {name: Step(partial(descend, peer, data, stream), STEPS) for name, peer in contestants.items()}


def descend(peer: peers.Peer, data: cases.Data, stream: np.random.RandomState) -> None:
    peer.descend(batches(data, stream))


def batches(data: cases.Data, stream: np.random.RandomState) -> NDArray[np.int64]:
    """Indices of the next mini-batches, (STEPS, BATCH)."""
    return stream.choice(len(data.x), (STEPS, BATCH)).astype(np.int64)


def expected(data: cases.Data, indices: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The losses before and after each update, by the reference backend and the chapter's own loop."""
    net = secant.TwoLayerNet(784, 50, 10, rng=0, backend="numpy")
    net.params = {key: param.copy() for key, param in data.params.items()}
    losses = []
    for batch in indices:
        x, t = data.x[batch], data.t[batch]
        before, grads = net.loss(x, t), net.gradient(x, t)
        for key, grad in grads.items():
            net.params[key] -= peers.RATE * grad
        losses.append((before, net.loss(x, t)))
    both = np.array(losses).T
    return both[0], both[1]


if __name__ == "__main__":
    alone(__doc__, measure, table)
