"""The check of a network's own gradient.

Steps:

1. Call the loss and the gradient once.
2. Copy the network.
3. Find the offset in the logarithm of the loss.
4. Choose the loss that the gradient is nearer to, with the offset or without it.
5. Check the gradient against that. If it is wrong, check it against the other one, too.

The first two steps run in one thread at a time, and so do the others where there is no
copy.
"""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.validation import Array
from secant.acceleration.backpropagation import backpropagation_mistake
from secant.acceleration.log_offset import LogOffset, find_log_offset
from secant.acceleration.recognition.isolation import isolated
from secant.acceleration.recognition.layouts import duplicate
from secant.acceleration.recognition.methods import MethodNames, method_of
from secant.acceleration.recognition.probes import number, short
from secant.acceleration.recognition.recognize import recognized
from secant.checking.candidate import RIGHT_DIGITS
from secant.checking.gradient import check_gradient
from secant.checking.report import ArrayReport, GradientReport
from secant.checking.structure import refuse_tensor
from secant.errors import DTypeError, ParamsError, ShapeError, UnsupportedError
from secant.networks.batch import shared_memory

# a relative error that an offset in a logarithm may make, where nearly all samples are
# fitted
_MOST_BY_OFFSET = 0.1
_STEP = 1e-6
"""Of the central difference that tells which loss a gradient is nearer to, relative to
the parameters. Of 3e-8 to 1e-5 it alone guessed right in eight networks of up to seven
layers: larger steps meet kinks, smaller ones rounding. An offset of 1e-7 changes slopes
by 1e-6. A wrong guess takes longer, and changes no verdict."""
_NEARER = 0.1  # times the distance: else the difference is rounding
# In the name of an option that chooses a mode, such as train_flg or is_training.
_MODE = re.compile(r"(?:^|_)(train|training|test|testing|eval)(?:_|$)", re.IGNORECASE)
# else one check might take what another one has shifted for the parameters
_ONE_AT_A_TIME = threading.RLock()

