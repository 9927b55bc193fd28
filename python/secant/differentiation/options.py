"""The arguments of a derivative: the options, x, and which evaluator they call for."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation import c_pointer, numba_jit
from secant.differentiation.evaluation import Convert, Evaluator, PythonEvaluator, number
from secant.differentiation.vectorized import VectorizedEvaluator
from secant.errors import DTypeError, UnsupportedError, ValueRangeError

_FLOAT64 = np.dtype(np.float64)
_FUNCTION = type(lambda: None)


class Options(NamedTuple):
    """The options of `numerical_gradient`, as they were given."""

    scheme: Any = "central"
    vectorized: Any = False
    n_jobs: Any = None
    executor: Any = None
    return_error: Any = False
    inplace: Any = False
    progress: Any = False


DEFAULTS = Options()


def choose_evaluator(f: Any, x: Floats, options: Options, convert: Convert, origin: Floats | None = None) -> Evaluator:
    """The evaluator of f in this process; ``origin`` is a copy of x, where there is one."""
    if type(f) is not _FUNCTION:
        if c_pointer.is_c_pointer(f):
            if options.vectorized or options.inplace or convert is not number:
                raise UnsupportedError(
                    "a C function returns one number for one point: vectorized, inplace and Jacobians are not for it"
                )
            return c_pointer.CEvaluator(c_pointer.as_function(f), x, threads(options.n_jobs) or 1, c_pointer.pointer(f))
        if numba_jit.is_numba_function(f) and not options.vectorized and not options.inplace:
            return numba_jit.choose_evaluator(f, x, convert, threads(options.n_jobs))
    if options.vectorized:
        if options.inplace:
            raise UnsupportedError("with vectorized=True f takes a stack of points: x cannot be perturbed in place")
        return VectorizedEvaluator(f, x, convert)
    if not x.flags.writeable:
        require_perturbable("x", x)  # which raises
    return PythonEvaluator(f, x, convert, origin)


def is_shared(f: Any, options: Options) -> bool:
    """Whether the work is to be shared with workers. Functions in C and Numba's use threads instead of ``n_jobs``."""
    n_jobs = threads(options.n_jobs)
    if options.executor is None and options.n_jobs in (None, 1):
        return False
    if n_jobs and options.executor is not None:
        raise UnsupportedError("n_jobs and executor do not go together: the executor knows its workers")
    if options.executor is not None:
        from concurrent.futures import Executor

        if not isinstance(options.executor, Executor):
            hint = ": use its get_executor()" if hasattr(options.executor, "get_executor") else ""
            got = f"{type(options.executor).__name__}{hint}"
            raise DTypeError(f"executor must be a concurrent.futures.Executor, got {got}")
    if options.inplace:
        raise UnsupportedError("workers have copies of x: inplace=True does not go with n_jobs or executor")
    if c_pointer.is_c_pointer(f):
        if options.executor is not None:
            raise UnsupportedError("a C function cannot be sent to an executor: use n_jobs for threads")
        return False
    return options.executor is not None or not numba_jit.is_numba_function(f) or bool(options.vectorized)


def require_function(f: Any) -> None:
    """Raise an error if f is neither a function nor a pointer to one: LowLevelCallable cannot be called."""
    if not callable(f) and not c_pointer.is_c_pointer(f):
        validation.require_callable("f", f)


def argument(x: Any) -> tuple[Floats, bool]:
    """Return x itself if it is an array of float64, else a copy of it as one; and whether it is a copy."""
    if type(x) is not np.ndarray:
        refuse_matrix("x", x)
    is_float64 = (type(x) is np.ndarray or validation.is_plain(x)) and x.dtype == _FLOAT64
    if is_float64 and (x.flags.c_contiguous or not validation.overlaps(x)):
        return x, False
    return np.array(validation.real_array("x", x), np.float64, order="C"), True


def refuse_matrix(name: str, x: Any) -> None:
    """Raise an error for a `np.matrix`: f would get an array of another class, whose products are others."""
    if isinstance(x, np.matrix):
        raise DTypeError(f"{name} must be an array, got np.matrix, whose products are others: use np.asarray")


def require_perturbable(name: str, x: Any) -> None:
    """Raise the error that says why the elements of x cannot be shifted by h in place."""
    if not validation.is_plain(x):
        raise DTypeError(f"{name} must be a plain NumPy array, got {type(x).__name__}: it is perturbed in place")
    if x.dtype != np.float64:
        why = "it is perturbed in place"
        if x.dtype.kind in "biu":
            why = "it cannot hold x + h"
        elif loses_h(x.dtype):
            why = LOST
        raise DTypeError(f"{name} must be float64, got {x.dtype}: {why}; use x.astype(float)")
    if not x.flags.writeable:
        raise ValueRangeError(
            f"{name} must be writeable, got a read-only array: it is perturbed in place; use {name}.copy()"
        )
    if validation.overlaps(x):
        raise ValueRangeError(f"{name} must have elements that share no memory, but they overlap: use {name}.copy()")


LOST = "h is lost in its rounding"


def loses_h(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of that type are too coarse to be shifted by h."""
    return dtype.kind == "f" and dtype.itemsize < 8


_PERTURBED = ": where it looks at x elsewhere, x must be an array of float64 that can be perturbed in place"


def require_dependence(f: Any, derivative: Floats, advice: str = _PERTURBED) -> None:
    """Raise an error if f looks at its variables elsewhere: then it did not see the copy of x that was shifted.

    Where that is so all differences are 0, and f does not mind an argument that is no array.
    """
    if not derivative.size or derivative.any() or not callable(f):
        return
    try:
        f(object())
    except Exception:
        return
    raise DTypeError(f"f must use its argument, since a copy of x is shifted{advice}")


def threads(n_jobs: Any) -> int | None:
    """How many threads that asks for: all for -1."""
    if n_jobs is None:
        return None
    if n_jobs == -1 and not isinstance(n_jobs, bool):
        return os.cpu_count() or 1
    if isinstance(n_jobs, int) and n_jobs < 1:
        raise ValueRangeError(f"n_jobs must be at least 1, or -1 for all, got {n_jobs}")
    return validation.positive_int("n_jobs", n_jobs)
