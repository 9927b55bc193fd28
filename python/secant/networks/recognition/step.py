"""A network's own `numerical_gradient`, held against differences of its own loss on a copy with few parameters.

Design: it is called where gradients are of order 1, where they are large or small, where parameters are 0, negative or
large, and with targets of every form: a gradient that is clipped is the difference of the loss elsewhere. What is not
the difference of the loss is refused, and so is what does something besides: the engines would not do it.
"""

import inspect
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from secant._common.validation import Array, Floats
from secant.errors import UnsupportedError
from secant.networks.recognition.candidates import Candidate
from secant.networks.recognition.layouts import Layout, Sizes, duplicate, shapes
from secant.networks.recognition.probes import (
    Form,
    Probe,
    fill,
    mixed_probe,
    number,
    one_class_probe,
    short,
    step_probe,
)
from secant.networks.recognition.state import changes, contents

USUAL_STEP = 1e-4
_STEPS = [0.1, *(float(f"{digit}e-{power}") for power in range(2, 10) for digit in range(9, 0, -1))]
_STEPS += [float(np.finfo(kind).eps) ** root for kind in (np.float64, np.float32) for root in (1 / 3, 1 / 2)]
_KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
_MOST = 25  # entries of a parameter that are compared
_LONGEST = 30.0  # seconds that it may take on a copy of the network's own size, where a smaller one will not do
_ROUNDING = 8 * np.finfo(np.float64).eps
_LARGE = 1e4  # the scale of inputs, and so of the gradient of the weights that they meet


