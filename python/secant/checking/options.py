"""The options of checks, and the names of arguments that are checked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, TypedDict, TypeVar

import numpy as np

from secant._common import validation
from secant._common.randomness import seed
from secant._common.validation import Array
from secant._common.warn import warn
from secant.checking.structure import walk
from secant.errors import DTypeError, ShapeError

F = TypeVar("F", bound=Callable[..., Any])


class CheckOptions(TypedDict, total=False):
    """The options that all checks have, for type checkers: see `secant.check_gradient`."""

    scale: Any
    max_findings: int
    names: Sequence[str] | None
    progress: bool
    rng: int


@dataclass(frozen=True)
class Options:
    """The same with their defaults."""

    scale: Any = None
    max_findings: int = 20
    names: Sequence[str] | None = None
    progress: bool = False
    rng: int = 0

    def __post_init__(self) -> None:
        """Raise the errors of single options."""
        validation.positive_int("max_findings", self.max_findings)
        validation.flag("progress", self.progress)
        seed(self.rng)


def with_options(function: F) -> F:
    """Let the signature of a check show the options that it takes as ``**options``."""
    signature = inspect.signature(function)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    for each in fields(Options):
        own.append(
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        )
    vars(function)["__signature__"] = signature.replace(parameters=own)
    return function


def warn_of_ignored(function: str, given: Mapping[str, Any]) -> None:
    """Warn of options that another library's check has, if they are given: tolerances are measured here."""
    if named := [name for name, value in given.items() if value]:
        verb = "are" if len(named) > 1 else "is"
        warn(f"{', '.join(named)} {verb} ignored by {function}: tolerances are measured", UserWarning)


def argument_paths(function: Callable[..., Any], prefix: str, paths: Sequence[str]) -> list[str]:
    """Paths such as ``inputs[0]['w']`` as ``params['w']``, where the signature of the function tells the name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a builtin, say
        return list(paths)
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    def named(found: re.Match[str]) -> str:
        index = int(found[1])
        return names[index] if index < len(names) else found[0]

    return [re.sub(rf"^{prefix}\[(\d+)\]", named, path) for path in paths]


def named(given: Sequence[str] | None, own: Sequence[str], hidden: int = 0) -> list[str]:
    """The names that are given for arrays, of which the last are not the user's; or else their own."""
    count = len(own) - hidden
    if given is None:
        return list(own)
    if not isinstance(given, Collection):
        raise DTypeError(f"names must be a list of str, got {type(given).__name__}")
    if len(given) != count:
        raise ShapeError(f"names must have one name for each of {count} arrays, got {len(given)}")
    return [*given, *own[count:]]


def scales(scale: Any, arrays: Sequence[Array], hidden: int = 0) -> Any:
    """Scales as `Point` takes them of arrays, of which the last are not the user's: their scales are their sizes.

    Arrays of complex numbers have their real and imaginary parts in a last axis, of which a scale need not know.
    """
    if scale is None or isinstance(scale, Real):
        return scale
    given = [np.asarray(each, np.float64) for _, each in walk("", scale)]
    count = len(arrays) - hidden
    if len(given) != count:
        raise ShapeError(f"scale must have one array for each of {count} arrays, got {len(given)}")
    pairs = zip(given, arrays[:count], strict=True)
    parts = [np.stack([each] * 2, -1) if (*each.shape, 2) == array.shape else each for each, array in pairs]
    return [*parts, *(np.abs(other) + np.abs(other).mean() for other in arrays[count:])]
