"""A network's own `numerical_gradient`, held against differences of its own loss on a copy with a few parameters."""

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.errors import UnsupportedError
from secant.networks.recognition.candidates import Candidate
from secant.networks.recognition.layouts import Layout, Shape, duplicate, shapes
from secant.networks.recognition.probes import Form, Probe, fill, number, small_probe

USUAL_STEP = 1e-4
_STEPS = [float(f"{digit}e-{power}") for power in range(2, 9) for digit in (5, 2, 1)]
_FEW = 500  # parameters of which so many losses are quickly computed
_ROUNDING = 8 * np.finfo(np.float64).eps


class OwnGradient(NamedTuple):
    """The step of the central difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]


class _Small(NamedTuple):
    """A copy with a few parameters, and what its own `numerical_gradient` returned."""

    loss: Callable[[], float]
    arrays: list[Floats]
    returned: Any
    changed: float  # the most that a parameter differs after the call


def own_method(net: Any) -> Callable[..., Any] | None:
    """Return the function of a class that computes numerical gradients, as its author wrote it."""
    method = getattr(type(net), "numerical_gradient", None)
    return inspect.unwrap(method) if callable(method) else None


def own_gradient(net: Any, layout: Layout, candidate: Candidate, form: Form) -> OwnGradient:
    """Find out what a network's own `numerical_gradient` computes.

    Raises
    ------
    UnsupportedError
        If it returns something else than a dict of the four gradients.
    """
    method = own_method(net)
    if method is None:
        return OwnGradient(USUAL_STEP, f"it has no numerical_gradient, and gets one at h = {USUAL_STEP:g}", layout.keys)
    arrays = layout.arrays(net)
    inputs, outputs, hidden = *arrays[0].shape[:1], arrays[3].size, arrays[1].size
    sizes = [(3, 2, 2), (3, 2, outputs)] + [(inputs, hidden, outputs)] * (sum(a.size for a in arrays) <= _FEW)
    failure = ""
    for some in sizes:
        try:
            small = _called(net, method, layout, arrays, candidate, small_probe(shapes(*some, arrays), form))
        except Exception as error:  # whatever somebody's code raises that never met such a network
            failure = failure or f"{type(error).__name__}: {error}"
            continue
        return _judged(small, layout)
    said = f"its numerical_gradient does not run on a smaller copy ({failure}), so h = {USUAL_STEP:g} is assumed"
    return OwnGradient(USUAL_STEP, said, layout.keys)


def _called(
    net: Any, method: Callable[..., Any], layout: Layout, arrays: Sequence[Array], candidate: Candidate, probe: Probe
) -> _Small:
    filled = shapes(*probe.params[0].shape, len(probe.params[3]), arrays)
    own = [np.empty(shape) for shape in filled]
    copy = duplicate(net, arrays, own)
    fill(own, probe.params)

    def loss() -> float:
        return number(copy.loss(probe.x.copy(), probe.t.copy()))

    if not candidate.agrees(probe, loss()):
        raise UnsupportedError("its loss is another one there")
    returned = method(copy, probe.x.copy(), probe.t.copy())
    changed = max(float(np.abs(a - p.reshape(a.shape)).max()) for a, p in zip(own, probe.params, strict=True))
    fill(own, probe.params)
    return _Small(loss, own, returned, changed)


def _judged(small: _Small, layout: Layout) -> OwnGradient:
    if not isinstance(small.returned, Mapping):
        got = type(small.returned).__name__
        raise UnsupportedError(f"its numerical_gradient returns a {got}, not a dict with a gradient of each parameter")
    losses = {h: _losses(small, h) for h in _STEPS}
    at = small.loss()
    central = _vector(losses[USUAL_STEP], USUAL_STEP, 1, -1, at)
    keys = _keys(small.returned, layout, central)
    theirs = np.concatenate([np.ravel(np.asarray(small.returned[key], np.float64)) for key in keys])
    said = "" if small.changed < 1e-9 else f"; it leaves parameters changed by up to {small.changed:.2g}, which is not imitated"
    fits = []
    for h, (name, up, down) in itertools.product(_STEPS, _KINDS):
        off = float(np.abs(theirs - np.concatenate([d.ravel() for d in _vector(losses[h], h, up, down, at)])).max())
        if off <= _ROUNDING * max(1.0, abs(at)) / h + 1e-9 * float(np.abs(theirs).max()) * h:
            fits.append((off, name, h))
    if fits:
        _, name, h = min(fits)
        if name == "central":
            return OwnGradient(h, f"its numerical_gradient is a central difference at h = {h:g}{said}", keys)
        return OwnGradient(
            h, f"its numerical_gradient is a {name} difference at h = {h:g}: this one is central, at the same h{said}", keys
        )
    right = np.concatenate([d.ravel() for d in central])
    off = theirs - right
    factor = float(theirs @ right / (right @ right)) if np.isfinite(theirs).all() else math.nan
    if np.allclose(theirs, factor * right, rtol=1e-4, atol=1e-4 * float(np.abs(right).max())) and abs(factor) > 1e-3:
        what = f"is {factor:.3g} times the central difference of its loss"
    else:
        what = f"differs from the central difference of its loss by up to {float(np.nanmax(np.abs(off))):.2g}"
    return OwnGradient(
        USUAL_STEP, f"its numerical_gradient {what}: that is not imitated, h = {USUAL_STEP:g} is used{said}", keys
    )


_KINDS = [("central", 1, -1), ("forward", 1, 0), ("backward", 0, -1)]


def _losses(small: _Small, h: float) -> list[tuple[Floats, Floats]]:
    """The losses with each parameter h larger, and h smaller."""
    result = []
    for array in small.arrays:
        up, down = np.empty_like(array), np.empty_like(array)
        for i in np.ndindex(array.shape):
            before = float(array[i])
            array[i] = before + h
            up[i] = small.loss()
            array[i] = before - h
            down[i] = small.loss()
            array[i] = before
        result.append((up, down))
    return result


def _vector(losses: list[tuple[Floats, Floats]], h: float, up: int, down: int, at: float) -> list[Floats]:
    return [((a if up else at) - (b if down else at)) / ((up - down) * h) for a, b in losses]


def _keys(returned: Mapping[Any, Any], layout: Layout, central: list[Floats]) -> tuple[Any, ...]:
    """The keys of the gradients: those of the parameters, or else found by their values."""
    if all(key in returned for key in layout.keys):
        return layout.keys
    found = []
    for right in central:
        near = [
            key
            for key, value in returned.items()
            if np.size(value) == right.size
            and np.allclose(np.ravel(np.asarray(value, np.float64)), right.ravel(), rtol=1e-2, atol=1e-4)
        ]
        found += near[:1]
    if len(set(found)) != 4:
        keys = ", ".join(map(str, returned)) or "nothing"
        raise UnsupportedError(f"its numerical_gradient returns {keys}, not a gradient of each of {', '.join(layout.keys)}")
    return tuple(found)
