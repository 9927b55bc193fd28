"""Why a loss is not one that Secant knows: a sentence that says what fits it instead."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.candidates import FUNCTIONS, Candidate, Functions, outputs
from secant.acceleration.recognition.layouts import Layout, duplicate
from secant.acceleration.recognition.methods import Methods, if_meant
from secant.acceleration.recognition.probes import Probe, short, tolerance
from secant.acceleration.recognition.small_copy import bound
from secant.backends.activations import sigmoid
from secant.backends.numpy.forward import softmax

_CLEAR = 1e-6  # a share of a loss that is no rounding
_AGREE = 1e-9
_ENOUGH = 8  # trials, to see how two losses are related
_HIDDEN: Functions = FUNCTIONS | {
    "leaky ReLU": lambda a: np.where(a > 0, a, 0.01 * a),
    "softplus": lambda a: np.logaddexp(0, a),
    "ELU": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    "swish": lambda a: a * sigmoid(a),
    "step": lambda a: (a > 0) * 1.0,
    "softsign": lambda a: a / (1 + np.abs(a)),
}
_OUTPUT: Functions = {name: _HIDDEN[name] for name in ("identity", "sigmoid", "relu", "tanh", "softplus")}
_CLIPPED = "probabilities are clipped at {}: nothing is added to them"
_DECAYED = {"W1 and W2": (0, 2), "all parameters": (0, 1, 2, 3), "W1": (0,), "W2": (2,)}
_PENALTIES = [(power, what) for power in (2, 1) for what in _DECAYED]  # sums of squares, and of absolute values
_OFFSETS = (1e-7, 0.0, 1e-8, 1e-10, 1e-12, 1e-15)


class Trial(NamedTuple):
    """A probe, and the loss that a network has for it."""

    probe: Probe
    loss: float


class _Fit(NamedTuple):
    """A loss that a network might have, and what Secant does not know in it."""

    differences: tuple[str, ...]
    losses: Floats


class _Tried:
    """Probes, with what is computed of them once."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.probes = probes
        self.weights = np.concatenate([_weights(probe) for probe in probes])
        self.samples = np.array([len(probe.rows[0]) for probe in probes])
        self.classes = self.weights.shape[1]
        self.penalties = np.array(
            [
                [sum(float(np.sum(np.abs(probe.params[i]) ** power)) for i in _DECAYED[what]) for probe in probes]
                for power, what in _PENALTIES
            ]
        )

    def means(self, losses: Floats) -> Floats:
        """The losses of the probes, given the losses of every sample and class."""
        starts = np.cumsum(self.samples) - self.samples
        means: Floats = np.add.reduceat(losses.sum(axis=1), starts) / self.samples
        return means


def why_not(trials: Sequence[Trial], candidates: Sequence[Candidate], loss: Callable[[Probe], float]) -> str:
    """Say why a network is none of the candidates.

    Parameters
    ----------
    trials : sequence
        With weights or labels of batches.
    candidates : sequence
        The nearest of the networks that Secant knows.
    loss : callable
        The loss of a probe.
    """
    rights = [[c.agrees(*trial) for trial in trials] for c in candidates]
    nearest = max(range(len(candidates)), key=lambda i: sum(rights[i]), default=None)
    if nearest is not None and 2 * sum(rights[nearest]) > len(trials):
        return _clipped(candidates[nearest], trials) or parting(candidates[nearest], trials, rights[nearest])
    usable = [trial for trial in trials if math.isfinite(trial.loss)][:_ENOUGH]
    if not usable:
        return "its loss is not finite"
    losses = np.array([trial.loss for trial in usable])
    tried = _Tried([trial.probe for trial in usable])
    for fit in _fits(tried):
        with np.errstate(all="ignore"):
            for relation in _relations(losses, fit.losses, tried):
                if relation is not None:
                    return "; ".join((*fit.differences, *relation)) or "its loss is a known one to nine digits only"
    if coupled := _coupled(usable, loss):
        return coupled
    if nearest is None or not any(rights[nearest]):
        return "its loss is none of those that were tried"
    return parting(candidates[nearest], trials, rights[nearest])


