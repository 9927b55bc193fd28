"""What a gradient may be the gradient of, where it is not that of ``loss(x, t)``.

Two cases are frequent among right gradients. A textbook's leaves out the 1e-7 that its loss adds to a probability, and
``gradient`` may run the network in the mode for training where ``loss(x, t)`` does not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array
from secant.acceleration.recognition.equivalent import arrays_of, equivalent, in_place, rows
from secant.acceleration.recognition.methods import Methods
from secant.acceleration.recognition.recognize import recognized
from secant.differentiation.evaluation import number

Loss = Callable[[], Any]

_MODE = re.compile("train|test|eval", re.IGNORECASE)  # in the name of an option that chooses a mode
_AGREE = 1e-6  # relative: of losses that are compared to find the offset
_LEAST_SCORE = -1e4  # its softmax is 0
_LARGEST_OFFSET = 1e-3  # more is not there to keep log(0) away


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


def other_losses(net: Any, x: Any, t: Any, loss: str = "loss", gradient: str = "gradient") -> Iterator[OtherLoss]:
    """Losses that a gradient may be meant for. ``loss`` and ``gradient`` are names of methods.

    ``net`` is a copy to be tried out: its ``predict`` is replaced, and running it in training may change it.
    """
    method, called = getattr(net, loss), f"{loss}(x, t)"
    predictions = _watched(net)
    runs: list[tuple[Loss, str, str]] = [(lambda: method(x, t), "", "")]
    for option, default in _modes(method):
        note = f"{gradient}(x, t) seems to run the network so; {called} runs it with {option}={default}."
        other = partial(method, x, t, **{option: not default})
        runs.append((other, f"{loss}(x, t, {option}={not default})", note))
    for f, name, note in runs:
        if name:
            yield OtherLoss(f, name, note)
        if found := _without_offset(f, predictions, t) or (None if name else _recognized(net, x, t, loss)):
            without, offset = found
            text = f"{offset:g}".replace("e-0", "e-")
            note = note or f"{called} adds {text} to each probability; y - t, the textbook's gradient, leaves it out."
            name = f"{name or 'the loss'} without the {text} (as in the book)"
            yield OtherLoss(without, name, note)


def _watched(net: Any) -> list[Predictions]:
    try:
        return [Predictions(net, name) for name in ("predict", "forward") if callable(getattr(net, name, None))]
    except Exception:  # not every object takes attributes
        return []


def _modes(method: Callable[..., Any]) -> list[tuple[str, bool]]:
    """The options that choose between training and testing, with their defaults."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # a method that is compiled
        return []
    return [(p.name, p.default) for p in parameters if isinstance(p.default, bool) and _MODE.search(p.name)]


class Predictions:
    """Stands in for ``predict`` of a network: knows what it returned, or returns what it is told to.

    Attributes
    ----------
    last : object
        What was returned last.
    instead : ndarray, optional
        What is to be returned.
    """

    last: Any = None
    instead: Array | None = None

    def __init__(self, net: Any, name: str) -> None:
        self._predict = getattr(net, name)
        setattr(net, name, self)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return predictions."""
        self.last = self._predict(*args, **options) if self.instead is None else self.instead
        return self.last


class CrossEntropy:
    """A loss that is ``-weight * sum(log(p + offset))`` and what does not depend on predictions, as a weight decay.

    p are the probabilities of the targets. Predictions are probabilities or the scores before a softmax.

    Raises
    ------
    ValueError
        If it is not such a loss.
    """

    def __init__(self, loss: Loss, predictions: Predictions, t: Any) -> None:
        self._loss, self._predictions = loss, predictions
        predictions.last = None
        loss()
        self._shape = np.shape(predictions.last)
        y = self._rows()
        if y.shape[1] < 2:
            raise ValueError("one class")
        self._targets = np.arange(len(y)), _labels(np.asarray(t), y)
        self._scores = not (y.min() >= 0 and np.allclose(y.sum(axis=1), 1, rtol=0, atol=_AGREE))
        likely, even, impossible = (self._at(np.full(len(y), p)) for p in (1.0, 0.5, 0.0))
        self.offset = float(f"{np.exp(-(impossible - likely) / (even - likely) * np.log(2)):.3g}")
        if not 0 < self.offset <= _LARGEST_OFFSET:
            raise ValueError("no offset")
        self.weight = (even - likely) / np.log((1 + self.offset) / (0.5 + self.offset)) / len(y)
        for p in np.zeros(len(y)), np.geomspace(self.offset, 0.9, len(y)):
            change = self._at(p) - likely
            if not abs(change - self.weight * np.log((1 + self.offset) / (p + self.offset)).sum()) <= _AGREE * change:
                raise ValueError("another loss")

    def _rows(self) -> Array:
        return np.atleast_2d(np.asarray(self._predictions.last, np.float64))

    def _at(self, p: Array) -> float:
        """The loss where targets have these probabilities, and the other classes share the rest."""
        y = self._rows()
        y[:] = ((1 - p) / (y.shape[1] - 1))[:, None]
        y[self._targets] = p
        y = np.maximum(np.log(y), _LEAST_SCORE) if self._scores else y
        self._predictions.instead = y.reshape(self._shape)
        try:
            return number(self._loss())
        finally:
            self._predictions.instead = None

    def without_offset(self) -> float:
        """The loss where the offset is 0, from the same predictions."""
        loss, y = number(self._loss()), self._rows()
        p = y[self._targets]
        if self._scores:
            p = 1 / np.exp(y - p[:, None]).sum(axis=1)
        return float(loss + self.weight * np.log1p(self.offset / p).sum())


def _labels(t: Array, y: Array) -> Array:
    """The class of each sample."""
    if t.size == y.size:
        t = t.reshape(y.shape)
        if not ((t == 0) | (t == 1)).all() or not (t.sum(axis=1) == 1).all():
            raise ValueError("targets that are not one-hot")
        return np.asarray(t.argmax(axis=1))
    if t.size != len(y) or t.dtype.kind not in "iu":
        raise ValueError("no labels")
    return t.reshape(-1)


@np.errstate(all="ignore")
def _without_offset(loss: Loss, predictions: list[Predictions], t: Any) -> tuple[Loss, float] | None:
    """The loss without the offset in its logarithm, and the offset, by what the loss makes of given predictions."""
    for each in predictions:
        try:
            found = CrossEntropy(loss, each, t)
        except Exception:  # also of the user's code, which gets predictions that it may not expect
            continue
        return found.without_offset, found.offset
    return None


def _recognized(net: Any, x: Any, t: Any, loss: str) -> tuple[Loss, float] | None:
    """The same of a network that is recognized, whose loss need not call ``predict``."""
    # Only the loss counts, so no method is looked for that may be a numerical gradient.
    recognition = recognized(net, None, x, t, Methods(loss=loss, numerical_gradient=loss))
    if not recognition.known or not in_place(arrays_of(net, recognition)):
        return None
    if not 0 < recognition.log_offset <= _LARGEST_OFFSET:
        return None
    known = equivalent(net, recognition)  # on the same arrays
    known.log_offset = 0.0
    x, scale = rows(x), recognition.scale
    samples = len(np.atleast_2d(np.asarray(x)))
    return lambda: scale.loss(known.loss(x, t), samples), recognition.log_offset
