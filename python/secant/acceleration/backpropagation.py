"""Mistakes in the backpropagation of two layers: a table of what each makes of the
gradient.

The network is one that `recognize` knows, so that each step of its backpropagation can
be computed as it should be, and as a mistake makes it. A mistake is named if the
gradient that was checked is the one that it makes, to six digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.equivalent import RecognizedNet, rows
from secant.acceleration.recognition.methods import MethodNames
from secant.acceleration.recognition.recognize import recognized
from secant.backends.activations import ACTIVATIONS, HiddenActivation
from secant.checking.report import GradientReport
from secant.functions import softmax

_SAME = 1e-6  # of an array's norm: the digits that two ways of summing share
_SAME_IN_FLOAT32 = 1e-3
# of an array's norm: a loss with 1e-7 in its logarithm has another gradient than y - t
_OFFSET = 1e-3

Slope = Callable[[Floats, Floats], Floats]
"""The derivative of an activation from what goes in, a, and what comes out, z."""
_SLOPES: dict[HiddenActivation, Slope] = {
    "sigmoid": lambda a, z: z * (1 - z),
    "tanh": lambda a, z: 1 - z**2,
    "relu": lambda a, z: (a > 0).astype(float),
    "identity": lambda a, z: np.ones_like(a),
}


@dataclass(frozen=True)
class Steps:
    """The steps of backpropagation of a mini-batch, one row a sample.

    Attributes
    ----------
    x, a1, z1 : ndarray
        The inputs, and what goes into the hidden activation and comes out.
    y, t : ndarray
        Probabilities and targets.
    samples : ndarray
        What each sample counts for: 1 / N, or 1 if the loss is the sum.
    slope1, slope2 : ndarray
        The derivatives of the hidden activation, and of the one before the softmax.
    to_hidden : ndarray
        The matrix that leads errors back to the hidden layer: W2 transposed.
    inputs2 : ndarray
        What is multiplied by errors for the gradient of W2: z1.
    extra2 : ndarray
        A factor of the errors that should not be there.
    """

    hidden: HiddenActivation
    x: Floats
    a1: Floats
    z1: Floats
    y: Floats
    t: Floats
    samples: Floats
    slope1: Floats
    slope2: Floats
    to_hidden: Floats
    inputs2: Floats
    extra2: Floats

    def gradients(self) -> list[Floats]:
        """Those of W1, b1, W2 and b2."""
        error2 = self.samples * (self.y - self.t) * self.slope2 * self.extra2
        error1 = error2 @ self.to_hidden * self.slope1
        return [
            self.x.T @ error1,
            error1.sum(axis=0),
            self.inputs2.T @ error2,
            error2.sum(axis=0),
        ]


class Mistake(NamedTuple):
    """A mistake: what it makes of the steps, None if it cannot be made, and what a
    report says of it.
    """

    change: Callable[[Steps], Steps | None]
    sentence: str


def _first_alone(steps: Steps) -> Steps:
    only = np.zeros_like(steps.samples)
    only[0] = steps.samples[0]
    return replace(steps, samples=only)


def _without_last(steps: Steps) -> Steps:
    others = steps.samples.copy()
    others[-1] = 0
    return replace(steps, samples=others)


def _not_transposed(steps: Steps) -> Steps | None:
    is_square = steps.to_hidden.shape[0] == steps.to_hidden.shape[1]
    return replace(steps, to_hidden=steps.to_hidden.T) if is_square else None


def _slope_of_output(steps: Steps) -> Steps:
    return replace(
        steps,
        slope1=_SLOPES[steps.hidden](
            steps.z1, ACTIVATIONS[steps.hidden].function(steps.z1)
        ),
    )


def _formula_of_input(steps: Steps) -> Steps:
    return replace(steps, slope1=_SLOPES[steps.hidden](steps.a1, steps.a1))


def _slope_of(activation: HiddenActivation) -> Callable[[Steps], Steps | None]:
    def change(steps: Steps) -> Steps | None:
        if steps.hidden == activation:
            return None
        return replace(steps, slope1=_SLOPES[activation](steps.a1, steps.z1))

    return change


_OF_ACTIVATION = "the derivative of the hidden activation"
MISTAKES = (
    Mistake(
        lambda steps: replace(steps, slope1=np.ones_like(steps.a1)),
        f"{_OF_ACTIVATION} is left out",
    ),
    Mistake(
        _slope_of_output, f"{_OF_ACTIVATION} is taken at its output, not at its input"
    ),
    Mistake(
        _formula_of_input,
        f"{_OF_ACTIVATION} is computed from its input by the formula of its output",
    ),
    Mistake(
        lambda steps: replace(steps, slope1=steps.z1),
        f"{_OF_ACTIVATION} is replaced by its output",
    ),
    Mistake(
        lambda steps: replace(steps, slope1=1 - steps.z1),
        f"{_OF_ACTIVATION} lacks a factor, its output",
    ),
    Mistake(
        lambda steps: replace(steps, slope1=steps.a1),
        f"{_OF_ACTIVATION} is replaced by its input",
    ),
    Mistake(
        lambda steps: replace(steps, slope1=1 - steps.slope1),
        f"{_OF_ACTIVATION} is 1 minus the right one",
    ),
    Mistake(_slope_of("sigmoid"), f"{_OF_ACTIVATION} is that of the sigmoid"),
    Mistake(_slope_of("tanh"), f"{_OF_ACTIVATION} is that of tanh"),
    Mistake(_slope_of("relu"), f"{_OF_ACTIVATION} is that of relu"),
    Mistake(
        lambda steps: replace(steps, slope2=np.ones_like(steps.y)),
        "the derivative of the sigmoid before the softmax is left out",
    ),
    Mistake(
        _not_transposed,
        "the matrix of the second layer is not transposed on the way back",
    ),
    Mistake(
        lambda steps: replace(steps, inputs2=steps.a1),
        "the gradient of the second matrix takes the input of the hidden activation,"
        " not its output",
    ),
    Mistake(
        lambda steps: replace(steps, t=np.zeros_like(steps.t)),
        "the target is not subtracted",
    ),
    Mistake(
        lambda steps: replace(steps, extra2=steps.y * (1 - steps.y)),
        "y - t is multiplied by y (1 - y), which the cross entropy cancels",
    ),
    Mistake(
        lambda steps: replace(steps, extra2=np.sign(steps.y - steps.t)),
        "y - t has lost its sign",
    ),
    Mistake(
        lambda steps: replace(steps, t=steps.t[::-1]),
        "the targets are in reverse order",
    ),
    Mistake(
        lambda steps: replace(steps, t=np.roll(steps.t, 1, axis=0)),
        "the targets belong to the next sample",
    ),
    Mistake(
        lambda steps: replace(steps, t=np.roll(steps.t, -1, axis=0)),
        "the targets belong to the sample before",
    ),
    Mistake(_first_alone, "it is the gradient of the first sample alone"),
    Mistake(_without_last, "the last sample is left out"),
)
"""In this order: the first that makes the gradient is said."""


def backpropagation_mistake(
    net: Any,
    names: MethodNames,
    x: Any,
    t: Any,
    given: Mapping[Any, Any],
    report: GradientReport,
) -> str:
    """Return which mistake of the table makes a wrong gradient; nothing if none does,
    or the network is not known.
    """
    try:
        recognition = recognized(net, names, with_gradient=False)
        if not recognition.known:
            return ""
        steps = _steps(RecognizedNet(net, recognition), x, t)
        checked = [
            np.asarray(given[key], np.float64).reshape(-1) for key in recognition.keys
        ]
    except Exception:  # whatever the user's objects raise
        return ""
    right = steps.gradients()
    if not _has_slopes(
        dict(zip(map(str, recognition.keys), right, strict=True)), report
    ):
        return ""
    is_float32 = any(
        np.asarray(given[key]).dtype != np.float64 for key in recognition.keys
    )
    same = _SAME_IN_FLOAT32 if is_float32 else _SAME
    for change, sentence in MISTAKES:
        changed = change(steps)
        made = None if changed is None else changed.gradients()
        if made is None or _are_same(made, right, same):
            continue
        for count in (1.0, float(len(steps.x)), 1.0 / len(steps.x)):
            if _are_same(checked, [count * array for array in made], same):
                return sentence
    return ""


def _steps(known: RecognizedNet, x: Any, t: Any) -> Steps:
    """Run forward, and backward, as it should be."""
    net = known.two_layer_net()
    w1, b1, w2, b2 = (net.params[name] for name in ("W1", "b1", "W2", "b2"))
    inputs = np.atleast_2d(np.asarray(rows(x), np.float64))
    a1 = inputs @ w1 + b1
    z1 = ACTIVATIONS[net.hidden_activation].function(a1)
    a2 = z1 @ w2 + b2
    z2 = ACTIVATIONS[net.output_activation].function(a2)
    y = softmax(z2)
    targets = np.asarray(t)
    if targets.size == len(inputs) and targets.shape != y.shape:
        targets = np.eye(y.shape[1])[targets.reshape(-1).astype(int)]
    targets = np.atleast_2d(targets).astype(np.float64)
    if net.soft_targets == "argmax":
        targets = np.eye(y.shape[1])[targets.argmax(axis=1)]
    return Steps(
        hidden=net.hidden_activation,
        x=inputs,
        a1=a1,
        z1=z1,
        y=y,
        t=targets,
        samples=np.full(
            (len(inputs), 1), 1.0 if known.recognition.summed else 1.0 / len(inputs)
        ),
        slope1=_SLOPES[net.hidden_activation](a1, z1),
        slope2=_SLOPES[net.output_activation](a2, z2),
        to_hidden=w2.T,
        inputs2=z1,
        extra2=np.ones_like(y),
    )


def _has_slopes(right: Mapping[str, Floats], report: GradientReport) -> bool:
    """Whether gradients are those of the loss, as far as it was measured."""
    shapes = {array.name: array.shape for array in report.arrays}
    for found in report.findings:
        array = right[found.array]
        value = array.reshape(shapes[found.array])[found.index]
        if (
            not abs(value - found.numerical)
            <= _OFFSET * np.linalg.norm(array) + found.error_bar
        ):
            return False
    return bool(report.findings)


def _are_same(some: list[Floats], others: list[Floats], same: float) -> bool:
    pairs = zip(some, others, strict=True)
    return all(
        np.linalg.norm(one.ravel() - other.ravel()) <= same * np.linalg.norm(other)
        for one, other in pairs
    )
