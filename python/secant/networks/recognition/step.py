"""A network's own `numerical_gradient`, held against differences of its own loss on a copy with few parameters.

Design: it is called where gradients are of order 1, and then where they are large, since a gradient that is clipped is
the difference of the loss elsewhere. What is not the difference of the loss is refused: the engines would
return another gradient than the one that its author trains with.
"""

import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np

from secant._common.validation import Array, Floats
from secant.errors import UnsupportedError
from secant.networks.recognition.candidates import Candidate
from secant.networks.recognition.layouts import Layout, Sizes, duplicate, shapes
from secant.networks.recognition.probes import Form, fill, number, short, small_probe

USUAL_STEP = 1e-4
_STEPS = [float(f"{digit}e-{power}") for power in range(2, 9) for digit in (5, 2, 1)]
_KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
_MOST = 25  # entries of a parameter that are compared
_LONGEST = 30.0  # seconds that it may take on a copy of the network's own size, where a smaller one will not do
_ROUNDING = 8 * np.finfo(np.float64).eps
_LARGE = 1e4  # the scale of inputs, and so of the gradient of the weights that they meet


class OwnGradient(NamedTuple):
    """The step of the central difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]
    order: tuple[Any, ...]  # in which gradients are to be put into a dict


class Replaced:
    """What stands in a class in place of its ``numerical_gradient``."""

    own: Any


def own_method(cls: type) -> Any:
    """Return the numerical gradient that a class has of its own, as it stands there; None if it has none."""
    method = inspect.getattr_static(cls, "numerical_gradient", None)
    return method.own if isinstance(method, Replaced) else method


class _Small:
    """A copy with a few parameters, and what its own `numerical_gradient` returned and left."""

    def __init__(self, net: Any, method: Any, layout: Layout, candidate: Candidate, sizes: Sizes, form: Form) -> None:
        arrays = layout.arrays(net)
        self.arrays = [np.empty(shape) for shape in shapes(sizes, arrays)]
        self._copy = duplicate(net, arrays, self.arrays)
        self._method, self._candidate, self._sizes, self._form = method, candidate, sizes, form
        rng = np.random.default_rng(11)
        self._entries = [rng.permutation(array.size)[:_MOST] for array in self.arrays]
        self._params = {f"self.{'.'.join(filter(None, (layout.holder, str(key))))}" for key in layout.keys}
        self.call()

    def call(self, scale: float = 1.0) -> None:
        """Call it with inputs of a scale, and weights that make up for it."""
        self._probe = small_probe(self._sizes, self._form, scale)
        fill(self.arrays, self._probe.params)
        if not self._candidate.agrees(self._probe, self.loss()):
            raise UnsupportedError("its loss is another one there")
        start, first, _, second = time.perf_counter(), _held(self._copy), self.loss(), _held(self._copy)
        seconds = 2 * sum(array.size for array in self.arrays) * (time.perf_counter() - start)
        if seconds > _LONGEST:
            raise UnsupportedError(f"it would take about {seconds:.0f} s")
        caches = {name for name, value in second.items() if first.get(name) is not value}
        self.returned = bound(self._method, self._copy)(self._probe.x.copy(), self._probe.t.copy())
        parts = zip(self.arrays, self._probe.params, strict=True)
        self.changed = max(float(np.abs(a.ravel() - p.ravel()).max()) for a, p in parts)
        fill(self.arrays, self._probe.params)
        now = _held(self._copy).items()
        self.left = [n for n, v in now if second.get(n) is not v and n not in caches | self._params]
        """Attributes that it set, and a loss does not."""

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

    def losses(self, h: float, most: int = _MOST) -> dict[int, Floats]:
        """The losses with one entry changed by h, 0 and -h, for so many of each array in turn."""
        result: dict[int, list[float]] = {1: [], 0: [], -1: []}
        for array, entries in zip(self.arrays, self._entries, strict=True):
            flat = array.reshape(-1)
            for i in entries[:most]:
                before = float(flat[i])
                for sign, found in result.items():
                    flat[i] = before + sign * h
                    found.append(self.loss())
                flat[i] = before
        return {sign: np.array(found) for sign, found in result.items()}

    def usual(self) -> Floats:
        """Return the central difference at the usual step."""
        return _difference(self.losses(USUAL_STEP), USUAL_STEP, *_KINDS["central"])

    def fits(self, keys: tuple[Any, ...]) -> dict[tuple[str, float], float]:
        """The differences that the gradient may be, with how far it is from them.

        As far as roundings of the losses and of the step allow.
        """
        found: dict[tuple[str, float], float] = {}
        for h in _STEPS:
            if self._fits_at(h, keys, 1):  # few losses tell most steps apart
                found |= self._fits_at(h, keys, _MOST)
        return found

    def _fits_at(self, h: float, keys: tuple[Any, ...], most: int) -> dict[tuple[str, float], float]:
        """The same for one step, and so many entries of each array."""
        theirs, losses, found = self.gradient(keys, most), self.losses(h, most), {}
        rounded = max(1.0, abs(float(losses[0][0])), h * float(np.abs(self._probe.x).max()))
        for name, signs in _KINDS.items():
            off = float(np.abs(theirs - _difference(losses, h, *signs)).max())
            if off <= _ROUNDING * rounded / h:
                found[name, h] = off
        return found


def bound(method: Any, net: Any) -> Callable[..., Any]:
    """Return what stands in a class as it is seen in an instance."""
    return cast(Callable[..., Any], method.__get__(net, type(net)) if hasattr(method, "__get__") else method)


def own_gradient(net: Any, method: Any, layout: Layout, candidate: Candidate, form: Form) -> OwnGradient:
    """Find out what a network's own `numerical_gradient` computes: ``method``, as it stands in a class, or None.

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
            small = _Small(net, method, layout, candidate, some, form)
        except Exception as error:  # whatever somebody's code raises that never met such a network
            failures.append(f"{type(error).__name__}: {error}")
        else:
            if small.left and isinstance(small.returned, Mapping):
                raise UnsupportedError(
                    f"its numerical_gradient also sets {', '.join(small.left)}, which would not happen any more: "
                    "one that only returns the gradients is needed"
                )
            try:
                return _judged(small, layout)
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


