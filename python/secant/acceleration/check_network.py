"""The check of a network's own gradient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from secant._common.interrupts import held_interrupts
from secant.acceleration.log_offset import stand_ins
from secant.acceleration.other_losses import other_losses
from secant.acceleration.recognition.isolation import isolated_globals
from secant.acceleration.recognition.layouts import duplicate, sharing
from secant.acceleration.recognition.methods import method_of
from secant.checking.candidate import CandidateGradient
from secant.checking.options import NetworkOptions, require_known
from secant.checking.point import Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.structure import leaves, refuse_tensor
from secant.errors import DTypeError, ParamsError, ShapeError, UnsupportedError


def check_network(
    net: Any,
    x: Any,
    t: Any,
    gradients: Mapping[Any, Any] | None = None,
    *,
    loss: str = "loss",
    gradient: str = "gradient",
    scale: Any = None,
    **options: Unpack[NetworkOptions],
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
        Its first line is the verdict: right; right for another loss, which it names; not verified; or WRONG.

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
    ``gradient(x, t)`` is called on the network once, and on a copy twice: one that differs from call to call is wrong.

    A gradient that is wrong for ``loss(x, t)`` is compared with two more losses, on a deep copy of the network. If it
    is right for one of them, ``passed`` is True and ``compared_with`` names that loss. To insist on ``loss(x, t)``
    itself, ask for ``report.passed and not report.compared_with``.

    The loss without the 1e-7 in its logarithm: a textbook's gradient, y - t, leaves it out. Which number the loss adds
    to a probability is found by giving it predictions of our own in place of ``predict``; or the network is one that
    `recognize` knows. Targets may be soft or smoothed, and classes and samples weighted.

    The loss in training, such as ``loss(x, t, train_flg=True)``: an option of ``loss`` with "train" or "training" as a
    word of its name and a default of False, or "test", "testing" or "eval" and a default of True.

    Examples
    --------
    >>> net = secant.TwoLayerNet(6, 5, 4, rng=0)
    >>> x, t = np.random.RandomState(0).uniform(size=(3, 6)), np.array([0, 3, 1])
    >>> secant.check_network(net, x, t).passed
    True
    """
    require_known("check_network", options, NetworkOptions)
    if any(cls.__module__.startswith("torch.") for cls in type(net).__mro__):
        raise DTypeError("net is a module of PyTorch: use secant.torch.check_module(module, inputs, loss)")
    params = getattr(net, "params", None)
    if not isinstance(params, Mapping):
        raise ParamsError(f"net.params must be a dict of arrays, got {type(params).__name__}")
    for key, param in params.items():
        refuse_tensor(f"net.params[{key!r}]", param)
    loss_of = method_of(net, "loss", loss)
    candidate = _candidate(params, method_of(net, "gradient", gradient)(x, t) if gradients is None else gradients)
    is_random = False
    if gradients is None:
        with suppress(UnsupportedError), isolated_globals():  # it may end the program
            is_random = _is_random(_copied(net), gradient, x, t)

    def point_of(net: Any, f: Callable[[], Any]) -> Point:
        return Point(lambda _: f(), dict(net.params), inplace=True, scale=scale)

    def check(point: Point, locate: bool) -> GradientReport:
        def given() -> CandidateGradient:
            found = CandidateGradient.of(point, candidate)
            if is_random:
                found.remark = (
                    f"{gradient}(x, t) differs from call to call, as with dropout or a buffer that is not cleared"
                )
            return found

        return run_check(point, given, locate=locate, **options)

    def check_own(locate: bool) -> GradientReport:
        return check(point_of(net, lambda: loss_of(x, t)), locate)

    report = check_own(locate=False)
    if report.verdict != "wrong":
        return report
    reports: list[GradientReport] = []
    with suppress(UnsupportedError), isolated_globals():
        twin = _copied(net)
        with stand_ins(twin) as predictions:
            may_differ = not is_random and twin is not None and _follows(net, twin, loss, x, t)
            others = list(other_losses(twin, predictions, x, t, loss, gradient)) if may_differ else []
            for locate, other in itertools.product((False, True), others):  # wrong entries matter if none is right
                with suppress(Exception):  # it may be random or not finite, or fail in a mode that was not asked for
                    point = point_of(twin, other.f)
                    report = replace(check(point, locate), compared_with=other.name, note=other.note)
                    if point.standstill():
                        continue
                    if report.passed:
                        return report
                    if locate:
                        reports.append(report)
    return min([check_own(locate=True), *reports], key=_badness)


def _copied(net: Any) -> Any:
    """A deep copy to be tried out, or None where there is none."""
    token = sharing.set(False)  # its arrays are shifted
    try:
        twin = duplicate(net, (), ())
    except Exception:  # whatever the user's objects raise
        return None
    finally:
        sharing.reset(token)
    return None if twin is net else twin


def _follows(net: Any, twin: Any, loss: str, x: Any, t: Any) -> bool:
    """Whether a copy has the loss of a network where the parameters of each are shifted.

    Its parts may keep the arrays of the network, or arrays of their own.
    """

    def shifted(one: Any) -> float:
        rng, arrays = np.random.default_rng(0), [leaf.array for leaf in leaves("params", dict(one.params))]
        before = [array.copy() for array in arrays]
        try:
            for array in arrays:
                array += (1e-3 * (1 + np.abs(array)) * rng.uniform(0.5, 1.5, array.shape)).astype(array.dtype)
            return float(getattr(one, loss)(x, t))
        finally:
            with held_interrupts():
                for array, old in zip(arrays, before, strict=True):
                    array[...] = old

    try:
        return math.isclose(shifted(net), shifted(twin), rel_tol=1e-9)  # one after the other: parts may be shared
    except Exception:  # whatever the user's objects raise
        return False


def _badness(report: GradientReport) -> tuple[int, bool]:
    """How little a gradient fits: the arrays that are wrong, and whether it is not known what is."""
    return sum(not array.passed and not array.unverified for array in report.arrays), report.diagnosis is None


def _candidate(params: Mapping[Any, Any], given: Any) -> dict[Any, Any]:
    """The gradients in the order of the parameters."""
    if not isinstance(given, Mapping) or set(given) != set(params):
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ParamsError(f"gradients must have the keys of params, {', '.join(map(str, params))}, got {got}")
    for key, param in params.items():
        if isinstance(param, np.ndarray) and (shape := np.shape(given[key])) != param.shape:
            raise ShapeError(f"gradients[{key!r}] must have shape {param.shape} like params[{key!r}], got {shape}")
    # Copies: the network may write to its own. And arrays of what NumPy makes of an array without dimensions.
    return {k: np.array(given[k]) if isinstance(given[k], np.ndarray | np.generic) else given[k] for k in params}


def _is_random(net: Any, gradient: str, x: Any, t: Any) -> bool:
    """Whether a gradient is another one when it is called again. None of a copy that does not work is."""
    try:
        point = Point(lambda _: 0.0, dict(net.params))
        own = getattr(net, gradient)
        return bool(CandidateGradient.repeated(point, lambda: _candidate(net.params, own(x, t))).remark)
    except Exception:  # whatever the user's objects raise
        return False
