"""What a wrong gradient looks like: a table of mistakes, each with one test and one
sentence.

Most tests correct the gradient as the mistake calls for, and ask whether it is right
then: it must agree with the entries that were measured, and fresh probes of all entries
must find no error. If no test holds, there is no diagnosis.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.checking.candidate import CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.elsewhere import probes_elsewhere
from secant.checking.search import Entry, Evidence

_BARS = 8.0  # error bars within which numbers agree
# error bars: a ratio of entries that are measured as well has two digits
_CLEAR = 100.0
_SAME_DIGITS = 1e-5  # of a number, within which an entry is what a mistake makes it
_ALMOST = 1e-4  # a factor that is nearer to 1 is an error of that size
# entries that are computed one by one of a derivative along directions
_MOST_TANGENTS = 1000
_WHOLE = 1e5  # samples, say; a larger whole number is near any number
_STEPS = tuple(10.0**-k for k in range(1, 9))  # of differences
_COARSE = 0.1  # of the norm: the error of a difference is smaller


def diagnosed(
    probe: DirectionalProbe, rng: np.random.Generator, evidence: Evidence
) -> str:
    """Return what the error looks like; nothing if no mistake of the table fits.

    ``rng`` draws the directions along which corrected gradients are probed.
    """
    if not isinstance(probe.candidate, CandidateGradient) and not _is_linear(probe):
        return (
            "the derivative is not linear in the tangent, which it leaves out or clips"
        )
    candidate = _as_gradient(probe)
    if candidate is None:
        return ""
    case = _Case(probe, candidate, evidence, rng)
    for mistake in MISTAKES:
        said = mistake.test(case)
        if said is not None:
            return mistake.sentence.format(who=case.who, who_is=case.who_is, said=said)
    return ""


def _is_linear(probe: DirectionalProbe) -> bool:
    """Whether derivatives along directions are -2 times as large along directions that
    are.
    """
    direction = probe.point.direction(np.random.default_rng(0))
    along = probe.candidate.along(direction, probe.point.all)
    twice = probe.candidate.along(-2 * direction, probe.point.all)
    return abs(twice + 2 * along) <= math.sqrt(probe.candidate.eps) * (
        abs(along) + abs(twice)
    )


def _as_gradient(probe: DirectionalProbe) -> CandidateGradient | None:
    """The gradient that is checked; in forward mode it is computed entry by entry, if
    there are not too many.
    """
    candidate = probe.candidate
    if isinstance(candidate, CandidateGradient):
        return candidate
    size = probe.point.x.size
    if size > _MOST_TANGENTS:
        return None
    entries = np.array([candidate.entry(i, np.ones(size)) for i in range(size)])
    return CandidateGradient(probe.point, probe.point.structure.at(entries))


class _Case:
    """A wrong gradient, and what was measured of it.

    Attributes
    ----------
    given : ndarray
        All entries of the gradient.
    entries, wrong : sequence of Entry
        Those that were measured, the worst first, and those of them that are wrong.
    leaves : list of int
        The arrays that are wrong.
    suspects : ndarray of int
        All entries of these.
    who, who_is : str
        What these are called in a sentence, and with its verb.
    """

    def __init__(
        self,
        probe: DirectionalProbe,
        candidate: CandidateGradient,
        evidence: Evidence,
        rng: np.random.Generator,
    ) -> None:
        self.point = probe.point
        self.given = candidate.given
        self.entries = evidence.entries
        self.wrong = [entry for entry in evidence.entries if entry.wrong]
        self.leaves = sorted(evidence.wrong)
        self.suspects = np.r_[tuple(self.point.spans[leaf] for leaf in self.leaves)]
        self._probe = copy.copy(probe)  # its candidates are corrected gradients
        self._original = probe
        self._rng = rng
        is_all = len(self.leaves) == len(self.point.names)
        self.who = (
            "the gradient"
            if is_all
            else " and ".join(self.point.names[leaf] for leaf in self.leaves)
        )
        self.who_is = f"{self.who} {'is' if is_all or len(self.leaves) == 1 else 'are'}"

    def is_right(self, entries: Floats | slice | int, values: Floats | float) -> bool:
        """Whether the gradient is right once these entries have these values."""
        corrected = self.given.copy()
        corrected[entries] = values
        return self._agrees(corrected) and self._is_confirmed(corrected)

    def _agrees(self, gradient: Floats) -> bool:
        """Whether it agrees with the entries that were measured."""
        return all(
            abs(gradient[number] - found.numerical)
            <= _BARS * found.error_bar + _SAME_DIGITS * abs(found.numerical)
            for _, number, found, _ in self.entries
        )

    def _is_confirmed(self, gradient: Floats) -> bool:
        """Whether fresh probes of all entries find it right: one may miss what is left
        by chance.
        """
        self._probe.candidate = CandidateGradient(
            self.point, self.point.structure.at(gradient)
        )
        return _is_clean(self._probe, self._rng)

    def is_right_elsewhere(self, factor: float) -> bool:
        """Whether the wrong arrays are off by the same factor at other x, as far as
        that can be known.
        """
        others = list(probes_elsewhere(self._original, 0))
        for other in others:
            corrected = other.candidate.given.copy()
            corrected[self.suspects] /= factor
            other.candidate = CandidateGradient(
                other.point, other.point.structure.at(corrected)
            )
        is_right = bool(others) and all(_is_clean(other, self._rng) for other in others)
        self.point.evaluations += sum(other.point.evaluations for other in others)
        return is_right

    def times(
        self, pattern: Floats, values: Floats, measured: Floats, error_bars: Floats
    ) -> list[float]:
        """How many times a pattern makes up the values: as the entry tells that shows
        what is measured best.
        """
        clear = np.abs(measured) / (error_bars + np.finfo(float).tiny)
        best = np.argmax(clear)
        return (
            _rounded(float(values[best] / pattern[best])) if clear[best] > _BARS else []
        )

    def measured(self) -> tuple[Floats, Floats, Floats]:
        """The numbers of the measured entries of wrong arrays, their slopes, and the
        error bars of these.
        """
        own = [entry for entry in self.entries if entry.leaf in self.leaves]
        numbers = np.array([entry.number for entry in own], int)
        slopes = np.array([entry.found.numerical for entry in own])
        error_bars = np.array([entry.found.error_bar for entry in own])
        return numbers, slopes, error_bars


def _is_clean(probe: DirectionalProbe, rng: np.random.Generator) -> bool:
    found = (
        probe.measure(probe.point.direction(rng), probe.point.all) for _ in range(2)
    )
    return all(math.isfinite(each.error_bar) and not each.wrong for each in found)


# Tests: each returns what its sentence says beside the names of the arrays; None if the
# mistake is another one.


def _not_finite(case: _Case) -> str | None:
    for name, span in zip(case.point.names, case.point.spans, strict=True):
        part = case.given[span]
        if count := int((~np.isfinite(part)).sum()):
            kind = "NaN" if np.isnan(part).any() else "infinite"
            return (
                f"{count:,} of {part.size:,} entries of the gradient in {name} are"
                f" {kind}"
            )
    return None


def _all_zero(case: _Case) -> str | None:
    parts = [case.given[case.point.spans[leaf]] for leaf in case.leaves]
    return None if any(part.any() or part.size == 1 for part in parts) else ""


def _one_entry(case: _Case) -> str | None:
    if len(case.wrong) != 1:
        return None
    _, number, found, _ = case.wrong[0]
    if not case.is_right(number, found.numerical):
        return None
    is_clear = abs(found.numerical) > _CLEAR * found.error_bar
    ratios = _rounded(found.gradient / found.numerical) if is_clear else []
    for ratio in ratios:
        is_almost_1 = abs(ratio - 1) < _ALMOST
        if ratio != 1 and (_simple(ratio) or is_almost_1):
            return f"{found.name}, is {_as_factor(ratio)}"
    return f"{found.name}, is wrong"


def _factor(case: _Case) -> str | None:
    numbers, slopes, error_bars = case.measured()
    if not len(case.wrong):
        return None
    for factor in case.times(slopes, case.given[numbers], slopes, error_bars):
        if factor == 1 or not case.is_right(
            case.suspects, case.given[case.suspects] / factor
        ):
            continue
        if _simple(factor):
            return _as_factor(factor)
        where = ", also at other x" if case.is_right_elsewhere(factor) else " at this x"
        return _as_factor(factor) + where
    return None


def _decay(case: _Case) -> str | None:
    if not case.wrong:
        return None
    numbers, slopes, error_bars = case.measured()
    missing = slopes - case.given[numbers]
    for decay in case.times(case.point.x[numbers], missing, missing, error_bars):
        if case.is_right(
            case.suspects,
            case.given[case.suspects] + decay * case.point.x[case.suspects],
        ):
            how = (
                "a missing weight decay"
                if decay > 0
                else "a weight decay that f does not have"
            )
            return f"{abs(decay):.6g} times the parameters: {how}?"
    return None


def _transposed(case: _Case) -> str | None:
    if len(case.leaves) != 1 or not case.wrong:
        return None
    shape = case.point.shapes[case.leaves[0]]
    span = case.point.spans[case.leaves[0]]
    if len(shape) != 2 or min(shape) < 2:
        return None
    transposed = case.given[span].reshape(shape[::-1]).T.ravel()
    return case.point.names[case.leaves[0]] if case.is_right(span, transposed) else None


def _exchanged_arrays(case: _Case) -> str | None:
    if len(case.leaves) != 2 or not case.wrong:
        return None
    first, second = (case.point.spans[leaf] for leaf in case.leaves)
    if first.stop - first.start != second.stop - second.start:
        return None
    exchanged = np.concatenate([case.given[second], case.given[first]])
    names = " and ".join(case.point.names[leaf] for leaf in case.leaves)
    return names if case.is_right(case.suspects, exchanged) else None


def _exchanged_entries(case: _Case) -> str | None:
    if len(case.wrong) != 2:
        return None
    one, other = case.wrong
    exchanged = case.given[[other.number, one.number]]
    is_right = case.is_right(np.array([one.number, other.number]), exchanged)
    return f"{one.found.name} and {other.found.name}" if is_right else None


def _shifted(case: _Case) -> str | None:
    if len(case.leaves) != 1 or len(case.wrong) < 2:
        return None
    shape = case.point.shapes[case.leaves[0]]
    span = case.point.spans[case.leaves[0]]
    array = case.given[span].reshape(shape)
    name = case.point.names[case.leaves[0]]
    for axis in range(array.ndim):
        along = f" along axis {axis}" if array.ndim > 1 else ""
        if array.shape[axis] > 2 and case.is_right(span, np.flip(array, axis).ravel()):
            return f"{name} is in reverse order{along}"
        for by in (1, -1):
            if array.shape[axis] > 2 and case.is_right(
                span, np.roll(array, by, axis).ravel()
            ):
                return f"{name} is shifted by one{along}"
    return None


def _clipped(case: _Case) -> str | None:
    """All wrong entries have the largest size that is given, and should be larger; all
    others are smaller.
    """
    limit = float(np.abs(case.given).max())
    if len(case.wrong) < 2:
        return None
    for _, _, found, is_wrong in case.entries:
        has_limit = abs(found.gradient) == limit
        is_beyond = (
            abs(found.numerical) > limit
            and found.numerical * np.sign(found.gradient) > 0
        )
        if is_wrong != has_limit or is_wrong != is_beyond:
            return None
    return f"{limit:.6g}"


def _difference(case: _Case) -> str | None:
    """The wrong entries are differences of f, by a step that is too large or too
    small.
    """
    errors = [abs(each.found.gradient - each.found.numerical) for each in case.wrong]
    sizes = [abs(each.found.numerical) for each in case.wrong]
    if (
        len(errors) < min(2, case.point.x.size)
        or not errors
        or max(errors) > _COARSE * max(sizes)
    ):
        return None
    for h in _STEPS:
        for how, up, down in (
            ("one-sided", 1, 0),
            ("one-sided", 0, 1),
            ("central", 1, 1),
        ):
            if all(
                _is_difference(case, entry, up * h, down * h)
                for entry in case.wrong[:3]
            ):
                return f"{how} differences with the step {h:g}"
    return None


def _is_difference(case: _Case, entry: Entry, up: float, down: float) -> bool:
    """Whether an entry is a difference of f: its error is, to two digits."""
    value = (
        case.point.value_beside(entry.number, up)
        - case.point.value_beside(entry.number, -down)
    ) / (up + down)
    error = abs(entry.found.gradient - entry.found.numerical)
    rounding = 4 * float(np.finfo(float).eps) * abs(case.point.value) / (up + down)
    is_same = abs(value - entry.found.gradient) <= max(
        0.01 * error, entry.found.error_bar
    )
    return is_same and rounding < 0.1 * error


def _some_zero(case: _Case) -> str | None:
    are_zero = len(case.wrong) > 1 and all(
        entry.found.gradient == 0 for entry in case.wrong
    )
    return "" if are_zero else None


class Mistake(NamedTuple):
    """A mistake: how to test for it, and what a report says of it."""

    test: Callable[[_Case], str | None]
    sentence: str


MISTAKES: Sequence[Mistake] = (
    Mistake(_not_finite, "{said}"),
    Mistake(_all_zero, "{who_is} 0 everywhere"),
    Mistake(_one_entry, "one entry, {said}"),
    Mistake(_factor, "{who_is} {said}"),
    Mistake(_decay, "{who_is} off by {said}"),
    Mistake(_transposed, "{said} is transposed"),
    Mistake(_exchanged_arrays, "{said} are exchanged"),
    Mistake(_exchanged_entries, "two entries are exchanged: {said}"),
    Mistake(_shifted, "{said}"),
    Mistake(_some_zero, "some entries of {who} are 0 that should not be"),
    Mistake(_clipped, "{who_is} clipped at {said}"),
    Mistake(_difference, "{who_is} computed by {said}"),
)
"""In this order: the first that holds is said."""


# Factors.


def _rounded(value: float) -> list[float]:
    """A number, and before it the simple ones close by: whole, one over a whole number,
    pi, or with few digits.
    """
    if not math.isfinite(value) or value == 0:
        return []
    # the share of an entry that has nearly underflowed: no factor that one means
    if not math.isfinite(1 / value):
        return []
    near = [float(round(value)), 1 / (round(1 / value) or math.inf)]
    near += [math.copysign(each, value) for each in _OF_PI]
    near += [float(f"{value:.{digits}g}") for digits in (1, 2, 3)]
    return [
        *dict.fromkeys(
            each for each in near if each and abs(each - value) <= 1e-3 * abs(value)
        ),
        value,
    ]


_OF_PI = {
    math.pi: "pi",
    2 * math.pi: "2 pi",
    1 / math.pi: "pi",
    1 / (2 * math.pi): "2 pi",
}


def _simple(factor: float) -> bool:
    """Whether a factor is one that a mistake makes anywhere: whole, one over a whole
    number, or of pi.
    """
    size = abs(factor)
    return size in _OF_PI or (
        max(size, 1 / size) <= _WHOLE
        and (size == round(size) or 1 / size == round(1 / size))
    )


def _as_factor(factor: float) -> str:
    if abs(factor + 1) < 1e-6:
        return "of the wrong sign"
    if factor < 0:
        return f"of the wrong sign and {_as_factor(-factor)}"
    if abs(factor - 1) < _ALMOST:
        return (
            f"too {'large' if factor > 1 else 'small'} by {abs(factor - 1):.1g} of its"
            " size"
        )
    times = _OF_PI.get(factor) or f"{max(factor, 1 / factor):.6g}"
    return f"{times} times too {'large' if factor > 1 else 'small'}"
