"""The check of a network's own gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.equivalent import arrays_of, equivalent, in_place
from secant.acceleration.recognition.recognize import recognized
from secant.checking.gradient import check_gradient
from secant.checking.report import GradientReport
from secant.errors import ParamsError, SecantError, ShapeError, UnsupportedError
from secant.networks.two_layer import TwoLayerNet


def check_network(
    net: Any, x: Any, t: Any, gradients: Mapping[Any, Any] | None = None, **options: Any
) -> GradientReport:
    """Check the gradient of a network's loss in all of its parameters.

    Parameters
    ----------
    net : object
        With ``params``, a dict of arrays; ``loss(x, t)``, a number; and, unless ``gradients`` are given,
        ``gradient(x, t)``, a dict with the same keys.
    x, t : array_like
        A mini-batch.
    gradients : dict, optional
        What is checked, if it is not what ``net.gradient(x, t)`` returns.
    **options
        ``scale``, ``max_evaluations``, ``confidence``, ``max_findings``, ``entries``, ``progress`` and ``rng`` of
        `check_gradient`.

    Returns
    -------
    GradientReport

    Raises
    ------
    ParamsError
        If ``net.params`` is not a dict, or the gradients do not have its keys.
    UnsupportedError
        If the network has no ``gradient``, and none are given.
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Notes
    -----
    The arrays of ``params`` are shifted in place: layers may hold them too. They are restored exactly.

    A textbook's gradient, y - t, is that of a loss without the 1e-7 in its logarithm, and wrong for one that has it. If
    the network is one that `recognize` knows, and an array of its gradient is that of the loss without it, or a
    multiple, the gradient is compared with that, and the report says so; ``passed`` is False all the same.

    Examples
    --------
    >>> net = secant.TwoLayerNet(6, 5, 4, rng=0)
    >>> x, t = np.random.RandomState(0).uniform(size=(3, 6)), np.array([0, 3, 1])
    >>> secant.check_network(net, x, t).passed
    True
    """
    params = getattr(net, "params", None)
    if not isinstance(params, Mapping):
        raise ParamsError(f"net.params must be a dict of arrays, got {type(params).__name__}")
    if gradients is None and not callable(getattr(net, "gradient", None)):
        raise UnsupportedError(f"net must have gradient(x, t) where gradients= is not given, got {type(net).__name__}")
    given = net.gradient(x, t) if gradients is None else gradients
    if not isinstance(given, Mapping) or set(given) != set(params):
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ParamsError(f"gradients must have the keys of params, {', '.join(map(str, params))}, got {got}")
    candidate = {key: given[key] for key in params}
    for key, param in params.items():
        if isinstance(param, np.ndarray) and (got := np.shape(candidate[key])) != param.shape:
            raise ShapeError(f"gradients[{key!r}] must have shape {param.shape} like params[{key!r}], got {got}")
    if (reference := _without_offset(net, x, t, candidate)) is None:
        return check_gradient(lambda _: net.loss(x, t), dict(params), candidate, inplace=True, **options)
    known, offset = reference
    report = check_gradient(lambda _: known.loss(x, t), dict(params), candidate, inplace=True, **options)
    left_out = f"y - t, which leaves out the {offset}: all is well if that is what you mean"
    return replace(
        report,
        passed=False,
        compared_with=f"the loss without the {offset} in its logarithm",
        diagnosis=left_out if report.passed else report.diagnosis,
    )


def _without_offset(net: Any, x: Any, t: Any, candidate: Mapping[Any, Any]) -> tuple[TwoLayerNet, str] | None:
    """Return the network without the offset in its logarithm, and the offset, if an array fits the gradient of that."""
    recognition = recognized(net, None, x, t)
    if not recognition.known or not recognition.log_offset or not in_place(arrays_of(net, recognition)):
        return None
    known = equivalent(net, recognition)  # on the same arrays
    try:
        right = known.gradient(x, t)
        known.log_offset = 0.0
        other = known.gradient(x, t)
    except SecantError:  # a probability has underflowed: there is no such loss
        return None
    for key, grad, without in zip(recognition.keys, right.values(), other.values(), strict=True):
        if key in candidate and np.size(candidate[key]) == grad.size:
            given = np.asarray(candidate[key], np.float64).reshape(grad.shape)
            if _rest(given, without) < 0.01 * _rest(given, grad):
                return known, f"{recognition.log_offset:g}".replace("e-0", "e-")
    return None


@np.errstate(all="ignore")
def _rest(given: Floats, grad: Floats) -> float:
    """The largest entry of a gradient minus its best multiple of another: a wrong factor is a mistake of its own."""
    factor = np.vdot(given, grad) / np.vdot(grad, grad)
    return float(np.abs(given - factor * grad).max())
