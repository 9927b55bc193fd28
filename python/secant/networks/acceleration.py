"""`accelerate`: the numerical gradient of a network of another class, by the engines, once it is recognised.

Design: `numerical_gradient` of the class, or of a subclass that an instance moves to, is replaced by one function. What
was recognised stands in the instance, as `_secant`, so that it goes where copies and pickles of the instance go. The
loss of the instance is compared with that of the engines on the first mini-batch, on the first of every new form or
range, and then as often as costs 1 / `_SHARE` of the time.
"""

import functools
import inspect
import operator
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array
from secant.errors import UnsupportedError
from secant.networks.recognition import Recognition, recognise
from secant.networks.recognition.engine import compare, engine, in_place, require_known_form, unknown_form
from secant.networks.recognition.layouts import Layout
from secant.networks.two_layer import TwoLayerNet

_SHARE = 500
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
        net.__class__ = _subclass(cast(Any, type(net)))
    vars(net)[_RECORD] = Record(found, n_threads)
    return net


def accelerate_lazily(cls: type, report: Report) -> type:
    """Accelerate a class where its instances are recognised; else its own ``numerical_gradient`` runs.

    ``report`` is called with the class and a sentence that says which, when an instance is used for the first time.
    """
    if "numerical_gradient" in vars(cls) and callable(getattr(cls, "loss", None)):
        _replace(cls, None, report)
    return cls


def is_accelerated(net: Any) -> bool:
    """Whether the class of a network has its numerical gradient from here."""
    return hasattr(getattr(type(net), "numerical_gradient", None), _RECORD)


class Record:
    """What was recognised of an instance, and what has been compared with its loss so far."""

    def __init__(self, found: Recognition, n_threads: int | None) -> None:
        self.found = found
        self.n_threads = n_threads
        self._layout = Layout(found.holder, found.keys)
        self._arrays: tuple[Array, ...] = ()
        self._known: TwoLayerNet | None = None  # on these arrays
        self._forms: set[Any] = set()
        self._least, self._most = np.inf, -np.inf  # of the inputs that were compared
        self._next = 0.0  # when it is to be compared again

    def __reduce__(self) -> Any:
        """A copy compares anew."""
        return Record, (self.found, self.n_threads)

    def arrays(self, net: Any) -> tuple[Array, ...]:
        """W1, b1, W2 and b2 of an instance, as they lie there."""
        return self._layout.arrays(net)

    def gradient(self, net: Any, x: ArrayLike, t: ArrayLike, n_threads: int | None) -> dict[Any, Array]:
        """Return the numerical gradient, with the keys, shapes and dtypes of the network's own."""
        require_known_form(self.found, x, t)
        arrays = self.arrays(net)
        replaced = self._known is None or any(map(operator.is_not, arrays, self._arrays))
        if replaced or not in_place(arrays):
            self._arrays, self._known = arrays, engine(net, self.found)
        assert self._known is not None
        if (replaced and not self.found.rebinds) or self._is_due(x, t):
            self.compare(net, self._known, x, t)
        grads = self._known.numerical_gradient(x, t, h=self.found.h, n_threads=n_threads or self.n_threads)
        return {
            key: grad.reshape(array.shape).astype(array.dtype, copy=False)
            for key, grad, array in zip(self.found.gradient_keys, grads.values(), arrays, strict=True)
        }

    def compare(self, net: Any, known: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
        """Compare the losses of one mini-batch."""
        start, self._next = time.perf_counter(), 0.0  # after an error it is compared again
        compare(net, self.found, known, x, t)
        now = time.perf_counter()
        self._next = now + _SHARE * (now - start)
        self._forms.add(_form(x, t))
        self._least, self._most = min(self._least, np.min(x)), max(self._most, np.max(x))

    def _is_due(self, x: ArrayLike, t: ArrayLike) -> bool:
        """Whether it is time, or inputs and targets are none like those that were compared."""
        if time.perf_counter() > self._next or _form(x, t) not in self._forms:
            return True
        return bool(np.min(x) < self._least or np.max(x) > self._most)


def _form(x: Any, t: Any) -> Any:
    return np.shape(x), getattr(x, "dtype", None), np.shape(t), getattr(t, "dtype", None)


def _replace(cls: Any, n_threads: int | None = None, report: Report | None = None) -> None:
    """Put a numerical gradient by the engines into a class; with ``report``, for instances that are recognised."""
    if not callable(getattr(cls, "loss", None)):
        raise UnsupportedError(f"net must have loss(x, t) to be accelerated, got the class {cls.__name__} without it")
    own = getattr(cls, "numerical_gradient", None)
    if hasattr(own, _RECORD):
        return

    def numerical_gradient(self: Any, x: Any, t: Any, *, n_threads: int | None = None) -> Any:
        found = record(self, x, t)
        if found is None or (report is not None and unknown_form(found.found, x, t)):
            return own(self, x, t)  # type: ignore[misc]  # there is one where there is a report
        return found.gradient(self, x, t, n_threads)

    known = inspect.signature(numerical_gradient)
    if own is not None:
        functools.update_wrapper(numerical_gradient, own)
    vars(numerical_gradient).update({"__signature__": known, _RECORD: (n_threads, report, set())})
    cls.numerical_gradient = numerical_gradient


def record(net: Any, x: Any, t: Any) -> Record | None:
    """Return what was recognised of an instance, or recognise it; None if its own numerical gradient is to run."""
    if not is_accelerated(net):
        return None
    own = vars(net)
    if _RECORD not in own:
        n_threads, report, said = getattr(type(net).numerical_gradient, _RECORD)
        found = recognise(net) if report is None else recognise(net, x, t)
        if report is not None and found.sentence not in said:
            said.add(found.sentence)
            report(type(net), found.sentence if found.known else f"{found.sentence}. {_outlook(net, x, t)}")
        if report is None and not found.known:
            raise UnsupportedError(found.sentence)
        own[_RECORD] = Record(found, n_threads) if found.known else None
    kept: Record | None = own[_RECORD]
    return kept


def _outlook(net: Any, x: Any, t: Any) -> str:
    """Say how long a network's own numerical gradient will take."""
    start = time.perf_counter()
    net.loss(x, t)
    seconds = time.perf_counter() - start
    holders = [value for value in vars(net).values() if isinstance(value, dict)]
    arrays = [array for held in holders or [vars(net)] for array in held.values() if isinstance(array, np.ndarray)]
    count = sum(array.size for array in arrays)
    return (
        f"Its own numerical_gradient runs: two losses for each of {count:,} parameters, about "
        f"{2 * count * seconds:.2g} s a call; secant.check_gradient finds mistakes in a gradient with far fewer"
    )


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
    self.__class__ = accelerated.__base__
    try:
        rebuild, arguments, *rest = self.__reduce_ex__(protocol)
    finally:
        self.__class__ = accelerated
    return _rebuilt, (rebuild, arguments), *rest


def _rebuilt(rebuild: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    net = rebuild(*arguments)
    net.__class__ = _subclass(cast(Any, type(net)))
    return net
