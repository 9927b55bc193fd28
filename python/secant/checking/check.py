"""`check_gradient`: all entries at once along random directions, and the culprit where they disagree.

The tolerance comes from what was measured of f, its noise and its truncation, never from a number given. See
docs/checks.md for what a check that passes proves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from secant._common import validation
from secant._common.interrupts import held_interrupts
from secant._common.validation import Array
from secant.checking.diagnosis import Entry, diagnosed
from secant.checking.noise import noise
from secant.checking.point import Direction, Point, Span, leaves
from secant.checking.report import ArrayReport, Finding, GradientReport
from secant.checking.search import Measured, search
from secant.checking.slope import Column, Line, Slope
from secant.errors import ShapeError, ValueRangeError

VERDICT = 5.0
"""An error is noticed where it is beyond so many error bars."""
_PROBES, _BUDGET, _SEARCH_BUDGET = 4, 100, 5000
_ROUNDING_OF_ENTRIES = 16.0  # units in the last place that entries of a right gradient may be off


def check_gradient(
    f: Callable[[Any], Any],
    x: Any,
    gradient: Any,
    *,
    scale: Any = None,
    budget: int | None = None,
    confidence: float = 1 - 1e-6,
    findings: int = 20,
    names: Sequence[str] | None = None,
    inplace: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check a whole gradient in about a hundred evaluations of f, and name the entries that are wrong.

    Parameters
    ----------
    f : callable
        Takes what x is, and returns a number. It must return the same number for the same x.
    x : ndarray of float64, float32 or float16; or nested dicts, lists, tuples and named tuples of such
        Where the gradient is checked. It is not changed.
    gradient : the same structure as x, or callable
        What is checked. A callable takes x and returns it.
    scale : float, or arrays as x, optional
        How far entries of x may sensibly be shifted; by default the size of an entry, and at least the root mean square
        of its array.
    budget : int, optional
        Evaluations of f of a check that passes; by default 100. More of them notice smaller errors.
    confidence : float
        The probability with which the reported ``spread`` of errors is noticed.
    findings : int
        At most so many wrong entries are looked for, in each array.
    names : sequence of str, optional
        Names of the arrays; by default their keys and paths.
    inplace : bool
        Shift the arrays of x themselves, for a function that looks at them without using its argument. When the call ends
        they are what they were, bit for bit, also when f raises.
    rng : int
        The seed of the directions: the same check gives the same report.

    Returns
    -------
    GradientReport
        Whether it is right, what would have been noticed, and which entries are wrong.

    Raises
    ------
    DTypeError, ShapeError
        If x or the gradient is no such structure, they do not match, or f does not return a single real number.
    ValueRangeError
        If x is not finite or f(x) is not; f is not deterministic, changes its argument, or has no slope at x.

    See Also
    --------
    numerical_gradient : every entry of it, in two evaluations each.

    Notes
    -----
    Group testing: along a random direction v the errors d of all entries show as their sum d . v, which is compared with
    the noise of f, measured by the difference table of Moré and Wild (2011).

    Examples
    --------
    >>> x = np.array([3.0, 4.0])
    >>> secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x).passed
    True
    >>> report = secant.check_gradient(lambda x: np.sum(x**2), x, np.array([6.0, 8.1]))
    >>> report.passed, report.findings[0].name
    (False, 'x[1]')
    """
    check = _Check(f, x, inplace, names, scale, rng)
    try:
        check.sane()
        check.claim(gradient(x) if callable(gradient) else gradient)
        return check.report(
            validation.positive_int("budget", budget) if budget is not None else _BUDGET,
            _probability(confidence),
            validation.positive_int("findings", findings),
        )
    finally:
        try:
            with held_interrupts():
                check.point.restore()
        finally:
            check.point.restore()


def _probability(confidence: float) -> float:
    value = validation.finite_number("confidence", confidence, above=0)
    if value >= 1:
        raise ValueRangeError(f"confidence must be less than 1, got {confidence!r}")
    return value


