"""How right each numerical gradient is: 30 parameters of 784-50-10, a batch of 100, against 50 digits.

    python bench/precision.py [--quick]

The truth is mpmath's, of tests/oracles.py: the exact central difference at h = 1e-4, and the derivative, which is the
central difference at a step so small that 50 digits do not see what it leaves out.
"""

import contextlib
import importlib
import sys
from functools import partial
from pathlib import Path

import numpy as np

import cases
import differences
import secant
from differences import CHOSEN, Derivatives, H
from tables import markdown
from timing import Effort, alone

sys.path.append(str(Path(__file__).parent.parent / "tests"))
oracles = importlib.import_module("oracles")

TINY = 1e-15
Errors = dict[str, dict[str, list[float]]]


def measure(effort: Effort) -> Errors:
    """The largest errors, against the central difference and against the derivative, by input and way."""
    return {name: errors(make()) for name, make in (("MNIST", cases.mnist), ("dense", cases.dense))[: 2 - effort.quick]}


def errors(case: cases.Case) -> dict[str, list[float]]:
    truth = oracles.Network(case.net.params, case.x, case.t)
    index = {key: np.arange(param.size).reshape(param.shape) for key, param in case.net.params.items()}
    where = [
        (key, np.unravel_index(i, index[key].shape)) for key, some in CHOSEN.items() for i in index[key][some].ravel()
    ]
    exact = [[truth.central_difference(key, i, step) for key, i in where] for step in (H, TINY)]
    found = {name: derivatives() for name, derivatives in ways(case).items()}
    return {
        name: [
            float(max(abs(oracles.mp.mpf(g) - e) for g, e in zip(got.tolist(), column, strict=True)))
            for column in exact
        ]
        for name, got in found.items()
    }


def ways(case: cases.Case) -> dict[str, Derivatives]:
    """Everything that computes these derivatives; what is not installed is left out."""
    result = {"NumPy loop": differences.numpy_loop(case)}
    for name, way in differences.LIBRARIES.items():
        with contextlib.suppress(ImportError):
            result[name] = way(case)
    for backend, name in cases.backends(quick=False).items():
        with contextlib.suppress(ImportError, secant.UnsupportedError):
            cases.require_series(backend)
            net = cases.mnist(backend=backend).net
            for method in cases.methods(backend):
                result[f"{name}, {method}"] = partial(
                    differences.whole, net.numerical_gradient, case, h=H, method=method
                )
            result[f"{name}, backpropagation"] = partial(differences.whole, net.gradient, case)
    return result


def table(measured: Errors) -> list[str]:
    """The largest errors."""
    columns = ["", *(f"{name}: error as {what}" for name in measured for what in ("central difference", "derivative"))]
    first = next(iter(measured.values()))
    rows = [[way, *(f"{error:.1e}" for errors in measured.values() for error in errors[way])] for way in first]
    return markdown(columns, rows)


if __name__ == "__main__":
    alone(__doc__, measure, table)
