"""The evaluator of functions compiled by Numba: the core calls them through a pointer,
like functions in C.

So they run on several threads, without the GIL. Where there is no core, and where f
returns an array, Python calls f.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from secant._common.parallel_loops import in_turn
from secant._common.validation import Floats
from secant.differentiation.evaluators import c_pointer
from secant.differentiation.evaluators.evaluation import (
    Convert,
    Evaluator,
    PythonEvaluator,
    number,
)
from secant.differentiation.schemes import Bounds, Scheme


def is_numba_function(f: Any) -> bool:
    """Whether Numba compiles f so that compiled code can call it; Numba is not imported
    for that.
    """
    dispatcher = sys.modules.get("numba.core.dispatcher")
    # isinstance would load a proxy
    if dispatcher is None or not issubclass(type(f), dispatcher.Dispatcher):
        return False
    return not f.targetoptions.get("forceobj")


def choose_evaluator(
    f: Any, x: Floats, convert: Convert, bounds: Bounds | None, threads: int | None
) -> Evaluator:
    """Return the evaluator of f: the core calls it, if it always returns a real number
    and has no parallel loops.
    """
    import numba

    x = np.asarray(x, order="C")
    try:
        code = _compiled(f, x.ndim)
        if (
            convert is number
            and code.is_real
            and not code.is_parallel
            and c_pointer.core() is not None
        ):
            return NumbaEvaluator(f, x, threads or numba.get_num_threads(), code)
    except numba.core.errors.NumbaError:  # such as a result that is no number for Numba
        return PythonEvaluator(f, x, convert, bounds=bounds)
    evaluator = PythonEvaluator(
        in_turn(f) if code.is_parallel else f, x, convert, bounds=bounds
    )
    evaluator.returned = code.returned  # Python sees a float for float32, too
    return evaluator


class Code(NamedTuple):
    """What Numba has compiled of f, with the options that f has.

    Attributes
    ----------
    entry : object
        The address of the code: another one once f is compiled again.
    returned : dtype
        Of what f returns; float64 where that is none of NumPy's.
    is_real : bool
        Whether it always returns real numbers. Where it may return None, compiled code
        would read that as 0.
    is_parallel : bool
        Whether there are parallel loops in it, or in a function that it calls: then
        Python calls it.
    """

    entry: Any
    returned: np.dtype[Any]
    is_real: bool
    is_parallel: bool


def _compiled(f: Any, dimensions: int) -> Code:
    """Compile f for arrays of float64, unless it is compiled."""
    import numba

    found = f.overloads.get(_argument(dimensions))
    # not compiled yet, or declared for other types: Numba knows which of them a call
    # takes
    if found is None:
        signature = numba.typeof(f).get_call_type(
            f.typingctx, _argument(dimensions), {}
        )
        found = signature and f.overloads.get(tuple(signature.args))
    if found is None:
        raise numba.core.errors.NumbaTypeError("f takes no array of float64")
    return _described(f, found.entry_point)


@lru_cache(maxsize=64)
def _described(f: Any, entry: Any) -> Code:
    import numba

    compiled = next(each for each in f.overloads.values() if each.entry_point == entry)
    types, returned = numba.types, np.dtype(np.float64)
    kind = compiled.signature.return_type
    kind = kind.dtype if isinstance(kind, types.Array) else kind
    with suppress(numba.core.errors.NumbaNotImplementedError):
        returned = numba.np.numpy_support.as_dtype(kind)
    is_real = isinstance(kind, (types.Float, types.Integer, types.Boolean))
    # What a library needs when it is loaded from a file: where there are parallel
    # loops, Numba's threads.
    return Code(entry, returned, is_real, bool(compiled.reload_init))


@cache
def _argument(dimensions: int) -> tuple[Any]:
    import numba

    return (numba.types.Array(numba.types.float64, dimensions, "C"),)


class NumbaEvaluator(c_pointer.CEvaluator):
    """f is called by the core, like a function in C."""

    def __init__(self, f: Any, x: Floats, threads: int, code: Code) -> None:
        self._failed, self._compiled = (
            ctypes.c_int64(),
            _pointer(f, code.entry, x.shape),
        )
        super().__init__(
            f,
            x,
            threads,
            c_pointer.Pointer(self._compiled.address, ctypes.addressof(self._failed)),
        )
        self.returned = code.returned

    def differences(
        self, scheme: Scheme, h: Any, base: Any, begin: int, end: int
    ) -> Floats:
        """Return the difference quotients of a range of coordinates."""
        result = super().differences(scheme, h, base, begin, end)
        # f raised something: Python sees what, and at which coordinate
        if self._failed.value:
            return PythonEvaluator.differences(self, scheme, h, base, begin, end)
        return result


@lru_cache(maxsize=64)
def _pointer(f: Any, entry: Any, shape: tuple[int, ...]) -> Any:
    """Compile f as a function of C, whose ``data`` points to a number that is 1 once f
    has raised something.
    """
    import numba

    types = numba.types

    @numba.cfunc(  # type: ignore[untyped-decorator]
        types.float64(
            types.CPointer(types.float64), types.intp, types.CPointer(types.int64)
        )
    )
    def call(x: Any, n: int, failed: Any) -> float:
        try:
            return f(numba.carray(x, shape))  # type: ignore[no-any-return]
        except Exception:
            failed[0] = 1
            return np.nan

    return call
