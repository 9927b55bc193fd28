"""Evaluators of f at shifted points: what they have in common, and the one for functions of Python.

An evaluator returns the values of f for a range of coordinates and for all shifts of each. It knows nothing of
difference quotients, and `differentiate`, which makes them, does not know where f runs. Their arithmetic stands here
once, so that the bits do not depend on how f is evaluated.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy as np

from secant._common.validation import Array, Floats
from secant.differentiation.schemes import Scheme, Stencils
from secant.errors import DTypeError, SecantError, ShapeError, ValueRangeError

_LARGEST_BLOCK = 2**12  # coordinates at a time
_FEW = 100  # elements
_SECONDS_PER_BLOCK = 0.05  # often enough to show progress and to answer signals
OF_DOMAIN = (ArithmeticError, AssertionError, IndexError, ValueError, RuntimeError, DTypeError)
"""What functions raise where they are not defined. DTypeError is ours: (-1) ** 0.5 is complex."""


def quotients(scheme: Scheme, values: Any, base: Any, h: Any) -> Any:
    """The difference quotients of values (coordinates, shifts, ...) of f; ``base`` is f(x), for schemes that use it."""
    parts = [values[:, j] for j in range(len(scheme.shifts))]
    if scheme.uses_value:
        require_same_shape(np.shape(base), parts[0].shape[1:])
    if not isinstance(h, float):
        h = h.reshape(-1, *[1] * (values.ndim - 2))
    with np.errstate(all="ignore"):  # where values are not finite, quotients are not
        return scheme.quotient([*parts, base] if scheme.uses_value else parts, h)


Convert = Callable[[Any], Any]
"""Makes a float, or an array of float64, of what f returned."""


class Evaluator(ABC):
    """A way of evaluating f.

    Attributes
    ----------
    size : int
        The number of coordinates of x.
    first_block : int
        The initial size of a block of coordinates, before f is timed.
    returned : dtype
        Of what f returned, if that has one.
    evaluations : int
        Of f, until now.
    """

    size: int
    first_block = 16
    returned = np.dtype(np.float64)
    evaluations = 0

    @abstractmethod
    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""

    def at_points(self, points: Floats) -> Floats:
        """Return f at many points, (points, and the shape of x)."""
        return np.array([self.at(point) for point in points])

    @abstractmethod
    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted: (end - begin, shifts, and the shape of what f returns).

        ``shifts`` is a list of those of all coordinates, or an array of those of each, (end - begin, shifts).
        """

    def differences(self, scheme: Scheme, h: Any, base: Any, begin: int, end: int) -> Floats:
        """Return the difference quotients of a range of coordinates; ``base`` is f(x), for schemes that use it.

        h is a number, or an array of the steps in the range.
        """
        values = self.shifted(begin, end, shifts_of(scheme, h))
        result: Floats = quotients(scheme, values, base, h)
        return result


def shifts_of(scheme: Scheme, h: Any) -> Any:
    """The shifts of a scheme, as `Evaluator.shifted` takes them."""
    return [shift * h for shift in scheme.shifts] if isinstance(h, float) else np.multiply.outer(h, scheme.shifts)


