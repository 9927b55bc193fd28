"""Checks of functions with several values, as gradients: those of NumPy, and what PyTorch and JAX differentiate.

A function of PyTorch or JAX that was written for less than float64 is checked in float64, and its own precision is
compared with that.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from secant._common.validation import Array, Floats
from secant._common.warn import warn
from secant.checking.candidate import LINEAR, Candidate, CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Point, Value
from secant.checking.precision import Kind, in_both
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.structure import Structure, as_vector, parts_of
from secant.differentiation.rounding import norm
from secant.errors import GradientMismatchError, UnsupportedError, ValueRangeError

Mode = Literal["rev", "fwd"]
Arrays = list[Array]
MODES = {"rev": "reverse", "fwd": "forward"}
"""Their names in reports."""
_EPS = 2.0**-52  # that of float64


class NothingToCheckError(ValueRangeError):
    """Arguments or outputs have no elements."""


class Function(ABC):
    """A function, and the derivatives of it that are checked.

    Attributes
    ----------
    inputs : Structure
        The arguments at which it is checked. Its methods take the same structure as ``x``.
    arguments, outputs : list of Kind
    of : str
        What it is a derivative by, such as "-over-reverse".
    skipped : list of str
        Outputs that are not checked, as they have no gradient.
    inside : sequence of Kind
        What it computes on the way, as far as that is known: with automatic casts, that has lower precision.
    is_used : bool
        Whether it is known to depend on an argument: then it may have one value, as rounding does.
    may_be_constant : bool
        Whether it may have one value where that is not known.
    """

    inputs: Structure
    arguments: list[Kind]
    outputs: list[Kind]
    of = ""
    skipped: Sequence[str] = ()
    inside: Sequence[Kind] = ()
    is_used = may_be_constant = False

    def in_float64(self) -> Function:
        """The same function in float64."""
        return self

    @abstractmethod
    def values(self, x: Any) -> Arrays:
        """Its outputs."""

    @abstractmethod
    def pulled_back(self, x: Any, cotangents: Sequence[Array]) -> tuple[Arrays, Any]:
        """Its outputs, or nothing, and the gradients of the sum of products of these and cotangents."""

    @abstractmethod
    def pushed_forward(self, x: Any, tangents: Any) -> tuple[Arrays, Arrays]:
        """Its outputs, or nothing, and their derivatives along tangents."""

    def fault(self, given: CandidateGradient, cotangents: Sequence[Array]) -> str:
        """What else is seen to be wrong with a gradient: the diagnosis."""
        return ""

    def told(self, cotangents: Arrays) -> Any:
        """Cotangents as the report has them."""
        return cotangents


def checked(function: Function, mode: str, options: Options) -> GradientReport:
    """Check the derivatives of one mode in the precision of the function.

    They are those of the sum of products of outputs and random numbers.
    """
    cotangents = sum_weights(function.outputs, np.random.default_rng([options.rng, 1]))
    weights, eps = as_vector(cotangents), _eps_of(function.outputs)

    @np.errstate(over="ignore")
    def total(outputs: Sequence[Array]) -> Value:
        terms = weights * as_vector(outputs)
        return Value(float(terms.sum()), norm(eps / 2 * terms))

    point = Point(lambda x: total(function.values(x)), function.inputs)

    def require_same(values: Arrays) -> None:
        if values:
            own = total(function.values(point.structure(point.x)))
            off = abs(total(values).number - own.number)
            if off > 2 / math.sqrt(eps.max()) * own.rounding:
                raise GradientMismatchError(
                    f"f is off by {off:.1e} where its derivative is taken: a custom_vjp or custom_jvp returns another "
                    "value than the function"
                )

    def gradient(factor: float) -> Any:
        values, pulled = function.pulled_back(point.structure(point.x), [factor * each for each in cotangents])
        require_same(values)
        return pulled

    def along(direction: Floats) -> float:
        return total(function.pushed_forward(point.structure(point.x), point.structure(direction))[1]).number

    def candidate() -> Candidate:
        if mode == "fwd":
            require_same(function.pushed_forward(point.structure(point.x), point.structure(point.x))[0])
            given = Candidate(point, along)
        else:
            given = CandidateGradient.repeated(point, gradient, LINEAR)
            given.remark = given.remark or function.fault(given, cotangents)
        point.is_used = function.is_used
        return given

    report = run_check(point, candidate, options)
    if point.standstill() and not function.may_be_constant:
        raise ValueRangeError("the function must depend on what is checked: it has one value")
    cotangent = None if _is_number(function.outputs) else function.told(cotangents)
    return replace(report, mode=f"{MODES[mode]}{function.of} mode", cotangent=cotangent)


def _compared(report: GradientReport, own: Function, exact: Function, mode: str, options: Options) -> GradientReport:
    """The report in float64, and how the function's own precision compares with that."""
    rng = np.random.default_rng([options.rng, 3])
    coarsest = max((*own.arguments, *own.outputs, *own.inside), key=lambda kind: kind.eps)
    fixed = own.outputs if mode == "rev" else own.arguments
    weights = Structure("weights", sum_weights(fixed, rng))

    def near(of: Structure, kinds: Sequence[Kind], ulps: float, factor: float = 1.0) -> Any:
        numbers = factor * as_vector(of.arrays)
        numbers *= 1 + ulps * coarsest.eps * random_weights(numbers.shape, rng)
        return of.at(_rounded(numbers, _eps_of(kinds)))

    def at(function: Function, x: Any, factors: Any) -> list[Floats]:
        values, derivatives = (function.pulled_back if mode == "rev" else function.pushed_forward)(x, factors)
        return [as_vector(values), *(as_vector([each]) for each in parts_of(derivatives))]

    def sample(ulps: float, factor: float) -> Iterable[tuple[Floats, Floats]]:
        x, factors = near(own.inputs, own.arguments, ulps, factor), near(weights, fixed, ulps)
        return zip(at(own, x, factors), at(exact, x, factors), strict=True)

    return in_both(report, coarsest, sample, norm(as_vector(own.inputs.arrays)), mode == "rev")


