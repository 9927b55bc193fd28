"""Faults that a pass over the data of a mini-batch may find, and the errors for them.

A backend notices that something is wrong in the pass that reads the data. The functions
here then find which element it is, for the message.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Array
from secant.backends.base import PARAM_NAMES, Fault, Parameters
from secant.backends.inputs import Rows
from secant.errors import ValueRangeError

OVERFLOW = Fault(
    "x and params must be small enough for a finite result, got an overflow"
)
UNDERFLOW = Fault(
    "log_offset is 0 and the probability of a target has underflowed to 0: its"
    " logarithm is infinite"
)
BEYOND_FLOAT32 = Fault("x and params must be small enough for float32 to compute with")
LARGE_TARGETS = Fault("t must be small enough for a finite loss, got an overflow")
CHANGED = Fault(
    "x, t and params must not be written to by another thread during a call"
)
_FINITE = "be finite"


def of_finite(
    which: str,
    array: Array,
    all_finite: Callable[[Array], bool] = validation.all_finite,
) -> Fault | None:
    """Find the first element that is NaN or infinite."""
    return (
        None
        if all_finite(array)
        else Fault(_FINITE, which, int(np.isfinite(array).argmin()))
    )


def of_weights(which: str, array: Array) -> Fault | None:
    """Find the first element that is NaN, infinite or negative."""
    if fault := of_finite(which, array):
        return fault
    negative = array < 0
    return (
        Fault("hold weights of at least 0", which, int(negative.argmax()))
        if negative.any()
        else None
    )


def of_targets(t: Array, classes: int) -> Fault | None:
    """Find the first label that is out of range, or the first invalid weight."""
    if t.ndim > 1:
        return of_weights("t", t)
    bad = (t < 0) | (t >= classes)
    return (
        Fault(f"hold class labels from 0 to {classes - 1}", "t", int(bad.argmax()))
        if bad.any()
        else None
    )


def first(
    net: Parameters,
    x: Array | Rows | None = None,
    t: Array | None = None,
    all_finite: Callable[[Array], bool] = validation.all_finite,
) -> Fault | None:
    """Find what is wrong with the parameters of a network, or inputs, or targets.

    `Rows` were checked before.
    """
    arrays: dict[str, Any] = dict(zip(PARAM_NAMES, net, strict=False))
    if isinstance(x, np.ndarray):
        arrays["x"] = x
    for which, array in arrays.items():
        if fault := of_finite(which, array, all_finite):
            return fault
    return None if t is None else of_targets(t, len(net.b2))


def of_result(loss: float, log_offset: float) -> Fault:
    """Say why the gradient of a mini-batch without a fault is not finite."""
    if loss != math.inf:
        return OVERFLOW
    # with an offset, the logarithm of no probability is large
    return LARGE_TARGETS if log_offset else UNDERFLOW


def error(
    fault: Fault, taken: dict[str, Array], given: ArrayLike | None = None
) -> ValueRangeError:
    """Return the error that names an argument.

    ``taken`` has all arguments by name; ``given`` is x before it was converted, if it
    was.
    """
    if fault.where is None:
        return ValueRangeError(fault.must)
    array, must = taken[fault.which], fault.must
    shown: Any = (
        np.asarray(given) if fault.which == "x" and given is not None else array
    )
    index = tuple(int(i) for i in np.unravel_index(fault.where, shown.shape))
    if shown is not array and np.isfinite(shown[index]):
        must = f"be within the range of {array.dtype}"
    title = (
        f"params[{fault.which!r}]"
        if fault.which in ("W", *PARAM_NAMES)
        else fault.which
    )
    at = f" at {index}" if fault.must == _FINITE else ""
    return ValueRangeError(f"{title} must {must}, got {shown[index]!s}{at}")
