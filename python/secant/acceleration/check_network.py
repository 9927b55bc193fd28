"""The check of a network's own gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np

from secant.acceleration.other_losses import OtherLoss, other_losses
from secant.acceleration.recognition.methods import taking_mini_batch
from secant.checking.candidate import CandidateGradient
from secant.checking.point import Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.structure import refuse_tensor
from secant.errors import DTypeError, ParamsError, ShapeError, UnsupportedError

_REPEATED = 1e-9  # relative to the largest entry: what rounding may change from call to call


def check_network(
    net: Any,
    x: Any,
    t: Any,
    gradients: Mapping[Any, Any] | None = None,
    *,
    loss: str = "loss",
    gradient: str = "gradient",
    scale: Any = None,
    **options: Any,
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
    loss, gradient : str
        The names of these methods, if they are others.
    scale, **options
        ``scale``, ``max_evaluations``, ``confidence``, ``max_findings``, ``entries``, ``progress`` and ``rng`` of
        `check_gradient`.

    Returns
    -------
    GradientReport
        Its first line is one of three verdicts: right; right for another loss, which it names; or WRONG.

    Raises
    ------
    ParamsError
        If ``net.params`` is not a dict, or the gradients do not have its keys.
    UnsupportedError
        If the network has no such methods.
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Notes
    -----
    The arrays of ``params`` are shifted in place: layers may hold them too. They are restored exactly.

    A gradient that is wrong for ``loss(x, t)`` is compared with two more losses, on a deep copy of the network. If it
    is right for one of them, ``passed`` is True and ``compared_with`` names that loss. To insist on ``loss(x, t)``
    itself, ask for ``report.passed and not report.compared_with``.

    The loss without the 1e-7 in its logarithm: a textbook's gradient, y - t, leaves it out. Which number the loss adds
    to a probability is found by giving it predictions of our own in place of ``predict``; or the network is one that
    `recognize` knows.

    The loss in another mode, such as ``loss(x, t, train_flg=True)``: an option of ``loss`` with a default of True or
    False, and "train", "test" or "eval" in its name.

    Examples
    --------
    >>> net = secant.TwoLayerNet(6, 5, 4, rng=0)
    >>> x, t = np.random.RandomState(0).uniform(size=(3, 6)), np.array([0, 3, 1])
    >>> secant.check_network(net, x, t).passed
    True
    """
    if any(cls.__module__.startswith("torch.") for cls in type(net).__mro__):
        raise DTypeError("net is a module of PyTorch: use secant.torch.check_module(module, loss)")
    params = getattr(net, "params", None)
    if not isinstance(params, Mapping):
        raise ParamsError(f"net.params must be a dict of arrays, got {type(params).__name__}")
    for key, param in params.items():
        refuse_tensor(f"net.params[{key!r}]", param)
    loss_of = _method(net, "loss", loss)
    candidate = _candidate(params, _method(net, "gradient", gradient)(x, t) if gradients is None else gradients)

    def check(net: Any, f: Callable[[], Any], locate: bool) -> GradientReport:
        point = Point(lambda _: f(), dict(net.params), inplace=True, scale=scale)
        return run_check(point, lambda: CandidateGradient.of(point, candidate), locate=locate, **options)

    def own() -> Any:
        return loss_of(x, t)

    report = check(net, own, locate=False)
    if report.verdict != "wrong":
        return report
    twin = _copied(net)
    if twin is None:
        return check(net, own, locate=True)
    if gradients is None and _differ(candidate, getattr(twin, gradient)(x, t)):
        note = f"{gradient}(x, t) differs from call to call, as with dropout: turn that off to check it."
        return replace(check(net, own, locate=True), note=note)
    usable = []
    for other in other_losses(twin, x, t, loss, gradient):
        try:
            report = check(twin, other.f, locate=False)
        except Exception:  # it may be random or not finite, or fail in a mode that was not asked for
            continue
        if report.passed:
            return _compared(report, other)
        usable.append(other)
    reports = [check(net, own, locate=True)]
    for other in usable:
        with suppress(Exception):  # likewise
            reports.append(_compared(check(twin, other.f, locate=True), other))
    return min(reports, key=_badness)


def _copied(net: Any) -> Any:
    """A deep copy to be tried out, or None where there is none."""
    try:
        return copy.deepcopy(net)
    except Exception:  # whatever the user's objects raise
        return None


def _compared(report: GradientReport, other: OtherLoss) -> GradientReport:
    return replace(report, compared_with=other.name, note=other.note)


def _badness(report: GradientReport) -> tuple[int, bool]:
    """How little a gradient fits: the arrays that are wrong, and whether it is not known what is."""
    return sum(not array.passed and not array.unverified for array in report.arrays), report.diagnosis is None


def _method(net: Any, option: str, name: str) -> Callable[..., Any]:
    method = getattr(net, name, None)
    if not callable(method):
        there = ", ".join(taking_mini_batch(type(net))) or "none"
        raise UnsupportedError(
            f"{type(net).__name__} has no method {name}(x, t): {option} must name one of its methods; those that take "
            f"(x, t) are: {there}"
        )
    return cast(Callable[..., Any], method)


def _candidate(params: Mapping[Any, Any], given: Any) -> dict[Any, Any]:
    """The gradients in the order of the parameters."""
    if not isinstance(given, Mapping) or set(given) != set(params):
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ParamsError(f"gradients must have the keys of params, {', '.join(map(str, params))}, got {got}")
    for key, param in params.items():
        if isinstance(param, np.ndarray) and (shape := np.shape(given[key])) != param.shape:
            raise ShapeError(f"gradients[{key!r}] must have shape {param.shape} like params[{key!r}], got {shape}")
    return {key: given[key] for key in params}


def _differ(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> bool:
    """Whether a gradient is another one than before."""
    pairs = [(np.asarray(first[key]), np.asarray(second[key])) for key in first]
    return any(
        not np.allclose(a, b, rtol=0, atol=_REPEATED * np.abs(a).max(initial=0), equal_nan=True) for a, b in pairs
    )
