"""Entries of Hessians: second differences along coordinates and along sums of two,
extrapolated.

Along a direction u, (f(x + h u) - 2 f(x) + f(x - h u)) / h^2 is the second derivative
up to even powers of h. Those of x[i], of x[j] and of their sum give the entry (i, j):
((i + j) - (i) - (j)) / 2. So it takes two evaluations for each entry of a triangle and
each step, and the result is symmetric. Steps are 1.9 apart, and
smaller ones are taken until extrapolations to h = 0 agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.differentiation.columns import LARGE, ROUNDING
from secant.differentiation.derivatives import Derivatives, not_finite
from secant.differentiation.evaluators.evaluation import Attempts, Evaluator, name_of
from secant.differentiation.lines import (
    RESOLUTION,
    SEED,
    Sample,
    Samples,
    rungs_of,
    scales_of,
    step_of,
)
from secant.differentiation.noise import Levels, walked
from secant.differentiation.problem import Problem
from secant.differentiation.result import KINK, NOISY, Bars, small_for
from secant.differentiation.schemes import Scheme, Stencils, exact_steps, stencils
from secant.differentiation.slopes import ENOUGH, best_of, climb, extrapolated, refined
from secant.errors import ValueRangeError

_EPS = float(np.finfo(np.float64).eps)
# its order is one more for h
_SECOND = Scheme("central", 3, (1, -1), True, lambda f, points, base, x: None)
# steps below the largest that the diagonal depends on: where those off the diagonal
# begin
_BELOW = 1
# off the diagonal: steps from the largest of the diagonal down; and more where needed
_LEVELS, _MORE_LEVELS = 4, 4
_NOISE_OF_MIXED = 8.0  # of f, that a mixed second difference has at most, usually
_OF_NOISE = 16.0  # noises: an error bar that is no larger gains nothing from more steps
_FAR = 0.1  # of the scale of x, or of the change of f there
_FARTHER = 100.0  # times the step of "central"
_ROUNDING_OF_SECOND = 4.0  # units of rounding of f, that a second difference may have
_BLOCK = 2**18  # elements of points, 2 MB


class SecondDifferences:
    """Entries of a Hessian.

    The diagonal is found at once, and tells which steps the others take.

    Attributes
    ----------
    diagonal : Derivatives
    size : int
        The number of the other entries.
    stencils : Stencils, optional
        Their difference quotients; None for "auto".
    """

    def __init__(self, evaluator: Evaluator, problem: Problem, pairs: Any) -> None:
        self._pairs, self.size = pairs, len(pairs)
        self._shape, self._x = (
            problem.x.shape,
            np.array(problem.x, order="C").reshape(-1),
        )
        self._guarded, self._outside = problem.scheme is None, Attempts()
        if not np.isfinite(self._x).all():
            i = int(np.argmin(np.isfinite(self._x)))
            raise ValueRangeError(
                f"x must be finite, got {self._x[i]} at {name_of(i, self._shape)}"
            )
        self._value = float(
            evaluator.at(problem.x) if problem.f0 is None else problem.f0
        )
        if not np.isfinite(self._value):
            raise ValueRangeError(f"f must be finite at x, got {self._value}")
        every = np.arange(len(self._x))
        room = self._room = _room(problem, self._x, self._shape)
        self._known: dict[tuple[int, int], float] = {}
        self._change = 0.0  # of f, as far as it was evaluated for the diagonal
        self._scales = np.minimum(scales_of(self._x)[0], room)
        self.stencils: Stencils | None = None
        if self._guarded:
            self._learn(evaluator, problem.noise)
        else:
            self._noise = Levels(*np.array([[1e-300], [_EPS], [0.0]]))
            self.stencils = fixed = stencils(
                _SECOND, problem.step, self._x, None, evaluator.returned
            )
            steps = np.minimum(fixed.h, room / 2)  # a pattern is checked at twice
            self._units = (self._x + steps) - self._x
            self._require_step(steps)
            values = self._second(evaluator, every, every, self._units, self._units)
            not_measured = Bars(*np.zeros((3, len(every))))
            self.diagonal = Derivatives(values / self._units**2, not_measured, 0)

    def _require_step(self, steps: Floats) -> None:
        """Raise an error where h is lost in x."""
        lost = self._units == 0
        if lost.any():
            i = int(np.argmax(lost))
            raise ValueRangeError(
                f"h must not be lost in x, but {name_of(i, self._shape)} + h ="
                f" {float(self._x[i])!r} + {steps[i]:.3g} rounds to x; take a larger h,"
                " h=None, or scheme='auto'"
            )

    def _learn(self, evaluator: Evaluator, least: float) -> None:
        """Find the diagonal, the noise of f, at least ``least``, and the steps that are
        right for each coordinate.
        """
        size = len(self._x)
        values, errors = np.zeros(size), np.zeros(size)
        kinds = np.full(size, NOISY)
        self._numbers = np.zeros(size, int)
        value, noise = (
            np.array([self._value]),
            Levels(*np.array([[least], [0.0], [0.0]])),
        )
        change = np.zeros(1)
        with np.errstate(all="ignore"):
            if size > 1:
                line, numbers = self._line(evaluator), rungs_of(1.0, 1.0)
                seen = walked(line, numbers, RESOLUTION, every_jump=True).noise
                noise = Levels(*map(np.maximum, noise, seen))
            for i in range(size):
                samples = Samples(
                    self._along_one(evaluator, i),
                    value,
                    unit=float(np.spacing(abs(self._x[i]))) / 2,
                )
                numbers = rungs_of(abs(float(self._x[i])), float(self._scales[i]))
                climbed = climb(
                    samples,
                    numbers,
                    noise,
                    walked(samples, numbers, every_jump=size == 1),
                )
                (values[i],), (errors[i],), (self._numbers[i],), _ = refined(
                    samples, climbed, numbers, order=2
                )
                if climbed.is_kink[0]:  # of f: its second derivative is infinite
                    values[i], errors[i] = np.nan, np.inf
                    kinds[i] = KINK
                change = np.maximum(change, samples.change())
                noise = noise if size > 1 else climbed.noise
        self._noise = noise
        self._change = float(change[0])
        small = small_for(self._value, self._change, self._scales, order=2)
        self.diagonal = Derivatives(values, Bars(errors, kinds, small), 0)
        known = np.isfinite(errors)
        if self._outside.error is not None and not known.all():
            i = int(np.argmin(known))
            self._outside.error.add_note(
                f"f is needed on both sides of {name_of(i, self._shape)} ="
                f" {float(self._x[i])!r}"
            )
            raise self._outside.error
        self._units = self._steps(np.arange(size), _LEVELS - 1)

    def _direction(self) -> Floats:
        """A random direction, in which the noise of f is measured."""
        rng, size = np.random.default_rng(SEED), len(self._x)
        return np.asarray(
            self._scales * rng.uniform(0.5, 1, size) * rng.choice([-1.0, 1.0], size)
        )

    def _line(self, evaluator: Evaluator) -> Samples:
        """Samples of f along that direction."""
        direction = self._direction()

        def evaluate(step: float) -> Sample:
            shifts = step * direction
            if (np.abs(shifts) > self._room).any():
                return Sample(np.full(1, np.nan), step)
            return Sample(self._values(evaluator, (self._x + shifts)[np.newaxis]), step)

        return Samples(evaluate, np.array([self._value]))

    def _along_one(self, evaluator: Evaluator, i: int) -> Callable[[float], Sample]:
        """F where one coordinate is shifted, by steps that x + h and x - h do not
        round.
        """

        def evaluate(step: float) -> Sample:
            shift = float(exact_steps(step * self._scales[i], self._x[i]))
            if abs(shift) > self._room[i]:
                return Sample(np.full(1, np.nan), shift)
            point = self._x.copy()
            point[i] += shift
            return Sample(self._values(evaluator, point[np.newaxis]), shift)

        return evaluate

    def _steps(self, every: Any, level: int) -> Floats:
        """The steps of coordinates, from a little below the largest that the diagonal
        depends on.
        """
        each = [
            step_of(number + _BELOW + level) for number in self._numbers[every].tolist()
        ]
        return exact_steps(np.array(each) * self._scales[every], self._x[every])

    def __call__(
        self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]
    ) -> Derivatives:
        """Return a range of the entries off the diagonal, and their error bars."""
        before = evaluator.evaluations
        values, errors = np.empty(end - begin), np.zeros(end - begin)
        block = max(1, _BLOCK // max(1, len(self._x)))
        known = dict(self._known)
        for first in range(begin, end, block):
            last = min(first + block, end)
            part = slice(first - begin, last - begin)
            i, j = self._pairs[first:last].T
            values[part], errors[part] = self._mixed(evaluator, i, j, known)
            tell(last - begin)
        evaluations = evaluator.evaluations - (before if begin else 0)
        i, j = self._pairs[begin:end].T
        scale = np.sqrt(self._scales[i] * self._scales[j])
        small = small_for(self._value, self._change, scale, order=2)
        kinds = np.full(end - begin, NOISY)
        return Derivatives(values, Bars(errors, kinds, small), evaluations)

    def _mixed(
        self, evaluator: Evaluator, i: Any, j: Any, known: dict[Any, Any]
    ) -> tuple[Floats, Floats]:
        """Entries (i, j), and their error bars."""
        if not self._guarded:
            h, k = self._units[i], self._units[j]
            seconds = (
                self._second(evaluator, i, j, h, k) - self.diagonal.values[i] * h**2
            )
            return (seconds - self.diagonal.values[j] * k**2) / (2 * h * k), np.zeros(
                len(i)
            )
        # steps, differences and their noise, from small steps to large
        rows: list[Floats] = []
        values, errors = np.zeros(len(i)), np.full(len(i), np.inf)
        active = np.arange(len(i))
        for level in range(_LEVELS + _MORE_LEVELS):
            a, b = i[active], j[active]
            h, k = self._steps(a, level), self._steps(b, level)
            own = [
                self._diagonal_second(evaluator, each, level, known) for each in (a, b)
            ]
            row = np.full((3, len(i)), np.nan)
            with np.errstate(all="ignore"):
                above, below = self._changes(evaluator, a, b, h, k)
                noise = self._noise.at(
                    abs(self._value) + np.maximum(np.abs(above), np.abs(below))
                )
                noise += self._noise.slope * np.maximum(
                    h / self._scales[a], k / self._scales[b]
                )
                mixed = (above + below - own[0] - own[1]) / (2 * h * k)
                row[:, active] = (
                    np.sqrt(h * k),
                    mixed,
                    _NOISE_OF_MIXED * noise / (2 * h * k),
                )
                rows.insert(0, row)
                if level + 1 < _LEVELS:
                    continue
                values, errors = best_of(extrapolated(*np.stack(rows, axis=1)))
                size = np.fmax(
                    np.abs(values),
                    np.sqrt(np.abs(self.diagonal.values[i] * self.diagonal.values[j])),
                )
                active = np.flatnonzero(
                    ~(errors <= ENOUGH * size) & ~(errors <= _OF_NOISE * rows[0][2])
                )
            if not len(active):
                break
        return values, errors

    def _diagonal_second(
        self, evaluator: Evaluator, every: Any, level: int, known: dict[Any, Any]
    ) -> Floats:
        """Second differences along coordinates at the step of a level, each evaluated
        once.
        """
        missing = np.array(
            [k for k in np.unique(every).tolist() if (k, level) not in known], int
        )
        if len(missing):
            h = self._steps(missing, level)
            for k, value in zip(
                missing.tolist(),
                self._second(evaluator, missing, missing, h, h).tolist(),
                strict=True,
            ):
                known[k, level] = value
        return np.array([known[k, level] for k in every.tolist()])

    def _second(
        self, evaluator: Evaluator, i: Any, j: Any, h: Floats, k: Floats
    ) -> Floats:
        """f(x + u) - 2 f(x) + f(x - u) where u is h along i and k along j; along i
        alone where they are the same.
        """
        above, below = self._changes(evaluator, i, j, h, k)
        return above + below

    def _changes(
        self, evaluator: Evaluator, i: Any, j: Any, h: Floats, k: Floats
    ) -> tuple[Floats, Floats]:
        """f(x + u) - f(x) and f(x - u) - f(x), in blocks of points."""
        above, below = np.empty(len(i)), np.empty(len(i))
        block = max(1, _BLOCK // len(self._x)) if len(i) else 1
        for first in range(0, len(i), block):
            part = slice(first, first + block)
            rows, apart = np.arange(len(i[part])), np.flatnonzero(i[part] != j[part])
            for changes, sign in ((above, 1), (below, -1)):
                points = np.tile(self._x, (len(rows), 1))
                points[rows, i[part]] += sign * h[part]
                points[apart, j[part][apart]] += sign * k[part][apart]
                changes[part] = self._values(evaluator, points) - self._value
        return above, below

    def _values(self, evaluator: Evaluator, points: Floats) -> Floats:
        """The values of f at points: NaN outside of its domain where "auto" chose the
        steps, else an error.
        """
        if not points.size:
            return np.empty(len(points))
        points = points.reshape(-1, *self._shape)
        try:
            with np.errstate(all="ignore"):
                values = evaluator.at_points(points)
                self._outside.succeed()
        except Exception:
            if not self._guarded:
                raise
            values = np.array(
                self._outside.each(np.nan, evaluator.at, ((point,) for point in points))
            )
        if not self._guarded and not np.isfinite(values).all():
            raise not_finite(values[~np.isfinite(values)][0], "a shifted point")
        return values

    def is_below_noise(
        self, evaluator: Evaluator, mixed: Floats, errors: Floats
    ) -> bool:
        """Whether the Hessian is noise; ``mixed`` are its entries off the diagonal,
        with their error bars.
        """
        # other types have warnings of their own
        if not len(self._x) or evaluator.returned != np.float64:
            return False
        values = np.concatenate([self.diagonal.values, mixed])
        assert self.diagonal.bars is not None
        bars = np.concatenate([self.diagonal.bars.error, errors])
        return (
            self._bars_hide(evaluator, values, bars)
            if self._guarded
            else self._rounding_hides(evaluator, values)
        )

    def _bars_hide(self, evaluator: Evaluator, values: Floats, bars: Floats) -> bool:
        """Whether no entry exceeds its error bar, and these allow what f changes by
        over a tenth of the scale of x.

        Where f is linear, no entry exceeds its error bar either, but these are small.
        """
        if not values.any() or not (np.abs(values) <= bars).all():
            return False
        steps = _FAR * self._scales
        above, below = self._far_changes(evaluator, np.minimum(steps, self._room))
        change = max(abs(above), abs(below))
        allowed = np.max(bars * self._squares(steps))
        return bool(change > 0 and allowed > _FAR * change)

    def _rounding_hides(self, evaluator: Evaluator, values: Floats) -> bool:
        """Whether no second difference of "central" exceeds the rounding of f, but one
        at larger steps does.

        If it falls below the rounding as the square of the step, the steps were too
        small for this curvature. If not, it is a kink farther away, and f is linear
        within the steps.
        """
        rounding = _ROUNDING_OF_SECOND * _EPS * abs(self._value)
        if not (np.abs(values * self._squares(self._units)) <= rounding).all():
            return False
        factor = max(_FARTHER, float(np.min(_FAR * self._scales / self._units)))
        factor = min(factor, float(np.min(self._room / self._units)))
        above, below = self._far_changes(evaluator, factor * self._units)
        curved = abs(above + below)
        return bool(rounding < curved <= _ROUNDING_OF_SECOND * rounding * factor**2)

    def _squares(self, steps: Floats) -> Floats:
        """The products of the steps of all entries: those of the diagonal, then the
        others.
        """
        i, j = self._pairs.T
        return np.concatenate([steps**2, steps[i] * steps[j]])

    def _far_changes(self, evaluator: Evaluator, steps: Floats) -> tuple[float, float]:
        """The changes of f over steps on both sides of x: NaN where f is not
        defined.
        """
        points = (self._x + np.array([[1.0], [-1.0]]) * steps).reshape(-1, *self._shape)
        with np.errstate(all="ignore"):
            try:
                above, below = evaluator.at_points(points) - self._value
            except Exception:
                return np.nan, np.nan
        return float(above), float(below)

    def find_incomplete_row(
        self, evaluator: Evaluator, hessian: Any, errors: Any
    ) -> int | None:
        """Return a row of the pattern that misses an entry, if one is found.

        Second differences along a direction must be those of the Hessian. What the
        pattern leaves out is seen where it is more than a hundredth of the terms. It
        does not depend on the step, unlike truncation, which is a quarter at half of
        it, and rounding, which is four times as large. Nor does a jump of second
        derivatives at x.
        """
        along = self._direction() / self._scales * np.abs(self._units)
        value, terms = (
            float(along @ (hessian @ along)),
            float(np.abs(along) @ (abs(hessian) @ np.abs(along))),
        )
        noise = max(
            float(self._noise.at(np.abs(self._value))[0]), _EPS * abs(self._value)
        )
        away = []
        for step in (1.0, 0.5):
            above, below = (
                self._values(evaluator, self._x + np.array([[step], [-step]]) * along)
                - self._value
            )
            away.append(float(above + below) / step**2 - value)
        known = (
            LARGE * terms
            + float(np.abs(along) @ (errors @ np.abs(along)))
            + ROUNDING * noise
        )
        if min(map(abs, away)) > known and abs(away[1] - away[0]) < 0.5 * abs(away[0]):
            allowed = LARGE * abs(away[0]) + _NOISE_OF_MIXED * noise
            return self._row_with_other_columns(evaluator, hessian, along, allowed)
        return None

    def _row_with_other_columns(
        self, evaluator: Evaluator, hessian: Any, along: Floats, allowed: float
    ) -> int | None:
        """Return a row with second derivatives outside of its pattern.

        Without them, f changes by x[row] and by all coordinates outside of the row's
        pattern together as it does by each of both, however rough f is.
        """
        for row in range(len(self._x)):
            own, others = np.zeros(len(along)), along.copy()
            own[row] = along[row]
            others[hessian.indices[hessian.indptr[row] : hessian.indptr[row + 1]]] = 0.0
            if not others.any():
                continue
            for sign in (1, -1):
                shifts = sign * np.array([own + others, own, others])
                together, by_own, by_others = (
                    self._values(evaluator, self._x + shifts) - self._value
                )
                if abs(together - by_own - by_others) > allowed:
                    return row
        return None


def _room(problem: Problem, x: Floats, shape: tuple[int, ...]) -> Floats:
    """How far each coordinate is from its bounds."""
    if problem.bounds is None:
        return np.full(x.shape, np.inf)
    lower, upper = (np.array(each, order="C").reshape(-1) for each in problem.bounds)
    room: Floats = np.minimum(x - lower, upper - x) * (1 - 1e-9)
    stuck = x + room == x
    if stuck.any():
        i = int(np.argmax(stuck))
        raise ValueRangeError(
            f"x must be within bounds on both sides, but {name_of(i, shape)} = {x[i]}"
            " is on one: give the domain of f, which may be larger, or gradient="
        )
    return room
