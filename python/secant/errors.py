"""Every error that Secant raises on purpose.

Each one is also the built-in exception that NumPy's users expect (``ValueError``,
``TypeError``), so code that catches those keeps working. A message names the argument,
what was expected and what came.
"""

from typing import Any


class SecantError(Exception):
    """Base class: ``except secant.SecantError`` catches whatever Secant raises on
    purpose.
    """


class ShapeError(SecantError, ValueError):
    """An array has the wrong number of dimensions or the wrong length along one."""


class DTypeError(SecantError, TypeError):
    """An array has elements of a type that cannot be used there."""


class ValueRangeError(SecantError, ValueError):
    """A number lies outside its range: NaN, a negative label, a step size of zero."""


class ParamsError(SecantError, ValueError):
    """``net.params`` lacks an array, or holds one that cannot be updated in place."""


class UnsupportedError(SecantError, ValueError):
    """A network or a backend does not offer what was asked for."""


class LossDiffersError(UnsupportedError):
    """The loss of an accelerated network on a mini-batch differs from Secant's."""


class DataError(SecantError, OSError):
    """A data file is missing, damaged or cannot be written.

    The message says which file and what to do.
    """


class DownloadError(DataError):
    """A data file is not in the cache and no mirror could be reached."""


class MissingExtraError(SecantError, ImportError):
    """An optional dependency is not installed. The message names it."""


class DivergenceError(SecantError, ArithmeticError):
    """Gradient descent diverged.

    The message names the step, the value and the learning rate.

    Attributes
    ----------
    path : ndarray of float64, (points, ...)
        With ``return_path`` all points before, else the last one.
    """

    def __init__(self, message: str, path: Any = None) -> None:
        super().__init__(message)
        self.path = path


class GradientMismatchError(SecantError, AssertionError, RuntimeError):
    """A gradient is not that of the function. The message is the report of the check.

    It is an AssertionError, and a RuntimeError, as tests of PyTorch expect.

    Attributes
    ----------
    report : GradientReport or None
        The report itself, where there is one.
    """

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report
