"""What kinks at x may change in a slope.

The jumps of several kinks may cancel along a direction. They do not along all directions of which half of the entries
are left out.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from secant.checking.slope import LIKELY, SURE

WIDER = 2
"""Larger steps at which kinks are looked for after an alarm: 8 and 64 times those of the slope."""
_PROBES, _ALLOWED = 8, 2.0


def allowance(jumps: Sequence[float], half: Callable[[], tuple[float, float]], alarm: bool) -> float:
    """What kinks may change in a slope; 0 if there is none.

    Parameters
    ----------
    jumps : sequence of float
        Those of the slopes along directions of all entries.
    half : callable
        Returns the jump along another direction, of half of the entries, and how clear it is.
    alarm : bool
        Whether a slope seems to be wrong: then kinks are looked for also where no jump is seen.
    """
    found, likely, sure = list(jumps), 0, any(jumps)
    for number in range(_PROBES):
        if not sure and (not alarm or (number >= _PROBES // 2 and likely < 2)):
            return 0.0
        jump, clear = half()
        found.append(jump)
        likely += clear > LIKELY
        sure = sure or clear > SURE
    return _ALLOWED * math.sqrt(float(np.mean(np.square(found))))
