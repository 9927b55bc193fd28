"""Warnings that point at the line of the user's code that called Secant, however deep inside they are raised."""

import os
import sys
import warnings
from types import FrameType

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn at the innermost line that is not Secant's own."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame and frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
