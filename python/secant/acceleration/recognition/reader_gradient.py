"""The reader's own `numerical_gradient`, tried once: which central difference it is, or what else.

Design: it is called on a small copy at two points. At an ordinary one the step is told from others by the reader's own
loss, in one entry, where both round alike. At that one and at one where all gradients are large, as for clipping, all
entries are compared with differences of the loss of the network that was recognized, which takes no calls of the
reader's. Side effects of the method are not looked for: they do not happen any more, and the pages say so.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.acceleration.recognition.candidates import Candidate
from secant.acceleration.recognition.layouts import Layout, duplicate
from secant.acceleration.recognition.methods import MethodNames, bound, if_meant, reader_gradient_of
from secant.acceleration.recognition.probe_net import Clock, ProbeNet
from secant.acceleration.recognition.probes import Form, Probe, large_probe, ordinary_probe, short
from secant.backends.base import USUAL_STEP
from secant.errors import UnsupportedError

_EPS = float(np.finfo(float).eps)
_USUAL_STEPS = [1e-4, 1e-3, 1e-5, 1e-2, 1e-6, 1e-7, 1e-8, 1e-9, 0.1]
_OTHER_STEPS = [float(f"{digit}e-{power}") for power in range(2, 10) for digit in range(9, 1, -1)]
_OTHER_STEPS += [float(np.finfo(kind).eps) ** root for kind in (np.float64, np.float32) for root in (1 / 3, 1 / 2)]
_TELLING = 1e-4  # below, rounding hides which step it is, unless the last digit agrees
_KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
_MOST = 25  # entries of a parameter that are compared
_ROUNDING, _TWO_ROUNDINGS = 8 * _EPS, 64 * _EPS  # of differences of one loss, and of two that round differently
_EXACTLY = "it must return exactly the central difference"


class ReaderGradient(NamedTuple):
    """The step of the difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]
    order: tuple[Any, ...]  # of the gradients in the dict


class _Difference(NamedTuple):
    """Which difference quotient of the loss a gradient is."""

    kind: str
    h: float


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
    name, reader_gradient = f"its {names.numerical_gradient}", reader_gradient_of(type(net), names.numerical_gradient)
    if reader_gradient is None:
        return _new_gradient(net, names, layout)
    arrays = layout.arrays(net)
    inputs, hidden, outputs = len(arrays[0]), arrays[1].size, arrays[3].size
    failures: list[str] = []
    for sizes in ((3, 2, 2), (inputs, 2, outputs), (inputs, hidden, outputs)):  # it may know its sizes
        try:
            return _tried(ProbeNet(net, layout, names, sizes, clock), reader_gradient, candidate, form, name)
        except UnsupportedError:
            raise
        except Exception as error:  # the reader's code may raise anything on such a network
            failures.append(f"{type(error).__name__}: {error}")
    if reason := _of_a_function(net, names, reader_gradient, layout):
        raise UnsupportedError(reason)
    raise UnsupportedError(
        f"{name} cannot be tried on a copy, so what it returns is not known: on a small one, {failures[0]}; on one of "
        f"its own size, {failures[-1]}"
    )


def _new_gradient(net: Any, names: MethodNames, layout: Layout) -> ReaderGradient:
    if others := names.alike(type(net), "numerical_gradient"):
        raise UnsupportedError(f"it has no {names.numerical_gradient}(x, t); {if_meant('numerical_gradient', others)}")
    order = tuple(key for key in layout.mapping(net) if key in layout.keys)
    sentence = f"it gets a {names.numerical_gradient}, at h = {short(USUAL_STEP)}"
    return ReaderGradient(USUAL_STEP, sentence, layout.keys, order)


def _of_a_function(net: Any, names: MethodNames, reader_gradient: Any, layout: Layout) -> str:
    """Say so if a numerical gradient takes any function and an array, and what to choose instead."""
    arrays = layout.arrays(net)
    try:
        copy = duplicate(net, arrays, [array.copy() for array in arrays])
        if np.shape(bound(reader_gradient, copy)(lambda *_: 0.0, np.ones(3))) != (3,):
            return ""
    except Exception:  # whatever the reader's code raises
        return ""
    others = names.alike(type(net), "numerical_gradient", or_gradient=True)
    meant = if_meant("numerical_gradient", others) or "write a method that returns a dict of the gradients"
    return f"its {names.numerical_gradient} takes a function and an array: it must take (x, t); {meant}"