def _clipped(nearest: Candidate, trials: Sequence[Trial]) -> str:
    """Say so if probabilities are clipped. Only small probabilities show it."""
    tried = _Tried([trial.probe for trial in trials])
    y = softmax(np.concatenate([outputs(probe, *nearest[:2]) for probe in tried.probes]))
    for least, most in ((offset, upper) for offset in _OFFSETS if offset for upper in (1.0, 1 - offset)):
        clipped = tried.means(_cross_entropy(np.clip(y, least, most), tried.weights))
        if all(
            abs(loss - trial.loss) <= tolerance(trial.probe.params, trial.probe.rows[0], loss)
            for loss, trial in zip(clipped, trials, strict=True)
        ):
            return _CLIPPED.format(short(least))
    return ""


def parting(nearest: Candidate, trials: Sequence[Trial], agreed: Sequence[bool]) -> str:
    """Say where a network differs from the nearest candidate."""
    probe, loss = trials[agreed.index(False)]
    x, t = probe.rows
    return (
        f"nearest is {described(nearest)}, which agrees in {sum(agreed)} of {len(trials)} trials; but for {len(x)} "
        f"samples up to {float(np.abs(x).max()):.3g}, with {'labels' if t.ndim == 1 else 'weights'}, its loss is "
        f"{loss:.12g} instead of {nearest.loss(probe):.12g}"
    )


def described(candidate: Candidate) -> str:
    """Say what a candidate is."""
    hidden, output, offset, scale = candidate
    return f"{hidden} hidden, {output} output, log offset {short(float(f'{offset:.6g}'))}{scale}"


def _fits(tried: _Tried) -> Iterator[_Fit]:
    """Yield what a loss may be, the likeliest first."""
    for usual in (True, False):
        for (hidden, f), (output, g) in itertools.product(_HIDDEN.items(), _OUTPUT.items()):
            if usual != (hidden in FUNCTIONS and output in ("identity", "sigmoid")):
                continue
            named = [f"the hidden activation is {hidden}"] if hidden not in FUNCTIONS else []
            named += [f"{output} stands before the softmax"] if output not in ("identity", "sigmoid") else []
            a2 = [outputs(probe, "f", "g", {"f": f, "g": g}) for probe in tried.probes]
            for softmax_differs, y in _probabilities(a2) if usual else [([], softmax(np.concatenate(a2)))]:
                for loss_differs, losses in _losses(y, tried):
                    yield _Fit((*named, *softmax_differs, *loss_differs), losses)


def _probabilities(a2: list[Floats]) -> Iterator[tuple[list[str], Floats]]:
    rows = np.concatenate(a2)
    yield [], softmax(rows)
    start = math.log(100 * rows.shape[1])
    batch = (
        f"its softmax is taken over the whole batch, so that the loss starts at ln(N O), {start:.1f} for 100 samples. "
        "Take it over the classes, in two lines: e = np.exp(a - np.max(a, axis=-1, keepdims=True)) and "
        "y = e / np.sum(e, axis=-1, keepdims=True)"
    )
    yield [batch], np.concatenate([softmax(a.ravel()).reshape(a.shape) for a in a2])
    yield (
        ["softmax is taken over the samples, not over the classes"],
        np.concatenate([softmax(a.T).T for a in a2]),
    )
    yield ["there is no softmax"], rows
    yield ["softmax is taken twice"], softmax(softmax(rows))


def _losses(y: Floats, tried: _Tried) -> Iterator[tuple[list[str], Floats]]:
    """Yield losses, up to a factor."""
    t = tried.weights
    with np.errstate(all="ignore"):
        for offset in _OFFSETS:
            yield [], tried.means(_cross_entropy(y + offset, t))
            if offset:
                clipped = _CLIPPED.format(short(offset))
                yield [clipped], tried.means(_cross_entropy(np.maximum(y, offset), t))
                yield [clipped], tried.means(_cross_entropy(np.clip(y, offset, 1 - offset), t))
                both = _cross_entropy(y + offset, t) + _cross_entropy(1 - y + offset, 1 - t)
                yield ["the loss is the binary cross entropy"], tried.means(both)
        yield ["the loss is a sum of squares"], tried.means((y - t) ** 2)


def _cross_entropy(y: Floats, t: Floats) -> Floats:
    return -t * np.log(np.where(t == 0, 1.0, y))


