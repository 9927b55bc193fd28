"""The check of a network's own gradient."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from secant.acceleration.recognition.equivalent import RecognizedNet, rows
from secant.acceleration.recognition.isolation import isolated
from secant.acceleration.recognition.layouts import duplicate
from secant.acceleration.recognition.methods import MethodNames, method_of
from secant.acceleration.recognition.probes import number, short
from secant.acceleration.recognition.recognize import recognized
from secant.checking.candidate import RIGHT_DIGITS
from secant.checking.gradient import check_gradient
from secant.checking.report import ArrayReport, GradientReport
from secant.checking.structure import refuse_tensor
from secant.errors import DTypeError, ParamsError, SecantError, ShapeError
from secant.networks.batch import shared_memory

_MOST_BY_OFFSET = 0.1  # a relative error that an offset in a logarithm may make, where nearly all samples are fitted
_LARGEST_OFFSET = 1e-3  # more is not there to keep log(0) away
# In the name of an option that chooses a mode, such as train_flg or is_training.
_MODE = re.compile(r"(?:^|_)(train|training|test|testing|eval)(?:_|$)", re.IGNORECASE)


def check_network(
    net: Any,
    x: Any,
    t: Any,
    gradients: Mapping[Any, Any] | None = None,
    *,
    loss: str = "loss",
    gradient: str = "gradient",
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check the gradient of a network's loss in all of its parameters.

    Parameters
    ----------
    net : object
        With parameters in ``params`` or wherever `recognize` finds them; ``loss(x, t)``, a number; and, unless
        ``gradients`` are given, ``gradient(x, t)``, a dict with the keys of the parameters.
    x, t : array_like
        A mini-batch.
    gradients : dict, optional
        What is checked, if it is not what ``net.gradient(x, t)`` returns.
    loss, gradient : str
        The names of these methods, if they are others.
    progress, rng
        As for `check_gradient`.

    Returns
    -------
    GradientReport
        Its first line is the verdict: right; right for another loss, which it names; not verified; or WRONG.

    Raises
    ------
    ParamsError
        If there is no dict of parameters, or the gradients do not have its keys.
    UnsupportedError
        If the network has no such methods, or its loss is not a number.
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does.

    Notes
    -----
    The arrays of the parameters are shifted in place: layers may hold them too. They are restored exactly. Those of
    float32 are shifted in a copy of the network in float64, if it can be copied and the copy has the same loss.
    ``gradient(x, t)`` is called once on the network and once on a copy: one that differs from call to call is wrong.

    A textbook's gradient, y - t, leaves out the 1e-7 that a loss adds to each probability in its logarithm. Where a
    gradient is wrong for ``loss(x, t)``, and the network is one that `recognize` knows, it is compared with the loss
    without that. If it is right for that, ``passed`` is True and ``compared_with`` names that loss. To insist on
    ``loss(x, t)`` itself, ask for ``report.passed and not report.compared_with``. For other networks a note gives the
    hint where the errors are as small as that.

    Examples
    --------
    >>> net = secant.TwoLayerNet(6, 5, 4, rng=0)
    >>> x, t = np.random.RandomState(0).uniform(size=(3, 6)), np.array([0, 3, 1])
    >>> secant.check_network(net, x, t).passed
    True
    """
    if any(cls.__module__.startswith("torch.") for cls in type(net).__mro__):
        raise DTypeError("net is a module of PyTorch: use secant.torch.check_module(module, inputs, loss)")
    names = MethodNames(loss=loss)

    def loss_of(each: Any) -> float:
        return number(method_of(each, "loss", loss)(x, t), loss)

    method, params = method_of(net, "loss", loss), _params(net, names)
    loss_of(net)
    candidate = _candidate(params, method_of(net, "gradient", gradient)(x, t) if gradients is None else gradients)
    again = _called_again(net, gradient, x, t, params) if gradients is None else None
    net, params = _in_float64(net, params, loss_of)

    def check(f: Callable[[Any], Any]) -> GradientReport:
        calls = [again or candidate, candidate]  # which should be the same
        return check_gradient(f, params, lambda _: calls.pop(), inplace=True, progress=progress, rng=rng)

    report = check(lambda _: loss_of(net))
    if report.verdict != "wrong":
        return report
    hints = _mode_hints(method, loss, gradient)
    if found := _without_offset(net, names, loss_of, x, t):
        f, offset = found
        note = f"{loss}(x, t) adds {short(offset)} to each probability; y - t, the textbook's gradient, leaves it out."
        name = f"the loss without the {short(offset)} (as in the book)"
        other = replace(check(f), compared_with=name, note=note)
        report = min(report, other, key=lambda each: (len(_wrong(each)), each.diagnosis is None))
    elif np.fmax.reduce([array.relative_error for array in _wrong(report)]) < _MOST_BY_OFFSET:  # NaN: not known
        hints.append(
            f"If {loss}(x, t) adds 1e-7 or so to each probability in its logarithm, y - t, the textbook's gradient, "
            "leaves it out: compare with a loss without it."
        )
    return report if report.passed else replace(report, note=" ".join(filter(None, (report.note, *hints))))


