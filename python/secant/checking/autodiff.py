"""Checks of functions with several values, as gradients: those of NumPy, and what
PyTorch and JAX differentiate.

A function of PyTorch or JAX that was written for less than float64 is checked in
float64, and its own precision is compared with that.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from secant._common.validation import Array, Floats
from secant._common.warn import warn
from secant.checking.candidate import LINEAR, Candidate, CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Point, Value
from secant.checking.precision import in_both
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.reproducer import Call, with_program
from secant.checking.structure import EPS, Structure, as_vector, eps_of, parts_of, walk
from secant.differentiation.lines import COARSE_IN_FLOAT32
from secant.differentiation.rounding import norm
from secant.errors import (
    DTypeError,
    GradientMismatchError,
    UnsupportedError,
    ValueRangeError,
)

Mode = Literal["rev", "fwd"]
Arrays = list[Array]
# times eps: jax.test_util.check_grads allows 1e-6 in float32 and 1e-15 in float64
_SAME_VALUE = 8.0
MODES = {"rev": "reverse", "fwd": "forward"}
"""Their names in reports."""


class NothingToCheckError(ValueRangeError):
    """Arguments or outputs have no elements, or outputs do not depend on what is
    checked.
    """


class NoFloatingPointError(DTypeError, NothingToCheckError):
    """Outputs are integers."""


class Function(ABC):
    """A function, and the derivatives of it that are checked.

    Attributes
    ----------
    inputs, outputs : Structure
        The arguments at which it is checked, and what it returns there. Its methods
        take ``x`` and tangents in the structure of the arguments, cotangents in that of
        the outputs.
    of : str
        What it is a derivative by, such as "-over-reverse".
    skipped : list of str
        Outputs that are not checked, as they have no gradient.
    inside : sequence of str
        Types of what it computes on the way, as far as that is known: with automatic
        casts, of lower precision.
    has_half : bool
        Whether it may compute in 16 bits on the way.
    is_known_elsewhere : bool
        Whether its derivatives can be computed at other x.
    is_used : bool or None
        Whether it depends on an argument: then it may have one value, as rounding does.
        None if that is not known.
    """

    inputs: Structure
    outputs: Structure
    of = ""
    skipped: Sequence[str] = ()
    inside: Sequence[str] = ()
    has_half = True
    is_known_elsewhere = True
    is_used: bool | None = None

    def in_float64(self) -> Function:
        """The same function in float64."""
        return self

    @abstractmethod
    def values(self, x: Any) -> Arrays:
        """Its outputs."""

    @abstractmethod
    def pulled_back(self, x: Any, cotangents: Any) -> tuple[Arrays, Any]:
        """Its outputs, and the gradients of the sum of products of these and
        cotangents.
        """

    @abstractmethod
    def pushed_forward(self, x: Any, tangents: Any) -> tuple[Arrays, Arrays]:
        """Its outputs, and their derivatives along tangents."""

    def fault(self, given: CandidateGradient, cotangents: Any) -> str:
        """What else is seen to be wrong with a gradient: the diagnosis."""
        return ""

    @abstractmethod
    def call(self, x: Any) -> Call:
        """How a program calls it at x."""

    def native(self, cotangents: Any) -> Any:
        """Cotangents as the function's library has them, for the report."""
        return cotangents


class _Tangents(Candidate):
    """Derivatives along directions.

    Those that are not finite count as 0, so that slopes of f can be told next to them.

    The remark says that there are such.
    """

    def __init__(
        self,
        point: Point,
        derivative: Callable[[Floats], float],
        outputs: Structure,
        found: Arrays,
    ) -> None:
        super().__init__(point, derivative)
        numbers = as_vector(found)
        for name, span in zip(outputs.names, outputs.spans, strict=True):
            part = numbers[span]
            if count := part.size - np.isfinite(part).sum():
                kind = "NaN" if np.isnan(part).any() else "infinite"
                self.remark = (
                    f"{count:,} of {part.size:,} entries of the derivative of {name}"
                    f" are {kind}"
                )
                break

    def along(self, direction: Floats, entries: slice) -> float:
        """The derivative along a direction of which only a range is shifted."""
        value = super().along(direction, entries)
        return value if math.isfinite(value) else 0.0

    def entry(self, entry: int, direction: Floats) -> float:
        """An entry of the gradient, also if it is not finite."""
        return super().along(direction, slice(entry, entry + 1)) / float(
            direction[entry]
        )


