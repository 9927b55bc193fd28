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


def _hash_of_sources() -> str:
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "numpy" / "bound.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


SOURCES = _hash_of_sources()


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make an instruction of LLVM a function that compiled ones can call."""
    return numba.extending.intrinsic(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled ones call."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, once for all processes where there is a folder to keep it in.

    What is kept is found by its name, which has to change when any of the sources does: Numba looks for changes in
    the file of a function, not in those of what it calls. A kernel only uses memory that it is given, which spares the
    counting of references to arrays.
    """
    function.__qualname__ += f"_{SOURCES}"
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
