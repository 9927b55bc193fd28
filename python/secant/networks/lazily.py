"""`accelerate_lazily`: acceleration for `secant run`, where an unchanged script must not notice it.

Design: an instance is recognised when its ``numerical_gradient`` is looked up, and whatever the engines do not take is
left to the class, with a line that says why and how long that will take.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from secant.errors import LossDiffersError, NoLongerKnownError
from secant.networks.acceleration import NAME, Method, not_kept, records
from secant.networks.outlook import outlook
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.layouts import layouts
from secant.networks.recognition.recognise import recognised
from secant.networks.records import Record

Report = Callable[[type, str], object]


def accelerate_lazily(cls: type, report: Report) -> type:
    """Accelerate a class where its instances are recognised; else its own ``numerical_gradient`` runs, as it would.

    ``report`` is called with the class and a sentence that says which, when an instance is used for the first time, and
    when its own runs for a call that the engines do not take.
    """
    own = vars(cls).get(NAME)
    if inspect.isfunction(own) and (defines(cls, "loss") or takes_mini_batch(own)):
        setattr(cls, NAME, _LazyMethod(own, report))
    return cls


def is_network(net: Any) -> bool:
    """Whether an object has a loss, or holds the parameters of two layers."""
    try:
        return callable(getattr(net, "loss", None)) or bool(layouts(net))
    except Exception:  # whatever its class raises where it is asked for attributes
        return False


def defines(cls: type, *names: str) -> bool:
    """Whether one of these stands in a class, or in one that it inherits from, whatever its metaclass says."""
    return any(name in vars(base) for base in cls.__mro__ for name in names)


def takes_mini_batch(method: Any) -> bool:
    """Whether a function in a class can be called with x and t."""
    try:
        inspect.signature(method).bind(None, None, None)
    except (TypeError, ValueError):  # also if it is no function
        return False
    return True


class _LazyMethod(Method):
    """As it is for `secant run`: recognises an instance when its method is looked up, and lets its own run instead."""

    def __init__(self, own: Callable[..., Any], report: Report) -> None:
        super().__init__(own)
        self._report, self._said = report, set[str]()
        signature = inspect.signature(own)

        @functools.wraps(own)
        def numerical_gradient(net: Any, *args: Any, **kwargs: Any) -> Any:
            xt, name = _positional(signature, net, args, kwargs), type(net).__name__
            kept = self.record(net)
            if len(xt) != 2:
                self._tell(net, f"{name}.{NAME} is called with more or less than x and t", [xt[:2]] if xt[1:] else ())
            elif kept is not None:
                try:
                    return kept.gradient(net, *xt, None)
                except Exception as error:  # of arguments, or of somebody's code, which its own will raise, too
                    if isinstance(error, LossDiffersError) and kept.has_returned:
                        raise
                    if isinstance(error, LossDiffersError | NoLongerKnownError):
                        records.put(net, None)
                        self._tell(net, f"{error}", [xt])
                    else:
                        self._tell(net, f"{name} is known, but not for a call ({type(error).__name__}: {error})", [xt])
            return own(net, *args, **kwargs)

        self._ours = numerical_gradient

    def takes(self, net: Any) -> bool:
        """Whether it is known."""
        return self.record(net) is not None

    def record(self, net: Any) -> Record | None:
        """What was recognised, or None."""
        if reason := not_kept(net):
            found = Recognition(False, reason)
        elif net in records:
            return records.get(net)
        else:
            found, kept = self._tried(net)
            records.put(net, kept)
        if not found.known:
            if is_network(net):
                self._tell(net, found.sentence)
        elif found.sentence not in self._said:
            self._said.add(found.sentence)
            self._report(type(net), found.sentence)
        return None if reason else records.get(net)

    def _tell(self, net: Any, reason: str, batches: Iterable[tuple[Any, Any]] = ()) -> None:
        """Report why its own numerical gradient runs, once, and how long that takes."""
        if reason not in self._said:
            self._said.add(reason)
            self._report(type(net), f"{reason}. {outlook(net, batches)}")

    def _tried(self, net: Any) -> tuple[Recognition, Record | None]:
        """Recognise a network that may be anything."""
        if not takes_mini_batch(self.own):
            return Recognition(False, f"{type(net).__name__}.{NAME} takes more or less than x and t"), None
        try:
            found = recognised(net, self.own)
            return found, Record(found, self.own, None, net) if found.known else None
        except Exception as error:  # whatever somebody's code raises
            return Recognition(False, f"{type(net).__name__} is not known: {type(error).__name__}: {error}"), None


def _positional(
    signature: inspect.Signature, net: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Return the arguments of a call in their order, or none if some have no place in it."""
    if not kwargs:
        return args
    try:
        bound = signature.bind(net, *args, **kwargs)
    except TypeError:
        return ()
    return () if bound.kwargs else bound.args[1:]
