"""What a loss may be: the networks that Secant knows."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.probes import Probe, tolerance
from secant.backends.activations import ACTIVATIONS
from secant.backends.base import HiddenActivation, OutputActivation
from secant.backends.numpy.forward import cross_entropy, softmax

Functions = dict[str, Callable[[Floats], Floats]]
FUNCTIONS: Functions = {name: activation.function for name, activation in ACTIVATIONS.items()}


class Candidate(NamedTuple):
    """A network that Secant knows."""

    hidden_activation: HiddenActivation
    output_activation: OutputActivation
    log_offset: float

    def loss(self, probe: Probe, *, argmax: bool = False) -> float:
        """Return the loss of this network."""
        _, t = probe.rows
        y = softmax(outputs(probe, self.hidden_activation, self.output_activation))
        return cross_entropy(y, t.argmax(axis=1) if argmax and t.ndim == 2 else t, self.log_offset)

    def agrees(self, probe: Probe, loss: float, *, argmax: bool = False) -> bool:
        """Whether a loss is that of this network."""
        x, _ = probe.rows
        return abs(self.loss(probe, argmax=argmax) - loss) <= tolerance(probe.params, x, loss)


KINDS: list[tuple[HiddenActivation, OutputActivation]] = list(
    itertools.product(get_args(HiddenActivation), get_args(OutputActivation))
)


def candidates(probe: Probe, loss: float) -> list[Candidate]:
    """Return a candidate for each pair of activations, with the offset that explains the loss of an `offset_probe`."""
    fitting = []
    for hidden, output in KINDS:
        y = softmax(outputs(probe, hidden, output))[0, 0]
        offset = _rounded(math.exp(-loss) - y, 1e-15 * y) if loss < 700 else 0.0
        if offset >= 0:
            fitting.append(Candidate(hidden, output, offset))
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
