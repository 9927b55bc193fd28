"""`accelerate`: Secant computes the numerical gradient of a recognized network of another class.

Design: an attribute of the class, `Method`, stands in place of its ``numerical_gradient``. It returns
Secant's method where a network is known, else the reader's own, unwrapped. Each class has its own `Method`. It keeps
what was recognized of an object, by the object's identity and as long as the object lives. So the attributes and the
type of the object do not change.
"""

import functools
import inspect
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

from secant._common.trial import being_tried
from secant._common.validation import thread_count
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.acceleration.recognition.stand_in import NAME, StandIn, reader_gradient_of
from secant.acceleration.records import Record
from secant.errors import UnsupportedError
from secant.networks.two_layer import TwoLayerNet, foreign_structure

Net = TypeVar("Net")
_LOCK = threading.RLock()  # held while a class is changed


def accelerate(net: Net, *, n_threads: int | None = None) -> Net:
    """Let Secant compute ``numerical_gradient(x, t)`` of a network of your own class.

    `recognize` finds out what the network is. All else stays yours: ``params``, ``loss``, ``predict``, its type.
    Before a gradient is returned, your ``loss(x, t)`` is called once and compared with Secant's: no gradient is
    returned where your loss differed.

    Parameters
    ----------
    net : object or class
        An instance, or a class: also as a decorator. Instances of a class are recognized when they are first used.
    n_threads : int, optional
        As for `TwoLayerNet.numerical_gradient`.

    Returns
    -------
    object or class
        The same object. Its ``numerical_gradient(x, t)`` returns a dict with the keys and shapes that yours returns.
        `train` trains it as fast as a `TwoLayerNet`.

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
    if isinstance(net, type):
        if not callable(getattr(net, "loss", None)):
            raise UnsupportedError(
                f"net must have loss(x, t) to be accelerated, got the class {net.__name__} without it"
            )
        _method_of(net).for_all(n_threads)
        return net
    if isinstance(net, TwoLayerNet) and not foreign_structure(net):
        return net
    cls: Any = type(net)
    if NAME in getattr(net, "__dict__", ()):
        raise UnsupportedError(f"{cls.__name__} has numerical_gradient as an attribute: define it in the class")
    recognition = recognition_of(net, reader_gradient_of(cls))
    _accelerate_instance(net, recognition, n_threads)
    return net


def record_of(net: Any) -> Record | None:
    """Return what was recognized of an instance, or recognize it; None if the reader's numerical gradient is to run."""
    method = inspect.getattr_static(type(net), NAME, None)
    if not isinstance(method, Method) or NAME in getattr(net, "__dict__", ()):  # an instance may have one of its own
        return None
    return method.record(net)


def recognition_of(net: Any, reader_gradient: Any) -> Recognition:
    """Recognize an instance that a record can be kept of. Raises an error if it is not known."""
    if reason := why_not_kept(net):
        raise UnsupportedError(reason)
    recognition = recognized(net, reader_gradient)
    if not recognition.known:
        raise UnsupportedError(recognition.sentence)
    return recognition


def why_not_kept(net: Any) -> str:
    """Say why no record of an object can be kept; "" if one can."""
    if hasattr(net, "__dict__") and type(net).__weakrefoffset__:
        return ""
    if not callable(getattr(net, "loss", None)):
        return f"net must be a network with loss(x, t), got {type(net).__name__}"
    return f"{type(net).__name__} is not known: its instances have no __dict__, or no __weakref__"


class Method(StandIn):
    """The numerical gradient of a class: Secant's for networks that are accelerated, else the reader's own."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self._all, self._n_threads = False, cast(int | None, None)  # whether all instances are accelerated
        self._records: dict[int, tuple[weakref.ref[Any], Record | None]] = {}
        self._ours = self._function(reader_gradient_of(cls))

    def _function(self, reader_gradient: Any) -> Callable[..., Any]:
        """Return what is called for a network that is known: it looks like what the class had."""
        names = _names(reader_gradient)

        def numerical_gradient(net: Any, x: Any, t: Any, *, n_threads: int | None = None) -> Any:
            record = self.record(net)
            assert record is not None
            return record.gradient(net, x, t, n_threads)

        numerical_gradient.__qualname__ = NAME  # as errors of wrong arguments call it

        def ours(net: Any, *args: Any, **kwargs: Any) -> Any:
            return numerical_gradient(net, *args, **{names.get(name, name): value for name, value in kwargs.items()})

        functools.update_wrapper(ours, reader_gradient if callable(reader_gradient) else numerical_gradient)
        vars(ours)["__signature__"] = inspect.signature(numerical_gradient)
        return ours

    def for_all(self, n_threads: int | None) -> None:
        """Accelerate all instances."""
        self._all, self._n_threads = True, n_threads

    def __get__(self, net: Any, owner: Any = None) -> Any:
        """Return the method of an instance, or what stands in the class."""
        if net is not None and not being_tried.get() and self.takes(net):
            return MethodType(self._ours, net)
        if net is None and self._all and self.unwrapped(owner) is None:
            return self._ours
        standing = self.reader_gradient(type(net) if owner is None else owner)
        if standing is not None:
            return standing.__get__(net, owner) if hasattr(standing, "__get__") else standing
        whose = f"type object {owner.__name__!r}" if net is None else f"{type(net).__name__!r} object"
        raise AttributeError(f"{whose} has no attribute {NAME!r}", name=NAME, obj=net)

    def takes(self, net: Any) -> bool:
        """Whether Secant computes the gradient of an instance."""
        return self._all or self.has_tried(net)

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

    def record(self, net: Any) -> Record | None:
        """What was recognized of an instance; None if it is not accelerated. Raises an error if it is not known."""
        if self._all and not self.has_tried(net):
            reader_gradient = self.unwrapped(type(net))
            recognition = recognition_of(net, reader_gradient)
            self.keep(net, Record(recognition, reader_gradient, self._n_threads))
        return self.kept(net)


def _method_of(cls: Any) -> Method:
    """Return the `Method` that stands in a class itself, and put one there if there is none."""
    with _LOCK:
        method = vars(cls).get(NAME)
        if not isinstance(method, Method):
            method = Method(cls)
            setattr(cls, NAME, method)
        return method


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
    method = _method_of(cls)
    if cls.__reduce_ex__ is object.__reduce_ex__:
        cls.__reduce_ex__ = _reduction(cls)
    method.keep(net, Record(recognition, method.unwrapped(cls), n_threads))


def _reduction(cls: Any) -> Callable[[Any, Any], Any]:
    """Return a ``__reduce_ex__`` for a class: copies and pickles of an accelerated instance are accelerated, too."""

    def reduced_by_its_class(net: Any, protocol: Any) -> Any:
        reduced = super(cls, net).__reduce_ex__(protocol)
        method = vars(type(net)).get(NAME)
        record = method.kept(net) if isinstance(method, Method) else None
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
