"""What an object holds besides its parameters: a change of it may make its network another one."""

from __future__ import annotations

import array
import collections
import math
import operator
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.networks.recognition.containers import PLAIN, containers, items

_SMALL = 1000  # entries of an array, or a set, that are looked at themselves at each call
_LARGE = 50_000_000  # bytes of arrays that are looked at in a trial
_STRIKES = 3  # changes without an effect, after which a value is looked at now and then only
NEVER = math.inf  # strikes, after which it is not looked at any more
_SIZE = object()  # the key of the number of values in a container
Name = tuple[str, Any]  # a container, and a key of it


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
        for container in containers(net):
            self._kept.append(container)
            owner, held = container.owner, container.held
            often: dict[Any, Any] = {}
            seldom: dict[Any, Any] = {}
            for key, value in [*items(held), (_SIZE, len(held))]:
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
    for container in containers(net):
        found[container.name, _SIZE] = len(container.held), None
        for key, value in items(container.held):
            if id(value) not in apart:
                content = _state_of(value) or _content(value, left // 8, apart_from)
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


def _content(value: Any, most: int, apart_from: Sequence[Array]) -> Any:
    """Return what is in a value that can be changed where it is; None if that is not looked at."""
    if isinstance(value, PLAIN):
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


def _state_of(value: Any) -> Any:
    """The state of a random generator; None of anything else."""
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    return value.getstate() if isinstance(value, random.Random) else None


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is tuple is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    plain = isinstance(a, PLAIN) and isinstance(b, PLAIN) and type(a) is type(b)
    return plain and bool(a == b or (a != a and b != b))
