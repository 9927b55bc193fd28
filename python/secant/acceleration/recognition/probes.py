"""Random parameters, inputs and targets that a loss is tried with, and how far apart
two right losses may be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from secant._common.validation import Array, Floats
from secant.acceleration.recognition.layouts import Sizes
from secant.errors import UnsupportedError

Form = Literal["one-hot", "soft", "labels"]
Params = tuple[Floats, Floats, Floats, Floats]
_AGREE, _AGREE_SINGLE = 1e-11, 1e-5  # relative to a loss
# samples: a gradient of the first 10 of them, or of parts of 10, is another one
_MANY = 13


class Probe(NamedTuple):
    """Parameters W1, b1, W2, b2, biases as vectors; and samples with their targets."""

    params: Params
    x: Floats
    t: Array
    form: Form

    def with_param(self, i: int, param: Floats) -> Probe:
        """Return the same with another parameter i."""
        w1, b1, w2, b2 = (param if k == i else own for k, own in enumerate(self.params))
        return self._replace(params=(w1, b1, w2, b2))


class _Scale(NamedTuple):
    samples: int  # 0: more than there are classes
    a1: float  # the size of the inputs of hidden units
    a2: float  # that of output units, if hidden units are of order 1
    x: float  # that of x
    least: float = -np.inf  # inputs below are set to 0


# Activations that are linear, curved and saturated; kinks crossed; inputs of every
# scale, negative or zero.
_SCALES = [
    _Scale(4, 1, 1, 1),
    _Scale(7, 30, 1, 30),
    _Scale(_MANY, 0.3, 10, 255, 0),
    _Scale(1, 1, 1, 1e-3),
    _Scale(0, 1, 3, 1, 0),
    _Scale(5, 3, 2, 1e4),
]


def probes(sizes: Sizes) -> Iterator[Probe]:
    """Yield what a loss is tried with: the same for the same sizes."""
    inputs, _, outputs = sizes
    rng = np.random.default_rng(13)
    tried: list[tuple[Form, _Scale]] = [("one-hot", scale) for scale in _SCALES]
    tried += [("labels", scale) for scale in _SCALES]
    for form, scale in [*tried, ("soft", _Scale(4, 1, 3, 1))]:
        samples = scale.samples or outputs + 2
        x = rng.standard_normal((samples, inputs))
        x = np.where(x < scale.least, 0.0, x) * scale.x
        labels = rng.permutation(max(samples, outputs))[:samples] % outputs
        params = _params(rng, sizes, scale.a1, scale.a2, scale.x)
        yield Probe(params, x, _targets(form, labels, outputs, rng), form)


def offset_probe(sizes: Sizes, form: Form) -> Probe:
    """Return a sample whose class is as improbable as can be: what is added in the
    logarithm decides its loss.
    """
    inputs, _, outputs = sizes
    rng = np.random.default_rng(7)
    params = _params(rng, sizes, 1, 1, 1)
    params[3][:] = np.where(np.arange(outputs) == 0, -150.0, 0.0)
    return Probe(
        params,
        rng.standard_normal((1, inputs)),
        _targets(form, np.zeros(1, int), outputs, rng),
        form,
    )


def _params(
    rng: np.random.Generator, sizes: Sizes, a1: float, a2: float, x: float
) -> Params:
    """Random parameters for which inputs of size x make inputs of hidden and output
    units of these sizes.
    """
    inputs, hidden, outputs = sizes
    return (
        rng.standard_normal((inputs, hidden)) * (a1 / x / np.sqrt(inputs)),
        rng.standard_normal(hidden) * a1,
        rng.standard_normal((hidden, outputs)) * (a2 / np.sqrt(hidden)),
        rng.standard_normal(outputs) * a2,
    )


def ordinary_probe(sizes: Sizes, form: Form) -> Probe:
    """Return a probe whose loss has large third derivatives, so that a step can be told
    from another.

    Of W1, b1 and b2 one entry is 0 or negative.
    """
    rng = np.random.default_rng(5)
    inputs, hidden, outputs = sizes
    params = (
        rng.uniform(0.5, 1.5, (inputs, hidden)) * np.sqrt(3 / inputs),
        rng.uniform(0.5, 1.5, hidden),
        rng.uniform(0.5, 1.5, (hidden, outputs)) * np.sqrt(2 / hidden),
        rng.uniform(0.5, 1.5, outputs),
    )
    for param, value in zip(params, (0.0, -0.5, 2.5, 0.0), strict=True):
        param.flat[-1] = value
    x = rng.uniform(-4, 4, (_MANY, inputs))
    return Probe(
        params, x, _targets(form, np.arange(_MANY) % outputs, outputs, rng), form
    )


def large_probe(sizes: Sizes, form: Form) -> Probe:
    """Return a probe of one class, which is improbable, and of large inputs, so that
    gradients are large.

    Those of b2 and W2 are about 1; those of b1 about 10, from outgoing weights that
    cancel; those of W1 about 100,000.
    """
    rng = np.random.default_rng(3)
    inputs, hidden, outputs = sizes
    signs = np.where(np.arange(hidden)[:, np.newaxis] % 2, -40.0, 40.0) * np.sign(
        np.arange(outputs) - 0.5
    )
    signs[hidden - hidden % 2 :] = 0  # it has no other one
    b2 = np.where(np.arange(outputs) == 0, -9.0, 0.0)
    params = (
        np.zeros((inputs, hidden)),
        np.ones(hidden),
        signs + rng.uniform(0.1, 0.3, signs.shape),
        b2,
    )
    x = 1e4 * rng.standard_normal((_MANY, inputs))
    return Probe(params, x, _targets(form, np.zeros(_MANY, int), outputs, rng), form)


def _targets(
    form: Form, labels: Array, outputs: int, rng: np.random.Generator
) -> Array:
    if form == "labels":
        return labels
    return (
        rng.dirichlet(np.ones(outputs), len(labels))
        if form == "soft"
        else np.eye(outputs)[labels]
    )


def tolerance(
    params: Sequence[Floats],
    x: Array,
    loss: float,
    dtype: type[np.floating[Any]] = np.float64,
) -> float:
    """How far two roundings of a loss may be apart: more where large terms cancel in
    the inputs of units.

    A probability y rounded near 1 changes its loss by eps. Inputs of the softmax that
    are off by d change a loss by 2 d at most, and one below 1 by 2 d times itself. If
    too few digits of a loss are left, nothing can be compared.
    """
    eps = float(np.finfo(dtype).eps)
    w1, b1, w2, b2 = params
    with np.errstate(all="ignore"):
        a1 = float((np.abs(x) @ np.abs(w1) + np.abs(b1)).max())
        a2 = a1 * float(np.abs(w2).sum(axis=0).max()) + float(np.abs(b2).max())
    agree, size = _AGREE if dtype == np.float64 else _AGREE_SINGLE, abs(loss)
    return (
        8 * eps
        + agree * size
        + min(16 * eps * a2 * min(1.0, size), math.sqrt(eps) * size)
    )


class NotANumberError(UnsupportedError):
    """A loss is not one number."""


def number(value: Any, name: str = "loss") -> float:
    """What a method of this name returned as a float, whether it is a number or an
    array of one element.
    """
    try:
        return float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        what = "None" if value is None else f"a {type(value).__name__}"
        what = f"an array {value.shape}" if isinstance(value, np.ndarray) else what
        cure = (
            ". Return the loss alone" if isinstance(value, tuple | list | dict) else ""
        )
        raise NotANumberError(
            f"{name}(x, t) returns {what}, not a number{cure}"
        ) from None


def short(value: float) -> str:
    """Return a number as people write it: 1e-4."""
    return (
        np.format_float_scientific(value, trim="-", exp_digits=1)
        if 0 < value < 0.01
        else f"{value:g}"
    )
