"""What a wrong gradient looks like: corrections that usual mistakes call for, tried on the entries that were measured.

A correction counts only if a fresh probe of all entries finds the corrected gradient right. If none does, there is no
diagnosis.
"""

import math
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.report import entry_name
from secant.checking.search import Entry

_CLOSE = 1e-5
"""What a gradient may be off by, as a share of the largest wrong entry, and still be called close."""


class Diagnosis(NamedTuple):
    """What an error looks like, and the evidence."""

    text: str
    evidence: str


class _Correction(NamedTuple):
    """What may be wrong, and the gradient without it."""

    text: str
    gradient: list[Floats]


def diagnosed(
    probe: DirectionalProbe,
    rng: np.random.Generator,
    given: Candidate,
    entries: Sequence[Entry],
    suspect_arrays: Set[int],
) -> Diagnosis | None:
    """Return what the error looks like; None if nothing fits.

    Parameters
    ----------
    probe : DirectionalProbe
    rng : numpy.random.Generator
        Draws the directions along which corrected gradients are probed.
    given : Candidate
        If it is no gradient, there is no diagnosis.
    entries : sequence of Entry
        Those that were measured.
    suspect_arrays : set of int
        Those in which something is wrong.
    """
    if not isinstance(given, CandidateGradient):
        return None
    case = _Case(probe, given.given, entries, suspect_arrays)
    if obvious := case.obvious():
        return obvious
    for correction in case.corrections():
        if case.fits(correction) and case.confirms(correction, rng):
            return Diagnosis(correction.text, "with that corrected, a fresh probe of all entries finds no error")
    return case.zeros() or case.close()


