"""Where a gradient is checked: arrays in a structure, and f at shifted copies of them."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats, overlaps
from secant.checking.report import ONE_VALUE
from secant.checking.structure import leaves, listed, of_arrays, ordered, rebuilt
from secant.differentiation.evaluators.evaluation import number
from secant.differentiation.rounding import Value, norm, unit_rounding
from secant.errors import DTypeError, ShapeError, ValueRangeError

_WIDE = 1e3  # the span of sizes in an array beyond which one step does not suit all of its entries
_NEAR = 0.19  # of the scales: a step of 1
_REMEMBERED = 8  # values of f that tell whether it is constant, and in which precision it is computed
_FAR = 0.25  # a step that shows whether f depends on x


class EntryRange(NamedTuple):
    """A range of entries of all arrays, one after the other."""

    begin: int
    end: int

    @property
    def size(self) -> int:
        """How many entries it has."""
        return self.end - self.begin

    def __and__(self, other: EntryRange) -> EntryRange:
        """What lies in both, if anything does."""
        return EntryRange(max(self.begin, other.begin), min(self.end, other.end))


Direction = list[Array]
"""A displacement of every entry, for a step of 1: flat, array by array."""


class _Piece(NamedTuple):
    """Entries of an array that are shifted together: where they are, x, its displacement and the gradient there."""

    leaf: int
    where: slice
    start: Floats
    unit: Floats
    slope: Floats


class Point:
    """A function at x, and at x shifted.

    f gets new arrays whenever it is called, which it may keep and write to; or, ``inplace``, x itself, whose arrays are
    shifted and put back. f returns a number; or a `Value`, if that is a sum, with random signs, of rounded numbers: its
    rounding is the root of the sum of squares of half units in their last place.

    Attributes
    ----------
    origin : list of ndarray
        Copies of the arrays of x.
    error : Exception, optional
        The last one that f raised at x shifted.
    blur : float
        By how much steps are off, at most, since x shifted is rounded.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        x: Any,
        *,
        inplace: bool = False,
        names: Sequence[str] | None = None,
    ) -> None:
        x = of_arrays(x)
        found = leaves("x", x)
        self.names = list(names) if names else [leaf.name + leaf.part for leaf in found]
        self._f, self._x, self._inplace = f, x, inplace
        self._own = [leaf.array for leaf in found]
        for name, array in zip(self.names, self._own, strict=True):
            if not np.isfinite(array).all():
                raise ValueRangeError(f"{name} must be finite, got NaN or infinity")
        if inplace:
            _require_shiftable(self.names, self._own)
        self.origin = [array.copy(order="K") for array in self._own]
        self.evaluations = 0
        self.error: Exception | None = None
        self._values = set[float]()
        self.rounding = 0.0  # of f at x
        self.unit = 0.0  # the relative rounding of values
        self.is_used = False  # whether it is known that f depends on x: then it may have one value, as rounding does
        ends = [0, *itertools.accumulate(array.size for array in self.origin)]
        self.spans = [EntryRange(begin, end) for begin, end in itertools.pairwise(ends)]
        self.all = EntryRange(0, ends[-1])
        self.resolution = max(float(np.finfo(array.dtype).eps) for array in self.origin)
        self.blur = self.resolution / _NEAR
        typical = [_typical_size(array) for array in self.origin]
        others = float(np.median([size for size in typical if size] or [1.0]))  # for arrays of zeros
        self._least = [_NEAR * (size or others) for size in typical]

    def like(self, title: str, value: Any) -> list[Array]:
        """The arrays of a structure like that of x, in the order of x: dicts are paired by their keys."""
        found = [leaf.array for leaf in leaves(title, ordered(title, self._x, value, "x"))]
        wanted, got = ([array.shape for array in arrays] for arrays in (self.origin, found))
        if got != wanted:
            raise ShapeError(f"{title} must have the shapes of x, {listed(wanted)}, got {listed(got)}")
        return found

    def copy(self) -> Any:
        """Return x with arrays of its own."""
        return rebuilt(self._x, (array.copy() for array in self.origin))

    def restore(self) -> None:
        """Put everything back. What is as it was is not written to."""
        for own, origin in zip(self._own, self.origin, strict=True):
            if self._inplace or (own.flags.writeable and own.tobytes() != origin.tobytes()):
                own[...] = origin

    def _value(self, arrays: Sequence[Array]) -> Value:
        """What f returns of these arrays; exceptions of f are not told from others."""
        self.evaluations += 1
        found = self._f(self._x if self._inplace else rebuilt(self._x, iter(arrays)))
        value = found if isinstance(found, Value) else Value(number(found), 0.0)
        if len(self._values) < _REMEMBERED:
            self._values.add(value.number)
            self.unit = unit_rounding(np.array(list(self._values)))
        return value

    @np.errstate(all="ignore")
    def _at_x(self) -> Value:
        try:
            return self._value(self._arrays())
        finally:
            if self._inplace:
                self.restore()

    def _arrays(self) -> list[Array]:
        """What f gets: new arrays, or those of x."""
        return self._own if self._inplace else [array.copy(order="K") for array in self.origin]

    def is_constant(self) -> bool:
        """Whether f had the same value wherever it was evaluated."""
        return len(self._values) < 2

    def standstill(self) -> str:
        """Say what may be wrong, if f had the same value wherever it was evaluated."""
        return ONE_VALUE if self.is_constant() and not self.is_used else ""

    def at_x_itself(self, direction: Direction) -> Point | None:
        """The same in place, for f that looks at x without using its argument: x is shifted once to see that."""
        if self._inplace or not all(own.dtype == np.float64 and own.flags.writeable for own in self._own):
            return None
        with suppress(ValueRangeError):
            _require_shiftable(self.names, self._own)
            other = copy.copy(self)
            other._inplace, other._values = True, set()
            if other.sampler(direction, None, self.all)(_FAR)[0] not in self._values:
                return other
        return None

    def require_sane(self) -> float:
        """Return f(x), after it was looked at whether f is a function."""
        first, self.rounding = self._at_x()
        if not np.isfinite(first):
            raise ValueRangeError(f"f must be finite at x, got {first}")
        self.rounding = max(self.rounding, 2.0**-53 * abs(first))
        again = self._at_x().number
        if again != first:
            raise ValueRangeError(
                f"f must be deterministic, got {first!r} and then {again!r} for the same x: is there dropout, a random "
                "mini-batch or a race?"
            )
        return first

    def sampler(
        self, direction: Direction, gradient: Sequence[Array] | None, span: EntryRange
    ) -> Callable[[float], tuple[float, float]]:
        """Return a function of a step: f where the entries of ``span`` are shifted, and the step that rounding left.

        Where f raises an exception it is NaN. With a ``gradient``, f is corrected by what that says of shifts beside
        the direction, which rounding leaves, too.
        """
        pieces = []
        for leaf, part in self.parts(span):
            where = slice(*part)
            slope = np.zeros(part.size) if gradient is None else gradient[leaf][where]
            numbers = flat(self.origin[leaf])[where], direction[leaf][where], slope
            pieces.append(_Piece(leaf, where, *(each.astype(np.float64, copy=False) for each in numbers)))
        largest = max((float(np.abs(piece.unit).max()) for piece in pieces), default=0.0) or 1.0
        square = math.fsum(norm(piece.unit / largest) ** 2 for piece in pieces)
        predicted = math.fsum(float(piece.slope @ piece.unit) for piece in pieces)

        @np.errstate(all="ignore")
        def shifted(step: float) -> tuple[float, float]:
            moved, linear, arrays = 0.0, 0.0, self._arrays()
            try:
                for leaf, where, start, unit, slope in pieces:
                    there = (start + step * unit).astype(self.origin[leaf].dtype)
                    shift = there - start
                    moved += float((unit / largest) @ (shift / largest))
                    linear += float(slope @ shift)
                    flat(arrays[leaf])[where] = there
                moved = moved / square if square else step
                return self._value(arrays).number - (linear - moved * predicted), moved
            except (ShapeError, DTypeError):
                raise
            except Exception as error:
                self.error = error
                return math.nan, step
            finally:
                if self._inplace:
                    self.restore()

        return shifted

    def parts(self, span: EntryRange) -> Iterator[tuple[int, EntryRange]]:
        """The arrays that a range touches, and the ranges of their own entries."""
        for leaf, own in enumerate(self.spans):
            begin, end = span & own
            if begin < end:
                yield leaf, EntryRange(begin - own.begin, end - own.begin)

    def entry(self, flat: int) -> tuple[int, tuple[int, ...]]:
        """The array and the index of an entry."""
        leaf, part = next(self.parts(EntryRange(flat, flat + 1)))
        return leaf, tuple(map(int, np.unravel_index(part.begin, self.origin[leaf].shape)))

    def least_scale(self, leaf: int) -> float:
        """The least scale of an array: what entries are shifted by at a step of 1, but for a random factor."""
        return self._least[leaf]

    def direction(self, rng: np.random.Generator, half: bool = False) -> Direction:
        """Random signs, and magnitudes from half to one and a half times the scales.

        The scale of an entry is its size, and at least what is typical of its array. ``half``: a random half of the
        entries is left out.
        """
        parts = []
        for leaf, array in enumerate(self.origin):
            x = flat(array)[:].astype(np.float64, copy=False)
            magnitudes = rng.uniform(0.5, 1.5, array.size) * np.maximum(_NEAR * np.abs(x), self._least[leaf])
            if half:
                magnitudes *= rng.integers(0, 2, array.size, dtype=np.int8)
            is_negative = rng.integers(0, 2, array.size, dtype=np.int8) == 1
            parts.append(np.where(is_negative, -magnitudes, magnitudes).astype(array.dtype, copy=False))
        return parts


