"""How the engines see a network of another class: a `TwoLayerNet` on its arrays, which its own loss is held against."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array
from secant.errors import LossDiffersError, UnsupportedError
from secant.networks.batch import PARAM_NAMES
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.layouts import Layout, require_apart
from secant.networks.recognition.probes import AGREE, number, tolerance
from secant.networks.two_layer import TwoLayerNet


def engine(net: Any, found: Recognition) -> TwoLayerNet:
    """Return a `TwoLayerNet` on the arrays of ``net``, or on float64 copies of those that engines cannot take.

    Raises
    ------
    UnsupportedError
        If the arrays are not those that were recognised.
    """
    inputs, hidden, outputs = found.sizes
    shapes = ((inputs, hidden), (hidden,), (hidden, outputs), (outputs,))
    known = TwoLayerNet.__new__(TwoLayerNet)
    known.params = {}
    layout = Layout(found.holder, found.keys)
    arrays = layout.arrays(net)
    require_apart(layout, arrays)
    for name, key, array, shape in zip(PARAM_NAMES, found.keys, arrays, shapes, strict=True):
        if array.shape not in (shape, (1, *shape)):
            raise UnsupportedError(f"{key} must have shape {shape}, as when it was recognised, got {array.shape}")
        if array.dtype.kind != "f":
            raise UnsupportedError(f"{key} must be float64 or float32, as when it was recognised, got {array.dtype}")
        known.params[name] = np.ascontiguousarray(array, np.float64).reshape(shape)
    known.hidden_activation, known.output_activation = found.hidden_activation, found.output_activation
    known.log_offset, known.soft_targets = found.log_offset, found.soft_targets
    return known


def in_place(arrays: Iterable[Array]) -> bool:
    """Whether the engines can read and update arrays where they lie."""
    return all(array.dtype == np.float64 and array.flags.carray for array in arrays)


def is_known_by_shape(found: Recognition) -> bool:
    """Whether the form of targets does not depend on their values."""
    return found.soft_targets == "argmax" or "weights" in found.targets


def unknown_form(found: Recognition, x: ArrayLike, t: ArrayLike) -> str:
    """Name the form of targets, if it is one for which the loss of a network is not known."""
    form = "labels"
    if np.ndim(x) == 1:
        form = "one label" if np.ndim(t) == 0 else "one sample"
    elif np.ndim(t) == 2:
        form = _form_of_rows(np.asarray(t), found)
    return "" if form in found.targets else form


def require_known_form(found: Recognition, x: ArrayLike, t: ArrayLike) -> None:
    """Raise the error that says so, if targets have a form for which the loss of a network is not known."""
    if form := unknown_form(found, x, t):
        raise UnsupportedError(
            f"t must have a form for which the loss is known, {' or '.join(found.targets)}, got {form} "
            f"(x {np.shape(x)}, t {np.shape(t)}): {found}"
        )


def _form_of_rows(t: Array, found: Recognition) -> str:
    """Of what is known, the form that takes most."""
    if is_known_by_shape(found):
        return "soft" if found.soft_targets == "argmax" else "weights"
    sums = t.sum(axis=1)
    if not (np.abs(sums - 1) <= 1e-6).all():
        return "weights"
    one_hot = "soft" not in found.targets and bool(((t == 0) | (t == 1)).all())
    return "one-hot" if one_hot else "soft"


def rows(x: ArrayLike) -> ArrayLike:
    """Return a mini-batch of images (N, ...) as rows (N, I), as a loss has it that takes images."""
    array = np.asarray(x)
    return array.reshape(len(array), -1) if array.ndim > 2 else x


def compare(net: Any, found: Recognition, known: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
    """Raise the error that names both, if the loss of a network is not what the engines say.

    ``known`` is what `engine` returns for ``net``.
    """
    require_known_form(found, x, t)
    theirs, inputs = number(net.loss(x, t)), rows(x)
    ours = known.loss(inputs, t)
    double = all(array.dtype == np.float64 for array in Layout(found.holder, found.keys).arrays(net))
    if abs(theirs - ours) <= AGREE * max(1.0, abs(ours)):
        return
    samples = np.atleast_2d(np.asarray(inputs, np.float64))
    allowed = tolerance([*known.params.values()], samples, ours, np.float64 if double else np.float32)
    if not abs(theirs - ours) <= allowed:
        raise LossDiffersError(
            f"{type(net).__name__}.loss(x, t) is {theirs!r} here, and that of the network that was recognised is "
            f"{ours!r}: no gradient is returned, since it would be that of another network ({found})"
        )
