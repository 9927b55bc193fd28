"""How right each gradient is: 30 parameters of 784-50-10, a batch of 100, against 50
digits.

    python bench/precision.py [--quick]

The truth is MPFR's, of tests/oracles.py: the exact central difference at h = 1e-4, and
the derivative, which is the central difference at a step so small that 50 digits do not
see what it leaves out. That of float32 is the truth of parameters and inputs that
float32 can hold.
"""

import contextlib
import importlib
import sys
from functools import partial
from pathlib import Path

import numpy as np

import backpropagation
import cases
import differences
import secant
from differences import CHOSEN, Derivatives, H
from gradient import TOLERANCE, make
from tables import alone, markdown
from timing import Effort

sys.path.append(str(Path(__file__).parent.parent / "tests"))
oracles = importlib.import_module("oracles")

TINY = 1e-15
Errors = dict[str, dict[str, list[float]]]


def measure(effort: Effort) -> Errors:
    """The largest errors, against the central difference and against the derivative, by
    input and way.
    """
    names = cases.INPUTS[: 2 - effort.quick]
    return {
        name: {way: e for dtype in TOLERANCE for way, e in errors(name, dtype).items()}
        for name in names
    }


def errors(name: str, dtype: str) -> dict[str, list[float]]:
    case = in_type(name, dtype)
    truth = oracles.Network(case.net.params, case.x, case.t)
    index = {
        key: np.arange(param.size).reshape(param.shape)
        for key, param in case.net.params.items()
    }
    where = [
        (key, np.unravel_index(i, index[key].shape))
        for key, some in CHOSEN.items()
        for i in index[key][some].ravel()
    ]
    exact = [
        [truth.central_difference(key, i, step) for key, i in where]
        for step in (H, TINY)
    ]
    found = {
        f"{way} | {dtype}": derivatives()
        for way, derivatives in ways(name, dtype).items()
    }
    return {
        way: [
            float(
                max(
                    abs(oracles.mpfr(g) - e)
                    for g, e in zip(got.tolist(), true, strict=True)
                )
            )
            for true in exact
        ]
        for way, got in found.items()
    }


def in_type(name: str, dtype: str, backend: str | None = None) -> cases.Case:
    """The case with parameters and inputs of a type."""
    net, x, t = make(name, backend=backend, dtype=dtype)
    return cases.Case(net, x.astype(dtype), t)


def ways(name: str, dtype: str) -> dict[str, Derivatives]:
    """Everything that computes these derivatives; what is not installed is left out."""
    case, result = in_type(name, dtype), {}
    if dtype == "float64":
        result["NumPy loop"] = differences.numpy_loop(case)
        for library, way in differences.LIBRARIES.items():
            with contextlib.suppress(ImportError):
                result[library] = way(case)
    for backend, ours in cases.backends(quick=False).items():
        with contextlib.suppress(ImportError, secant.errors.UnsupportedError):
            cases.require_series(backend)
            net = in_type(name, dtype, backend).net
            for method in cases.methods(backend):
                result[f"{ours}, {method}"] = partial(
                    differences.whole, net.numerical_gradient, case, h=H, method=method
                )
            result[f"{ours}, backpropagation"] = partial(
                differences.whole, net.gradient, case
            )
    data = cases.Data(case.x, case.t.argmax(axis=1), case.net.params)
    for of in backpropagation.WAYS.values():
        for peer, take in of.items():
            with contextlib.suppress(ImportError):
                result[f"{peer}, backpropagation"] = partial(
                    backpropagation.derivatives, take(data, dtype)
                )
    return result


def table(measured: Errors) -> list[str]:
    """The largest errors."""
    what = "central difference", "derivative"
    columns = [
        "",
        "type",
        *(f"{name}: error as {kind}" for name in measured for kind in what),
    ]
    first = next(iter(measured.values()))
    rows = [
        [
            *way.split(" | "),
            *(f"{error:.1e}" for errors in measured.values() for error in errors[way]),
        ]
        for way in first
    ]
    return markdown(columns, rows, words=2)


if __name__ == "__main__":
    alone(__doc__, measure, table)