def checked(options: Options, function: Function, mode: str) -> GradientReport:
    """Check the derivatives of one mode in the precision of the function.

    They are those of the sum of products of outputs and random numbers.
    """
    inputs = function.inputs
    outputs = function.outputs
    eps = function.outputs.eps
    weights = sum_weights(outputs, np.random.default_rng([options.rng, 1]))

    def total(values: Arrays) -> Value:
        terms = weights * as_vector(values)
        return Value(float(terms.sum()), norm(eps / 2 * terms))

    point = Point(lambda x: total(function.values(x)), inputs)
    values_there = list[float]()
    if not function.has_half and point.eps == EPS:
        point.coarse = COARSE_IN_FLOAT32

    def noted(values: Arrays, derivatives: Any) -> Any:
        """The derivatives.

        What they came with is noted: f there, and whether it is used.
        """
        values_there.append(total(values).number)
        point.is_used = bool(function.is_used)
        return derivatives

    def gradient(factor: float) -> Any:
        return noted(
            *function.pulled_back(inputs.at(point.x), outputs.at(factor * weights))
        )

    def gradient_at(other: Point) -> Candidate:
        return CandidateGradient(
            other, function.pulled_back(inputs.at(other.x), outputs.at(weights))[1]
        )

    def along(direction: Floats) -> float:
        return total(
            noted(*function.pushed_forward(inputs.at(point.x), inputs.at(direction)))
        ).number

    def candidate() -> Candidate:
        if mode == "fwd":
            _, tangents = function.pushed_forward(
                inputs.at(point.x), inputs.at(np.ones_like(point.x))
            )
            return _Tangents(point, along, outputs, tangents)
        given = CandidateGradient.repeated(point, gradient, LINEAR)
        given.remark = given.remark or function.fault(given, outputs.at(weights))
        given.elsewhere = gradient_at if function.is_known_elsewhere else None
        return given

    report = run_check(point, candidate, options)
    off = max(abs(value - point.value) for value in values_there)
    if off > max(
        2 / math.sqrt(eps.max()) * report.noise * (abs(point.value) or 1.0),
        _SAME_VALUE * eps.max(),
    ):
        raise GradientMismatchError(
            f"f is off by {off:.1e} where its derivative is taken: a custom_vjp or"
            " custom_jvp returns another value than the function"
        )
    if point.standstill() and function.is_used is not None:
        raise NothingToCheckError(
            "the function must depend on what is checked: it has one value"
        )
    cotangent = None if weights.size == 1 else function.native(outputs.at(weights))
    report = replace(
        report, mode=f"{MODES[mode]}{function.of} mode", cotangent=cotangent
    )
    return with_program(report, _call(function, point.x, outputs.at(weights), mode))


def _call(function: Function, x: Floats, weights: Any, mode: str) -> Call:
    """How a program calls a function, and sums its outputs."""
    call = function.call(function.inputs.at(x))
    incoming = [array for _, array in walk("", weights) if array.size]
    returns_number = call.outputs == ["output"] and incoming[0].shape == ()
    if call.library == "jax" or not returns_number:
        call.incoming = incoming
    call.is_pulled_back = mode == "rev"
    return call


def _compared(
    report: GradientReport, own: Function, exact: Function, mode: str, options: Options
) -> GradientReport:
    """The report in float64, and how the function's own precision compares with
    that.
    """
    rng = np.random.default_rng([options.rng, 3])
    coarsest = max((*own.inputs.dtypes, *own.outputs.dtypes, *own.inside), key=eps_of)
    fixed = own.outputs if mode == "rev" else own.inputs
    x = as_vector(own.inputs.arrays)
    weights = sum_weights(fixed, rng)
    eps = eps_of(coarsest)

    def near(numbers: Floats, of: Structure, ulps: float) -> Any:
        moved = ulps * eps * random_numbers(of, rng)
        # zeros move, too
        moved *= np.where(
            numbers == 0, norm(numbers) / math.sqrt(numbers.size) or 1.0, numbers
        )
        moved += numbers
        return of.at(_rounded(moved, of.eps))

    def of(function: Function, x: Any, factors: Any) -> list[Floats]:
        values, derivatives = (
            function.pulled_back if mode == "rev" else function.pushed_forward
        )(x, factors)
        return [
            as_vector(values),
            *(as_vector([each]) for each in parts_of(derivatives) if each.size),
        ]

    def both(x: Any, factors: Any) -> Iterable[tuple[Floats, Floats]]:
        return zip(of(own, x, factors), of(exact, x, factors), strict=True)

    def sample(ulps: float, factor: float) -> Iterable[tuple[Floats, Floats]]:
        factors = near(weights, fixed, ulps)
        try:
            return both(near(factor * x, own.inputs, ulps), factors)
        except Exception:  # f may not be defined there
            return both(own.inputs.at(x), factors)

    found = in_both(report, coarsest, sample, norm(x), mode == "rev")
    if not found.findings or found.program:
        return found
    # The gradient in float64 is right, that in the user's precision is not: for these
    # weights.
    incoming = fixed.at(weights)
    call = _call(exact, x, incoming, mode)
    call.is_pulled_back = False
    cotangent = None if weights.size == 1 else own.native(incoming)
    return with_program(replace(found, cotangent=cotangent), call)


