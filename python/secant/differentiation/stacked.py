"""f that takes a stack of points: called once for many coordinates, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.evaluation import Convert, Evaluator, number, numbers
from secant.errors import ShapeError

_LARGEST_STACK = 2**15  # elements, 256 KB: larger ones do not stay in the cache


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
        try:
            return self._values(stack.reshape(-1, *self._shape))
        except Exception as error:
            error.add_note(f"f was evaluated where x[{begin}] to x[{end - 1}], of x in one row, are shifted")
            raise

    def _values(self, stack: Floats) -> Floats:
        points = len(stack)
        values = numbers(self._f(stack))
        if values.shape != (points,) if self._one_number else values.shape[:1] != (points,):
            raise ShapeError(
                f"f must return a value for each of {points} points, got an array of shape {values.shape}: with "
                "vectorized=True it takes a stack of points"
            )
        return values
