"""Accuracy, evaluations and coverage on the test functions of SciPy and numdifftools,
side by side.

    python bench/differentiation_suites.py [--quick] [--write]    # --write puts them into docs/records/derivatives.md

Errors are relative to the largest entry of a derivative, and never below the rounding
of float64, which counts as 0. A bar covers the truth if the truth is no further away
than the bar says, and 10 roundings.
"""

import math
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numdifftools
import numpy as np
from numdifftools.example_functions import function_names, get_function
from numpy.typing import NDArray
from scipy import differentiate, stats
from scipy.optimize import rosen, rosen_der, rosen_hess
from scipy.optimize._numdiff import approx_derivative
from scipy.stats._distr_params import distcont

import secant
from tables import alone, markdown
from timing import Counted, Effort

EPS = float(np.finfo(np.float64).eps)
Floats = NDArray[Any]


class Case(NamedTuple):
    """A function, a point, and the derivative there."""

    name: str
    f: Callable[..., Any]
    x: Any
    truth: Any
    bounds: Any = None


class Answer(NamedTuple):
    """A derivative, its error bars if there are any, and the evaluations that it
    took.
    """

    value: Any
    error: Any
    evaluations: int


# ---- the cases -----------------------------------------------------------------------


def of_scipy() -> list[Case]:
    """The functions of SciPy's own tests of `approx_derivative`, at their points."""
    c0 = -1.0
    vector = np.array([-100.0, 0.2])
    cases = [
        Case("sinh", lambda x: np.sinh(x[0]), [1.0], np.array([[np.cosh(1.0)]])),
        Case("powers", _powers, [0.5], np.array([[1.0], [2 * 0.5], [np.exp(0.5)]])),
        Case(
            "one output",
            _one_output,
            [100.0, -0.5],
            _one_output_jacobian(np.array([100.0, -0.5])),
        ),
        Case("three outputs", _outputs, vector, _outputs_jacobian(vector)),
        Case(
            "three outputs, near 0",
            _outputs,
            [-0.1, 0.1],
            _outputs_jacobian(np.array([-0.1, 0.1])),
        ),
        Case(
            "at bounds",
            _outputs,
            [-1.0, 1.0],
            _outputs_jacobian(np.array([-1.0, 1.0])),
            (-np.ones(2), np.ones(2)),
        ),
        Case(
            "at bounds, positive",
            _outputs,
            [1.0, 2.0],
            _outputs_jacobian(np.array([1.0, 2.0])),
            ([1, 1], [2, 2]),
        ),
        Case(
            "tight bounds",
            _outputs,
            [10.0, 10.0],
            _outputs_jacobian(np.array([10.0, 10.0])),
            (10 - 3e-9, 10 + 2e-9),
        ),
        Case(
            "exponentials",
            lambda x: np.array([np.exp(c0 * x[0]), np.exp(x[1])]),
            [1.0, 1.0],
            np.array([[c0 * np.exp(c0), 0], [0, np.e]]),
            (0.0, 2.0),
        ),
        Case(
            "a product",
            lambda x: np.array([x[0] * x[1], np.cos(x[0] * x[1])]),
            [-10.0, 10.0],
            np.array([[10.0, -10.0], [-10 * np.sin(-100), 10 * np.sin(-100)]]),
        ),
        Case(
            "a step",
            lambda x: x[0] if abs(x[0]) <= 1e-8 else np.nan,
            [0.0],
            np.ones((1, 1)),
            (-1e-8, 1e-8),
        ),
        Case(
            "plain Python", lambda x: math.exp(float(x[0])), [1.0], np.array([[np.e]])
        ),
    ]
    n = 50
    x = -np.ones(n) / np.arange(1, n + 1)
    return [*cases, Case("tridiagonal", _tridiagonal, x, _tridiagonal_jacobian(x))]


def _powers(x: Floats) -> Floats:
    return np.array([x[0], x[0] ** 2, np.exp(x[0])])


