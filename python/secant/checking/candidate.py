"""What is checked: a gradient, or derivatives along directions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.checking.point import Direction, EntryRange, Point, chunks, flat, largest_of, norm_of
from secant.differentiation.rounding import norm
from secant.errors import ValueRangeError

_FACTOR = -2.0  # times the incoming gradient
_ULPS = 16.0  # units in the last place that entries of a right gradient may be off


class Candidate(ABC):
    """What is said to be the derivative of f."""

    arrays: list[Array] | None = None
    """The gradient, flat, array by array; None if only derivatives along directions are known."""
    remark = ""
    """What was seen to be wrong with it beforehand: the diagnosis, if it is wrong."""

    @abstractmethod
    def along(self, direction: Direction, entries: EntryRange) -> float:
        """The derivative along a direction of which only a range is shifted."""

    @abstractmethod
    def rounding(self, direction: Direction, entries: EntryRange) -> float:
        """What the rounding of the candidate may change in that derivative."""

    @abstractmethod
    def contribution(self, direction: Direction, entries: EntryRange) -> float:
        """What entries add to the derivative along directions like this, in absolute value: about how much."""

    @abstractmethod
    def entry(self, leaf: int, flat: int, direction: Direction) -> float:
        """An entry of the gradient."""

    def size(self, leaf: int) -> tuple[float, float]:
        """The largest entry of an array, and the root of the sum of squares of all; NaN if they are not known."""
        return math.nan, math.nan

    def non_finite(self) -> list[Any]:
        """For each array of the gradient, the entries that are NaN or infinite."""
        return [_non_finite(array) for array in self.arrays or []]

    def with_finite_entries(self) -> Candidate:
        """The same with 0 for NaN and infinity."""
        return self


class CandidateGradient(Candidate):
    """A gradient, as flat arrays in the order of those of x."""

    def __init__(self, point: Point, arrays: list[Array]) -> None:
        self._point = point
        self.arrays: list[Array] = arrays

    @classmethod
    def of(cls, point: Point, gradient: Any) -> CandidateGradient:
        """Take a gradient in the structure of x."""
        return cls(point, [array.flatten() for array in point.like("gradient", gradient)])  # f may have them, too

    @classmethod
    def repeated(cls, point: Point, gradient: Callable[[], Any]) -> CandidateGradient:
        """Take what a function returns, which should be the same when it is called again, if it can be."""
        first = cls.of(point, gradient())
        with suppress(Exception):  # it may use up what f left for it
            first._remark_unless_same(gradient())
        return first

    @classmethod
    def linear(cls, point: Point, backward: Callable[[float], Any]) -> CandidateGradient:
        """Take what a backward function returns.

        It takes a factor of the incoming gradient. What it returns for -2 times that, divided by -2, is the same but
        for rounding, unless the function leaves out the incoming gradient, or clips it. Half of the digits are
        compared: those of an approximation, such as of the exponential of a matrix, may differ.
        """
        first = cls.of(point, backward(1.0))
        if not (off := first.off(backward(_FACTOR), _FACTOR)):
            return first
        first.remark = (
            "the backward function is not linear in the incoming gradient, which it leaves out or clips: -2 times as "
            f"much gives another gradient, by up to {off}"
        )
        first._remark_unless_same(backward(1.0))
        return first

    def _remark_unless_same(self, again: Any) -> None:
        if off := self.off(again):
            self.remark = (
                f"the gradient is not deterministic: two calls at the same x differ by up to {off}, as with dropout, a "
                "buffer that is not cleared, or a race"
            )

    def off(self, gradient: Any, factor: float = 1.0) -> str:
        """The first array that differs from a factor of this gradient in the first half of its digits, and how much."""
        others = self._point.like("gradient", gradient)
        norms = [self.size(leaf)[1] for leaf in range(len(self.arrays))]
        for leaf, (name, one) in enumerate(zip(self._point.names, self.arrays, strict=True)):
            other, whole = flat(others[leaf]), EntryRange(0, one.size)
            off = max(_difference(one[c], other[c].astype(np.float64) / factor) for c in chunks(whole))
            eps = max(self._point.eps(leaf, one), self._point.resolution)
            least = max(_ULPS * eps * math.hypot(*norms), float(np.finfo(one.dtype).tiny))
            if off > max(math.sqrt(eps) * norms[leaf], least):  # an array may be rightly 0, but for rounding
                return f"{off:.1e} in {name}"
        return ""

    def along(self, direction: Direction, entries: EntryRange) -> float:
        """The product of the entries and the direction."""
        found = 0.0
        for leaf, part in self._point.parts(entries):
            for chunk in chunks(part):
                found += float(self.arrays[leaf][chunk].astype(np.float64) @ direction[leaf][chunk].astype(np.float64))
        return found

    def rounding(self, direction: Direction, entries: EntryRange) -> float:
        """The root of the sum of squares of what the entries may be off by."""
        parts = self._contributions(direction, entries)
        size = math.hypot(*(_ULPS * self._point.eps(leaf, self.arrays[leaf]) * own for leaf, own in parts))
        if not math.isfinite(size):  # all errors would be within that
            raise ValueRangeError("gradient must be small enough that its products with steps of x are finite")
        return size

    def contribution(self, direction: Direction, entries: EntryRange) -> float:
        """The root of the sum of squares of the products of entries and steps: signs are random."""
        return math.hypot(*(own for _, own in self._contributions(direction, entries)))

    def _contributions(self, direction: Direction, entries: EntryRange) -> Iterator[tuple[int, float]]:
        for leaf, part in self._point.parts(entries):
            for chunk in chunks(part):
                with np.errstate(over="ignore"):
                    yield leaf, norm(self.arrays[leaf][chunk].astype(np.float64) * direction[leaf][chunk])

    def entry(self, leaf: int, flat: int, direction: Direction) -> float:
        """An entry as given."""
        return float(self.arrays[leaf][flat])

    def size(self, leaf: int) -> tuple[float, float]:
        """Of the entries as given."""
        array = self.arrays[leaf]
        return largest_of(array), norm_of(array)

    def with_finite_entries(self) -> CandidateGradient:
        """Itself where all entries are finite."""
        if not any(map(len, self.non_finite())):
            return self
        return CandidateGradient(self._point, [np.where(np.isfinite(array), array, 0) for array in self.arrays])


class CandidateDerivative(Candidate):
    """A function that takes a direction and returns the derivative along it."""

    def __init__(self, point: Point, derivative: Callable[[Direction], float]) -> None:
        self._point, self._derivative = point, derivative

    def along(self, direction: Direction, entries: EntryRange) -> float:
        """What the function says."""
        restricted = [np.zeros_like(part) for part in direction]
        for leaf, part in self._point.parts(entries):
            restricted[leaf][part.begin : part.end] = direction[leaf][part.begin : part.end]
        return self._derivative(restricted)

    def rounding(self, direction: Direction, entries: EntryRange) -> float:
        """Some units in the last place of x."""
        return _ULPS * self._point.resolution * self.contribution(direction, entries)

    def contribution(self, direction: Direction, entries: EntryRange) -> float:
        """What the function says."""
        return abs(self.along(direction, entries))

    def entry(self, leaf: int, flat: int, direction: Direction) -> float:
        """What the function says of that entry alone."""
        begin = self._point.spans[leaf].begin + flat
        return self.along(direction, EntryRange(begin, begin + 1)) / float(direction[leaf][flat])


def _difference(first: Array, second: Array) -> float:
    """The largest one, infinite where only one of the values is finite."""
    with np.errstate(invalid="ignore"):
        off = np.abs(first.astype(np.float64) - second)
    off[(first == second) | (np.isnan(first) & np.isnan(second))] = 0
    return float(np.nan_to_num(off, nan=np.inf).max())


def _non_finite(array: Array) -> Any:
    found = [c.start + np.flatnonzero(~np.isfinite(array[c])) for c in chunks(EntryRange(0, array.size))]
    return np.concatenate(found)
