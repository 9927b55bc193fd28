"""The evaluator of ``double f(const double *x, intptr_t n, void *data)`` in C: the core
calls it, without Python.

Where the core is not built, the pointer is called from Python, with the same bits.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats, float_array
from secant.differentiation.evaluators.evaluation import PythonEvaluator, number
from secant.differentiation.schemes import Scheme
from secant.errors import DTypeError

_ENOUGH_FOR_THREADS = 1e-3  # seconds of work: on busy cores, threads may wait as long
_WANTED = "f must be a C function double f(const double *x, intptr_t n, void *data)"
_WRAP = (
    "wrap yours in C: double f_secant(const double *x, intptr_t n, void *data) { return"
    " f(x, (int)n); }"
)
_ARGUMENTS = "[ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p]"
_SIGNATURE = re.compile(
    r"double \(((double|void) ?\*), "
    r"(u?int64_t|u?intptr_t|s?size_t|ptrdiff_t|Py_ssize_t|npy_intp|(unsigned )?long("
    r" long)?( int)?), \w+ ?\*\)"
)


class Pointer(NamedTuple):
    """A function of C and the ``data`` that it is called with, as addresses."""

    address: int
    data: int


def is_c_pointer(f: Any) -> bool:
    """Whether f is a function pointer of ctypes, cffi, Numba or SciPy; none of them is
    imported for that.
    """
    if f is _last[0]:
        return True
    kind = type(f)
    if kind.__module__ in _CLASSES:
        return _CLASSES[kind.__module__] in kind.__name__
    return isinstance(f, _CTYPES)


_CTYPES = ctypes._CFuncPtr  # type: ignore[attr-defined]
_CLASSES = {
    "_cffi_backend": "CData",
    "numba.core.ccallback": "CFunc",
    "scipy._lib._ccallback": "LowLevelCallable",
}


def pointer(f: Any) -> Pointer:
    """The address of a function pointer, once its signature is known to be right."""
    global _last
    known = _last
    if known[0] is not f or (
        isinstance(f, _CTYPES) and _address(f) != known[1].address
    ):
        known = _last = f, _checked(f)  # which takes longer than ten evaluations
    return known[1]


_last: tuple[Any, Pointer] = object(), Pointer(0, 0)


def _address(f: Any) -> int:
    """The address in a pointer of ctypes, which can be changed: it may share its memory
    with something else.
    """
    return ctypes.c_void_p.from_buffer(f).value or 0


def _checked(f: Any) -> Pointer:
    if type(f).__name__ == "LowLevelCallable":
        found = _of_scipy(f)
    elif type(f).__module__ == "_cffi_backend":
        found = _of_cffi(f)
    else:
        found = _of_ctypes(f if isinstance(f, _CTYPES) else f.ctypes)
    if not found.address:
        raise DTypeError(f"{_WANTED}, got a NULL pointer")
    return found


def _of_scipy(f: Any) -> Pointer:
    _require_signature(f.signature)
    capsule, name = tuple.__getitem__(f, 0), f.signature.encode()
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    address = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, name)
    data = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(
        ("PyCapsule_GetContext", ctypes.pythonapi)
    )(capsule)
    return Pointer(address, data or 0)


def _of_cffi(f: Any) -> Pointer:
    ffi = import_module("cffi").FFI()
    kind = ffi.typeof(f)
    if kind.kind != "function":
        raise DTypeError(f"{_WANTED}, got {kind.cname}")
    _require_signature(
        f"{kind.result.cname} ({', '.join(argument.cname for argument in kind.args)})"
    )
    return Pointer(int(ffi.cast("uintptr_t", f)), 0)


def _of_ctypes(f: Any) -> Pointer:
    arguments = f.argtypes
    undeclared = [f"f.argtypes = {_ARGUMENTS}"] if arguments is None else []
    if f.restype is ctypes.c_int:  # as long as nothing else is declared
        undeclared.append("f.restype = ctypes.c_double")
    if undeclared:
        raise DTypeError(f"{_WANTED}: declare {' and '.join(undeclared)}")
    _require_signature(f"{_in_c(f.restype)} ({', '.join(map(_in_c, arguments))})")
    return Pointer(_address(f), 0)


def _in_c(kind: Any) -> str:
    """A type of ctypes, or an array of NumPy's, as C has it."""
    if hasattr(kind, "_dtype_"):
        return f"{'double' if kind._dtype_ == np.float64 else kind._dtype_} *"
    name = getattr(kind, "__name__", str(kind)).replace("c_", "")
    if name.startswith("LP_"):
        return f"{name[3:]} *"
    return _NAMES.get(name, name)


