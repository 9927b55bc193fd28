"""A gradient in the user's precision, compared with that in float64 at the same points.

The points lie some units in the last place apart, in pairs: the rounding of x cancels. What is left are the roundings
inside of f, which scatter from point to point, and the error of a gradient, which does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.report import FINDINGS, ArrayReport, Finding, GradientReport

DRAWS, MORE_DRAWS = 13, 32
"""Points, of which x is the first; and how many more, where something seems wrong: few draws may miss rare jumps."""
SPACING = 4.0
"""How far from x the points lie, in units in the last place."""
_FLOAT32 = 2.0**-23
_BARS, _BARS_ALONG = 7.0, 8.0  # standard errors beyond which a mean is no rounding: of entries and norms, along g
_TYPICAL = 10.0  # times the median: entries that scatter less than others by luck
_ENTRY, _ARRAY = 128.0, 32.0  # roundings that are the same at all points, in float32: of an entry, of an array's norm
_ENTRY_OF_HALF, _ARRAY_OF_HALF = 4.0, 1.0  # the same in float16 and bfloat16, whose units are large
_ZERO = 1e3  # roundings of the whole gradient: what is less may be rightly 0
_NEGLIGIBLE = 4 * _FLOAT32  # an error in float64 alone: constants of f are float32, say


class Sample(NamedTuple):
    """What f and its derivative are at a point: an array for each output, and for each array of the derivative."""

    values: list[Floats]
    derivatives: list[Floats]


class Agreement(NamedTuple):
    """How an array in the user's precision compares with that in float64."""

    errors: Floats
    """Of the entries, as a share of what rounding explains; infinite where one of both is not finite."""
    allowed: Floats
    of_norm: float
    """The error of all together, likewise."""
    least: float
    """The least error of all that would be noticed, as a share of the norm."""
    seen: bool

    @property
    def worst(self) -> float:
        """More than 1 is more than rounding explains."""
        return max(float(self.errors.max(initial=0)), self.of_norm)


class Comparison:
    """Arrays in two precisions at the same points, of which no more is kept than how they differ.

    Attributes
    ----------
    own, exact : list of ndarray
        At x itself, which is the first point.
    count : int
        Of points.
    """

    def __init__(self) -> None:
        self.own: list[Floats] = []
        self.exact: list[Floats] = []
        self.count = 0
        self._means: list[Floats] = []
        self._squares: list[Floats] = []
        self._along: list[list[float]] = []

    @np.errstate(all="ignore")
    def add(self, own: list[Floats], exact: list[Floats]) -> None:
        """Compare at another point."""
        if not self.count:
            self.own, self.exact = own, exact
            self._means, self._squares = ([np.zeros_like(array) for array in exact] for _ in range(2))
            self._along = [[] for _ in exact]
        self.count += 1
        for i, (one, other) in enumerate(zip(own, exact, strict=True)):
            difference = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0, one - other)
            change = difference - self._means[i]
            self._means[i] += change / self.count
            self._squares[i] += change * (difference - self._means[i])
            self._along[i].append(float(np.nan_to_num(difference) @ _unit(self.exact[i])))

    def agreements(self, eps: float) -> list[Agreement]:
        """What that says of each array; ``eps`` is the rounding of the user's precision."""
        total = math.hypot(*(float(np.linalg.norm(_finite(array))) for array in self.exact))
        return [self._agreement(i, eps, total) for i in range(len(self.exact))]

    @np.errstate(all="ignore")
    def _agreement(self, i: int, eps: float, total: float) -> Agreement:
        right = _finite(self.exact[i])
        finite = np.isfinite(self._means[i])
        mean = np.where(finite, self._means[i], 0)
        standard = np.sqrt(np.where(finite, self._squares[i], 0) / (self.count - 1) / self.count)
        along = np.array(self._along[i])
        norm, all_standard = float(np.linalg.norm(right)), float(np.linalg.norm(standard))
        entry, array = (_ENTRY, _ARRAY) if eps <= _FLOAT32 else (_ENTRY_OF_HALF, _ARRAY_OF_HALF)
        is_zero = norm <= _ZERO * eps * total
        base = (16 * eps * total if is_zero else 0.0) + np.finfo(np.float64).tiny
        root = math.sqrt(right.size) or 1.0
        typical = min(all_standard / root, _TYPICAL * float(np.median(standard)) or math.inf)
        allowed = _BARS * np.maximum(standard, typical) + entry * eps * (np.abs(right) + norm / root / 4) + base
        allowed_norm = _BARS * all_standard + array * eps * norm + base
        standard_along = float(along.std(ddof=1)) / math.sqrt(self.count)
        allowed_along = _BARS_ALONG * standard_along + array * eps * norm + base
        of_norm = max(float(np.linalg.norm(mean)) / allowed_norm, abs(float(along.mean())) / allowed_along)
        least = min(allowed_norm, allowed_along)
        seen = is_zero or norm > least or least <= 32 * eps * total
        errors = np.where(finite, np.abs(mean) / allowed, np.inf)
        return Agreement(errors, allowed, of_norm, 0.0 if is_zero else least / norm, bool(seen))


