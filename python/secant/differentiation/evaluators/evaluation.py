"""Evaluators of f at shifted points: what they have in common, and the one for
functions of Python.

An evaluator returns the values of f for a range of coordinates and for all shifts of
each. It knows nothing of difference quotients, and `differentiate`, which makes them,
does not know where f runs. Their arithmetic stands here once, so that the bits do not
depend on how f is evaluated.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from secant._common.validation import Array, Floats
from secant.differentiation.schemes import Bounds, Scheme, Stencils
from secant.errors import DTypeError, SecantError, ShapeError

_LARGEST_BLOCK = 2**12  # coordinates at a time
_SECONDS_PER_BLOCK = 0.05  # often enough to show progress and to answer signals
# of 1 + |x|: how far x is shifted to see whether f depends on it; no round number
AWAY = 6.180339887498949e-4
# of the change farther away: where f is even about x, both sides change by the same
_SLOPE = 0.1
# of the steps that we choose: so often f may raise something before it is defined at
# one
_TRIES = 10


def quotients(
    scheme: Scheme, values: Floats, base: Any, x: Floats, shifts: Floats
) -> Floats:
    """The difference quotients of values (coordinates, shifts, ...) of f, where x
    (coordinates,) was shifted.

    ``shifts`` are those of all coordinates, or of each. ``base`` is f(x), for schemes
    that use it. Where all steps of 1 h round to nothing, the quotient is 0.
    """
    x = x.reshape(-1, *[1] * (values.ndim - 2))
    points = np.asarray(shifts).T.reshape(len(scheme.shifts), -1, *x.shape[1:]) + x
    with np.errstate(all="ignore"):  # where values are not finite, quotients are not
        result: Floats = scheme.quotient(values.swapaxes(0, 1), points, base, x)
    if np.count_nonzero(is_lost := points == x):
        result[is_lost[np.abs(scheme.shifts) == 1].all(axis=0).reshape(-1)] = 0.0
    return result


Convert = Callable[[Any], Any]
"""Makes a float, or an array of float64, of what f returned."""


class Evaluator(ABC):
    """A way of evaluating f.

    Attributes
    ----------
    size, shape
        The number of coordinates of x, and its shape.
    flat : ndarray, (coordinates,)
        The coordinates of x.
    first_block : int
        The initial size of a block of coordinates, before f is timed.
    returned : dtype
        The type of what f returned, if that has one.
    evaluations : int
        How often f was evaluated, until now.
    is_constant : bool
        Whether f was seen to return one value wherever it was evaluated. Functions in C
        and Numba's are not watched.
    columns : ColumnGroups, optional
        What f is, if its coordinates are shifts of groups of columns.
    """

    size: int
    shape: tuple[int, ...]
    flat: Floats
    first_block = 16
    returned = np.dtype(np.float64)
    evaluations = 0
    is_constant = False
    columns: Any = None
    _bounds: Bounds | None = None
    _value: Any = None  # the first one, while all are the same
    _value_elsewhere: Any = None  # where it is another one than at all steps

    def place(self, i: int, shift: float, output: int = 0) -> str:
        """The shifted coordinate, as one writes it: of an output, where several are
        shifted together.
        """
        if self.columns is not None:
            return str(self.columns.place(i, shift, output))
        return f"{name_of(i, self.shape)} = {float(self.flat[i]) + shift!r}"

    @abstractmethod
    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""

    @abstractmethod
    def at_points(self, points: Floats) -> Floats:
        """Return f at many points, (points, and the shape of x)."""

    def is_rounded(self) -> bool:
        """Whether f was seen to return rounded values."""
        return False

    def is_jump(self) -> bool:
        """Whether what looks rounded is a jump: farther away f is constant."""
        return False

    def has_slope_farther_away(self) -> bool:
        """Whether f was seen to have one value at the steps, and a slope across a
        longer way.

        At an optimum it has none: f changes alike on both sides.
        """
        if self._value_elsewhere is None or self.returned != np.float64:
            return False
        x = self.flat.reshape(self.shape)
        opposite = 2 * x - elsewhere(x, self._bounds, self.columns)
        if self._bounds is not None:
            opposite = np.clip(opposite, *self._bounds)
        value_opposite = self._try_at(opposite)
        if value_opposite is None or np.shape(value_opposite) != np.shape(self._value):
            return False
        with np.errstate(all="ignore"):
            change = np.asarray(self._value_elsewhere) - self._value
            change_opposite = np.asarray(value_opposite) - self._value
            largest = np.maximum(np.abs(change), np.abs(change_opposite))
            return bool(np.any(np.abs(change - change_opposite) > _SLOPE * largest))

    def _try_at(self, point: Floats) -> Any:
        """Return f at a point, or None where that fails or is not supported."""
        return None

    @abstractmethod
    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted: (end - begin, shifts, and the shape
        of what f returns).

        ``shifts`` is a list of those of all coordinates, or an array of those of each,
        (end - begin, shifts).
        """

    def differences(
        self, scheme: Scheme, h: Any, base: Any, begin: int, end: int
    ) -> Floats:
        """Return the difference quotients of a range of coordinates; ``base`` is f(x),
        for schemes that use it.

        h is a number, or an array of the steps in the range.
        """
        shifts = shifts_of(scheme, h)
        values = self.shifted(begin, end, shifts)
        if scheme.uses_value:
            require_same_shape(np.shape(base), values.shape[2:])
        return quotients(scheme, values, base, self.flat[begin:end], shifts)