class PythonEvaluator(Evaluator):
    """f is called with an array whose elements are shifted in place; ``origin`` is a copy of it."""

    _flat: Any

    def __init__(self, f: Callable[[Any], Any], x: Floats, convert: Convert, origin: Floats) -> None:
        self._f, self._x, self._convert, self._origin, self.size = f, x, convert, origin, x.size
        if type(x) is np.ndarray and x.ndim == 1:
            self._start, self._flat = origin, x  # views take longer to make
            return
        array = x.view(np.ndarray)
        self._start = origin.view(np.ndarray).reshape(-1)
        self._flat = array.reshape(-1) if array.flags.c_contiguous else array.flat

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        self.evaluations += 1
        try:
            self._x[...] = point
            there = self._f(self._x)
            value = self._convert(there)
            self.returned = returned_dtype(there, self.returned)
            return value
        finally:
            self._x[...] = self._origin

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted."""
        lists = self._each(begin, end, shifts)
        try:
            return np.array(lists) if lists else np.empty((0, np.shape(shifts)[-1]))
        except ValueError:
            raise ShapeError("f must always return the same shape") from None

    def differences(self, scheme: Scheme, h: Any, base: Any, begin: int, end: int) -> Floats:
        """Return the difference quotients of a range of coordinates: for few numbers, Python is faster than NumPy."""
        if self._convert is not number:
            return super().differences(scheme, h, base, begin, end)
        lists, quotient = self._each(begin, end, shifts_of(scheme, h)), scheme.quotient
        if scheme.uses_value:
            lists = [[*values, base] for values in lists]
        if isinstance(h, float):
            return np.array([quotient(values, h) for values in lists])
        return np.array(list(map(quotient, lists, h.tolist())))

    def _each(self, begin: int, end: int, shifts: Any) -> list[list[Any]]:
        """The values of f for each coordinate of a range."""
        f, x, flat, convert, found = self._f, self._x, self._flat, self._convert, []
        each = repeat(shifts) if type(shifts) is list else shifts.tolist()
        i = begin
        try:
            for i, (value, steps) in enumerate(zip(self._start[begin:end].tolist(), each, strict=False), begin):
                values: list[Any] = []
                for shift in steps:
                    flat[i] = value + shift
                    there = f(x)
                    values.append(there if type(there) is float else convert(there))
                found.append(values)
                if i > begin:
                    flat[i] = value
                    continue
                self.returned = returned_dtype(there, self.returned)
                left, flat[i] = flat[i], value
                if not (left == value + shift or value != value) or not _are_equal(x, self._origin):
                    raise changed_argument()
            if i > begin and not _are_equal(x, self._origin):
                raise changed_argument()
        except Exception as error:
            name_coordinate(error, i, x.shape, flat[i])
            raise
        finally:
            x[...] = self._origin
        self.evaluations += len(found) * (len(found[0]) if found else 0)
        return found


def _are_equal(x: Floats, origin: Floats) -> bool:
    if x.size <= _FEW:
        return x.tobytes() == origin.tobytes()  # faster, but copies
    return not (x != origin).any() or np.array_equal(x, origin, equal_nan=True)


def changed_argument() -> ValueRangeError:
    """The error of a function that writes to x."""
    return ValueRangeError("f must leave its argument as it is, but it changes x")


def name_coordinate(error: BaseException, i: int, shape: tuple[int, ...], value: float) -> None:
    """Add to an exception of f where it was raised."""
    error.add_note(f"f was evaluated at {name_of(i, shape)} = {float(value)!r}")


def name_of(i: int, shape: tuple[int, ...]) -> str:
    """A coordinate, as one writes it."""
    return f"x[{', '.join(str(int(k)) for k in np.unravel_index(i, shape)) if shape else '()'}]"


def differentiate(
    evaluator: Evaluator,
    stencils: Stencils,
    base: Any,
    span: tuple[int, int],
    tell: Callable[[int], object] = lambda _: None,
) -> Floats:
    """Return the difference quotients of a range of coordinates, block by block; ``tell`` is told how many are done."""
    begin, end = span
    block = end - begin
    if block > evaluator.first_block:
        block = evaluator.first_block
    first = _differences(evaluator, stencils, base, begin, begin + block)
    if block == end - begin:
        return first
    result = np.empty((end - begin, *first.shape[1:]))
    result[:block] = first
    done = block
    while done < end - begin:
        tell(done)
        start, count = time.perf_counter(), min(block, end - begin - done)
        found = _differences(evaluator, stencils, base, begin + done, begin + done + count)
        require_same_shape(first.shape[1:], found.shape[1:])
        result[done : done + count] = found
        done += count
        seconds = max(time.perf_counter() - start, 1e-9)
        block = min(max(1, int(count * min(64.0, _SECONDS_PER_BLOCK / seconds))), _LARGEST_BLOCK)
    return result


def _differences(evaluator: Evaluator, stencils: Stencils, base: Any, begin: int, end: int) -> Floats:
    if stencils.is_one_sided is None:
        h = stencils.h
        each = h if isinstance(h, float) else h[begin:end]
        return evaluator.differences(stencils.scheme, each, base, begin, end)
    parts = [evaluator.differences(scheme, h, base, *span) for scheme, h, *span in stencils.parts(begin, end)]
    for part in parts[1:]:
        require_same_shape(parts[0].shape[1:], part.shape[1:])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def require_same_shape(before: tuple[int, ...], now: tuple[int, ...]) -> None:
    """Raise an error if what f returned has another shape than before."""
    if now != before:
        raise ShapeError(f"f must always return the same shape, got {before} and then {now}")


def number(value: Any) -> float:
    """Return what f returned as a float, if it is a single real number."""
    if isinstance(value, float):
        return float(value)
    array = _real(value, "a single number", "a real number")
    if array.size != 1:
        raise ShapeError(f"f must return a single number, got an array of shape {array.shape}")
    return float(array.item())


def numbers(value: Any) -> Floats:
    """Return what f returned as an array of float64, if it holds real numbers."""
    real = _real(value, "a regular array", "real numbers")
    return real.astype(np.float64)  # a copy: f may return the same array again


def returned_dtype(value: Any, before: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of what f returned, or that from before: a number of Python's has none."""
    dtype = getattr(value, "dtype", before)
    return dtype if isinstance(dtype, np.dtype) else as_array(value).dtype


def as_array(value: Any) -> Array:
    """An array of NumPy's with the numbers of a value: also of a tensor of PyTorch's that requires a gradient."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _real(value: Any, regular: str, real: str) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(f"f must return {real}, got a masked array: its mask would be lost")
    try:
        array = as_array(value)
    except ValueError:
        raise ShapeError(f"f must return {regular}, got {value!r}") from None
    except (TypeError, RuntimeError):  # such as bfloat16, which NumPy does not have
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"f must return {real}, got {value!r}")
    return array


class Steps:
    """Calls of f at steps that we choose: they may leave the domain of f, and what it raises there counts as NaN.

    Attributes
    ----------
    error : Exception, optional
        The last one that f raised. Where nothing but NaN is left, it says why.
    """

    error: Exception | None = None

    def __call__(self, undefined: Any, call: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the call returns, or ``undefined``."""
        with np.errstate(all="ignore"):
            try:
                return call(*arguments)
            except OF_DOMAIN as error:
                if isinstance(error, SecantError) and not isinstance(error, DTypeError):
                    raise
                self.error = error
                return undefined