def _finite(array: Floats) -> Floats:
    return np.where(np.isfinite(array), array, 0)


def _unit(array: Floats) -> Floats:
    right = _finite(array)
    norm = float(np.linalg.norm(right))
    return right / norm if norm else right


Sampler = Callable[[float], tuple[Sample, Sample]]
"""Takes how far from x, in units in the last place; returns what f is there, in the user's precision and in float64."""


def _compared(sample: Sampler, eps: float) -> tuple[Comparison, list[Agreement]]:
    """Compare derivatives until nothing seems wrong, or for long enough; an error if the values of f differ."""
    values, derivatives = Comparison(), Comparison()
    for count, spread in ((DRAWS, 1.0), (MORE_DRAWS, 2.0)):
        for _ in range(count):
            own, exact = sample(spread * SPACING if values.count else 0.0)
            values.add(own.values, exact.values)
            derivatives.add(own.derivatives, exact.derivatives)
        of_values, found = values.agreements(eps), derivatives.agreements(eps)
        if all(each.worst <= 1 for each in (*of_values, *found)):
            break
    if any(each.worst > 1 for each in of_values):
        raise TypeError("its values are others there")
    return derivatives, found


def in_both(report: GradientReport, eps: float, sample: Sampler, dtype: str, by_array: bool) -> GradientReport:
    """The report in float64, and what a comparison with the user's precision adds to it.

    Derivatives are those ``by_array``, or those of outputs, which all arrays share.
    """
    start = time.perf_counter()
    at_x, found = _compared(sample, eps)
    seconds = report.seconds + time.perf_counter() - start
    report = replace(report, evaluations=report.evaluations + 2 * at_x.count, seconds=seconds)
    every = range(len(report.arrays))

    def where(is_so: Callable[[Agreement], bool]) -> list[int]:
        """The arrays of which that is so."""
        return [i for i in every if is_so(found[i])] if by_array else list(every) if any(map(is_so, found)) else []

    def changed(which: Sequence[int], **changes: Any) -> tuple[ArrayReport, ...]:
        return tuple(replace(array, **changes) if i in which else array for i, array in enumerate(report.arrays))

    differ, hidden = where(lambda each: each.worst > 1), where(lambda each: not each.seen)
    wrong = [i for i in every if not (report.arrays[i].passed or report.arrays[i].unverified)]
    least = max((each.least for each in found), default=0.0)
    if wrong:
        off = max(report.arrays[i].relative_error for i in wrong)
        if not off <= _NEGLIGIBLE or differ:
            return replace(report, note=report.note or f"checked in float64, where it is wrong as well as in {dtype}")
        arrays = changed(wrong, passed=True, relative_error=math.nan)
        note = f"checked in float64: off by {off:.0e} of its norm there, which {dtype} cannot tell"
        passed = all(array.passed for array in arrays)
        return replace(report, arrays=arrays, passed=passed, findings=(), diagnosis=None, note=note)
    if differ:
        reports, findings = list(changed(differ, passed=False, unverified="")), list[Finding]()
        for i in differ if by_array else []:
            own, exact = at_x.own[i], at_x.exact[i]
            with np.errstate(all="ignore"):
                off = float(np.linalg.norm(own - exact) / np.linalg.norm(exact))
            reports[i] = replace(reports[i], relative_error=off)
            for k in np.argsort(-found[i].errors)[:FINDINGS].tolist():
                if found[i].errors[k] > 1:
                    place = tuple(map(int, np.unravel_index(k, reports[i].shape)))
                    bar = float(found[i].allowed[k]) / _BARS
                    findings.append(Finding(reports[i].name, place, float(own[k]), float(exact[k]), bar))
        diagnosis = f"in float64 the gradient is {report.verdict}: that of {dtype} alone is wrong"
        return replace(report, passed=False, arrays=tuple(reports), findings=tuple(findings), diagnosis=diagnosis)
    if report.passed and hidden:
        why = f"right in float64, but rounding hides errors of the gradient in {dtype} below {least:.0e} of its norm"
        return replace(report, passed=False, arrays=changed(hidden, passed=False, unverified=why))
    note = f"checked in float64; {dtype} agrees with that to {least:.0e} of the norm of each array"
    return replace(report, note=report.note or note)
