"""Script mode: acceleration for `secant run`, where an unchanged script must not notice it.

Design: an instance is recognized when its ``numerical_gradient`` is looked up, and whatever Secant does not take
is left to the class, with a line that says why, and how long that will take.
"""

import functools
import inspect
import threading
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, cast

from secant._common.trial import being_tried
from secant.acceleration.accelerate import Method, recognition_of, why_not_kept
from secant.acceleration.recognition.layouts import layouts
from secant.acceleration.recognition.methods import USUAL, Methods, defines, takes_mini_batch
from secant.acceleration.records import Record
from secant.acceleration.runtime_estimate import runtime_estimate
from secant.errors import LossDiffersError, SecantError

Report = Callable[[type, str], object]
_ONE_AT_A_TIME = threading.Lock()


def accelerate_lazily(cls: type, report: Report, methods: Methods = USUAL) -> type:
    """Accelerate the instances of a class that are recognized; the others run their own numerical gradient.

    ``report`` is called with the class and a sentence: when an instance is used for the first time, and when its own
    method runs for a call that Secant does not take.
    """
    named = methods.or_usual(cls)
    method = vars(cls).get(named.numerical_gradient)
    if inspect.isfunction(method) and (defines(cls, named.loss) or takes_mini_batch(method)):
        function = _ScriptMethod(cls, named.numerical_gradient, methods, report).function
        setattr(cls, named.numerical_gradient, function)
    return cls


def is_network(net: Any, methods: Methods) -> bool:
    """Whether an object has a loss, or holds the parameters of two layers."""
    try:
        return callable(getattr(net, methods.loss, None)) or bool(layouts(net))
    except Exception:  # whatever its class raises where it is asked for attributes
        return False


class _ScriptMethod(Method):
    """A `Method` for `secant run`: recognizes an instance when its method is called, and falls back to its own."""

    def __init__(self, cls: type, name: str, methods: Methods, report: Report) -> None:
        self._methods, self._report, self._told = methods, report, set[str]()
        super().__init__(cls, name)

    @property
    def chosen(self) -> bool:
        """Whether it was chosen by name."""
        return self._for_all is not None

    def _methods_of(self, net: Any) -> Methods:
        """What the methods of an instance are called: as chosen for its class, else for the script."""
        return self._for_all[0] if self._for_all else self._methods.or_usual(type(net))

    def _function(self, reader_gradient: Any) -> FunctionType:
        signature = inspect.signature(reader_gradient)

        @functools.wraps(reader_gradient)
        def numerical_gradient(net: Any, *args: Any, **kwargs: Any) -> Any:
            xt = _positional(signature, net, args, kwargs)
            record = self.record(net, *xt[:1])
            if record is not None:
                method = f"{type(net).__name__}.{self.name}"
                if len(xt) != 2:
                    self._tell(net, f"{method} is called with more or less than x and t", [xt[:2]] if xt[1:] else ())
                else:
                    try:
                        return record.gradient(net, *xt)
                    except LossDiffersError as error:
                        self.keep(net, None)
                        self._tell(net, f"{error}", [xt])
                    except Exception as error:  # the reader's own method will raise it too
                        kind = f"{type(error).__name__}: {error}"
                        self._tell(net, f"{type(net).__name__} is known, but not for a call ({kind})", [xt])
            return reader_gradient(net, *args, **kwargs)

        return cast(FunctionType, numerical_gradient)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, in which nothing is reported."""
        return super().__getstate__() | {"_report": _silent}

    def record(self, net: Any, x: Any = None) -> Record | None:
        """What was recognized, or None."""
        if being_tried.get():
            return None
        if self.has_tried(net):
            return self.kept(net)
        methods = self._methods_of(net)
        if methods.numerical_gradient != self.name:  # another method of this class is the one
            return None
        record, sentence = self._tried(net, x, methods)
        if not why_not_kept(net, methods):
            self.keep(net, record)
        if record is None:
            if is_network(net, methods):
                self._tell(net, sentence)
        elif self._first_time(sentence):
            self._report(type(net), sentence)
        return record

    def _first_time(self, sentence: str) -> bool:
        """Whether it was not told; in any number of threads, one finds that."""
        with _ONE_AT_A_TIME:
            first = sentence not in self._told
            self._told.add(sentence)
        return first

    def _tell(self, net: Any, reason: str, batches: Iterable[tuple[Any, Any]] = ()) -> None:
        """Report why its own numerical gradient runs, once, and how long that takes."""
        if self._first_time(reason):
            self._report(type(net), f"{reason}. {runtime_estimate(net, self._methods_of(net), batches)}")

    def _tried(self, net: Any, x: Any, methods: Methods) -> tuple[Record | None, str]:
        """Recognize any object. Also returns the sentence that says what it is, or why it is not known."""
        name, reader_gradient = type(net).__name__, self.unwrapped(type(net))
        if not takes_mini_batch(reader_gradient):
            return None, f"{name}.{self.name} takes more or less than x and t"
        try:
            methods.require_chosen(net)
            recognition = recognition_of(net, reader_gradient, methods, x)
        except SecantError as error:
            return None, f"{error}"
        except Exception as error:  # whatever the reader's code raises
            return None, f"{name} is not known: {type(error).__name__}: {error}"
        n_threads = self._for_all[1] if self._for_all else None
        return Record(recognition, reader_gradient, n_threads), recognition.sentence


def _silent(cls: type, sentence: str) -> None:
    pass


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