def _one_output(x: Floats) -> Any:
    return np.sin(x[0] * x[1]) * np.log(x[0])


def _one_output_jacobian(x: Floats) -> Floats:
    a, b = x
    return np.array(
        [
            [
                b * np.cos(a * b) * np.log(a) + np.sin(a * b) / a,
                a * np.cos(a * b) * np.log(a),
            ]
        ]
    )


def _outputs(x: Floats) -> Floats:
    return np.array(
        [
            x[0] * np.sin(x[1]),
            x[1] * np.cos(x[0]),
            x[0] ** 3 * x[1] ** -0.5 if x[1] > 0 else x[0],
        ]
    )


def _outputs_jacobian(x: Floats) -> Floats:
    a, b = x
    return np.array(
        [
            [np.sin(b), a * np.cos(b)],
            [-b * np.sin(a), np.cos(a)],
            [3 * a**2 * b**-0.5, -0.5 * a**3 * b**-1.5],
        ]
    )


def _tridiagonal(x: Floats) -> Floats:
    f: Floats = x**3 - 2 * x
    f[1:] -= x[:-1] ** 2
    f[:-1] -= x[1:] ** 2
    return f


def _tridiagonal_jacobian(x: Floats) -> Floats:
    result: Floats = (
        np.diag(3 * x**2 - 2) + np.diag(-2 * x[:-1], -1) + np.diag(-2 * x[1:], 1)
    )
    return result


def of_distributions() -> list[Case]:
    """The cumulative distribution functions of SciPy's continuous distributions; the
    truth is their density.
    """
    cases = []
    for name, parameters in distcont:
        if name in ("studentized_range", "levy_stable"):  # a second for each value
            continue
        frozen = getattr(stats, name)(*parameters)
        x = float(frozen.ppf(0.3))
        cases.append(Case(name, frozen.cdf, x, float(frozen.pdf(x))))
    return cases


def of_numdifftools() -> list[Case]:
    """The example functions of numdifftools, at five points each."""
    cases = []
    for name in function_names:
        f, derivative = get_function(name, 1)
        for x in (0.05, 0.25, 0.5, 0.75, 0.95):
            cases.append(Case(f"{name} at {x}", f, x, float(derivative(x))))
    return cases


def of_gradients() -> list[Case]:
    """The gradients of numdifftools' tests and examples."""
    small, rng = np.array([1.0, 2.0, 3.0]), np.random.default_rng(0)
    xs, ys = rng.random(10), rng.random(10)

    def fit(c: Floats) -> Any:
        return np.sum((ys - (c[0] + c[1] * np.exp(c[2] * xs))) ** 2)

    c = np.array([0.5, 0.3, 0.7])
    residual = ys - (c[0] + c[1] * np.exp(c[2] * xs))
    parts = [np.ones(10), np.exp(c[2] * xs), c[1] * xs * np.exp(c[2] * xs)]
    return [
        Case("sum of squares", lambda x: np.sum(x**2), small, 2 * small),
        Case(
            "x - y",
            lambda x: np.sin(x[0] - x[1]) + x[1] * np.exp(x[0]),
            [1.0, 1.0],
            [1 + np.e, -1 + np.e],
        ),
        Case("Rosenbrock, 2", rosen, [0.5, 0.7], rosen_der(np.array([0.5, 0.7]))),
        Case(
            "Rosenbrock, 10",
            rosen,
            np.linspace(-1, 2, 10),
            rosen_der(np.linspace(-1, 2, 10)),
        ),
        Case("least squares", fit, c, [-2 * np.sum(residual * part) for part in parts]),
        Case(
            "exponential",
            lambda x: np.exp(x @ small),
            [0.1, -0.2, 0.3],
            np.exp(0.6) * small,
        ),
        Case(
            "large and small x",
            lambda x: x[0] ** 2 * 1e-12 + np.exp(1e4 * x[1]),
            [1e6, 1e-4],
            [2e-6, 1e4 * np.e],
        ),
    ]


