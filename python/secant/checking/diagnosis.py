"""What a wrong gradient looks like: corrections that usual mistakes call for, tried on the entries that were measured.

A correction counts only if a fresh probe of all entries finds the corrected gradient right. If none does, there is no
diagnosis.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.checking.candidate import CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.search import Evidence

_BARS = 8.0  # error bars within which numbers agree


def diagnosed(probe: DirectionalProbe, rng: np.random.Generator, evidence: Evidence) -> str:
    """Return what the error looks like; nothing if nothing fits, or the candidate is no gradient.

    ``rng`` draws the directions along which corrected gradients are probed.
    """
    if not isinstance(probe.candidate, CandidateGradient):
        return ""
    case = _Case(probe, probe.candidate.given, evidence)
    if obvious := case.without_evaluations():
        return obvious
    for text, where, values in case.corrections() if case.wrong else ():
        corrected = case.given.copy()
        corrected[where] = values
        if case.fits(corrected) and case.confirms(corrected, rng):
            return text
    if len(case.wrong) > 1 and all(entry.found.gradient == 0 for entry in case.wrong):
        return f"some entries of {case.who} are 0 that should not be"
    return ""


class _Case:
    def __init__(self, probe: DirectionalProbe, given: Floats, evidence: Evidence) -> None:
        self.point, self.given, self.entries = probe.point, given, evidence.entries
        self.probe = copy.copy(probe)  # its candidates are corrected gradients
        self.wrong = [entry for entry in evidence.entries if entry.wrong]
        self.leaves = sorted(evidence.wrong)
        names, is_all = self.point.names, len(self.leaves) == len(self.point.names)
        self.who = "the gradient" if is_all else " and ".join(names[leaf] for leaf in self.leaves)
        self.who_is = f"{self.who} {'is' if is_all or len(self.leaves) == 1 else 'are'}"

    def without_evaluations(self) -> str:
        """What is obvious."""
        for name, span in zip(self.point.names, self.point.spans, strict=True):
            part = self.given[span]
            if count := int((~np.isfinite(part)).sum()):
                kind = "NaN" if np.isnan(part).any() else "infinite"
                return f"{count:,} of {part.size:,} entries of the gradient in {name} are {kind}"
        parts = [self.given[self.point.spans[leaf]] for leaf in self.leaves]
        return "" if any(part.any() or part.size == 1 for part in parts) else f"{self.who_is} 0 everywhere"

    def fits(self, gradient: Floats) -> bool:
        """Whether a corrected gradient agrees with the entries that were measured."""
        return all(
            abs(gradient[i] - found.numerical) <= _BARS * found.error_bar + 1e-5 * abs(found.numerical)
            for _, i, found, _ in self.entries
        )

    def confirms(self, gradient: Floats, rng: np.random.Generator) -> bool:
        """Whether fresh probes of all entries find a corrected gradient right: one may miss what is left by chance."""
        self.probe.candidate = CandidateGradient(self.point, self.point.structure.at(gradient))
        found = (self.probe.measure(self.point.direction(rng), self.point.all) for _ in range(2))
        return all(math.isfinite(probe.error_bar) and not probe.wrong for probe in found)

    def corrections(self) -> Iterator[tuple[str, Any, Any]]:
        """What may be wrong, in which entries, and what these are without it.

        That is one entry, a factor, a weight decay, or a transposed array.
        """
        if len(self.wrong) == 1:
            (_, i, found, _) = self.wrong[0]
            clear = abs(found.numerical) > 100 * found.error_bar
            ratios = _rounded(found.gradient / found.numerical) if clear else []
            how = next((_as_factor(ratio) for ratio in ratios if ratio != 1), "wrong")
            yield f"one entry, {found.name}, is {how}", i, found.numerical
        suspects = np.r_[tuple(self.point.spans[leaf] for leaf in self.leaves)]
        own = [entry for entry in self.entries if entry.leaf in self.leaves]
        numerical, error_bars = (np.array([getattr(e.found, of) for e in own]) for of in ("numerical", "error_bar"))
        given, x = (vector[[entry.number for entry in own]] for vector in (self.given, self.point.x))

        def times(pattern: Floats, values: Floats, measured: Floats) -> list[float]:
            """How many times a pattern makes up the values: as the entry tells that shows what is measured best."""
            clear = np.abs(measured) / (error_bars + np.finfo(float).tiny)
            best = np.argmax(clear)
            return _rounded(float(values[best] / pattern[best])) if clear[best] > _BARS else []

        for factor in times(numerical, given, numerical):
            if factor != 1:
                yield f"{self.who_is} {_as_factor(factor)}", suspects, self.given[suspects] / factor
        for decay in times(x, numerical - given, numerical - given):
            how = "a missing weight decay" if decay > 0 else "a weight decay that f does not have"
            text = f"{self.who_is} off by {abs(decay):.6g} times the parameters: {how}?"
            yield text, suspects, self.given[suspects] + decay * self.point.x[suspects]
        first, *others = self.leaves
        shape, span = self.point.shapes[first], self.point.spans[first]
        if not others and len(shape) == 2 and min(shape) > 1:
            transposed = self.given[span].reshape(shape[::-1]).T.ravel()
            yield f"{self.point.names[first]} is transposed", span, transposed


def _rounded(value: float) -> list[float]:
    """A number, and before it the simple ones close by: whole, one over a whole number, or with few digits."""
    if not math.isfinite(value) or value == 0:
        return []
    if not math.isfinite(1 / value):  # the share of an entry that has nearly underflowed: no factor that one means
        return []
    near = [float(round(value)), 1 / (round(1 / value) or math.inf)]
    near += [float(f"{value:.{digits}g}") for digits in (1, 2, 3)]
    return [*dict.fromkeys(each for each in near if each and abs(each - value) <= 1e-3 * abs(value)), value]


def _as_factor(factor: float) -> str:
    if abs(factor + 1) < 1e-6:
        return "of the wrong sign"
    if factor < 0:
        return f"of the wrong sign and {_as_factor(-factor)}"
    if abs(factor - 1) < 1e-4:
        return f"too {'large' if factor > 1 else 'small'} by {abs(factor - 1):.1g} of its size"
    return f"{factor:.6g} times too large" if factor > 1 else f"{1 / factor:.6g} times too small"
