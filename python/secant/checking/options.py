"""The options of checks, by name and type: a typo fails at the call. And the names of arguments that are checked."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, get_type_hints

from secant._common.randomness import seed
from secant._common.warn import warn


class VectorOptions(TypedDict, total=False):
    """Options of `secant.check_gradient` that `secant.check_vjp` hands on."""

    max_evaluations: int | None
    confidence: float
    max_findings: int
    entries: bool
    progress: bool


class NetworkOptions(VectorOptions, total=False):
    """Options of `secant.check_gradient` that `secant.check_network` hands on."""

    rng: int


class DoorOptions(NetworkOptions, total=False):
    """Options of `secant.check_gradient` that checks for PyTorch and JAX have."""

    names: Sequence[str] | None
    scale: Any


class GradientOptions(DoorOptions, total=False):
    """All options of `secant.check_gradient`."""

    inplace: bool
    args: tuple[Any, ...]


def require_known(function: str, options: Mapping[str, Any], known: type) -> None:
    """Raise a TypeError, as a call does, for an option that is not one of a TypedDict; and check the seed."""
    names = get_type_hints(known)
    for name in options:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
    seed(options.get("rng", 0))


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
