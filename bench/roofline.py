"""What this machine can do, and the share of it that Secant reaches: 784-50-10, mini-batches of 100, one thread.

    python bench/roofline.py [--quick]

roofline.cpp has the operations that the work consists of, each as fast as the compiler makes it. The ceiling of a job
is the time of the operations that it needs, one after the other and with nothing between them:

- MNIST: a gather per non-zero for each forward pass, a read-modify-write for the gradient of W1, sample by sample, or
  in blocks of inputs whose weights stay in the L1 cache; dense: multiply-adds, of the third order in float32, which
  is twice as fast;
- the small layer's products: one for each forward pass, one for the gradient of W2, one for each order of the series;
- exp or a sigmoid: one per hidden unit, two per output, and one for the logarithm of a sample;
- writing the gradient of W1, where it is returned.

Then the products of dense inputs, in both types, as a share of the multiply-adds that the processor does in registers:
the tiles of Secant's core alone (products.cpp), and the same products by NumPy's BLAS; then a whole forward pass, and
what a gradient takes beyond it.
"""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import product
from operator import truediv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import cases
import secant
import training
from differences import H as STEP
from peers import Secant
from rivals import Step, race
from tables import markdown, significant
from timing import Contests, Effort, Samples, alone, median, ratio

INPUTS, HIDDEN, OUTPUTS, SAMPLES = 784, 50, 10, 100
LAYOUTS = {"rows": INPUTS, "blocks": 112}
"""So many inputs are taken of all samples before the next. Of 112, as Secant takes them, the weights stay in L1."""
WIDTHS, ALIGNMENT, PADDED = (32, 64), 64, 56  # bytes of a vector, of a cache line; doubles of a row of HIDDEN
CONTEST = "one thread"
HERE = Path(__file__).parent


class Job(NamedTuple):
    """What one call of Secant has to do."""

    inputs: str
    forward_passes: int
    orders: int  # coefficients of the series: 1 is backpropagation
    returns: bool  # whether the gradient is written out


DENSE = {"784-50-10 x 100": (50, 100), "784-512-10 x 1,000": (512, 1_000)}  # hidden units and samples
FLOPS = {"float64": "flop", "float32": "flop of float32"}
TIMES = 10  # calls of a function of products.cpp in one measurement
PRODUCTS = {
    "forward": "forward tiles",
    "contract": "contraction tiles",
    "forward by BLAS": "forward, BLAS",
    "contract by BLAS": "contraction, BLAS",
}
"""Products of dense inputs: functions of products.cpp, and what NumPy has."""
OPERATIONS: dict[str, tuple[str, str, Callable[[float, float], float]]] = {  # from seconds, and those of a cycle
    "flop": ("multiply-add in registers", " GFLOP/s", lambda seconds, _: 1e-9 / seconds),
    "flop of float32": ("the same in float32", " GFLOP/s", lambda seconds, _: 1e-9 / seconds),
    "byte of L1": ("read, 16 kB", " GB/s", lambda seconds, _: 1e-9 / seconds),
    "byte of L2": ("read, 256 kB", " GB/s", lambda seconds, _: 1e-9 / seconds),
    "gather of rows": ("gather and accumulate a row of 50, weights in L2", " cycles a non-zero", truediv),
    "gather of blocks": ("the same in blocks, weights in L1", " cycles a non-zero", truediv),
    "modify1 of rows": ("read, modify and write a row of 50, weights in L2", " cycles a non-zero", truediv),
    "modify1 of blocks": ("the same in blocks, weights in L1", " cycles a non-zero", truediv),
    "modify2 of rows": ("with two coefficients, for the series, weights in L2", " cycles a non-zero", truediv),
    "modify2 of blocks": ("the same in blocks, weights in L1", " cycles a non-zero", truediv),
    "element": ("13 multiply-adds and a division", " cycles an element", truediv),
}
JOBS = {
    "gradient, numerical": (1, 2, True),
    "gradient, backpropagation": (1, 1, True),
    "training iteration, numerical": (2, 2, False),
    "training iteration, backpropagation": (2, 1, False),
}


def jobs() -> dict[str, Job]:
    return {f"{name}, {inputs}": Job(inputs, *job) for inputs in cases.INPUTS for name, job in JOBS.items()}


def measure(effort: Effort) -> Contests:
    """Seconds per flop, byte, non-zero and element of the machine, and seconds per call of Secant."""
    return {CONTEST: race({"the machine": machine_steps, "Secant": secant_steps, "dense": dense_steps}, 1, effort)}


