"""f that takes a stack of points: called once for many coordinates, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.evaluation import Convert, Evaluator, number, numbers
from secant.errors import ShapeError, ValueRangeError

_LARGEST_STACK = 2**15  # elements, 256 KB: larger ones do not stay in the cache
_SAME = 1e-4  # of a value: products of matrices of other sizes are rounded otherwise, in float32 too


class Stacked(Evaluator):
    """f takes (points, and the shape of x) and returns a value for each point. x is only read."""

    def __init__(self, f: Callable[[Any], Any], x: Floats, convert: Convert) -> None:
        self._f, self._shape, self._one_number = f, x.shape, convert is number
        self._start = np.array(x, order="C").reshape(-1)
        self.size = x.size
        self.first_block = max(1, min(x.size, _LARGEST_STACK // (4 * max(1, x.size))))

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        return self._values(np.array(point)[np.newaxis])[0]

    def shifted(self, begin: int, end: int, shifts: Sequence[float]) -> Floats:
        """Return f where one coordinate is shifted."""
        count = max(1, _LARGEST_STACK // (len(shifts) * max(1, self.size)))
        blocks = [self._block(i, min(i + count, end), shifts) for i in range(begin, end, count)]
        values = np.concatenate(blocks) if blocks else np.empty(0)
        return values.reshape(end - begin, len(shifts), *values.shape[1:])

    def _block(self, begin: int, end: int, shifts: Sequence[float]) -> Floats:
        coordinates = np.repeat(np.arange(begin, end), len(shifts))
        stack = np.empty((len(coordinates), self.size))
        stack[...] = self._start
        stack[np.arange(len(stack)), coordinates] += np.tile(shifts, end - begin)
        stack = stack.reshape(-1, *self._shape)
        try:
            first = stack[:1].copy()
            values = self._values(stack)
            if begin == 0 and len(stack) > 1:
                self._require_own_values(first, values[0])
            return values
        except Exception as error:
            error.add_note(f"f was evaluated where x[{begin}] to x[{end - 1}], of x in one row, are shifted")
            raise

    def _require_own_values(self, first: Floats, value: Floats) -> None:
        """Raise an error if the value of the first point is another one where that point is alone."""
        alone = self._values(first)[0]
        size = float(np.abs(alone).max(initial=0))
        if not np.allclose(alone, value, rtol=_SAME, atol=_SAME * size, equal_nan=True):
            raise ValueRangeError(
                f"f must return the value of each point by itself, got {value} for a point among others and {alone} "
                "for the same one alone: with vectorized=True it takes a stack of points"
            )

    def _values(self, stack: Floats) -> Floats:
        points = len(stack)
        values = numbers(self._f(stack))
        if values.shape != (points,) if self._one_number else values.shape[:1] != (points,):
            raise ShapeError(
                f"f must return a value for each of {points} points, got an array of shape {values.shape}: with "
                "vectorized=True it takes a stack of points"
            )
        return values
