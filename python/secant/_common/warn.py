"""Warnings that point at the line of the user's code."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

_NOT_THE_USERS = (os.path.join(Path(__file__).parents[1], ""), contextlib.__file__)


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn at the first line outside of this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(
        _NOT_THE_USERS
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