def shifts_of(scheme: Scheme, h: Any) -> Any:
    """The shifts of a scheme, as `Evaluator.shifted` takes them."""
    return (
        [shift * h for shift in scheme.shifts]
        if isinstance(h, float)
        else np.multiply.outer(h, scheme.shifts)
    )


class InPlace:
    """f as a function of its point where it looks at the array x, as the chapter's
    closures do.

    x holds the point while f runs, and is restored at once.
    """

    def __init__(self, f: Callable[[Any], Any], x: Floats, origin: Floats) -> None:
        self._f, self._x, self._origin = f, x, origin

    def __call__(self, point: Floats) -> Any:
        """Return f at a point."""
        try:
            self._x[...] = point
            return self._f(self._x)
        finally:
            self._x[...] = self._origin

    def shifted(self, i: int, there: float, before: float) -> Any:
        """Return f where one coordinate is ``there``: copies of all of x would take as
        long as the chapter's f.
        """
        try:
            self._x.flat[i] = there
            return self._f(self._x)
        finally:
            self._x.flat[i] = before


class PythonEvaluator(Evaluator):
    """f is called with a fresh array for each point: it may keep it, and write to it.

    Parameters
    ----------
    f, x, convert
    in_place : callable, optional
        f as `InPlace` evaluates it. If f returns the same value for all points of the
        first block, it may look at the caller's x instead of its argument: then this
        takes its place.
    bounds : Bounds, optional
        f is not evaluated outside.
    columns
        As of `Evaluator`.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        x: Floats,
        convert: Convert,
        in_place: Callable[[Any], Any] | None = None,
        bounds: Bounds | None = None,
        columns: Any = None,
    ) -> None:
        self._f, self._x, self._convert, self._in_place, self._bounds = (
            f,
            x,
            convert,
            in_place,
            bounds,
        )
        self.columns, self.shape = columns, x.shape
        self._is_vector = type(x) is np.ndarray and x.ndim == 1
        self._copy = x.copy if self._is_vector else partial(x.copy, "K")
        self.flat = x if self._is_vector else np.asarray(x).reshape(-1)
        self.size = x.size
        self.is_constant, self._is_settled = True, False
        self._value: Any = None  # the first of f, and the last of its first block
        self._next: Any = None

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        value = self._at(point)
        if self.is_constant:
            if self._value is None:
                self._value = self._next = value
            elif self._looks_at_given([value]):
                value = self._at(point)
        return value

    def at_points(self, points: Floats) -> Floats:
        """Return f at many points, (points, and the shape of x)."""
        values = [self._at(point) for point in points]
        if self.is_constant and values and self._looks_at_given(values):
            values = [self._at(point) for point in points]
        return _stacked(values)

    def _at(self, point: Floats) -> Any:
        own = self._copy()
        own[...] = point
        self.evaluations += 1
        try:
            there = self._f(own)
        except Exception as error:
            error.add_note(
                "f was evaluated at x ="
                f" {np.array2string(point, threshold=6, precision=17)}"
            )
            raise
        self.returned = returned_dtype(there, self.returned)
        return self._convert(there)

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted."""
        values = _stacked(self._each(begin, end, shifts))
        return values.reshape(end - begin, np.shape(shifts)[-1], *values.shape[1:])

    def differences(
        self, scheme: Scheme, h: Any, base: Any, begin: int, end: int
    ) -> Floats:
        """Return the difference quotients of a range of coordinates: for few numbers,
        Python is faster than NumPy.
        """
        if self._convert is not number or scheme.name != "central":
            return super().differences(scheme, h, base, begin, end)
        x, steps = (
            self.flat[begin:end].tolist(),
            repeat(h) if isinstance(h, float) else h.tolist(),
        )
        values = self._each(begin, end, shifts_of(scheme, h))
        return np.array(
            [
                (
                    (above - below) / (up - down)
                    if (up := at + step) != (down := at - step)
                    else 0.0
                )
                for above, below, at, step in zip(
                    values[::2], values[1::2], x, steps, strict=False
                )
            ]
        )

    def _each(self, begin: int, end: int, shifts: Any) -> list[Any]:
        """The values of f for each coordinate of a range, and each of its shifts."""
        f: Any = self._f
        copy, convert, is_vector, is_in_place = (
            self._copy,
            self._convert,
            self._is_vector,
            isinstance(f, InPlace),
        )
        found: list[Any] = []
        each = repeat(shifts) if type(shifts) is list else shifts.tolist()
        i, there = begin, None
        try:
            for i, (at, steps) in enumerate(
                zip(self.flat[begin:end].tolist(), each, strict=False), begin
            ):
                for shift in steps:
                    if is_in_place:
                        there = f.shifted(i, at + shift, at)
                    else:
                        point = copy()
                        if is_vector:
                            point[i] = at + shift
                        else:
                            point.flat[i] = at + shift
                        there = f(point)
                    found.append(
                        float(there) if isinstance(there, float) else convert(there)
                    )
        except Exception as error:
            error.add_note(f"f was evaluated at {self.place(i, shift)}")
            raise
        self.evaluations += len(found)
        # the 0 of a hinge, say
        is_among_floats = type(there) is int and any(
            np.any(np.mod(each, 1)) for each in found
        )
        if there is not None and type(there) is not float and not is_among_floats:
            self.returned = returned_dtype(there, self.returned)
        if self.is_constant and found and self._looks_at_given(found):
            return self._each(begin, end, shifts)
        return found

    def _looks_at_given(self, values: list[Any]) -> bool:
        """Note whether f still has only one value.

        True if it looks at the caller's x: then these mean nothing.

        That is so if f has the same value where its argument alone is shifted,
        everywhere, and another one where the caller's x is shifted as well.
        """
        if self._value is None:
            self._value, self._next = values[0], values[-1]
        for value in reversed(values):
            if not _are_same(value, self._value):
                self.is_constant = False
                return False
        if self._is_settled:
            return False
        self._is_settled = True
        other = elsewhere(self._x, self._bounds, self.columns)
        there = self._value_or_none(self._f, other)
        self.is_constant = there is None or _are_same(there, self._value)
        if not self.is_constant:
            self._value_elsewhere = there
            return False
        if self._in_place is None:
            return False
        self.is_constant = _are_same(
            self._value_or_none(self._in_place, other), self._value
        )
        if self.is_constant:
            return False
        self._f = self._in_place
        return True

    def is_rounded(self) -> bool:
        """Whether f returns numbers of few digits beside what it changes by, at a point
        with many digits as well.
        """
        if (
            not _is_short(self._value)
            or self.returned != np.float64
            or not math.isfinite(self._next)
        ):
            return False
        change = abs(self._next - self._value)
        if (
            change
            and round(self._value, 3 - math.floor(math.log10(change))) != self._value
        ):
            return False
        return _is_short(self._try_at(elsewhere(self._x, self._bounds, self.columns)))

    def is_jump(self) -> bool:
        """Whether f is constant from half of the way elsewhere on: rounded values
        change over this way.
        """
        far = elsewhere(self._x, self._bounds, self.columns)
        return _are_same(self._try_at(far), self._try_at((self._x + far) / 2))

    def _try_at(self, point: Floats) -> Any:
        return self._value_or_none(self._f, point)

    def _value_or_none(self, f: Callable[[Any], Any], point: Floats) -> Any:
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                own = self._copy()
                own[...] = point
                return self._convert(f(own))
        except Exception:
            return None