class _AnotherLossError(Exception):
    """The loss of a copy is not that of the network that was recognized."""


def _tried(small: ProbeNet, reader_gradient: Any, candidate: Candidate, form: Form, name: str) -> ReaderGradient:
    ordinary, large = ordinary_probe(small.sizes, form), large_probe(small.sizes, form)
    if not candidate.agrees(ordinary, small.loss(ordinary)):
        raise _AnotherLossError("its loss is another one there")
    seconds = 2 * sum(array.size for array in small.arrays) * small.clock.last_seconds
    if 2 * seconds > small.clock.left():
        raise UnsupportedError(f"{name} cannot be tried: on a copy that it takes it needs about {2 * seconds:.2g} s")
    returned = small.gradient(reader_gradient, ordinary)
    if type(returned) not in (dict, OrderedDict):
        raise UnsupportedError(
            f"{name} returns a {type(returned).__name__}, not a dict with a gradient of each parameter"
        )
    usual = _Comparison(candidate, ordinary)
    keys = usual.keys_of(returned, small.layout.keys, name)
    usual.require_shapes(returned, keys, name)
    difference = _difference(small, ordinary, usual, returned, keys)
    if difference is None or usual.differs(returned, keys, difference):
        raise UnsupportedError(f"{name} {usual.mistake(returned, keys)}")
    returned = small.gradient(reader_gradient, large)
    if (at_large := _Comparison(candidate, large)).differs(returned, keys, difference):
        raise UnsupportedError(f"where it is large, as for clipping, {name} {at_large.mistake(returned, keys)}")
    kind, h = difference
    instead = "" if kind == "central" else ", in place of which comes the central one"
    sentence = f"{name} is a {kind} difference at h = {short(h)}{instead}"
    return ReaderGradient(h, sentence, keys, tuple(returned))


def _difference(
    small: ProbeNet, probe: Probe, usual: "_Comparison", returned: Any, keys: tuple[Any, ...]
) -> _Difference | None:
    """The difference that the most telling entry of a gradient is, to the last digit if there is one."""
    array, entry = usual.most_telling()
    value, size = float(np.ravel(returned[keys[array]])[entry]), abs(float(probe.params[array].flat[entry]))
    at_probe = small.loss(probe)
    fits: dict[_Difference, float] = {}
    for steps in (_USUAL_STEPS, _OTHER_STEPS):
        for h in steps:
            up, down = (small.loss(_shifted(probe, array, entry, step)) for step in (h, -h))
            losses = {1: up, 0: at_probe, -1: down}
            rounding = _ROUNDING * max(1.0, abs(at_probe), size * abs(value)) / h
            for kind, (first, second) in _KINDS.items():
                off = abs(value - (losses[first] - losses[second]) / ((first - second) * h))
                if off <= rounding:
                    fits[_Difference(kind, h)] = off
            if fits.get(_Difference("central", h)) == 0.0:
                return _Difference("central", h)
        nearest = min(fits, key=lambda difference: fits[difference], default=None)
        if nearest and nearest.h >= _TELLING:
            break
    return nearest


def _shifted(probe: Probe, array: int, entry: int, step: float) -> Probe:
    param = probe.params[array].copy()
    param.flat[entry] += step
    return probe.with_param(array, param)


