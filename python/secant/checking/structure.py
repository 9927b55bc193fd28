"""Arrays in a structure: nested dicts, lists, tuples and named tuples.

A complex array is two: its real and its imaginary part.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from numbers import Complex, Real
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, is_plain
from secant.differentiation.options import refuse_matrix
from secant.errors import DTypeError, ShapeError

_TYPES = "dfeDF"  # float64, float32, float16, complex128, complex64


class Leaf(NamedTuple):
    """An array of a structure, and its path in it; ``part`` is ".real" or ".imag" of a complex array."""

    name: str
    array: Array
    part: str = ""


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
        refuse_matrix(path or title, value)
        refuse_tensor(path or title, value)
        array = value if is_plain(value) else None
        if array is None or array.dtype.char not in _TYPES:
            got = type(value).__name__ if array is None else f"an array of {array.dtype}"
            raise DTypeError(f"{path or title} must be an array of float64, float32 or float16, or complex, got {got}")
        if array.size and array.dtype.kind == "c":
            yield Leaf(f"{path or title}.real", array.real, ".real")
            yield Leaf(f"{path or title}.imag", array.imag, ".imag")
        elif array.size:
            yield Leaf(path or title, array)


_DOORS = {
    "torch": "a tensor of PyTorch: use secant.torch.gradcheck(f, inputs), or "
    "secant.torch.check_module(module, inputs, loss)",
    "jax": "an array of JAX: use secant.jax.check_grads(f, args)",
}


def refuse_tensor(title: str, value: Any) -> None:
    """Raise an error that names the check for tensors of other libraries."""
    if _library(value) in _DOORS:
        raise DTypeError(f"{title} is {_DOORS[_library(value)]}")


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0].removesuffix("lib")


def listed(shapes: list[tuple[int, ...]]) -> str:
    """Shapes, as messages have them."""
    return ", ".join(map(str, shapes))


def of_arrays(value: Any) -> Any:
    """The same structure, with arrays for numbers, lists of numbers, integers, and what NumPy takes for an array."""
    if isinstance(value, Mapping):
        return _remade(value, {key: of_arrays(inner) for key, inner in value.items()})
    if isinstance(value, tuple | list) and not _is_list_of_numbers(value):
        return _remade(value, [of_arrays(inner) for inner in value])
    return _as_array(value)


def _is_list_of_numbers(value: Any) -> bool:
    """Whether NumPy makes one array of numbers of it: not if it is empty, or its rows have different lengths."""
    if hasattr(value, "_fields") or not value or not _holds_numbers(value):
        return False
    try:
        return bool(np.asarray(value).dtype.kind in "biufcO")
    except ValueError:
        return False


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return not hasattr(value, "_fields") and all(map(_holds_numbers, value))
    return isinstance(value, Complex) and not isinstance(value, bool)


def _as_array(value: Any) -> Any:
    """A number, a list of numbers, or a series as an array, integers as float64; anything else as it is."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if is_plain(value) and value.dtype.kind in "biu" else value
    if isinstance(value, np.inexact):
        return np.asarray(value)
    if isinstance(value, Complex) and not isinstance(value, bool):
        return np.asarray(value, np.float64 if isinstance(value, Real) else np.complex128)
    if isinstance(value, tuple | list) and _is_list_of_numbers(value):
        array = np.asarray(value)
        return array if array.dtype.kind in "fc" else array.astype(np.float64)
    if hasattr(value, "__array__") and not isinstance(value, np.generic) and _library(value) not in _DOORS:
        return _as_array(np.asarray(value))
    return value


def ordered(title: str, like: Any, value: Any, source: str, unit: complex = 1) -> Any:
    """The same structure with the keys of its dicts in the order of another one's, which messages call ``source``.

    Where the other one has an array, numbers and lists of numbers become one, too.
    Real arrays are multiplied by ``unit`` where those of the other structure are complex.
    """
    if isinstance(like, Mapping):
        if not isinstance(value, Mapping) or set(value) != set(like):
            got = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise ShapeError(f"{title} must have the keys of {source}, {', '.join(map(str, like))}, got {got}")
        return {key: ordered(title, inner, value[key], source, unit) for key, inner in like.items()}
    if isinstance(like, np.ndarray):
        value = _as_array(value)
    if isinstance(like, tuple | list) and isinstance(value, tuple | list) and len(value) == len(like):
        pairs = zip(like, value, strict=True)
        return _remade(value, [ordered(title, inner, own, source, unit) for inner, own in pairs])
    if is_plain(like) and is_plain(value) and "c" in (kinds := like.dtype.kind + value.dtype.kind) and kinds != "cc":
        if like.dtype.kind != "c":
            raise DTypeError(f"{title} must be real where {source} is, got an array of {value.dtype}")
        return np.asarray(value * unit, np.result_type(value, np.complex64))
    return value


def rebuilt(value: Any, arrays: Iterator[Array]) -> Any:
    """The same structure with other arrays: the real and the imaginary part of one that is complex."""
    if isinstance(value, Mapping):
        return _remade(value, {key: rebuilt(inner, arrays) for key, inner in value.items()})
    if isinstance(value, tuple | list):
        return _remade(value, [rebuilt(inner, arrays) for inner in value])
    if not value.size:
        return value
    if value.dtype.kind != "c":
        return next(arrays)
    both = np.empty(value.shape, value.dtype)
    both.real, both.imag = next(arrays), next(arrays)
    return both


def _remade(value: Any, parts: Any) -> Any:
    """A dict, list or tuple of the same type with other values."""
    if isinstance(value, dict):
        made = copy.copy(value)  # a defaultdict is not made of its items
        made.update(parts)
        return made
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
