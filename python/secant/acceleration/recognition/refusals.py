"""Why a loss is not one that Secant knows: a sentence that says what fits it instead,
from tables.
"""

import math
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.candidates import (
    ACTIVATION_PAIRS,
    FUNCTIONS,
    Candidate,
    Function,
    outputs,
)
from secant.acceleration.recognition.probe_net import ProbeLoss
from secant.acceleration.recognition.probes import Probe, short
from secant.backends.activations import IN_WORDS, sigmoid
from secant.backends.base import OutputActivation
from secant.backends.numpy.forward import softmax

_AGREE = 1e-7  # relative, the rounding of float32
# of a fit of numbers near 1, also where by chance it leaves nothing over
_ROUNDING = 2.0**-52
# a term counts if it is so many times what the fit leaves over, which is rounding
_MEANT = 10.0
_LEAST = 1e-6  # losses below have too few digits
_FEWEST = 5  # probes, to see how two losses are related by three numbers
_KNOWN_LOSSES = (
    "Secant knows the loss -sum(t log(y + offset)), divided by N or not, y the softmax"
    f" of each row, of two layers with {IN_WORDS} between them"
)
# of the inputs of the softmax and the weights of the classes, (N, O)
_Loss = Callable[[Floats, Floats], float]
_HIDDEN: dict[str, Function] = {
    "leaky ReLU": lambda a: np.where(a > 0, a, 0.01 * a),
    "softplus": lambda a: np.logaddexp(0, a),
    "ELU": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    "swish": lambda a: a * sigmoid(a),
    "step": lambda a: np.where(a > 0, 1.0, 0.0),
    "sigmoid / 2, as with dropout outside of training": lambda a: sigmoid(a) / 2,
    "ReLU / 2, as with dropout outside of training": lambda a: np.maximum(a, 0) / 2,
}
_WHOLE_BATCH = (
    "its softmax is taken over the whole batch, so that the loss starts at ln(N O)."
    " Take it over the classes, in two lines: e = np.exp(a - np.max(a, axis=-1,"
    " keepdims=True)) and y = e / np.sum(e, axis=-1, keepdims=True)"
)
_INEXACT = (
    "its loss is a known one, but to seven digits only: it may be in float32, or clip a"
    " probability"
)
_MULTIPLIED = (
    "the loss of a sample is multiplied by its label, as in t * np.log(y[np.arange(n),"
    " t]): leave out the t"
)
_DECAYED = {"W1 and W2": (0, 2), "all parameters": (0, 1, 2, 3), "W1": (0,), "W2": (2,)}


def _entropy(y: Floats, t: Floats, offset: float = 1e-7) -> float:
    return float(-np.sum(t * np.log(np.where(t == 0, 1.0, y + offset)))) / len(y)


def _squares(y: Floats, t: Floats) -> float:
    return float(((y - t) ** 2).sum()) / len(y)


def _of_all(a: Floats) -> Floats:
    return softmax(a.ravel()).reshape(a.shape)


# a largest probability, 1 - least, makes no difference that is seen
def _clipped(least: float) -> _Loss:
    return lambda a, t: _entropy(np.maximum(softmax(a), least), t, 0)


# A cause, and the loss that a network then has, up to a factor or a term. The first two
# are losses that are known.
_LOSSES: list[tuple[str, _Loss]] = [
    ("", lambda a, t: _entropy(softmax(a), t)),
    ("", lambda a, t: _entropy(softmax(a), t, 0)),
    (_WHOLE_BATCH, lambda a, t: _entropy(_of_all(a), t)),
    (_WHOLE_BATCH, lambda a, t: _entropy(_of_all(a), t, 0)),
    (_MULTIPLIED, lambda a, t: _entropy(softmax(a), t * np.arange(t.shape[1]))),
    (_MULTIPLIED, lambda a, t: _entropy(softmax(a), t * np.arange(t.shape[1]), 0)),
    (
        "softmax is taken over the samples, not over the classes",
        lambda a, t: _entropy(softmax(a.T).T, t),
    ),
    ("softmax is taken twice", lambda a, t: _entropy(softmax(softmax(a)), t)),
    ("the loss is a sum of squares", lambda a, t: _squares(softmax(a), t)),
    ("there is no softmax, and the loss is a sum of squares", _squares),
    (
        "there is no softmax, and the loss is the binary cross entropy",
        lambda y, t: _entropy(y, t) + _entropy(1 - y, 1 - t),
    ),
    *(
        (
            f"probabilities are clipped at {short(least)}: nothing is added to them",
            _clipped(least),
        )
        for least in (1e-7, 1e-8, 1e-10, 1e-12, 1e-15)
    ),
]

_ACTIVATIONS = [("", FUNCTIONS[f], FUNCTIONS[g]) for f, g in ACTIVATION_PAIRS]
_ACTIVATIONS += [
    (f"the hidden activation is {name}", f, FUNCTIONS[g])
    for name, f in _HIDDEN.items()
    for g in get_args(OutputActivation)
]
_ACTIVATIONS += [
    (f"{g} stands before the softmax", f, FUNCTIONS[g])
    for f in FUNCTIONS.values()
    for g in ("relu", "tanh")
]
_NETWORKS = [
    (cause or activation, f, g, loss)
    for activation, f, g in _ACTIVATIONS
    for cause, loss in (_LOSSES[:2] if activation else _LOSSES)
]


