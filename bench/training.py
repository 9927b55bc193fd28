"""Time one training iteration against other libraries: 784-50-10, mini-batches of 100,
the chapter's loss.

    python bench/training.py [--quick]

Same parameters to start with, same mini-batches: that losses and parameters agree is
checked before anything is timed. All are timed with the loss after the update, which
takes a second forward pass, and with that of the forward pass which the gradient needs
anyway; each is compared with Secant in its type and with its loss. Drawing the
mini-batch is counted for all.
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
from peers import taking_part
from rivals import Family, Step, race
from tables import alone, by_input
from timing import Contests, Effort, require

Ways = dict[str, Callable[..., peers.Peer]]
STEPS, BATCH = 50, 100  # mini-batches per call, samples in each
LOSSES = {True: "after", False: "before"}
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
WAYS: dict[str, Ways] = {
    "NumPy": {"NumPy by hand": peers.NumPy},
    "SciPy": {"SciPy, sparse, by hand": peers.SciPySparse},
    "JAX": {
        "JAX jit": partial(automatic.Jax, scan=False),
        "JAX jit and lax.scan": partial(automatic.Jax, scan=True),
    },
    "PyTorch": {
        "PyTorch eager": automatic.Torch,
        "PyTorch by hand": automatic.TorchByHand,
    },
}
COMPILED: Ways = {"PyTorch, torch.compile": partial(automatic.Torch, compiled=True)}
KINDS = {"numerical": True, "backpropagation": False}
WORDS = "", "type", "loss"


def measure(effort: Effort) -> Contests:
    """Seconds per iteration of every peer, for each kind of input and number of
    threads.
    """
    inputs = cases.INPUTS[:1] if effort.quick else cases.INPUTS
    return {
        f"{name}, {label}": race(families(name, threads, effort.quick), threads, effort)
        for name, (label, threads) in product(inputs, cases.THREADS.items())
    }


def table(contests: Contests) -> list[str]:
    """One row per peer, in microseconds per iteration."""
    return by_input(contests, like, WORDS, "µs", 1e6)


def like(name: str) -> str:
    """Secant by its numerical gradient, in the type and with the loss of a
    contestant.
    """
    _, dtype, loss = name.split(" | ")
    return f"Secant, numerical | {dtype} | {loss}"


def families(inputs: str, threads: int, quick: bool) -> dict[str, Family]:
    """What is timed, by library."""
    ways = taking_part(WAYS, COMPILED, inputs, quick)
    return {
        **{
            name: partial(secant_steps, inputs, threads, backend)
            for backend, name in cases.backends(quick).items()
        },
        **{name: partial(library, inputs, of) for name, of in ways.items()},
        "scikit-learn": partial(scikit_learn_steps, inputs),
    }


def secant_steps(inputs: str, threads: int, backend: str) -> dict[str, Step]:
    """The core in all that peers do; other backends with the loss after the update."""
    data = cases.training_set(inputs)
    cases.require_series(backend)
    return checked(
        data,
        {
            f"{cases.BACKENDS[backend]}, {kind} | {dtype} | {LOSSES[after]}": peers.Secant(
                data, backend, numerical, threads, dtype, after
            )
            for after, dtype, (kind, numerical) in product(
                LOSSES, TOLERANCE, KINDS.items()
            )
            if after or backend == "cpp"
        },
    )


def library(inputs: str, ways: Ways) -> dict[str, Step]:
    """Each way to train, in both types and with both losses."""
    data = cases.training_set(inputs)
    return checked(
        data,
        {
            f"{name} | {dtype} | {LOSSES[after]}": make(data, dtype, after)
            for (name, make), dtype, after in product(ways.items(), TOLERANCE, LOSSES)
        },
    )


def scikit_learn_steps(inputs: str) -> dict[str, Step]:
    data, steps = cases.training_set(inputs), {}
    few = cases.Data(data.x[: STEPS * BATCH], data.t[: STEPS * BATCH], data.params)
    for dtype, bound in TOLERANCE.items():
        name = f"scikit-learn MLPClassifier | {dtype} | before"
        require_an_epoch(name, peers.ScikitLearn(few, dtype, shuffle=False), few, bound)
        net = peers.ScikitLearn(data, dtype)
        steps[name] = Step(net.fit, net.iterations)
    return steps


def require_an_epoch(
    name: str, peer: peers.ScikitLearn, data: cases.Data, bound: float
) -> None:
    """Refuse a network without a second sigmoid whose epoch, unshuffled, is not that of
    the plain loop.
    """
    peer.fit()  # from parameters of its own
    net = secant.TwoLayerNet(
        784, 50, 10, output_activation="identity", log_offset=0, backend="numpy"
    )
    net.params = {
        key: np.array(param, dtype=np.float64) for key, param in peer.params().items()
    }
    peer.fit()
    before, _ = plain_loop(net, data, np.arange(len(data.x)).reshape(-1, BATCH))
    require(f"{name}, loss", [peer.net.loss_curve_[-1]], before.mean(), bound)
    require_params(name, peer, net, bound)


def checked(data: cases.Data, contestants: dict[str, peers.Peer]) -> dict[str, Step]:
    """Train each on the first mini-batches, and refuse one whose losses or parameters
    are not the plain loop's.
    """
    stream = np.random.RandomState(0)
    first = batches(data, stream)
    net = secant.TwoLayerNet(784, 50, 10, rng=0, backend="numpy")
    net.params = {key: param.copy() for key, param in data.params.items()}
    before, after = plain_loop(net, data, first)
    for name, peer in contestants.items():
        _, dtype, loss = name.split(" | ")
        require(
            f"{name}, losses",
            peer.descend(first),
            after if loss == "after" else before,
            TOLERANCE[dtype],
        )
        require_params(name, peer, net, TOLERANCE[dtype])
    return {
        name: Step(partial(descend, peer, data, stream), STEPS, cold=True)
        for name, peer in contestants.items()
    }


def require_params(
    name: str,
    peer: peers.Peer | peers.ScikitLearn,
    net: secant.TwoLayerNet,
    bound: float,
) -> None:
    for key, param in peer.params().items():
        require(f"{name}, {key}", param, net.params[key], bound)


def descend(peer: peers.Peer, data: cases.Data, stream: np.random.RandomState) -> None:
    peer.descend(batches(data, stream))


def batches(data: cases.Data, stream: np.random.RandomState) -> NDArray[np.int64]:
    """Indices of the next mini-batches, (STEPS, BATCH)."""
    return stream.choice(len(data.x), (STEPS, BATCH)).astype(np.int64)


def plain_loop(
    net: secant.TwoLayerNet, data: cases.Data, indices: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Train a network by the reference's backpropagation, and return the losses before
    and after each update.
    """
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
