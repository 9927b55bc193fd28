"""What a gradient may be the gradient of, where it is not that of ``loss(x, t)``.

Two cases are frequent among right gradients. A textbook's leaves out the 1e-7 that its loss adds to a probability, and
``gradient`` may run the network in the mode for training where ``loss(x, t)`` does not. All is tried on a deep copy.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from secant._common.validation import Array, Floats
from secant.acceleration.recognition.equivalent import arrays_of, equivalent, in_place
from secant.acceleration.recognition.recognize import recognized
from secant.differentiation.evaluation import number

_MODE = re.compile("train|test|eval", re.IGNORECASE)  # in the name of an option that chooses a mode
_AGREE = 1e-6  # of losses that are compared to find the offset, relative
_LEAST_LOGIT = -1e4  # whose softmax is 0


class OtherLoss(NamedTuple):
    """A loss that a gradient may be meant for.

    Attributes
    ----------
    f : callable
        Takes nothing, and returns the loss of the copy as its arrays are.
    params : dict
        The arrays of the copy.
    name, note : str
        What it is, and what it means if a gradient is right for it.
    """

    f: Callable[[], float]
    params: dict[Any, Any]
    name: str
    note: str


def other_losses(net: Any, x: Any, t: Any, loss: str, gradient: str) -> Iterator[OtherLoss]:
    """The likeliest first. ``loss`` and ``gradient`` are the names of the methods."""
    called = f"{loss}(x, t)"
    try:
        twin = copy.deepcopy(net)
        params = dict(twin.params)
        plain = partial(getattr(twin, loss), x, t)
        modes = list(_modes(getattr(twin, loss)))
    except Exception:  # of the user's code: not every object can be copied
        return
    if f := _without_offset(twin, plain, t) or _recognized_without_offset(twin, x, t):
        yield _textbook(f, params, "the loss", called)
    for option, default in modes:
        f = partial(plain, **{option: not default})
        name = f"{loss}(x, t, {option}={not default})"
        note = f"{gradient}(x, t) seems to run the network so; {called} runs it with {option}={default}."
        yield OtherLoss(lambda f=f: number(f()), params, name, note)
        if without := _without_offset(twin, f, t):
            yield _textbook(without, params, name, called)._replace(note=note)


def _textbook(f: _WithoutOffset, params: dict[Any, Any], name: str, called: str) -> OtherLoss:
    offset = f"{f.offset:g}".replace("e-0", "e-")
    note = f"{called} adds {offset} to each probability, and y - t leaves it out: all is well if you mean that."
    return OtherLoss(f, params, f"{name} without the {offset} (as in the book)", note)
