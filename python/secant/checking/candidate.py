"""What is checked: a gradient, or derivatives along directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.checking.point import Direction, EntryRange, Point, flat, largest_of
from secant.differentiation.rounding import norm
from secant.errors import ValueRangeError

_FACTOR = -2.0  # times the incoming gradient
_ULPS = 16.0  # units in the last place that entries of a right gradient may be off


class Candidate:
    """What is said to be the derivative of f: here, a function that takes a direction and returns that along it.

    Attributes
    ----------
    arrays : list of ndarray or None
        The gradient, flat, array by array, with 0 for NaN and infinity; None if only derivatives along directions are
        known.
    not_finite : list of ndarray
        For each array of the gradient, the entries that are NaN or infinite.
    remark : str
        What was seen to be wrong with it beforehand: the diagnosis, if it is wrong.
    """

    arrays: list[Array] | None = None
    remark = ""

    def __init__(self, point: Point, derivative: Callable[[Direction], float]) -> None:
        self._point, self._derivative = point, derivative
        self.not_finite = [np.zeros(0, int)] * len(point.spans)

    def along(self, direction: Direction, entries: EntryRange) -> float:
        """The derivative along a direction of which only a range is shifted."""
        restricted = [np.zeros_like(part) for part in direction]
        for leaf, (begin, end) in self._point.parts(entries):
            restricted[leaf][begin:end] = direction[leaf][begin:end]
        return self._derivative(restricted)

    def rounding(self, direction: Direction, entries: EntryRange) -> float:
        """What the rounding of the candidate may change in that derivative: some units in the last place of x."""
        return _ULPS * self._point.resolution * self.contribution(direction, entries)

    def contribution(self, direction: Direction, entries: EntryRange) -> float:
        """What entries add to the derivative along directions like this, in absolute value: about how much."""
        return abs(self.along(direction, entries))

    def entry(self, leaf: int, flat: int, direction: Direction) -> float:
        """An entry of the gradient: what the function says of that alone."""
        begin = self._point.spans[leaf].begin + flat
        return self.along(direction, EntryRange(begin, begin + 1)) / float(direction[leaf][flat])

    def size(self, leaf: int) -> tuple[float, float]:
        """The largest entry of an array, and the root of the sum of squares of all; NaN if they are not known."""
        return math.nan, math.nan


class CandidateGradient(Candidate):
    """A gradient, as flat arrays in the order of those of x."""

    def __init__(self, point: Point, arrays: list[Array]) -> None:
        self._point, self.given = point, arrays
        self.not_finite = [np.flatnonzero(~np.isfinite(array)) for array in arrays]
        pairs = zip(arrays, self.not_finite, strict=True)
        self.arrays: list[Array] = [np.where(np.isfinite(a), a, 0) if len(bad) else a for a, bad in pairs]

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
        if off := first.off(backward(_FACTOR), _FACTOR):
            first.remark = (
                "the backward function is not linear in the incoming gradient, which it leaves out or clips: -2 times "
                f"as much gives another gradient, by up to {off}"
            )
            first._remark_unless_same(backward(1.0))
        return first

    def _remark_unless_same(self, again: Any) -> None:
        if off := self.off(again):
            self.remark = (
                f"the gradient is not deterministic: two calls at the same x differ by up to {off}, as with dropout, a "
                "buffer that is not cleared, or a race"
            )

    @np.errstate(invalid="ignore")
    def off(self, gradient: Any, factor: float = 1.0) -> str:
        """The first array that differs from a factor of this gradient in the first half of its digits, and how much."""
        others = self._point.like("gradient", gradient)
        norms = [self.size(leaf)[1] for leaf in range(len(self.given))]
        for leaf, (name, one) in enumerate(zip(self._point.names, self.given, strict=True)):
            other = flat(others[leaf])[:].astype(np.float64) / factor
            same = (one == other) | (np.isnan(one) & np.isnan(other))
            off = float(np.nan_to_num(np.where(same, 0, np.abs(one - other)), nan=np.inf).max())
            eps = max(float(np.finfo(one.dtype).eps), self._point.resolution)
            least = max(_ULPS * eps * math.hypot(*norms), float(np.finfo(one.dtype).tiny))
            if off > max(math.sqrt(eps) * norms[leaf], least):  # an array may be rightly 0, but for rounding
                return f"{off:.1e} in {name}"
        return ""

    def along(self, direction: Direction, entries: EntryRange) -> float:
        """The product of the entries and the direction."""
        return sum(float(products.sum()) for _, products in self._products(direction, entries))

    def rounding(self, direction: Direction, entries: EntryRange) -> float:
        """The root of the sum of squares of what the entries may be off by."""
        parts = self._products(direction, entries)
        size = math.hypot(*(_ULPS * float(np.finfo(self.arrays[leaf].dtype).eps) * norm(own) for leaf, own in parts))
        if not math.isfinite(size):  # all errors would be within that
            raise ValueRangeError("gradient must be small enough that its products with steps of x are finite")
        return size

    def contribution(self, direction: Direction, entries: EntryRange) -> float:
        """The root of the sum of squares of the products of entries and steps: signs are random."""
        return math.hypot(*(norm(products) for _, products in self._products(direction, entries)))

    def _products(self, direction: Direction, entries: EntryRange) -> Iterator[tuple[int, Array]]:
        for leaf, (begin, end) in self._point.parts(entries):
            with np.errstate(over="ignore"):
                products = self.arrays[leaf][begin:end].astype(np.float64) * direction[leaf][begin:end]
            yield leaf, products

    def entry(self, leaf: int, flat: int, direction: Direction) -> float:
        """An entry as given."""
        return float(self.given[leaf][flat])

    def size(self, leaf: int) -> tuple[float, float]:
        """Of the entries as given."""
        return largest_of(self.given[leaf]), norm(self.given[leaf].astype(np.float64))
