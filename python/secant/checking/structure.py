"""Arrays in a structure: nested dicts, lists, tuples, named tuples and dataclasses.

A complex array is two: its real and its imaginary part.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Complex
from typing import Any

import numpy as np

from secant._common.validation import Array, Floats, is_plain
from secant.differentiation.options import refuse_matrix
from secant.errors import DTypeError, ShapeError

EPS = 2.0**-52
"""The relative rounding of float64."""
_TYPES = "dfeDF"  # float64, float32, float16, complex128, complex64
_PARTS = ("",), (".real", ".imag")  # of real and of complex arrays
_NOT_IN_NUMPY = {"bfloat16": 2.0**-7, "complex32": 2.0**-10}  # their relative rounding
_DOORS = {
    "torch": (
        "a tensor of PyTorch: use secant.torch.gradcheck(f, inputs), or "
        "secant.torch.check_module(module, inputs, loss)"
    ),
    "jax": (
        "an array of JAX: use secant.jax.check_grads(f, args), or np.asarray of it if f"
        " takes arrays of NumPy"
    ),
}


class Structure:
    """A structure of arrays, as one vector.

    Errors call it by its ``title``. With ``names`` it is a list of arrays that have
    these. Arrays without elements are left out; ``dtypes`` are those of the others
    where they come from. New arrays have at least the precision ``least``.

    Attributes
    ----------
    value
        The structure; where it had numbers, lists of numbers, integers and what NumPy
        takes for an array, arrays.
    names : list of str
        The path of each array; with ".real" or ".imag" of a complex one.
    dtypes : sequence of str
        The type of each array. A complex array counts once.
    arrays : list of ndarray
    shapes : list of tuple
    spans, wholes : list of slice
        Where the entries of each array are in the vector; and where those of both parts
        are, if it is one of these.
    """

    def __init__(
        self,
        title: str,
        value: Any,
        names: Sequence[str] | None = None,
        dtypes: Sequence[str] = (),
        least: str = "float16",
    ) -> None:
        self._title = title
        self.least = least
        self.value = mapped(value, _as_array, _is_list_of_numbers)
        named = (
            [(title, self.value)]
            if names is None
            else zip(names, self.value, strict=True)
        )
        found = [
            leaf for name, each in named for leaf in _leaves(name, "", each, each, name)
        ]
        if not found and names is None:
            raise ShapeError(f"{title} must hold at least one array, got {value!r}")
        self._given = [array for _, array in found]
        self.names = list[str]()
        self.wholes = list[slice]()
        self.dtypes = dtypes or [array.dtype.name for array in self._given]
        for name, array in found:
            parts = _PARTS[array.dtype.kind == "c"]
            begin = self.wholes[-1].stop if self.wholes else 0
            self.names += [name + part for part in parts]
            self.wholes += [slice(begin, begin + len(parts) * array.size)] * len(parts)
        self.arrays = parts_of(self._given)
        self.shapes = [array.shape for array in self.arrays]
        ends = itertools.accumulate((array.size for array in self.arrays), initial=0)
        self.spans = [slice(*ends) for ends in itertools.pairwise(ends)]

    @property
    def eps(self) -> Floats:
        """The relative rounding of each entry."""
        counts = [array.size * (1 + np.iscomplexobj(array)) for array in self._given]
        return np.repeat([*map(eps_of, self.dtypes)], counts)

    def like(self, title: str, value: Any) -> list[Array]:
        """The arrays of another structure of the same shapes, in the order of this one:
        dicts are paired by keys.
        """
        return parts_of(
            array for _, array in _leaves(title, "", value, self.value, self._title)
        )

    def moved(self, vector: Floats) -> Structure:
        """A structure like this one, with the entries of a vector."""
        other = copy.copy(self)
        other.value = self.at(vector)
        other._given = [array for _, array in walk("", other.value) if array.size]
        other.arrays = parts_of(other._given)
        return other

    def labels(self, names: Any) -> dict[str, Array]:
        """The names of entries, for each array that they are given for.

        They have the structure of this one; arrays, or lists, of strings have the
        shapes of its arrays. Those of arrays may be left out, as None or without their
        key.
        """
        found = dict[str, Array]()
        own_names = iter(self.names)
        for array, own in zip(
            _strings("names", names, self.value, self._title), self._given, strict=True
        ):
            for part in _PARTS[own.dtype.kind == "c"]:
                name = next(own_names)
                if array.size:
                    found[name] = np.char.add(array, part)
        return found

    def write(self, vector: Floats, arrays: Sequence[Array]) -> None:
        """Write the entries of a vector to arrays of the same shapes."""
        for array, span in zip(arrays, self.spans, strict=True):
            array[...] = vector[span].reshape(array.shape)

    def at(self, vector: Floats) -> Any:
        """The structure, of new arrays, with the entries of a vector."""
        made = mapped(
            self.value,
            lambda array: np.empty(
                array.shape, np.result_type(array.dtype, self.least)
            ),
        )
        self.write(vector, parts_of(array for _, array in walk("", made) if array.size))
        return made


def parts_of(arrays: Iterable[Array]) -> list[Array]:
    """Arrays of real numbers: the real and the imaginary part of one that is
    complex.
    """
    return [
        part
        for each in arrays
        for part in ((each.real, each.imag) if np.iscomplexobj(each) else (each,))
    ]


def as_vector(arrays: Sequence[Array]) -> Floats:
    """The real numbers of arrays, one after the other."""
    return np.concatenate(
        [np.asarray(array, np.float64).ravel() for array in parts_of(arrays)]
    )


def eps_of(dtype: str) -> float:
    """The relative rounding of a type."""
    return _NOT_IN_NUMPY.get(dtype) or float(np.finfo(dtype).eps)


def _parts(value: Any) -> dict[Any, Any] | None:
    """What is in a container, by key, place or name; None of anything else."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return dict(
            zip(getattr(value, "_fields", range(len(value))), value, strict=True)
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
            if field.init
        }
    return None


