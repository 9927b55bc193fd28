"""`accelerate`: Secant computes the numerical gradient of a recognized network of another class.

Design: a function stands in the class in place of its numerical gradient. For a network that is known it returns
Secant's, else the reader's own. Each class has its own `Method` behind that function. It keeps what was recognized of
an object, by the object's identity and as long as the object lives. So the attributes and the type of the object do
not change.
"""

import functools
import inspect
import threading
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast, overload

from secant._common.trial import being_tried
from secant._common.validation import thread_count
from secant.acceleration.recognition.methods import USUAL, Methods
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.acceleration.recognition.small_copy import bound
from secant.acceleration.recognition.stand_in import StandIn, reader_gradient_of, stand_in
from secant.acceleration.records import Record
from secant.errors import UnsupportedError
from secant.networks.two_layer import TwoLayerNet, foreign_structure

Net = TypeVar("Net")
_LOCK = threading.RLock()  # held while a class is changed


@overload
def accelerate(net: Net, *, loss: str = ..., numerical_gradient: str = ..., n_threads: int | None = ...) -> Net: ...
@overload
def accelerate(
    *, loss: str = ..., numerical_gradient: str = ..., n_threads: int | None = ...
) -> Callable[[Net], Net]: ...
def accelerate(
    net: Any = ...,
    *,
    loss: str = USUAL.loss,
    numerical_gradient: str = USUAL.numerical_gradient,
    n_threads: int | None = None,
) -> Any:
    """Let Secant compute ``numerical_gradient(x, t)`` of a network of your own class.

    `recognize` finds out what the network is. All else stays yours: ``params``, ``loss``, ``predict``, its type.
    Before a gradient is returned, your ``loss(x, t)`` is called once and compared with Secant's: no gradient is
    returned where your loss differed.

    Parameters
    ----------
    net : object or class
        An instance, or a class: also as a decorator. Instances of a class are recognized when they are first used.
    loss, numerical_gradient : str
        The names of your methods, both of (x, t): ``@secant.accelerate(loss="cost")`` before a class that calls its
        loss so.
    n_threads : int, optional
        As for `TwoLayerNet.numerical_gradient`.

    Returns
    -------
    object or class
        The same object. Its ``numerical_gradient(x, t)`` returns a dict with the keys and shapes that yours returns.
        `train` trains it as fast as a `TwoLayerNet`. Without ``net``, a decorator.

    Raises
    ------
    UnsupportedError
        If the network is not recognized. The message has the reason, and nothing is changed. For a class,
        ``numerical_gradient`` of the instance raises it. Later, a ``secant.errors.LossDiffersError``, which is a
        subclass, if your loss on a mini-batch differs from Secant's, and the network is not recognized when it is tried
        again. No gradient is returned then.

    See Also
    --------
    recognize : what is known, and what was found.

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
    thread_count(n_threads)
    methods = Methods(loss, numerical_gradient)
    if net is ...:
        return functools.partial(accelerate, loss=loss, numerical_gradient=numerical_gradient, n_threads=n_threads)
    methods.require_chosen(net)
    if isinstance(net, type):
        methods.of(net, "loss")
        _method_of(net, methods.numerical_gradient).for_all(methods, n_threads)
        return net
    if isinstance(net, TwoLayerNet) and not foreign_structure(net):
        return net
    cls: Any = type(net)
    if numerical_gradient in getattr(net, "__dict__", ()):
        raise UnsupportedError(f"{cls.__name__} has {numerical_gradient} as an attribute: define it in the class")
    recognition = recognition_of(net, reader_gradient_of(cls, numerical_gradient), methods)
    _accelerate_instance(net, recognition, n_threads)
    return net


def record_of(net: Any) -> Record | None:
    """Return what was recognized of an instance, or recognize it; None if the reader's numerical gradient is to run."""
    for method in _methods_of(type(net)):
        if method.name not in getattr(net, "__dict__", ()) and (record := method.record(net)):
            return record  # unless the instance has an attribute of that name
    return None


def recognition_of(net: Any, reader_gradient: Any, methods: Methods, x: Any = None) -> Recognition:
    """Recognize an instance that a record can be kept of, to be called with ``x``; an error if it is not known."""
    if reason := why_not_kept(net, methods):
        raise UnsupportedError(reason)
    recognition = recognized(net, reader_gradient, x, methods=methods)
    if not recognition.known:
        raise UnsupportedError(recognition.sentence)
    return recognition


def why_not_kept(net: Any, methods: Methods) -> str:
    """Say why no record of an object can be kept; "" if one can."""
    if hasattr(net, "__dict__") and type(net).__weakrefoffset__:
        return ""
    if not callable(getattr(net, methods.loss, None)):
        return f"net must be a network with {methods.loss}(x, t), got {type(net).__name__}"
    return f"{type(net).__name__} is not known: its instances have no __dict__, or no __weakref__"


