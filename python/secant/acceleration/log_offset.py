"""What a loss adds to each probability in its logarithm: found from its values for
other targets.

Model: the loss of targets t is R + a sum(-t log(y + c)). The network predicts the
probabilities y, c is the offset, and a is 1 / N or 1. R, such as a weight decay, is the
same for all targets, so that differences of losses leave it out. They tell c, whatever
the layers are. Each loss is that of the same x and the same parameters.

Steps:

1. Evaluate the loss for the least and the most probable class of each sample, for
   random targets, and for t.
2. Solve the difference of the first two for c: there an offset shows most.
3. Accept c if the model explains all of the losses, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.acceleration.recognition.candidates import fewest_digits
from secant.acceleration.recognition.equivalent import RecognizedNet, rows
from secant.acceleration.recognition.methods import MethodNames
from secant.acceleration.recognition.recognize import recognized
from secant.backends.numpy.forward import softmax

_LEAST, _LARGEST = 1e-18, 1e-3  # more is not there to keep log(0) away
_HALVINGS = 60  # of the range of exponents: to the last digit
_RANDOM_TARGETS = 3  # that must confirm an offset
# relative to a loss: sums and softmaxes in another order differ by a few units
_ROUNDING = 64 * 2.0**-52
Probabilities = Callable[[], Floats]


class LogOffset(NamedTuple):
    """The offset in a logarithm, and what it takes to leave it out of a loss."""

    value: float
    factor: float
    """1 / N, or 1 if the loss is summed over the samples."""
    weights: Floats  # (N, O)
    """Of the classes in the logarithms: the targets as the loss reads them."""
    probabilities: Probabilities
    """Of the network for the mini-batch, where its parameters are now: (N, O)."""

    def contribution(self) -> float:
        """The loss without the offset, minus the loss."""
        counts = self.weights != 0  # a probability that is not counted may be 0
        ratios = self.value / self.probabilities()[counts]
        return self.factor * float(np.sum(self.weights[counts] * np.log1p(ratios)))


def find_log_offset(
    net: Any, names: MethodNames, loss_of: Callable[[Any], float], x: Any, t: Any
) -> LogOffset | None:
    """Return the offset of a network's loss; None if no offset shows, or the loss is
    another one.

    ``loss_of`` takes targets. Probabilities are what ``net.predict(x)`` returns, or the
    softmax of that. If they do not explain the loss, they are those of the network that
    `recognize` finds.
    """
    for probabilities in _sources(net, names, x):
        try:
            offset = _find(probabilities, loss_of, np.asarray(t))
        except Exception:
            # whatever the reader's code raises for other targets, or a method returns
            continue
        if offset:
            return offset
    return None


def _sources(net: Any, names: MethodNames, x: Any) -> Iterator[Probabilities]:
    if callable(getattr(net, "predict", None)):
        yield lambda: np.atleast_2d(net.predict(x))
        yield lambda: softmax(np.atleast_2d(net.predict(x)))
    recognition = recognized(net, names, with_gradient=False)
    if recognition.known:
        recognized_net = RecognizedNet(net, recognition)
        yield lambda: np.atleast_2d(recognized_net.two_layer_net().predict(rows(x)))


def _find(
    probabilities: Probabilities, loss_of: Callable[[Any], float], t: Array
) -> LogOffset | None:
    y = probabilities()  # (N, O)
    samples, classes = y.shape
    are_probabilities = np.all(y >= 0) and np.allclose(y.sum(axis=1), 1)
    if classes < 2 or not are_probabilities:
        return None

    # 1. Evaluate the loss for other targets, and for t.
    rng = np.random.default_rng(0)
    least, most = y.argmin(axis=1), y.argmax(axis=1)
    random = [rng.integers(classes, size=samples) for _ in range(_RANDOM_TARGETS)]
    tried = [np.eye(classes)[labels] for labels in (least, most, *random)]
    losses = np.array(
        [loss_of(_in_form_of(t, one_hot)) for one_hot in tried] + [loss_of(t)]
    )
    rounding = _ROUNDING * float(np.abs(losses).max())

    given = _weights(t, samples, classes)
    by_argmax = np.eye(classes)[given.argmax(axis=1)]  # some losses read weights so
    for factor in (1 / samples, 1.0):
        # 2. Solve for c.
        difference = float(losses[0] - losses[1])
        value = _solve(y, tried[0], tried[1], difference / factor, rounding / factor)
        if not value:
            continue

        # 3. R, which is left over, must be the same for all targets.
        for weights in (given, by_argmax):
            entropies = [
                -np.sum(each * np.log(y + value)) for each in (*tried, weights)
            ]
            rest = losses - factor * np.array(entropies)
            if np.ptp(rest) <= 2 * rounding:
                return LogOffset(value, factor, weights, probabilities)
    return None


def _weights(t: Array, samples: int, classes: int) -> Floats:
    """The targets as weights of the classes, (N, O)."""
    if t.size == samples * classes:
        return np.asarray(t, np.float64).reshape(samples, classes)
    return np.eye(classes)[t.reshape(samples)]


def _in_form_of(t: Array, one_hot: Floats) -> Array:
    """Other targets, as labels or as rows, like t."""
    targets = one_hot if t.size == one_hot.size else one_hot.argmax(axis=1)
    return targets.reshape(t.shape).astype(t.dtype)


def _solve(
    y: Floats, least: Floats, most: Floats, difference: float, rounding: float
) -> float:
    """Return the offset that explains the difference of two losses; 0 if none does, or
    rounding hides it.

    ``least`` and ``most`` select the least and the most probable class of each sample:
    the larger the offset, the smaller the difference.
    """

    def modeled(exponent: float) -> float:
        return float(np.sum((most - least) * np.log(y + 10**exponent)))

    def exponent_of(wanted: float) -> float:
        low, high = np.log10([_LEAST, _LARGEST]).tolist()
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if modeled(middle) > wanted else (low, middle)
        return float(low)

    is_possible = (
        modeled(np.log10(_LARGEST))
        < difference
        < modeled(np.log10(_LEAST)) - 2 * rounding
    )
    if not is_possible:
        return 0.0
    smallest, largest = (
        10 ** exponent_of(difference + rounding),
        10 ** exponent_of(difference - rounding),
    )
    return fewest_digits((smallest + largest) / 2, (largest - smallest) / 2)
