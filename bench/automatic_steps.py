"""What `scheme="auto"` costs and how precise it is, beside numdifftools' default, on
functions with exact gradients.

    python bench/automatic_steps.py [--quick] [--write]    # --write puts the table into docs/records/functions.md

The functions are those of tests/checking/families.py, in 200 dimensions. Ratios of
errors are taken entry by entry, and their median; an error below the rounding of the
largest entry counts as that rounding.
"""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numdifftools import Gradient
from numpy.typing import NDArray

import secant
from tables import alone, markdown, significant
from timing import Counted, Effort

sys.path.append(str(Path(__file__).parent.parent / "tests" / "checking"))
families: Any = import_module("families")

SIZE = 200
Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """Of one function: the numbers of evaluations; of each entry the ratio of errors,
    bar over error, and coverage.
    """

    own: int
    other: int
    errors: Floats
    bars: Floats
    covered: NDArray[np.bool_]


def outcome(case: Any) -> Outcome:
    """Both gradients of a function."""
    own, other = Counted(case.f), Counted(case.f)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = secant.numerical_gradient(
            own, case.x.copy(), scheme="auto", full_output=True
        )
        found, bars = result.value, result.error
        theirs = Gradient(other)(case.x.copy())
    least = 2.0**-53 * np.abs(case.gradient).max() + np.finfo(np.float64).tiny
    error, their_error = (
        np.abs(gradient - case.gradient) for gradient in (found, theirs)
    )
    ratios = np.maximum(error, least) / np.maximum(their_error, least)
    return Outcome(
        own.calls, other.calls, ratios, bars / np.maximum(error, least), error <= bars
    )


def row(name: str, outcomes: list[Outcome]) -> list[str]:
    """Medians over functions, and over entries."""
    own, other = (
        np.median([(outcome.own, outcome.other) for outcome in outcomes], axis=0) / SIZE
    )
    errors, bars, covered = (
        np.concatenate(part) for part in list(zip(*outcomes, strict=True))[2:]
    )
    ratios = significant(float(np.median(errors))), significant(float(np.median(bars)))
    return [
        name,
        f"{significant(own)} of {significant(other)}",
        *ratios,
        f"{100 * float(np.mean(covered)):.2f} %",
    ]


def measure(effort: Effort) -> dict[str, list[Outcome]]:
    """By family of functions, and for those of which float32 holds the values."""
    rng, outcomes = np.random.default_rng(0), {}
    for rounded in (False, True):
        for name, family in families.FAMILIES.items():
            cases = [family(rng, SIZE) for _ in range(2 if effort.quick else 10)]
            label = name.replace("_", " ") + (", in float32" if rounded else "")
            outcomes[label] = [
                outcome(families.in_float32(case) if rounded else case)
                for case in cases
            ]
    return outcomes


def table(outcomes: dict[str, list[Outcome]]) -> list[str]:
    """A row for each family, and one for all."""
    every = [outcome for of_family in outcomes.values() for outcome in of_family]
    rows = [row(name, of_family) for name, of_family in outcomes.items()]
    columns = ["", "evaluations", "error / theirs", "bar / error", "covered"]
    return markdown(columns, [*rows, row("all, in the median", every)])


if __name__ == "__main__":
    alone(__doc__, measure, table, page="records/functions.md")
