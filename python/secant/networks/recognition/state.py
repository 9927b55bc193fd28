"""What an object holds besides its parameters: a change of it may make its network another one."""

from __future__ import annotations

import array
import collections
import functools
import itertools
import logging
import math
import operator
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array

_DEPTH, _MOST, _ALL = 8, 400, 4000  # containers within containers; so many of them, or values of one; and values of all
_SMALL = 1000  # entries of an array, or a set, that are looked at themselves at each call
_LARGE = 50_000_000  # bytes of arrays that are looked at in a trial
_STRIKES = 3  # changes without an effect, after which a value is looked at now and then only
NEVER = math.inf  # strikes, after which it is not looked at any more
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_SIZE = object()  # the key of the number of values in a container
Name = tuple[str, Any]  # a container, and a key of it


class _Container(NamedTuple):
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
        value = dict.get(self._owner, key, _SIZE)  # which adds no key, as that of a defaultdict would
        if value is _SIZE:
            raise KeyError(key)
        return value

    def items(self) -> Any:
        """The values, with their keys or indices."""
        return dict.items(self._owner) if self._base is dict else enumerate(self._base.__iter__(self._owner))

    def __len__(self) -> int:
        return int(self._base.__len__(self._owner))


class State:
    """The values in an object, and in what it refers to, as they were when they were looked at last."""

    def __init__(self) -> None:
        self._type: type | None = None
        self._watched, self._seldom = _Watched(), _Watched()
        self._strikes: dict[tuple[int, Any], float] = {}
        self._before: dict[tuple[int, Any], tuple[Any, Any]] = {}
        self._kept: list[Any] = []  # an id is that of one object as long as it lives

    def look(self, net: Any, parameters: Any, keys: tuple[Any, ...], strike: float = 1) -> None:
        """Take what is there now for what is right, but for ``keys`` of the dict of parameters.

        What has changed gets a strike.
        """
        arrays = [parameters[key] for key in keys]
        now: dict[tuple[int, Any], tuple[Any, Any]] = {}
        self._type, self._watched, self._seldom, self._kept = type(net), _Watched(), _Watched(), []
        for container in _containers(net):
            self._kept.append(container)
            owner, held = container.owner, container.held
            often: dict[Any, Any] = {}
            seldom: dict[Any, Any] = {}
            for key, value in [*_items(held), (_SIZE, len(held))]:
                if owner is parameters and key in keys:
                    continue
                where = id(owner), key
                content = _content(value, _SMALL, arrays)
                now[where] = value, content
                value_before, content_before = self._before.get(where, now[where])
                if not _same(value_before, value) or not _same(content_before, content):
                    self._strikes[where] = self._strikes.get(where, 0) + strike
                strikes = self._strikes.get(where, 0)
                if strikes == NEVER:
                    continue
                group, values = (self._watched, often) if strikes < _STRIKES else (self._seldom, seldom)
                if key is _SIZE:
                    group.sizes.append((held, value))
                else:
                    values[key] = value
                    group.contents += [] if content is None else [(value, content)]
            self._watched.add(held, often)
            self._seldom.add(held, seldom)
        self._before = now

    @property
    def has_looked(self) -> bool:
        """Whether there is anything to be held against what comes."""
        return self._type is not None

    @property
    def is_set_by_losses(self) -> bool:
        """Whether losses leave something in the object, such as what a layer keeps for backpropagation."""
        return NEVER in self._strikes.values()

    def changed(self, net: Any, *, closely: bool) -> bool:
        """Whether something is another one; ``closely``: also of what has changed without an effect."""
        if type(net) is not self._type:
            return self.has_looked
        return self._watched.changed() or (closely and self._seldom.changed())


class _Watched:
    """Values, with what holds them."""

    def __init__(self) -> None:
        self._values: list[tuple[Any, Any, list[Any]]] = []  # a container, how to get values of it, the values
        self.sizes: list[tuple[Any, int]] = []
        self.contents: list[tuple[Any, Any]] = []

    def add(self, held: Any, values: dict[Any, Any]) -> None:
        """Watch values of a container."""
        if values:
            get = operator.itemgetter(*values, next(iter(values)))  # of at least two, so that it is a tuple
            self._values.append((held, get, [*get(held)]))

    def changed(self) -> bool:
        """Whether something is another one."""
        if any(len(held) != size for held, size in self.sizes):
            return True
        for held, get, values in self._values:
            try:
                now = get(held)
            except LookupError:
                return True
            if not all(map(operator.is_, now, values)) and not all(map(_same, now, values)):
                return True
        return any(not _same(_content(value, _SMALL, ()), content) for value, content in self.contents)


