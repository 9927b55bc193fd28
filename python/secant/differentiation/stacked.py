"""f that takes a stack of points: called once for many coordinates, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.differentiation.evaluation import Convert, Evaluator, number, numbers, returned_dtype
from secant.errors import ShapeError, ValueRangeError

_LARGEST_STACK = 2**14  # elements, 128 KB: larger arrays do not stay in the cache, and are new memory in each step of f
_SAME = 1e-4  # of a value: products of matrices of other sizes are rounded otherwise, in float32 too


class Stacked(Evaluator):
    """f takes (points, and the shape of x) and returns a value for each point. x is only read."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, convert: Convert) -> None:
        self._f, self._shape, self._one_number = f, x.shape, convert is number
        self._start = np.array(x, order="C").reshape(-1)
        self._points = np.empty((0, x.size))  # shifts are put back: to write all of the points takes longer
        self._flat = self._points.reshape(-1)
        self._tried = False
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
            if self._tried:
                return self._values(stack)
            given = stack.copy()
            values = self._values(stack)
            self._require_right_use(given, stack, values[0])
            self._tried = True
            return values
        except Exception as error:
            first, last = where[0] % self.size, where[-1] % self.size
            error.add_note(f"f was evaluated where x[{first}] to x[{last}], of x in one row, are shifted")
            raise
        finally:
            self._flat[where] = before

    def _require_right_use(self, before: Floats, stack: Floats, value: Floats) -> None:
        """Raise an error if f changes its argument, or if the first point has another value where it is alone."""
        if not np.array_equal(stack, before, equal_nan=True):
            raise ValueRangeError("f must leave its argument as it is, but it changes the stack of points")
        alone = self._values(before[:1])[0] if len(before) > 1 else value
        size = float(np.abs(alone).max(initial=0))
        if not np.allclose(alone, value, rtol=_SAME, atol=_SAME * size, equal_nan=True):
            raise ValueRangeError(
                f"f must return the value of each point by itself, got {value} for a point among others and {alone} "
                "for the same one alone: with vectorized=True it takes a stack of points"
            )

    def _values(self, stack: Floats) -> Floats:
        points = len(stack)
        returned = self._f(stack)
        values = numbers(returned)
        self.returned = returned_dtype(returned, self.returned)
        if values.shape != (points,) if self._one_number else values.shape[:1] != (points,):
            raise ShapeError(
                f"f must return a value for each of {points} points, got an array of shape {values.shape}: with "
                "vectorized=True it takes a stack of points"
            )
        return values
