"""The backend in use, and the facts that a bug report should include."""

import platform
from contextlib import suppress

import numpy as np

from secant.backends import BACKENDS, backend_module


def get_backend() -> str:
    """Return the name of the backend in use: "cpp", "numba" or "numpy".

    Raises
    ------
    ValueRangeError
        If ``SECANT_BACKEND`` names none.
    ImportError
        If it cannot be imported.

    Examples
    --------
    >>> with secant.use_backend("numpy"):
    ...     secant.get_backend()
    'numpy'
    """
    return backend_module().name


def show_config() -> None:
    """Print versions, the compiler, the instruction set and the number of threads.

    Raises
    ------
    ValueRangeError, ImportError
        As `get_backend` does.

    Examples
    --------
    >>> secant.show_config()  # doctest: +ELLIPSIS
    secant           ...
    """
    for name, value in _facts().items():
        print(f"{name:16} {value}")


def _facts() -> dict[str, str]:
    from importlib.metadata import version  # takes half as long to import as NumPy

    backend, usable = get_backend(), []
    for name in BACKENDS:
        with suppress(ImportError):
            usable.append(backend_module(name).name)
    facts = {
        "secant": version("secant"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "backend": f"{backend} (of {', '.join(usable)})",
    }
    if backend == "cpp":
        from secant._common.core import _core, waits

        build = _core.build_info()
        facts["compiler"] = str(build["compiler"])
        facts["instruction set"] = (
            f"{build['isa']} (this machine runs {', '.join(build['usable_isas'])})"
        )
        facts["openmp"] = str(build["openmp"] or "none")
        facts["waiting threads"] = ", ".join(
            f"{name}={value}" for name, value in waits.items()
        )
        facts["threads"] = str(_core.max_threads())
    if backend == "numba":
        import llvmlite
        import numba

        facts["numba"] = f"{numba.__version__} (llvmlite {llvmlite.__version__})"
    return facts
