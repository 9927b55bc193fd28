"""A gradient in the user's precision, compared with that in float64 at the same points.

The points lie some units in the last place apart, in pairs: the rounding of x cancels.
What is left are the roundings inside of f, which scatter from point to point, and the
error of a gradient, which does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.checking.report import FINDINGS, ArrayReport, Finding, GradientReport
from secant.checking.structure import eps_of

_DRAWS = (12, 4.0), (32, 8.0)
"""How many points beside x, and how far from it, in units in the last place; the second
ones where something seems wrong: few draws may miss rare jumps.
"""
_FLOAT32 = 2.0**-23
_BARS = 8.0  # standard errors beyond which a mean is no rounding
_TYPICAL = 10.0  # times the median: entries that scatter less than others by luck
_SAME, _SAME_OF_HALF = 2.0**13, 4.0
"""Roundings of an entry that are the same at all points, such as those of data and of
constants: in float32, a thousandth; in float16 and bfloat16, whose units are large. Of
the norm half as many. Where data with the deviation 1 are normalized in f, the gradient
in float32 is off by up to 1e-4 at the mean 1000, by up to 4e-4 at 5000.
"""
_NEARER_TO_0 = 0.25  # of x: there a function that is saturated at x is not
_STEEP, _PRECISE = 2.0**-8, 8.0
"""In float32 f is not saturated if its slope at x would change it by such a share of
f(x) over the way to 0, and if its values at the points are off by no more roundings
than that. A trained network's are off by 100 at a loss of 1e-3.
"""
_FLOOR, _FLOOR_OF_HALF = 16.0, 1.0
"""Roundings of the whole gradient, at x or nearer to 0.