class Method(StandIn):
    """The numerical gradient of a class: Secant's for networks that are accelerated, else the reader's own."""

    def __init__(self, cls: type, name: str) -> None:
        super().__init__(cls, name)
        self._for_all: tuple[Methods, int | None] | None = None  # the options, if all instances are accelerated
        self._records: dict[int, tuple[weakref.ref[Any], Record | None]] = {}
        self.stand_in_as(self._function(reader_gradient_of(cls, name)))

    def _function(self, reader_gradient: Any) -> FunctionType:
        """Return what stands in the class: it looks like what the class had."""
        names = _names(reader_gradient)

        def numerical_gradient(net: Any, x: Any, t: Any, *, n_threads: int | None = None) -> Any:
            record = self.kept(net)
            assert record is not None
            return record.gradient(net, x, t, n_threads)

        numerical_gradient.__name__ = numerical_gradient.__qualname__ = self.name  # as errors of arguments call it

        def standing(net: Any, *args: Any, **kwargs: Any) -> Any:
            named = {names.get(name, name): value for name, value in kwargs.items()}
            if self.record(net, args[0] if args else named.get("x")) is None:
                return self.reader_method(net)(*args, **kwargs)
            return numerical_gradient(net, *args, **named)

        functools.update_wrapper(standing, reader_gradient if callable(reader_gradient) else numerical_gradient)
        return cast(FunctionType, standing)

    def reader_method(self, net: Any) -> Callable[..., Any]:
        """Return the reader's own method of an instance."""
        own = self.reader_gradient(type(net))
        if own is None:
            raise AttributeError(
                f"{type(net).__name__!r} object has no attribute {self.name!r}", name=self.name, obj=net
            )
        return bound(own, net)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, in which there are other objects."""
        return vars(self) | {"_records": {}}

    def for_all(self, methods: Methods, n_threads: int | None) -> None:
        """Accelerate all instances."""
        self._for_all = methods, n_threads

    def has_tried(self, net: Any) -> bool:
        """Whether anything is kept of an instance."""
        return id(net) in self._records

    def kept(self, net: Any) -> Record | None:
        """Return what is kept of an instance; None if nothing was tried, or it is not known."""
        return self._records.get(id(net), (None, None))[1]

    def keep(self, net: Any, record: Record | None) -> None:
        """Keep what was recognized of an instance as long as it lives."""
        key = id(net)
        self._records[key] = weakref.ref(net, lambda _: self._records.pop(key, None)), record

    def record(self, net: Any, x: Any = None) -> Record | None:
        """What was recognized of an instance; None if it is not accelerated. Raises an error if it is not known.

        ``x``: the samples that it is called with.
        """
        if being_tried.get():
            return None
        if self._for_all and not self.has_tried(net):
            (methods, n_threads), reader_gradient = self._for_all, self.unwrapped(type(net))
            recognition = recognition_of(net, reader_gradient, methods, x)
            self.keep(net, Record(recognition, reader_gradient, n_threads))
        return self.kept(net)


def _method_of(cls: Any, name: str) -> Method:
    """Return the `Method` that stands in a class itself, and put one there if there is none."""
    with _LOCK:
        method = stand_in(vars(cls).get(name))
        if not isinstance(method, Method) or method.cls is not cls:  # that of another class, copied
            method = Method(cls, name)
            setattr(cls, name, method.function)
        return method


def _methods_of(cls: type) -> list[Method]:
    """Return what computes for a class: each `Method` in it and in those that it inherits from, if none hides it."""
    found = []
    for name in sorted({name for base in cls.__mro__ for name, value in [*vars(base).items()] if stand_in(value)}):
        method = stand_in(inspect.getattr_static(cls, name))
        while isinstance(method, Method):
            found.append(method)
            method = stand_in(method.reader_gradient(cls))
    return found


def _names(reader_gradient: Any) -> dict[str, str]:
    """Map the reader's own names of x and t to ours, where they differ."""
    try:
        names = [*inspect.signature(reader_gradient).parameters][1:3]
    except (TypeError, ValueError):
        return {}
    return {name: ours for name, ours in zip(names, ("x", "t"), strict=False) if name != ours}


# Copies and pickles


def _accelerate_instance(net: Any, recognition: Recognition, n_threads: int | None) -> None:
    cls: Any = type(net)
    method = _method_of(cls, recognition.methods.numerical_gradient)
    if cls.__reduce_ex__ is object.__reduce_ex__:
        cls.__reduce_ex__ = _reduction(cls)
    method.keep(net, Record(recognition, method.unwrapped(cls), n_threads))


def _reduction(cls: Any) -> Callable[[Any, Any], Any]:
    """Return a ``__reduce_ex__`` for a class: copies and pickles of an accelerated instance are accelerated, too."""

    def reduced_by_its_class(net: Any, protocol: Any) -> Any:
        reduced = super(cls, net).__reduce_ex__(protocol)
        own = filter(None, map(stand_in, vars(type(net)).values()))
        record = next((method.kept(net) for method in own if isinstance(method, Method)), None)
        if record is None or isinstance(reduced, str):
            return reduced
        rebuild, arguments, *rest = reduced
        return _rebuilt, (record.recognition, record.n_threads, rebuild, arguments), *rest

    return reduced_by_its_class


def _rebuilt(
    recognition: Recognition, n_threads: int | None, rebuild: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    net = rebuild(*arguments)
    _accelerate_instance(net, recognition, n_threads)
    return net
