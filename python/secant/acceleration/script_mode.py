"""Script mode: acceleration for `secant run`, whose script was not written for it.

Design: a network is recognized when its ``numerical_gradient`` is called for the first time. Whatever Secant does not
take is left to its class, with a line that says why.
"""

import inspect
from collections.abc import Callable
from typing import Any

from secant.acceleration.accelerate import Accelerated, AcceleratedClass, recognized_or_refused
from secant.acceleration.recognition.layouts import layouts
from secant.acceleration.recognition.methods import USUAL, MethodNames, defines, patch_of, takes_mini_batch
from secant.errors import LossDiffersError, SecantError, UnsupportedError

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
        self.of_script, self.report = names, report

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, in which nothing is reported."""
        return vars(self) | {"report": _silent}

    def at_first_use(self, net: Any) -> Accelerated | None:
        """Recognize an instance, and report what it is. None if it is not known."""
        cls, names = type(net), self.of_script.or_usual(type(net))
        if names.numerical_gradient != self.names.numerical_gradient:  # another method of this class is the one
            return None
        try:
            if not takes_mini_batch(self.reader_gradient):
                raise UnsupportedError(f"{cls.__name__}.{names.numerical_gradient} takes more or less than x and t")
            names.require_chosen(net)
            recognition = recognized_or_refused(net, names)
        except Exception as error:  # whatever the reader's code raises
            known = isinstance(error, SecantError)
            reason = f"{error}" if known else f"{cls.__name__} is not known: {type(error).__name__}: {error}"
            if _is_network(net, names):
                self.report(cls, f"{reason}. Its own {names.numerical_gradient} runs")
            return None
        self.report(cls, recognition.sentence)
        return _AcceleratedInScript(net, recognition)


def _silent(cls: type, sentence: str) -> None:
    pass


def _is_network(net: Any, names: MethodNames) -> bool:
    """Whether an object has a loss, or holds the parameters of two layers."""
    try:
        return callable(getattr(net, names.loss, None)) or bool(layouts(net))
    except Exception:  # whatever its class raises where it is asked for attributes
        return False


class _AcceleratedInScript(Accelerated):
    """Leaves calls that Secant does not take to the network's own numerical gradient."""

    def __call__(self, *args: Any, n_threads: int | None = None, **named: Any) -> Any:
        """Return the numerical gradient, whatever the arguments are."""
        cls, patch = type(self.net), patch_of(inspect.getattr_static(type(self.net), self.name, None))
        try:
            return super().__call__(*args, **named)
        except LossDiffersError as error:
            reason = f"{error}"
            if isinstance(patch, _ScriptClass):
                vars(self.net)[patch.key] = None
        except Exception as error:  # its own method will raise it, too
            reason = f"{cls.__name__} is known, but not for a call ({type(error).__name__}: {error})"
        if isinstance(patch, _ScriptClass):
            patch.report(cls, f"{reason}. Its own {self.name} runs")
        return self.readers_own()(*args, **named)
