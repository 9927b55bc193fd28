"""What a loss may be: the networks that Secant knows."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.layouts import Sizes
from secant.acceleration.recognition.probes import Form, Probe, offset_probe, short, tolerance
from secant.backends.activations import ACTIVATIONS
from secant.backends.base import HiddenActivation, OutputActivation
from secant.backends.numpy.forward import cross_entropy, softmax

Functions = dict[str, Callable[[Floats], Floats]]
FUNCTIONS: Functions = {name: activation.function for name, activation in ACTIVATIONS.items()}


class Scale(NamedTuple):
    """How a loss is made of the mean cross entropy of the samples: that or their sum, plus a constant."""

    summed: bool = False
    constant: float = 0.0

    def factor(self, samples: int) -> int:
        """What the mean, and so its gradient, is multiplied by."""
        return samples if self.summed else 1

    def loss(self, mean: float, samples: int) -> float:
        """The loss of a mini-batch."""
        return self.factor(samples) * mean + self.constant

    def error(self, of_mean: float, samples: int) -> float:
        """How far two roundings of a loss may be apart, if those of the mean may be so far."""
        return self.factor(samples) * of_mean + 8 * float(np.finfo(float).eps) * abs(self.constant)

    def __str__(self) -> str:
        """What differs from the mean alone, as a part of a sentence."""
        constant = f", plus {short(self.constant)}" if self.constant > 0 else f", minus {short(-self.constant)}"
        return ", summed over the samples" * self.summed + constant * bool(self.constant)


MEAN = Scale()


class Candidate(NamedTuple):
    """A network that Secant knows."""

    hidden_activation: HiddenActivation
    output_activation: OutputActivation
    log_offset: float
    scale: Scale = MEAN

    def loss(self, probe: Probe, *, argmax: bool = False) -> float:
        """Return the loss of this network."""
        return self.scale.loss(self._mean(probe, argmax), len(probe.rows[0]))

    def agrees(self, probe: Probe, loss: float, *, argmax: bool = False) -> bool:
        """Whether a loss is that of this network."""
        x, mean = probe.rows[0], self._mean(probe, argmax)
        off = abs(self.scale.loss(mean, len(x)) - loss)
        return math.isfinite(mean) and off <= self.scale.error(tolerance(probe.params, x, mean), len(x))

    def _mean(self, probe: Probe, argmax: bool) -> float:
        """The mean cross entropy of the samples."""
        _, t = probe.rows
        y = softmax(outputs(probe, self.hidden_activation, self.output_activation))
        return cross_entropy(y, t.argmax(axis=1) if argmax and t.ndim == 2 else t, self.log_offset)


KINDS: list[tuple[HiddenActivation, OutputActivation]] = list(
    itertools.product(get_args(HiddenActivation), get_args(OutputActivation))
)


_LARGEST_CONSTANT = 100.0  # beside which a loss has digits enough


def candidates(sizes: Sizes, form: Form, loss: Callable[[Probe], float]) -> list[Candidate]:
    """Return candidates for each pair of activations.

    The offset in the logarithm and the constant explain the losses of one sample as class 0, which is improbable, and
    as class 1: L = c - log(y + offset), so exp(c) is the ratio of the differences of y and of exp(-L).
    """
    fitting = []
    improbable, probable = (offset_probe(sizes, form, target) for target in (0, 1 % sizes[2]))
    least, usual = loss(improbable), loss(probable)
    for hidden, output in KINDS:
        y = softmax(outputs(improbable, hidden, output))[0]
        rise = float(y[1 % sizes[2]] - y[0])
        with np.errstate(all="ignore"):
            constant = _rounded(float(np.log(rise / (np.exp(-usual) - np.exp(-least)))), 1e-15)
            if not abs(constant) <= _LARGEST_CONSTANT:
                constant = 0.0
            mean = least - constant
            offset = _rounded(float(np.exp(-mean) - y[0]), 1e-15 * y[0]) if mean < 700 else 0.0
        if 0 <= offset < math.inf:
            fitting += [Candidate(hidden, output, offset, Scale(summed, constant)) for summed in (False, True)]
    return fitting


def outputs(probe: Probe, hidden: str, output: str, functions: Functions = FUNCTIONS) -> Floats:
    """Return what goes into the softmax, (N, O)."""
    w1, b1, w2, b2 = probe.params
    x, _ = probe.rows
    with np.errstate(all="ignore"):
        return functions[output](functions[hidden](x @ w1 + b1) @ w2 + b2)


def _rounded(value: float, uncertainty: float) -> float:
    """Return the number of fewest digits that is within the uncertainty: 1e-7, not 1.0000000000000052e-07."""
    slack = 16 * uncertainty + 1e-12 * abs(value)
    if abs(value) <= slack:
        return 0.0
    return next((short for digits in range(12) if abs((short := float(f"{value:.{digits}e}")) - value) <= slack), value)
