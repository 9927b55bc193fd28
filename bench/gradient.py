"""Time one gradient of 784-50-10, all 39,760 parameters, a batch of 100: central differences and backpropagation.

    python bench/gradient.py [--quick]

Answers are compared with the NumPy loop's, or the reference's backpropagation, before anything is timed. Of the loop
and of libraries that evaluate the loss for each parameter, 30 parameters are timed and the rest extrapolated; the
loop is run once as a whole in whole_run.py.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import automatic
import cases
import differences
import peers
from differences import H, chosen
from rivals import Family, Step, race
from tables import markdown, standings
from timing import Contests, Effort, alone, median, ratio

THREADS = {"1 thread": 1, "2 threads": 2}
LOOP, SERIES = "NumPy loop | differences, sampled", "Secant, series | differences"
BACKPROPAGATION = 1e-12, 1e-6  # what float64 and float32 may differ by


def measure(effort: Effort) -> Contests:
    """Seconds a gradient, for each kind of input and number of threads."""
    contests: Contests = {}
    some = 1 if effort.quick else 2
    for name, (label, threads) in product(cases.INPUTS[:some], list(THREADS.items())[:some]):
        contests[f"{name}, {label}"] = race(families(name, threads, effort.quick), threads, effort)
    return contests


def table(contests: Contests) -> list[str]:
    """Secant against the loop, then everything."""
    lines = against_the_loop(contests)
    for name in cases.INPUTS:
        columns = {key.split(", ")[1]: contest for key, contest in contests.items() if key.startswith(name)}
        if columns:
            lines += ["", f"### {name}", "", *standings(columns, SERIES, ("", "by"), "ms", 1e3)]
    return lines


def against_the_loop(contests: Contests) -> list[str]:
    """The rows that README.md repeats."""
    rows = []
    for name, method, (label, threads) in product(cases.INPUTS, cases.methods("cpp"), THREADS.items()):
        if contest := contests.get(f"{name}, {label}"):
            samples, density = contest["samples"], make(name).density
            ours, loop = samples[f"Secant, {method} | differences"], samples[LOOP]
            cells = f"{median(ours) * 1e3:.2f}", f"{median(loop):.1f}", f"{ratio(loop, ours).median:,.0f}"
            rows.append([name, f"{density:.0%}", method, str(threads), *cells])
    columns = ["input", "non-zero", "method", "threads", "Secant, ms", "NumPy loop, s", "times faster"]
    return markdown(columns, rows)


def make(name: str, **options: Any) -> cases.Case:
    return cases.mnist(**options) if name == "MNIST" else cases.dense(**options)


def families(name: str, threads: int, quick: bool) -> dict[str, Family]:
    """What is timed, by library: what evaluates the loss for each parameter, but for the loop, on one thread only."""
    families: dict[str, Family] = {
        "NumPy": partial(numpy_steps, name),
        **{ours: partial(secant_steps, name, threads, backend) for backend, ours in cases.backends(quick).items()},
        "PyTorch": partial(torch_steps, name, threads),
        "JAX": partial(jax_steps, name),
    }
    if threads == 1:
        families |= {
            library: partial(sampled_steps, name, {library: way}) for library, way in differences.LIBRARIES.items()
        }
    return families


def sampled_steps(name: str, ways: dict[str, Callable[[cases.Case], differences.Derivatives]]) -> dict[str, Step]:
    """Libraries that evaluate the loss for each parameter: a step is a fraction of a gradient."""
    case, steps = make(name), {}
    expected = chosen(case.net.numerical_gradient(case.x, case.t, h=H))
    bound = 8 * np.finfo(float).eps * max(1.0, case.net.loss(case.x, case.t)) / H  # the loop's own rounding
    for library, way in ways.items():
        derivatives = way(case)
        require(library, derivatives(), expected, 1e-8 if "numdifftools" in library else bound)
        steps[f"{library} | differences, sampled"] = Step(derivatives, 1 / differences.share())
    return steps


def numpy_steps(name: str) -> dict[str, Step]:
    steps = sampled_steps(name, {"NumPy loop": differences.numpy_loop})
    case, expected, labels = backpropagation(name)
    for dtype, bound in zip(("float64", "float32"), BACKPROPAGATION, strict=True):
        net = peers.NumPy(cases.Data(case.x, labels, case.net.params), dtype, after=False)
        net.allocate(len(labels))
        net.xb = net.x
        call = partial(numpy_gradient, net, labels)
        call()
        require("NumPy", chosen(dict(zip(peers.KEYS, net.grads, strict=True))), expected, bound)
        steps[f"NumPy by hand, {dtype} | backpropagation"] = Step(call)
    return steps


def numpy_gradient(net: peers.NumPy, labels: NDArray[np.int64]) -> None:
    net.gradient(labels, net.forward(labels), 1.0)


def secant_steps(name: str, threads: int, backend: str) -> dict[str, Step]:
    cases.require_series(backend)
    case, expected, labels = backpropagation(name)
    net, ours = make(name, backend=backend).net, cases.BACKENDS[backend]
    loop = differences.numpy_loop(case)()
    steps = {}
    for method in cases.methods(backend):
        call = partial(net.numerical_gradient, case.x, labels, h=H, method=method, n_threads=threads)
        require(method, chosen(call()), loop, 8 * np.finfo(float).eps * case.net.loss(case.x, labels) / H)
        steps[f"{ours}, {method} | differences"] = Step(call)
    call = partial(net.gradient, case.x, labels, n_threads=threads)
    require("gradient", chosen(call()), expected, BACKPROPAGATION[0])
    return steps | {f"{ours}, float64 | backpropagation": Step(call)}


def torch_steps(name: str, threads: int) -> dict[str, Step]:
    import torch

    torch.set_num_threads(threads)
    steps = {}
    case, expected, labels = backpropagation(name)
    for dtype, bound in zip(("float64", "float32"), BACKPROPAGATION, strict=True):
        net = automatic.Torch(cases.Data(case.x, labels, case.net.params), dtype, after=False)
        call = partial(torch_gradient, net)
        grads = [grad.numpy() for grad in call()]
        require("PyTorch", chosen(dict(zip(peers.KEYS, grads, strict=True))), expected, bound)
        steps[f"PyTorch autograd, {dtype} | backpropagation"] = Step(call)
    return steps


def torch_gradient(net: automatic.Torch) -> Any:
    import torch

    return torch.autograd.grad(net.loss(net.x, net.t), net.p)


def jax_steps(name: str) -> dict[str, Step]:
    import jax

    case, expected, labels = backpropagation(name)
    steps = {}
    for dtype, bound in zip(("float64", "float32"), BACKPROPAGATION, strict=True):
        net = automatic.Jax(cases.Data(case.x, labels, case.net.params), dtype, after=False, scan=False)
        call = partial(jax_gradient, jax.jit(jax.grad(automatic.jax_loss)), net)
        require("JAX", chosen(call()), expected, bound)
        steps[f"JAX jit and grad, {dtype} | backpropagation"] = Step(call)
    return steps


def jax_gradient(grad: Any, net: automatic.Jax) -> Any:
    return {key: array.block_until_ready() for key, array in grad(net.p, net.x, net.t).items()}


def backpropagation(name: str) -> tuple[cases.Case, NDArray[np.float64], NDArray[np.int64]]:
    """The case, the derivatives that are right, and the labels."""
    case = make(name)
    return case, chosen(make(name, backend="numpy").net.gradient(case.x, case.t)), case.t.argmax(axis=1)


def require(name: str, got: NDArray[Any], expected: NDArray[np.float64], bound: float) -> None:
    error = np.abs(got - expected).max()
    if not error < bound:
        raise ValueError(f"{name} differs by {error:.1e}, more than {bound:.1e}: no timing is worth anything")


if __name__ == "__main__":
    alone(__doc__, measure, table)