def first_failed(own: Function, modes: Sequence[str], options: Options) -> GradientReport:
    """The first report that is not right, or the last: in float64 of what was written for less.

    Where that does not run, or is another function, the function is checked as it is, and the report says so.
    """
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise UnsupportedError(f"mode must be 'rev' or 'fwd', got {unknown[0]!r}")
    if not modes:
        raise ValueRangeError("one of both modes must be checked, got neither")
    if not (own.arguments and any(kind.real_size for kind in own.outputs)):
        raise NothingToCheckError("arguments and outputs must have elements to be checked, got none")
    if own.skipped:
        warn(f"not checked, without a gradient: {', '.join(own.skipped)}")

    def report_of(exact: Function | None) -> GradientReport:
        for mode in modes:
            report = checked(exact or own, mode, options)
            report = _compared(report, own, exact, mode, options) if exact else report
            if not report.passed:
                break
        return report

    lowest, note = _lowest(own), ""
    if lowest.eps > _EPS:
        try:
            exact = own.in_float64()
            if kept := [kind.dtype for kind in exact.outputs if kind.eps >= lowest.eps]:
                raise TypeError(f"an output stays {kept[0]}")
            return report_of(exact)
        except (GradientMismatchError, MemoryError):
            raise
        except Exception as error:
            if lowest.dtype == "bfloat16":  # whose rounding hides all but the largest errors
                error.add_note("f of bfloat16 is checked in float64, where it raised this")
                raise
            why = str(error).partition("\n")[0][:100] or type(error).__name__
            note = f"checked in {lowest.dtype}; in float64: {why}"
    report = report_of(None)
    return replace(report, note=report.note or note)


def require_right(functions: Iterable[Function], modes: Sequence[str], options: Options) -> None:
    """Raise an error with the first report that is not right; warn if there is nothing to be checked."""
    __tracebackhide__ = True
    try:
        for function in functions:
            first_failed(function, modes, options).raise_if_failed()
    except NothingToCheckError:
        warn("arguments or outputs have no elements: nothing is checked")


def _lowest(function: Function) -> Kind:
    return max(function.arguments, key=lambda kind: kind.eps)


def _is_number(kinds: Sequence[Kind]) -> bool:
    return len(kinds) == 1 and kinds[0].real_size == 1


def _eps_of(kinds: Sequence[Kind]) -> Floats:
    """The relative rounding of each real number."""
    return np.concatenate([np.full(kind.real_size, kind.eps) for kind in kinds])


def random_weights(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Random numbers of both signs, none of them small, of which cotangents are made."""
    signs = rng.choice([-1.0, 1.0], shape)
    return np.asarray(rng.uniform(0.5, 1.5, shape) * signs)


def sum_weights(kinds: Sequence[Kind], rng: np.random.Generator) -> Arrays:
    """Tangents or cotangents that weight a sum: 1 for a single number."""
    return [np.ones(kinds[0].shape)] if _is_number(kinds) else random_numbers(kinds, rng)


def random_numbers(kinds: Sequence[Kind], rng: np.random.Generator) -> Arrays:
    """Tangents or cotangents that are themselves arguments: a rule that forgets one would pass with 1."""

    def of(kind: Kind) -> Array:
        real = _rounded(random_weights(kind.shape, rng), kind.eps)
        imaginary = _rounded(random_weights(kind.shape, rng), kind.eps) if kind.is_complex else None
        return real if imaginary is None else np.asarray(real + 1j * imaginary)

    return [*map(of, kinds)]


def _rounded(numbers: Floats, eps: Any) -> Floats:
    """Numbers that are exact where the relative rounding is that."""
    mantissas, exponents = np.frexp(numbers)
    return np.asarray(np.ldexp(np.rint(mantissas * (2 / eps)) * (eps / 2), exponents))
