"""What a gradient may be the gradient of, where it is not that of ``loss(x, t)``.

Two cases are frequent among right gradients. A textbook's leaves out the 1e-7 that its loss adds to a probability, and
``gradient`` may run the network in the mode for training where ``loss(x, t)`` does not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from secant.acceleration.log_offset import Loss, Predictions, recognized_without_offset, without_offset

# In the name of an option that chooses a mode, such as train_flg or is_training.
_MODE = re.compile(r"(?:^|_)(train|training|test|testing|eval)(?:_|$)", re.IGNORECASE)


class OtherLoss(NamedTuple):
    """A loss that a gradient may be meant for.

    Attributes
    ----------
    f : callable
        Takes nothing, and returns the loss of the network as its arrays are.
    name, note : str
        What it is, and why a gradient may be meant for it.
    """

    f: Loss
    name: str
    note: str


def other_losses(
    net: Any, predictions: Sequence[Predictions], x: Any, t: Any, loss: str, gradient: str
) -> Iterator[OtherLoss]:
    """Losses that a gradient may be meant for. ``loss`` and ``gradient`` are names of methods.

    ``net`` is a copy to be tried out: running it in training may change it.
    """
    method, called = getattr(net, loss), f"{loss}(x, t)"
    runs: list[tuple[Loss, str, str]] = [(lambda: method(x, t), "", "")]
    for option, in_training in _modes(method):
        note = f"{gradient}(x, t) seems to run the network so; {called} runs it with {option}={not in_training}."
        other = partial(method, x, t, **{option: in_training})
        runs.append((other, f"{loss}(x, t, {option}={in_training})", note))
    for f, name, note in runs:
        if name:
            yield OtherLoss(f, name, note)
        if found := without_offset(f, predictions, t) or (None if name else recognized_without_offset(net, x, t, loss)):
            without, offset = found
            text = f"{offset:g}".replace("e-0", "e-")
            note = note or f"{called} adds {text} to each probability; y - t, the textbook's gradient, leaves it out."
            name = f"{name or 'the loss'} without the {text} (as in the book)"
            yield OtherLoss(without, name, note)


def _modes(method: Callable[..., Any]) -> list[tuple[str, bool]]:
    """The options that choose training where it is not the default, and what they are then."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # a method that is compiled
        return []
    # Not the other way: a gradient that forgets what the loss has in training alone, such as a weight decay, is wrong.
    modes = [
        (p.name, word[1].lower().startswith("train"), p.default) for p in parameters if (word := _MODE.search(p.name))
    ]
    return [(name, in_training) for name, in_training, default in modes if default is (not in_training)]
