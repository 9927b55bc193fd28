"""What stands in a class in place of its numerical gradient, and what the class would have without it.

Design: a plain function stands in the class, so that a reader, inspect and doctest see what they saw before. It has an
attribute, the `StandIn`, which keeps what it needs.
"""

import inspect
from types import FunctionType
from typing import Any

_MISSING = object()
_ATTRIBUTE = "_secant"


class StandIn:
    """What a function keeps that stands in a class in place of the method ``name``."""

    function: Any  # a FunctionType

    def __init__(self, cls: type, name: str) -> None:
        self.cls, self.name, self._own = cls, name, vars(cls).get(name, _MISSING)

    def stand_in_as(self, function: FunctionType) -> None:
        """Be what this function keeps."""
        self.function = function
        vars(function)[_ATTRIBUTE] = self

    def reader_gradient(self, owner: type) -> Any:
        """Return what the class would have without it, defined there or inherited; None if there is nothing."""
        if self._own is not _MISSING:
            return self._own
        order = owner.__mro__ if self.cls in owner.__mro__ else self.cls.__mro__  # another class may have a copy
        following = (vars(cls)[self.name] for cls in order if self.name in vars(cls))
        for standing in following:
            if standing is self.function:
                break
        return next((standing for standing in following if standing is not self.function), None)

    def unwrapped(self, owner: type) -> Any:
        """The same, without the stand-ins of classes that it inherits from."""
        return _unwrapped(self.reader_gradient(owner), owner)


def stand_in(value: Any) -> StandIn | None:
    """Return the `StandIn` of a function; None if it has none, such as a decorator's, which copies attributes."""
    kept = vars(value).get(_ATTRIBUTE) if isinstance(value, FunctionType) else None
    return kept if isinstance(kept, StandIn) and kept.function is value else None


def reader_gradient_of(cls: type, name: str) -> Any:
    """Return the reader's numerical gradient of a class, as defined there or inherited; None if there is none."""
    return _unwrapped(inspect.getattr_static(cls, name, None), cls)


def _unwrapped(standing: Any, owner: type) -> Any:
    kept = stand_in(standing)
    return standing if kept is None else kept.unwrapped(owner)