def _held(net: Any) -> dict[str, Any]:
    """The attributes of an object, and what is in those that are dicts."""
    found = {}
    for name, value in vars(net).items():
        found[f"self.{name}"] = value
        if isinstance(value, dict):
            found |= {f"self.{name}.{key}": inner for key, inner in value.items()}
    return found


def _judged(small: _Small, layout: Layout) -> OwnGradient:
    if not isinstance(small.returned, Mapping):
        got = type(small.returned).__name__
        raise UnsupportedError(f"its numerical_gradient returns a {got}, not a dict with a gradient of each parameter")
    keys = small.keys(layout.keys)
    if more := [str(key) for key in small.returned if key not in keys]:
        raise UnsupportedError(f"its numerical_gradient also returns {', '.join(more)}, which is no gradient")
    order, changed = tuple(small.returned), small.changed
    said = "" if changed < 1e-9 else f"; it leaves parameters changed by {changed:.2g}: not imitated"
    fits = small.fits(keys)
    if not fits:
        left = "" if changed < 1e-9 else f", and it leaves parameters changed by {changed:.2g}"
        raise UnsupportedError(f"its numerical_gradient {_mistake(small, keys)}{left}: {_NEEDED}")
    small.call(_LARGE)
    large = small.fits(keys)
    both = [(off + large[kind], *kind) for kind, off in fits.items() if kind in large]
    if not both:
        raise UnsupportedError(
            f"where it is large, as for clipping, its numerical_gradient {_mistake(small, keys)}: {_NEEDED}"
        )
    _, name, h = min(both)
    instead = "" if name == "central" else f", in place of which comes the central one{said}"
    return OwnGradient(h, f"its numerical_gradient is a {name} difference at h = {short(h)}{instead}", keys, order)


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
