"""Checks of what a library for automatic differentiation computes: what the doors for PyTorch and JAX share.

A function that was written for less than float64 is checked in float64, and its own precision is compared with that.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Point, Value
from secant.checking.precision import Sample, in_both
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.vector import random_weights, weighted
from secant.differentiation.rounding import norm
from secant.errors import GradientMismatchError, ValueRangeError

Mode = Literal["reverse", "forward"]
Arrays = list[Array]
_EPS = 2.0**-52  # that of float64


class NothingToCheckError(ValueRangeError):
    """Arguments or outputs have no elements."""

    def __init__(self) -> None:
        super().__init__("arguments and outputs must have elements to be checked, got none")


class Kind(NamedTuple):
    """What an argument or an output is, as an array of real numbers; ``eps`` is its relative rounding."""

    shape: tuple[int, ...]
    dtype: str
    eps: float


class Function(ABC):
    """A function of a library as one of arrays of real numbers, of which a complex one has a last axis of 2.

    Attributes
    ----------
    names : list of str
    arrays : list of ndarray
        The arguments at which it is checked.
    arguments, outputs : list of Kind
    of : str
        What it is a derivative by, such as "-over-reverse".
    is_used : bool
        Whether it is known to depend on an argument: then it may have one value, as rounding does.
    """

    names: list[str]
    arrays: Arrays
    arguments: list[Kind]
    outputs: list[Kind]
    of = ""
    is_used = False

    @abstractmethod
    def values(self, arrays: Sequence[Array]) -> Arrays:
        """Its outputs."""

    @abstractmethod
    def pulled_back(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> tuple[Arrays, Arrays]:
        """Its outputs, and the gradients of the sum of products of these and cotangents."""

    @abstractmethod
    def pushed_forward(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> tuple[Arrays, Arrays]:
        """Its outputs, and their derivatives along tangents."""

    def fault(self, given: CandidateGradient, cotangents: Sequence[Array]) -> str:
        """What else is seen to be wrong with a gradient: the diagnosis."""
        return ""

    def told(self, cotangents: Arrays) -> Any:
        """Cotangents as the report has them."""
        return cotangents

    def require_same(self, values: Sequence[Array]) -> None:
        """Raise an error if a rule for derivatives returns other values than the function."""
        for i, (one, other, kind) in enumerate(zip(values, self.values(self.arrays), self.outputs, strict=True)):
            one, other = one.astype(np.float64), other.astype(np.float64)
            with np.errstate(all="ignore"):
                off = norm(one - other)
            if off > math.sqrt(kind.eps) * norm(other):
                raise GradientMismatchError(
                    f"output[{i}] of f is off by {off:.1e} where its derivative is taken: a custom_vjp or custom_jvp "
                    "returns another value than the function"
                )


def checked(function: Function, mode: Mode, options: Options) -> GradientReport:
    """Check the derivatives of one mode in the precision of the function."""
    weights = random_numbers(function.outputs, np.random.default_rng([options.rng, 1]))

    def total(outputs: Sequence[Array]) -> Value:
        return weighted(weights, outputs, [kind.eps for kind in function.outputs])

    point = Point(
        lambda arrays: total(function.values(arrays)),
        function.arrays,
        names=function.names,
    )

    def gradient(factor: float) -> Arrays:
        values, pulled = function.pulled_back(function.arrays, [factor * weight for weight in weights])
        function.require_same(values)
        return pulled

    def along(direction: Floats) -> float:
        return total(function.pushed_forward(function.arrays, point.structure(direction))[1]).number

    def candidate() -> Candidate:
        if mode == "forward":
            function.require_same(function.pushed_forward(function.arrays, function.arrays)[0])
            given = Candidate(point, along)
        else:
            given = CandidateGradient.linear(point, gradient)
            given.remark = given.remark or function.fault(given, weights)
        point.is_used = function.is_used
        return given

    report = run_check(point, candidate, options)
    if point.standstill():
        raise ValueRangeError("the function must depend on what is checked: it has one value")
    cotangent = None if _is_number(function.outputs) else function.told(weights)
    return replace(report, mode=f"{mode}{function.of} mode", cotangent=cotangent)


def compared(report: GradientReport, own: Function, exact: Function, mode: Mode, options: Options) -> GradientReport:
    """The report in float64, and how the function's own precision compares with that."""
    rng = np.random.default_rng([options.rng, 3])
    eps = max(kind.eps for kind in (*own.arguments, *own.outputs))
    fixed = own.outputs if mode == "reverse" else own.arguments
    weights = random_numbers(fixed, rng)

    def near(array: Array, kind: Kind, ulps: float) -> Array:
        return _rounded(array * (1 + ulps * eps * random_weights(array.shape, rng)), kind).astype(array.dtype)

    def sample(ulps: float) -> tuple[Sample, Sample]:
        arrays = [near(*pair, ulps) for pair in zip(own.arrays, own.arguments, strict=True)]
        factors = [near(*pair, ulps) for pair in zip(weights, fixed, strict=True)]
        found = (
            each.pulled_back(arrays, factors) if mode == "reverse" else each.pushed_forward(arrays, factors)
            for each in (own, exact)
        )
        at_own, at_exact = (Sample(*([a.astype(np.float64).ravel() for a in side] for side in both)) for both in found)
        return at_own, at_exact

    return in_both(report, eps, sample, _lowest(own).dtype, mode == "reverse")


