"""`accelerate`: the numerical gradient of a network of another class, by the engines, once it is recognised.

Design: `numerical_gradient` of the class, or of a subclass that an instance moves to, is replaced by one function. What
was recognised stands in the instance, as `_secant`, so that it goes where copies and pickles of the instance go.
"""

import copy
import functools
import inspect
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from secant.errors import UnsupportedError
from secant.networks.recognition.engine import unknown_form
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.probes import being_tried, undisturbed
from secant.networks.recognition.recognise import recognise
from secant.networks.records import NoLongerKnownError, Record
from secant.networks.two_layer import TwoLayerNet

_RECORD = "_secant"
Report = Callable[[type, str], object]
Net = TypeVar("Net")


def accelerate(net: Net, *, n_threads: int | None = None) -> Net:
    """Let Secant compute ``numerical_gradient(x, t)`` of a network of your own class.

    What the network is, is found by `recognise`. All else stays yours: ``params``, ``loss``, ``predict``. On the first
    call, and regularly after it, your ``loss(x, t)`` is compared with that of the engines before anything is returned.

    Parameters
    ----------
    net : object or class
        An instance, or a class: also as a decorator. Instances of a class are recognised when they are first used.
    n_threads : int, optional
        As for `TwoLayerNet.numerical_gradient`.

    Returns
    -------
    object or class
        The same one. Its ``numerical_gradient(x, t)`` returns a dict with the keys and shapes that yours returns; and
        `train` trains it as fast as a `TwoLayerNet`.

    Raises
    ------
    UnsupportedError
        If it is not recognised, with the reason, and nothing is changed; where a class was accelerated, its
        ``numerical_gradient`` raises it. Later, if the loss on a mini-batch is not that of the network that was
        recognised, or x and t have a form for which it is not known: nothing is returned then.

    See Also
    --------
    recognise : what is known, and what was found.

    Examples
    --------
    >>> class Net:
    ...     def __init__(self):
    ...         rng = np.random.default_rng(0)
    ...         self.params = {"w1": rng.normal(size=(4, 3)), "b1": np.zeros(3)}
    ...         self.params |= {"w2": rng.normal(size=(3, 2)), "b2": np.zeros(2)}
    ...
    ...     def loss(self, x, t):
    ...         p = self.params
    ...         y = secant.softmax(np.maximum(x @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"])
    ...         return secant.cross_entropy_error(y, t)
    >>> net = secant.accelerate(Net())
    >>> net.numerical_gradient(np.ones((2, 4)), np.array([0, 1]))["b2"].shape
    (2,)
    """
    if isinstance(net, type):
        _replace(net, n_threads)
        return net
    if isinstance(net, TwoLayerNet) and not net._own_structure():
        return net
    found = recognise(net)
    if not found.known:
        raise UnsupportedError(found.sentence)
    if "numerical_gradient" in vars(net):
        raise UnsupportedError(f"{type(net).__name__} has numerical_gradient as an attribute: define it in the class")
    if not is_accelerated(net):
        _move(net, _subclass(cast(Any, type(net))))
    vars(net)[_RECORD] = Record(found, n_threads)
    return net


def accelerate_lazily(cls: type, report: Report) -> type:
    """Accelerate a class where its instances are recognised; else its own ``numerical_gradient`` runs, as it would.

    ``report`` is called with the class and a sentence that says which, when an instance is used for the first time.
    """
    own = vars(cls).get("numerical_gradient")
    if not inspect.isfunction(own) or not callable(getattr(cls, "loss", None)):
        return cls
    signature = inspect.signature(own)

    @functools.wraps(own)
    def numerical_gradient(*args: Any, **kwargs: Any) -> Any:
        given = _positional(signature, args, kwargs)
        if being_tried.get():
            return own(*args, **kwargs)
        if len(given) != 3:
            report(
                cls, f"{cls.__name__}.numerical_gradient runs itself where it is called with more or less than x and t"
            )
            return own(*args, **kwargs)
        if not hasattr(given[0], "__dict__"):
            report(cls, f"{cls.__name__} is not known: its instances have no __dict__. Its own numerical_gradient runs")
            return own(*args, **kwargs)
        found = record(*given)
        if found is None or unknown_form(found.found, *given[1:]):
            return own(*args, **kwargs)
        try:
            return found.gradient(*given, None)
        except NoLongerKnownError as error:
            vars(given[0])[_RECORD] = None
            report(cls, f"{error}. {_outlook(*given)}")
            return own(*args, **kwargs)

    vars(numerical_gradient)[_RECORD] = (None, report, set())
    cast(Any, cls).numerical_gradient = numerical_gradient
    return cls