Where a network is sure of a sample, y - 1 is rounded as y.
"""
_ONLY_ROUNDING = 2.0**-46  # 128 roundings of float64
_ZERO = 4.0  # times that: an array that is no larger may be rightly 0
# roundings of f and of an output: values that differ by more are others
_OTHER, _OTHER_OF_HALF = 512.0, 8.0
_NEGLIGIBLE = 4 * _FLOAT32  # an error in float64 alone: constants of f are float32, say


class Comparison:
    """An array in two precisions at the same points, of which no more is kept than how
    they differ.

    Attributes
    ----------
    own, exact : ndarray
        At x itself, which is the first point.
    norm : float
        That of the array in float64.
    count : int
        Of points.
    errors : ndarray
        That of each entry, and the last one that along the array itself, as a share of
        what rounding explains; infinite where only one of the two is finite.
    differs : bool
        Whether an entry is off, or all are together, by more than rounding explains.
    relative_error : float
        That of the norm, at x.
    allowed : ndarray
        What rounding explains.
    least : float
        The least error along the array that would be noticed, as a share of the norm:
        from 1 on, not even all of it. 0 where the array may be rightly 0.
    """

    def __init__(self, own: Floats, exact: Floats) -> None:
        self.own = own
        self.exact = exact
        self.count = 0
        self._mean = np.zeros(exact.size + 1)
        self._squares = np.zeros(exact.size + 1)
        self._right = np.where(np.isfinite(exact), exact, 0)
        self.norm = float(np.linalg.norm(self._right))
        self.add(own, exact)

    def add(self, own: Floats, exact: Floats) -> None:
        """Compare at another point."""
        self.count += 1
        difference = np.where(
            (own == exact) | (np.isnan(own) & np.isnan(exact)), 0, own - exact
        )
        along = np.nan_to_num(difference) @ self._right / (self.norm or 1.0)
        difference = np.append(difference, along)
        change = difference - self._mean
        self._mean += change / self.count
        self._squares += change * (difference - self._mean)

    @property
    def typical_error(self) -> float:
        """The root mean square of the norms of the errors at the points."""
        return math.sqrt(
            float((self._squares[:-1] / self.count + self._mean[:-1] ** 2).sum())
        )

    def judge(self, same: float, floor: float) -> None:
        """See what the points say: ``same`` is rounding that does not vary, ``floor``
        what any number may be off by.
        """
        finite = np.isfinite(self._mean)
        root = math.sqrt(self.exact.size)
        standard = np.sqrt(
            np.where(finite, self._squares, 0) / (self.count - 1) / self.count
        )
        entries = standard[:-1]
        typical = min(
            float(np.linalg.norm(entries)) / root,
            _TYPICAL * float(np.median(entries)) or math.inf,
        )
        sizes = np.append(np.abs(self._right) + self.norm / root / 4, self.norm / 2)
        self.allowed = (
            _BARS * np.maximum(standard, typical)
            + same * sizes
            + floor
            + np.finfo(np.float64).tiny
        )
        self.errors = np.where(finite, np.abs(self._mean) / self.allowed, np.inf)
        self.differs = bool(self.errors.max() > 1)
        self.relative_error = float(
            np.linalg.norm(self.own - self.exact) / np.linalg.norm(self.exact)
        )
        self.least = (
            0.0 if self.norm <= _ZERO * floor else float(self.allowed[-1]) / self.norm
        )

    def findings(self, array: ArrayReport) -> list[Finding]:
        """The entries that differ most."""
        errors = self.errors[:-1]
        worst = [k for k in np.argsort(-errors)[:FINDINGS].tolist() if errors[k] > 1]
        places = [tuple(map(int, np.unravel_index(k, array.shape))) for k in worst]
        error_bars = self.allowed / _BARS
        return [
            Finding(
                array.name,
                place,
                float(self.own[k]),
                float(self.exact[k]),
                float(error_bars[k]),
            )
            for place, k in zip(places, worst, strict=True)
        ]


Sampler = Callable[[float, float], Iterable[tuple[Floats, Floats]]]
"""Takes how far from x, in units in the last place, and a factor of x; returns the
values of f there, and then its derivatives, each in the user's precision and in
float64. Where f raises an exception there, they are those at x.
"""


@np.errstate(all="ignore")
def _compared(sample: Sampler, eps: float, x_size: float) -> list[Comparison]:
    """Compare values and derivatives until nothing seems wrong, or for long enough."""
    values, *derivatives = both = [Comparison(*pair) for pair in sample(0.0, 1.0)]
    nearer = [
        float(np.linalg.norm(exact[np.isfinite(exact)]))
        for _, exact in sample(0.0, _NEARER_TO_0)
    ]
    is_half = eps > _FLOAT32
    same, floor = (
        (_SAME_OF_HALF * eps, _FLOOR_OF_HALF * eps)
        if is_half
        else (_SAME * eps, _FLOOR * eps)
    )
    other = (_OTHER_OF_HALF if is_half else _OTHER) * eps
    here = [each.norm for each in both]
    norms = [max(pair) for pair in zip(here, nearer, strict=True)]
    is_steep = not is_half and math.hypot(*here[1:]) * x_size >= _STEEP * here[0]
    nonzero = np.abs(values.exact[values.exact != 0])
    # about that of the smallest value, if it is a power of x
    slope = float(nonzero.min(initial=norms[0])) / x_size
    # then it is so in any precision
    if math.hypot(*norms[1:]) <= _ONLY_ROUNDING * slope:
        norms[1:] = [slope]
    for count, ulps in _DRAWS:
        for _ in range(count):
            for comparison, pair in zip(both, sample(ulps, 1.0), strict=True):
                comparison.add(*pair)
        # next to 0 f may be larger by far
        if is_steep and values.typical_error <= _PRECISE * eps * here[0]:
            norms = here
        size = norms[0]
        total = math.hypot(*norms[1:])
        values.judge(other, other * size)
        for comparison in derivatives:
            comparison.judge(same, floor * total)
        if not any(comparison.differs for comparison in both):
            break
    return both


def in_both(
    report: GradientReport, dtype: str, sample: Sampler, x_size: float, by_array: bool
) -> GradientReport:
    """The report in float64, and what a comparison with the user's precision adds to
    it.

    ``dtype`` is that of the lowest precision, ``x_size`` the norm of x. Derivatives are
    those ``by_array``, or those of outputs, which all arrays share.
    """
    start = time.perf_counter()
    eps = eps_of(dtype)
    values, *found = _compared(sample, eps, x_size or 1.0)
    if values.differs and eps <= _FLOAT32:
        raise TypeError("f has other values")
    seconds = report.seconds + time.perf_counter() - start
    report = replace(
        report,
        evaluations=report.evaluations + 2 * (found[0].count + 1),
        seconds=seconds,
    )
    every = set(range(len(report.arrays)))
    # on a kink, say, rounding alone changes a gradient
    known = {i for i in every if not report.arrays[i].unverified}
    wrong = {i for i in known if not report.arrays[i].passed}
    tells_of = [{i} for i in every] if by_array else [every] * len(found)
    differ = {
        i
        for own, each in zip(tells_of, found, strict=True)
        if each.differs and own <= known
        for i in own
    }
    hidden = {
        i
        for own, each in zip(tells_of, found, strict=True)
        if not each.least < 1
        for i in own
    }
    if values.differs:
        why = f"{report.verdict} in float64, but f has other values in {dtype}"
        return _changed(
            report, every, passed=False, unverified=why, relative_error=math.nan
        )
    if wrong:
        return _wrong_in_float64(report, wrong, bool(differ), dtype)
    if differ:
        diagnosis = (
            f"in float64 the gradient is {report.verdict}: that of {dtype} alone is"
            " wrong"
        )
        report = replace(
            _changed(report, differ, passed=False, unverified=""), diagnosis=diagnosis
        )
        return _with_entries(report, found) if by_array else report
    if report.passed and hidden:
        least = max(each.least for each in found)
        why = (
            f"right in float64, but rounding hides errors of the gradient in {dtype}"
            f" below {least:.0e} of its norm"
        )
        return _changed(report, hidden, passed=False, unverified=why)
    return replace(
        report, note=report.note or f"checked in float64; {_agreement(found, dtype)}"
    )


def _changed(report: GradientReport, which: Set[int], **changes: Any) -> GradientReport:
    """A report with another verdict of some arrays, and nothing that was said of
    entries.
    """
    arrays = tuple(
        replace(array, **changes) if i in which else array
        for i, array in enumerate(report.arrays)
    )
    passed = all(array.passed for array in arrays)
    return replace(
        report, arrays=arrays, passed=passed, findings=(), diagnosis=None, program=""
    )


def _wrong_in_float64(
    report: GradientReport, wrong: Set[int], differs: bool, dtype: str
) -> GradientReport:
    """The report, unless the error is one that the user's precision cannot tell."""
    off = np.max([report.arrays[i].relative_error for i in wrong])
    if differs or not off <= _NEGLIGIBLE:
        where = (
            f"; {dtype} has another gradient" if differs else f" as well as in {dtype}"
        )
        return replace(
            report, note=report.note or f"checked in float64, where it is wrong{where}"
        )
    note = (
        f"checked in float64: off by {off:.0e} of its norm there, which {dtype} cannot"
        " tell"
    )
    return replace(
        _changed(report, wrong, passed=True, relative_error=math.nan), note=note
    )


def _with_entries(
    report: GradientReport, found: Sequence[Comparison]
) -> GradientReport:
    """The report of a gradient that is wrong in the user's precision, and how far its
    arrays and entries are off.
    """
    each = list(zip(report.arrays, found, strict=True))
    arrays = tuple(
        replace(array, relative_error=of.relative_error if of.differs else math.nan)
        for array, of in each
    )
    return replace(
        report,
        arrays=arrays,
        findings=tuple(entry for array, of in each for entry in of.findings(array)),
    )


def _agreement(found: Sequence[Comparison], dtype: str) -> str:
    """How closely the user's precision agrees with float64."""
    if any(each.differs for each in found):  # where nothing is verified
        return f"{dtype} has another gradient"
    compared = [each for each in found if 0 < each.least < 1]
    if not any(each.norm for each in found):
        return f"the gradient is 0 in {dtype}, too"
    if not compared:
        return f"{dtype} is not compared: the gradient is too small for it"
    of_some = "" if len(compared) == len(found) else " that is not small beside others"
    most = max(each.relative_error for each in compared)
    return f"{dtype} agrees with that to {most:.0e} of the norm of each array{of_some}"
