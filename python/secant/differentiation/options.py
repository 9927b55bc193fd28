"""Checks of the arguments of a derivative."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.evaluators import c_pointer, numba_jit
from secant.errors import DTypeError, UnsupportedError, ValueRangeError

_FLOAT64 = np.dtype(np.float64)
_FUNCTION = type(lambda: None)
Workers = int | Callable[..., Any] | None


class Options(TypedDict, total=False):
    """The options that derivatives share, for type checkers: `Problem.of` has their
    defaults.
    """

    rel_step: Any
    bounds: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any] | None
    vectorized: bool
    workers: Workers
    progress: bool


class MoreOptions(Options, total=False):
    """What gradients, Jacobians and Hessians have as well."""

    noise: float | None
    f0: Any
    inplace: bool


def kind_of(f: Any) -> str:
    """What f is: "C", "Numba" or "Python"."""
    if type(f) is not _FUNCTION:
        if c_pointer.is_c_pointer(f):
            return "C"
        validation.require_callable("f", f)
        if numba_jit.is_numba_function(f):
            return "Numba"
    return "Python"


class WithArguments:
    """f with further arguments; it can be sent to other processes, if f can."""

    def __init__(self, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._f, self._args, self._kwargs = f, args, kwargs

    def __call__(self, x: Any) -> Any:
        """Return f at x."""
        return self._f(x, *self._args, **self._kwargs)


def bound(f: Any, args: Any, kwargs: Any) -> tuple[Any, str]:
    """Check f, and return it as a function of x alone, and what it is."""
    kind = kind_of(f)
    if not isinstance(args, tuple | list):
        raise DTypeError(f"args must be a tuple, got {type(args).__name__}")
    if not isinstance(kwargs, dict | None):
        raise DTypeError(f"kwargs must be a dict, got {type(kwargs).__name__}")
    if not args and not kwargs:
        return f, kind
    if kind == "C":
        raise UnsupportedError(
            "a C function takes no args or kwargs: give it data with"
            " scipy.LowLevelCallable"
        )
    return WithArguments(f, tuple(args), dict(kwargs or {})), "Python"


def is_float64(x: Any) -> bool:
    """Whether x is an array of float64 whose elements can be shifted."""
    if type(x) is not np.ndarray and not validation.is_plain(x):
        return False
    return x.dtype == _FLOAT64 and (x.flags.c_contiguous or not validation.overlaps(x))


def own_point(x: Any) -> Floats:
    """Return a copy of x as an array of float64."""
    if type(x) is np.ndarray and x.dtype is _FLOAT64 and x.flags.c_contiguous:
        return x.copy()
    refuse_matrix("x", x)
    if is_float64(x):
        return x.copy(order="K")  # type: ignore[no-any-return]
    return np.array(validation.real_array("x", x), np.float64, order="C")


def writeable(x: Any) -> Floats | None:
    """Return x if it is an array of float64 that can be shifted in place: the chapter's
    closures look at it.
    """
    return x if is_float64(x) and x.flags.writeable else None


def put_back(x: Any, origin: Floats) -> None:
    """Make x what it was when the call began: f may have written its argument into
    it.
    """
    if (
        not isinstance(x, np.ndarray)
        or not x.flags.writeable
        or x.dtype.kind not in "biuf"
    ):
        return
    if np.asarray(x, np.float64).tobytes() != origin.tobytes():
        x[...] = origin


def refuse_matrix(name: str, x: Any) -> None:
    """Raise an error for a `np.matrix`: f would get an array of another class, whose
    products are others.
    """
    if isinstance(x, np.matrix):
        raise DTypeError(
            f"{name} must be an array, got np.matrix, whose products are others: use"
            " np.asarray"
        )


def require_perturbable(name: str, x: Any) -> None:
    """Raise the error that says why the elements of x cannot be shifted by h in
    place.
    """
    if not validation.is_plain(x):
        raise DTypeError(
            f"{name} must be a plain NumPy array, got {type(x).__name__}: it is"
            " perturbed in place"
        )
    if x.dtype != np.float64:
        raise DTypeError(
            f"{name} must be float64, got {x.dtype}: it cannot hold x + h; use"
            " x.astype(float)"
        )
    if not x.flags.writeable:
        raise ValueRangeError(
            f"{name} must be writeable, got a read-only array: it is perturbed in"
            f" place; use {name}.copy()"
        )
    if validation.overlaps(x):
        raise ValueRangeError(
            f"{name} must have elements that share no memory, but they overlap: use"
            f" {name}.copy()"
        )


def threads(workers: Any) -> int | None:
    """How many threads or processes an integer asks for: all for -1."""
    if workers is None:
        return None
    if not isinstance(workers, int) or isinstance(workers, bool):
        raise DTypeError(
            f"workers must be a whole number or a map-like callable, got {workers!r}"
        )
    if workers < 1 and workers != -1:
        raise ValueRangeError(
            f"workers must be at least 1, or -1 for all, got {workers}"
        )
    return (os.cpu_count() or 1) if workers == -1 else workers
