"""Where random numbers come from: by default NumPy's legacy global state, as in the
chapter.
"""

from typing import Any, Union

import numpy as np

from secant.errors import DTypeError, ValueRangeError

# In quotes, since NumPy imports its random numbers when they are used.
RandomSource = Union["np.random.Generator", "np.random.RandomState", int, None]


def stream(rng: RandomSource) -> Any:
    """Return the object that draws numbers: for None `numpy.random`, whose functions
    use the global state.
    """
    if rng is None:
        return np.random
    if isinstance(rng, np.random.Generator | np.random.RandomState):
        return rng
    if isinstance(rng, int | np.integer) and 0 <= rng < 2**32:
        return np.random.RandomState(rng)
    error = ValueRangeError if isinstance(rng, int | np.integer) else DTypeError
    raise error(
        "rng must be None, a NumPy Generator or RandomState, or a seed from 0 to 2**32"
        f" - 1, got {rng!r}"
    )


def seed(rng: Any) -> int:
    """A seed of random numbers that are the same in each call."""
    if not isinstance(rng, int | np.integer) or isinstance(rng, bool):
        raise DTypeError(f"rng must be a whole number, a seed, got {rng!r}")
    if rng < 0:
        raise ValueRangeError(f"rng must be at least 0, got {rng}")
    return int(rng)