def _remade(value: Any, parts: dict[Any, Any]) -> Any:
    """A container like another one, of other parts."""
    if isinstance(value, dict):
        made = copy.copy(value)  # a defaultdict is not made of its items
        made.update(parts)
        return made
    if isinstance(value, Mapping):
        return type(value)(parts)  # type: ignore[call-arg]
    if isinstance(value, tuple | list):
        return (
            type(value)(**parts)
            if hasattr(value, "_fields")
            else type(value)(list(parts.values()))
        )
    return dataclasses.replace(value, **parts)


def walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in a structure, and where, in Python's own words: ``output['a'][0]``."""
    if (parts := _parts(value)) is None:
        yield path, value
        return
    for key, inner in parts.items():
        is_key = isinstance(value, Mapping) or isinstance(key, int)
        yield from walk(path + (f"[{key!r}]" if is_key else f".{key}"), inner)


def mapped(
    value: Any,
    change: Callable[[Any], Any],
    is_whole: Callable[[Any], bool] = lambda _: False,
) -> Any:
    """The same structure, of which what is in it is changed, and containers that count
    as a whole.
    """
    if is_whole(value) or (parts := _parts(value)) is None:
        return change(value)
    return _remade(
        value, {key: mapped(inner, change, is_whole) for key, inner in parts.items()}
    )