def _move(exact: Function, own: Function, seed: int) -> bool:
    """Move x within its rounding, and return whether it is moved: not if f jumps there.

    A jump shows as a change of f that does not shrink with the way: an eighth of it
    must change f by half at most.
    """
    x = as_vector(exact.inputs.arrays)
    move = (
        x
        * own.inputs.eps
        * np.random.default_rng([seed, 4]).uniform(-0.25, 0.25, x.size)
    )
    here, near, there = (
        as_vector(exact.values(exact.inputs.at(x + share * move)))
        for share in (0, 1 / 8, 1)
    )
    is_moved = 2 * norm(near - here) <= norm(there - here)  # not if one is NaN
    if is_moved:
        exact.inputs.write(x + move, exact.inputs.arrays)
    return is_moved


def first_failed(
    options: Options, own: Function, modes: Sequence[str]
) -> GradientReport:
    """The first report that is not right, or the last: in float64 of what was written
    for less.

    Where that does not run, or is another function, the function is checked as it is,
    and the report says so.
    """
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise UnsupportedError(f"mode must be 'rev' or 'fwd', got {unknown[0]!r}")
    if not modes:
        raise ValueRangeError("one of both modes must be checked, got neither")
    if not (own.inputs.names and own.outputs.names):
        raise NothingToCheckError(
            "arguments and outputs must have elements to be checked, got none"
        )
    if own.skipped:
        warn(f"not checked, without a gradient: {', '.join(own.skipped)}")

    def report_of(function: Function) -> GradientReport:
        for mode in modes:
            report = checked(options, function, mode)
            report = (
                report
                if function is own
                else _compared(report, own, function, mode, options)
            )
            if not report.passed:
                break
        return report

    lowest = max(own.inputs.dtypes, key=eps_of)
    note = ""
    if eps_of(lowest) > EPS:
        try:
            exact = own.in_float64()
            if kept := [
                dtype
                for dtype in exact.outputs.dtypes
                if eps_of(dtype) >= eps_of(lowest)
            ]:
                raise TypeError(f"an output stays {kept[0]}")
            report = report_of(exact)
            # Values of few bits often tie, and sums of them are exact at x alone.
            if report.verdict == "not verified" and _move(exact, own, options.rng):
                before = report.evaluations
                report = report_of(exact)
                note = f"{report.note}; x is moved within its rounding".removeprefix(
                    "; "
                )
                return replace(
                    report, note=note, evaluations=before + report.evaluations
                )
            return report
        except (GradientMismatchError, MemoryError):
            raise
        except Exception as error:
            why = str(error).partition("\n")[0][:100] or type(error).__name__
            note = f"checked in {lowest}; in float64: {why}"
    report = report_of(own)
    return replace(report, note=report.note or note)


def are_right(
    options: Options,
    functions: Iterable[Function],
    modes: Sequence[str],
    raises: bool = True,
) -> bool:
    """Return whether all are right.

    If one is not, raise an error with its report, or return False.

    A function of which nothing can be checked counts as right, with a warning: it has
    no elements, integers alone, or one value and the derivative 0.
    """
    __tracebackhide__ = True
    try:
        for function in functions:
            first_failed(options, function, modes).raise_if_failed()
    except NothingToCheckError as error:
        warn(f"nothing is checked: {error}")
    except GradientMismatchError:
        if raises:
            raise
        return False
    return True


def sum_weights(of: Structure, rng: np.random.Generator) -> Floats:
    """Tangents or cotangents that weight a sum: 1 for a single number."""
    return np.ones(1) if of.eps.size == 1 else random_numbers(of, rng)


def random_numbers(of: Structure, rng: np.random.Generator) -> Floats:
    """Random numbers of both signs, none of them small: tangents or cotangents.

    A rule may forget a tangent or cotangent. It would pass if that were 1.
    """
    numbers = rng.choice([-1.0, 1.0], of.eps.size)
    numbers *= rng.uniform(0.5, 1.5, numbers.size)
    return _rounded(numbers, of.eps)


def _rounded(numbers: Floats, eps: Any) -> Floats:
    """Numbers that are exact where the relative rounding is that."""
    mantissas, exponents = np.frexp(numbers)
    return np.asarray(np.ldexp(np.rint(mantissas * (2 / eps)) * (eps / 2), exponents))