def flat(array: Array) -> Any:
    """The entries of an array in one row, to be read and written."""
    return array.reshape(-1) if array.flags.c_contiguous else array.flat


def _typical_size(array: Array) -> float:
    """The root mean square; or, where most of it is due to a few entries, the size that a tenth of them is below."""
    sizes = np.abs(flat(array)[:].astype(np.float64))
    overall = norm(sizes) / math.sqrt(array.size)
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return overall
    rank = (sizes.size - 1) // 10
    small = float(np.partition(sizes, rank)[rank])
    return small if overall > _WIDE * small else overall


def largest_of(array: Array) -> float:
    """The largest absolute value."""
    return float(np.abs(array).max())


def _require_shiftable(names: list[str], arrays: list[Array]) -> None:
    """Raise an error if arrays are read-only, or entries share memory: where one is shifted, the other one is too."""
    named = list(zip(names, arrays, strict=True))
    for name, array in named:
        if not array.flags.writeable:
            raise ValueRangeError(f"{name} must be writeable to be shifted in place, got a read-only array")
        if overlaps(array):
            raise ValueRangeError(f"{name} must have elements that share no memory to be shifted in place")
    for (name, array), (other_name, other) in itertools.combinations(named, 2):
        if np.shares_memory(array, other):
            raise ValueRangeError(f"{name} and {other_name} must share no memory to be shifted in place")
