"""What an object holds, and what those hold that it refers to, as far as a program of its author may change it."""

import collections
import functools
import itertools
import logging
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

_DEPTH, _MOST, _ALL = 8, 400, 4000  # containers within containers; so many of them, or values of one; and values of all
_NONE = object()
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)


class Container(NamedTuple):
    """What holds values under keys: ``held``, which belongs to ``owner``. An owner is known by its identity."""

    name: str
    owner: Any
    held: Any
    depth: int


class _Slots:
    """The attributes of an object that has them in slots."""

    def __init__(self, owner: Any, names: list[str]) -> None:
        self._owner, self._names = owner, names

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self._owner, name)
        except AttributeError:
            raise KeyError(name) from None

    def items(self) -> list[tuple[str, Any]]:
        """The slots that are filled."""
        return [(name, getattr(self._owner, name)) for name in self._names if hasattr(self._owner, name)]

    def __len__(self) -> int:
        return len(self.items())


class _Inherited:
    """What is in an object of a class that inherits from dict, list or tuple, whatever that class makes of it."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._base: Any = next(base for base in (dict, list, tuple) if isinstance(owner, base))

    def __getitem__(self, key: Any) -> Any:
        if self._base is not dict:
            return self._base.__getitem__(self._owner, key)
        value = dict.get(self._owner, key, _NONE)  # which adds no key, as that of a defaultdict would
        if value is _NONE:
            raise KeyError(key)
        return value

    def items(self) -> Any:
        """The values, with their keys or indices."""
        return dict.items(self._owner) if self._base is dict else enumerate(self._base.__iter__(self._owner))

    def __len__(self) -> int:
        return int(self._base.__len__(self._owner))


def containers(net: Any) -> Iterator[Container]:
    """What holds values: an object, its attributes, and so on; and the classes that they are of."""
    seen: set[int] = set()
    left = _ALL
    found = collections.deque(_of_object("self", net, 0))
    while found and len(seen) < _MOST and left > 0:
        container = found.popleft()
        if id(container.owner) not in seen:
            seen.add(id(container.owner))
            left -= min(len(container.held), _MOST)
            yield container
            if container.depth < _DEPTH:
                for key, value in items(container.held):
                    try:
                        found += _within(f"{container.name}.{key}", value, container.depth + 1)
                    except Exception:  # whatever the classes of somebody's objects raise
                        continue


def _within(name: str, value: Any, depth: int) -> Iterator[Container]:
    """The containers that a value is."""
    if isinstance(value, _WHOLE):
        return
    if isinstance(value, type):
        yield from _of_class(value, depth)
    elif isinstance(value, types.MethodType):
        yield from _within(name, value.__self__, depth)
    elif isinstance(value, functools.partial):
        for part in (value.func, value.args, value.keywords):
            yield from _within(name, part, depth)
    elif isinstance(value, types.FunctionType):
        if vars(value):
            yield Container(name, vars(value), vars(value), depth)
    elif type(value) in (dict, list, tuple):
        yield Container(name, value, value, depth)
    else:
        if isinstance(value, dict | list | tuple):
            yield Container(name, value, _Inherited(value), depth)
        yield from _of_object(name, value, depth)


_WHOLE = (types.ModuleType, np.ndarray, logging.Logger, logging.Handler, *PLAIN)  # nothing in them is looked at


def _of_object(name: str, value: Any, depth: int) -> Iterator[Container]:
    if hasattr(value, "__dict__"):
        yield Container(name, vars(value), vars(value), depth)
    if slots := [slot for cls in type(value).__mro__ for slot in _slots(cls)]:
        yield Container(name, value, _Slots(value, slots), depth)
    for cls in type(value).__mro__:
        yield from _of_class(cls, depth)


def _of_class(cls: type, depth: int) -> Iterator[Container]:
    if str(cls.__module__).partition(".")[0] not in _LIBRARIES:
        yield Container(cls.__name__, cls, vars(cls), depth)


_LIBRARIES = sys.stdlib_module_names | {"numpy", "secant", "pandas", "matplotlib", "torch"}  # which do not change


def _slots(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else [*slots]
    private = f"_{cls.__name__.lstrip('_')}"
    return [private + name if name.startswith("__") and not name.endswith("__") else name for name in names]


def items(held: Any) -> list[tuple[Any, Any]]:
    """The first values of a container, with their keys: without what Python puts into a class."""
    found = enumerate(held) if isinstance(held, list | tuple) else held.items()
    return [item for item in itertools.islice(found, _MOST) if not _is_of_python(*item)]


def _is_of_python(key: Any, value: Any) -> bool:
    """Whether a class has it of itself, such as its name: not a method such as ``__call__``."""
    return isinstance(key, str) and key.startswith("__") and not isinstance(value, types.FunctionType)
