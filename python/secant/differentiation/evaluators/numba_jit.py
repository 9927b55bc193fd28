"""The evaluators of functions compiled by Numba: called from compiled code, on several threads without the GIL.

The core calls it like a function in C. Where that is not possible the loop over the coordinates is compiled by Numba.
Its threads are Python's, each with its own copy of x: Numba's abort the process when two threads call them, or after a
fork.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.parallel_loops import in_turn
from secant._common.validation import Floats
from secant.differentiation.evaluators import c_pointer
from secant.differentiation.evaluators.evaluation import (
    Convert,
    Evaluator,
    PythonEvaluator,
    changed_argument,
    name_coordinate,
    number,
)
from secant.differentiation.schemes import Scheme

_ENOUGH_FOR_THREADS = 5e-4  # seconds of work: starting a thread takes a tenth of it


def is_numba_function(f: Any) -> bool:
    """Whether Numba compiles f so that compiled code can call it; Numba is not imported for that."""
    dispatcher = sys.modules.get("numba.core.dispatcher")
    if dispatcher is None or not issubclass(type(f), dispatcher.Dispatcher):  # isinstance would load a proxy
        return False
    return not f.targetoptions.get("forceobj")


def choose_evaluator(f: Any, x: Floats, convert: Convert, threads: int | None) -> Evaluator:
    """The core calls f through a pointer, if f takes a vector and returns a number; else a loop that Numba compiles."""
    import numba

    try:
        code = _compiled(f, x.ndim)
        if code.is_parallel or not code.is_real:
            f = in_turn(f) if code.is_parallel else f
            return PythonEvaluator(f, np.array(x, order="C"), convert, np.asarray(x, order="C"))
        threads = threads or numba.get_num_threads()
        if x.ndim == 1 and convert is number and c_pointer.core() is not None:
            return NumbaPointerEvaluator(f, x, threads, code)
    except numba.core.errors.NumbaError:  # such as a result that is no number for Numba
        return PythonEvaluator(f, np.array(x, order="C"), convert, np.asarray(x, order="C"))
    return NumbaEvaluator(f, x, convert, threads, code)


class Code(NamedTuple):
    """What Numba has compiled of f, with the options that f has.

    Attributes
    ----------
    entries : tuple
        It is other code where they are others: f may be compiled again.
    returned : dtype
        Of what f returns; float64 where that is none of NumPy's.
    is_real : bool
        Whether it always returns real numbers. Where it may return None, compiled code would read that as 0.
    is_parallel : bool
        Whether there are parallel loops in it, or in a function that it calls: then Python calls it.
    """

    entries: tuple[Any, ...]
    returned: np.dtype[Any]
    is_real: bool
    is_parallel: bool


def _compiled(f: Any, dimensions: int) -> Code:
    """Compile f for arrays of float64, unless it is compiled."""
    found = f.overloads.get(_argument(dimensions))
    if found is None:
        _, _, arguments, _ = f.get_call_template(_argument(dimensions), {})  # what a function that calls f would do
        found = f.overloads.get(tuple(arguments))
    if found is None:  # other types are declared, such as arrays of any layout
        return _described(f, tuple(each.entry_point for each in f.overloads.values()))
    return _described(f, (found.entry_point,))


@lru_cache(maxsize=64)
def _described(f: Any, entries: tuple[Any, ...]) -> Code:
    import numba

    compiled = [each for each in f.overloads.values() if each.entry_point in entries]
    types, returned = numba.types, np.dtype(np.float64)
    kinds = [each.signature.return_type for each in compiled]
    kinds = [kind.dtype if isinstance(kind, types.Array) else kind for kind in kinds]
    with suppress(numba.core.errors.NumbaNotImplementedError):
        returned = numba.np.numpy_support.as_dtype(kinds[0])
    is_real = all(isinstance(kind, (types.Float, types.Integer, types.Boolean)) for kind in kinds)
    # What a library needs when it is loaded from a file: where there are parallel loops, Numba's threads.
    return Code(entries, returned, is_real, any(each.reload_init for each in compiled))


@cache
def _argument(dimensions: int) -> tuple[Any]:
    import numba

    return (numba.types.Array(numba.types.float64, dimensions, "C"),)


class NumbaPointerEvaluator(c_pointer.CEvaluator):
    """f is called by the core, like a function in C."""

    def __init__(self, f: Any, x: Floats, threads: int, code: Code) -> None:
        self._failed, self._compiled = ctypes.c_int64(), _pointer(f, code.entries)
        super().__init__(f, x, threads, c_pointer.Pointer(self._compiled.address, ctypes.addressof(self._failed)))
        self.returned = code.returned

    def differences(self, scheme: Scheme, h: Any, base: Any, begin: int, end: int) -> Floats:
        """Return the difference quotients of a range of coordinates."""
        result = super().differences(scheme, h, base, begin, end)
        if self._failed.value:  # f raised something: Python sees what, and at which coordinate
            return PythonEvaluator.differences(self, scheme, h, base, begin, end)
        return result


@lru_cache(maxsize=64)
def _pointer(f: Any, entries: tuple[Any, ...]) -> Any:
    """Compile f as a function of C, whose ``data`` points to a number that is 1 once f has raised something."""
    import numba

    types = numba.types

    @numba.cfunc(  # type: ignore[untyped-decorator]
        types.float64(types.CPointer(types.float64), types.intp, types.CPointer(types.int64))
    )
    def call(x: Any, n: int, failed: Any) -> float:
        try:
            return f(numba.carray(x, (n,)))  # type: ignore[no-any-return]
        except Exception:
            failed[0] = 1
            return np.nan

    return call


class NumbaEvaluator(Evaluator):
    """f is called from compiled code, with copies of x."""

    def __init__(self, f: Any, x: Floats, convert: Convert, threads: int, code: Code) -> None:
        self._f, self._convert, self._entries = f, convert, code.entries
        self.returned = code.returned
        self._x = np.asarray(x, order="C")
        self.size = x.size
        self._threads = threads
        self._seconds = 0.0  # per coordinate
        self._shape: tuple[int, ...] | None = None  # of what f returns

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        self.evaluations += 1
        return self._convert(self._f(np.array(point, order="C")))

    def shifted(self, begin: int, end: int, shifts: Any) -> Floats:
        """Return f where one coordinate is shifted."""
        shifts = np.array(np.broadcast_to(shifts, (end - begin, np.shape(shifts)[-1])))
        if self._shape is None:
            value = self.at(self._x)
            self._shape = np.shape(value)
        values = np.empty((*shifts.shape, *self._shape))
        self.evaluations += shifts.size
        threads = min(self._threads, end - begin) if self._seconds * (end - begin) > _ENOUGH_FOR_THREADS else 1
        start = time.perf_counter()
        # Signals wait for the end of the range: Numba may lose an exception that is raised while it looks at arguments,
        # and Python may hang at its exit if a thread is interrupted as it starts.
        with held_interrupts():
            if threads == 1:
                self._share(begin, end, shifts, values)
            else:
                self._share_with_threads(threads, begin, end, shifts, values)
        if begin > 0 or self._seconds:  # the first call may have compiled
            self._seconds = (time.perf_counter() - start) * threads / (end - begin)
        return values

    def _share_with_threads(self, threads: int, begin: int, end: int, shifts: Floats, values: Floats) -> None:
        """Compute as many parts of a range: new threads start on cores that are free."""
        from concurrent.futures import ThreadPoolExecutor

        ends = np.linspace(begin, end, threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(threads - 1) as pool:
            others = [
                pool.submit(self._share, first, last, shifts[first - begin :], values[first - begin : last - begin])
                for first, last in itertools.pairwise(ends[1:])
            ]
            self._share(begin, ends[1], shifts, values[: ends[1] - begin])
        for other in others:
            other.result()

    def _share(self, begin: int, end: int, shifts: Floats, values: Floats) -> None:
        import numba

        x, reached = self._x.copy(), np.zeros(1, np.int64)
        try:
            left = _loop(self._f, self._entries)(x, begin, end, shifts, values, reached)
        except numba.core.errors.NumbaError:  # such as a result that is no number for Numba
            evaluator = PythonEvaluator(self._f, x, self._convert, self._x)
            values[...] = evaluator.shifted(begin, end, shifts[: end - begin])
        except Exception as error:
            i = int(reached[0])
            name_coordinate(error, i, x.shape, x.reshape(-1)[i])
            raise
        else:
            if not left or x.tobytes() != self._x.tobytes():
                raise changed_argument()


@lru_cache(maxsize=64)
def _loop(f: Any, entries: tuple[Any, ...]) -> Callable[..., bool]:
    """The loop over coordinates, which Numba compiles with f in it."""
    import numba

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator]
    def shifted(x: Any, begin: int, end: int, shifts: Any, values: Any, reached: Any) -> bool:
        flat, left = x.reshape(-1), True  # left as it is by f
        for i in range(begin, end):
            reached[0] = i
            value = flat[i]
            for j in range(shifts.shape[1]):
                shift = shifts[i - begin, j]
                flat[i] = value + shift
                values[i - begin, j] = f(x)
                left = left and (flat[i] == value + shift or value != value)
            flat[i] = value
        return left

    return shifted  # type: ignore[no-any-return]