def _relations(losses: Floats, ours: Floats, tried: _Tried) -> Iterator[list[str] | None]:
    """Yield how losses are related, or None."""
    if not np.isfinite(ours).all():
        return
    yield [] if _same(losses, ours) else None
    ratio = losses / np.where(ours == 0, np.nan, ours)
    if (factor := _constant(ratio)) is not None:
        mean = math.isclose(factor, 1 / tried.classes, rel_tol=1e-8)
        yield ["its loss is a mean over the outputs too"] if mean else [_scaled(factor)]
    if (factor := _constant(ratio / tried.samples)) is not None:
        times = "" if _same(factor, 1) else f", but times {factor:.6g}"
        yield [f"its loss is not divided by the number of samples{times}"]
    for rest in (losses - ours, losses - ours * tried.samples):
        if decayed := _decay(losses, rest, tried.penalties):
            yield [decayed]
        if (constant := _constant(rest)) is not None:
            yield [f"{constant:.6g} is added to its loss, which hides the digits of the rest"]


def _decay(losses: Floats, rest: Floats, penalties: Floats) -> str:
    """Say so if the rest of the losses is a multiple of one of the penalties."""
    clear = np.abs(rest) > _CLEAR * np.abs(losses)
    few = np.flatnonzero(clear)[:3]
    if len(few) < 3:
        return ""
    ratios = rest[few] / penalties[:, few]
    likely = np.ptp(ratios, axis=1) <= 1e-3 * np.abs(ratios[:, 0])  # most penalties do not fit even these
    for i in np.flatnonzero(likely):
        decay = float(np.median(rest[clear] / penalties[i, clear]))
        if _same(losses, losses - rest + decay * penalties[i]):
            power, what = _PENALTIES[i]
            of, slope = ("squares", "each of them") if power == 2 else ("absolute values", "the sign of each of them")
            return (
                f"its loss has a weight decay, {decay:.6g} times the sum of {of} of {what}: leave it out, and in your "
                f"loop add {power * decay:.6g} times {slope} to its gradient"
            )
    return ""


def _scaled(factor: float) -> str:
    for base in (2, 10):
        if _same(factor, 1 / math.log(base)):
            return f"its loss has logarithms to base {base}"
    return f"its loss is {factor:.6g} times the mean of the samples"


def _constant(values: Floats) -> float | None:
    """Return the common value, if all values are the same and not 0."""
    values = values[np.isfinite(values)]
    return float(values[0]) if len(values) > 2 and values[0] != 0 and _same(values, float(values[0])) else None


def _same(a: Floats | float, b: Floats | float) -> bool:
    return bool(np.all(np.abs(a - b) <= _AGREE * np.abs(b) + _AGREE / 100))


def _weights(probe: Probe) -> Floats:
    _, t = probe.rows
    return np.eye(len(probe.params[3]))[t] if t.ndim == 1 else t


def _coupled(trials: Sequence[Trial], loss: Callable[[Probe], float]) -> str:
    """Say so if the loss of a batch is not the mean of the losses of its samples."""
    for probe, batch in trials:
        if 2 < len(probe.x) < 10:
            samples = np.arange(len(probe.x))
            singles, others = (
                np.array([loss(probe._replace(x=probe.x[chosen], t=probe.t[chosen])) for chosen in batches])
                for batches in ((samples == i for i in samples), (samples != i for i in samples))
            )
            if not np.isfinite([*singles, *others]).all() or _same(float(np.mean(singles)), batch):
                continue
            rest = singles + others - batch  # of a sum, what does not depend on the samples
            if _same(rest, float(rest[0])):
                return "its loss is a sum over the samples, and something that does not depend on them"
            return "samples of a mini-batch depend on each other, as in batch normalization"
    return ""


def of_a_function(net: Any, methods: Methods, method: Any, layout: Layout) -> str:
    """Say so if a numerical gradient takes any function and an array, and what to choose instead."""
    arrays = layout.arrays(net)
    try:
        copy = duplicate(net, arrays, [array.copy() for array in arrays])
        returned = bound(method, copy)(lambda *_: 0.0, np.ones(3))
        if np.shape(returned) != (3,):
            return ""
    except Exception:  # whatever the reader's code raises
        return ""
    others = methods.alike(type(net), "numerical_gradient", or_gradient=True)
    meant = if_meant("numerical_gradient", others) or "write a method that returns a dict of the gradients"
    return f"its {methods.numerical_gradient} takes a function and an array: it must take (x, t); {meant}"