def _positional(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments of a call in their order, or none if some have no place in it."""
    if not kwargs:
        return args
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return ()
    return () if bound.kwargs else bound.args


def is_accelerated(net: Any) -> bool:
    """Whether the class of a network has its numerical gradient from here."""
    return hasattr(getattr(type(net), "numerical_gradient", None), _RECORD)


def _replace(cls: Any, n_threads: int | None = None) -> None:
    """Put a numerical gradient by the engines into a class."""
    if not callable(getattr(cls, "loss", None)):
        raise UnsupportedError(f"net must have loss(x, t) to be accelerated, got the class {cls.__name__} without it")
    own = getattr(cls, "numerical_gradient", None)
    if hasattr(own, _RECORD):
        return

    def numerical_gradient(self: Any, x: Any, t: Any, *, n_threads: int | None = None) -> Any:
        if own is not None and being_tried.get():
            return own(self, x, t)
        if not hasattr(self, "__dict__"):
            raise UnsupportedError(f"{type(self).__name__} is not known: its instances have no __dict__")
        return cast(Record, record(self, x, t, settings)).gradient(self, x, t, n_threads)

    settings = (n_threads, None, set[str]())
    known = inspect.signature(numerical_gradient)
    if own is not None:
        functools.update_wrapper(numerical_gradient, own)
    vars(numerical_gradient).update({"__signature__": known, _RECORD: settings})
    cls.numerical_gradient = numerical_gradient


def record(net: Any, x: Any, t: Any, settings: Any = None) -> Record | None:
    """Return what was recognised of an instance, or recognise it; None if its own numerical gradient is to run."""
    settings = settings or getattr(getattr(type(net), "numerical_gradient", None), _RECORD, None)
    if settings is None:
        return None
    own = vars(net)
    if _RECORD not in own:
        n_threads, report, said = settings
        if report is None:
            found = recognise(net)
            if not found.known:
                raise UnsupportedError(found.sentence)
        else:
            found = _tried(net, x, t)
        if report is not None and found.sentence not in said:
            said.add(found.sentence)
            report(type(net), found.sentence if found.known else f"{found.sentence}. {_outlook(net, x, t)}")
        own[_RECORD] = Record(found, n_threads) if found.known else None
    kept: Record | None = own[_RECORD]
    return kept


def _tried(net: Any, x: Any, t: Any) -> Recognition:
    """Recognise a network that may be anything."""
    try:
        return recognise(net, x, t)
    except Exception as error:  # whatever somebody's code raises
        return Recognition(False, f"{type(net).__name__} is not known: {type(error).__name__}: {error}")


def _outlook(net: Any, x: Any, t: Any) -> str:
    """Say that a network's own numerical gradient runs, and how long it will take if that can be tried on a copy."""
    said = "Its own numerical_gradient runs"
    seconds: list[float] = []
    try:
        with undisturbed():
            copied = copy.deepcopy(net)
            while len(seconds) < 3 and sum(seconds) < 1:  # the first is the slowest
                start = time.perf_counter()
                copied.loss(x, t)
                seconds.append(time.perf_counter() - start)
    except Exception:  # whatever somebody's code raises
        return said
    holders = [value for value in vars(net).values() if isinstance(value, dict)]
    arrays = [array for held in holders or [vars(net)] for array in held.values() if isinstance(array, np.ndarray)]
    count = sum(array.size for array in arrays)
    call = 2 * count * min(seconds)
    took = f"{call:,.0f}" if call >= 10 else f"{call:.2g}"
    said += f": two losses for each of {count:,} parameters, about {took} s a call"
    checks = hasattr(sys.modules["secant"], "check_gradient")
    return said + "; secant.check_gradient finds mistakes in a gradient with far fewer" * checks


@functools.cache
def _subclass(cls: Any) -> Any:
    """Return the class that an accelerated instance of another moves to."""
    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    accelerated = type(cls)(cls.__name__, (cls,), {**names, "__slots__": (), "__reduce_ex__": _reduce_ex})
    _replace(accelerated)
    return accelerated


def _reduce_ex(self: Any, protocol: Any) -> Any:
    """Copies and pickles are made by the class that its author wrote, and moved again."""
    accelerated = type(self)
    _move(self, accelerated.__base__)
    try:
        rebuild, arguments, *rest = self.__reduce_ex__(protocol)
    finally:
        _move(self, accelerated)
    return _rebuilt, (rebuild, arguments), *rest


def _rebuilt(rebuild: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    net = rebuild(*arguments)
    _move(net, _subclass(cast(Any, type(net))))
    return net


def _move(net: Any, cls: Any) -> None:
    """Make an object one of another class, also where its own allows no attribute to be set."""
    object.__setattr__(net, "__class__", cls)