def reports(own: Function, exact: Function | None, modes: Sequence[Mode], options: Options) -> Iterator[GradientReport]:
    """Check a function in ``exact``, the same in float64, if there is that, and compare its own precision with it."""
    for mode in modes:
        report = checked(exact or own, mode, options)
        yield compared(report, own, exact, mode, options) if exact else report


def require_float64(function: Function) -> None:
    """Raise an error if an output keeps a lower precision."""
    if kept := [kind.dtype for kind in function.outputs if kind.eps > _EPS]:
        raise TypeError(f"an output stays {kept[0]}")


def float64_first(
    own: Function, in_float64: Callable[[], Iterator[GradientReport]], in_own: Callable[[], Iterator[GradientReport]]
) -> list[GradientReport]:
    """Check in float64 what was written for less; and up to the first report that is not right.

    Where the function does not run in float64, or is another one there, it is checked as it is, and the report says so.
    """
    if not (own.arguments and any(math.prod(kind.shape) for kind in own.outputs)):
        raise NothingToCheckError
    lowest = _lowest(own)
    if lowest.eps <= _EPS:
        return _up_to_the_first(in_own())
    try:
        return _up_to_the_first(in_float64())
    except (GradientMismatchError, MemoryError):
        raise
    except Exception as error:
        if lowest.dtype == "bfloat16":  # whose rounding hides all but the largest errors
            error.add_note("f of bfloat16 is checked in float64, where it raised this")
            raise
        why = str(error).partition("\n")[0][:100] or type(error).__name__
    note = f"checked in {lowest.dtype}, as in float64 f does not run: {why}"
    return [replace(report, note=report.note or note) for report in _up_to_the_first(in_own())]


def _up_to_the_first(reports: Iterable[GradientReport]) -> list[GradientReport]:
    """Reports up to the first that is not right."""
    found = []
    for report in reports:
        found.append(report)
        if not report.passed:
            break
    return found


def _lowest(function: Function) -> Kind:
    return max(function.arguments, key=lambda kind: kind.eps)


def _is_number(kinds: Sequence[Kind]) -> bool:
    return len(kinds) == 1 and math.prod(kinds[0].shape) == 1


def random_numbers(kinds: Sequence[Kind], rng: np.random.Generator) -> Arrays:
    """Random numbers of these kinds: tangents or cotangents; 1 for a single number."""
    if _is_number(kinds):
        return [np.ones(kinds[0].shape)]
    return [_rounded(random_weights(kind.shape, rng), kind) for kind in kinds]


def _rounded(numbers: Array, kind: Kind) -> Floats:
    """Numbers that are exact in the precision of that kind."""
    mantissas, exponents = np.frexp(numbers.astype(np.float64))
    return np.asarray(np.ldexp(np.rint(mantissas * (2 / kind.eps)) * (kind.eps / 2), exponents))
