"""What `scheme="auto"` costs and how precise it is, beside numdifftools' default, on functions with exact gradients.

    python bench/automatic_steps.py [--quick] [--write]    # --write puts the table into docs/functions_method.md

The functions are those of tests/checking/families.py, in 200 dimensions. Ratios of errors are taken entry by entry, and
their median; an error below the rounding of the largest entry counts as that rounding.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numdifftools import Gradient
from numpy.typing import NDArray

import secant
from tables import markdown, put, significant

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "functions_method.md"
SIZE = 200
Floats = NDArray[np.float64]


class Counted:
    """A function that counts its calls."""

    def __init__(self, f: Callable[[Floats], Any]) -> None:
        self.f, self.calls = f, 0

    def __call__(self, x: Floats) -> Any:
        self.calls += 1
        return self.f(x)


class Outcome(NamedTuple):
    """Of one function: the numbers of evaluations; of each entry the ratio of errors, bar over error, and coverage."""

    own: int
    other: int
    errors: Floats
    bars: Floats
    covered: NDArray[np.bool_]


def measured(case: Any) -> Outcome:
    """Both gradients of a function."""
    own, other = Counted(case.f), Counted(case.f)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = secant.numerical_gradient(own, case.x.copy(), scheme="auto", full_output=True)
        found, bars = result.value, result.error
        theirs = Gradient(other)(case.x.copy())
    least = 2.0**-53 * np.abs(case.gradient).max() + np.finfo(np.float64).tiny
    error, their_error = (np.abs(gradient - case.gradient) for gradient in (found, theirs))
    ratios = np.maximum(error, least) / np.maximum(their_error, least)
    return Outcome(own.calls, other.calls, ratios, bars / np.maximum(error, least), error <= bars)


def row(name: str, outcomes: list[Outcome]) -> list[str]:
    """Medians over functions, and over entries."""
    own, other = np.median([(outcome.own, outcome.other) for outcome in outcomes], axis=0) / SIZE
    errors, bars, covered = (np.concatenate(part) for part in list(zip(*outcomes, strict=True))[2:])
    ratios = significant(float(np.median(errors))), significant(float(np.median(bars)))
    return [name, f"{significant(own)} of {significant(other)}", *ratios, f"{100 * float(np.mean(covered)):.2f} %"]


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer functions")
    parser.add_argument("--write", action="store_true", help="into docs/functions_method.md")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "checking"))
    families: Any = import_module("families")

    rng, every, rows = np.random.default_rng(0), [], []
    for rounded in (False, True):
        for name, family in families.FAMILIES.items():
            cases = [family(rng, SIZE) for _ in range(2 if options.quick else 10)]
            outcomes = [measured(families.in_float32(case) if rounded else case) for case in cases]
            every += outcomes
            rows.append(row(name.replace("_", " ") + (", in float32" if rounded else ""), outcomes))
    columns = ["", "evaluations", "error / theirs", "bar / error", "covered"]
    lines = markdown(columns, [*rows, row("all, in the median", every)])
    print("\n".join(lines))
    if options.write:
        put(PAGE, "automatic_steps.py", lines)


if __name__ == "__main__":
    main()