def _params(net: Any, names: MethodNames) -> Mapping[Any, Any]:
    """The parameters: ``net.params``, or where `recognize` finds them."""
    params = getattr(net, "params", None)
    if not isinstance(params, Mapping):
        recognition = recognized(net, names, with_gradient=False)
        if not recognition.known:
            raise ParamsError(f"net.params must be a dict of arrays, got {type(params).__name__}")
        params = dict(zip(recognition.keys, RecognizedNet(net, recognition).arrays(), strict=True))
    for key, param in params.items():
        refuse_tensor(f"net.params[{key!r}]", param)
        if isinstance(param, np.ndarray) and param.dtype.kind in "biu":
            raise DTypeError(f"net.params[{key!r}] must be floating point, got {param.dtype}: it cannot hold x + h")
    return params


def _in_float64(net: Any, params: Mapping[Any, Any], loss_of: Callable[[Any], float]) -> tuple[Any, Mapping[Any, Any]]:
    """A copy of a network that has its parameters in float64, which tells mistakes from rounding; or itself.

    A copy may read other arrays than its own: it must have the loss of the network where all parameters are doubled.
    """
    is_low = all(isinstance(param, np.ndarray) and param.dtype in (np.float16, np.float32) for param in params.values())
    if not is_low or shared_memory(params):
        return net, params
    wide = {key: param.astype(np.float64) for key, param in params.items()}
    try:
        with isolated():
            other = duplicate(net, [*params.values()], [*wide.values()])
            copied, own = _doubled(loss_of, other, wide), _doubled(loss_of, net, params)
    except Exception:  # whatever the user's objects raise
        return net, params
    eps = max(float(np.finfo(param.dtype).eps) for param in params.values())
    return (other, wide) if abs(copied - own) <= eps**RIGHT_DIGITS * abs(own) else (net, params)


def _doubled(loss_of: Callable[[Any], float], net: Any, params: Mapping[Any, Any]) -> float:
    """The loss where all parameters are doubled, for a moment."""
    before = {key: param.copy() for key, param in params.items()}
    loss_of(net)  # which may put others in their place
    try:
        for param in params.values():
            param *= 2
        return loss_of(net)
    finally:
        for key, param in params.items():
            param[...] = before[key]


def _candidate(params: Mapping[Any, Any], given: Any) -> dict[Any, Any]:
    """The gradients in the order of the parameters."""
    if not isinstance(given, Mapping) or set(given) != set(params):
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ParamsError(f"gradients must be a dict with the keys of params, {', '.join(map(str, params))}, got {got}")
    for key, param in params.items():
        if isinstance(param, np.ndarray) and (shape := np.shape(given[key])) != param.shape:
            raise ShapeError(f"gradients[{key!r}] must have shape {param.shape} like params[{key!r}], got {shape}")

    def taken(grad: Any, param: Any) -> Any:
        """A copy, since the network may write to its own. In float32 if its parameter is: it has no more digits."""
        if not isinstance(grad, np.ndarray | np.generic):  # NumPy makes the latter of an array without dimensions
            return grad
        is_low = grad.dtype == np.float64 and getattr(param, "dtype", None) == np.float32
        return np.array(grad, np.float32 if is_low else None)

    return {key: taken(given[key], param) for key, param in params.items()}


def _called_again(net: Any, gradient: str, x: Any, t: Any, params: Mapping[Any, Any]) -> dict[Any, Any] | None:
    """What a gradient returns when it is called again, on a copy; None of a copy that does not work."""
    try:
        with isolated():
            return _candidate(params, getattr(duplicate(net), gradient)(x, t))
    except Exception:  # whatever the user's objects raise
        return None


def _without_offset(
    net: Any, names: MethodNames, loss_of: Callable[[Any], float], x: Any, t: Any
) -> tuple[Callable[[Any], float], float] | None:
    """The loss without the offset in its logarithm, and the offset, of a network that Secant knows."""
    recognition = recognized(net, names, with_gradient=False)
    if not (recognition.known and 0 < recognition.log_offset <= _LARGEST_OFFSET):
        return None
    recognized_net, inputs = RecognizedNet(net, recognition), rows(x)

    def without(_: Any) -> float:
        """The network's own loss, less what the offset makes of it."""
        with_offset = recognized_net.two_layer_net()
        without_offset = copy.copy(with_offset)
        without_offset.log_offset = 0.0
        change = without_offset.loss(inputs, t) - with_offset.loss(inputs, t)
        return loss_of(net) + recognized_net.times(inputs) * change

    try:
        recognized_net.equivalent(x, t)
        without(None)
    except SecantError:  # without the offset it is infinite, perhaps
        return None
    return without, recognition.log_offset


def _wrong(report: GradientReport) -> list[ArrayReport]:
    return [array for array in report.arrays if not (array.passed or array.unverified)]


def _mode_hints(loss_of: Callable[..., Any], loss: str, gradient: str) -> list[str]:
    """Say so if a loss has an option for training that a gradient may set otherwise."""
    try:
        options = [*inspect.signature(loss_of).parameters.values()]
    except (TypeError, ValueError):  # a method that is compiled
        return []
    return [
        f"{loss}(x, t) runs the network with {option.name}={option.default}; {gradient}(x, t) may run it otherwise."
        for option in options
        if _MODE.search(option.name) and isinstance(option.default, bool)
    ]
