"""Which backend computes: the user's choice, or the first that is installed."""

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Literal, cast, get_args

from secant._common.validation import one_of
from secant._common.warn import warn
from secant.backends.base import Backend
from secant.errors import MissingExtraError

BackendName = Literal["cpp", "numba", "numpy"]
BACKENDS = get_args(BackendName)
"""Their names, in the order of preference."""

_in_context: ContextVar[str | None] = ContextVar("secant_backend", default=None)


def backend_module(name: str | None = None) -> Backend:
    """Return the module of the backend called ``name``; None means the one in use."""
    if name is not None:
        return _load(one_of("backend", name, BACKENDS))
    return _load(_in_context.get() or _default())


@contextmanager
def use_backend(backend: str | None) -> Iterator[None]:
    """Use a backend within a ``with`` block, in this thread or task only.

    Parameters
    ----------
    backend : {"cpp", "numba", "numpy"} or None
        None is the default: what ``SECANT_BACKEND`` names, otherwise the first one
        that is installed.

    Raises
    ------
    ValueRangeError
        If there is no such backend.
    ImportError
        If it cannot be imported.

    Examples
    --------
    >>> with secant.use_backend("numpy"):
    ...     secant.get_backend()
    'numpy'
    """
    token = _in_context.set(
        _default() if backend is None else backend_module(backend).name
    )
    try:
        yield
    finally:
        _in_context.reset(token)


@cache
def _load(name: str) -> Backend:
    try:
        return cast(Backend, importlib.import_module(f"secant.backends.{name}"))
    except ImportError as error:
        if name == "cpp" and not importlib.util.find_spec("secant._core"):
            raise MissingExtraError(
                "the backend 'cpp' needs secant._core, which was not built: install"
                " Secant with a C++ compiler"
            ) from error
        raise


@cache
def _default() -> str:
    if asked := os.environ.get("SECANT_BACKEND"):
        return one_of("SECANT_BACKEND", asked, BACKENDS)
    # It is looked for, not imported: if it is there and fails to import, the error must
    # be seen.
    if importlib.util.find_spec("secant._core"):
        return "cpp"
    try:
        return _load("numba").name
    except ImportError as error:
        warn(
            "secant was installed without its compiled core, and uses the slow NumPy"
            " backend: install it where there is a C++ compiler, or with Numba"
            f" ({error})"
        )
    return "numpy"
