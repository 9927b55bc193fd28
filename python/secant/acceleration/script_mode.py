"""Script mode: acceleration for `secant run`, whose script was not written for it.

Design: a network is recognized when its ``numerical_gradient`` is called for the first
time. A call that Secant does not take goes to the class's own method, and a line says
why.
"""

import inspect
from collections.abc import Callable
from typing import Any

from secant.acceleration.accelerate import AcceleratedMethod
from secant.acceleration.recognition.methods import (
    USUAL,
    MethodNames,
    bound,
    defines,
    takes_mini_batch,
)
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.errors import LossDiffersError

Report = Callable[[type, str], object]


def accelerate_lazily(cls: type, report: Report, names: MethodNames = USUAL) -> None:
    """Accelerate the instances of a class that are recognized; the others run their own
    numerical gradient.

    ``report`` is called with the class and a sentence: when an instance is used for the
    first time, and when a call goes to its own method.
    """
    named = names.or_usual(cls)
    method = vars(cls).get(named.numerical_gradient)
    if inspect.isfunction(method) and (
        defines(cls, named.loss) or takes_mini_batch(method)
    ):
        _ScriptMethod(cls, named, report)


class _ScriptMethod(AcceleratedMethod):
    """The numerical gradient of a script's class, which falls back to the class's
    own.
    """

    def __init__(self, cls: type, names: MethodNames, report: Report) -> None:
        super().__init__(cls, names)
        self.report = report

    def __call__(self, net: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the numerical gradient; report why the class's own method runs, for
        good if the loss differs.
        """
        if one := self.of(net):
            try:
                return one(*args, **kwargs)
            except LossDiffersError as error:
                self.remember(net, Recognition(False, reason := f"{error}"))
            except Exception as error:  # the own method takes it, or raises it
                reason = (
                    f"{type(net).__name__} is known, but not for a call"
                    f" ({type(error).__name__}: {error})"
                )
            self.report(
                type(net), f"{reason}. Its own {self.names.numerical_gradient} runs"
            )
        return bound(self.reader_gradient, net)(*args, **kwargs)

    def at_first_use(self, net: Any) -> Recognition:
        """Recognize an instance, and report what it is, or that its own method runs."""
        cls = type(net)
        try:
            recognition = recognized(net, self.names)
        except Exception as error:  # whatever the reader's code raises
            recognition = Recognition(
                False, f"{cls.__name__} is not known: {type(error).__name__}: {error}"
            )
        own = (
            ""
            if recognition.known
            else f". Its own {self.names.numerical_gradient} runs, at Python's speed"
        )
        self.report(cls, f"{recognition}{own}")
        return recognition