def cause_of(losses: Sequence[ProbeLoss]) -> str:
    """Say what a loss is that Secant does not know, given probes of batches; "" if no
    cause explains it.
    """
    some = [one for one in losses if math.isfinite(one.loss) and abs(one.loss) > _LEAST]
    if len(some) < _FEWEST:
        return "its loss is 0 or not finite"
    decays = {
        what: np.array(
            [sum(np.sum(probe.params[i] ** 2) for i in which) for probe, _ in some]
        )
        for what, which in _DECAYED.items()
    }
    for cause, f, g, loss in _NETWORKS:
        ours = np.array(
            [loss(outputs(probe, f, g), _weights(probe)) for probe, _ in some]
        )
        if (
            np.isfinite(ours).all()
            and ours.all()
            and (relation := _relation(some, ours, decays)) is not None
        ):
            return (
                f"{'; '.join(filter(None, (cause, *relation))) or _INEXACT}."
                f" {_KNOWN_LOSSES}"
            )
    return ""


def _weights(probe: Probe) -> Floats:
    return np.eye(len(probe.params[3]))[probe.t] if probe.t.ndim == 1 else probe.t


def _relation(
    losses: Sequence[ProbeLoss], ours: Floats, decays: dict[str, Floats]
) -> list[str] | None:
    """Say how losses follow from these: by a factor, a weight decay and a constant.

    None if they do not.
    """
    values, samples = np.array([(loss, len(probe.x)) for probe, loss in losses]).T
    digits = 1 / np.minimum(np.abs(values), np.abs(ours))
    for over, times in (("mean", np.ones_like(ours)), ("sum", samples)):
        for what, squares in decays.items():
            terms = np.array([times * ours, squares, np.ones_like(ours)]) * digits
            scale = np.abs(terms).max(axis=1, keepdims=True)
            sizes = np.linalg.lstsq((terms / scale).T, values * digits)[0]
            off = max(
                _ROUNDING, np.abs(sizes @ (terms / scale) - values * digits).max()
            )
            if off <= _AGREE:
                factor, decay, constant = np.where(
                    np.abs(sizes) > _MEANT * off, sizes / scale[:, 0], 0
                )
                return _in_words(
                    factor, over, decay, what, constant, len(losses[0].probe.params[3])
                )
    return None


def _in_words(
    factor: float, over: str, decay: float, what: str, constant: float, outputs: int
) -> list[str]:
    said = []
    if not math.isclose(factor, 1, rel_tol=_AGREE):
        of_outputs = ", a mean over the outputs too" * math.isclose(
            factor * outputs, 1, rel_tol=_AGREE
        )
        said.append(
            f"its loss is {factor:.6g} times the {over} over the samples{of_outputs}"
        )
    if decay:
        said.append(
            f"its loss has a weight decay, {decay:.6g} times the sum of squares of"
            f" {what}: leave it out, and in your loop add {2 * decay:.6g} times each of"
            " them to its gradient"
        )
    if constant:
        said.append(
            f"{constant:.6g} is added to its loss: leave it out, it changes no gradient"
        )
    return said


def nearest_to(
    losses: Sequence[ProbeLoss],
    near: Sequence[Candidate],
    loss: Callable[[Probe], float],
) -> str:
    """Say where a network, with the loss of a probe, parts from the nearest of
    these.
    """
    if _depend_on_each_other(losses[0].probe, loss):
        return "samples of a mini-batch depend on each other, as in batch normalization"
    agreed = [[candidate.agrees(*one) for one in losses] for candidate in near]
    nearest = max(range(len(near)), key=lambda i: sum(agreed[i]), default=None)
    if nearest is None or not any(agreed[nearest]):
        return (
            "its loss is none of those that were tried, or does not read all of the"
            f" parameters. {_KNOWN_LOSSES}"
        )
    probe, value = losses[agreed[nearest].index(False)]
    return (
        f"nearest is {near[nearest]}, which agrees in {sum(agreed[nearest])} of"
        f" {len(losses)} trials; but for {len(probe.x)} samples up to"
        f" {float(np.abs(probe.x).max()):.3g}, with"
        f" {'labels' if probe.t.ndim == 1 else 'weights'}, its loss is {value:.12g}"
        f" instead of {near[nearest].loss(probe):.12g}. {_KNOWN_LOSSES}"
    )


def _depend_on_each_other(probe: Probe, loss: Callable[[Probe], float]) -> bool:
    """Whether the loss of two of four samples is more than what each of them adds, be
    it a mean or a sum.
    """
    pairs = ([0, 1], [2, 3], [0, 2], [1, 3])
    first, second, third, fourth = (
        loss(probe._replace(x=probe.x[pair], t=probe.t[pair])) for pair in pairs
    )
    return abs(first + second - third - fourth) > _MEANT * _AGREE * abs(first + second)