class _Case:
    def __init__(
        self,
        probe: DirectionalProbe,
        given: Sequence[Array],
        entries: Sequence[Entry],
        suspect_arrays: Set[int],
    ) -> None:
        self.probe, self.point = probe, probe.point
        self.names = self.point.names
        self.standstill = self.point.standstill()
        self.x = [array.reshape(-1).astype(np.float64) for array in self.point.origin]
        self.shapes = [array.shape for array in self.point.origin]
        self.given = [np.asarray(part, np.float64) for part in given]
        self.entries = entries
        self.wrong = [entry for entry in entries if entry.wrong]
        self.suspect_arrays = sorted(suspect_arrays)

    @property
    def who(self) -> str:
        """The arrays that are wrong."""
        if len(self.suspect_arrays) == len(self.names):
            return "the gradient"
        return " and ".join(self.names[leaf] for leaf in self.suspect_arrays)

    @property
    def who_is(self) -> str:
        """The same, and a verb."""
        return f"{self.who} {'is' if len(self.suspect_arrays) == 1 or self.who == 'the gradient' else 'are'}"

    def obvious(self) -> Diagnosis | None:
        """What needs no further evaluation."""
        if self.standstill and self.wrong:
            return Diagnosis(self.standstill, "all evaluations of f")
        for leaf, part in enumerate(self.given):
            if count := int((~np.isfinite(part)).sum()):
                kind = "NaN" if np.isnan(part).any() else "infinite"
                text = f"{count:,} of {part.size:,} entries of {self.names[leaf]} are {kind}"
                return Diagnosis(text, "the gradient as given")
        zero = [leaf for leaf in self.suspect_arrays if not self.given[leaf].any() and self.given[leaf].size > 1]
        if zero and zero == self.suspect_arrays:
            evidence = "all entries as given; those that were measured are not 0"
            return Diagnosis(f"{self.who_is} 0 everywhere", evidence)
        return None

    def zeros(self) -> Diagnosis | None:
        """Entries that are left out."""
        if len(self.wrong) > 1 and all(entry.given == 0 for entry in self.wrong):
            text = f"some entries of {self.who} are 0 that should not be"
            return Diagnosis(text, "all wrong entries that were found are 0")
        return None

    @property
    def is_flat(self) -> bool:
        """Whether the slope of f is 0 in all entries that were measured."""
        return bool(self.wrong) and all(abs(entry.numerical) <= entry.error_bar for entry in self.entries)

    def close(self) -> Diagnosis | None:
        """A gradient that is almost right."""
        off = max((abs(entry.given - entry.numerical) for entry in self.wrong), default=math.inf)
        size = max((abs(entry.numerical) for entry in self.wrong), default=0.0)
        if off > _CLOSE * size:
            return None
        reason = "as a numerical gradient is, or the gradient of a slightly different loss"
        whose = "its" if self.who_is.endswith(" is") else "their"
        return Diagnosis(f"{self.who_is} off by {off / size:.0e} of {whose} size", reason)

    def fits(self, correction: _Correction) -> bool:
        """Whether a corrected gradient agrees with the entries that were measured."""
        return bool(self.wrong) and all(
            abs(correction.gradient[e.leaf][e.flat] - e.numerical) <= 8 * e.error_bar + 1e-5 * abs(e.numerical)
            for e in self.entries
        )

    def confirms(self, correction: _Correction, rng: np.random.Generator) -> bool:
        """Whether fresh probes of all entries find a corrected gradient right: one may miss what is left by chance."""
        corrected = CandidateGradient(self.point, [np.asarray(part) for part in correction.gradient])
        found = (self.probe.measure(self.point.direction(rng), self.point.all, corrected) for _ in range(2))
        return all(math.isfinite(probe.error_bar) and not probe.wrong for probe in found)

    def corrections(self) -> Iterator[_Correction]:
        """The likeliest first."""
        yield from self._one_entry()
        yield from self._factors()
        yield from self._proportional()
        yield from self._transposed()

    def _replaced(self, changes: dict[int, Floats]) -> list[Floats]:
        return [changes.get(leaf, part) for leaf, part in enumerate(self.given)]

    def _one_entry(self) -> Iterator[_Correction]:
        if len(self.wrong) == 1:
            (entry,), gradient = self.wrong, [part.copy() for part in self.given]
            gradient[entry.leaf][entry.flat] = entry.numerical
            clear = abs(entry.numerical) > 100 * entry.error_bar
            ratios = _rounded(entry.given / entry.numerical) if clear else []
            how = next((_as_factor(ratio) for ratio in ratios if ratio != 1), "wrong")
            yield _Correction(f"one entry, {self._name(entry)}, is {how}", gradient)

    def _factors(self) -> Iterator[_Correction]:
        rest = self._share(self.given)
        for factor in _rounded(1 / (1 + rest)) if rest != -1 and not self.is_flat else []:
            if factor not in (0.0, 1.0):
                changes = {leaf: self.given[leaf] / factor for leaf in self.suspect_arrays}
                yield _Correction(f"{self.who_is} {_as_factor(factor)}", self._replaced(changes))

    def _proportional(self) -> Iterator[_Correction]:
        for decay in _rounded(self._share(self.x)):
            changes = {leaf: self.given[leaf] + decay * self.x[leaf] for leaf in self.suspect_arrays}
            text = (
                f"a weight decay is missing in {self.who}: {decay:.6g} times the parameters"
                if decay > 0
                else f"there is a weight decay in {self.who} that f does not have: {-decay:.6g} times the parameters"
            )
            yield _Correction(text, self._replaced(changes))

    def _share(self, pattern: list[Floats]) -> float:
        """What times a pattern is missing in the arrays that are wrong, if all that is missing is of that pattern."""
        return self._missing([part if leaf in self.suspect_arrays else 0 * part for leaf, part in enumerate(pattern)])

    def _missing(self, pattern: list[Floats]) -> float:
        """How many times a pattern has to be added to the gradient, as far as f along that pattern tells."""
        largest = max(float(np.abs(part).max()) for part in pattern)
        if not 0 < largest < math.inf:
            return math.nan
        pattern = [part / largest for part in pattern]
        sizes = [(self.point.least_scale(leaf), float(np.abs(part).max())) for leaf, part in enumerate(pattern)]
        step = min((scale / size for scale, size in sizes if size), default=0.0)
        along = step * largest * sum(float(part @ part) for part in pattern)
        if not along or not math.isfinite(along):
            return math.nan
        found = self.probe.measure([step * part for part in pattern], self.point.all)
        return found.error / along if math.isfinite(found.error_bar) else math.nan  # f may have no slope there

    def _transposed(self) -> Iterator[_Correction]:
        for leaf in self.suspect_arrays if len(self.suspect_arrays) == 1 else []:
            shape, part = self.shapes[leaf], self.given[leaf]
            if len(shape) == 2 and min(shape) > 1:
                changes = {leaf: part.reshape(shape[::-1]).T.ravel()}
                yield _Correction(f"{self.names[leaf]} is transposed", self._replaced(changes))

    def _name(self, entry: Entry) -> str:
        return entry_name(self.names[entry.leaf], entry.place)


def _rounded(value: float) -> list[float]:
    """A number, and before it the simple ones close by: with few digits, whole, or one over a whole number."""
    if not math.isfinite(value) or value == 0:
        return []
    found = [number for within in (1e-3, 1e-6) for number in _simple(value, within)]
    return list(dict.fromkeys([*found, value]))


def _simple(value: float, within: float) -> Iterator[float]:
    near = [float(f"{value:.{digits}g}") for digits in (1, 2, 3)]
    if abs(value) * within < 0.25:  # else any number is close to a whole one
        near.insert(2, float(round(value)))
    if within < 0.25 * abs(value):
        near.insert(2, 1 / (round(1 / value) or math.inf))
    yield from [number for number in near if number and abs(number - value) <= within * abs(value)][:1]


def _as_factor(factor: float) -> str:
    if factor == 0:
        return "0"
    if abs(factor + 1) < 1e-6:
        return "of the wrong sign"
    if factor < 0:
        return f"of the wrong sign and {_as_factor(-factor)}"
    if abs(factor - 1) < 1e-4:
        return f"too {'large' if factor > 1 else 'small'} by {abs(factor - 1):.1g} of its size"
    return f"{factor:.6g} times too large" if factor > 1 else f"{1 / factor:.6g} times too small"
