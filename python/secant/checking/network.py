"""The check of a network's own gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from secant.checking.check import check_gradient
from secant.checking.report import GradientReport
from secant.errors import ParamsError, SecantError
from secant.networks.recognition.engine import engine, in_place
from secant.networks.recognition.layouts import Layout
from secant.networks.recognition.recognise import recognised

_Check = Callable[[Callable[[Any, Any], Any]], GradientReport]


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
        ``scale``, ``budget``, ``confidence``, ``findings``, ``entries``, ``progress`` and ``rng`` of `check_gradient`.

    Returns
    -------
    GradientReport

    Raises
    ------
    ParamsError
        If ``net.params`` is no dict, or the gradients do not have its keys.
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Notes
    -----
    The arrays of ``params`` are shifted in place: layers may hold them too. When the call ends they are what they were.

    A textbook's gradient, y - t, is that of a loss without the 1e-7 in its logarithm, and wrong for one that has it. If
    the network is one that `recognise` knows, the report says so; what else is wrong is named in comparison with the
    loss without it.

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
    given = net.gradient(x, t) if gradients is None else gradients
    if not isinstance(given, Mapping) or set(given) != set(params):
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ParamsError(f"gradients must have the keys of params, {', '.join(map(str, params))}, got {got}")

    def check(loss: Callable[[Any, Any], Any]) -> GradientReport:
        claimed = {key: given[key] for key in params}
        return check_gradient(lambda _: loss(x, t), dict(params), claimed, inplace=True, **options)

    report = check(net.loss)
    return report if report.passed else _without_offset(net, x, t, report, check)


def _without_offset(net: Any, x: Any, t: Any, report: GradientReport, check: _Check) -> GradientReport:
    """Return the report, or that on the loss without the offset in its logarithm if the gradient is nearer to that."""
    found = recognised(net, None, x, t)
    if not found.known or not found.log_offset or not in_place(Layout(found.holder, found.keys).arrays(net)):
        return report
    known = engine(net, found)  # on the same arrays
    known.log_offset = 0.0
    try:
        other = check(known.loss)
    except SecantError:  # a probability has underflowed: there is no such loss
        return report
    if sum(array.passed for array in other.arrays) <= sum(array.passed for array in report.arrays):
        return report
    offset = f"{found.log_offset:g}".replace("e-0", "e-")
    loss = f"the loss without the {offset} in its logarithm, which y - t leaves out"
    effort: Any = {"evaluations": report.evaluations + other.evaluations, "seconds": report.seconds + other.seconds}
    if other.passed:
        said, evidence = f"the gradient is that of {loss}", "a check of that finds no error"
        return replace(report, diagnosis=said, evidence=evidence, **effort)
    said = f"compared with {loss}: {other.diagnosis or 'wrong in these entries'}"
    return replace(other, diagnosis=said, **effort)
