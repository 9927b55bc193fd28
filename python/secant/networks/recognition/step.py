"""A network's own `numerical_gradient`, held against differences of its own loss on a copy with a few parameters."""

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.errors import UnsupportedError
from secant.networks.recognition.candidates import Candidate
from secant.networks.recognition.layouts import Layout, Sizes, duplicate, shapes
from secant.networks.recognition.probes import Form, fill, number, short, small_probe

USUAL_STEP = 1e-4
_STEPS = [float(f"{digit}e-{power}") for power in range(2, 9) for digit in (5, 2, 1)]
_KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
_FEW = 500  # parameters of which so many losses are quickly computed
_ROUNDING = 8 * np.finfo(np.float64).eps


class OwnGradient(NamedTuple):
    """The step of the central difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]
    order: tuple[Any, ...]  # in which gradients are to be put into a dict


class _Small(NamedTuple):
    """A copy with a few parameters, and what its own `numerical_gradient` returned and left."""

    arrays: list[Floats]
    loss: Callable[[], float]
    returned: Any
    changed: float
    left: list[str]  # attributes that it set, and a loss does not

    def losses(self, h: float) -> dict[int, Floats]:
        """The losses with one parameter changed by h, 0 and -h, for each parameter in turn."""
        result: dict[int, list[float]] = {1: [], 0: [], -1: []}
        for array in self.arrays:
            for i in np.ndindex(array.shape):
                before = float(array[i])
                for sign, found in result.items():
                    array[i] = before + sign * h
                    found.append(self.loss())
                array[i] = before
        return {sign: np.array(found) for sign, found in result.items()}


def own_gradient(net: Any, layout: Layout, candidate: Candidate, form: Form) -> OwnGradient:
    """Find out what a network's own `numerical_gradient` computes.

    Raises
    ------
    UnsupportedError
        If it takes something else than (x, t), or returns something else than a dict of the four gradients.
    """
    method = inspect.unwrap(getattr(type(net), "numerical_gradient", None) or _missing)
    order = tuple(layout.mapping(net))
    if method is _missing:
        return OwnGradient(USUAL_STEP, f"it gets a numerical_gradient, at h = {short(USUAL_STEP)}", layout.keys, order)
    arrays = layout.arrays(net)
    inputs, hidden, outputs = len(arrays[0]), arrays[1].size, arrays[3].size
    sizes: list[Sizes] = [(3, 2, 2), (3, 2, outputs)]
    if sum(array.size for array in arrays) <= _FEW:
        sizes.append((inputs, hidden, outputs))
    failures = []
    for some in sizes:
        try:
            small = _called(net, method, layout, candidate, some, form)
        except Exception as error:  # whatever somebody's code raises that never met such a network
            failures.append(f"{type(error).__name__}: {error}")
        else:
            if small.left and isinstance(small.returned, Mapping):
                raise UnsupportedError(
                    f"its numerical_gradient also sets {', '.join(small.left)}, which would not happen any more: "
                    "one that only returns the gradients is needed"
                )
            return _judged(small, layout)
    if _takes_a_function(net, method, layout):
        raise UnsupportedError("its numerical_gradient takes a function and an array: one that takes (x, t) is needed")
    said = f"does not run on a smaller copy ({failures[0]}), so h = {short(USUAL_STEP)} is assumed"
    return OwnGradient(USUAL_STEP, f"its numerical_gradient {said}", layout.keys, order)


def _takes_a_function(net: Any, method: Callable[..., Any], layout: Layout) -> bool:
    """Whether it is the central difference of any function."""
    arrays = layout.arrays(net)
    try:
        copy = duplicate(net, arrays, [array.copy() for array in arrays])
        return bool(np.shape(method(copy, lambda array: float(np.sum(array**2)), np.ones(3))) == (3,))
    except Exception:  # whatever somebody's code raises
        return False


def _missing(net: Any, x: Any, t: Any) -> None:
    """The numerical gradient of a class that has none."""


def _called(
    net: Any, method: Callable[..., Any], layout: Layout, candidate: Candidate, sizes: Sizes, form: Form
) -> _Small:
    probe = small_probe(sizes, form)
    arrays = layout.arrays(net)
    own = [np.empty(shape) for shape in shapes(sizes, arrays)]
    copy = duplicate(net, arrays, own)
    fill(own, probe.params)

    def loss() -> float:
        return number(copy.loss(probe.x.copy(), probe.t.copy()))

    if not candidate.agrees(probe, loss()):
        raise UnsupportedError("its loss is another one there")
    first, _, second = _held(copy), loss(), _held(copy)
    caches = {name for name, value in second.items() if first.get(name) is not value}
    returned = method(copy, probe.x.copy(), probe.t.copy())
    changed = max(float(np.abs(a.ravel() - p.ravel()).max()) for a, p in zip(own, probe.params, strict=True))
    fill(own, probe.params)
    params = {f"self.{'.'.join(filter(None, (layout.holder, str(key))))}" for key in layout.keys}
    left = [n for n, value in _held(copy).items() if second.get(n) is not value and n not in caches | params]
    return _Small(own, loss, returned, changed, left)


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
    losses = {h: small.losses(h) for h in _STEPS}
    right = _difference(losses[USUAL_STEP], USUAL_STEP, *_KINDS["central"])
    keys = _keys(small, layout, right)
    if more := [str(key) for key in small.returned if key not in keys]:
        raise UnsupportedError(f"its numerical_gradient also returns {', '.join(more)}, which is no gradient")
    theirs = np.concatenate([np.asarray(small.returned[key], np.float64).ravel() for key in keys])
    said = "" if small.changed < 1e-9 else f"; it leaves parameters changed by {small.changed:.2g}: not imitated"
    fits = []
    for h, (name, signs) in itertools.product(_STEPS, _KINDS.items()):
        off = float(np.abs(theirs - _difference(losses[h], h, *signs)).max())
        if off <= _ROUNDING * max(1.0, abs(losses[h][0][0])) / h:
            fits.append((off, name, h))
    if not fits:
        return OwnGradient(
            USUAL_STEP,
            f"its numerical_gradient {_mistake(theirs, right)}, which is not imitated: h = {short(USUAL_STEP)}{said}",
            keys,
            tuple(small.returned),
        )
    _, name, h = min(fits)
    instead = "" if name == "central" else f", in place of which comes the central one{said}"
    return OwnGradient(
        h, f"its numerical_gradient is a {name} difference at h = {short(h)}{instead}", keys, tuple(small.returned)
    )


def _mistake(theirs: Floats, right: Floats) -> str:
    with np.errstate(all="ignore"):
        factor = float(theirs @ right / (right @ right))
    if abs(factor) > 1e-3 and np.allclose(theirs, factor * right, rtol=1e-4, atol=1e-4 * float(np.abs(right).max())):
        return f"is {factor:.3g} times the central difference of its loss"
    return f"differs from the central difference of its loss by up to {float(np.abs(theirs - right).max()):.2g}"


def _difference(losses: dict[int, Floats], h: float, up: int, down: int) -> Floats:
    return (losses[up] - losses[down]) / ((up - down) * h)


def _keys(small: _Small, layout: Layout, right: Floats) -> tuple[Any, ...]:
    """The keys of the gradients: those of the parameters, or else found by their values."""
    if all(key in small.returned for key in layout.keys):
        return layout.keys
    ends = np.cumsum([array.size for array in small.arrays])[:-1]
    found = [
        key
        for part in np.split(right, ends)
        for key, value in small.returned.items()
        if np.size(value) == part.size and np.allclose(np.ravel(value), part, rtol=1e-2, atol=1e-4)
    ]
    if len(found) != 4 or len(set(found)) != 4:
        got = ", ".join(map(str, small.returned)) or "nothing"
        wanted = ", ".join(map(str, layout.keys))
        raise UnsupportedError(f"its numerical_gradient returns {got}, not a gradient of each of {wanted}")
    return tuple(found)
