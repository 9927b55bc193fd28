"""What a loss may be: the networks that Secant knows."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.layouts import Sizes
from secant.acceleration.recognition.probes import (
    Form,
    Probe,
    offset_probe,
    short,
    tolerance,
)
from secant.backends.activations import ACTIVATIONS
from secant.backends.base import HiddenActivation, OutputActivation
from secant.backends.numpy.forward import cross_entropy, softmax

Function = Callable[[Floats], Floats]
FUNCTIONS: dict[str, Function] = {
    name: activation.function for name, activation in ACTIVATIONS.items()
}
ACTIVATION_PAIRS: list[tuple[HiddenActivation, OutputActivation]] = list(
    itertools.product(get_args(HiddenActivation), get_args(OutputActivation))
)


class Candidate(NamedTuple):
    """A network that Secant knows.

    Its loss is the mean over the samples, or ``summed`` over them.
    """

    hidden_activation: HiddenActivation
    output_activation: OutputActivation
    log_offset: float
    summed: bool = False

    def loss(self, probe: Probe, *, argmax: bool = False) -> float:
        """Return the loss of this network; ``argmax``: targets stand for the class of
        the largest one.
        """
        x, t = probe.x, probe.t
        y = softmax(
            outputs(
                probe,
                FUNCTIONS[self.hidden_activation],
                FUNCTIONS[self.output_activation],
            )
        )
        mean = cross_entropy(
            y, t.argmax(axis=1) if argmax and t.ndim == 2 else t, self.log_offset
        )
        return mean * len(x) if self.summed else mean

    def agrees(self, probe: Probe, loss: float, *, argmax: bool = False) -> bool:
        """Whether a loss is that of this network."""
        expected = self.loss(probe, argmax=argmax)
        samples = len(probe.x) if self.summed else 1
        may_differ = samples * tolerance(probe.params, probe.x, expected / samples)
        return math.isfinite(expected) and abs(expected - loss) <= may_differ

    def __str__(self) -> str:
        """What it is, in words."""
        hidden, output, offset, summed = self
        sum_or_mean = ", summed over the samples" * summed
        return (
            f"{hidden} hidden, {output} output, log offset"
            f" {short(float(f'{offset:.6g}'))}{sum_or_mean}"
        )


def candidates(
    sizes: Sizes, form: Form, loss: Callable[[Probe], float]
) -> list[Candidate]:
    """Return candidates for each pair of activations, given the loss of a probe.

    The offset in the logarithm explains the loss of a sample whose class is improbable:
    it is exp(-loss) - y. One sample has the same mean and sum, so there is a candidate
    for each.
    """
    probe = offset_probe(sizes, form)
    improbable = loss(probe)
    fitting = []
    for hidden, output in ACTIVATION_PAIRS:
        y = float(softmax(outputs(probe, FUNCTIONS[hidden], FUNCTIONS[output]))[0, 0])
        offset = math.exp(-improbable) - y if abs(improbable) < 700 else 0.0
        offset = fewest_digits(offset, 1e-12 * (y + abs(offset)))
        if 0 <= offset < math.inf:
            fitting += [
                Candidate(hidden, output, offset, summed) for summed in (False, True)
            ]
    return fitting


def outputs(probe: Probe, hidden: Function, output: Function) -> Floats:
    """Return what goes into the softmax, (N, O)."""
    w1, b1, w2, b2 = probe.params
    with np.errstate(all="ignore"):
        return output(hidden(probe.x @ w1 + b1) @ w2 + b2)


def fewest_digits(value: float, slack: float) -> float:
    """Return a number this near with the fewest digits: 1e-7, not
    1.0000000000000052e-07.
    """
    if abs(value) <= slack:
        return 0.0
    return next(
        (
            short
            for digits in range(12)
            if abs((short := float(f"{value:.{digits}e}")) - value) <= slack
        ),
        value,
    )
