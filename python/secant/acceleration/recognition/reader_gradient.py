"""The reader's own `numerical_gradient`, tried once: which central difference it is, or what else.

Design: it is called on a small copy at two points. At an ordinary one the step is told from others by the reader's own
loss, in one entry, where both round alike. There and where all gradients are large, as for clipping, entries are
compared with differences of the loss of the network that was recognized, which takes no calls of the reader's. Side
effects of the method are not looked for: they do not happen any more, and the pages say so.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.acceleration.recognition.candidates import Candidate
from secant.acceleration.recognition.layouts import Layout
from secant.acceleration.recognition.methods import MethodNames, if_meant, reader_gradient_of, takes_a_function
from secant.acceleration.recognition.probe_net import Clock, ProbeNet
from secant.acceleration.recognition.probes import Form, Probe, large_probe, ordinary_probe, short
from secant.backends.base import USUAL_STEP
from secant.errors import UnsupportedError

_EPS = float(np.finfo(float).eps)
_USUAL_STEPS = [1e-4, 1e-3, 1e-5, 1e-2, 1e-6, 1e-7, 1e-8, 1e-9, 0.1]
_OTHER_STEPS = [float(f"{digit}e-{power}") for power in range(2, 10) for digit in range(9, 1, -1)]
_OTHER_STEPS += [float(np.finfo(kind).eps) ** root for kind in (np.float64, np.float32) for root in (1 / 3, 1 / 2)]
_TELLING = 1e-4  # below, rounding hides which step it is
_KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
_MOST = 25  # entries of a parameter that are compared
_ROUNDING, _TWO_ROUNDINGS = 8 * _EPS, 64 * _EPS  # of differences of one loss, and of two that round differently
_EXACTLY = "it must return exactly the central difference"
# What a gradient is that is no difference of the loss: the first that is true, given the gradient, its factor to the
# central difference, and whether it is that times the factor.
_MISTAKES: list[tuple[Callable[[Floats, float, bool], bool], str]] = [
    (
        lambda gradient, *_: not gradient.any(),
        "is all zero. Its f does not look at what is shifted, and must compute the loss anew in each call; or its step "
        "is so small that x + h is x, as with 1e-30",
    ),
    (
        lambda _, factor, is_multiple: is_multiple and any(np.isclose(factor, h * h, rtol=1e-2) for h in _USUAL_STEPS),
        f"is h**2 times the central difference of its loss: `/ 2 * h` multiplies by h, write `/ (2 * h)`; {_EXACTLY}",
    ),
    (
        lambda _, factor, is_multiple: is_multiple and abs(factor - 1) > 1e-2,
        f"is {{factor:.3g}} times the central difference of its loss: {_EXACTLY}",
    ),
    (
        lambda *_: True,
        f"differs from the central difference of its loss, up to {{largest:.2g}}, by up to {{off:.2g}}: {_EXACTLY}",
    ),
]


class ReaderGradient(NamedTuple):
    """The step of the difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]
    order: tuple[Any, ...]  # of the gradients in the dict


NO_GRADIENT = ReaderGradient(USUAL_STEP, "its numerical gradient was not tried", (), ())


def recognized_gradient(
    net: Any, names: MethodNames, layout: Layout, candidate: Candidate, form: Form, clock: Clock
) -> ReaderGradient:
    """Find out what the reader's own `numerical_gradient` computes, for targets of this form.

    Raises
    ------
    UnsupportedError
        If it does not take (x, t), does not return a dict of the four gradients, or returns a gradient that is not a
        difference of the loss.
    """
    cls, name = type(net), names.numerical_gradient
    own = reader_gradient_of(cls, name)
    if own is None:
        if others := names.alike(cls, "numerical_gradient"):
            raise UnsupportedError(f"it has no {name}(x, t); {if_meant('numerical_gradient', others)}")
        order = tuple(key for key in layout.mapping(net) if key in layout.keys)
        return ReaderGradient(USUAL_STEP, f"it gets a {name}, at h = {short(USUAL_STEP)}", layout.keys, order)
    if takes_a_function(own):
        others = names.alike(cls, "numerical_gradient", or_gradient=True)
        meant = if_meant("numerical_gradient", others) or "write a method that returns a dict of the gradients"
        raise UnsupportedError(f"its {name} takes a function and an array: it must take (x, t); {meant}")
    arrays = layout.arrays(net)
    inputs, hidden, outputs = len(arrays[0]), arrays[1].size, arrays[3].size
    failures: list[str] = []
    for sizes in ((3, 2, 2), (inputs, 2, outputs), (inputs, hidden, outputs)):  # it may know its sizes
        try:
            return _tried(ProbeNet(net, layout, names, sizes, clock), own, candidate, form)
        except UnsupportedError:
            raise
        except Exception as error:  # the reader's code may raise anything on such a network
            failures.append(f"{type(error).__name__}: {error}")
    raise UnsupportedError(
        f"its {name} cannot be tried on a copy, so what it returns is not known: on a small one, {failures[0]}; on one "
        f"of its own size, {failures[-1]}"
    )


