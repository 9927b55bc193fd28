"""`recognize`: try out a copy of a network, and find the one with the same losses among
those that Secant knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from secant.acceleration.recognition.candidates import Candidate, candidates
from secant.acceleration.recognition.isolation import isolated
from secant.acceleration.recognition.layouts import (
    Layout,
    Sizes,
    layouts,
    require_apart,
)
from secant.acceleration.recognition.methods import USUAL, MethodNames
from secant.acceleration.recognition.probe_net import Clock, ProbeLoss, ProbeNet
from secant.acceleration.recognition.probes import Form
from secant.acceleration.recognition.reader_gradient import (
    NO_GRADIENT,
    recognized_gradient,
)
from secant.acceleration.recognition.refusals import cause_of, nearest_to
from secant.acceleration.recognition.result import Recognition
from secant.errors import SecantError, UnsupportedError


def recognize(
    net: Any,
    *,
    loss: str = USUAL.loss,
    numerical_gradient: str = USUAL.numerical_gradient,
) -> Recognition:
    """Find out which network an object of your own class is, by the numbers that its
    ``loss(x, t)`` returns.

    This takes about 2 s at most, besides the time in which Numba compiles your loss. A
    slower loss is refused.

    Parameters
    ----------
    net : object
        It has ``loss(x, t)`` and four arrays W1 (I, H), b1 (H,) or (1, H), W2 (H, O),
        b2 (O,) or (1, O), under any names, in a dict or as attributes. Nothing of it is
        changed: a deep copy is tried out.
    loss, numerical_gradient : str
        The names of its methods, both of (x, t).

    Returns
    -------
    Recognition
        What it is, or why it is not known.

    Raises
    ------
    UnsupportedError
        If ``net`` is a class.

    Examples
    --------
    >>> recognition = secant.recognize(secant.TwoLayerNet(6, 5, 4, rng=0))
    >>> (
    ...     recognition.known,
    ...     recognition.hidden_activation,
    ...     recognition.output_activation,
    ...     recognition.log_offset,
    ... )
    (True, 'sigmoid', 'sigmoid', 1e-07)
    """
    if isinstance(net, type):
        raise UnsupportedError(
            f"net must be an instance to be recognized, got the class {net.__name__}"
        )
    return recognized(net, MethodNames(loss, numerical_gradient))


def recognized(
    net: Any, names: MethodNames = USUAL, *, with_gradient: bool = True
) -> Recognition:
    """As `recognize`; or, without its numerical gradient, by its loss alone."""
    try:
        with isolated():
            if not callable(getattr(net, names.loss, None)):
                raise UnsupportedError(names.lacks(net, "loss"))
            return _match(net, names, with_gradient)
    except SecantError as error:
        return Recognition(
            False, f"{type(net).__name__} is not known: {error}", names=names
        )


def _match(net: Any, names: MethodNames, with_gradient: bool) -> Recognition:
    """Compare the losses of a copy with those of every candidate, for each way in which
    its arrays may be W1 to b2.
    """
    # the first is called, if nothing fits: it takes further losses
    refusals: list[Callable[[], str]] = []
    clock = Clock()
    for layout in layouts(net):
        probe_net = ProbeNet(net, layout, names, _sizes(net, layout), clock)
        losses, failure = probe_net.probe_losses()
        for form in [form for form in losses if form in ("one-hot", "labels")]:
            near = candidates(probe_net.sizes, form, probe_net.loss)
            fitting = [
                candidate
                for candidate in near
                if all(candidate.agrees(*one) for one in losses[form])
            ]
            if len(fitting) == 1:
                probe_net.require_repeatable(*losses[form][0])
                return _described(
                    net, probe_net, fitting[0], form, losses, with_gradient
                )
            refusals.append(partial(_refusal, probe_net, losses[form], near, fitting))
        refusals.append(partial(str, failure))
    raise UnsupportedError(refusals[0]())  # of the likeliest


def _sizes(net: Any, layout: Layout) -> Sizes:
    """The sizes of a network whose arrays can be those of a `TwoLayerNet`."""
    arrays = layout.arrays(net)
    if wrong := {array.dtype for array in arrays} - {
        np.dtype(np.float64),
        np.dtype(np.float32),
    }:
        raise UnsupportedError(
            f"its parameters are {wrong.pop()}, not float64 or float32"
        )
    require_apart(layout.keys, arrays)
    return len(arrays[0]), arrays[1].size, arrays[3].size


def _refusal(
    probe_net: ProbeNet,
    losses: list[ProbeLoss],
    near: list[Candidate],
    fitting: list[Candidate],
) -> str:
    """Say why a network is not known."""
    if fitting:
        return f"its loss cannot tell apart {' and '.join(map(str, fitting))}"
    probe_net.require_repeatable(*losses[0])
    return cause_of(losses) or nearest_to(losses, near, probe_net.loss)


def _described(
    net: Any,
    probe_net: ProbeNet,
    candidate: Candidate,
    form: Form,
    losses: dict[Form, list[ProbeLoss]],
    with_gradient: bool,
) -> Recognition:
    """Say what a network is, if its numerical gradient is a central difference of its
    loss.
    """
    by_argmax = any(
        candidate.agrees(*one, argmax=True) for one in losses.get("soft", [])
    )
    agreeing = [
        kind
        for kind, some in losses.items()
        if all(candidate.agrees(*one, argmax=by_argmax) for one in some)
    ]
    layout = probe_net.layout
    rows_mean = (
        "by argmax"
        if by_argmax
        else "as weights"
        if "soft" in agreeing
        else "one-hot only"
    )
    targets = (
        "labels only"
        if form == "labels"
        else rows_mean
        if "labels" in agreeing
        else f"{rows_mean}, no labels"
    )
    types = sorted({str(array.dtype) for array in layout.arrays(net)})
    dtypes = "" if types == ["float64"] else f", {' and '.join(types)}"
    sizes = "-".join(map(str, probe_net.sizes))
    network = (
        f"{type(net).__name__} of {layout}{dtypes}: {sizes}, {candidate}, targets"
        f" {targets}"
    )
    gradient, said = (
        recognized_gradient(net, probe_net, candidate, form)
        if with_gradient
        else NO_GRADIENT
    )
    return Recognition(
        True,
        f"{network}; {said}",
        **(candidate._asdict() | layout._asdict() | gradient._asdict()),
        soft_targets="argmax" if by_argmax else "weights",
        sizes=probe_net.sizes,
        targets=tuple(agreeing),
        names=probe_net.names,
    )
