"""What is checked: a gradient, or derivatives along directions."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.checking.point import Point
from secant.checking.report import SMALL
from secant.checking.structure import EPS, as_vector
from secant.differentiation.lines import step_of
from secant.differentiation.rounding import norm

LINEAR = -2.0
"""Times as much of the incoming gradient: then a right gradient is that many times as
large.
"""
_ULPS = 16.0  # units in the last place that entries of a right gradient may be off
RIGHT_DIGITS = 2 / 3
"""The share of digits that are right in less than float64: an error is up to eps to
this power, 2e-5 in float32. Errors of the objectives in tests/ordinary are 30 times
smaller, which leaves room for functions that are worse conditioned.
"""
_NOT_LINEAR = (
    "the backward function is not linear in the incoming gradient, which it leaves out"
    " or clips: -2 times as much gives another gradient, by up to {}"
)
_NOT_DETERMINISTIC = (
    "the gradient is not deterministic: two calls at the same x differ by up to {}, as"
    " with dropout, a buffer that is not cleared, or a race"
)

_OF_LAST_CALL = (
    "the gradient uses what the last call of f left: at the same x, after f was called"
    " at another one, it differs by up to {}"
)


class Candidate:
    """What is said to be the derivative of f: here, a function that takes a direction
    and returns that along it.

    Attributes
    ----------
    given : ndarray
        The entries of all arrays, as they were given; NaN if only derivatives along
        directions are known.
    not_finite : ndarray
        The entries of a gradient that are NaN or infinite.
    remark : str
        What was seen to be wrong with it beforehand: the diagnosis, if it is wrong.
    varying : set of int
        The arrays that differed when they were computed again.
    eps : float
        The relative rounding of its entries, or of those of x, if that is more.
    elsewhere : callable, optional
        Takes another point, and returns what is said to be the derivative there; None
        of what is known at x alone.
    """

    elsewhere: Callable[[Point], Candidate] | None = None
    not_finite = np.zeros(0, int)
    remark = ""

    def __init__(self, point: Point, derivative: Callable[[Floats], float]) -> None:
        self._point = point
        self._derivative = derivative
        self.eps = point.eps
        self.given = np.full(point.x.size, np.nan)
        self.varying = set[int]()

    def ask_again(self) -> None:
        """Once f was called elsewhere, see whether it still says the same of x, if it
        may be asked.
        """

    def rounding(self, contribution: float, curvature: float) -> float:
        """What its rounding may change in a derivative, and what values of f that are
        off may, however smoothly.

        In less than float64, terms may cancel where f is curved.
        """
        units = _ULPS * self.eps
        of_values = self._point.noise / step_of(0)
        if self.eps <= EPS:
            return units * contribution + of_values
        return (
            float(self.eps**RIGHT_DIGITS) * contribution + units * curvature + of_values
        )

    def along(self, direction: Floats, entries: slice) -> float:
        """The derivative along a direction of which only a range is shifted."""
        restricted = np.zeros_like(direction)
        restricted[entries] = direction[entries]
        # x may be shifted in place, and read by the user's own function
        self._point.restore()
        return self._derivative(restricted)

    def contribution(self, direction: Floats, entries: slice) -> float:
        """What entries add to the derivative along directions like this, in absolute
        value: about how much.
        """
        return abs(self.along(direction, entries))

    def entry(self, entry: int, direction: Floats) -> float:
        """An entry of the gradient: what the function says of that alone."""
        return self.along(direction, slice(entry, entry + 1)) / float(direction[entry])


class CandidateGradient(Candidate):
    """A gradient, in the structure of x.

    Attributes
    ----------
    gradient : ndarray
        As given, with 0 for NaN and infinity.
    again : callable, optional
        Returns the gradient at x once more; None if it calls f first, or cannot be
        asked so often.
    """

    again: Callable[[], Any] | None = None

    def __init__(self, point: Point, gradient: Any) -> None:
        arrays = point.structure.like("gradient", gradient)
        self._point = point
        self.given = as_vector(arrays)
        self.varying = set[int]()
        self.eps = max(
            point.eps, *(float(np.finfo(array.dtype).eps) for array in arrays)
        )
        self._tiny = max(float(np.finfo(array.dtype).tiny) for array in arrays)
        self.not_finite = np.flatnonzero(~np.isfinite(self.given))
        self.gradient = (
            np.where(np.isfinite(self.given), self.given, 0)
            if len(self.not_finite)
            else self.given
        )

    @classmethod
    def repeated(
        cls, point: Point, backward: Callable[[float], Any], factor: float = 1.0
    ) -> CandidateGradient:
        """Take what a backward function returns, which takes a factor of the incoming
        gradient.

        When it is called again it should return the same; for ``LINEAR`` times the
        incoming gradient, the same times that but for rounding, unless it leaves out
        the incoming gradient, or clips it. Half of the digits are compared, and of the
        second no more than six: the steps of a solver may depend on the incoming
        gradient.
        """
        first = cls(point, backward(1.0))
        with suppress(Exception):  # it may use up what f left for it
            if off := first.off(backward(factor), factor):
                is_same = factor != 1 and not first.off(backward(1.0))
                first.remark = (_NOT_LINEAR if is_same else _NOT_DETERMINISTIC).format(
                    off
                )
            elif factor == 1:  # else f goes first, each time
                first.again = lambda: backward(1.0)
        return first

    def off(self, gradient: Any, factor: float = 1.0) -> str:
        """The first array that differs from a factor of this gradient in the digits
        that are compared, and how much.

        All that differ are added to ``varying``.
        """
        one = self.given
        other = as_vector(self._point.structure.like("gradient", gradient)) / factor
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        differences = np.nan_to_num(np.where(same, 0, np.abs(one - other)), nan=np.inf)
        # an array may be rightly 0, but for rounding
        least = max(_ULPS * self.eps * norm(one), self._tiny)
        share = max(math.sqrt(self.eps), SMALL if factor != 1 else 0.0)
        most = [float(differences[span].max()) for span in self._point.spans]
        allowed = [max(share * norm(one[span]), least) for span in self._point.spans]
        found = [leaf for leaf, off in enumerate(most) if off > allowed[leaf]]
        self.varying.update(found)
        return f"{most[found[0]]:.1e} in {self._point.names[found[0]]}" if found else ""

    def ask_again(self) -> None:
        """Ask for the gradient at x once more, now that f was called elsewhere, and
        compare.
        """
        if self.again is None or self.remark:
            return
        with suppress(Exception):
            if off := self.off(self.again()):
                self.remark = _OF_LAST_CALL.format(off)

    def along(self, direction: Floats, entries: slice) -> float:
        """The product of the entries and the direction."""
        return float((self.gradient[entries] * direction[entries]).sum())

    def contribution(self, direction: Floats, entries: slice) -> float:
        """The root of the sum of squares of the products of entries and steps: signs
        are random.
        """
        return norm(self.gradient[entries] * direction[entries])

    def entry(self, entry: int, direction: Floats) -> float:
        """An entry as given."""
        return float(self.given[entry])
