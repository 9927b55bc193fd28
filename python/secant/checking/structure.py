"""Arrays in a structure: nested dicts, lists, tuples, named tuples and dataclasses.

A complex array is two: its real and its imaginary part.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from numbers import Complex
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


def walk(path: str, value: Any, of_key: Callable[[Any], str] = lambda key: f".{key}") -> Iterator[tuple[str, Any]]:
    """What is in a structure, and where."""
    if isinstance(value, Mapping):
        parts = [(of_key(key), inner) for key, inner in value.items()]
    elif isinstance(value, tuple | list):
        fields = getattr(value, "_fields", None)
        parts = [(f".{fields[i]}" if fields else f"[{i}]", inner) for i, inner in enumerate(value)]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [(f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        yield path, value
        return
    for suffix, inner in parts:
        yield from walk(path + suffix, inner, of_key)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure, of which what is in it is changed."""
    if isinstance(value, Mapping):
        return _remade(value, {key: mapped(inner, change) for key, inner in value.items()})
    if isinstance(value, tuple | list):
        return _remade(value, [mapped(inner, change) for inner in value])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: mapped(getattr(value, name), change) for name in names})
    return change(value)


def _remade(value: Any, parts: Any) -> Any:
    """A dict, list or tuple of the same type with other values."""
    if isinstance(value, dict):
        made = copy.copy(value)  # a defaultdict is not made of its items
        made.update(parts)
        return made
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def leaves(title: str, value: Any) -> list[Leaf]:
    """The arrays of a structure, or a single array."""
    found = []
    for path, array in walk("", value):
        name = path[1:] if path.startswith(".") else title + path
        refuse_matrix(name, array)
        refuse_tensor(name, array)
        if not is_plain(array) or array.dtype.char not in _TYPES:
            got = f"an array of {array.dtype}" if is_plain(array) else type(array).__name__
            raise DTypeError(f"{name} must be an array of float64, float32 or float16, or complex, got {got}")
        if array.size and array.dtype.kind == "c":
            found += [Leaf(name, array.real, ".real"), Leaf(name, array.imag, ".imag")]
        elif array.size:
            found.append(Leaf(name, array))
    if not found:
        raise ShapeError(f"{title} must hold at least one array, got {value!r}")
    return found


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
    if not isinstance(value, tuple | list) or hasattr(value, "_fields") or not value:
        return False
    if all(map(_is_list_of_numbers, value)):
        return len(set(map(len, value))) == 1
    return all(isinstance(each, Complex) and not isinstance(each, bool) for each in value)


def _as_array(value: Any) -> Any:
    """A number, a list of numbers, or a series as an array, integers as float64; anything else as it is."""
    is_number = isinstance(value, Complex) and not isinstance(value, bool)
    is_series = hasattr(value, "__array__") and not isinstance(value, np.generic) and _library(value) not in _DOORS
    is_other_array = isinstance(value, np.matrix) or (isinstance(value, np.ndarray) and not is_plain(value))
    if is_other_array or not (is_number or is_series or _is_list_of_numbers(value)):
        return value
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "biu" else array


def ordered(title: str, like: Any, value: Any, source: str) -> Any:
    """The same structure with the keys of its dicts in the order of another one's, which messages call ``source``.

    Where the other one has an array, numbers and lists of numbers become one, too.
    Real arrays become complex where those of the other structure are.
    """
    if isinstance(like, Mapping):
        if not isinstance(value, Mapping) or set(value) != set(like):
            got = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise ShapeError(f"{title} must have the keys of {source}, {', '.join(map(str, like))}, got {got}")
        return {key: ordered(title, inner, value[key], source) for key, inner in like.items()}
    if isinstance(like, np.ndarray):
        value = _as_array(value)
    if isinstance(like, tuple | list) and isinstance(value, tuple | list) and len(value) == len(like):
        pairs = zip(like, value, strict=True)
        return _remade(value, [ordered(title, inner, own, source) for inner, own in pairs])
    if is_plain(like) and is_plain(value) and "c" in (kinds := like.dtype.kind + value.dtype.kind) and kinds != "cc":
        if like.dtype.kind != "c":
            raise DTypeError(f"{title} must be real where {source} is, got an array of {value.dtype}")
        return np.asarray(value, np.result_type(value, np.complex64))
    return value


def rebuilt(value: Any, arrays: Iterator[Array]) -> Any:
    """The same structure with other arrays: the real and the imaginary part of one that is complex."""

    def other(array: Array) -> Array:
        if not array.size:
            return array
        if array.dtype.kind != "c":
            return next(arrays)
        both = np.empty(array.shape, array.dtype)
        both.real, both.imag = next(arrays), next(arrays)
        return both

    return mapped(value, other)
