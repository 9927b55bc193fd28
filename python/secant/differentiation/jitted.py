"""f compiled by Numba: called from compiled code, on several threads without the GIL.

The core calls it like a function in C. Where that is not possible the loop over the coordinates is compiled by Numba.
Its threads are Python's, each with its own copy of x: Numba's abort the process when two threads call them, or after a
fork.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.validation import Floats
from secant.differentiation import native
from secant.differentiation.evaluation import (
    Convert,
    Evaluator,
    Plain,
    Scheme,
    changed_argument,
    name_coordinate,
    number,
)

_ENOUGH_FOR_THREADS = 5e-4  # seconds of work: to start a thread takes a tenth of it


def is_jitted(f: Any) -> bool:
    """Whether Numba compiles f so that compiled code can call it; Numba is not imported for that."""
    dispatcher = sys.modules.get("numba.core.dispatcher")
    return dispatcher is not None and isinstance(f, dispatcher.Dispatcher) and not f.targetoptions.get("forceobj")


def chosen(f: Any, x: Floats, convert: Convert, threads: int | None) -> Evaluator:
    """The core calls f through a pointer, if f takes a vector and returns a number; else a loop that Numba compiles."""
    import numba

    if x.ndim == 1 and convert is number and native.core() is not None:
        try:
            return InCore(f, x, threads or numba.get_num_threads())
        except numba.core.errors.NumbaError:  # such as a result that is no number for Numba
            return Plain(f, np.array(x, order="C"), convert)
    return Jitted(f, x, convert, threads or numba.get_num_threads())


class InCore(native.Native):
    """f is called by the core, like a function in C."""

    def __init__(self, f: Any, x: Floats, threads: int) -> None:
        self._failed, self._compiled = np.zeros(1, np.int64), _pointer(f)
        super().__init__(f, x, threads, native.Pointer(self._compiled.address, self._failed.ctypes.data))
        self.returned = _returned(f, 1)

    def differences(self, scheme: Scheme, h: float, base: Any, begin: int, end: int) -> Floats:
        """Return the difference quotients of a range of coordinates."""
        result = super().differences(scheme, h, base, begin, end)
        if self._failed[0]:  # f raised something: Python sees what, and at which coordinate
            return Plain.differences(self, scheme, h, base, begin, end)
        return result


@lru_cache(maxsize=64)
def _returned(f: Any, dimensions: int) -> np.dtype[Any]:
    """The type of the numbers that f, which is compiled, returns; float64 where that is none of NumPy's."""
    import numba

    for arguments, compiled in f.overloads.items():
        if arguments[0] == numba.types.Array(numba.types.float64, dimensions, "C"):
            kind = compiled.signature.return_type
            with suppress(numba.core.errors.NumbaNotImplementedError):
                return numba.np.numpy_support.as_dtype(getattr(kind, "dtype", kind))  # type: ignore[no-any-return]
    return np.dtype(np.float64)


@lru_cache(maxsize=64)
def _pointer(f: Any) -> Any:
    """Compile f as a function of C, whose ``data`` points to a number that is 1 once f has raised something."""
    import numba

    types = numba.types

    @numba.cfunc(  # type: ignore[untyped-decorator]
        types.float64(types.CPointer(types.float64), types.intp, types.CPointer(types.int64)), error_model="numpy"
    )
    def call(x: Any, n: int, failed: Any) -> float:
        try:
            return f(numba.carray(x, (n,)))  # type: ignore[no-any-return]
        except Exception:
            failed[0] = 1
            return np.nan

    return call


class Jitted(Evaluator):
    """f is called from compiled code, with copies of x."""

    def __init__(self, f: Any, x: Floats, convert: Convert, threads: int) -> None:
        self._f, self._convert = f, convert
        self._x = np.array(x, order="C")
        self.size = x.size
        self._threads = threads
        self._seconds = 0.0  # a coordinate
        self._shape: tuple[int, ...] | None = None  # of what f returns

    def at(self, point: Floats) -> Any:
        """Return f at a point in the shape of x."""
        return self._convert(self._f(np.array(point, order="C")))

    def shifted(self, begin: int, end: int, shifts: Sequence[float]) -> Floats:
        """Return f where one coordinate is shifted."""
        if self._shape is None:
            value = self.at(self._x)
            self._shape = np.shape(value)
        values = np.empty((end - begin, len(shifts), *self._shape))
        threads = min(self._threads, end - begin) if self._seconds * (end - begin) > _ENOUGH_FOR_THREADS else 1
        start = time.perf_counter()
        # Signals wait for the end of the range: Numba may lose an exception that is raised while it looks at arguments,
        # and Python may hang at its exit if a thread is interrupted as it starts.
        with held_interrupts():
            if threads == 1:
                self._share(begin, end, shifts, values)
            else:
                self._share_with_threads(threads, begin, end, shifts, values)
        self.returned = _returned(self._f, self._x.ndim)
        if begin > 0 or self._seconds:  # the first call may have compiled
            self._seconds = (time.perf_counter() - start) * threads / (end - begin)
        return values

    def _share_with_threads(self, threads: int, begin: int, end: int, shifts: Sequence[float], values: Floats) -> None:
        """Compute as many parts of a range: new threads start on cores that are free."""
        from concurrent.futures import ThreadPoolExecutor

        ends = np.linspace(begin, end, threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(threads - 1) as pool:
            others = [
                pool.submit(self._share, first, last, shifts, values[first - begin : last - begin])
                for first, last in itertools.pairwise(ends[1:])
            ]
            self._share(begin, ends[1], shifts, values[: ends[1] - begin])
        for other in others:
            other.result()

    def _share(self, begin: int, end: int, shifts: Sequence[float], values: Floats) -> None:
        import numba

        x, reached = self._x.copy(), np.zeros(1, np.int64)
        try:
            left = _compiled()(self._f, x, begin, end, np.array(shifts), values, reached)
        except numba.core.errors.NumbaError:  # such as a result that is no number for Numba
            values[...] = Plain(self._f, x, self._convert).shifted(begin, end, shifts)
        except Exception as error:
            i = int(reached[0])
            name_coordinate(error, i, x.shape, x.reshape(-1)[i])
            raise
        else:
            if not left or x.tobytes() != self._x.tobytes():
                raise changed_argument()


@cache
def _compiled() -> Callable[..., bool]:
    """The loop, which Numba compiles for each f."""
    import numba

    @numba.njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
    def shifted(f: Any, x: Any, begin: int, end: int, shifts: Any, values: Any, reached: Any) -> bool:
        flat, left = x.reshape(-1), True  # left as it is by f
        for i in range(begin, end):
            reached[0] = i
            value = flat[i]
            for j in range(len(shifts)):
                flat[i] = value + shifts[j]
                values[i - begin, j] = f(x)
                left = left and (flat[i] == value + shifts[j] or value != value)
            flat[i] = value
        return left

    return shifted  # type: ignore[no-any-return]