class OwnGradient(NamedTuple):
    """The step of the difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]
    order: tuple[Any, ...]  # in which gradients are to be put into a dict
    kind: str = "central"


class Replaced:
    """What stands in a class in place of its ``numerical_gradient``."""

    own: Any


def own_method(cls: type) -> Any:
    """Return the numerical gradient that a class has of its own, as it stands there; None if it has none."""
    method = inspect.getattr_static(cls, "numerical_gradient", None)
    return method.own if isinstance(method, Replaced) else method


class _Small:
    """A copy with a few parameters, and what its own `numerical_gradient` returned and left."""

    def __init__(self, net: Any, method: Any, layout: Layout, candidate: Candidate, sizes: Sizes) -> None:
        arrays = layout.arrays(net)
        self.sizes = sizes
        self.arrays = [np.empty(shape) for shape in shapes(sizes, arrays)]
        self._copy = duplicate(net, arrays, self.arrays)
        if lost := [name for name in vars(net) if name not in vars(self._copy)]:
            raise UnsupportedError(f"copies of it do not have {', '.join(lost)}, which may change its gradient")
        self._method, self._candidate = method, candidate
        rng = np.random.default_rng(11)
        self._entries = [rng.permutation(array.size)[:_MOST] for array in self.arrays]

    def call(self, probe: Probe, *, argmax: bool = False) -> None:
        """Call it with the parameters and the mini-batch of a probe."""
        other = probe._replace(params=cast(Any, [-param for param in probe.params]), x=-probe.x)
        held = [contents(self._copy, self.arrays)]
        for mini_batch in (other, probe):
            self._probe = mini_batch
            fill(self.arrays, mini_batch.params)
            start, loss = time.perf_counter(), self.loss()
            self.seconds = 2 * sum(array.size for array in self.arrays) * (time.perf_counter() - start)
            held.append(contents(self._copy, self.arrays))
        if not self._candidate.agrees(probe, loss, argmax=argmax):
            raise UnsupportedError("its loss is another one there")
        if self.seconds > _LONGEST:
            raise UnsupportedError(f"it would take about {self.seconds:.0f} s")
        self.returned = bound(self._method, self._copy)(probe.x.copy(), probe.t.copy())
        parts = zip(self.arrays, probe.params, strict=True)
        self._changed = max(float(np.abs(a.ravel() - p.ravel()).max()) for a, p in parts)
        fill(self.arrays, probe.params)
        by_losses = changes(held[0], held[1]) | changes(held[1], held[2])
        growing = {_container(name) for name in by_losses if name not in held[0]}
        done = changes(held[2], contents(self._copy, self.arrays)) - by_losses
        self._done = sorted(name for name in done if name in held[2] or _container(name) not in growing)

    def require_no_effect(self) -> None:
        """Raise an error if it did something else than to return gradients, that a loss does not."""
        what = [f"sets {', '.join(self._done)}"] if self._done else []
        what += [f"changes the parameters, by up to {self._changed:.2g}"] if self._changed > 1e-9 else []
        if what:
            raise UnsupportedError(
                f"its numerical_gradient also {' and '.join(what)}, which would not happen any more: one that only "
                "returns the gradients is needed"
            )

    def loss(self) -> float:
        """Return the loss."""
        return number(self._copy.loss(self._probe.x.copy(), self._probe.t.copy()))

    def gradient(self, keys: tuple[Any, ...], most: int = _MOST) -> Floats:
        """Return what is compared of the gradient that was returned, of each array so many entries, as a vector."""
        parts = zip(keys, self.arrays, self._entries, strict=True)
        return np.concatenate([self._part(self.returned[key], array, some[:most]) for key, array, some in parts])

    def keys(self, parameters: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the keys of the gradients: those of the parameters, or else found by their values."""
        if all(key in self.returned for key in parameters):
            return parameters
        ends = np.cumsum([len(entries) for entries in self._entries])[:-1]
        found = [
            key
            for right, array, some in zip(np.split(self.usual(), ends), self.arrays, self._entries, strict=True)
            for key, value in self.returned.items()
            if np.size(value) == array.size and np.allclose(self._part(value, array, some), right, rtol=1e-2, atol=1e-4)
        ]
        if len(found) != 4 or len(set(found)) != 4:
            got = ", ".join(map(str, self.returned)) or "nothing"
            wanted = ", ".join(map(str, parameters))
            raise UnsupportedError(f"its numerical_gradient returns {got}, not a gradient of each of {wanted}")
        return tuple(found)

    @staticmethod
    def _part(value: Any, array: Floats, entries: Array) -> Floats:
        part = np.asarray(value, np.float64)
        if part.size != array.size:
            raise UnsupportedError(
                f"its numerical_gradient returns an array {part.shape} for a parameter {array.shape}"
            )
        return part.ravel()[entries]

    def differs(self, kind: tuple[str, float], keys: tuple[Any, ...]) -> bool:
        """Whether the gradient is another one than such a difference."""
        return kind not in self._fits_at(kind[1], keys, _MOST)

    def losses(self, h: float, most: int = _MOST) -> dict[int, Floats]:
        """The losses with one entry changed by h, 0 and -h, for so many of each array in turn."""
        up, down = list[float](), list[float]()
        for array, entries in zip(self.arrays, self._entries, strict=True):
            flat = array.reshape(-1)
            for i in entries[:most]:
                before = float(flat[i])
                for step, found in ((h, up), (-h, down)):
                    flat[i] = before + step
                    found.append(self.loss())
                flat[i] = before
        return {1: np.array(up), 0: np.full(len(up), self.loss()), -1: np.array(down)}

    def usual(self) -> Floats:
        """Return the central difference at the usual step."""
        return _difference(self.losses(USUAL_STEP), USUAL_STEP, *_KINDS["central"])

    def fits(self, keys: tuple[Any, ...], steps: Iterable[float]) -> dict[tuple[str, float], float]:
        """The differences that the gradient may be, with how far it is from them.

        As far as roundings of the losses and of the step allow.
        """
        found: dict[tuple[str, float], float] = {}
        for h in steps:
            if self._fits_at(h, keys, 1):  # few losses tell most steps apart
                found |= self._fits_at(h, keys, _MOST)
        return found

    def _fits_at(self, h: float, keys: tuple[Any, ...], most: int) -> dict[tuple[str, float], float]:
        """The same for one step, and so many entries of each array."""
        theirs, losses, found = self.gradient(keys, most), self.losses(h, most), {}
        parts = zip(keys, self._probe.params, strict=True)
        steps = max(float(np.abs(np.ravel(self.returned[key]) * param.ravel()).max()) for key, param in parts)
        rounded = max(1.0, abs(float(losses[0][0])), h * float(np.abs(self._probe.x).max()), steps)
        for name, signs in _KINDS.items():
            off = float(np.abs(theirs - _difference(losses, h, *signs)).max())
            if off <= _ROUNDING * rounded / h:
                found[name, h] = off
        return found


def bound(method: Any, net: Any) -> Callable[..., Any]:
    """Return what stands in a class as it is seen in an instance."""
    return cast(Callable[..., Any], method.__get__(net, type(net)) if hasattr(method, "__get__") else method)


def own_gradient(
    net: Any, method: Any, layout: Layout, candidate: Candidate, forms: Sequence[Form], *, argmax: bool
) -> OwnGradient:
    """Find out what a network's own `numerical_gradient` computes: ``method``, as it stands in a class, or None.

    It is tried with targets of some forms, most of all of the first; ``argmax``: whether the largest weight counts.

    Raises
    ------
    UnsupportedError
        If it takes something else than (x, t), returns something else than a dict of the four gradients, or another
        gradient than a difference of the loss.
    """
    order = tuple(layout.mapping(net))
    if method is None:
        return OwnGradient(USUAL_STEP, f"it gets a numerical_gradient, at h = {short(USUAL_STEP)}", layout.keys, order)
    arrays = layout.arrays(net)
    inputs, hidden, outputs = len(arrays[0]), arrays[1].size, arrays[3].size
    sizes: list[Sizes] = [(3, 2, 2), (3, 2, outputs), (inputs, hidden, outputs)]
    failures = []
    for some in sizes:
        try:
            small = _Small(net, method, layout, candidate, some)
            small.call(step_probe(some, forms[0]))
        except Exception as error:  # whatever somebody's code raises that never met such a network
            failures.append(f"{type(error).__name__}: {error}")
            continue
        try:
            own = _judged(small, layout, forms[0])
            if _holds_elsewhere(small, own, forms, argmax=argmax) or some is not sizes[0]:
                return own
        except UnsupportedError:
            raise
        except Exception as error:  # whatever somebody's code raises, or returns
            raise UnsupportedError(
                f"its numerical_gradient cannot be compared: {type(error).__name__}: {error}"
            ) from error
    if _takes_a_function(net, method, layout):
        raise UnsupportedError("its numerical_gradient takes a function and an array: one that takes (x, t) is needed")
    raise UnsupportedError(
        "its numerical_gradient cannot be tried on a copy, so what it returns is not known: on a small one, "
        f"{failures[0]}; on one of its own size, {failures[-1]}"
    )


