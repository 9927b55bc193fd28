"""Which backend computes: "cpp" where the extension was built, else "numpy"; the user's choice before either."""

import importlib
import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import cast

from secant.backends.base import Backend
from secant.validation import one_of

BACKENDS = ("cpp", "numba", "numpy")
"""Their names, the fastest first."""

_chosen: str | None = None
_in_context: ContextVar[str | None] = ContextVar("secant_backend", default=None)


def get_backend(name: str | None = None) -> Backend:
    """Return the backend called ``name``; None means the one in use."""
    if name is not None:
        return _load(one_of("backend", name, BACKENDS))
    return _load(_in_context.get() or _chosen or _default())


def set_backend(name: str) -> None:
    """Use a backend from now on, wherever none is named.

    Parameters
    ----------
    name : {"cpp", "numpy"}

    Raises
    ------
    ValueRangeError
        If there is no such backend.
    ImportError
        If it cannot be imported.
    """
    global _chosen
    _chosen = get_backend(one_of("backend", name, BACKENDS)).name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Use a backend within a ``with`` block, in this thread or task only.

    Parameters
    ----------
    name : {"cpp", "numpy"}

    Raises
    ------
    ValueRangeError
        If there is no such backend.
    ImportError
        If it cannot be imported.
    """
    token = _in_context.set(get_backend(one_of("backend", name, BACKENDS)).name)
    try:
        yield
    finally:
        _in_context.reset(token)


@cache
def _load(name: str) -> Backend:
    return cast(Backend, importlib.import_module(f"secant.backends.{name}"))


@cache
def _default() -> str:
    if asked := os.environ.get("SECANT_BACKEND"):
        return one_of("SECANT_BACKEND", asked, BACKENDS)
    # Looked for, not tried: an extension that is there and fails to import must say so.
    if importlib.util.find_spec("secant._core"):
        return "cpp"
    warnings.warn(
        "secant was installed without its compiled core: using the slow NumPy backend",
        RuntimeWarning,
        stacklevel=3,
    )
    return "numpy"