def _tried(small: ProbeNet, own: Any, candidate: Candidate, form: Form) -> ReaderGradient:
    """Call a numerical gradient on a copy at two points, and say which difference of the candidate's loss it is."""
    name, ordinary = f"its {small.names.numerical_gradient}", ordinary_probe(small.sizes, form)
    if not candidate.agrees(ordinary, small.loss(ordinary)):
        raise ValueError("its loss is another one there")  # then a larger copy is tried
    loss_seconds = small.clock.last_seconds
    small.loss(ordinary)  # the first may be slower
    seconds = 4 * sum(array.size for array in small.arrays) * min(loss_seconds, small.clock.last_seconds)
    if seconds > small.clock.left():
        raise UnsupportedError(f"{name} takes too long to be tried: about {seconds:.2g} s on a copy that it takes")
    returned = small.gradient(own, ordinary)
    if type(returned) not in (dict, OrderedDict):
        got = type(returned).__name__
        raise UnsupportedError(f"{name} returns a {got}, not a dict with a gradient of each parameter")
    keys = _keys(returned, small.layout.keys, candidate, ordinary, name)
    gradient = _gradient(returned, keys, ordinary, name)
    nearest = _fits(small, ordinary, candidate, gradient)
    fits = (fit for fit in nearest if not _differs(gradient, candidate, ordinary, *fit))
    if (first := next(fits, None)) is None:
        raise UnsupportedError(f"{name} {_mistake(gradient, candidate, ordinary)}")
    large = large_probe(small.sizes, form)
    at_large = _gradient(small.gradient(own, large), keys, large, name)
    both = (fit for fit in itertools.chain([first], fits) if not _differs(at_large, candidate, large, *fit))
    kind, h = next(both, ("", 0.0))
    if not kind:
        raise UnsupportedError(f"where it is large, as for clipping, {name} {_mistake(at_large, candidate, large)}")
    instead = "" if kind == "central" else ", in place of which comes the central one"
    return ReaderGradient(h, f"{name} is a {kind} difference at h = {short(h)}{instead}", keys, tuple(returned))


def _places(probe: Probe) -> Array:
    """The entries that are compared, (places, 2): the number of the parameter, and the entry in it."""
    rng = np.random.default_rng(11)
    return np.array([(i, at) for i, param in enumerate(probe.params) for at in rng.permutation(param.size)[:_MOST]])


def _gradient(returned: Any, keys: tuple[Any, ...], probe: Probe, name: str) -> Floats:
    """The compared entries of a gradient that was returned."""
    for key, param in zip(keys, probe.params, strict=True):
        got = returned[key]
        if not isinstance(got, np.ndarray) or got.shape not in (param.shape, (1, *param.shape)):
            what = f"an array {got.shape}" if isinstance(got, np.ndarray) else f"a {type(got).__name__}"
            raise UnsupportedError(f"{name} returns {what} for a parameter {param.shape}")
    return np.array([np.ravel(returned[keys[i]])[at] for i, at in _places(probe)], np.float64)


def _shifted(probe: Probe, i: int, at: int, step: float) -> Probe:
    param = probe.params[i].copy()
    param.flat[at] += step
    return probe.with_param(i, param)


