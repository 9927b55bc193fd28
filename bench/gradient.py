"""Time one gradient of 784-50-10, all 39,760 parameters, a batch of 100: central
differences and backpropagation.

    python bench/gradient.py [--quick]

Answers are compared with the NumPy loop's, or the reference's backpropagation, before
anything is timed. Of the loop and of libraries that evaluate the loss for each
parameter, 30 parameters are timed and the rest extrapolated; the loop is run once as a
whole in whole_run.py.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import backpropagation
import cases
import differences
from differences import H, chosen
from peers import taking_part
from rivals import Family, Step, race
from tables import alone, by_input, markdown
from timing import Contests, Effort, median, ratio, require

LOOP, SERIES = (
    "NumPy loop | float64 | differences, sampled",
    "Secant, series | float64 | differences",
)
WORDS = "", "type", "by"
TOLERANCE = {"float64": 1e-12, "float32": 1e-8}  # of derivatives up to 0.01


def measure(effort: Effort) -> Contests:
    """Seconds per gradient, for each kind of input and number of threads."""
    contests: Contests = {}
    some = 1 if effort.quick else 2
    for name, (label, threads) in product(
        cases.INPUTS[:some], list(cases.THREADS.items())[:some]
    ):
        contests[f"{name}, {label}"] = race(
            families(name, threads, effort.quick), threads, effort
        )
    return contests


def table(contests: Contests) -> list[str]:
    """Secant against the loop, then everything."""
    return [
        *against_the_loop(contests),
        "",
        *by_input(contests, like, WORDS, "ms", 1e3),
    ]


def like(name: str) -> str:
    """Secant's numerical gradient in the type of a contestant."""
    return SERIES.replace("float64", name.split(" | ")[1])


def against_the_loop(contests: Contests) -> list[str]:
    """Secant against the loop, in rows of which the READMEs repeat some."""
    rows = []
    for name, method, (label, threads) in product(
        cases.INPUTS, cases.methods("cpp"), cases.THREADS.items()
    ):
        if contest := contests.get(f"{name}, {label}"):
            samples, density = contest["samples"], make(name).density
            ours, loop = (
                samples[f"Secant, {method} | float64 | differences"],
                samples[LOOP],
            )
            cells = (
                f"{median(ours) * 1e3:.2f}",
                f"{median(loop):.1f}",
                f"{ratio(loop, ours).median:,.0f}",
            )
            rows.append([name, f"{density:.0%}", method, str(threads), *cells])
    columns = [
        "input",
        "non-zero",
        "method",
        "threads",
        "Secant, ms",
        "NumPy loop, s",
        "times faster",
    ]
    return markdown(columns, rows)


def make(name: str, **options: Any) -> cases.Case:
    return cases.mnist(**options) if name == "MNIST" else cases.dense(**options)


def families(name: str, threads: int, quick: bool) -> dict[str, Family]:
    """What is timed, by library: what evaluates the loss for each parameter, but for
    the loop, on one thread only.
    """
    ways = taking_part(backpropagation.WAYS, backpropagation.COMPILED, name, quick)
    families: dict[str, Family] = {
        "NumPy loop": partial(
            sampled_steps, name, {"NumPy loop": differences.numpy_loop}
        ),
        **{
            ours: partial(secant_steps, name, threads, backend)
            for backend, ours in cases.backends(quick).items()
        },
        **{
            library: partial(backpropagation_steps, name, of)
            for library, of in ways.items()
        },
    }
    if threads == 1:
        families |= {
            f"{library}, sampled": partial(sampled_steps, name, {library: way})
            for library, way in differences.LIBRARIES.items()
        }
    return families


def sampled_steps(
    name: str, ways: dict[str, Callable[[cases.Case], differences.Derivatives]]
) -> dict[str, Step]:
    """Libraries that evaluate the loss for each parameter: a step is a fraction of a
    gradient.
    """
    case, steps = make(name), {}
    expected = chosen(case.net.numerical_gradient(case.x, case.t, h=H))
    for library, way in ways.items():
        derivatives = way(case)
        require(
            library,
            derivatives(),
            expected,
            1e-8 if "numdifftools" in library else rounding_of_the_loop(case),
        )
        steps[f"{library} | float64 | differences, sampled"] = Step(
            derivatives, 1 / differences.share()
        )
    return steps


def secant_steps(name: str, threads: int, backend: str) -> dict[str, Step]:
    cases.require_series(backend)
    case, expected, labels = right(name)
    ours, loop, steps = cases.BACKENDS[backend], differences.numpy_loop(case)(), {}
    for dtype, bound in TOLERANCE.items():
        net = make(name, backend=backend, dtype=dtype).net
        x = case.x.astype(dtype, copy=False)
        for method in cases.methods(backend):
            call = partial(
                net.numerical_gradient, x, labels, h=H, method=method, n_threads=threads
            )
            require(
                f"{ours}, {method}, {dtype}",
                chosen(call()),
                loop,
                max(bound, rounding_of_the_loop(case)),
            )
            steps[f"{ours}, {method} | {dtype} | differences"] = Step(call)
        call = partial(net.gradient, x, labels, n_threads=threads)
        require(f"{ours}, {dtype}", chosen(call()), expected, bound)
        steps[f"{ours} | {dtype} | backpropagation"] = Step(call)
    return steps


def backpropagation_steps(
    name: str, ways: dict[str, backpropagation.Way]
) -> dict[str, Step]:
    """The peers of one library, in both types."""
    case, expected, labels = right(name)
    data, steps = cases.Data(case.x, labels, case.net.params), {}
    for (peer, way), (dtype, bound) in product(ways.items(), TOLERANCE.items()):
        call = way(data, dtype)
        require(f"{peer}, {dtype}", backpropagation.derivatives(call), expected, bound)
        steps[f"{peer} | {dtype} | backpropagation"] = Step(call)
    return steps


def right(name: str) -> tuple[cases.Case, NDArray[np.float64], NDArray[np.int64]]:
    """The case, the derivatives that are right, and the labels."""
    case = make(name)
    return (
        case,
        chosen(make(name, backend="numpy").net.gradient(case.x, case.t)),
        case.t.argmax(axis=1),
    )


def rounding_of_the_loop(case: cases.Case) -> float:
    """What a difference of two losses may err by."""
    return float(8 * np.finfo(float).eps * max(1.0, case.net.loss(case.x, case.t)) / H)


if __name__ == "__main__":
    alone(__doc__, measure, table)
