"""Where a gradient is checked: arrays in a structure, and f at shifted copies of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.differentiation.gradient import number
from secant.errors import DTypeError, ShapeError, ValueRangeError

_CHUNK = 2**18  # elements that are widened to float64 at a time


class Leaf(NamedTuple):
    """An array of a structure, and its path in it."""

    name: str
    array: Array


def leaves(title: str, value: Any) -> list[Leaf]:
    """The arrays of a structure: nested dicts, lists, tuples and named tuples; or a single array."""
    found = list(_leaves(title, "", value))
    if not found:
        raise ShapeError(f"{title} must hold at least one array, got {value!r}")
    return found


def _leaves(title: str, path: str, value: Any) -> Iterator[Leaf]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(title, f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, tuple | list):
        names = getattr(value, "_fields", None)
        for i, inner in enumerate(value):
            own = f"{path}.{names[i]}" if names and path else names[i] if names else f"{path or title}[{i}]"
            yield from _leaves(title, own, inner)
    else:
        array = value if isinstance(value, np.ndarray) and type(value) is not np.ma.MaskedArray else None
        if array is None or array.dtype not in (np.float64, np.float32, np.float16):
            got = type(value).__name__ if array is None else f"an array of {array.dtype}"
            raise DTypeError(f"{path or title} must be an array of float64, float32 or float16, got {got}")
        if array.size:
            yield Leaf(path or title, array)


def rebuilt(value: Any, arrays: Iterator[Array]) -> Any:
    """The same structure with other arrays."""
    if isinstance(value, Mapping):
        return {key: rebuilt(inner, arrays) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        parts = [rebuilt(inner, arrays) for inner in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return next(arrays) if value.size else value


class Span(NamedTuple):
    """A range of entries of all arrays, one after the other."""

    begin: int
    end: int

    @property
    def size(self) -> int:
        """How many entries it has."""
        return self.end - self.begin


class Direction(NamedTuple):
    """A displacement of every entry, for a step of 1, array by array, and what the gradient in question says of it."""

    parts: Sequence[Array]


class Point:
    """A function at x, and at x shifted.

    f gets arrays of its own, whose contents are shifted and put back; or, ``inplace``, those of x themselves.
    """

    def __init__(self, f: Callable[[Any], Any], x: Any, *, inplace: bool, names: Sequence[str] | None) -> None:
        found = leaves("x", x)
        self.names = [leaf.name for leaf in found]
        if names is not None:
            if len(names) != len(found):
                raise ShapeError(f"names must have one name for each of {len(found)} arrays, got {len(names)}")
            self.names = list(map(str, names))
        arrays = [leaf.array for leaf in found]
        for leaf in found:
            if not np.isfinite(leaf.array).all():
                raise ValueRangeError(f"{leaf.name} must be finite, got NaN or infinity")
            if inplace and not leaf.array.flags.writeable:
                raise ValueRangeError(f"{leaf.name} must be writeable to be shifted in place, got a read-only array")
        copies = [array.copy() for array in arrays]
        self.origin, self._work = (copies, arrays) if inplace else (arrays, copies)
        self._argument = x if inplace else rebuilt(x, iter(self._work))
        self._f = f
        self.evaluations = 0
        ends = np.cumsum([array.size for array in arrays]).tolist()
        self.spans = [Span(end - array.size, end) for array, end in zip(arrays, ends, strict=True)]
        self.all = Span(0, ends[-1])

    def restore(self) -> None:
        """Put everything back."""
        for work, origin in zip(self._work, self.origin, strict=True):
            work[...] = origin

    def value(self) -> float:
        """f as its arrays are now."""
        self.evaluations += 1
        return number(self._f(self._argument))

    def require_sane(self) -> float:
        """Return f(x), after it was looked at whether f is a function."""
        first = self.value()
        for name, work, origin in zip(self.names, self._work, self.origin, strict=True):
            if work.tobytes() != origin.tobytes():
                self.restore()
                raise ValueRangeError(f"f must leave its argument as it is, but it changes {name}")
        if not np.isfinite(first):
            raise ValueRangeError(f"f must be finite at x, got {first}")
        if (again := self.value()) != first:
            raise ValueRangeError(
                f"f must be deterministic, got {first!r} and then {again!r} for the same x: dropout, a random mini-batch "
                "or a race?"
            )
        return first

    def shifted(
        self, direction: Direction, claim: Sequence[Array], step: float, span: Span
    ) -> tuple[float, float]:
        """f where the entries of ``span`` are shifted, and that less what the claimed gradient says of the shift."""
        linear = 0.0
        try:
            for leaf, part in self.parts(span):
                origin, work = self.origin[leaf].reshape(-1), self._work[leaf]
                moved = np.empty(part.size, work.dtype) if not work.flags.c_contiguous else None
                for begin in range(part.begin, part.end, _CHUNK):
                    chunk = slice(begin, min(part.end, begin + _CHUNK))
                    start = origin[chunk].astype(np.float64)
                    with np.errstate(over="ignore"):
                        there = (start + step * direction.parts[leaf][chunk]).astype(work.dtype)
                    linear += float(claim[leaf].reshape(-1)[chunk].astype(np.float64) @ (there - start))
                    if moved is None:
                        work.reshape(-1)[chunk] = there
                    else:
                        moved[chunk.start - part.begin : chunk.stop - part.begin] = there
                if moved is not None:
                    work.flat[part.begin : part.end] = moved
            value = self.value()
        finally:
            for leaf, part in self.parts(span):
                self._work[leaf].flat[part.begin : part.end] = self.origin[leaf].reshape(-1)[part.begin : part.end]
        return value, value - linear

    def parts(self, span: Span) -> Iterator[tuple[int, Span]]:
        """The arrays of which a span has entries, and the ranges of these."""
        for leaf, own in enumerate(self.spans):
            begin, end = max(own.begin, span.begin), min(own.end, span.end)
            if begin < end:
                yield leaf, Span(begin - own.begin, end - own.begin)

    def entry(self, flat: int) -> tuple[int, tuple[int, ...]]:
        """The array and the index of an entry."""
        leaf, part = next(self.parts(Span(flat, flat + 1)))
        return leaf, tuple(map(int, np.unravel_index(part.begin, self.origin[leaf].shape)))

    def scales(self, scale: Any) -> list[Floats | float]:
        """How far the entries of each array are shifted at a step of 1: at least the root mean square of the array."""
        if scale is not None:
            given = leaves("scale", scale) if not isinstance(scale, int | float) else None
            if given is None:
                return [float(scale)] * len(self.origin)
            if [leaf.array.shape for leaf in given] != [array.shape for array in self.origin]:
                raise ShapeError("scale must be a number, or arrays in the shapes of x")
            return [leaf.array.reshape(-1).astype(np.float64) for leaf in given]
        squares = [float(np.mean(np.square(array, dtype=np.float64))) for array in self.origin]
        sizes = [array.size for array in self.origin]
        overall = float(np.average(squares, weights=sizes)) ** 0.5 or 1.0
        return [
            np.maximum(np.abs(array.reshape(-1)), square**0.5 or overall)
            for array, square in zip(self.origin, squares, strict=True)
        ]

    def direction(self, scales: Sequence[Floats | float], rng: np.random.Generator) -> Direction:
        """Random signs and magnitudes, from half to one and a half times the scales."""
        parts = []
        for array, scale in zip(self.origin, scales, strict=True):
            magnitudes = rng.uniform(0.5, 1.5, array.size)
            magnitudes *= scale
            magnitudes *= rng.integers(0, 2, array.size, dtype=np.int8) * 2.0 - 1.0
            parts.append(magnitudes.astype(array.dtype, copy=False))
        return Direction(parts)