class _Comparison:
    """Differences of the loss of a network that Secant knows, at a probe: at most 25 entries of each parameter."""

    def __init__(self, candidate: Candidate, probe: Probe) -> None:
        rng = np.random.default_rng(11)
        self._loss: Callable[[Probe], float] = candidate.loss
        self._probe = probe
        self._entries = [rng.permutation(param.size)[:_MOST] for param in probe.params]

    def _right(self, difference: _Difference) -> tuple[Floats, float]:
        """The compared entries of a difference, one array after the other; and how far two roundings may be apart."""
        (first, second), h, losses = _KINDS[difference.kind], difference.h, []
        for array, entries in enumerate(self._entries):
            for entry in entries:
                steps = (self._loss(_shifted(self._probe, array, entry, sign * h)) for sign in (first, second))
                losses.append(tuple(steps))
        ups, downs = np.array(losses).T
        largest = max(1.0, float(np.abs(losses).max()), h * float(np.abs(self._probe.x).max()))
        return (ups - downs) / ((first - second) * h), _TWO_ROUNDINGS * largest / h

    def _compared(self, returned: Any, keys: tuple[Any, ...]) -> Floats:
        """The compared entries of a gradient."""
        return np.concatenate(
            [np.ravel(returned[key])[entries] for key, entries in zip(keys, self._entries, strict=True)]
        ).astype(np.float64)

    def require_shapes(self, returned: Any, keys: tuple[Any, ...], name: str) -> None:
        """Raise an error unless there is an array like each parameter."""
        for key, param in zip(keys, self._probe.params, strict=True):
            got = returned[key]
            if not isinstance(got, np.ndarray) or got.shape not in (param.shape, (1, *param.shape)):
                what = f"an array {got.shape}" if isinstance(got, np.ndarray) else f"a {type(got).__name__}"
                raise UnsupportedError(f"{name} returns {what} for a parameter {param.shape}")

    def most_telling(self) -> tuple[int, int]:
        """The array and the entry whose difference depends most on the step."""
        off = np.abs(self._right(_Difference("central", 0.01))[0] - self._right(_Difference("central", 1e-4))[0])
        places = [(array, int(entry)) for array, entries in enumerate(self._entries) for entry in entries]
        return places[int(off.argmax())]

    def differs(self, returned: Any, keys: tuple[Any, ...], difference: _Difference) -> bool:
        """Whether a gradient is not such a difference."""
        right, rounding = self._right(difference)
        pairs = zip(keys, self._probe.params, strict=True)
        of_x = max(float(np.abs(np.ravel(returned[key]) * param.ravel()).max()) for key, param in pairs)
        rounding += _ROUNDING * of_x / difference.h  # of x + h
        return not np.abs(self._compared(returned, keys) - right).max() <= rounding

    def keys_of(self, returned: Any, parameters: tuple[Any, ...], name: str) -> tuple[Any, ...]:
        """The keys of the gradients: those of the parameters, or else those whose values fit."""
        keys = parameters if all(key in returned for key in parameters) else self._fitting_keys(returned)
        if len(set(keys)) != 4:
            got, wanted = (", ".join(map(str, some)) or "nothing" for some in (returned, parameters))
            raise UnsupportedError(f"{name} returns {got}, not a gradient of each of {wanted}")
        if more := [str(key) for key in returned if key not in keys]:
            raise UnsupportedError(f"{name} also returns {', '.join(more)}, which is not a gradient")
        return keys

    def _fitting_keys(self, returned: Any) -> tuple[Any, ...]:
        right = self._right(_Difference("central", USUAL_STEP))[0]
        ends = np.cumsum([len(entries) for entries in self._entries])[:-1]
        parts: list[Array] = np.split(right, ends)
        return tuple(
            key
            for part, param, entries in zip(parts, self._probe.params, self._entries, strict=True)
            for key, value in returned.items()
            if np.shape(value) in (param.shape, (1, *param.shape))
            and np.allclose(np.ravel(value)[entries], part, rtol=1e-2, atol=1e-4)
        )

    def mistake(self, returned: Any, keys: tuple[Any, ...]) -> str:
        """Say what a gradient is that is no difference of the loss."""
        gradient, right = self._compared(returned, keys), self._right(_Difference("central", USUAL_STEP))[0]
        with np.errstate(all="ignore"):
            factor = float(gradient @ right / (right @ right))
        is_multiple = np.allclose(gradient, factor * right, rtol=1e-3, atol=1e-3 * abs(factor) * np.abs(right).max())
        off, largest = float(np.abs(gradient - right).max()), float(np.abs(right).max())
        return next(sentence for holds, sentence in _MISTAKES if holds(gradient, factor, is_multiple)).format(
            factor=factor, off=off, largest=largest
        )


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
        "differs from the central difference of its loss, up to {largest:.2g}, by up to {off:.2g}: " + _EXACTLY,
    ),
]
