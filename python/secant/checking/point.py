"""Where a gradient is checked: arrays in a structure, as one vector, and f at shifted
copies of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats, overlaps
from secant.checking.structure import Structure, as_vector, eps_of
from secant.checking.turns import TURNS
from secant.differentiation.evaluators.evaluation import number
from secant.differentiation.lines import COARSE, Sample, Samples
from secant.differentiation.rounding import norm
from secant.differentiation.schemes import Bounds
from secant.errors import ValueRangeError

# the span of sizes in an array beyond which one step does not suit all of its entries
_WIDE = 1e3
_NEAR = 0.19  # of the size of an entry: a step of 1
# of the shift at a step of 1: as far as the largest usual step moves an entry
_REACH = 0.25
_CLOSE = 1e-3
"""A step to the nearest bound that is too small for differences on both sides: those
are one-sided.
"""


class Value(NamedTuple):
    """A value of f that is a sum of rounded numbers, such as outputs in float32, and
    the noise that this leaves in it.

    Added in float64, the sum does not show how coarse its terms are.
    """

    number: float
    rounding: float


class Point:
    """A function at x, and at x shifted.

    f gets new arrays whenever it is called, which it may keep and write to; or,
    ``inplace``, x itself, whose arrays are shifted and put back. f returns a number; or
    a `Value`, if that is a sum, with random signs, of rounded numbers: its rounding is
    the root of the sum of squares of half units in their last place.

    Attributes
    ----------
    structure : Structure
        That of x.
    inplace : bool
        Whether x itself is shifted.
    noise : float
        By how much values of f may be off, as by the tolerance of a solver, which does
        not scatter.
    names, shapes : list
        The name and the shape of each array.
    spans, wholes : list of slice
        Where their entries are; and those of both parts of a complex array.
    x : ndarray
        All entries.
    labels : dict of str to ndarray
        What the caller calls the entries of arrays.
    error : Exception, optional
        The last one that f raised at x shifted.
    progress : callable
        Called before f is evaluated at x shifted, with the name of the work, how much
        of it is done, and all of it.
    work : tuple of str, int, int
        Its name, the evaluations before it, and about how many it takes.
    least_scales : list of float
        What entries of an array are shifted by at a step of 1, at least, but for a
        random factor.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        x: Any,
        *,
        inplace: bool = False,
        noise: float = 0.0,
        bounds: Any = None,
    ) -> None:
        self._f, self.inplace, self.noise = f, inplace, noise
        structure = (
            x
            if isinstance(x, Structure)
            else Structure("x", x, least="float16" if inplace else "float64")
        )
        self.structure, self.eps = structure, max(map(eps_of, structure.dtypes))
        self._own, self.shapes, self.names = (
            structure.arrays,
            structure.shapes,
            structure.names,
        )
        self.spans, self.wholes = structure.spans, structure.wholes
        self._types = [
            own.dtype if inplace else np.result_type(own.dtype, structure.least)
            for own in self._own
        ]
        for i, (name, array) in enumerate(zip(self.names, self._own, strict=True)):
            if not np.isfinite(array).all():
                raise ValueRangeError(f"{name} must be finite, got NaN or infinity")
            if inplace and not array.flags.writeable:
                raise ValueRangeError(
                    f"{name} must be writeable to be shifted in place, got a read-only"
                    " array"
                )
            if inplace and (
                overlaps(array)
                or any(np.shares_memory(array, other) for other in self._own[:i])
            ):
                raise ValueRangeError(
                    f"{name} must have elements that share no memory to be shifted in"
                    " place"
                )
        with TURNS.together():  # no other check shifts it meanwhile
            self.x = as_vector(self._own)
        self._bounds = (
            bounds
            if bounds is None or isinstance(bounds, Bounds)
            else self._read(bounds)
        )
        self.labels: dict[str, Any] = {}
        self.evaluations = 0
        self.progress: Callable[[str, int, int], object] = lambda *_: None
        self.work = "", 0, 0
        self.error: Exception | None = None
        self.value, self.rounding = 0.0, 0.0  # f at x, and its rounding
        # whether f had the same value wherever it was evaluated
        self.is_constant = True
        self.coarse = COARSE  # smaller jumps may be rounding inside of f
        # whether it is known that f depends on x: then it may have one value, as
        # rounding does
        self.is_used = False
        self.all = slice(0, self.x.size)
        self.resolution = max(float(np.finfo(dtype).eps) for dtype in self._types)
        # a complex number is as large as the larger one of its parts
        both = zip(self._own, self.wholes, strict=True)
        sizes = [
            np.abs(self.x[whole]).reshape(-1, own.size).max(axis=0)
            for own, whole in both
        ]
        self._sizes = np.concatenate(sizes)
        typical = [*map(_typical_size, sizes)]
        # for arrays of zeros
        others = float(np.median([size for size in typical if size] or [1.0]))
        self.least_scales = [_NEAR * (size or others) for size in typical]
        if self._bounds is not None:
            scales = self._scales()
            self.least_scales = [float(scales[span].min()) for span in self.spans]

    def _read(self, bounds: Any) -> Bounds | None:
        """Bounds of all entries: of one array as `numerical_gradient` takes them, of
        several in their structure.
        """
        if len(self._own) == 1:
            found = Bounds.of(bounds, self.x.reshape(self.shapes[0]))
        else:
            pair = (
                (bounds.lb, bounds.ub)
                if hasattr(bounds, "lb") and hasattr(bounds, "ub")
                else bounds
            )
            if isinstance(pair, tuple) and len(pair) == 2:
                titled = zip(("bounds[0]", "bounds[1]"), pair, strict=True)
                pair = tuple(self._limits(title, each) for title, each in titled)
            found = Bounds.of(pair, self.x)
        return (
            None if found is None else Bounds(found.lower.ravel(), found.upper.ravel())
        )

    def _limits(self, title: str, value: Any) -> Any:
        """Limits of all entries as one vector; a number, or None, is that of all."""
        is_of_all = value is None or isinstance(value, int | float)
        return value if is_of_all else as_vector(self.structure.like(title, value))

    def restore(self) -> None:
        """Put everything back. What is as it was is not written to."""
        for own, span in zip(self._own, self.spans, strict=True):
            if (
                own.flags.writeable
                and as_vector([own]).tobytes() != self.x[span].tobytes()
            ):
                own[...] = self.x[span].reshape(own.shape)

    @np.errstate(all="ignore")  # also what np.seterr sets in f ends here
    def _value(self, vector: Floats) -> Value:
        """What f returns there; exceptions of f are not told from others.

        In place, x stays shifted until `restore`.
        """
        self.evaluations += 1
        if self.inplace:
            self.structure.write(vector, self._own)
        found = self._f(
            self.structure.value if self.inplace else self.structure.at(vector)
        )
        return found if isinstance(found, Value) else Value(number(found), 0.0)

    def standstill(self) -> str:
        """Say what may be wrong, if f had the same value wherever it was evaluated."""
        is_still = self.is_constant and not self.is_used
        return (
            "f had one value wherever it was evaluated: does it read a copy of what is"
            " checked?"
            if is_still
            else ""
        )

    def at_x_itself(self) -> Point | None:
        """The same in place, for f that looks at x itself; None if x cannot be shifted,
        or already is.
        """
        if not self.inplace:
            with suppress(ValueRangeError):
                other = Point(
                    self._f,
                    self.structure,
                    inplace=True,
                    noise=self.noise,
                    bounds=self._bounds,
                )
                other.evaluations = self.evaluations
                other.labels = self.labels
                return other
        return None

    def require_sane(self) -> None:
        """Evaluate f at x, and see whether f is a function."""
        self.value, self.rounding = self._value(self.x)
        if not np.isfinite(self.value):
            raise ValueRangeError(f"f must be finite at x, got {self.value}")
        self.rounding = max(self.rounding, 2.0**-53 * abs(self.value))
        again = self._value(self.x).number
        if again != self.value:
            raise ValueRangeError(
                f"f must be deterministic, got {self.value!r} and then {again!r} for"
                " the same x: is there dropout, a random mini-batch, a solver's random"
                " start, a race, or state that f keeps?"
            )

    def samples(self, direction: Floats, entries: slice) -> Samples:
        """F along a direction of which only a range is shifted, by the step that
        rounding leaves.

        Where f raises an exception it is NaN.
        """
        start, unit = self.x[entries], direction[entries]
        size = float(np.abs(unit).sum())
        down, up = self._rooms(unit, entries)

        def shifted(step: float) -> Sample:
            if not -down <= step <= up:
                return Sample(np.array([math.nan]), step)
            name, before, total = self.work
            self.progress(name, self.evaluations - before, total)
            vector = self.x.copy()
            vector[entries] = start + step * unit
            for dtype, span in zip(self._types, self.spans, strict=True):
                if dtype != np.float64:
                    vector[span] = vector[span].astype(dtype)
            shift = vector[entries] - start
            moved = float(np.sign(unit) @ shift) / size if size else step
            try:
                value = self._value(vector).number
            except Exception as error:
                self.error = error
                return Sample(np.array([math.nan]), step)
            self.is_constant &= value == self.value
            return Sample(np.array([value]), moved)

        return Samples(
            shifted,
            np.array([self.value]),
            unit=self.resolution / _NEAR,
            coarse=self.coarse,
        )

    def value_beside(self, entry: int, step: float) -> float:
        """The value of f where one entry is shifted; NaN outside of the bounds, and
        where f raises an exception.
        """
        if step == 0:
            return self.value
        vector = self.x.copy()
        vector[entry] += step
        if (
            self._bounds is not None
            and not self._bounds.lower[entry]
            <= vector[entry]
            <= self._bounds.upper[entry]
        ):
            return math.nan
        try:
            return self._value(vector).number
        except Exception:  # whatever f raises
            return math.nan

    def moved(self, rng: np.random.Generator) -> Point:
        """The same function at another x near this one: entries move by up to a
        quarter, zeros as by a step.
        """
        x = self.x * rng.uniform(0.75, 1.25, self.x.size)
        x = np.where(self.x == 0, self.direction(rng), x)
        if self._bounds is not None:
            x = np.clip(x, self._bounds.lower, self._bounds.upper)
        other = Point(
            self._f, self.structure.moved(x), noise=self.noise, bounds=self._bounds
        )
        other.coarse = self.coarse
        other.is_used = self.is_used
        return other

    def named(self) -> dict[str, Floats]:
        """The entries of each array at x."""
        parts = zip(self.names, self.spans, self.shapes, strict=True)
        return {name: self.x[span].reshape(shape) for name, span, shape in parts}

    def leaf_of(self, entry: int) -> int:
        """The array of an entry."""
        return next(leaf for leaf, span in enumerate(self.spans) if entry < span.stop)

    def direction(self, rng: np.random.Generator) -> Floats:
        """Random signs, and magnitudes from half to one and a half times the scales of
        entries, for a step of 1.

        The scale of an entry is its size, and at least what is typical of its array.
        """
        scales = self._scales()
        found = rng.uniform(0.5, 1.5, self.x.size) * scales
        is_down = rng.integers(0, 2, found.size, dtype=np.int8) == 1
        # away from the bounds that are near, so that one side is free
        if self._bounds is not None:
            below, above = self.x - self._bounds.lower, self._bounds.upper - self.x
            is_near = np.minimum(below, above) < _REACH * scales
            is_down = np.where(is_near, above < below, is_down)
        return np.asarray(np.where(is_down, -found, found))

    def _scales(self) -> Floats:
        """What entries are shifted by at a step of 1, but for a random factor: at most
        what bounds leave.
        """
        scales = np.maximum(
            _NEAR * self._sizes,
            np.repeat(self.least_scales, [array.size for array in self._own]),
        )
        if self._bounds is None:
            return np.asarray(scales)
        room = np.maximum(self.x - self._bounds.lower, self._bounds.upper - self.x)
        return np.asarray(np.minimum(scales, room / _REACH / 2))

    def _rooms(self, unit: Floats, entries: slice) -> tuple[float, float]:
        """How far steps may go down and up; 0 on a side on which there is hardly any
        room.
        """
        if self._bounds is None:
            return math.inf, math.inf
        below, above = (
            self.x[entries] - self._bounds.lower[entries],
            self._bounds.upper[entries] - self.x[entries],
        )
        size = np.where(unit == 0, np.nan, np.abs(unit))
        down = float(
            np.nanmin(np.where(unit > 0, below, above) / size, initial=math.inf)
        )
        up = float(np.nanmin(np.where(unit > 0, above, below) / size, initial=math.inf))
        return (down if down > _CLOSE else 0.0), (up if up > _CLOSE else 0.0)


def _typical_size(sizes: Floats) -> float:
    """The root mean square; or, where most of it is due to a few entries, the size that
    a tenth of them is below.
    """
    overall = norm(sizes) / math.sqrt(sizes.size)
    # others count as 0: shares of them have no digits
    sizes = sizes[sizes > np.finfo(np.float64).tiny]
    if not sizes.size:
        return overall
    rank = (sizes.size - 1) // 10
    small = float(np.partition(sizes, rank)[rank])
    return small if overall > _WIDE * small else overall