Params = Mapping[Any, Any]
LossOf = Callable[[Any], float]  # of a network


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
        With parameters in ``params`` or wherever `recognize` finds them; ``loss(x,
        t)``, a number; and, unless ``gradients`` are given, ``gradient(x, t)``, a dict
        with the keys of the parameters.
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
        Its first line is the verdict: right; right for another loss, which it names;
        not verified; or WRONG.

    Raises
    ------
    ParamsError
        If there is no dict of parameters, or the gradients do not have its keys.
    UnsupportedError
        If ``net`` is a class, has no such methods, its loss is not a number, or its
        gradient changes the parameters.
    DTypeError, ShapeError, ValueRangeError
        As `check_gradient` does; DTypeError too if x is a function, ShapeError if x and
        t are exchanged.

    Notes
    -----
    A copy of the network is checked, in float64, if it can be copied and the copy has
    the same loss. The gradient counts as float32 if the parameters are. Otherwise the
    arrays of the parameters are shifted in place, since layers may hold them too. They
    are restored exactly, and no other check runs meanwhile. ``gradient(x, t)`` is
    called once on the network and once on a copy: one that differs from call to call is
    wrong.

    A textbook's gradient, y - t, leaves out the 1e-7 that a loss adds to each
    probability in its logarithm. Secant finds this offset from the losses of other
    targets and the probabilities that ``predict(x)`` returns, or those of a network
    that `recognize` knows. The layers and a weight decay do not matter. If the gradient
    is wrong for ``loss(x, t)`` and right for the loss without its offset, ``passed`` is
    True and ``compared_with`` names that loss. To insist on ``loss(x, t)`` itself, ask
    for ``report.passed and not report.compared_with``. If no offset was found and the
    errors are as small as one makes, a note gives the hint.

    Examples
    --------
    >>> net = secant.TwoLayerNet(6, 5, 4, rng=0)
    >>> x, t = np.random.RandomState(0).uniform(size=(3, 6)), np.array([0, 3, 1])
    >>> secant.check_network(net, x, t).passed
    True
    """
    _refuse(net, x)
    names = MethodNames(loss=loss)
    mode_hints = _mode_hints(method_of(net, "loss", loss), loss, gradient)

    def loss_of(each: Any, targets: Any = t) -> float:
        return number(method_of(each, "loss", loss)(x, targets), loss)

    with _ONE_AT_A_TIME:
        holder, keys = _where(net, names)
        params = _params_of(net, holder, keys)
        _require_loss(method_of(net, "loss", loss), x, t, partial(loss_of, net))
        again = None
        if gradients is None:
            candidate = _candidate(
                params, _own_gradient(net, holder, params, gradient, x, t)
            )
            again = _called_again(net, gradient, x, t, params)
        else:
            candidate = _candidate(params, gradients)
        copied = _copied(net, params, loss_of)
        check = partial(
            _check,
            names=names,
            loss_of=loss_of,
            x=x,
            t=t,
            hints=mode_hints,
            progress=progress,
            rng=rng,
        )
        if copied is None:
            report = check(net, params, candidate, again or candidate)
    if copied is not None:
        report = check(*copied, candidate, again or candidate)
    if report.verdict != "wrong" or report.diagnosis:
        return report
    mistake = backpropagation_mistake(net, names, x, t, candidate, report)
    return replace(report, diagnosis=mistake or None)


def _check(
    net: Any,
    params: Params,
    candidate: dict[Any, Any],
    again: dict[Any, Any],
    *,
    names: MethodNames,
    loss_of: Callable[..., float],
    x: Any,
    t: Any,
    hints: list[str],
    progress: bool,
    rng: int,
) -> GradientReport:
    """Check a network in place."""

    def with_offset(_: Any) -> float:
        """the loss of the network with these parameters"""  # noqa: D403, D400 (programs that reproduce say it)
        return loss_of(net)

    def report_of(f: Callable[[Any], float]) -> GradientReport:
        # check_gradient calls twice, and compares
        first_and_second = iter([candidate, again])
        return check_gradient(
            f,
            params,
            lambda _: next(first_and_second),
            inplace=True,
            progress=progress,
            rng=rng,
        )

    offset = _offset(net, params, names, loss_of, x, t)
    if offset is None:
        report = report_of(with_offset)
        if report.verdict != "wrong":
            return report
        largest = np.fmax.reduce([array.relative_error for array in _wrong(report)])
        if largest < _MOST_BY_OFFSET:  # NaN: not known
            hints = [*hints, _hint_of_offset(names.loss)]
        return replace(report, note=_joined(report.note, *hints))

    def without_offset(_: Any) -> float:
        """the loss of the network with these parameters, without its offset"""  # noqa: D400, D403
        return loss_of(net) + offset.contribution()

    def report_without_offset() -> GradientReport:
        return _for_the_loss_without(offset, report_of(without_offset), names.loss)

    other = None
    if _is_nearer_to_second(with_offset, without_offset, params, candidate):
        other = report_without_offset()
        if other.passed:
            return other
        if _is_conclusive(other):
            return replace(other, note=_joined(other.note, *hints))
    report = report_of(with_offset)
    if report.verdict != "wrong":
        return report
    other = other or report_without_offset()
    report = _better(report, other)
    return (
        report if report.passed else replace(report, note=_joined(report.note, *hints))
    )


def _refuse(net: Any, x: Any) -> None:
    """Raise an error for arguments that are no network and no inputs."""
    if any(cls.__module__.startswith("torch.") for cls in type(net).__mro__):
        raise DTypeError(
            "net is a module of PyTorch: use secant.torch.check_module(module, inputs,"
            " loss)"
        )
    if isinstance(net, type):
        name = net.__name__
        raise UnsupportedError(
            f"net must be a network, got the class {name}: make one, such as net ="
            f" {name}(...)"
        )
    if callable(x):
        raise DTypeError(
            "x must be inputs, got the function"
            f" {getattr(x, '__name__', type(x).__name__)}: call check_network(net, x,"
            ' t), and name a method of the network by loss="..." if it is not loss'
        )


def _require_loss(
    method: Callable[..., Any], x: Any, t: Any, loss_of: Callable[[], float]
) -> None:
    """Call a loss once. If it fails, and takes x and t in the other order, say so."""
    try:
        loss_of()
    except UnsupportedError:
        raise
    except Exception as error:
        try:
            with isolated():
                number(method(t, x))
        except Exception:  # whatever the reader's code raises
            raise error from None
        name = getattr(method, "__name__", "loss")
        raise ShapeError(
            f"x and t are exchanged: {name}(x, t) raises {type(error).__name__}, and"
            " takes them in the other order. Call check_network(net, x, t), inputs"
            " first"
        ) from error


def _where(net: Any, names: MethodNames) -> tuple[str, tuple[Any, ...]]:
    """The attribute that holds the parameters, "" if they are attributes themselves,
    and their keys.
    """
    params = getattr(net, "params", None)
    if isinstance(params, Mapping):
        return "params", tuple(params)
    recognition = recognized(net, names, with_gradient=False)
    if not recognition.known:
        raise ParamsError(
            f"net.params must be a dict of arrays, got {type(params).__name__}"
        )
    return recognition.holder, recognition.keys


def parameters(net: Any, loss: str = "loss") -> Params:
    """Return the parameters of a network: ``net.params``, or where `recognize` finds
    them.

    Raises
    ------
    ParamsError
        If there are none.
    DTypeError
        If they are tensors or integers.
    """
    return _params_of(net, *_where(net, MethodNames(loss=loss)))


def _params_of(net: Any, holder: str, keys: tuple[Any, ...]) -> Params:
    """The arrays, not copied."""
    held = getattr(net, holder) if holder else vars(net)
    params = {key: held[key] for key in keys}
    for key, param in params.items():
        refuse_tensor(f"net.params[{key!r}]", param)
        if isinstance(param, np.ndarray) and param.dtype.kind in "biu":
            raise DTypeError(
                f"net.params[{key!r}] must be floating point, got {param.dtype}: it"
                " cannot hold x + h"
            )
    return params


def _own_gradient(
    net: Any, holder: str, params: Params, name: str, x: Any, t: Any
) -> Any:
    """What the network's gradient returns.

    An error if it changes the parameters, which are restored.
    """
    method, held = (
        method_of(net, "gradient", name),
        getattr(net, holder) if holder else vars(net),
    )
    before = _copies(params)
    try:
        grads = method(x, t)
        holds_others = bool(holder) and getattr(net, holder) is not held
        after = getattr(net, holder) if holds_others else held
        changed = [
            key for key, values in before.items() if _is_changed(after.get(key), values)
        ]
    finally:
        with held_interrupts():
            if holder and getattr(net, holder) is not held:
                setattr(net, holder, held)
            for key, values in before.items():
                if held.get(key) is not params[key]:
                    held[key] = params[key]
                _put_back(params[key], values)
    if changed:
        raise UnsupportedError(
            f"{name}(x, t) changes {', '.join(map(str, changed))}: does it update the"
            " weights? It must only return the gradients. Update the weights in the"
            " training loop. They were restored"
        )
    return grads


def _copies(params: Params) -> dict[Any, Array]:
    return {
        key: param.copy()
        for key, param in params.items()
        if isinstance(param, np.ndarray)
    }


def _is_changed(now: Any, before: Array) -> bool:
    """Whether a parameter has other values, by more than a gradient by differences
    leaves when it shifts them back.
    """
    if not isinstance(now, np.ndarray) or now.shape != before.shape:
        return True
    allowed = (
        8 * float(np.finfo(before.dtype).eps) * (1 + np.abs(before).max(initial=0))
    )
    return not np.abs(now - before).max(initial=0) <= allowed


def _put_back(array: Array, values: Array) -> None:
    """Write to an array unless it has these values, bit for bit."""
    if array.tobytes() != values.tobytes():
        array[...] = values


def _copied(net: Any, params: Params, loss_of: LossOf) -> tuple[Any, Params] | None:
    """A copy of a network, with its parameters in float64, or None if it does not work.

    float64 tells mistakes from rounding. A copy may still read the arrays of the
    original. So all of its parameters are changed, and it must have the loss that the
    network has with these.
    """
    is_float = all(
        isinstance(param, np.ndarray) and param.dtype.kind == "f"
        for param in params.values()
    )
    if not is_float or shared_memory(params):
        return None
    own = {key: param.astype(np.float64) for key, param in params.items()}
    try:
        with isolated():
            copied = duplicate(net, [*params.values()], [*own.values()])
            values = _changed(params)
            there = _evaluated(own, values, partial(loss_of, copied))
            here = _evaluated(params, values, partial(loss_of, net))
    except Exception:  # whatever the user's objects raise
        return None
    eps = max(float(np.finfo(param.dtype).eps) for param in params.values())
    return (copied, own) if abs(there - here) <= eps**RIGHT_DIGITS * abs(here) else None


def _typical(params: Params) -> float:
    """The root mean square of all parameters; 1 if all are 0."""
    squares = sum(float(np.sum(np.square(param))) for param in params.values())
    return float(np.sqrt(squares / max(sum(map(np.size, params.values())), 1))) or 1.0


def _changed(params: Params, share: float = 1.0) -> dict[Any, Any]:
    """The parameters, each changed by a random number: a share of their typical size,
    so that a 0 changes, too.
    """
    size, rng = share * _typical(params), np.random.default_rng(0)
    return {
        key: param + size * rng.standard_normal(np.shape(param))
        for key, param in params.items()
    }


def _evaluated(params: Params, values: Params, f: Callable[[], Any]) -> Any:
    """What a function returns while the parameters have other values."""
    before = {key: param.copy() for key, param in params.items()}
    try:
        for key, param in params.items():
            param[...] = values[key]
        return f()
    finally:
        with held_interrupts():
            for key, param in params.items():
                param[...] = before[key]


def _offset(
    net: Any,
    params: Params,
    names: MethodNames,
    loss_of: Callable[..., float],
    x: Any,
    t: Any,
) -> LogOffset | None:
    """The offset in the logarithm of a loss, or None. The parameters are changed for
    it, since they may all be 0.
    """
    try:
        with isolated():
            find = partial(find_log_offset, net, names, partial(loss_of, net), x, t)
            found: LogOffset | None = _evaluated(params, _changed(params), find)
            return found if found and np.isfinite(found.contribution()) else None
    except Exception:  # whatever the user's objects raise
        return None


def _is_nearer_to_second(
    f: Callable[[Any], float],
    g: Callable[[Any], float],
    params: Params,
    candidate: Params,
) -> bool:
    """Whether a gradient is nearer to that of g than to that of f, along a random
    direction.
    """
    try:
        ends = [_changed(params, share) for share in (_STEP, -_STEP)]
        predicted = sum(
            float(np.sum((ends[0][key] - ends[1][key]) * candidate[key]))
            for key in params
        )
        values = [
            _evaluated(params, end, lambda: np.array([f(None), g(None)]))
            for end in ends
        ]
    except Exception:  # the check itself will raise it
        return False
    to_f, to_g = np.abs(values[0] - values[1] - predicted)
    return bool(to_g < _NEARER * to_f)


def _for_the_loss_without(
    offset: LogOffset, report: GradientReport, loss: str
) -> GradientReport:
    """A report that says what the gradient was compared with."""
    value = short(offset.value)
    note = (
        f"{loss}(x, t) adds {value} to each probability; y - t, the textbook's"
        " gradient, leaves it out."
    )
    return replace(
        report,
        compared_with=f"the loss without the {value} (as in the book)",
        note=note,
    )


def _is_conclusive(report: GradientReport) -> bool:
    """Whether a gradient is wrong, but so near to that of a loss that it need not be
    compared with another one.
    """
    is_explained = report.diagnosis is not None or 2 * len(_wrong(report)) < len(
        report.arrays
    )
    return report.verdict == "wrong" and is_explained


def _better(first: GradientReport, second: GradientReport) -> GradientReport:
    """The report of the loss that fewer arrays are wrong for.

    One that is not verified is not right either.
    """
    wrong = {array.name for report in (first, second) for array in _wrong(report)}

    def badness(report: GradientReport) -> tuple[int, bool]:
        in_doubt = [
            array for array in report.arrays if array.name in wrong and not array.passed
        ]
        return len(in_doubt), report.diagnosis is None

    return min(first, second, key=badness)


def _hint_of_offset(loss: str) -> str:
    return (
        f"If {loss}(x, t) adds 1e-7 or so to each probability in its logarithm, y - t,"
        " the textbook's gradient, leaves it out: compare with a loss without it."
    )


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _candidate(params: Mapping[Any, Any], given: Any) -> dict[Any, Any]:
    """The gradients in the order of the parameters."""
    if not isinstance(given, Mapping) or set(given) != set(params):
        got = (
            ", ".join(map(str, given))
            if isinstance(given, Mapping)
            else type(given).__name__
        )
        raise ParamsError(
            "gradients must be a dict with the keys of params,"
            f" {', '.join(map(str, params))}, got {got}"
        )
    for key, param in params.items():
        if (
            isinstance(param, np.ndarray)
            and (shape := np.shape(given[key])) != param.shape
        ):
            raise ShapeError(
                f"gradients[{key!r}] must have shape {param.shape} like"
                f" params[{key!r}], got {shape}"
            )

    def taken(grad: Any, param: Any) -> Any:
        """A copy, since the network may write to its own.

        In float32 if its parameter is: it has no more digits.
        """
        # NumPy makes the latter of an array without dimensions
        if not isinstance(grad, np.ndarray | np.generic):
            return grad
        is_low = (
            grad.dtype == np.float64 and getattr(param, "dtype", None) == np.float32
        )
        return np.array(grad, np.float32 if is_low else None)

    return {key: taken(given[key], param) for key, param in params.items()}


def _called_again(
    net: Any, gradient: str, x: Any, t: Any, params: Mapping[Any, Any]
) -> dict[Any, Any] | None:
    """What a gradient returns when it is called again, on a copy; None if the copy does
    not work.
    """
    try:
        with isolated():
            return _candidate(params, getattr(duplicate(net), gradient)(x, t))
    except Exception:  # whatever the user's objects raise
        return None


def _wrong(report: GradientReport) -> list[ArrayReport]:
    return [array for array in report.arrays if not (array.passed or array.unverified)]


def _mode_hints(loss_of: Callable[..., Any], loss: str, gradient: str) -> list[str]:
    """Say so if a loss has an option for training that a gradient may set otherwise."""
    try:
        options = [*inspect.signature(loss_of).parameters.values()]
    except (TypeError, ValueError):  # a method that is compiled
        return []
    return [
        f"{loss}(x, t) runs the network with {option.name}={option.default};"
        f" {gradient}(x, t) may run it otherwise."
        for option in options
        if _MODE.search(option.name) and isinstance(option.default, bool)
    ]
