"""The check of a network's own gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secant.checking.check import check_gradient
from secant.checking.report import GradientReport
from secant.errors import ParamsError


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
    return check_gradient(
        lambda _: net.loss(x, t), dict(params), {key: given[key] for key in params}, inplace=True, **options
    )
