"""The evaluator of a function that takes a stack of points: called once for many
coordinates, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.evaluators.evaluation import (
    Convert,
    Evaluator,
    elsewhere,
    number,
    numbers,
    returned_dtype,
)
from secant.differentiation.schemes import Bounds
from secant.errors import ShapeError, ValueRangeError

# elements, 128 KB: larger arrays leave the cache, and each step of f allocates them
# anew
_LARGEST_STACK = 2**14
_CLOSE = 1e-6
"""Relative.

Products of matrices of another size have other last bits, of float32 up to this. What
most functions that mix points by mistake return differs by more.
"""


class VectorizedEvaluator(Evaluator):
    """f takes (points, and the shape of x) and returns a value for each point, which is
    its own.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        x: Floats,
        convert: Convert,
        bounds: Bounds | None,
        is_trusted: bool = False,
        columns: Any = None,
    ) -> None:
        self._bounds, self.columns = bounds, columns
        self.is_constant, self._value = True, None
        self._f, self.shape, self._one_number = f, x.shape, convert is number
        self.flat = np.asarray(x, order="C").reshape(-1)
        self._is_checked = is_trusted
        self.size = x.size
        self.first_block = max(1, min(x.size, _LARGEST_STACK // (2 * max(1, x.size))))

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        return self._values(np.array(point)[np.newaxis])[0]

    def at_points(self, points: Floats) -> Floats:
        """Return f at many points, in stacks."""
        rows = self._rows
        return np.concatenate(
            [
                self._checked_values(points[k : k + rows].copy())
                for k in range(0, len(points), rows)
            ]
        )

    @property
    def _rows(self) -> int:
        """The number of points in a stack."""
        return max(1, _LARGEST_STACK // max(1, self.size))

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted."""
        each = np.shape(shifts)[-1]
        coordinates = np.repeat(np.arange(begin, end), each)
        after = self.flat[coordinates] + np.broadcast_to(
            shifts, (end - begin, each)
        ).reshape(-1)
        spans = (slice(k, k + self._rows) for k in range(0, len(after), self._rows))
        blocks = [self._block(coordinates[span], after[span]) for span in spans]
        values = np.concatenate(blocks) if blocks else np.empty(0)
        return values.reshape(end - begin, each, *values.shape[1:])

    def _block(self, coordinates: Any, after: Floats) -> Floats:
        stack = np.tile(self.flat, (len(after), 1))
        stack[np.arange(len(after)), coordinates] = after
        try:
            return self._checked_values(stack.reshape(-1, *self.shape))
        except Exception as error:
            error.add_note(
                f"f was evaluated at a stack of points: one of x.flat[{coordinates[0]}]"
                f" to x.flat[{coordinates[-1]}] is shifted in each"
            )
            raise

    def _checked_values(self, stack: Floats) -> Floats:
        """The values of a stack.

        The first and the last point of the first stack are evaluated alone as well.
        """
        if self._is_checked or len(stack) < 2:
            return self._values(stack)
        self._is_checked = True
        ends = stack[[0, -1]].copy()
        values = self._values(stack)
        close = _CLOSE * np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
        for value, point in zip(values[[0, -1]], ends, strict=True):
            alone = self._values(point[np.newaxis])[0]
            if not np.allclose(value, alone, rtol=_CLOSE, atol=close, equal_nan=True):
                raise ValueRangeError(
                    f"f must return the value of each point by itself, got {value} in a"
                    f" stack and {alone} for the same point alone: with vectorized=True"
                    " f takes a stack of points, (points, *x.shape)"
                )
        return values

    def _values(self, stack: Floats) -> Floats:
        points = len(stack)
        self.evaluations += points
        returned = self._f(stack)
        values = numbers(returned)
        self.returned = returned_dtype(returned, self.returned)
        if (
            values.shape != (points,)
            if self._one_number
            else values.shape[:1] != (points,)
        ):
            raise ShapeError(
                f"f must return a value for each of {points} points, got an array of"
                f" shape {values.shape}: with vectorized=True it takes a stack of"
                " points"
            )
        if self.is_constant and points:
            self._watch(values)
        return values

    def _watch(self, values: Floats) -> None:
        """Note whether f still has only one value, also where all coordinates of x are
        shifted.
        """
        is_first = self._value is None
        self._value = values[0] if is_first else self._value
        self.is_constant = bool((values == self._value).all())
        if self.is_constant and is_first:
            point = elsewhere(self.flat.reshape(self.shape), self._bounds, self.columns)
            there = self._try_at(point)
            if not self.is_constant:
                self._value_elsewhere = there

    def _try_at(self, point: Floats) -> Any:
        with suppress(Exception):
            return self._values(point[np.newaxis])[0]
        return None