def _takes_a_function(net: Any, method: Any, layout: Layout) -> bool:
    """Whether it is the central difference of any function."""
    arrays = layout.arrays(net)
    try:
        copy = duplicate(net, arrays, [array.copy() for array in arrays])
        found = bound(method, copy)(lambda array: float(np.sum(array**2)), np.ones(3))
        return bool(np.shape(found) == (3,))
    except Exception:  # whatever somebody's code raises
        return False


def _container(name: str) -> str:
    return name.rpartition(".")[0]


def _judged(small: _Small, layout: Layout, form: Form) -> OwnGradient:
    if type(small.returned) not in (dict, OrderedDict):
        got = type(small.returned).__name__
        raise UnsupportedError(f"its numerical_gradient returns a {got}, not a dict with a gradient of each parameter")
    small.require_no_effect()
    keys = small.keys(layout.keys)
    if more := [str(key) for key in small.returned if key not in keys]:
        raise UnsupportedError(f"its numerical_gradient also returns {', '.join(more)}, which is no gradient")
    order, fits = tuple(small.returned), small.fits(keys, _STEPS)
    if not fits:
        raise UnsupportedError(f"its numerical_gradient {_mistake(small, keys)}: {_NEEDED}")
    small.call(step_probe(small.sizes, form, _LARGE))
    large = small.fits(keys, {h for _, h in fits})
    both = [(off + large[kind], kind) for kind, off in fits.items() if kind in large]
    if not both:
        raise _differs_there("where it is large, as for clipping", small, keys)
    kind, h = min(both)[1]
    instead = "" if kind == "central" else ", in place of which comes the central one"
    sentence = f"its numerical_gradient is a {kind} difference at h = {short(h)}{instead}"
    return OwnGradient(h, sentence, keys, order, kind)


def _holds_elsewhere(small: _Small, own: OwnGradient, forms: Sequence[Form], *, argmax: bool) -> bool:
    """Try as much else as there is time for. Raises an error if it is another gradient there.

    Returns whether it could be tried with all forms of targets.
    """
    sizes, form, tried = small.sizes, forms[0], True
    trials = [("where parameters are 0, negative or large", mixed_probe(sizes, form, first)) for first in (0, 2)]
    trials += [
        ("where gradients of biases are large, as for clipping", one_class_probe(sizes, form, -9)),
        ("where gradients are small", one_class_probe(sizes, form, 12)),
    ]
    trials += [(f"for targets that are {other}", mixed_probe(sizes, other, 1)) for other in forms[1:]]
    for where, probe in trials[: max(1, int(_LONGEST / small.seconds))]:
        try:
            small.call(probe, argmax=argmax)
        except UnsupportedError:
            raise
        except Exception:  # whatever somebody's code raises, such as for targets of another number of classes
            tried = False
            continue
        small.require_no_effect()
        if small.differs((own.kind, own.h), own.keys):
            raise _differs_there(where, small, own.keys)
    return tried


def _differs_there(where: str, small: _Small, keys: tuple[Any, ...]) -> UnsupportedError:
    return UnsupportedError(f"{where}, its numerical_gradient {_mistake(small, keys)}: {_NEEDED}")


_NEEDED = "one that returns the central difference alone is needed"


def _mistake(small: _Small, keys: tuple[Any, ...]) -> str:
    theirs, right = small.gradient(keys), small.usual()
    with np.errstate(all="ignore"):
        factor = float(theirs @ right / (right @ right))
    alike = np.allclose(theirs, factor * right, rtol=1e-4, atol=1e-4 * float(np.abs(right).max()))
    if abs(factor) > 1e-3 and abs(factor - 1) > 1e-2 and alike:
        return f"is {factor:.3g} times the central difference of its loss"
    off, largest = float(np.abs(theirs - right).max()), float(np.abs(right).max())
    return f"differs from the central difference of its loss, up to {largest:.2g}, by up to {off:.2g}"


def _difference(losses: dict[int, Floats], h: float, up: int, down: int) -> Floats:
    return (losses[up] - losses[down]) / ((up - down) * h)