def contents(net: Any, apart_from: Sequence[Array]) -> dict[Name, tuple[Any, Any]]:
    """Return what an object holds, also in large arrays, but for arrays that share memory with some."""
    found: dict[Name, tuple[Any, Any]] = {}
    left, apart = _LARGE, set(map(id, apart_from))
    for container in _containers(net):
        found[container.name, _SIZE] = len(container.held), None
        for key, value in _items(container.held):
            if id(value) not in apart:
                content = _content(value, left // 8, apart_from)
                left -= len(content) if isinstance(content, bytes) else 0
                found[container.name, key] = value, content
    return found


def changes(before: dict[Name, tuple[Any, Any]], now: dict[Name, tuple[Any, Any]]) -> set[Name]:
    """Return the names of what is another one, came or went; of `contents`."""
    return {name for name in before.keys() | now.keys() if not _same(before.get(name, ()), now.get(name, ()))}


def told(names: set[Name]) -> str:
    """Return some of these names as a program would write them."""
    named = {container for container, key in names if key is not _SIZE}
    written = {
        container if key is _SIZE or isinstance(key, int) else f"{container}.{key!s:.40}"
        for container, key in names
        if key is not _SIZE or container not in named
    }
    first = sorted(written)[:5]
    return ", ".join(first) + (f" and {len(written) - 5} more" if len(written) > 5 else "")


def _containers(net: Any) -> Iterator[_Container]:
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
                for key, value in _items(container.held):
                    try:
                        found += _within(f"{container.name}.{key}", value, container.depth + 1)
                    except Exception:  # whatever the classes of somebody's objects raise
                        continue


def _within(name: str, value: Any, depth: int) -> Iterator[_Container]:
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
            yield _Container(name, vars(value), vars(value), depth)
    elif type(value) in (dict, list, tuple):
        yield _Container(name, value, value, depth)
    else:
        if isinstance(value, dict | list | tuple):
            yield _Container(name, value, _Inherited(value), depth)
        yield from _of_object(name, value, depth)


_WHOLE = (types.ModuleType, np.ndarray, logging.Logger, logging.Handler, *_PLAIN)  # nothing in them is looked at


def _of_object(name: str, value: Any, depth: int) -> Iterator[_Container]:
    if hasattr(value, "__dict__"):
        yield _Container(name, vars(value), vars(value), depth)
    if slots := [slot for cls in type(value).__mro__ for slot in _slots(cls)]:
        yield _Container(name, value, _Slots(value, slots), depth)
    for cls in type(value).__mro__:
        yield from _of_class(cls, depth)


def _of_class(cls: type, depth: int) -> Iterator[_Container]:
    if str(cls.__module__).partition(".")[0] not in _LIBRARIES:
        yield _Container(cls.__name__, cls, vars(cls), depth)


_LIBRARIES = sys.stdlib_module_names | {"numpy", "secant", "pandas", "matplotlib", "torch"}  # which do not change


def _slots(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else [*slots]
    private = f"_{cls.__name__.lstrip('_')}"
    return [private + name if name.startswith("__") and not name.endswith("__") else name for name in names]


def _items(held: Any) -> list[tuple[Any, Any]]:
    items = enumerate(held) if isinstance(held, list | tuple) else held.items()
    return [item for item in itertools.islice(items, _MOST) if not _is_of_python(*item)]


def _is_of_python(key: Any, value: Any) -> bool:
    """Whether a class has it of itself, such as its name: not a method such as ``__call__``."""
    return isinstance(key, str) and key.startswith("__") and not isinstance(value, types.FunctionType)


def _content(value: Any, most: int, apart_from: Sequence[Array]) -> Any:
    """Return what is in a value that can be changed where it is; None if that is not looked at."""
    if isinstance(value, _PLAIN):
        return None
    if isinstance(value, np.ndarray):
        if value.size > most or any(np.may_share_memory(value, array) for array in apart_from):
            return None
        return value.tobytes()
    if isinstance(value, set | collections.deque):
        return tuple(value) if len(value) <= _SMALL else len(value)
    if isinstance(value, bytearray | array.array):
        return bytes(value) if len(value) <= most else len(value)
    return None


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is tuple is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    plain = isinstance(a, _PLAIN) and isinstance(b, _PLAIN) and type(a) is type(b)
    return plain and bool(a == b or (a != a and b != b))
