"""f that takes a stack of points: called once for many coordinates, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.differentiation.evaluation import Convert, Evaluator, number, numbers
from secant.differentiation.noise import scatter, unit_rounding
from secant.errors import ShapeError, ValueRangeError

_LARGEST_STACK = 2**14  # elements, 128 KB: larger arrays do not stay in the cache, and are new memory in each step of f
_SEED = 0
_ROUNDED = 256.0  # times the rounding of values: products of matrices of another size have other last bits
_COMPARED = 12  # values at least
_NEAR = 1e-4  # where no point is shifted
_TRUSTED = 30.0  # times the noise of f, that two values of a point may differ by


class Stacked(Evaluator):
    """f takes (points, and the shape of x) and returns a value for each point. x is only read."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, convert: Convert) -> None:
        self._f, self._shape, self._one_number = f, x.shape, convert is number
        self._start = np.array(x, order="C").reshape(-1)
        self._points = np.empty((0, x.size))  # shifts are put back: to write all of the points takes longer
        self._flat = self._points.reshape(-1)
        self._checked = 0  # the size of the largest stack whose values were compared with those of other stacks
        self.size = x.size
        self.first_block = max(1, min(x.size, _LARGEST_STACK // (4 * max(1, x.size))))

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        return self._values(np.array(point)[np.newaxis])[0]

    def shifted(self, begin: int, end: int, shifts: Sequence[float]) -> Floats:
        """Return f where one coordinate is shifted."""
        rows = max(1, _LARGEST_STACK // max(1, self.size))
        coordinates, steps = np.repeat(np.arange(begin, end), len(shifts)), np.tile(shifts, end - begin)
        where = coordinates + self.size * (np.arange(len(steps)) % rows)  # in a stack of so many rows
        before = self._start[coordinates]
        after = before + steps
        each = (slice(k, k + rows) for k in range(0, len(steps), rows))
        blocks = [self._block(where[k], before[k], after[k]) for k in each]
        values = np.concatenate(blocks) if blocks else np.empty(0)
        return values.reshape(end - begin, len(shifts), *values.shape[1:])

    def _block(self, where: NDArray[np.int_], before: Floats, after: Floats) -> Floats:
        count = len(where)
        if count > len(self._points):
            self._points = np.tile(self._start, (count, 1))
            self._flat = self._points.reshape(-1)
        self._flat[where] = after
        stack = self._points[:count].reshape(-1, *self._shape)
        try:
            if count <= self._checked:
                return self._values(stack)
            given = stack.copy()
            values = self._values(stack)
            self._require_right_use(given, stack, values, float(np.abs(after - before).max()))
            self._checked = count
            return values
        except Exception as error:
            first, last = where[0] % self.size, where[-1] % self.size
            error.add_note(f"f was evaluated where x[{first}] to x[{last}], of x in one row, are shifted")
            raise
        finally:
            self._flat[where] = before

    def _require_right_use(self, given: Floats, stack: Floats, values: Floats, step: float) -> None:
        """Raise an error if f changes its argument, or if the value of a point depends on the points beside it.

        Points of the stack, and others that are further apart, are evaluated in another order, in a stack of another
        size, and some of them alone. Points that are all shifted by h may have equal values.
        """
        if not np.array_equal(stack, given, equal_nan=True):
            raise ValueRangeError("f must leave its argument as it is, but it changes the stack of points")
        most = _LARGEST_STACK // max(1, self.size)
        if most < 2:
            return  # f is only called with one point
        ends = [0, -1] if len(given) > 1 else [0]
        self._require_same(given[ends], values[ends], np.array([self._alone(given[i]) for i in ends]))
        rng = np.random.default_rng(_SEED)
        others = self._others(rng, step, np.isfinite(values).all(axis=0))[:most]
        rows = rng.permutation(len(given))[: most - len(others)]
        points = np.concatenate([*(point[np.newaxis] for point, _ in others), given[rows]])
        known = np.concatenate([*(value[np.newaxis] for _, value in others), values[rows]])
        for _ in range(-(-_COMPARED // len(points))):  # few points may be in the same order by chance
            order = rng.permutation(len(points))
            self._require_same(points[order], self._values(points[order]), known[order])

    def _others(self, rng: np.random.Generator, step: float, finite: Any) -> list[tuple[Floats, Floats]]:
        """Points that differ in all coordinates, near x and far from it, and their values.

        They may be outside of the domain of f: then it raises something, or returns fewer ``finite`` numbers.
        """
        x, near = self._start.reshape(self._shape), step or _NEAR
        shifts = near * rng.uniform(-1, 1, (3, *self._shape))
        shifts[1] -= x * rng.uniform(0, 0.5, self._shape)  # towards 0: positive numbers remain so, and small ones
        shifts[2] += (1 + np.abs(x)) * rng.uniform(-0.5, 0.5, self._shape)
        found = []
        with np.errstate(all="ignore"):
            for point in x + shifts:
                try:
                    value = self._alone(point)
                except Exception:
                    continue
                if (np.isfinite(value) >= finite).all():
                    found.append((point, value))
        return found

    def _alone(self, point: Floats) -> Floats:
        value: Floats = self._values(point[np.newaxis].copy())[0]
        return value

    def _require_same(self, points: Floats, values: Floats, others: Floats) -> None:
        """Raise an error if values of points, in two stacks, differ by more than the noise of f there."""
        if np.array_equal(values, others):
            return
        least = unit_rounding(np.array([values, others]))
        if self.returned.kind == "f":
            least = max(least, float(np.finfo(self.returned).eps))
        with np.errstate(all="ignore"):
            typical = np.mean(np.abs(others), axis=0)
        for point, value, other in zip(points, values, others, strict=True):
            right = (value == other) | (np.isnan(value) & np.isnan(other))
            with np.errstate(all="ignore"):
                away = np.abs(value - other)
                right |= away <= _ROUNDED * least * np.maximum(np.abs(other), typical)
                if not right.all():
                    right |= away <= _TRUSTED * scatter(self._alone, point)
            if right.all():
                continue
            raise ValueRangeError(
                f"f must return the value of each point by itself, got {value} and {other} for the same point in two "
                "stacks: with vectorized=True it takes a stack of points"
            )

    def _values(self, stack: Floats) -> Floats:
        points = len(stack)
        returned = self._f(stack)
        values = numbers(returned)
        self.returned = getattr(returned, "dtype", self.returned)
        if values.shape != (points,) if self._one_number else values.shape[:1] != (points,):
            raise ShapeError(
                f"f must return a value for each of {points} points, got an array of shape {values.shape}: with "
                "vectorized=True it takes a stack of points"
            )
        return values
