"""Why a loss is not one that Secant knows: a sentence that says what fits it instead, from tables."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.candidates import FUNCTIONS, KINDS, Candidate, Functions, outputs
from secant.acceleration.recognition.probe_net import ProbeLoss
from secant.acceleration.recognition.probes import Probe, short
from secant.backends.activations import IN_WORDS, sigmoid
from secant.backends.numpy.forward import softmax

_AGREE = 1e-8  # relative
_ENOUGH = 8  # probes, to see how two losses are related
_KNOWN_LOSSES = (
    "Secant knows the loss -sum(t log(y + offset)), divided by N or not, y the softmax of each row, of two layers with "
    f"{IN_WORDS} between them"
)
_HIDDEN: Functions = {
    "leaky ReLU": lambda a: np.where(a > 0, a, 0.01 * a),
    "softplus": lambda a: np.logaddexp(0, a),
    "ELU": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    "swish": lambda a: a * sigmoid(a),
    "step": lambda a: np.where(a > 0, 1.0, 0.0),
    "softsign": lambda a: a / (1 + np.abs(a)),
}
_HIDDEN |= {
    f"{name} times {kept}, as dropout has it outside of training": lambda a, f=f, kept=kept: kept * f(a)  # type: ignore[misc]
    for (name, f), kept in itertools.product(FUNCTIONS.items(), (0.5, 0.8))
}
_DECAYED = {"W1 and W2": (0, 2), "all parameters": (0, 1, 2, 3), "W1": (0,), "W2": (2,)}
_OF_FACTORS = {1 / math.log(base): f"its loss has logarithms to base {base}" for base in (2, 10)}
_SLOPES = {2: ("squares", "each of them"), 1: ("absolute values", "the sign of each of them")}
_Loss = Callable[[Floats, Floats], float]


class _Batch(NamedTuple):
    """What the loss of a mini-batch may be made of: the inputs of the softmax, and the weights of the classes."""

    a2: Floats
    weights: Floats


def _entropy(y: Floats, t: Floats) -> float:
    return float(-np.sum(t * np.log(np.where(t == 0, 1.0, y)))) / len(y)


def _squares(y: Floats, t: Floats) -> float:
    return float(((y - t) ** 2).sum()) / len(y)


def _binary(y: Floats, t: Floats) -> float:
    return _entropy(y + 1e-7, t) + _entropy(1 - y + 1e-7, 1 - t)


def _of_all(a2: Floats) -> Floats:
    return softmax(a2.ravel()).reshape(a2.shape)


def _clipped(least: float, most: float) -> _Loss:
    return lambda a, t: _entropy(np.clip(softmax(a), least, most), t)


_WHOLE_BATCH = (
    "its softmax is taken over the whole batch, so that the loss starts at ln(N O). Take it over the classes, in two "
    "lines: e = np.exp(a - np.max(a, axis=-1, keepdims=True)) and y = e / np.sum(e, axis=-1, keepdims=True)"
)
_MULTIPLIED = "the loss of a sample is multiplied by its label, as in t * np.log(y[np.arange(n), t]): leave out the t"
_PLAIN: list[tuple[str, _Loss]] = [
    ("", lambda a, t: _entropy(softmax(a) + 1e-7, t)),
    ("", lambda a, t: _entropy(softmax(a), t)),
]
# A cause, and the loss that a network then has, up to a factor or a term.
_LOSSES: list[tuple[str, _Loss]] = [
    (_WHOLE_BATCH, lambda a, t: _entropy(_of_all(a) + 1e-7, t)),
    (_WHOLE_BATCH, lambda a, t: _entropy(_of_all(a), t)),
    (_MULTIPLIED, lambda a, t: _entropy(softmax(a) + 1e-7, t * np.arange(t.shape[1]))),
    (_MULTIPLIED, lambda a, t: _entropy(softmax(a), t * np.arange(t.shape[1]))),
    ("softmax is taken over the samples, not over the classes", lambda a, t: _entropy(softmax(a.T).T + 1e-7, t)),
    ("softmax is taken twice", lambda a, t: _entropy(softmax(softmax(a)) + 1e-7, t)),
    ("the loss is a sum of squares", lambda a, t: _squares(softmax(a), t)),
    ("there is no softmax, and the loss is a sum of squares", _squares),
    ("there is no softmax, and the loss is the binary cross entropy", _binary),
    ("the loss is the binary cross entropy", lambda a, t: _binary(softmax(a), t)),
]
_LOSSES += [
    (f"probabilities are clipped at {short(least)}: nothing is added to them", _clipped(least, most))
    for least in (1e-7, 1e-8, 1e-10, 1e-12, 1e-15)
    for most in (1.0, 1 - least)
]


def cause_of(losses: Sequence[ProbeLoss]) -> str:
    """Say what a loss is that Secant does not know, given probes of batches; "" if no cause explains it."""
    some = [one for one in losses if math.isfinite(one.loss) and one.loss != 0 and np.any(one.probe.x)][:_ENOUGH]
    if len(some) < 3:
        return "its loss is not finite"
    relation = _Relation(some)
    for cause, ours in _causes([one.probe for one in some]):
        if (found := relation.to(ours)) is not None:
            reason = "; ".join(filter(None, (cause, found))) or "its loss is a known one, but to eight digits only"
            return f"{reason}. {_KNOWN_LOSSES}"
    return ""


def nearest_to(losses: Sequence[ProbeLoss], near: Sequence[Candidate], loss: Callable[[Probe], float]) -> str:
    """Say where a network, with the loss of a probe, parts from the nearest of these."""
    for probe, value in losses:
        if 2 < len(probe.x) < 10 and (reason := _coupled(probe, value, loss)):
            return reason
    agreed = [[candidate.agrees(*one) for one in losses] for candidate in near]
    nearest = max(range(len(near)), key=lambda i: sum(agreed[i]), default=None)
    if nearest is None or not any(agreed[nearest]):
        return f"its loss is none of those that were tried. {_KNOWN_LOSSES}"
    return f"{parting(near[nearest], losses, agreed[nearest])}. {_KNOWN_LOSSES}"


def parting(nearest: Candidate, losses: Sequence[ProbeLoss], agreed: Sequence[bool]) -> str:
    """Say where a network differs from the nearest candidate."""
    probe, loss = losses[agreed.index(False)]
    x, t = probe.rows
    return (
        f"nearest is {nearest}, which agrees in {sum(agreed)} of {len(losses)} trials; but for {len(x)} samples up to "
        f"{float(np.abs(x).max()):.3g}, with {'labels' if t.ndim == 1 else 'weights'}, its loss is {loss:.12g} instead "
        f"of {nearest.loss(probe):.12g}"
    )


def _causes(probes: Sequence[Probe]) -> Iterator[tuple[str, Floats]]:
    """Yield causes, and the losses of the probes that a network then has."""
    kinds = [("", FUNCTIONS[hidden], FUNCTIONS[output]) for hidden, output in KINDS]
    for name, output in itertools.product(_HIDDEN, ("identity", "sigmoid")):
        kinds.append((f"the hidden activation is {name}", _HIDDEN[name], FUNCTIONS[output]))
    for name, hidden in itertools.product(("relu", "tanh"), FUNCTIONS.values()):
        kinds.append((f"{name} stands before the softmax", hidden, FUNCTIONS[name]))
    for what, f, g in kinds:
        with np.errstate(all="ignore"):
            batches = [_Batch(outputs(one, "f", "g", {"f": f, "g": g}), _weights(one)) for one in probes]
            for cause, loss in _PLAIN if what else (*_PLAIN, *_LOSSES):
                yield cause or what, np.array([loss(*batch) for batch in batches])


def _weights(probe: Probe) -> Floats:
    return np.eye(len(probe.params[3]))[probe.t] if probe.t.ndim == 1 else probe.t


class _Relation:
    """How losses of a network may follow from those of another one, up to a factor or a term."""

    def __init__(self, losses: Sequence[ProbeLoss]) -> None:
        self._values = np.array([one.loss for one in losses])
        self._samples = np.array([len(one.probe.x) for one in losses])
        self._classes = len(losses[0].probe.params[3])
        self._penalties = {
            (power, what): np.array([sum(np.sum(np.abs(p.params[i]) ** power) for i in which) for p, _ in losses])
            for power, (what, which) in itertools.product((2, 1), _DECAYED.items())
        }

    def to(self, ours: Floats) -> str | None:
        """Say how the losses follow from these; "" if they are the same, None if they do not."""
        if not np.isfinite(ours).all() or not ours.all():
            return None
        if _same(self._values, ours):
            return ""
        if (factor := _constant(self._values / ours)) is not None:
            sentences = {1 / self._classes: "its loss is a mean over the outputs too"} | _OF_FACTORS
            of_factor = (sentence for usual, sentence in sentences.items() if _same(factor, usual))
            return next(of_factor, f"its loss is {factor:.6g} times the mean of the samples")
        if (factor := _constant(self._values / (ours * self._samples))) is not None:
            times = "" if _same(factor, 1) else f", but times {factor:.6g}"
            return f"its loss is not divided by the number of samples{times}"
        for rest in (self._values - ours, self._values - ours * self._samples):
            if (constant := _constant(rest, 1e-11 * np.abs(self._values))) is not None:
                return f"{constant:.6g} is added to its loss: leave it out, it changes no gradient"
            if decay := self._decay(rest):
                return decay
        return None

    def _decay(self, rest: Floats) -> str:
        """Say so if the rest of the losses is a multiple of one of the penalties."""
        for (power, what), penalties in self._penalties.items():
            decay = float(rest @ penalties / (penalties @ penalties))
            if np.abs(rest - decay * penalties).max() <= _AGREE * np.abs(self._values).max() < np.abs(rest).max():
                of, slope = _SLOPES[power]
                return (
                    f"its loss has a weight decay, {decay:.6g} times the sum of {of} of {what}: leave it out, and in "
                    f"your loop add {power * decay:.6g} times {slope} to its gradient"
                )
        return ""


def _same(a: Floats | float, b: Floats | float) -> bool:
    return bool(np.all(np.abs(a - b) <= _AGREE * np.abs(b)))


def _constant(values: Floats, rounding: Floats | float = 0.0) -> float | None:
    """The common value, if all are the same but for rounding, and not 0."""
    middle = float(np.median(values))
    is_same = np.all(np.abs(values - middle) <= _AGREE * abs(middle) + rounding)
    return middle if is_same and abs(middle) > np.min(rounding) else None


def _coupled(probe: Probe, batch: float, loss: Callable[[Probe], float]) -> str:
    """Say so if the loss of a batch is neither the mean nor the sum of the losses of its samples."""
    samples = np.arange(len(probe.x))
    singles, others = (
        np.array([loss(probe._replace(x=probe.x[chosen], t=probe.t[chosen])) for chosen in batches])
        for batches in ((samples == i for i in samples), (samples != i for i in samples))
    )
    if not np.isfinite([*singles, *others]).all() or _same(float(np.mean(singles)), batch):
        return ""
    rest = singles + others - batch  # of a sum, what does not depend on the samples
    if _same(rest, float(rest[0])):
        return "its loss is a sum over the samples, and something that does not depend on them, such as a penalty"
    return "samples of a mini-batch depend on each other, as in batch normalization"
