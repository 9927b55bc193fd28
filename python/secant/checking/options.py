"""The options of checks, and the names of arguments that are checked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secant._common import validation
from secant._common.randomness import seed
from secant._common.warn import warn


@dataclass(frozen=True)
class Options:
    """The options that all checks have: see `secant.check_gradient`."""

    progress: bool = False
    rng: int = 0

    def __post_init__(self) -> None:
        """Raise the errors of single options."""
        validation.flag("progress", self.progress)
        seed(self.rng)


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