def of_hessians() -> list[Case]:
    """Hessians of numdifftools' tests, and others."""
    small, rng = np.array([1.0, 2.0, -1.0]), np.random.default_rng(0)
    a = rng.normal(size=(5, 5))
    third, fourth = np.array([1.2, 1.0, 0.8]), np.array([0.3, -0.4, 1.0, 0.0])
    y = secant.softmax(fourth)
    return [
        Case(
            "cos(x - y)",
            lambda x: np.cos(x[0] - x[1]),
            [0.0, 0.0],
            np.array([[-1.0, 1.0], [1.0, -1.0]]),
        ),
        Case("Rosenbrock, 2", rosen, [1.0, 1.0], rosen_hess(np.ones(2))),
        Case("Rosenbrock, 3", rosen, third, rosen_hess(third)),
        Case(
            "Rosenbrock, 10",
            rosen,
            np.linspace(-1, 2, 10),
            rosen_hess(np.linspace(-1, 2, 10)),
        ),
        Case("quadratic", lambda x: x @ (a + a.T) @ x / 2, np.arange(5.0), a + a.T),
        Case(
            "exponential",
            lambda x: np.exp(x @ small),
            [0.1, 0.2, 0.3],
            np.exp(0.2) * np.outer(small, small),
        ),
        Case(
            "logarithms",
            lambda x: np.log(x).sum() + x[0] * x[1],
            [0.5, 2.0],
            np.array([[-4.0, 1.0], [1.0, -0.25]]),
        ),
        Case(
            "log of a sum",
            lambda x: np.log(np.sum(np.exp(x))),
            fourth,
            np.diag(y) - np.outer(y, y),
        ),
    ]


# ---- those who compute ---------------------------------------------------------------

Method = Callable[[Case, Counted], Answer]


def ours(call: Callable[..., Any], **options: Any) -> Method:
    """One of our functions; ``full_output`` where there are error bars."""

    def compute(case: Case, f: Counted) -> Answer:
        bounds = {} if case.bounds is None else {"bounds": case.bounds}
        found = call(f, case.x, **options, **bounds)
        if options.get("full_output"):
            return Answer(found.value, found.error, f.calls)
        return Answer(found, None, f.calls)

    return compute


def scipys(method: str) -> Method:
    """`scipy.optimize._numdiff.approx_derivative`, which `scipy.optimize.minimize`
    uses.
    """

    def compute(case: Case, f: Counted) -> Answer:
        bounds = (-np.inf, np.inf) if case.bounds is None else case.bounds
        return Answer(
            approx_derivative(f, case.x, method, bounds=bounds), None, f.calls
        )

    return compute


def scipy_differentiate(case: Case, _: Counted) -> Answer:
    """`scipy.differentiate.derivative`, with its default tolerance."""
    found = differentiate.derivative(case.f, case.x)
    return Answer(found.df, found.error, int(found.nfev))


def numdifftool(make: Any) -> Method:
    """One of numdifftools' classes, with its default options."""

    def compute(case: Case, f: Counted) -> Answer:
        found = make(f, full_output=True)(case.x)
        return Answer(found.estimate, found.error_estimate, f.calls)

    return compute


FIXED = {
    "forward, h=1e-4 (the chapter's h)": {"scheme": "forward"},
    "forward, h=None": {"scheme": "forward", "h": None},
    "central, h=1e-4 (the default)": {},
    "central, h=None": {"h": None},
    "five-point, h=None": {"scheme": "five-point", "h": None},
}
AUTO = {"auto": {"scheme": "auto", "full_output": True}}
SCIPY = {"SciPy 2-point": scipys("2-point"), "SciPy 3-point": scipys("3-point")}