def elsewhere(x: Floats, bounds: Bounds | None, columns: Any = None) -> Floats:
    """A point that differs from x in all coordinates: there, a function that uses its
    argument has another value.
    """
    away = (AWAY * (1 + np.abs(x)) if columns is None else columns.away) * np.linspace(
        1, 0.5, x.size
    ).reshape(x.shape)
    if bounds is None:
        return x + away
    up, down = (np.clip(x + shift, *bounds) for shift in (away, -away))
    return np.where(up != x, up, down)


def _stacked(values: list[Any]) -> Floats:
    try:
        return np.array(values)
    except ValueError:
        raise ShapeError("f must always return the same shape") from None


def _is_short(value: Any) -> bool:
    """Whether it is a number of at most 12 digits."""
    return (
        isinstance(value, float)
        and float(f"{value:.12g}") == value
        and math.isfinite(value)
    )


def _are_same(value: Any, other: Any) -> bool:
    if type(value) is type(other) is float:
        return bool(value == other)
    return (
        value is not None and np.asarray(value).tobytes() == np.asarray(other).tobytes()
    )


def name_of(i: int, shape: tuple[int, ...]) -> str:
    """A coordinate, as one writes it."""
    return (
        f"x[{', '.join(str(int(k)) for k in np.unravel_index(i, shape))}]"
        if shape
        else "x"
    )