def _right(candidate: Candidate, probe: Probe, kind: str = "central", h: float = USUAL_STEP) -> tuple[Floats, float]:
    """A difference of the loss of a network that Secant knows, in each place; and the largest of these losses."""
    (first, second), places = _KINDS[kind], _places(probe)
    losses = np.array([[candidate.loss(_shifted(probe, i, at, k * h)) for k in (first, second)] for i, at in places])
    return (losses[:, 0] - losses[:, 1]) / ((first - second) * h), float(np.abs(losses).max())


def _differs(gradient: Floats, candidate: Candidate, probe: Probe, kind: str, h: float) -> bool:
    """Whether a gradient is not such a difference, but for rounding: of losses, and of x + h."""
    right, largest = _right(candidate, probe, kind, h)
    largest = max(1.0, largest, h * float(np.abs(probe.x).max()))
    of_x = np.abs([probe.params[i].flat[at] for i, at in _places(probe)] * gradient).max()
    return not np.abs(gradient - right).max() <= (_TWO_ROUNDINGS * largest + _ROUNDING * of_x) / h


def _fits(small: ProbeNet, probe: Probe, candidate: Candidate, gradient: Floats) -> list[tuple[str, float]]:
    """The differences that a gradient may be where it depends most on the step, the nearest first."""
    most = int(np.abs(_right(candidate, probe, h=0.01)[0] - _right(candidate, probe)[0]).argmax())
    (i, at), value, at_probe = _places(probe)[most], float(gradient[most]), small.loss(probe)
    rounding = _ROUNDING * max(1.0, abs(at_probe), abs(probe.params[i].flat[at] * value))
    fits: dict[tuple[str, float], float] = {}
    for steps in (_USUAL_STEPS, _OTHER_STEPS):
        for h in steps:
            points = {sign: _shifted(probe, i, at, sign * h) for sign in (1, 0, -1)}
            losses = {sign: small.loss(point) if sign else at_probe for sign, point in points.items()}
            for kind, (first, second) in _KINDS.items():
                taken = points[first].params[i].flat[at] - points[second].params[i].flat[at]
                quotients = (losses[first] - losses[second]) / np.array([(first - second) * h, taken])  # of either step
                if (off := float(np.abs(value - quotients).min())) <= rounding / h:
                    fits[kind, h] = off
            if h >= _TELLING and fits.get(("central", h)) == 0:
                return [("central", h)]
        nearest = sorted(fits, key=lambda fit: fits[fit])
        if nearest and nearest[0][1] >= _TELLING:
            break
    return nearest


def _keys(returned: Any, parameters: tuple[Any, ...], candidate: Candidate, probe: Probe, name: str) -> tuple[Any, ...]:
    """The keys of the gradients: those of the parameters, or else those whose values fit."""
    keys = parameters
    if not all(key in returned for key in parameters):
        (right, _), places = _right(candidate, probe), _places(probe)
        keys = tuple(
            key
            for i, param in enumerate(probe.params)
            for key, value in returned.items()
            if np.shape(value) in (param.shape, (1, *param.shape))
            and np.allclose(np.ravel(value)[places[places[:, 0] == i, 1]], right[places[:, 0] == i], 1e-2, 1e-4)
        )
    if len(keys) != 4 or len(set(keys)) != 4:
        got, wanted = (", ".join(map(str, some)) or "nothing" for some in (returned, parameters))
        raise UnsupportedError(f"{name} returns {got}, not a gradient of each of {wanted}")
    if more := [str(key) for key in returned if key not in keys]:
        raise UnsupportedError(f"{name} also returns {', '.join(more)}, which is not a gradient")
    return keys


def _mistake(gradient: Floats, candidate: Candidate, probe: Probe) -> str:
    """Say what a gradient is that is no difference of the loss."""
    right, _ = _right(candidate, probe)
    with np.errstate(all="ignore"):
        factor = float(gradient @ right / (right @ right))
    off, largest = float(np.abs(gradient - right).max()), float(np.abs(right).max())
    is_multiple = np.allclose(gradient, factor * right, rtol=1e-3, atol=1e-3 * abs(factor) * largest)
    sentence = next(sentence for holds, sentence in _MISTAKES if holds(gradient, factor, is_multiple))
    return sentence.format(factor=factor, off=off, largest=largest)
