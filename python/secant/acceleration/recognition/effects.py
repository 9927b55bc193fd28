"""What a call changes in an object: the side effects of the reader's numerical gradient.

Design: everything that an object holds is written down as paths and contents, before and after a call. Contents are
compared by value, so that an equal copy is no change. The caller then subtracts what the loss itself changes.
"""

import collections
import itertools
import logging
import random
import sys
import types
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.acceleration.recognition.stand_in import StandIn

Path = tuple[Hashable, ...]  # from the name of the object: of `self.kept["b1"]`, ("self", "kept", "b1")
Contents = dict[Path, Any]

_MOST_VALUES, _MOST_ITEMS = 20_000, 1000  # that are looked at: of all, the nearest to the object; of one container
_MOST_BYTES = 50_000_000  # of an array
_PLAIN = (bool, int, float, complex, str, bytes, bytearray, type(None), np.generic)
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_OPAQUE = (types.ModuleType, logging.Logger, logging.Handler, StandIn)  # nothing in them is looked at
_LIBRARIES = sys.stdlib_module_names | {
    "numpy",
    "secant",
    "pandas",
    "matplotlib",
    "torch",
}  # classes that do not change


def contents(net: Any, apart_from: Sequence[Array]) -> Contents:
    """Return what an object holds, without arrays that share memory with one of ``apart_from``."""
    held: Contents = {}
    seen: set[int] = set()
    waiting: collections.deque[tuple[Path, Any]] = collections.deque([(("self",), net)])
    while waiting and len(held) < _MOST_VALUES:
        path, value = waiting.popleft()
        if isinstance(value, np.ndarray) and any(np.may_share_memory(value, array) for array in apart_from):
            continue
        held[path] = _content(value)
        if id(value) not in seen and not isinstance(value, _PLAIN + _OPAQUE):
            seen.add(id(value))
            waiting += ((path + key, part) for key, part in _parts(value))
            waiting += (((cls.__name__,), cls) for cls in type(value).__mro__ if _is_of_reader(cls))
    return held


def changes(before: Contents, after: Contents) -> set[Path]:
    """Return the paths of what was changed, added or removed."""
    return {path for path in before.keys() | after.keys() if before.get(path, ...) != after.get(path, ...)}


def written(paths: Iterable[Path]) -> str:
    """Return paths as a program would write them, without those inside another one of them."""
    every = set(paths)
    outer = {path for path in every if not any(path[:n] in every for n in range(1, len(path)))}
    named = sorted(".".join(f"{key:.40}" if isinstance(key, str) else f"{key}"[:40] for key in path) for path in outer)
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")


def _content(value: Any) -> Any:
    """Return what is compared of a value itself. Its parts have their own paths."""
    if isinstance(value, _PLAIN):
        return type(value), repr(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.dtype, value.shape, hash(value.tobytes()) if value.nbytes <= _MOST_BYTES else id(value)
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, set | frozenset):
        return sorted(map(repr, itertools.islice(value, _MOST_ITEMS))), len(value)
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        return id(value), value  # which is held, so that its id is not another one's
    return type(value)


def _parts(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield what a value holds, with the end of its path."""
    if isinstance(value, dict):
        yield from (((key,), part) for key, part in itertools.islice(dict.items(value), _MOST_ITEMS))
    elif isinstance(value, list | tuple | collections.deque):
        yield from (((i,), part) for i, part in enumerate(itertools.islice(value, _MOST_ITEMS)))
    elif isinstance(value, types.MethodType):
        yield (), value.__self__
    if isinstance(value, type):
        if _is_of_reader(value):
            yield from (((name,), part) for name, part in vars(value).items() if not name.startswith("__"))
    elif not isinstance(value, _GENERATORS):
        yield from (((name,), part) for name, part in getattr(value, "__dict__", {}).items())
        slots = (name for cls in type(value).__mro__ for name in _slots(cls))
        yield from (((name,), getattr(value, name)) for name in slots if hasattr(value, name))


def _is_of_reader(cls: type) -> bool:
    return str(cls.__module__).partition(".")[0] not in _LIBRARIES


def _slots(cls: type) -> list[str]:
    slots = vars(cls).get("__slots__", ())
    return [name for name in ([slots] if isinstance(slots, str) else slots) if not name.startswith("__")]
