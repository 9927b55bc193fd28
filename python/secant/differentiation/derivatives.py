"""What gradients and Jacobians share: the options, the choice of a way to evaluate f, and the call of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common import validation
from secant._common.output import progress_line
from secant._common.validation import Floats
from secant.differentiation import native
from secant.differentiation.adaptive import Adaptive
from secant.differentiation.evaluation import Convert, Evaluator, Plain, differentiate, number
from secant.differentiation.jitted import Jitted, is_jitted
from secant.differentiation.schemes import SCHEMES, Scheme
from secant.differentiation.stacked import Stacked
from secant.errors import DTypeError, UnsupportedError, ValueRangeError

_FLOAT64 = np.dtype(np.float64)


class Options(NamedTuple):
    """The options of `numerical_gradient`, as they were given."""

    scheme: Any = "central"
    vectorized: Any = False
    n_jobs: Any = None
    return_error: Any = False
    inplace: Any = False
    progress: Any = False


DEFAULTS = Options()


def derivatives(f: Any, x: Any, h: Any, options: Options, convert: Convert = number) -> tuple[Floats, Floats | None]:
    """Derivatives of f in all coordinates of x, (coordinates, and the shape of f(x)), and their error bars."""
    h = validation.finite_number("h", h, above=0)
    point, copied = argument(x)
    if options is DEFAULTS:  # they need no check, which would take longer than a small f
        scheme: Scheme | None = SCHEMES["central"]
    else:
        name = validation.one_of("scheme", options.scheme, (*SCHEMES, "auto"))
        scheme = SCHEMES.get(name)
        for flag in ("vectorized", "return_error", "inplace", "progress"):
            validation.flag(flag, getattr(options, flag))
    if options.inplace:
        require_perturbable("x", x)
    evaluator = _evaluator(f, point, options, convert)
    tell = _counter(point.size) if options.progress else _silent
    try:
        method = Method(evaluator, point, scheme, h, bool(options.return_error))
        result = method(evaluator, 0, point.size, tell)
    finally:
        if options.progress:
            progress_line("")
    if copied:
        require_dependence(f, result[0])
    return result


class Method:
    """What is made of the values of f: a difference quotient, or slopes with error bars."""

    def __init__(self, evaluator: Evaluator, x: Floats, scheme: Scheme | None, h: float, errors: bool) -> None:
        self._scheme, self._h, self._errors = scheme, h, errors
        self._base = evaluator.at(x) if scheme is not None and scheme.uses_value else None
        self._adaptive = Adaptive(evaluator, x) if scheme is None or errors else None

    def __call__(
        self, evaluator: Evaluator, begin: int, end: int, tell: Callable[[int], object]
    ) -> tuple[Floats, Floats | None]:
        """Return derivatives of a range of coordinates, and their error bars."""
        values = None
        if self._scheme is not None:
            values = differentiate(evaluator, self._scheme, self._h, self._base, (begin, end), tell)
            if self._adaptive is None:
                return values, None
        assert self._adaptive is not None
        slopes, bars = np.moveaxis(self._adaptive(evaluator, begin, end, tell), 1, 0)
        if values is None:
            return slopes, bars if self._errors else None
        with np.errstate(all="ignore"):
            return values, np.abs(values - slopes) + bars


def _evaluator(f: Any, x: Floats, options: Options, convert: Convert) -> Evaluator:
    threads = None if options.n_jobs is None else _threads(options.n_jobs)
    if type(f) is not _FUNCTION:
        if native.is_native(f):
            if options.vectorized or options.inplace or convert is not number:
                raise UnsupportedError("a C function takes one point that it is given, and returns one number")
            return native.Native(f, x, threads or 1)
        if not callable(f):
            raise DTypeError(f"f must be callable, got {type(f).__name__}")
        if is_jitted(f) and not options.vectorized and not options.inplace:
            return Jitted(f, x, convert, threads)
    if options.vectorized:
        if options.inplace:
            raise UnsupportedError("with vectorized=True f takes a stack of points: x cannot be perturbed in place")
        return Stacked(f, x, convert)
    return Plain(f, x, convert)


_FUNCTION = type(lambda: None)


def argument(x: Any) -> tuple[Floats, bool]:
    """Return x itself if it is an array of float64, else a copy of it as one; and whether it is a copy."""
    if isinstance(x, np.ndarray) and x.dtype == _FLOAT64 and not isinstance(x, np.ma.MaskedArray):
        if not x.flags.writeable:
            raise ValueRangeError("x must be writeable, got a read-only array: it is perturbed in place")
        return x, False
    return np.array(validation.real_array("x", x), np.float64, order="C"), True


def require_perturbable(name: str, x: Any) -> None:
    """Raise the error that says why the elements of x cannot be shifted by h in place."""
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        raise DTypeError(f"{name} must be a plain NumPy array, got {type(x).__name__}: it is perturbed in place")
    if x.dtype != np.float64:
        why = "it is perturbed in place"
        if x.dtype.kind in "biu":
            why = "it cannot hold x + h"
        elif loses_h(x.dtype):
            why = LOST
        raise DTypeError(f"{name} must be float64, got {x.dtype}: {why}; use x.astype(float)")
    if not x.flags.writeable:
        raise ValueRangeError(f"{name} must be writeable, got a read-only array: it is perturbed in place")


LOST = "h is lost in its rounding"


def loses_h(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of that type are too coarse to be shifted by h."""
    return dtype.kind == "f" and dtype.itemsize < 8


def require_dependence(f: Any, derivative: Floats) -> None:
    """Raise an error if f looks at its variables elsewhere: then it did not see the copy of x that was shifted.

    Where that is so all differences are 0, and f does not mind an argument that is no array.
    """
    if not derivative.size or derivative.any() or not callable(f):
        return
    try:
        f(object())
    except Exception:
        return
    raise DTypeError(
        "f must use its argument, since a copy of x is shifted: where it looks at x elsewhere, x must be an array of "
        "float64 that can be perturbed in place"
    )


def _threads(n_jobs: Any) -> int:
    if n_jobs == -1 and not isinstance(n_jobs, bool):
        import os

        return os.cpu_count() or 1
    return validation.positive_int("n_jobs", n_jobs)


def _silent(_: int) -> None:
    pass


def _counter(size: int) -> Callable[[int], None]:
    return lambda done: progress_line(f"{done:,} of {size:,} coordinates")
