"""The reader's own `numerical_gradient`, compared with differences of the reader's loss on a small copy.

Design: it is called where gradients are of order 1, where they are large or small, where parameters are 0, negative or
large, and with targets of every form, since a clipped gradient is wrong only where it is large. A gradient that is not
a difference of the loss is refused. So is a method with side effects: Secant would not repeat them.
"""

import contextlib
import inspect
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from secant.acceleration.recognition.candidates import Candidate
from secant.acceleration.recognition.layouts import Layout, Sizes, duplicate
from secant.acceleration.recognition.methods import Methods, chosen, taking_mini_batch
from secant.acceleration.recognition.probes import Form, mixed_probe, one_class_probe, short, step_probe
from secant.acceleration.recognition.small_copy import LONGEST, SmallCopy, bound
from secant.backends.base import USUAL_STEP
from secant.errors import UnsupportedError

_STEPS = [0.1, *(float(f"{digit}e-{power}") for power in range(2, 10) for digit in range(9, 0, -1))]
_STEPS += [float(np.finfo(kind).eps) ** root for kind in (np.float64, np.float32) for root in (1 / 3, 1 / 2)]
_LARGE = 1e4  # the scale of inputs, and so of the gradient of the weights that they meet


class ReaderGradient(NamedTuple):
    """The step of the difference, a sentence about it, and the keys of the gradients of W1, b1, W2 and b2."""

    h: float
    sentence: str
    keys: tuple[Any, ...]
    order: tuple[Any, ...]  # of the gradients in the dict
    kind: str = "central"


def recognized_gradient(
    net: Any,
    methods: Methods,
    method: Any,
    layout: Layout,
    candidate: Candidate,
    forms: Sequence[Form],
    *,
    argmax: bool,
    alone: bool,
) -> ReaderGradient:
    """Find out what the reader's own `numerical_gradient` computes: ``method``, as it stands in a class, or None.

    It is tried with targets of these forms, mostly of the first. ``argmax``: whether only the largest weight counts.
    ``alone``: whether with one sample at a time.

    Raises
    ------
    UnsupportedError
        If it does not take (x, t), does not return a dict of the four gradients, or returns a gradient that is not a
        difference of the loss.
    """
    if method is None:
        there_is_one = inspect.getattr_static(type(net), methods.numerical_gradient, None) is not None
        others = [] if there_is_one else _central_differences(net, methods, layout, candidate, forms[0], alone)
        if others:
            raise UnsupportedError(
                f"it has no {methods.numerical_gradient}(x, t), and its {others[0]}(x, t) is one. Write "
                f"{chosen('numerical_gradient', others[0])}"
            )
        order = tuple(key for key in layout.mapping(net) if key in layout.keys)
        sentence = f"it gets a {methods.numerical_gradient}, at h = {short(USUAL_STEP)}"
        return ReaderGradient(USUAL_STEP, sentence, layout.keys, order)
    arrays = layout.arrays(net)
    inputs, hidden, outputs = len(arrays[0]), arrays[1].size, arrays[3].size
    sizes: list[Sizes] = [(3, 2, 2), (3, 2, outputs), (inputs, 2, outputs), (inputs, hidden, outputs)]
    failures = []
    for tried in sizes:
        try:
            small = SmallCopy(net, methods, method, layout, candidate, tried, alone)
            small.call(step_probe(tried, forms[0]))
        except Exception as error:  # the reader's code may raise anything on such a network
            failures.append(f"{type(error).__name__}: {error}")
            continue
        try:
            gradient = _judged(small, layout, forms[0])
            if _holds_elsewhere(small, gradient, forms, argmax=argmax) or tried is not sizes[0]:
                return gradient
        except UnsupportedError:
            raise
        except Exception as error:  # whatever the reader's code raises, or returns
            raise UnsupportedError(
                f"its numerical_gradient cannot be compared: {type(error).__name__}: {error}"
            ) from error
    if _takes_a_function(net, method, layout):
        function = "its numerical_gradient takes a function and an array: it must take (x, t)"
        others = _central_differences(net, methods, layout, candidate, forms[0], alone)
        raise UnsupportedError(
            f"{function}. If {others[0]}(x, t) is meant, write {chosen('numerical_gradient', others[0])}"
            if others
            else function
        )
    raise UnsupportedError(
        "its numerical_gradient cannot be tried on a copy, so what it returns is not known: on a small one, "
        f"{failures[0]}; on one of its own size, {failures[-1]}"
    )


