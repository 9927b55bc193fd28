"""What an object holds besides its parameters: a change of it may make its network another one."""

from __future__ import annotations

import collections
import itertools
import math
import operator
import types
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array

_DEPTH, _MOST = 8, 400  # containers within containers, and values that are watched
_SMALL, _LARGE = 1000, 1_000_000  # entries of an array that are looked at themselves: at each call, in a trial
_STRIKES = 3  # changes without an effect, after which a value is looked at now and then only
NEVER = math.inf  # strikes, after which it is not looked at any more
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_SIZE = object()


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
                if not _same(value_before, value) or content_before != content:
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
        for held, get, values in self._values:
            try:
                now = get(held)
            except LookupError:
                return True
            if not all(map(operator.is_, now, values)) and not all(map(_same, now, values)):
                return True
        if any(len(held) != size for held, size in self.sizes):
            return True
        return any(_content(value, _SMALL, ()) != content for value, content in self.contents)


def contents(net: Any, apart_from: Sequence[Array]) -> dict[str, list[Any]]:
    """Return what an object holds, also in large arrays, under the names of a program.

    Without arrays that share memory with some.
    """
    found: dict[str, list[Any]] = {}
    for container in _containers(net):
        for key, value in _items(container.held):
            if not any(value is array for array in apart_from):
                name = container.name if isinstance(container.held, list) else f"{container.name}.{key}"
                found.setdefault(name, []).extend((value, _content(value, _LARGE, apart_from)))
    return found


def changes(before: dict[str, list[Any]], now: dict[str, list[Any]]) -> set[str]:
    """Return the names of what is another one, or was not there; of `contents`."""
    return {
        name
        for name, values in now.items()
        if len(before.get(name, ())) != len(values) or not all(map(_same, before[name], values))
    }


def _containers(net: Any) -> Iterator[_Container]:
    """What holds values: an object, its attributes, and so on; and the classes that they are of."""
    seen: set[int] = set()
    found = collections.deque(_of_object("self", net, 0))
    while found and len(seen) < _MOST:
        container = found.popleft()
        if id(container.owner) not in seen:
            seen.add(id(container.owner))
            yield container
            if container.depth < _DEPTH:
                for key, value in _items(container.held):
                    found += _within(f"{container.name}.{key}", value, container.depth + 1)


def _within(name: str, value: Any, depth: int) -> Iterator[_Container]:
    """The containers that a value is."""
    if isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _within(f"{name}.{i}", inner, depth)
    elif isinstance(value, dict | list):
        yield _Container(name, value, value, depth)
    elif isinstance(value, type):
        yield from _of_class(value, depth)
    elif isinstance(value, types.FunctionType):
        if vars(value):
            yield _Container(name, vars(value), vars(value), depth)
    elif not isinstance(value, _WHOLE) and not _is_of_a_library(type(value)):
        yield from _of_object(name, value, depth)


def _of_object(name: str, value: Any, depth: int) -> Iterator[_Container]:
    if hasattr(value, "__dict__"):
        yield _Container(name, vars(value), vars(value), depth)
    if slots := [slot for cls in type(value).__mro__ for slot in _slots(cls)]:
        yield _Container(name, value, _Slots(value, slots), depth)
    for cls in type(value).__mro__:
        yield from _of_class(cls, depth)


def _of_class(cls: type, depth: int) -> Iterator[_Container]:
    if not _is_of_a_library(cls):
        yield _Container(cls.__name__, cls, vars(cls), depth)


def _is_of_a_library(cls: type) -> bool:
    """Whether what a class has does not change."""
    return cls.__module__.partition(".")[0] in ("abc", "builtins", "collections", "enum", "numpy", "secant", "typing")


_WHOLE = (types.ModuleType, types.MethodType, np.ndarray, *_PLAIN)


def _slots(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else [slot for slot in slots if slot not in ("__dict__", "__weakref__")]


def _items(held: Any) -> list[tuple[Any, Any]]:
    items = enumerate(held) if isinstance(held, list) else held.items()
    return [item for item in itertools.islice(items, _MOST) if not _is_of_python(*item)]


def _is_of_python(key: Any, value: Any) -> bool:
    """Whether a class has it of itself, such as its name: not a method such as ``__call__``."""
    return isinstance(key, str) and key.startswith("__") and not isinstance(value, types.FunctionType)


def _content(value: Any, most: int, apart_from: Sequence[Array]) -> Any:
    """Return what is in a value that can be changed where it is; None if that is not looked at."""
    if isinstance(value, np.ndarray):
        if value.size > most or any(np.may_share_memory(value, array) for array in apart_from):
            return None
        return value.tobytes()
    if isinstance(value, set | collections.deque):
        return str([*map(id, value)])
    return None


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    plain = isinstance(a, _PLAIN) and isinstance(b, _PLAIN) and type(a) is type(b)
    return plain and bool(a == b or (a != a and b != b))