_NAMES = {
    "void_p": "void *",
    "longlong": "long long",
    "ulong": "unsigned long",
    "ulonglong": "unsigned long long",
}


def _require_signature(text: str) -> None:
    """SciPy and cffi write signatures in the same way."""
    plain = re.sub(r"\bconst\b ?| ?\bconst\b", "", text)
    match = _SIGNATURE.fullmatch(re.sub(r" ?\*", " *", plain))
    if not match or (
        match[3].endswith(("long", "long int"))
        and "long long" not in match[3]
        and not _LONG_IS_WIDE
    ):
        raise DTypeError(f"{_WANTED}, got {text}: {_WRAP}")


_LONG_IS_WIDE = ctypes.sizeof(ctypes.c_long) == ctypes.sizeof(ctypes.c_void_p)


_PROTOTYPE = ctypes.CFUNCTYPE(
    ctypes.c_double, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p
)


def as_function(f: Any) -> Callable[[Floats], float]:
    """The pointer as a function of an array."""

    def function(x: Floats) -> float:
        address, data = pointer(f)
        x = float_array("x", x)
        return float(_PROTOTYPE(address)(x.ctypes.data, x.size, data))

    return function


@cache
def core() -> Any:
    """The compiled core, or None where it is not built."""
    return (
        import_module("secant._common.core")._core
        if find_spec("secant._core")
        else None
    )


def few_differences(f: Any, x: Any, h: Any) -> Floats | None:
    """Central differences of few coordinates, in less time than it takes to make a
    `CEvaluator`.

    None where there are none or more, there is no core, or something may need a warning
    or an error.
    """
    compiled = core()
    if (
        compiled is None
        or type(x) is not np.ndarray
        or not 0 < x.size <= CEvaluator.first_block
    ):
        return None
    if type(h) is not float or not 0 < h < inf:
        return None
    flat = float_array("x", x).reshape(-1)
    values: Floats = compiled.difference(*pointer(f), flat, 0, x.size, "central", h, 1)
    listed = values.tolist()
    return values.reshape(x.shape) if all(listed) and isfinite(sum(listed)) else None


class CEvaluator(PythonEvaluator):
    """f is called by the core, with copies of x; from Python at single points, and
    where the core is not built.
    """

    first_block = 128  # it is most often fast

    def __init__(
        self, f: Callable[[Floats], Any], x: Floats, threads: int, address: Pointer
    ) -> None:
        super().__init__(f, np.asarray(x, order="C"), number)
        self.is_constant = False  # what the core evaluates is not seen here
        self._pointer, self._threads = address, threads
        self._seconds = 0.0  # per coordinate, as far as is known

    def differences(
        self, scheme: Scheme, h: Any, base: Any, begin: int, end: int
    ) -> Floats:
        """Return the difference quotients of a range of coordinates: in the core, from
        here to where h is another.
        """
        compiled = core()
        if compiled is None or not scheme.in_core or begin == end:
            return super().differences(scheme, h, base, begin, end)
        if isinstance(h, float):
            return self._in_core(compiled, scheme, h, begin, end)
        ends = [0, *(np.flatnonzero(np.diff(h)) + 1).tolist(), end - begin]
        parts = [
            self._in_core(compiled, scheme, float(h[i]), begin + i, begin + k)
            for i, k in pairwise(ends)
        ]
        return np.concatenate(parts)

    def _in_core(
        self, compiled: Any, scheme: Scheme, h: float, begin: int, end: int
    ) -> Floats:
        count, start = end - begin, time.perf_counter()
        threads = self._threads if self._seconds * count > _ENOUGH_FOR_THREADS else 1
        result: Floats = compiled.difference(
            *self._pointer, self.flat, begin, end, scheme.name, h, threads
        )
        self._seconds = (time.perf_counter() - start) * threads / count
        self.evaluations += count * len(scheme.shifts) + scheme.uses_value
        return result
