"""Entries of Hessians: second differences along coordinates and along sums of two, extrapolated.

Along a direction u, (f(x + h u) - 2 f(x) + f(x - h u)) / h^2 is the second derivative up to even powers of h. Those of
x[i], of x[j] and of their sum give the entry (i, j): ((i + j) - (i) - (j)) / 2. So it takes two evaluations for each
entry of a triangle and each step, and the result is symmetric. Steps are halved until extrapolations to h = 0 agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant._common.warn import warn
from secant.differentiation.auto.central_difference import CachedSamples
from secant.differentiation.auto.ladder import RUNG, climb
from secant.differentiation.auto.rung_noise import SUDDEN, jump_between
from secant.differentiation.derivatives import Derivatives, not_finite, warn_of_rounding
from secant.differentiation.evaluators.evaluation import Evaluator, Steps, name_of
from secant.differentiation.noise import Noise, root_mean_square
from secant.differentiation.problem import Problem
from secant.differentiation.schemes import RelativeStep
from secant.errors import ValueRangeError

_EPS = float(np.finfo(np.float64).eps)
_FIRST_STEP = 0.6180339887498949  # of the size of x: no fraction of a period
_HALVINGS, _FEWEST_LEVELS = 24, 4
_RELATIVE_LEVELS, _MORE_LEVELS = 4, 4  # off the diagonal, to its best step; and below
_SEEN = 1e-4  # the share of a value that noise has at the step where it must hold
_SEEN_TOO = 1e-6, 1e-8  # smaller changes show at larger steps
_MUCH = 16.0  # times larger
_SURELY = 3.0  # times the usual noise: what is more is no noise
_SMALLER, _LEAST = 0.37, 2.0**-40  # that step is at most so many times the last one, and at least of the size of x
_LARGER, _LIKE = 8.0, 0.3  # times that step: where to begin where it does not hold; and how well it then has to
_ENOUGH = 1e-13  # of the largest term: no estimate gets better than that
_COVERAGE = 4.0  # error bars are so many times what is seen of truncation and noise
_NOISE_OF_SECOND, _NOISE_OF_MIXED = 4.0, 8.0  # of f, that a second difference has at most, usually
_NUMBERS = range(52, -1, -RUNG)  # of the steps at which noise is measured
_RESOLUTION = 2.0**-47  # by how much x + step is rounded, at most
_BLOCK = 2**18  # elements of points, 2 MB
_SEED = 0


class Table(NamedTuple):
    """What extrapolation makes of values at steps that are halved: for each entry the best, and its likely error.

    Attributes
    ----------
    values, errors : ndarray, (entries,)
        The error is 0 at best, and infinite where no two extrapolations can be compared.
    level : ndarray of int, (entries,)
        The last step that the best value depends on.
    """

    values: Floats
    errors: Floats
    level: Any

    @classmethod
    def of(cls, steps: Floats, noise: Floats) -> Table:
        """Extrapolate values (steps, entries) to a step of 0, in even powers; ``noise`` is that of each of them."""
        count, entries = steps.shape
        best, least = steps[-1].copy(), np.full(entries, np.inf)
        level = np.full(entries, count - 1)
        once = unsure = np.empty(0)
        column = steps
        for k in range(1, count):
            factor = 4.0**k - 1
            better = column[1:] + (column[1:] - column[:-1]) / factor
            seen = np.maximum(np.abs(better - column[1:]), np.abs(better - column[:-1]) / (1 if k > 1 else 4))
            errors = seen + noise[k:]
            if k == 1:
                once, unsure = better, np.abs(better - column[1:]) + _COVERAGE * noise[1:]
            for row in range(len(better)):
                if row + k < count - 1:  # at smaller steps it must be true as well: large ones may be of many periods
                    away = np.abs(better[row] - once[row + k :]) - unsure[row + k :]
                    errors[row] += np.fmax.reduce(away, axis=0, initial=0.0)
                wins = errors[row] < least
                best, least = np.where(wins, better[row], best), np.where(wins, errors[row], least)
                level = np.where(wins, row + k, level)
            column = better
        return cls(best, least, level)


class SecondDifferences:
    """Entries of a Hessian. The diagonal is found at once, and tells which steps the others take.

    Attributes
    ----------
    diagonal : Derivatives
    size : int
        The number of the other entries.
    group : int
        As of `Adaptive`.
    """

    group = 1

    def __init__(self, evaluator: Evaluator, problem: Problem, pairs: Any) -> None:
        self._pairs, self.size = pairs, len(pairs)
        self._shape, self._x = problem.x.shape, np.array(problem.x, order="C").reshape(-1)
        self._guarded, self._outside = problem.scheme is None, Steps()
        if not np.isfinite(self._x).all():
            i = int(np.argmin(np.isfinite(self._x)))
            raise ValueRangeError(f"x must be finite, got {self._x[i]} at {name_of(i, self._shape)}")
        self._value = float(evaluator.at(problem.x))
        if not np.isfinite(self._value):
            raise ValueRangeError(f"f must be finite at x, got {self._value}")
        every = np.arange(len(self._x))
        room = _room(problem, self._x, self._shape)
        if self._guarded:
            size = np.abs(self._x)
            self._scales = np.minimum(np.maximum(size, min(root_mean_square(size) or 1.0, 1.0)), room / _FIRST_STEP)
            self._noise = self._measured_noise(evaluator)
            self._learn(evaluator, every)
        else:
            self._known: dict[tuple[int, float], float] = {}
            self._noise = _EPS * max(abs(self._value), 1e-300)
            steps = np.minimum(_fixed_steps(problem, evaluator.returned), room / 2)  # a pattern is checked at twice
            self._units = (self._x + steps) - self._x
            self._require_step(steps, evaluator.returned)
            values = self._second(evaluator, every, every, self._units, self._units)
            self.diagonal = Derivatives(values / self._units**2, np.zeros(len(every)), 0)
        warn_of_rounding(evaluator.returned, None, problem.x, jumps=bool(np.any(self.diagonal.values)))

    def _require_step(self, steps: Floats, returned: np.dtype[Any]) -> None:
        """Raise an error where h is lost in x, and warn where f is too coarse for it."""
        lost = self._units == 0
        if lost.any():
            i = int(np.argmax(lost))
            raise ValueRangeError(
                f"h must not be lost in x, but {name_of(i, self._shape)} + h = {float(self._x[i])!r} + {steps[i]:.3g} "
                "rounds to x; take a larger h, h=None, or scheme='auto'"
            )
        if returned.kind == "f" and returned.itemsize < 8 and (steps < _default_steps(self._x, returned) / 8).any():
            warn(
                f"f returns {returned}, too coarse for second differences at h = {float(steps.min()):g}: take "
                "h=None, scheme='auto', or an f that computes in float64"
            )

    def seconds_per_coordinate(self, evaluator: Evaluator) -> float:
        """Measure how long an entry takes."""
        start = time.perf_counter()
        evaluator.at(self._x.reshape(self._shape))
        return (time.perf_counter() - start) * (2 * _RELATIVE_LEVELS if self._guarded else 2)

    def _learn(self, evaluator: Evaluator, every: Any) -> None:
        """Find the diagonal, and the steps that are right for each coordinate.

        A much smaller step may deny what was found: where steps are of many periods of f, or f has small ripples. Then
        the search begins there, and counts if it finds what that step says.
        """
        first = _quantized(_FIRST_STEP * self._scales)
        steps, seconds, table = self._searched(evaluator, every, first)
        if jump := self._largest_jump(evaluator, steps, seconds):
            self._noise = max(self._noise, jump)
            table = self._table_of_diagonal(steps, seconds)
        last = np.array(steps)[table.level, every]
        rough = np.array(seconds)[table.level, every] / last**2
        with np.errstate(all="ignore"):
            h, there = self._at_smaller_steps(evaluator, table, last, _SEEN)
            noise = _SURELY * _NOISE_OF_SECOND * self._noise / h**2
            away = np.abs(there - table.values) - np.abs(rough - table.values) / 2 - noise
            denied = (away > _COVERAGE * table.errors) | (table.errors > _LIKE * np.abs(there))
            if denied.any():
                *_, other = self._searched(evaluator, every, np.where(denied, _LARGER * h, first))
                denied &= np.abs(other.values - there) <= _LIKE * np.abs(there)
                denied &= other.errors < np.fmax(table.errors, away)
            if denied.any():
                steps, seconds, table = self._searched(evaluator, every, np.where(denied, _LARGER * h, first))
                away = np.where(denied, np.abs(there - table.values) - noise, away)
                rough = np.array(seconds)[table.level, every] / np.array(steps)[table.level, every] ** 2
            for share in _SEEN_TOO:
                h, there = self._at_smaller_steps(evaluator, table, np.array(steps)[table.level, every], share)
                noise = _SURELY * _NOISE_OF_SECOND * self._noise / h**2
                away = np.fmax(away, np.abs(there - table.values) - np.abs(rough - table.values) / 2 - noise)
        size = len(every)
        self.diagonal = Derivatives(table.values, _COVERAGE * np.fmax(table.errors, away), 0)
        known = np.isfinite(table.errors)
        if self._outside.error is not None and not known.all():
            i = int(np.argmin(known))
            self._outside.error.add_note(
                f"f is needed on both sides of {name_of(i, self._shape)} = {float(self._x[i])!r}"
            )
            raise self._outside.error
        self._denied = np.where(away > table.errors, away, 0.0)
        levels = np.clip(table.level, _RELATIVE_LEVELS - 1, len(steps) - 1)
        self._units = np.array(steps)[levels, every]
        self._known = {
            (k, 2.0 ** (levels[k] - level)): float(found[k]) for level, found in enumerate(seconds) for k in range(size)
        }

    def _searched(self, evaluator: Evaluator, every: Any, first: Floats) -> tuple[list[Floats], list[Floats], Table]:
        """Steps from the first ones on, second differences, and what they tell of the diagonal."""
        size = len(every)
        steps: list[Floats] = []
        seconds: list[Floats] = []
        for level in range(_HALVINGS):
            steps.append(first * 0.5**level)
            seconds.append(np.full(size, np.nan))
            active = every
            if level >= _FEWEST_LEVELS:
                table = self._table_of_diagonal(steps[:-1], seconds[:-1])
                small = np.fmax(np.abs(table.values), np.abs(self._value) / self._scales**2) * _ENOUGH
                noise = _NOISE_OF_SECOND * self._noise / steps[-1] ** 2
                active = every[(table.errors > small) & (table.errors > noise)]
                if not len(active):
                    break
            h = steps[-1][active]
            seconds[-1][active] = self._second(evaluator, active, active, h, h)
        return steps, seconds, self._table_of_diagonal(steps, seconds)

    def _largest_jump(self, evaluator: Evaluator, steps: list[Floats], seconds: list[Floats]) -> float:
        """The largest jump of f along a coordinate, as of parts that are rounded; 0 if there is none.

        At smaller steps f is smooth, and what second differences change by grows with a power of the step.
        """
        noise, largest = 4 * _NOISE_OF_SECOND * self._noise, 0.0
        with np.errstate(all="ignore"):
            changes = np.maximum(np.abs(np.array(seconds)[:-1] - 4 * np.array(seconds)[1:]), noise)
            is_sudden = changes[:-1] > SUDDEN * changes[1:]
        for i in np.flatnonzero(is_sudden.any(axis=0)).tolist():
            level = int(np.flatnonzero(is_sudden[:, i])[-1])
            high, low = (float(steps[k][i]) for k in (level, level + 1))
            base, one = float(seconds[level + 1][i]) / low**2, np.array([i])

            def change(step: float, base: float = base, one: Any = one) -> float:
                h = _quantized(np.array([step]))
                return max(noise, abs(float(self._second(evaluator, one, one, h, h)[0]) - base * float(h[0]) ** 2))

            largest = max(largest, jump_between(low, high, noise, change))
        return largest

    def _at_smaller_steps(
        self, evaluator: Evaluator, table: Table, last: Floats, share: float
    ) -> tuple[Floats, Floats]:
        """Steps at which noise is a share of the values, and second derivatives there; NaN if f stands still.

        Where f has much larger ones there, as if many periods had been in the steps before, still smaller steps.
        """
        size = np.fmax(np.fmax(np.abs(table.values), table.errors), np.abs(self._value) / self._scales**2)
        every = np.arange(len(self._x))
        while True:
            h = np.sqrt(_NOISE_OF_SECOND * self._noise / (share * size))
            h = _quantized(np.fmin(np.fmax(h, _LEAST * self._scales), _SMALLER * last))
            above, below = self._changes(evaluator, every, every, h, h)
            there = np.where((above == 0) & (below == 0), np.nan, (above + below) / h**2)
            larger = (np.abs(there) > _MUCH * size) & (h > _LEAST * self._scales)
            if not larger.any():
                return h, there
            size = np.where(larger, np.abs(there), size)

    def _table_of_diagonal(self, steps: list[Floats], seconds: list[Floats]) -> Table:
        squares = np.array(steps) ** 2
        with np.errstate(all="ignore"):
            return Table.of(np.array(seconds) / squares, _NOISE_OF_SECOND * self._noise / squares)

    def __call__(self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]) -> Derivatives:
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
        return Derivatives(values, errors, evaluator.evaluations if begin == 0 else evaluator.evaluations - before)

    def _mixed(self, evaluator: Evaluator, i: Any, j: Any, known: dict[Any, Any]) -> tuple[Floats, Floats]:
        """Entries (i, j), and their error bars."""
        if not self._guarded:
            h, k = self._units[i], self._units[j]
            seconds = self._second(evaluator, i, j, h, k) - self.diagonal.values[i] * h**2
            return (seconds - self.diagonal.values[j] * k**2) / (2 * h * k), np.zeros(len(i))
        rows: list[Floats] = []
        noises: list[Floats] = []
        values, errors = np.zeros(len(i)), np.full(len(i), np.inf)
        active = np.arange(len(i))
        for level in range(_RELATIVE_LEVELS + _MORE_LEVELS):
            factor = 2.0 ** (_RELATIVE_LEVELS - 1 - level)
            rows.append(np.full(len(i), np.nan))
            noises.append(np.full(len(i), np.inf))
            a, b = i[active], j[active]
            h, k = factor * self._units[a], factor * self._units[b]
            own = [self._diagonal_second(evaluator, each, factor, known) for each in (a, b)]
            with np.errstate(all="ignore"):
                rows[-1][active] = (self._second(evaluator, a, b, h, k) - own[0] - own[1]) / (2 * h * k)
                noises[-1][active] = _NOISE_OF_MIXED * self._noise / np.abs(2 * h * k)
                if level + 1 < _RELATIVE_LEVELS:
                    continue
                table = Table.of(np.array(rows), np.array(noises))
            better = table.errors < errors
            values[better], errors[better] = table.values[better], table.errors[better]
            with np.errstate(all="ignore"):
                size = np.fmax(np.abs(values), np.sqrt(np.abs(self.diagonal.values[i] * self.diagonal.values[j])))
                active = np.flatnonzero((errors > 1e-8 * size) & (errors > 4 * noises[-1]))
            if not len(active):
                break
        return values, _COVERAGE * errors

    def _diagonal_second(self, evaluator: Evaluator, every: Any, factor: float, known: dict[Any, Any]) -> Floats:
        """Second differences along coordinates, each at ``factor`` times its unit, evaluated once."""
        missing = [k for k in np.unique(every).tolist() if np.isnan(known.get((k, factor), np.nan))]
        if missing:
            h, which = factor * self._units[missing], np.array(missing)
            for k, value in zip(missing, self._second(evaluator, which, which, h, h).tolist(), strict=True):
                known[k, factor] = value
        return np.array([known[k, factor] for k in every.tolist()])

    def _second(self, evaluator: Evaluator, i: Any, j: Any, h: Floats, k: Floats) -> Floats:
        """f(x + u) - 2 f(x) + f(x - u) where u is h along i and k along j; along i alone where they are the same."""
        above, below = self._changes(evaluator, i, j, h, k)
        return above + below

    def _changes(self, evaluator: Evaluator, i: Any, j: Any, h: Floats, k: Floats) -> tuple[Floats, Floats]:
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
        """The values of f at points: NaN outside of its domain where "auto" chose the steps, else an error."""
        if not points.size:
            return np.empty(len(points))
        points = points.reshape(-1, *self._shape)
        try:
            with np.errstate(all="ignore"):
                values = evaluator.at_points(points)
        except Exception:
            if not self._guarded:
                raise
            values = np.array([self._outside(np.nan, evaluator.at, point) for point in points])
        if not self._guarded and not np.isfinite(values).all():
            raise not_finite(values[~np.isfinite(values)][0], "a shifted point")
        return values

    def _measured_noise(self, evaluator: Evaluator) -> float:
        """The noise of f along a random direction: what `climb` finds from a few units in the last place of x on."""
        rng = np.random.default_rng(_SEED)
        direction = self._scales * rng.uniform(0.5, 1, len(self._x)) * rng.choice([-1.0, 1.0], len(self._x))

        def shifted(step: float) -> Floats:
            return self._values(evaluator, (self._x + step * direction)[np.newaxis])

        samples = CachedSamples(shifted, 0.0, 1.0)
        found = climb(samples, 0, self._value, _NUMBERS, Noise(0.0, 0.0), _RESOLUTION, every_jump=True)
        return found.noise.at(abs(self._value))

    def unexplained(self, evaluator: Evaluator, hessian: Floats, errors: Floats) -> Floats:
        """What smaller steps said of an entry off the diagonal, for its error bar.

        They were taken along coordinates: what they deny there may be of two of them. And they are taken along random
        directions, for what is of two only.
        """
        rng, size, units = np.random.default_rng(_SEED), len(self._x), np.abs(self._units)
        worst = 0.0
        for _ in range(2 if size > 1 else 0):
            along = rng.uniform(0.5, 1, size) * rng.choice([-1.0, 1.0], size) * units
            value, allowed = float(along @ hessian @ along), float(np.abs(along) @ errors @ np.abs(along))
            truncation = 4 * abs(self._second_along(evaluator, along, 1.0) - value)
            for share in (_SEEN, *_SEEN_TOO):
                size_of_f = max(abs(value), abs(self._value)) or 1.0
                h = min(max((_NOISE_OF_SECOND * self._noise / (share * size_of_f)) ** 0.5, _LEAST), _SMALLER)
                noise = _SURELY * _NOISE_OF_SECOND * self._noise / h**2
                away = abs(self._second_along(evaluator, along, h) - value) - noise - truncation * h**2 - allowed
                worst = max(worst, away)
        denied = self._denied * units**2
        left = _COVERAGE * (worst + np.maximum.outer(denied, denied)) / np.outer(units, units)
        np.fill_diagonal(left, 0.0)
        return np.asarray(left)

    def _second_along(self, evaluator: Evaluator, direction: Floats, h: float) -> float:
        above, below = self._values(evaluator, self._x + np.array([[h], [-h]]) * direction) - self._value
        return float(above + below) / h**2

    def require_pattern(self, evaluator: Evaluator, hessian: Any, errors: Any) -> None:
        """Raise an error if second differences along random directions are not those of the Hessian."""
        rng = np.random.default_rng(_SEED)
        size = len(self._x)
        units = np.abs(self._units)
        for _ in range(2):
            signs = rng.uniform(0.5, 1, size) * rng.choice([-1.0, 1.0], size)
            steps, rows = [], []
            for level in range(_RELATIVE_LEVELS):
                steps.append(2.0 ** (1 - level))
                points = self._x + np.array([[1.0], [-1.0]]) * steps[-1] * signs * units
                above, below = self._values(evaluator, points)
                rows.append((above - self._value) + (below - self._value))
            squares = np.array(steps)[:, np.newaxis] ** 2
            noise = _NOISE_OF_SECOND * self._noise / squares
            table = Table.of(np.array(rows)[:, np.newaxis] / squares, noise)
            along = signs * units
            truncation = 0.0 if self._guarded else 10 * float(abs(rows[1] - table.values[0]))
            allowed = _COVERAGE * (table.errors[0] + noise[-1, 0]) + truncation
            allowed += np.abs(along) @ (errors @ np.abs(along))
            away = abs(float(along @ (hessian @ along)) - table.values[0])
            if not away <= allowed:
                raise ValueRangeError(
                    "sparsity must not have 0 where the Hessian has not: along a random direction the second "
                    f"derivative of f differs by {away:.3g} from what the pattern allows"
                )


def _quantized(steps: Floats) -> Floats:
    """Steps of so few bits that x + h is exact, also for those that are halved."""
    mantissa, exponent = np.frexp(steps)
    return np.asarray(np.ldexp(np.floor(mantissa * 1024) / 1024, exponent))


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
            f"x must be within bounds on both sides, but {name_of(i, shape)} = {x[i]} is on one: give the domain of f, "
            "which may be larger, or gradient="
        )
    return room


def _default_steps(x: Floats, returned: np.dtype[Any]) -> Floats:
    kind = returned if returned.kind == "f" and returned.itemsize < 8 else np.float64
    steps: Floats = float(np.finfo(kind).eps) ** 0.25 * np.maximum(1.0, np.abs(x))
    return steps


def _fixed_steps(problem: Problem, returned: np.dtype[Any]) -> Floats:
    """The steps of the scheme "central"."""
    x, step = np.array(problem.x, order="C").reshape(-1), problem.step
    if isinstance(step, float):
        return np.full(x.shape, step)
    if isinstance(step, RelativeStep):
        default = _default_steps(x, returned)
        if step.factor is None:
            return default
        wanted = np.broadcast_to(step.factor, problem.x.shape).reshape(-1) * np.abs(x)
        return np.asarray(np.where(x + wanted == x, default, wanted))
    return np.array(step, order="C").reshape(-1)