def differentiate(
    evaluator: Evaluator,
    stencils: Stencils,
    base: Any,
    span: tuple[int, int],
    tell: Callable[[int], object] = lambda _: None,
) -> Floats:
    """Return the difference quotients of a range of coordinates, block by block;
    ``tell`` is told how many are done.
    """
    begin, end = span
    block, done, result = evaluator.first_block, begin, None
    while True:
        start, count = time.perf_counter(), min(block, end - done)
        found = _differences(evaluator, stencils, base, done, done + count)
        if count == end - begin:
            return found
        if result is None:
            result = np.empty((end - begin, *found.shape[1:]))
        require_same_shape(result.shape[1:], found.shape[1:])
        result[done - begin : done - begin + count] = found
        done += count
        if done == end:
            return result
        tell(done - begin)
        seconds = max(time.perf_counter() - start, 1e-9)
        block = min(
            max(1, int(count * min(64.0, _SECONDS_PER_BLOCK / seconds))), _LARGEST_BLOCK
        )


def _differences(
    evaluator: Evaluator, stencils: Stencils, base: Any, begin: int, end: int
) -> Floats:
    if stencils.is_one_sided is None:
        h = stencils.h
        return evaluator.differences(
            stencils.scheme,
            h if isinstance(h, float) else h[begin:end],
            base,
            begin,
            end,
        )
    parts = [
        evaluator.differences(scheme, h, base, *span)
        for scheme, h, *span in stencils.parts(begin, end)
    ]
    for part in parts[1:]:
        require_same_shape(parts[0].shape[1:], part.shape[1:])
    return np.concatenate(parts)


