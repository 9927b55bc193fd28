"""What kinks at x may change in a slope.

The jumps of several kinks may cancel along a direction. They do not along all directions of which half of the entries
are left out.
"""

from collections.abc import Callable, Sequence

import numpy as np

from secant.differentiation.noise import root_mean_square
from secant.differentiation.slope import LIKELY, SURE

SMOOTH = 2.0**-5
"""Kinks are looked for unless a slope holds at steps of this size."""
WIDER = 2
"""Larger steps at which they are looked for: 8 and 64 times those of the slope."""
_LOOKS, _ALLOWED = 4, 2.0  # twice as many looks, where some of the first see a kink


def jumps(half: Callable[[], tuple[float, float]]) -> list[float]:
    """The jumps of a slope along some directions; none, unless it is likely that x lies on kinks.

    Parameters
    ----------
    half : callable
        Returns the jump along another direction, of half of the entries, and how clear it is.
    """
    found = [half() for _ in range(_LOOKS)]
    if sum(clear > LIKELY for _, clear in found) < 2 and not any(clear > SURE for _, clear in found):
        return []
    found += [half() for _ in range(_LOOKS)]
    return [jump for jump, _ in found]


def allowance(jumps: Sequence[float]) -> float:
    """What jumps like these may change in a slope."""
    return _ALLOWED * root_mean_square(np.array(jumps)) if any(jumps) else 0.0
