"""Names of arguments, as the function that takes them calls them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any


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
