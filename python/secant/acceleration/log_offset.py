"""Losses without the 1e-7 in their logarithm: found by what a loss makes of predictions that are given to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.acceleration.recognition.equivalent import arrays_of, equivalent, in_place, rows
from secant.acceleration.recognition.methods import Methods
from secant.acceleration.recognition.recognize import recognized
from secant.differentiation.evaluators.evaluation import number

Loss = Callable[[], Any]

_AGREE = 1e-6  # relative: of losses that are compared to find the offset
_LEAST_SCORE = -1e4  # its softmax is 0
_MOST_WEIGHTS = 20_000  # that are measured one by one
_ZERO = 1e-9  # relative to the largest weight
_LARGEST_OFFSET = 1e-3  # more is not there to keep log(0) away


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
        self._net, self._name, self._before = net, name, vars(net).get(name)
        self._predict = getattr(net, name)
        setattr(net, name, self)

    def remove(self) -> None:
        """Put the method back."""
        if self._before is None:
            delattr(self._net, self._name)
        else:
            setattr(self._net, self._name, self._before)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return predictions."""
        self.last = self._predict(*args, **options) if self.instead is None else self.instead
        return self.last


@contextmanager
def stand_ins(net: Any) -> Iterator[list[Predictions]]:
    """Stand in for the methods of a network that may return its predictions, within a ``with`` block."""
    found: list[Predictions] = []
    try:
        for name in ("predict", "forward"):
            if callable(getattr(net, name, None)):
                with suppress(Exception):  # not every object takes attributes
                    found.append(Predictions(net, name))
        yield found
    finally:
        for each in found:
            each.remove()


class CrossEntropy:
    """A loss that is ``-sum(weights * log(p + offset))`` and what does not depend on predictions, as a weight decay.

    p are the probabilities of all classes, (N, C). Weights are targets, hard or soft, perhaps smoothed, times what a
    class or a sample counts. Predictions are probabilities or the scores before a softmax.

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
        self._scores = not (y.min() >= 0 and np.allclose(y.sum(axis=1), 1, rtol=0, atol=_AGREE))
        certain, quarter, half = (self._sum_over_pairs(p) for p in (1.0, 0.25, 0.5))
        ratio, offset = (certain - half) / (quarter - half), 0.0
        for _ in range(5):  # solve for the offset, which is small
            curvature = (0.25 + offset) * (0.75 + offset) / (0.5 + offset) ** 2
            offset = curvature**ratio * (0.5 + offset) ** 2 / (1 + offset)
        self.offset = float(f"{offset:.3g}")
        if not 0 < self.offset <= _LARGEST_OFFSET:
            raise ValueError("no offset")
        # Samples of equal targets mostly have equal weights. If not, each has its own.
        alike = np.unique(np.reshape(t, (len(y), -1)), axis=0, return_inverse=True)[1].reshape(-1)
        for groups in alike, np.arange(len(y)):
            self._weights = self._measured_weights(groups)
            if self._holds():
                return
        raise ValueError("another loss")

    def _rows(self) -> Array:
        return np.atleast_2d(np.asarray(self._predictions.last, np.float64))

    def _at(self, p: Array) -> float:
        """The loss where these are the probabilities."""
        y = np.maximum(np.log(p), _LEAST_SCORE) if self._scores else p
        self._predictions.instead = y.reshape(self._shape)
        try:
            return number(self._loss())
        finally:
            self._predictions.instead = None

    def _uniform(self) -> Array:
        y = self._rows()
        return np.full(y.shape, 1 / y.shape[1])

    def _sum_over_pairs(self, p: float) -> float:
        """The sum of losses where one class has the probability p and the next one has the rest: over all classes."""
        count = self._rows().shape[1]
        rows = np.zeros(count)
        rows[0], rows[1] = p, 1 - p
        return sum(self._at(np.tile(np.roll(rows, k), (len(self._rows()), 1))) for k in range(count))

    def _measured_weights(self, groups: Array) -> Array:
        """The weights, from one loss for each class and group of samples, which it makes certain of the class."""
        even, counts = self._uniform(), np.bincount(groups)
        change, at_even = np.empty((len(counts), even.shape[1])), self._at(even)
        if change.size > _MOST_WEIGHTS:
            raise ValueError("too many weights")
        for group, k in np.ndindex(change.shape):
            p = even.copy()
            p[groups == group] = np.arange(even.shape[1]) == k
            change[group, k] = (self._at(p) - at_even) / counts[group]
        gain, loss = np.log((even[0, 0] + self.offset) / [1 + self.offset, self.offset])
        total = change.sum(axis=1, keepdims=True) / (gain + (even.shape[1] - 1) * loss)
        weights = (total * loss - change) / (loss - gain)
        weights[np.abs(weights) < _ZERO * np.abs(weights).max()] = 0
        return np.asarray(weights[groups])

    def _holds(self) -> bool:
        """Whether the loss is this one, at random probabilities of which some are about as small as the offset."""
        even, rng = self._uniform(), np.random.default_rng(0)
        at_even = self._at(even)
        for _ in range(2):
            p = rng.uniform(size=even.shape) ** 20
            p /= p.sum(axis=1, keepdims=True)
            terms = self._weights * np.log((even + self.offset) / (p + self.offset))
            if not abs(self._at(p) - at_even - terms.sum()) <= _AGREE * np.abs(terms).sum():
                return False
        return True

    def without_offset(self) -> float:
        """The loss where the offset is 0, from the same predictions."""
        loss, p = number(self._loss()), self._rows()
        if self._scores:
            p = np.exp(p - p.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
        there = self._weights != 0
        return float(loss + (self._weights[there] * np.log1p(self.offset / p[there])).sum())


@np.errstate(all="ignore")
def without_offset(loss: Loss, predictions: Sequence[Predictions], t: Any) -> tuple[Loss, float] | None:
    """The loss without the offset in its logarithm, and the offset, by what the loss makes of given predictions."""
    for each in predictions:
        try:
            found = CrossEntropy(loss, each, t)
        except Exception:  # also of the user's code, which gets predictions that it may not expect
            continue
        return found.without_offset, found.offset
    return None


def recognized_without_offset(net: Any, x: Any, t: Any, loss: str) -> tuple[Loss, float] | None:
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