class _Check:
    def __init__(
        self, f: Callable[[Any], Any], x: Any, inplace: bool, names: Sequence[str] | None, scale: Any, rng: int
    ) -> None:
        self._start = time.perf_counter()
        self.point = Point(f, x, inplace=inplace, names=names)
        self._scales = self.point.scales(scale)
        self._rng = np.random.default_rng(rng)
        self._finest = max(4 * float(np.finfo(array.dtype).eps) for array in self.point.origin)
        self._noise: float | None = None
        self._column: Column | None = None
        self._claim: list[Array] = []
        self._kink = 0.0

    def sane(self) -> None:
        self._value = self.point.require_sane()

    def claim(self, gradient: Any) -> None:
        given = leaves("gradient", gradient)
        shapes = [leaf.array.shape for leaf in given]
        if shapes != (wanted := [array.shape for array in self.point.origin]):
            raise ShapeError(f"gradient must have the shapes of x, {_listed(wanted)}, got {_listed(shapes)}")
        self._claim = [leaf.array.reshape(-1) for leaf in given]

    def report(self, budget: int, confidence: float, findings: int) -> GradientReport:
        bad = [np.flatnonzero(~np.isfinite(claim)) for claim in self._claim]
        given = self._claim
        if any(map(len, bad)):
            self._claim = [np.where(np.isfinite(claim), claim, 0) for claim in given]
        probes, groups = self._probes(budget)
        passed = not any(map(len, bad)) and not any(probe.wrong for probe in (*probes, *groups))
        entries: list[Entry] = []
        diagnosis: tuple[str, str] | None = None
        blamed: set[int] = set()
        if not passed:
            entries, blamed, diagnosis = self._culprits(given, bad, findings)
        return GradientReport(
            passed,
            tuple(self._finding(entry) for entry in entries if entry.wrong)[: findings * len(given)],
            tuple(self._array(i, probes, groups, confidence, i not in blamed) for i in range(len(given))),
            diagnosis and diagnosis[0],
            diagnosis and diagnosis[1],
            confidence,
            self.point.evaluations,
            (self._noise or 0.0) / (abs(self._value) or 1.0),
            time.perf_counter() - self._start,
            self._kink > 0,
        )

    def _probes(self, budget: int) -> tuple[list[Measured], list[Measured]]:
        """Of all entries, then of groups of them as far as the budget goes."""
        everything, slopes, cost = self.point.all, [], 0
        while len(slopes) < _PROBES and (len(slopes) < 2 or self.point.evaluations + cost <= budget):
            before = self.point.evaluations
            direction = self.direction()
            slopes.append((direction, self.slope(direction, everything)))
            cost = self.point.evaluations - before
        self._kink = math.sqrt(float(np.mean([slope.jump**2 for _, slope in slopes])))
        probes = [self._measured(direction, everything, slope) for direction, slope in slopes]
        groups = []
        count = min((budget - self.point.evaluations) // max(cost, 1), everything.size)
        if count > 1 and not any(probe.wrong for probe in probes):
            direction = self.direction()
            ends = np.linspace(0, everything.size, count + 1).astype(int).tolist()
            groups = [self.measure(direction, Span(a, b)) for a, b in zip(ends, ends[1:], strict=False)]
        return probes, groups

    def direction(self) -> Direction:
        return self.point.direction(self._scales, self._rng)

    def slope(self, direction: Direction, span: Span) -> Slope:
        """The slope of f along a direction, less what the claimed gradient says of it."""

        def sample(step: float) -> tuple[float, float]:
            return self.point.shifted(direction, self._claim, step, span)

        if self._noise is None:
            self._noise = noise(sample, self._finest)
        slope, self._column = Line(sample, self._noise).slope(self._column)
        if not math.isfinite(slope.error_bar):
            raise ValueRangeError("f must have a slope at x, but it is not finite or not continuous around it")
        return slope

    def measure(self, direction: Direction, span: Span) -> Measured:
        return self._measured(direction, span, self.slope(direction, span))

    def _measured(self, direction: Direction, span: Span, slope: Slope) -> Measured:
        squares = 0.0
        for leaf, part in self.point.parts(span):
            claim, own = self._claim[leaf][part.begin : part.end], direction.parts[leaf][part.begin : part.end]
            eps = _ROUNDING_OF_ENTRIES * float(np.finfo(claim.dtype).eps)
            squares += float(np.sum((eps * claim.astype(np.float64) * own) ** 2))
        kink = self._kink if span == self.point.all else slope.jump
        return Measured(span, slope.value, slope.error_bar, VERDICT * (slope.error_bar + kink) + math.sqrt(squares))

    def _culprits(
        self, given: list[Array], bad: list[Any], findings: int
    ) -> tuple[list[Entry], set[int], tuple[str, str] | None]:
        direction = self.direction()
        limit = self.point.evaluations + _SEARCH_BUDGET

        def measure(span: Span) -> Measured:
            return self.measure(direction, span)

        wrong, right, blamed = search(
            measure, self.point.spans, findings, lambda: limit - self.point.evaluations, self._rng
        )
        for number, indices in enumerate(bad):
            blamed |= {number} if len(indices) else set()
            for i in indices[:findings].tolist():
                begin = self.point.spans[number].begin + i
                wrong.append(measure(Span(begin, begin + 1)))
        entries = [self._entry(direction, given, found) for found in (*wrong, *right)]

        def confirmed(corrected: list[Array]) -> bool:
            before, self._claim = self._claim, corrected
            try:
                return not self.measure(self.direction(), self.point.all).wrong
            finally:
                self._claim = before

        return entries, blamed, diagnosed(self.point, given, entries, blamed, confirmed)

    def _entry(self, direction: Direction, given: list[Array], found: Measured) -> Entry:
        leaf, index = self.point.entry(found.span.begin)
        flat = found.span.begin - self.point.spans[leaf].begin
        step = float(direction.parts[leaf][flat])
        said = float(given[leaf][flat])
        numerical = (said if math.isfinite(said) else 0.0) + found.error / step
        wrong = found.wrong or not math.isfinite(said)
        return Entry(leaf, flat, index, said, numerical, found.error_bar / abs(step), wrong)

    def _finding(self, entry: Entry) -> Finding:
        name = self.point.names[entry.leaf]
        return Finding(name, entry.index, entry.given, entry.numerical, entry.error_bar)

    def _array(
        self, leaf: int, probes: list[Measured], groups: list[Measured], confidence: float, passed: bool
    ) -> ArrayReport:
        """What would have been noticed: see docs/checks.md."""
        array, own = self.point.origin[leaf], self.point.spans[leaf]
        smallest = float(np.min(self._scales[leaf]))
        thresholds = [probe.allowed + probe.error_bar for probe in probes]
        noticed = min(thresholds)
        if groups:
            covering = [group for group in groups if group.span.begin < own.end and own.begin < group.span.end]
            noticed = min(noticed, max(group.allowed + group.error_bar for group in covering))
        mean = math.exp(sum(map(math.log, thresholds)) / len(thresholds)) if min(thresholds) > 0 else 0.0
        spread = math.sqrt(2) * mean * (1 - confidence) ** (-1 / len(thresholds)) / math.sqrt(array.size)
        return ArrayReport(self.point.names[leaf], array.shape, passed, 2 * noticed / smallest, spread / smallest)


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))