def contests() -> dict[str, tuple[list[Case], dict[str, Method]]]:
    """The tables: their cases, and who takes part."""

    def with_ours(
        call: Callable[..., Any], choices: dict[str, Any]
    ) -> dict[str, Method]:
        return {
            f"Secant {name}": ours(call, **options) for name, options in choices.items()
        }

    jacobians, scalars = secant.numerical_jacobian, secant.numerical_diff
    derivative = {"numdifftools Derivative": numdifftool(numdifftools.Derivative)}
    scalar = (
        with_ours(scalars, FIXED | AUTO)
        | SCIPY
        | {"scipy.differentiate": scipy_differentiate}
        | derivative
    )
    gradient = {"numdifftools Gradient": numdifftool(numdifftools.Gradient)}
    hessians = with_ours(
        secant.numerical_hessian, {"numerical_hessian": {"full_output": True}}
    )
    return {
        "SciPy's tests of `approx_derivative`": (
            of_scipy(),
            with_ours(jacobians, FIXED) | SCIPY,
        ),
        "Distribution functions of SciPy": (of_distributions(), scalar),
        "numdifftools' functions": (of_numdifftools(), scalar),
        "Gradients": (
            of_gradients(),
            with_ours(secant.numerical_gradient, FIXED | AUTO) | SCIPY | gradient,
        ),
        "Hessians": (
            of_hessians(),
            hessians | {"numdifftools Hessian": numdifftool(numdifftools.Hessian)},
        ),
    }


class Outcome(NamedTuple):
    """Of one contestant and case: the relative error, whether a bar covers it, and the
    evaluations.
    """

    error: float
    covered: int
    bars: int
    evaluations: int


def outcome(case: Case, method: Method) -> Outcome:
    """Let one contestant compute one case; a failure has an infinite error."""
    truth, f = np.asarray(case.truth, float).reshape(-1), Counted(case.f)
    try:
        answer = method(case, f)
    except (ArithmeticError, ValueError, RuntimeError, TypeError) as failure:
        print(f"  {case.name}: {type(failure).__name__}: {failure}", file=sys.stderr)
        return Outcome(math.inf, 0, 0, f.calls)
    away = np.abs(np.asarray(answer.value, float).reshape(-1) - truth)
    scale = float(np.abs(truth).max()) or 1.0
    error = float(away.max()) / scale
    error = max(error, EPS) if np.isfinite(error) else math.inf
    if answer.error is None:
        return Outcome(error, 0, 0, answer.evaluations)
    bars = np.abs(np.asarray(answer.error, float).reshape(-1))
    return Outcome(
        error,
        int((away <= bars + 10 * EPS * np.abs(truth)).sum()),
        away.size,
        answer.evaluations,
    )


def measure(effort: Effort) -> dict[str, dict[str, list[Outcome]]]:
    """All contestants of each table on all of its cases, or on some."""
    found: dict[str, dict[str, list[Outcome]]] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, (cases, methods) in contests().items():
            print(f"{name} ...", file=sys.stderr)
            some = cases[:: 20 if effort.quick else 1]
            found[name] = {
                who: [outcome(case, method) for case in some]
                for who, method in methods.items()
            }
    return found


def tables(found: dict[str, dict[str, list[Outcome]]]) -> list[str]:
    """One after the other."""
    lines = []
    for name, by_method in found.items():
        (count,) = {len(outcomes) for outcomes in by_method.values()}
        columns = [
            f"{name}, {count}",
            "median error",
            "9 of 10 below",
            "largest",
            "evaluations",
            "bars that cover",
        ]
        lines += [
            *markdown(
                columns, (row(who, outcomes) for who, outcomes in by_method.items())
            ),
            "",
        ]
    return lines[:-1]


def row(who: str, outcomes: list[Outcome]) -> list[str]:
    errors, covered, bars, evaluations = zip(*outcomes, strict=True)
    most = (float(np.quantile(errors, q, method="higher")) for q in (0.5, 0.9, 1.0))
    texts = [f"{error:.0e}" if math.isfinite(error) else "fails" for error in most]
    return [
        who,
        *texts,
        f"{sum(evaluations):,}",
        f"{sum(covered)} of {sum(bars)}" if any(bars) else "–",
    ]


if __name__ == "__main__":
    alone(__doc__, measure, tables, page="records/derivatives.md")
