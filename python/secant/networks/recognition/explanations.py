"""Why a loss is none that the engines know: what fits it instead, in a sentence."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends.numpy.forward import FUNCTIONS, sigmoid, softmax
from secant.networks.recognition.candidates import Candidate, Functions, outputs
from secant.networks.recognition.probes import Probe, short

_AGREE = 1e-9
_ENOUGH = 8  # trials to see how a loss is related to another
_HIDDEN: Functions = FUNCTIONS | {
    "leaky ReLU": lambda a: np.where(a > 0, a, 0.01 * a),
    "softplus": lambda a: np.logaddexp(0, a),
    "ELU": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    "swish": lambda a: a * sigmoid(a),
    "step": lambda a: (a > 0) * 1.0,
    "softsign": lambda a: a / (1 + np.abs(a)),
}
_OUTPUT: Functions = {name: _HIDDEN[name] for name in ("identity", "sigmoid", "relu", "tanh", "softplus")}
_OFFSETS = (1e-7, 0.0, 1e-8, 1e-10, 1e-12, 1e-15)


class Trial(NamedTuple):
    """A probe, and the loss that a network has for it."""

    probe: Probe
    loss: float


class _Fit(NamedTuple):
    """A loss that a network might have, and what is unknown to the engines in it."""

    differences: tuple[str, ...]
    losses: Floats


def why_not(trials: Sequence[Trial], candidates: Sequence[Candidate], loss: Callable[[Probe], float]) -> str:
    """Say what a network is that is no candidate.

    Parameters
    ----------
    trials : sequence
        With weights or labels of batches.
    candidates : sequence
        What is nearest to it among the networks that the engines know.
    loss : callable
        The loss of a probe.
    """
    rights = [[c.agrees(*trial) for trial in trials] for c in candidates]
    nearest = max(range(len(candidates)), key=lambda i: sum(rights[i]), default=None)
    if nearest is not None and 2 * sum(rights[nearest]) > len(trials):
        return _parts(candidates[nearest], trials[rights[nearest].index(False)], sum(rights[nearest]), len(trials))
    usable = [trial for trial in trials if math.isfinite(trial.loss)][:_ENOUGH]
    if not usable:
        return "its loss is not finite"
    theirs = np.array([trial.loss for trial in usable])
    for fit in _fits([trial.probe for trial in usable]):
        with np.errstate(all="ignore"):
            for said in _relations(theirs, fit.losses, [trial.probe for trial in usable]):
                if said is not None:
                    return "; ".join((*fit.differences, *said)) or "its loss is as uncertain as the rounding of float32"
    if coupled := _coupled(usable, loss):
        return coupled
    if nearest is None or not any(rights[nearest]):
        return "its loss is none that Secant knows: cross entropy of the softmax of two layers"
    return _parts(candidates[nearest], trials[rights[nearest].index(False)], sum(rights[nearest]), len(trials))


def _parts(nearest: Candidate, trial: Trial, agreed: int, tried: int) -> str:
    """Say where the nearest candidate and a network part."""
    x, t = trial.probe.rows
    largest = float(np.abs(x).max())
    return (
        f"nearest is {described(nearest)}, which agrees in {agreed} of {tried} trials; but for {len(x)} samples up to "
        f"{largest:.3g}, with {'labels' if t.ndim == 1 else 'weights'}, its loss is {trial.loss:.12g} instead of "
        f"{nearest.loss(trial.probe):.12g}"
    )


def described(candidate: Candidate) -> str:
    """Say what a candidate is."""
    hidden, output, offset = candidate
    return f"{hidden} hidden, {output} output, log offset {short(float(f'{offset:.6g}'))}"


def _fits(tried: Sequence[Probe]) -> Iterator[_Fit]:
    """Yield what a loss may be, the likelier first: one thing that is unknown to the engines at a time, or two."""
    ts = [_weights(probe) for probe in tried]
    for usual in (True, False):
        for (hidden, f), (output, g) in itertools.product(_HIDDEN.items(), _OUTPUT.items()):
            if usual != (hidden in FUNCTIONS and output in ("identity", "sigmoid")):
                continue
            named = [f"the hidden activation is {hidden}"] if hidden not in FUNCTIONS else []
            named += [f"{output} stands before the softmax"] if output not in ("identity", "sigmoid") else []
            a2 = [outputs(probe, "f", "g", {"f": f, "g": g}) for probe in tried]
            for said, ys in _probabilities(a2) if usual else [([], [softmax(a) for a in a2])]:
                for differs, losses in _losses(ys, ts):
                    yield _Fit((*named, *said, *differs), losses)


def _probabilities(a2: list[Floats]) -> Iterator[tuple[list[str], list[Floats]]]:
    yield [], [softmax(a) for a in a2]
    start = math.log(100 * a2[0].shape[1])
    batch = f"softmax is taken over the whole batch: the loss starts at ln(N O), {start:.1f} for 100 samples"
    yield [batch], [softmax(a.ravel()).reshape(a.shape) for a in a2]
    yield ["softmax is taken over the samples, not over the classes"], [softmax(a.T).T for a in a2]
    yield ["there is no softmax"], a2
    yield ["softmax is taken twice"], [softmax(softmax(a)) for a in a2]


def _losses(ys: list[Floats], ts: list[Floats]) -> Iterator[tuple[list[str], Floats]]:
    """Yield losses whose scale is left open."""

    def each(loss: Callable[[Floats, Floats], Array]) -> Floats:
        with np.errstate(all="ignore"):
            return np.array([np.sum(loss(y, t)) / len(y) for y, t in zip(ys, ts, strict=True)])

    for offset in _OFFSETS:
        added = _cross_entropy(partial(np.add, offset))
        yield [], each(added)
        if offset:
            clipped = f"probabilities are clipped at {short(offset)}: nothing is added to them"
            yield [clipped], each(_cross_entropy(partial(np.maximum, offset)))
            yield [clipped], each(_cross_entropy(partial(np.clip, a_min=offset, a_max=1 - offset)))
            yield ["the loss is the binary cross entropy"], each(partial(_of_both, added))
    yield ["the loss is a sum of squares"], each(lambda y, t: (y - t) ** 2)


def _cross_entropy(of: Callable[[Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    def loss(y: Floats, t: Floats) -> Floats:
        return -t * np.log(np.where(t == 0, 1.0, of(y)))

    return loss


def _of_both(loss: Callable[[Floats, Floats], Floats], y: Floats, t: Floats) -> Floats:
    return loss(y, t) + loss(1 - y, 1 - t)


def _relations(theirs: Floats, ours: Floats, tried: Sequence[Probe]) -> Iterator[list[str] | None]:
    """Yield how losses are related, or None."""
    samples = np.array([len(probe.rows[0]) for probe in tried])
    classes = len(tried[0].params[3])
    if not np.isfinite(ours).all():
        return
    yield [] if _same(theirs, ours) else None
    ratio = theirs / np.where(ours == 0, np.nan, ours)
    if (factor := _constant(ratio)) is not None:
        mean = math.isclose(factor, 1 / classes, rel_tol=1e-8)
        yield ["it is a mean over the outputs too"] if mean else [f"it is {factor:.6g} times the mean of the samples"]
    if (factor := _constant(ratio / samples)) is not None:
        yield ["it is not divided by the number of samples" + ("" if _same(factor, 1) else f", but times {factor:.6g}")]
    rest = theirs - ours
    for what, penalty in (("W1 and W2", (0, 2)), ("all parameters", (0, 1, 2, 3))):
        squares = np.array([sum(float(np.sum(probe.params[i] ** 2)) for i in penalty) for probe in tried])
        if (decay := _constant(rest / squares)) is not None:
            yield [f"it has a weight decay of {2 * decay:.6g}, 1/2 the square of {what}"]
    if (constant := _constant(rest)) is not None:
        yield [f"{constant:.6g} is added to it"]


def _constant(values: Floats) -> float | None:
    values = values[np.isfinite(values)]
    if len(values) < 3 or not _same(values, median := float(np.median(values))) or median == 0:
        return None
    return median


def _same(a: Floats | float, b: Floats | float) -> bool:
    return bool(np.all(np.abs(a - b) <= _AGREE * np.abs(b) + _AGREE / 100))


def _weights(probe: Probe) -> Floats:
    _, t = probe.rows
    return np.eye(len(probe.params[3]))[t] if t.ndim == 1 else t


def _coupled(trials: Sequence[Trial], loss: Callable[[Probe], float]) -> str:
    """Say so if the loss of a batch is not the mean of the losses of its samples."""
    for probe, batch in trials:
        if 1 < len(probe.x) < 10:
            singles = [loss(probe._replace(x=probe.x[i : i + 1], t=probe.t[i : i + 1])) for i in range(len(probe.x))]
            if np.isfinite(singles).all() and not _same(float(np.mean(singles)), batch):
                return "samples of a mini-batch depend on each other, as in batch normalisation"
    return ""
