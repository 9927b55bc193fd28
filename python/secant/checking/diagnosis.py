"""What a wrong gradient looks like: corrections that usual mistakes call for, tried on the entries that were measured.

A correction counts only if a fresh probe of all entries finds the corrected gradient right. If none does, there is no
diagnosis.
"""

import math
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.report import entry_name
from secant.checking.search import Entry

_NOTHING = 1e-9  # of the gradient: if less of it is right, no factor says what is wrong


class _Correction(NamedTuple):
    """What may be wrong, and the gradient without it."""

    text: str
    gradient: Floats


@np.errstate(all="ignore")  # a correction that is not finite does not fit
def diagnosed(
    probe: DirectionalProbe,
    rng: np.random.Generator,
    given: Candidate,
    entries: Sequence[Entry],
    suspect_arrays: Set[int],
) -> str:
    """Return what the error looks like; nothing if nothing fits.

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
        return ""
    case = _Case(probe, given.given, entries, sorted(suspect_arrays))
    if found := case.without_evaluations():
        return found
    for correction in case.corrections():
        if case.fits(correction.gradient) and case.confirms(correction.gradient, rng):
            return correction.text
    return case.zeros()


class _Case:
    def __init__(
        self, probe: DirectionalProbe, given: Floats, entries: Sequence[Entry], suspect_arrays: list[int]
    ) -> None:
        self.probe, self.point, self.given, self.entries = probe, probe.point, given, entries
        self.wrong = [entry for entry in entries if entry.wrong]
        self.suspect_arrays = suspect_arrays
        self.is_suspect = np.zeros(given.size, bool)
        for leaf in suspect_arrays:
            self.is_suspect[slice(*self.point.spans[leaf])] = True
        names, is_all = self.point.names, len(suspect_arrays) == len(self.point.names)
        self.who = "the gradient" if is_all else " and ".join(names[leaf] for leaf in suspect_arrays)
        self.who_is = f"{self.who} {'is' if is_all or len(suspect_arrays) == 1 else 'are'}"

    def without_evaluations(self) -> str:
        """What is obvious."""
        if self.wrong and (standstill := self.point.standstill()):
            return standstill
        for name, span in zip(self.point.names, self.point.spans, strict=True):
            part = span.of(self.given)
            if count := int((~np.isfinite(part)).sum()):
                kind = "NaN" if np.isnan(part).any() else "infinite"
                return f"{count:,} of {part.size:,} entries of {name} are {kind}"
        parts = [self.point.spans[leaf].of(self.given) for leaf in self.suspect_arrays]
        return "" if any(part.any() or part.size == 1 for part in parts) else f"{self.who_is} 0 everywhere"

    def zeros(self) -> str:
        """Entries that are left out."""
        if len(self.wrong) > 1 and all(entry.given == 0 for entry in self.wrong):
            return f"some entries of {self.who} are 0 that should not be"
        return ""

    def fits(self, gradient: Floats) -> bool:
        """Whether a corrected gradient agrees with the entries that were measured."""
        return bool(self.wrong) and all(
            abs(gradient[e.number] - e.numerical) <= 8 * e.error_bar + 1e-5 * abs(e.numerical) for e in self.entries
        )

    def confirms(self, gradient: Floats, rng: np.random.Generator) -> bool:
        """Whether fresh probes of all entries find a corrected gradient right: one may miss what is left by chance."""
        corrected = CandidateGradient(self.point, [gradient])
        found = (self.probe.measure(self.point.direction(rng), self.point.all, corrected) for _ in range(2))
        return all(math.isfinite(probe.error_bar) and not probe.wrong for probe in found)

    def corrections(self) -> Iterator[_Correction]:
        """The likeliest first: one entry, a factor, a weight decay, a transposed array."""
        if len(self.wrong) == 1:
            (entry,) = self.wrong
            corrected = self.given.copy()
            corrected[entry.number] = entry.numerical
            clear = abs(entry.numerical) > 100 * entry.error_bar
            ratios = _rounded(entry.given / entry.numerical) if clear else []
            how = next((_as_factor(ratio) for ratio in ratios if ratio != 1), "wrong")
            name = entry_name(self.point.names[entry.leaf], entry.place)
            yield _Correction(f"one entry, {name}, is {how}", corrected)
        rest = self._share_of(self.given)
        for factor in _rounded(1 / (1 + rest)) if math.isfinite(rest) and abs(1 + rest) > _NOTHING else []:
            if factor != 1:
                corrected = np.where(self.is_suspect, self.given / factor, self.given)
                yield _Correction(f"{self.who_is} {_as_factor(factor)}", corrected)
        for decay in _rounded(self._share_of(self.point.x)):
            text = (
                f"a weight decay is missing in {self.who}: {decay:.6g} times the parameters"
                if decay > 0
                else f"there is a weight decay in {self.who} that f does not have: {-decay:.6g} times the parameters"
            )
            yield _Correction(text, np.where(self.is_suspect, self.given + decay * self.point.x, self.given))
        if len(self.suspect_arrays) == 1:
            (leaf,) = self.suspect_arrays
            shape, span = self.point.shapes[leaf], self.point.spans[leaf]
            if len(shape) == 2 and min(shape) > 1:
                corrected = self.given.copy()
                span.of(corrected)[...] = span.of(self.given).reshape(shape[::-1]).T.ravel()
                yield _Correction(f"{self.point.names[leaf]} is transposed", corrected)

    def _share_of(self, pattern: Floats) -> float:
        """How many times a pattern has to be added to the arrays that are wrong, as far as f along it tells."""
        pattern = np.where(self.is_suspect, pattern, 0.0)
        largest = float(np.abs(pattern).max())
        if not 0 < largest < math.inf:
            return math.nan
        pattern = pattern / largest  # whose squares are no too large numbers
        sizes = [float(np.abs(span.of(pattern)).max()) for span in self.point.spans]
        step = min(self.point.least_scales[leaf] / size for leaf, size in enumerate(sizes) if size)
        along = step * largest * float(pattern @ pattern)
        if not 0 < along < math.inf:
            return math.nan
        found = self.probe.measure(step * pattern, self.point.all)
        return found.error / along if math.isfinite(found.error_bar) else math.nan  # f may have no slope there


def _rounded(value: float) -> list[float]:
    """A number, and before it the simple ones close by: with few digits, whole, or one over a whole number."""
    if not math.isfinite(value) or value == 0:
        return []
    near = [float(f"{value:.{digits}g}") for digits in (1, 2, 3)]
    near += [float(round(value)), 1 / (round(1 / value) or math.inf)]
    return [*dict.fromkeys(each for each in near if each and abs(each - value) <= 1e-3 * abs(value)), value]


def _as_factor(factor: float) -> str:
    if abs(factor + 1) < 1e-6:
        return "of the wrong sign"
    if factor < 0:
        return f"of the wrong sign and {_as_factor(-factor)}"
    if abs(factor - 1) < 1e-4:
        return f"too {'large' if factor > 1 else 'small'} by {abs(factor - 1):.1g} of its size"
    return f"{factor:.6g} times too large" if factor > 1 else f"{1 / factor:.6g} times too small"
