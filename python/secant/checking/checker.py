"""What a check does: probes of all entries, of groups of them, and the search for those that are wrong."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np

from secant._common.validation import Array, Floats
from secant.checking.diagnosis import Entry, diagnosed
from secant.checking.kinks import allowance, jumps
from secant.checking.point import Direction, Span, chunks, norm_of
from secant.checking.prober import Prober
from secant.checking.report import ArrayReport, Finding, GradientReport, entry_name
from secant.checking.search import search
from secant.checking.verdict import Measured, measured, noticed, seen_for_sure
from secant.differentiation.slope import Slope
from secant.errors import ValueRangeError

BUDGET = 100
"""Evaluations of f of a check that passes, unless more are allowed."""
_PROBES, _SEARCH_BUDGET, _KINK_BUDGET = 4, 5000, 1000
_CLEAR = 1000.0
_HIDDEN = 1e-5  # of the jumps along other directions: so small it is all but surely none, and not several that cancel


class Checker(Prober):
    """A check of what is said of a gradient."""

    def report(self, budget: int, confidence: float, findings: int, every_entry: bool) -> GradientReport:
        """Check, and say what was found."""
        given = self._claim
        bad = [_not_finite(claim) for claim in given or []]
        if given is not None and any(map(len, bad)):
            self._claim = [np.where(np.isfinite(claim), claim, 0) for claim in given]
        probes, groups = self.probes(budget)
        if self.kink and not noticed(probes):
            groups = self._apart()
        wrong = any(map(len, bad)) or noticed(probes) or any(group.wrong for group in groups)
        entries: list[Entry] = []
        every: list[Entry] = []
        diagnosis: tuple[str, str] | None = None
        blamed: set[int] = set()
        if every_entry:
            every = self._entries(given)
            wrong = wrong or any(entry.wrong for entry in every)
        if wrong:
            entries, blamed, diagnosis = self._culprits(given, bad, findings, groups)
            # On a kink, jumps may cancel along a direction: then it proves nothing unless an array is wrong by itself.
            wrong = bool(blamed) or not self.kink
            blamed = blamed or set(range(len(bad)) if wrong else ())
        if every_entry:
            entries = sorted(every, key=lambda entry: -abs(entry.numerical - entry.given))
            blamed |= {entry.leaf for entry in every if entry.wrong}
        count = len(self.point.spans)
        return GradientReport(
            passed=not wrong,
            findings=tuple(self._finding(entry) for entry in entries if entry.wrong)[: findings * count],
            arrays=tuple(self._array(i, probes, groups, confidence, i not in blamed) for i in range(count)),
            diagnosis=diagnosis and diagnosis[0],
            evidence=diagnosis and diagnosis[1],
            confidence=confidence,
            evaluations=self.point.evaluations,
            noise=(self._noise.near if self._noise else 0.0) / (abs(self._value) or 1.0),
            seconds=time.perf_counter() - self._start,
            kink=self.kink > 0,
            entries=tuple(map(self._finding, every)),
            kinked=tuple(self._name(span) for span in self.kinked or ()),
        )

    def probes(self, budget: int) -> tuple[list[Measured], list[Measured]]:
        """Of all entries, then of groups of them as far as the budget goes."""
        everything, cost = self.point.all, 0
        slopes: list[tuple[Slope, float]] = []
        found: list[Measured] = []
        seen: list[float] = []
        looked = False
        self._counted = "probing", 0, budget

        def unclear() -> bool:
            affordable = self.point.evaluations + cost <= budget or any(probe.wrong for probe in found)
            return len(found) < 2 or (len(found) < _PROBES and affordable) or found[-1].wrong

        while unclear():
            before = self.point.evaluations
            direction = self.direction()
            slope, rounding = self.slope(direction, everything), self._rounding(direction, everything)
            cost = self.point.evaluations - before
            if measured(everything, slope, 0, rounding).wrong and not abs(slope.value) > _CLEAR * slope.error_bar:
                slope = self._confirmed(slope, direction)
            slopes.append((slope, rounding))
            found.append(measured(everything, slope, 0, rounding))
            if noticed(found):
                self.noticed_after = self.point.evaluations
            if not looked and (found[-1].wrong or not self._is_smooth()):
                seen, looked = jumps(self._jump_of_half), True
            if found[-1].wrong:
                self._suspect = direction
            del direction  # before there is another one: it is as large as x
            if self.noticed_after:
                break
        self.kink = allowance([*seen, *(slope.jump for slope, _ in slopes)])
        probes = [measured(everything, slope, self.kink, rounding) for slope, rounding in slopes]
        groups = []
        count = min((budget - self.point.evaluations) // max(cost, 1), everything.size)
        if count > 1 and not noticed(probes):
            ends = np.linspace(0, everything.size, count + 1).astype(int).tolist()
            direction = self.direction()
            groups = [self.measure(direction, Span(a, b)) for a, b in itertools.pairwise(ends)]
            if any(group.wrong for group in groups) and not noticed(groups):
                direction = self.direction()
                groups = [self.measure(direction, group.span) if group.wrong else group for group in groups]
        return probes, groups

    def _apart(self) -> list[Measured]:
        """Entries on kinks, each by itself, and groups of the others: these need no allowance for jumps."""
        direction, limit = self.direction(), self.point.evaluations + _KINK_BUDGET
        queue, groups, kinked = list(self.point.spans), [], list[Span]()
        while queue:
            span = queue.pop()
            line = self._line(direction, span)
            slope = self._slope(line)
            hidden = line.hidden(self._column) if self._column and not slope.jump else 0.0
            if hidden > _HIDDEN * self.kink or self.point.evaluations > limit:
                self.kinked = None
                return []
            if slope.jump and span.size > 1:
                middle = (span.begin + span.end) // 2
                queue += [Span(span.begin, middle), Span(middle, span.end)]
                continue
            if slope.jump:
                kinked.append(span)
            found = measured(span, slope, self.kink if slope.jump else 0.0, self._rounding(direction, span))
            if found.wrong:
                found = self.measure(self.direction(), span, alone=not slope.jump)
            groups.append(found)
        self.kinked = sorted(kinked)
        return groups

    def _is_apart(self, span: Span) -> bool:
        """Whether none of these entries lies on a kink."""
        return self.kinked is not None and span not in self.kinked

    def _entries(self, given: list[Array] | None) -> list[Entry]:
        """Every entry by itself."""
        direction, found, self._counted = self.direction(), [], None
        for i in range(self.point.all.size):
            self._tell("entries", i, self.point.all.size)
            span = Span(i, i + 1)
            found.append(self._entry(direction, given, self.measure(direction, span, alone=self._is_apart(span))))
        return found

    def _culprits(
        self, given: list[Array] | None, bad: list[Any], findings: int, groups: list[Measured]
    ) -> tuple[list[Entry], set[int], tuple[str, str] | None]:
        direction = self.direction() if self._suspect is None else self._suspect
        self._counted = "searching", self.point.evaluations, _SEARCH_BUDGET
        limit = self.point.evaluations + _SEARCH_BUDGET

        apart = [group.span for group in groups if group.wrong] if self.kink else []

        def measure(span: Span) -> Measured:
            alone = self._is_apart(span) if apart else span.size == 1 and span not in self.point.spans
            return self.measure(direction, span, alone=alone)

        wrong, right, spans = search(
            measure, apart or self.point.spans, findings, lambda: limit - self.point.evaluations, self._rng
        )
        blamed = {self.point.entry(span.begin)[0] for span in spans}
        for number, indices in enumerate(bad):
            blamed |= {number} if len(indices) else set()
            for i in indices[:findings].tolist():
                begin = self.point.spans[number].begin + i
                if all(found.span.begin != begin for found in wrong):
                    wrong.append(measure(Span(begin, begin + 1)))
        entries = [self._entry(direction, given, found) for found in (*wrong, *right)]

        def confirmed(corrected: list[Array]) -> bool:
            before, self._claim = self._claim, corrected
            try:
                return not self.measure(self.direction(), self.point.all).wrong
            finally:
                self._claim = before

        if given is None:
            return entries, blamed, None
        return entries, blamed, diagnosed(self.point, given, entries, blamed, confirmed, self._missing)

    def _missing(self, pattern: list[Floats]) -> float:
        """How many times a pattern has to be added to what is said, as far as f along that pattern tells."""
        largest = max(float(np.abs(part).max()) for part in pattern)
        if not 0 < largest < math.inf:
            return math.nan
        pattern = [part / largest for part in pattern]
        sizes = [(self.point.least_scale(leaf), float(np.abs(part).max())) for leaf, part in enumerate(pattern)]
        step = min((scale / size for scale, size in sizes if size), default=0.0)
        along = step * largest * sum(float(part @ part) for part in pattern)
        if not along or not math.isfinite(along):
            return math.nan
        try:
            return self.measure([step * part for part in pattern], self.point.all).error / along
        except ValueRangeError:  # f has no slope there
            return math.nan

    def _entry(self, direction: Direction, given: list[Array] | None, found: Measured) -> Entry:
        leaf, index = self.point.entry(found.span.begin)
        flat = found.span.begin - self.point.spans[leaf].begin
        step = float(direction[leaf][flat])
        said = self._said(direction, found.span) / step if given is None else float(given[leaf][flat])
        numerical = (said if math.isfinite(said) else 0.0) + found.error / step
        wrong = found.wrong or not math.isfinite(said)
        return Entry(leaf, flat, index, said, numerical, found.error_bar / abs(step), wrong)

    def _name(self, span: Span) -> str:
        leaf, index = self.point.entry(span.begin)
        return entry_name(self.point.names[leaf], index)

    def _finding(self, entry: Entry) -> Finding:
        name = self.point.names[entry.leaf]
        return Finding(name, entry.place, entry.given, entry.numerical, entry.error_bar)

    def _array(
        self, leaf: int, probes: list[Measured], groups: list[Measured], confidence: float, passed: bool
    ) -> ArrayReport:
        """What would have been noticed: see docs/checks.md."""
        array, own = self.point.origin[leaf], self.point.spans[leaf]
        smallest = self.point.least_scale(leaf)
        thresholds = list(map(seen_for_sure, probes))
        least = max(thresholds)
        if groups:
            covering = [
                group
                for group in groups
                if group.span.begin < own.end and own.begin < group.span.end and group.span not in (self.kinked or ())
            ]
            least = min(least, max(map(seen_for_sure, covering), default=least))
        mean = math.exp(sum(map(math.log, thresholds)) / len(thresholds)) if min(thresholds) > 0 else 0.0
        spread = math.sqrt(2) * mean * (1 - confidence) ** (-1 / len(thresholds)) / math.sqrt(array.size)
        claim = self._claim[leaf] if self._claim else np.full(1, math.nan)
        largest = float(np.abs(claim).max())
        return ArrayReport(
            self.point.names[leaf],
            array.shape,
            passed,
            2 * least / smallest,
            spread / smallest,
            largest,
            norm_of(claim),
        )


def _not_finite(claim: Array) -> Any:
    """The entries of an array that are not finite."""
    found = [c.start + np.flatnonzero(~np.isfinite(claim[c])) for c in chunks(Span(0, claim.size))]
    return np.concatenate(found)
