"""What an object holds besides its parameters: a change of it may make its network another one."""

from __future__ import annotations

import itertools
import operator
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

_DEPTH, _MOST = 4, 400  # containers within containers, and values that are watched
_SMALL = 1000  # entries of an array that are looked at themselves
_STRIKES = 3  # changes without an effect, after which a value is left alone
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_SIZE = object()


class State:
    """The values in an object, and in what it refers to, as they were when they were looked at last."""

    def __init__(self) -> None:
        self._watched: list[tuple[Any, Any, list[Any]]] = []  # a container, how to get values of it, the values
        self._sizes: list[tuple[Any, int]] = []
        self._entries: list[tuple[Any, bytes]] = []
        self._strikes: dict[tuple[int, Any], int] = {}
        self._before: dict[tuple[int, Any], Any] = {}
        self._kept: list[Any] = []  # an id is that of one object as long as it lives

    def look(self, net: Any, parameters: Any, keys: tuple[Any, ...], strike: int = 1) -> None:
        """Take what is there now for what is right, but for ``keys`` of the dict of parameters.

        What has changed gets a strike; after three it is left alone.
        """
        arrays = [parameters[key] for key in keys]
        now: dict[tuple[int, Any], Any] = {}
        self._watched, self._sizes, self._entries, self._kept = [], [], [], []
        for container in _containers(net):
            self._kept.append(container)
            items, watched = _items(container), {}
            for key, value in [*items, (_SIZE, len(items))]:
                where = id(container), key
                now[where] = value
                if not _same(self._before.get(where, value), value):
                    self._strikes[where] = self._strikes.get(where, 0) + strike
                if self._strikes.get(where, 0) >= _STRIKES or (container is parameters and key in keys):
                    continue
                if key is _SIZE:
                    self._sizes += [] if isinstance(container, type) else [(container, len(container))]
                    continue
                watched[key] = value
                small = isinstance(value, np.ndarray) and value.size <= _SMALL
                if small and not any(np.may_share_memory(value, array) for array in arrays):
                    self._entries.append((value, value.tobytes()))
            if watched:
                get = operator.itemgetter(*watched, next(iter(watched)))  # of at least two, so that it is a tuple
                held = vars(container) if isinstance(container, type) else container
                self._watched.append((held, get, [*get(held)]))
        self._before = now

    def changed(self) -> bool:
        """Whether something is another one."""
        for container, get, values in self._watched:
            try:
                now = get(container)
            except LookupError:
                return True
            if not all(map(operator.is_, now, values)) and not all(map(_same, now, values)):
                return True
        if any(len(container) != size for container, size in self._sizes):
            return True
        return any(array.tobytes() != entries for array, entries in self._entries)


def _containers(net: Any) -> Iterator[Any]:
    """The dicts and lists in an object, in its attributes, and so on; and the classes that it is of."""
    seen: set[int] = set()
    found: list[tuple[Any, int]] = [(vars(net), 0)]
    found += [(cls, _DEPTH) for cls in type(net).__mro__ if cls.__module__ != "builtins"]
    while found and len(seen) < _MOST:
        container, depth = found.pop(0)
        if id(container) not in seen:
            seen.add(id(container))
            yield container
            if depth < _DEPTH:
                found += [(inner, depth + 1) for _, value in _items(container) for inner in _within(value)]


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _within(inner)
    elif hasattr(value, "__dict__") and not isinstance(value, _WHOLE):
        yield vars(value)


_WHOLE = (type, types.ModuleType, types.FunctionType, types.MethodType, np.ndarray)


def _items(container: Any) -> list[tuple[Any, Any]]:
    if isinstance(container, list):
        return list(enumerate(container[:_MOST]))
    held = vars(container) if isinstance(container, type) else container
    items = itertools.islice(held.items(), _MOST)
    return [(key, value) for key, value in items if not (isinstance(key, str) and key.startswith("__"))]


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    plain = isinstance(a, _PLAIN) and isinstance(b, _PLAIN) and type(a) is type(b)
    return plain and bool(a == b or (a != a and b != b))
