"""Script mode: acceleration for `secant run`, whose script was not written for it.

Design: a network is recognized when its ``numerical_gradient`` is called for the first time. Whatever Secant does not
take is left to its class, with a line that says why.
"""

import inspect
from collections.abc import Callable
from typing import Any

from secant.acceleration.accelerate import Accelerated, AcceleratedClass
from secant.acceleration.recognition.layouts import layouts
from secant.acceleration.recognition.methods import USUAL, MethodNames, defines, takes_mini_batch
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.errors import LossDiffersError

Report = Callable[[type, str], object]


def accelerate_lazily(cls: type, report: Report, names: MethodNames = USUAL) -> type:
    """Accelerate the instances of a class that are recognized; the others run their own numerical gradient.

    ``report`` is called with the class and a sentence: when an instance is used for the first time, and whenever its
    own method runs for a call.
    """
    named = names.or_usual(cls)
    method = vars(cls).get(named.numerical_gradient)
    if inspect.isfunction(method) and (defines(cls, named.loss) or takes_mini_batch(method)):
        _ScriptClass(cls, names, report)
    return cls


class _ScriptClass(AcceleratedClass):
    """What stands in a class of a script: it falls back to the class's own numerical gradient."""

    def __init__(self, cls: type, names: MethodNames, report: Report) -> None:
        super().__init__(cls, names.or_usual(cls))
        self.of_script, self.report = names, report  # ``self.names``: those of this class

    def goes_on(self, net: Any, error: Exception) -> bool:
        """Report why the class's own method runs for a call; from then on if the network is another one."""
        reason = f"{error}"
        if isinstance(error, LossDiffersError):
            vars(net)[self.key] = None
        else:  # its own method will raise it, too
            reason = f"{type(net).__name__} is known, but not for a call ({type(error).__name__}: {error})"
        self.report(type(net), f"{reason}. Its own {self.names.numerical_gradient} runs")
        return True

    def at_first_use(self, net: Any) -> Accelerated | None:
        """Recognize an instance, and report what it is. None if it is not known."""
        cls, names = type(net), self.of_script.or_usual(type(net))
        if names.numerical_gradient != self.names.numerical_gradient:  # another method of this class is the one
            return None
        try:
            recognition = recognized(net, names)
        except Exception as error:  # whatever the reader's code raises
            recognition = Recognition(False, f"{cls.__name__} is not known: {type(error).__name__}: {error}")
        if recognition.known:
            self.report(cls, recognition.sentence)
            return Accelerated(net, recognition)
        if _is_network(net, names):
            self.report(cls, f"{recognition}. Its own {names.numerical_gradient} runs")
        return None


def _is_network(net: Any, names: MethodNames) -> bool:
    """Whether an object has a loss, or holds the parameters of two layers."""
    try:
        return callable(getattr(net, names.loss, None)) or bool(layouts(net))
    except Exception:  # whatever its class raises where it is asked for attributes
        return False