def _leaves(
    title: str, path: str, value: Any, like: Any, source: str
) -> Iterator[tuple[str, Array]]:
    """The arrays of a structure and their names, in the order of ``like``, which is
    that of ``source``.

    A tuple or a list of other names is paired by place. Where ``like`` has an array,
    numbers and lists of numbers become one, too; where that is complex, real arrays do.
    """
    if (wanted := _parts(like)) is not None:
        parts = _parts(value)
        is_sequence = isinstance(value, tuple | list) and not isinstance(like, Mapping)
        if (
            parts
            and is_sequence
            and len(parts) == len(wanted)
            and parts.keys() != wanted.keys()
        ):
            parts = dict(zip(wanted, value, strict=True))
        if parts is None or parts.keys() != wanted.keys():
            got = type(value).__name__ if parts is None else ", ".join(map(str, parts))
            raise ShapeError(
                f"{title} must have the keys of {source},"
                f" {', '.join(map(str, wanted))}, got {got}"
            )
        for key, inner in wanted.items():
            place = f"[{key}]" if isinstance(key, int) else f".{key}"
            yield from _leaves(title, path + place, parts[key], inner, source)
        return
    array = _as_array(value)
    name = path[1:] if path.startswith(".") else title + path
    refuse_matrix(name, array)
    refuse_tensor(name, array)
    if not is_plain(array) or array.dtype.char not in _TYPES:
        got = f"an array of {array.dtype}" if is_plain(array) else type(array).__name__
        raise DTypeError(
            f"{name} must be an array of float64, float32 or float16, or complex, got"
            f" {got}"
        )
    if array.dtype.kind == "c" and like.dtype.kind != "c":
        raise DTypeError(
            f"{name} must be real where {source} is, got an array of {array.dtype}"
        )
    if array.shape != like.shape:
        raise ShapeError(
            f"{title}{path} must have the shape of {source}{path}, {like.shape}, got"
            f" {array.shape}"
        )
    if array.size:
        yield (
            name,
            (
                array + 0j
                if np.iscomplexobj(like) and not np.iscomplexobj(array)
                else array
            ),
        )


def _strings(title: str, value: Any, like: Any, source: str) -> Iterator[Array]:
    """The names of entries of each array that has some, in the order of ``like``; empty
    if there are none.
    """
    parts = _parts(like)
    if parts is None:
        if not like.size:
            return
        array = np.asarray([] if value is None else value)
        if value is not None and (array.dtype.kind != "U" or array.shape != like.shape):
            got = f"{array.dtype} of the shape {array.shape}"
            raise ShapeError(
                f"{title} must be strings of the shape of {source}, {like.shape}, got"
                f" {got}"
            )
        yield array.astype(np.str_)
        return
    own = _parts(value) if value is not None else {}
    if own is None or own.keys() - parts.keys():
        got = type(value).__name__ if own is None else ", ".join(map(str, own))
        raise ShapeError(
            f"{title} must have the keys of {source}, {', '.join(map(str, parts))}, got"
            f" {got}"
        )
    for key, inner in parts.items():
        place = f"[{key!r}]"
        yield from _strings(title + place, own.get(key), inner, source + place)


def refuse_tensor(title: str, value: Any) -> None:
    """Raise an error that names the check for tensors of other libraries."""
    if _library(value) in _DOORS:
        raise DTypeError(f"{title} is {_DOORS[_library(value)]}")


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0].removesuffix("lib")


def _is_list_of_numbers(value: Any) -> bool:
    """Whether NumPy makes one array of numbers of it: not if it is empty, or its rows
    have different lengths.
    """
    if not isinstance(value, tuple | list) or hasattr(value, "_fields") or not value:
        return False
    if all(map(_is_list_of_numbers, value)):
        return len(set(map(len, value))) == 1
    return all(
        isinstance(each, Complex) and not isinstance(each, bool) for each in value
    )


def _as_array(value: Any) -> Any:
    """A number, a list of numbers, or a series as an array, integers as float64;
    anything else as it is.
    """
    is_container = isinstance(value, tuple | list) and not _is_list_of_numbers(value)
    if (
        is_container
        or isinstance(value, np.matrix | np.ma.MaskedArray)
        or _library(value) in _DOORS
    ):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        return value
    return array.astype(np.float64) if array.dtype.kind in "biu" else array
