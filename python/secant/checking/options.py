"""The options of checks, and the names of arguments that are checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from secant._common.randomness import seed
from secant._common.warn import warn


@dataclass
class Options:
    """The options that all checks have: see `secant.check_gradient`."""

    progress: bool = False
    rng: int = 0

    def __post_init__(self) -> None:
        """Raise the errors of a bad seed; one of NumPy's becomes a number of
        Python's.
        """
        self.rng = seed(self.rng)


def warn_of_ignored(function: str, given: Mapping[str, Any]) -> None:
    """Warn of options that another library's check has, if they are given: tolerances
    are measured here.
    """
    if named := [name for name, value in given.items() if value]:
        warn(
            f"{function} ignores {', '.join(named)}: tolerances are measured",
            UserWarning,
        )


def warn_of_unchecked(
    function: str, given: Mapping[str, Any], what: Mapping[str, str]
) -> None:
    """Warn of each option that asks for more than is checked here: ``what`` says what
    is not.
    """
    for name, value in given.items():
        if value:
            warn(f"{function} ignores {name}: {what[name]}", UserWarning)


def argument_names(function: Callable[..., Any], prefix: str, count: int) -> list[str]:
    """The names of arguments in the signature of a function; ``inputs[1]``, say, of
    those that it does not tell.

    PyTorch gives a function that takes ``ctx`` that itself.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of a builtin, say
        parameters = []
    names = [
        each.name
        for each in parameters
        if each.kind <= each.POSITIONAL_OR_KEYWORD and each.name != "ctx"
    ][:count]
    return [*names, *(f"{prefix}[{i}]" for i in range(len(names), count))]
