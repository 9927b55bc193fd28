"""`accelerate`: the numerical gradient of a network of another class, by the engines, once it is recognised.

Design: an attribute of the class, `Method`, stands in place of its ``numerical_gradient``. It gives the method of the
engines where a network is known; else the one that the class had, with nothing around it. What was recognised of an
object is kept here, by its identity and as long as it lives: its attributes and its type stay what they are.
"""

import copyreg
import functools
import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

from secant._common.trial import being_tried
from secant.errors import UnsupportedError
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.recognise import recognised
from secant.networks.recognition.step import Replaced, own_method
from secant.networks.records import Record, Records
from secant.networks.two_layer import TwoLayerNet, foreign_structure

NAME = "numerical_gradient"
Net = TypeVar("Net")
records = Records()


def accelerate(net: Net, *, n_threads: int | None = None) -> Net:
    """Let Secant compute ``numerical_gradient(x, t)`` of a network of your own class.

    What the network is, is found by `recognise`. All else stays yours: ``params``, ``loss``, ``predict``, its type. On
    the first call, and regularly after it, your ``loss(x, t)`` is compared with that of the engines before anything is
    returned.

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
        if not callable(getattr(net, "loss", None)):
            raise UnsupportedError(
                f"net must have loss(x, t) to be accelerated, got the class {net.__name__} without it"
            )
        _replaced(net).for_all(n_threads)
        return net
    if isinstance(net, TwoLayerNet) and not foreign_structure(net):
        return net
    if reason := not_kept(net):
        raise UnsupportedError(reason)
    cls = cast(Any, type(net))
    if NAME in vars(net):
        raise UnsupportedError(f"{cls.__name__} has numerical_gradient as an attribute: define it in the class")
    found = recognised(net, own_method(cls))
    if not found.known:
        raise UnsupportedError(found.sentence)
    _put(net, Record(found, _replaced(cls).own, n_threads, net))
    return net


def record(net: Any) -> Record | None:
    """Return what was recognised of an instance, or recognise it; None if its own numerical gradient is to run."""
    method = inspect.getattr_static(type(net), NAME, None)
    if not isinstance(method, Method) or NAME in getattr(net, "__dict__", ()):  # an instance may have one of its own
        return None
    return method.record(net)


def not_kept(net: Any) -> str:
    """Say why nothing can be kept of an object, if so."""
    if hasattr(net, "__dict__") and type(net).__weakrefoffset__:
        return ""
    if not callable(getattr(net, "loss", None)):
        return f"net must be a network with loss(x, t), got {type(net).__name__}"
    return f"{type(net).__name__} is not known: its instances have no __dict__, or no __weakref__"


class Method(Replaced):
    """The numerical gradient of a class: of the engines for the networks that were accelerated, else its own."""

    def __init__(self, own: Any) -> None:
        self.own = own  # as it stands in the class; None if there is none
        self._all, self._n_threads = False, cast(int | None, None)

        def numerical_gradient(net: Any, x: Any, t: Any, *, n_threads: int | None = None) -> Any:
            return cast(Record, self.record(net)).gradient(net, x, t, n_threads)

        known, names = inspect.signature(numerical_gradient), _names(own)

        def renamed(net: Any, *args: Any, **kwargs: Any) -> Any:
            return numerical_gradient(net, *args, **{names.get(name, name): value for name, value in kwargs.items()})

        ours: Any = renamed if names else numerical_gradient
        if callable(own):
            functools.update_wrapper(ours, own)
        ours.__signature__ = known
        self._ours: Callable[..., Any] = ours

    def for_all(self, n_threads: int | None) -> None:
        """Accelerate all instances."""
        self._all, self._n_threads = True, n_threads

    def __get__(self, net: Any, owner: Any = None) -> Any:
        """Return the method of an instance, or what stands in the class."""
        if net is not None and not being_tried.get() and self.takes(net):
            return MethodType(self._ours, net)
        if self.own is not None:
            return self.own.__get__(net, owner) if hasattr(self.own, "__get__") else self.own
        if net is None and self._all:
            return self._ours
        whose = f"type object {owner.__name__!r}" if net is None else f"{type(net).__name__!r} object"
        raise AttributeError(f"{whose} has no attribute {NAME!r}", name=NAME, obj=net)

    def takes(self, net: Any) -> bool:
        """Whether the engines are to compute the gradient of an instance."""
        return self._all or net in records

    def record(self, net: Any) -> Record | None:
        """What was recognised of an instance. Raises an error if it is not known."""
        if net not in records:
            if not self._all:
                return None
            if reason := not_kept(net):
                raise UnsupportedError(reason)
            found = recognised(net, self.own)
            if not found.known:
                raise UnsupportedError(found.sentence)
            records.put(net, Record(found, self.own, self._n_threads, net))
        return records.get(net)


def _replaced(cls: Any) -> Method:
    """Put a `Method` into a class that has none. Returns it."""
    method = inspect.getattr_static(cls, NAME, None)
    if not isinstance(method, Method):
        method = Method(method)
        setattr(cls, NAME, method)
    return method


def _names(own: Any) -> dict[str, str]:
    """Return what the author of a method calls x and t, if that is something else."""
    try:
        names = [*inspect.signature(own).parameters][1:3]
    except (TypeError, ValueError):
        return {}
    return {theirs: ours for theirs, ours in zip(names, ("x", "t"), strict=False) if theirs != ours}


def _put(net: Any, found: Record) -> None:
    """Accelerate an instance."""
    copyreg.dispatch_table.setdefault(type(net), _reduced)
    records.put(net, found)


def _reduced(net: Any) -> Any:
    """Let copies and pickles of an accelerated instance be accelerated, too."""
    reduced, kept = net.__reduce_ex__(4), records.get(net)
    if kept is None or isinstance(reduced, str):
        return reduced
    rebuild, arguments, *rest = reduced
    return _rebuilt, (kept.found, kept.n_threads, rebuild, arguments), *rest


def _rebuilt(found: Recognition, n_threads: int | None, rebuild: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    net = rebuild(*arguments)
    _put(net, Record(found, _replaced(type(net)).own, n_threads))
    return net