def require_same_shape(before: tuple[int, ...], now: tuple[int, ...]) -> None:
    """Raise an error if what f returned has another shape than before."""
    if now != before:
        raise ShapeError(
            f"f must always return the same shape, got {before} and then {now}"
        )


def number(value: Any) -> float:
    """Return what f returned as a float, if it is a single real number."""
    if isinstance(value, float):
        return float(value)
    array = _real(value, "a single number", "a real number")
    if array.size != 1:
        raise ShapeError(
            f"f must return a single number, got an array of shape {array.shape}"
        )
    return float(array.item())


def numbers(value: Any) -> Floats:
    """Return what f returned as an array of float64, if it holds real numbers."""
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value.copy()  # f may return the same array again
    return _real(value, "a regular array", "real numbers").astype(np.float64)


def returned_dtype(value: Any, before: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of what f returned, or that from before: other numbers have
    none.
    """
    if isinstance(value, int):
        return np.dtype(bool if isinstance(value, bool) else int)
    dtype = getattr(value, "dtype", before)
    return dtype if isinstance(dtype, np.dtype) else as_array(value).dtype


def as_array(value: Any) -> Array:
    """An array of NumPy's with the numbers of a value: also of a tensor of PyTorch's
    that requires a gradient.
    """
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _real(value: Any, regular: str, real: str) -> Array:
    """An array of real numbers: of NumPy's types, or of others that ``float`` takes,
    such as fractions.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(
            f"f must return {real}, got a masked array: its mask would be lost"
        )
    try:
        array = as_array(value)
    except ValueError:
        raise ShapeError(f"f must return {regular}, got {value!r}") from None
    except (TypeError, RuntimeError):  # such as bfloat16, which NumPy does not have
        array = np.empty(0, object)
    if (
        array.dtype.kind == "O"
        and array.size
        and all(hasattr(each, "__float__") for each in array.flat)
    ):
        # such as of an expression of SymPy's with a symbol in it
        with suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"f must return {real}, got {_described(value)}")
    return array


def _described(value: Any) -> str:
    text = repr(value)
    return (
        f"{text if len(text) <= 80 else text[:77] + '...'} of type"
        f" {type(value).__name__}"
    )


class Attempts:
    """Calls of f at points that we choose: they may leave the domain of f, and what it
    raises there counts as NaN.

    Where it raises at all points of the first ten steps, the exception is raised.

    Attributes
    ----------
    error : Exception, optional
        The last one that f raised. Where nothing but NaN is left, it says why.
    """

    error: Exception | None = None

    def __init__(self) -> None:
        self._failures: float = 0  # until f is defined somewhere

    def __call__(
        self, undefined: Any, call: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Return what the call returns, or ``undefined``."""
        return self.each(undefined, call, [arguments])[0]

    def each(
        self,
        undefined: Any,
        call: Callable[..., Any],
        points: Iterable[tuple[Any, ...]],
    ) -> list[Any]:
        """Return what the call returns for the arguments at each point of a step, or
        ``undefined``.
        """
        values, is_defined = [], False
        for arguments in points:
            with np.errstate(all="ignore"):
                try:
                    values.append(call(*arguments))
                    is_defined = True
                except Exception as error:
                    if isinstance(error, SecantError) and not isinstance(
                        error, DTypeError
                    ):
                        raise
                    self.error = error
                    values.append(undefined)
        if is_defined:
            self.succeed()
            return values
        self._failures += 1
        if self._failures >= _TRIES and self.error is not None:
            raise self.error
        return values

    def succeed(self) -> None:
        """Note that f is defined at a step: from now on, it may raise at any number of
        others.
        """
        self._failures = -math.inf
