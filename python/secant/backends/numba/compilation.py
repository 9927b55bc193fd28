"""How functions are compiled: when first called, and kept in Numba's cache of the user.

Without fast-math: a result may not depend on what the compiler makes of a sum. Division by zero is an infinity, not an
exception.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from secant.errors import MissingExtraError

try:
    import numba
    import numba.extending
    from numba.core import event
except ModuleNotFoundError as error:
    raise MissingExtraError("the backend 'numba' needs Numba: pip install 'secant[numba]'") from error

if numba.config.DISABLE_JIT:
    raise ImportError("the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT")

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}


def _hash_of_sources() -> int:
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "numpy" / "bound.py"]
    return int.from_bytes(hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()[:7], "big")


SOURCES = _hash_of_sources()
"""Every cached function has this as the default of an argument, which makes it a part of its signature. Numba itself
looks for changes only in the file of the function, not in those of what it calls."""


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make an instruction of LLVM a function that compiled ones can call."""
    return numba.extending.intrinsic(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled ones call."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, once for all processes where there is a folder to keep it in.

    It only uses memory that it is given, which spares the counting of references to arrays.
    """
    options = _OPTIONS | {"_nrt": False}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the folder of the source nor the user's cache can be written
        return numba.njit(**options)(function)


@contextmanager
def compilation_noticed(notice: Callable[[], None]) -> Iterator[None]:
    """Call ``notice`` in a ``with`` block each time that Numba starts to compile; what is cached is not compiled."""
    with event.install_listener("numba:compile", _Listener(notice)):
        yield


class _Listener(event.Listener):  # type: ignore[misc]
    """Looks for the outermost of functions that are compiled for one another."""

    def __init__(self, notice: Callable[[], None]) -> None:
        self._notice = notice
        self._depth = 0

    def on_start(self, _: Any) -> None:
        """Take notice."""
        if self._depth == 0:
            self._notice()
        self._depth += 1

    def on_end(self, _: Any) -> None:
        """Take notice."""
        self._depth -= 1
