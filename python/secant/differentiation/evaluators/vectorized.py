"""The evaluator of a function that takes a stack of points: called once for many coordinates, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.differentiation.evaluators.evaluation import Convert, Evaluator, number, numbers, returned_dtype
from secant.differentiation.noise import scatter, unit_rounding
from secant.errors import ShapeError, ValueRangeError

_LARGEST_STACK = 2**14  # elements, 128 KB: larger arrays leave the cache, and each step of f allocates them anew
_SEED = 0
_ROUNDED = 256.0  # times the rounding of values: products of matrices of another size have other last bits
_FEW, _COMPARED = 12, 32  # points that are compared, at least and at most
_NEAR = 1e-4  # where no point is shifted
_TRUSTED = 30.0  # times the noise of f, that two values of a point may differ by


class VectorizedEvaluator(Evaluator):
    """f takes (points, and the shape of x) and returns a value for each point. x is only read."""

    def __init__(
        self, f: Callable[[Any], Any], x: Floats, convert: Convert, bounds: tuple[Floats, Floats] | None = None
    ) -> None:
        self._bounds = bounds
        self._f, self._shape, self._one_number = f, x.shape, convert is number
        self._start = np.asarray(x, order="C").reshape(-1)
        self._points = np.empty((0, x.size))  # shifts are put back: to write all of the points takes longer
        self._flat = self._points.reshape(-1)
        self._checked = 0  # the size of the largest stack whose values were compared with those of other stacks
        self.size = x.size
        self.first_block = max(1, min(x.size, _LARGEST_STACK // (2 * max(1, x.size))))

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        return self._values(np.array(point)[np.newaxis])[0]

    def at_points(self, points: Floats) -> Floats:
        """Return f at many points, in stacks."""
        rows = max(1, _LARGEST_STACK // max(1, self.size))
        return np.concatenate([self._checked_values(points[k : k + rows]) for k in range(0, len(points), rows)])

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted."""
        rows, each = max(1, _LARGEST_STACK // max(1, self.size)), np.shape(shifts)[-1]
        coordinates = np.repeat(np.arange(begin, end), each)
        steps = shifts.reshape(-1) if np.ndim(shifts) == 2 else np.tile(shifts, end - begin)
        where = coordinates + self.size * (np.arange(len(steps)) % rows)  # in a stack of so many rows
        before = self._start[coordinates]
        after = before + steps
        spans = (slice(k, k + rows) for k in range(0, len(steps), rows))
        blocks = [self._block(where[k], before[k], after[k]) for k in spans]
        values = np.concatenate(blocks) if blocks else np.empty(0)
        return values.reshape(end - begin, each, *values.shape[1:])

    def _block(self, where: NDArray[np.int_], before: Floats, after: Floats) -> Floats:
        count = len(where)
        if count > len(self._points):
            self._points = np.tile(self._start, (count, 1))
            self._flat = self._points.reshape(-1)
        self._flat[where] = after
        stack = self._points[:count].reshape(-1, *self._shape)
        try:
            return self._checked_values(stack)
        except Exception as error:
            first, last = where[0] % self.size, where[-1] % self.size
            error.add_note(
                f"f was evaluated at a stack of points: one of x.flat[{first}] to x.flat[{last}] is shifted in each"
            )
            raise
        finally:
            self._flat[where] = before

    def _checked_values(self, stack: Floats) -> Floats:
        if len(stack) <= self._checked:
            return self._values(stack)
        given = stack.copy()
        values = self._values(stack)
        step = float(np.abs(given.reshape(len(given), -1) - self._start).max(initial=0.0))
        self._require_right_use(given, stack, values, step)
        self._checked = len(stack)
        return values

    def _require_right_use(self, given: Floats, stack: Floats, values: Floats, step: float) -> None:
        """Raise an error if f changes its argument, or if the value of a point depends on the points beside it.

        Some points are evaluated alone. Then the same is asked of points that differ in all coordinates, since those of
        the stack may have equal values: in two stacks, of another order and size, and some of them alone.
        """
        if stack.tobytes() != given.tobytes():
            raise ValueRangeError("f must leave its argument as it is, but it changes the stack of points")
        most = _LARGEST_STACK // max(1, self.size)
        if most < 2:
            return  # f is only called with one point
        some = sorted({0, len(given) // 2, len(given) - 1})
        self._require_same(given[some], values[some], np.array([self._alone(given[i]) for i in some]))
        rng, near, finite = np.random.default_rng(_SEED), step or _NEAR, np.isfinite(values).all(axis=0)
        others = self._others(rng, near)[: most - 1]
        found = [(point, value) for point in others if (value := self._inside(self._alone, point, finite)) is not None]
        count = min(_COMPARED, most - len(found))
        points = self._clipped(given[:count] + near * rng.uniform(-1, 1, given[:count].shape))
        known = self._inside(self._values, points, finite)
        if known is None:
            points, known = given[:count], values[:count]
        points = np.concatenate([points, *(point[np.newaxis] for point, _ in found)])
        known = np.concatenate([known, *(value[np.newaxis] for _, value in found)])
        for _ in range(-(-_FEW // len(points))):  # few points may be in the same order by chance
            order = rng.permutation(len(points))
            points, known = points[order], known[order]
            self._require_same(points, self._values(points), known)

    def _others(self, rng: np.random.Generator, near: float) -> Floats:
        """Three points: one near x, one nearer to 0, where positive numbers remain so, and one far away."""
        x, shape = self._start.reshape(self._shape), self._shape
        points = near * rng.uniform(-1, 1, (3, *shape))
        points += x
        points[1] -= x * rng.uniform(0, 0.5, shape)
        points[2] += (1 + np.abs(x)) * rng.uniform(-0.5, 0.5, shape)
        return self._clipped(points)

    def _clipped(self, points: Floats) -> Floats:
        """The nearest points within bounds."""
        return points if self._bounds is None else np.clip(points, *self._bounds)

    def _inside(self, f: Callable[[Floats], Floats], points: Floats, finite: Any) -> Floats | None:
        """The values of f; None outside of its domain, where it raises something or fewer numbers are ``finite``."""
        try:
            with np.errstate(all="ignore"):
                values = f(points)
        except Exception:
            return None
        return values if (np.isfinite(values) >= finite).all() else None

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
            sizes, away = np.abs(others), np.abs(values - others)
            right = away <= _ROUNDED * least * np.maximum(sizes, np.mean(sizes, axis=0))
            right |= (values == others) | (np.isnan(values) & np.isnan(others))
            for i in np.flatnonzero(~right.reshape(len(points), -1).all(axis=1)):
                if (right[i] | (away[i] <= _TRUSTED * scatter(self._alone, points[i]))).all():
                    continue
                raise ValueRangeError(
                    f"f must return the value of each point by itself, got {values[i]} and {others[i]} for the same "
                    "point in two stacks: with vectorized=True it takes a stack of points"
                )

    def _values(self, stack: Floats) -> Floats:
        points = len(stack)
        self.evaluations += points
        returned = self._f(stack)
        values = numbers(returned)
        self.returned = returned_dtype(returned, self.returned)
        if values.shape != (points,) if self._one_number else values.shape[:1] != (points,):
            raise ShapeError(
                f"f must return a value for each of {points} points, got an array of shape {values.shape}: with "
                "vectorized=True it takes a stack of points"
            )
        return values