def _central_differences(
    net: Any, methods: Methods, layout: Layout, candidate: Candidate, form: Form, alone: bool
) -> list[str]:
    """The methods whose numbers are those of a difference of the loss, on one mini-batch of a small copy."""
    found = []
    for name in taking_mini_batch(type(net)):
        with contextlib.suppress(Exception):  # whatever the reader's code raises
            method, sizes = inspect.getattr_static(type(net), name), (3, 2, layout.arrays(net)[3].size)
            small = SmallCopy(net, methods, method, layout, candidate, sizes, alone)
            small.call(step_probe(sizes, form))
            if small.fits(small.keys(layout.keys), _STEPS):
                found.append(name)
    return found


def _takes_a_function(net: Any, method: Any, layout: Layout) -> bool:
    """Whether it takes any function, and an array."""
    arrays = layout.arrays(net)
    try:
        copy = duplicate(net, arrays, [array.copy() for array in arrays])
        returned = bound(method, copy)(lambda *_: 0.0, np.ones(3))
        return bool(np.shape(returned) == (3,))
    except Exception:  # whatever the reader's code raises
        return False


def _judged(small: SmallCopy, layout: Layout, form: Form) -> ReaderGradient:
    if type(small.returned) not in (dict, OrderedDict):
        got = type(small.returned).__name__
        raise UnsupportedError(f"its numerical_gradient returns a {got}, not a dict with a gradient of each parameter")
    small.require_no_effect()
    small.require_no_draws()
    keys = small.keys(layout.keys)
    if more := [str(key) for key in small.returned if key not in keys]:
        raise UnsupportedError(f"its numerical_gradient also returns {', '.join(more)}, which is not a gradient")
    order, fits = tuple(small.returned), small.fits(keys, _STEPS)
    if not fits:
        raise UnsupportedError(f"its numerical_gradient {_mistake(small, keys)}")
    small.call(step_probe(small.sizes, form, _LARGE))
    large = small.fits(keys, {h for _, h in fits})
    both = [(off + large[kind], kind) for kind, off in fits.items() if kind in large]
    if not both:
        raise _differs_there("where it is large, as for clipping", small, keys)
    kind, h = min(both)[1]
    instead = "" if kind == "central" else ", in place of which comes the central one"
    sentence = f"its numerical_gradient is a {kind} difference at h = {short(h)}{instead}"
    return ReaderGradient(h, sentence, keys, order, kind)


def _holds_elsewhere(small: SmallCopy, gradient: ReaderGradient, forms: Sequence[Form], *, argmax: bool) -> bool:
    """Compare the gradient on more probes, as far as time allows. Raises an error where it differs.

    Returns whether it could be tried with all forms of targets.
    """
    sizes, form, tried = small.sizes, forms[0], True
    trials = [("where parameters are 0, negative or large", mixed_probe(sizes, form, first)) for first in (0, 2)]
    trials += [
        ("where gradients of biases are large, as for clipping", one_class_probe(sizes, form, -9)),
        ("where gradients are small", one_class_probe(sizes, form, 12)),
    ]
    trials += [(f"for targets that are {other}", mixed_probe(sizes, other, 1)) for other in forms[1:]]
    for where, probe in trials:
        if small.spent + small.seconds > LONGEST / 4:
            break
        try:
            small.call(probe, argmax=argmax)
        except UnsupportedError:
            raise
        except Exception:  # whatever the reader's code raises, such as for targets of another number of classes
            tried = False
            continue
        small.require_no_effect()
        if small.differs((gradient.kind, gradient.h), gradient.keys):
            raise _differs_there(where, small, gradient.keys)
    return tried


def _differs_there(where: str, small: SmallCopy, keys: tuple[Any, ...]) -> UnsupportedError:
    return UnsupportedError(f"{where}, its numerical_gradient {_mistake(small, keys)}")


_NEEDED = "it must return exactly the central difference"


def _mistake(small: SmallCopy, keys: tuple[Any, ...]) -> str:
    returned, right = small.gradient(keys), small.usual()
    if right.any() and not returned.any():
        return (
            "is all zero. Its f does not look at what is shifted, and must compute the loss anew in each call; or its "
            "step is so small that x + h is x, as with 1e-30"
        )
    with np.errstate(all="ignore"):
        factor = float(returned @ right / (right @ right))
    alike = np.allclose(returned, factor * right, rtol=1e-4, atol=1e-4 * float(np.abs(right).max()))
    if abs(factor) > 1e-3 and abs(factor - 1) > 1e-2 and alike:
        return f"is {factor:.3g} times the central difference of its loss: {_NEEDED}"
    off, largest = float(np.abs(returned - right).max()), float(np.abs(right).max())
    return f"differs from the central difference of its loss, up to {largest:.2g}, by up to {off:.2g}: {_NEEDED}"