def machine_steps() -> dict[str, Step]:
    library = compiled("roofline.cpp")

    def step(name: str, iterations: float, *arguments: int | NDArray[Any]) -> Step:
        passed = (
            a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else ctypes.c_size_t(a) for a in arguments
        )
        return Step(partial(getattr(library, name), *passed), iterations)

    x = cases.mnist(SAMPLES).x
    layers = {layout: layer(x, width) for layout, width in LAYOUTS.items()}
    steps = {"cycle": step("cycles", 160_000, 10_000)}
    for width in WIDTHS:
        steps[f"flop | {width}"] = step(f"fma_{width}", 20_000 * 24 * width // 8, 20_000)
        steps[f"flop of float32 | {width}"] = step(f"fma_single_{width}", 20_000 * 24 * width // 4, 20_000)
        for cache, size in (("L1", 2_048), ("L2", 32_768)):
            steps[f"byte of {cache} | {width}"] = step(f"read_{width}", 50 * 8 * size, 50, aligned(size), size)
        steps[f"element | {width}"] = step(f"elementary_{width}", 20_480, 10, aligned(2_048), 2_048)
        for name, (layout, arrays) in product(("gather", "modify1", "modify2"), layers.items()):
            steps[f"{name} of {layout} | {width}"] = step(f"{name}_{width}", int(np.count_nonzero(x)), SAMPLES, *arrays)
    return steps


def layer(x: NDArray[Any], width: int) -> tuple[int | NDArray[Any], ...]:
    """What the sparse operations of roofline.cpp take, for blocks of so many inputs."""
    blocks = [x[:, first : first + width] for first in range(0, INPUTS, width)]
    starts = np.append(0, np.cumsum([(block != 0).sum(axis=1) for block in blocks]))
    columns = np.concatenate([b * width + block.nonzero()[1] for b, block in enumerate(blocks)]).astype(np.int32)
    values = np.concatenate([block[block != 0] for block in blocks]).astype(np.float64)
    return len(blocks), starts, columns, values, aligned(INPUTS * PADDED), aligned(2 * SAMPLES * PADDED)


def compiled(source: str, *options: str) -> ctypes.CDLL:
    """A file of this folder, as a library."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise ImportError("measuring it needs a C++ compiler")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "library.so")
        common = "-O3", "-march=native", "-std=c++20", "-shared", "-fPIC", "-Wno-psabi"
        subprocess.run([compiler, *common, *options, "-o", library, HERE / source], check=True)
        return ctypes.CDLL(str(library))


def aligned(size: int, dtype: Any = np.float64) -> NDArray[Any]:
    """Zeros that begin a cache line."""
    memory = np.zeros(size + ALIGNMENT, dtype)
    return memory[-memory.ctypes.data % ALIGNMENT // memory.itemsize :][:size]


def secant_steps() -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for inputs, make in (("MNIST", cases.mnist), ("dense", cases.dense)):
        case, data = make(SAMPLES), cases.training_set(inputs)
        labels, stream = case.t.argmax(axis=1), np.random.RandomState(0)
        numerical = partial(case.net.numerical_gradient, case.x, labels, h=STEP, n_threads=1)
        backward = partial(case.net.gradient, case.x, labels, n_threads=1)
        calls = [Step(numerical), Step(backward)]
        for kind in (True, False):
            descend = partial(training.descend, Secant(data, "cpp", kind, 1), data, stream)
            calls.append(Step(descend, training.STEPS, cold=True))
        steps |= dict(zip((f"{job}, {inputs}" for job in JOBS), calls, strict=True))
    return steps


def dense_steps() -> dict[str, Step]:
    """Forward passes, gradients by backpropagation, and their tiles: an iteration is a flop of one product."""
    steps: dict[str, Step] = {}
    as_core = (
        "-ffp-contract=off",
        "-fno-math-errno",
        "-mprefer-vector-width=512",
        f"-I{HERE.parent / 'cpp' / 'include'}",
    )
    kinds = {"float64": as_core, "float32": (*as_core, "-DSECANT_SINGLE")}
    tiles = {dtype: compiled("products.cpp", *options) for dtype, options in kinds.items()}
    rng = np.random.RandomState(0)
    for (name, (hidden, samples)), dtype in product(DENSE.items(), FLOPS):
        net = secant.TwoLayerNet(INPUTS, hidden, OUTPUTS, rng=0, dtype=np.dtype(dtype))
        x = rng.uniform(0.01, 1, (samples, INPUTS)).astype(dtype)
        flops = 2 * samples * INPUTS * hidden
        steps[f"predict | {name} | {dtype}"] = Step(partial(net.predict, x), flops)
        backward = partial(net.gradient, x, rng.randint(OUTPUTS, size=samples), n_threads=1)
        steps[f"gradient | {name} | {dtype}"] = Step(backward, flops)
        for function, call in tile_products(tiles[dtype], x, hidden).items():
            steps[f"{function} | {name} | {dtype}"] = Step(call, TIMES * flops)
        w = rng.uniform(size=(INPUTS, hidden)).astype(dtype)
        z = x @ w
        blas = partial(np.matmul, x, w, out=z), partial(np.matmul, x.T, z, out=np.empty_like(w))
        for function, call in zip(("forward", "contract"), blas, strict=True):
            steps[f"{function} by BLAS | {name} | {dtype}"] = Step(call, flops)
    return steps


def tile_products(library: ctypes.CDLL, x: NDArray[Any], hidden: int) -> dict[str, Callable[[], object]]:
    """The functions of products.cpp for these inputs, after a look at what they compute."""
    panels, units, width = (
        getattr(library, f"{quantity}_for")(ctypes.c_size_t(hidden)) for quantity in ("panels", "units", "width")
    )
    w, z, gradient = (
        aligned(panels * rows * width, x.dtype).reshape(panels, rows, width) for rows in (INPUTS, len(x), INPUTS)
    )
    lane, panel = np.arange(width), np.arange(panels).reshape(-1, 1, 1)
    exist = (lane < units) & (panel * units + lane < hidden)  # the other lanes fill up a row
    w[:] = np.random.RandomState(1).uniform(size=w.shape) * exist
    calls: dict[str, Callable[[], object]] = {}
    for function, arrays in {"forward": (x, w, z), "contract": (x, gradient, z)}.items():
        passed = *map(ctypes.c_size_t, (*x.shape, hidden)), *(a.ctypes.data_as(ctypes.c_void_p) for a in arrays)
        calls[function] = partial(getattr(library, function), ctypes.c_size_t(TIMES), *passed)
        getattr(library, function)(ctypes.c_size_t(1), *passed)
    np.testing.assert_allclose(z, x @ w, rtol=1e-5)
    np.testing.assert_allclose(gradient, x.T @ z, rtol=1e-5)
    return calls


def table(contests: Contests) -> list[str]:
    """What the machine does, and the share of it that Secant reaches."""
    contest = contests[CONTEST]
    if contest["missing"]:
        return [f"Not measured: {reason}." for reason in contest["missing"].values()]
    samples = contest["samples"]
    cycle = median(samples["cycle"])
    best = {name: fastest(samples, name) for name in OPERATIONS if f"{name} | {WIDTHS[0]}" in samples}
    lines = markdown(
        ["operation, float64", "rate"],
        [
            [text, significant(convert(median(best[name]), cycle)) + unit]
            for name, (text, unit, convert) in OPERATIONS.items()
            if name in best
        ],
    )
    rows = []
    for name, job in jobs().items():
        row = [name, f"{median(samples[name]) * 1e6:.0f}"]
        for layout in LAYOUTS:
            limit = ceiling(job, best, layout)
            share = ratio(limit, samples[name])
            row += [f"{median(limit) * 1e6:.0f}", share.written(".0%")]
        rows.append(row)
    columns = ["job", "Secant, µs", "sample by sample, µs", "share", "in blocks, µs", "share"]
    lines += ["", *markdown(columns, rows)]
    return [*lines, "", *dense_products(samples)] if any(name.startswith("predict") for name in samples) else lines


def dense_products(samples: Samples) -> list[str]:
    """The share of multiply-adds in registers that the products with dense inputs reach."""
    rows = []
    for name, (dtype, flop) in product(DENSE, FLOPS.items()):
        *products, predict, gradient = (
            samples[f"{part} | {name} | {dtype}"] for part in (*PRODUCTS, "predict", "gradient")
        )
        parts = [*products, predict, np.subtract(gradient, predict).tolist()]
        limit = fastest(samples, flop)
        rows.append([f"{name}, {dtype}", *(f"{ratio(limit, seconds).median:.0%}" for seconds in parts)])
    return markdown(["dense", *PRODUCTS.values(), "forward pass", "gradient beyond it"], rows)


def fastest(samples: Samples, name: str) -> list[list[float]]:
    """The samples of an operation with the width of vectors that is faster."""
    return min((samples[f"{name} | {width}"] for width in WIDTHS), key=median)


def ceiling(job: Job, best: Samples, layout: str) -> list[list[float]]:
    """Seconds that the operations of a job take, round by round."""
    nonzeros = int((cases.mnist(SAMPLES).x != 0).sum())
    layer_flops = 2 * SAMPLES * HIDDEN
    work: dict[str, float] = {"flop": layer_flops * OUTPUTS * (job.forward_passes + 1 + job.orders)}
    if job.inputs == "dense":
        work["flop"] += layer_flops * INPUTS * (job.forward_passes + 1 + (job.orders - 1) / 2)
    else:
        work |= {f"gather of {layout}": nonzeros * job.forward_passes, f"modify{job.orders} of {layout}": nonzeros}
    work["element"] = SAMPLES * (HIDDEN + 2 * OUTPUTS + 1) * job.forward_passes
    work["byte of L2"] = 8 * INPUTS * HIDDEN * job.returns
    seconds = sum(amount * np.array(best[name]) for name, amount in work.items())
    return np.asarray(seconds).tolist()  # type: ignore[no-any-return]


if __name__ == "__main__":
    alone(__doc__, measure, table)
