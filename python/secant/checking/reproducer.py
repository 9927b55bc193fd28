"""A program without Secant that prints a wrong entry, to be pasted into an issue.

It has some ten lines: versions, imports, the array with the entry, the call of f, what
the gradient says, and one central difference. A function that no program can import,
such as a lambda, is a placeholder that says what belongs there.
"""

from __future__ import annotations

import importlib.metadata
import math
import operator
import platform
import pprint
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np

from secant.checking.report import LARGE, Finding, GradientReport
from secant.checking.structure import walk

_WIDTH = 80  # columns of numbers
_USUAL = "float64", "int64", "bool", "complex128"  # NumPy takes these for such numbers

_NO_IMPORT = "no program can import it"

Library = Literal["numpy", "torch", "jax"]
_IMPORTS = {
    "numpy": "import numpy as np",
    "torch": "import torch",
    "jax": (
        "import jax\nimport jax.numpy as jnp\nimport numpy as"
        ' np\n\njax.config.update("jax_enable_x64", True)'
    ),
}
_PULLED_BACK = {
    "numpy": "",
    "torch": "torch.autograd.grad(value(x), x)[0]",
    "jax": "jax.grad(value)(x).conj()",
}
_PRODUCTS = {  # of an output and what comes in, summed
    "numpy": "np.vdot({c}, {y}).real",
    "torch": "({c}.conj() * {y}).real.sum()",
    "jax": "jnp.vdot({c}, {y}).real",
}


@dataclass
class Call:
    """How a function was called, and which of the arrays are checked.

    Attributes
    ----------
    function : callable
    arguments, keywords : tuple, dict
        Arrays, or tensors, in nested containers.
    names : list of str
        Those of the arrays of the report.
    checked : list of tuple
        For each of these: the array, or tensor, among the arguments, and
        "real" or "imag" if it is that part of a complex one, else "".
    library : {"numpy", "torch", "jax"}
    gradient : callable, optional
        Takes the same arguments, and returns the gradient in the first one.
    is_pulled_back : bool
        Whether reverse mode of the library computes what is checked.
    outputs : sequence of str
        Where the outputs are in what the function returns: ``output['a']``.
    incoming : sequence of ndarray
        What each output is multiplied by before all are summed.
    reads_x_itself : bool
        Whether the function ignores its argument: no program can call it.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    names: Sequence[str]
    checked: Sequence[tuple[Any, str]]
    library: Library = "numpy"
    keywords: Mapping[str, Any] = field(default_factory=dict)
    gradient: Any = None
    is_pulled_back: bool = False
    outputs: Sequence[str] = ()
    incoming: Sequence[Any] = ()
    reads_x_itself: bool = False


def with_program(report: GradientReport, call: Call) -> GradientReport:
    """Add to a report in which versions it was made, and the program of its worst
    entry.
    """
    own = versions(call.function, call.gradient, library=call.library)
    report = replace(report, versions=own)
    if not report.findings:
        return report
    worst = report.findings[0]
    with suppress(Exception):  # whatever objects of the user raise: the report counts
        noise = max(report.noise, report.resolution)
        return replace(report, program=_program(call, worst, noise, own))
    return report


def _step_of(x: Any, entry: Finding, noise: float) -> float:
    """The step of a central difference: the cube root of the noise, of the size of the
    entry, as a power of ten.
    """
    typical = math.sqrt((x * x).mean().item())
    size = max(abs(x[entry.index].item()), typical) or 1.0
    return float(10.0 ** round(math.log10(noise ** (1 / 3) * size)))


def _program(call: Call, entry: Finding, noise: float, own: Mapping[str, str]) -> str:
    """Write the program."""
    x, part = call.checked[call.names.index(entry.array)]
    h = _step_of(getattr(x, part) if part else x, entry, noise)
    text = _Writer(call.library, x)
    x_is = text.array(x)

    # The call of f, which is a placeholder if no program can call it.
    f = "f"
    arguments = ["x"]
    why = ""
    try:
        arguments = text.arguments(call)
        f = text.function(call.function)
    except _NotWrittenError as error:
        why = str(error)
    if call.reads_x_itself:
        why = "it reads x itself"
    placeholder: list[str] = []
    if why:
        put_here = f"put here {_described(call.function)}: {why}"
        placeholder = [
            "",
            "",
            "def f(*args, **kwargs):",
            f"    raise NotImplementedError({put_here!r})",
            "",
        ]
        f = "f"

    # What f returns, or the sum of products of its outputs and what comes in.
    called = f"{f}({', '.join(arguments)})"
    product = _PRODUCTS[call.library]
    multiplied = "# What comes in: outputs are multiplied by it."
    if not call.incoming:
        incoming = []
        body = [f"return {called}"]
    elif len(call.incoming) == 1:
        incoming = [multiplied, f"c = {text.array(call.incoming[0])}"]
        body = [
            f"output = {called}",
            f"return {product.format(c='c', y=call.outputs[0])}",
        ]
    else:
        incoming = [multiplied, f"c = {text(list(call.incoming))}"]
        terms = (product.format(c=f"c[{i}]", y=y) for i, y in enumerate(call.outputs))
        body = [f"output = {called}", f"return {' + '.join(terms)}"]

    # The entry, and what the gradient says of it.
    computed = "" if why else _computed_gradient(text, call, arguments)
    place = f"[{', '.join(map(str, entry.index))}]" if entry.index else "[()]"
    of_part = f".{part}" if part else ""
    said = f"float({computed}{place}{of_part})" if computed else text(entry.gradient)
    zeros = "torch" if call.library == "torch" else "np"
    detached = ".detach()" if call.library == "torch" else ""
    lines = [
        "# " + ", ".join(f"{name} {version}" for name, version in own.items()),
        *text.comments(),
        _IMPORTS[call.library],
        *sorted(text.imports),
        *placeholder,
        "",
        f"x = {x_is}",
        *incoming,
        "",
        "",
        "def value(x):",
        *(f"    {line}" for line in body),
        "",
        "",
        f"step = {zeros}.zeros_like(x)",
        f"step{place} = {h:g}{'j' if part == 'imag' else ''}",
        "difference = value(x + step) - value(x - step)",
        f'print("gradient: ", {said})  # {entry.name}',
        f'print("numerical:", float(difference{detached}) / {2 * h:g})',
    ]
    return "\n".join(lines) + "\n"


def checked_arrays(value: Any) -> list[tuple[Any, str]]:
    """``Call.checked`` of the arrays in a structure."""
    found = list[tuple[Any, str]]()
    for _, array in walk("", value):
        parts = ("real", "imag") if np.iscomplexobj(array) else ("",)
        found += [(array, part) for part in parts if array.size]
    return found


def versions(*functions: Any, library: Library = "numpy") -> dict[str, str]:
    """The versions of Python, NumPy, the framework, and the packages of functions."""
    found = {"Python": platform.python_version(), "numpy": np.__version__}
    modules = [
        _module_and_name(each, library)[0] for each in functions if each is not None
    ]
    for module in [library, *modules]:
        name = module.partition(".")[0]
        is_standard = name in sys.stdlib_module_names or name in (
            "",
            "__main__",
            "secant",
        )
        version = "" if is_standard else _version(name)
        if version:
            found[name] = version
    return found


def _version(package: str) -> str:
    own = getattr(sys.modules.get(package), "__version__", "")
    if own:
        return str(own)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _computed_gradient(text: _Writer, call: Call, arguments: Sequence[str]) -> str:
    """How a program computes the gradient by the array x; nothing if it cannot."""
    if call.is_pulled_back:
        return _PULLED_BACK[call.library]
    if call.gradient is None:
        return ""
    try:
        gradient = text.function(call.gradient)
    except _NotWrittenError:
        return ""
    inside = (path for path, each in walk("", call.arguments[0]) if each is text.x)
    return f"{gradient}({', '.join(arguments)}){next(inside)}"


class _NotWrittenError(Exception):
    """A value that a program cannot have: the message says what it is."""


class _Writer:
    """Writes values as Python, and remembers what that imports and loads.

    Attributes
    ----------
    x : array
        The one that a program calls x.
    imports : set of str
    files : list of tuple
        The files of arrays that are too large to be written out, and their shapes.
    """

    def __init__(self, library: Library, x: Any) -> None:
        self._library = library
        self.x = x
        self.imports = set[str]()
        self.files = list[tuple[str, Any]]()

    def __call__(self, value: Any) -> str:
        """Write a value; the array x by its name."""
        if value is self.x:
            return "x"
        if value is None or isinstance(value, bool | str | bytes):
            return repr(value)
        if (
            isinstance(value, int | float | complex)
            and type(value).__module__ == "builtins"
        ):
            return self._numbers(repr(value))
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return self.array(value)
        if type(value) is list:
            return f"[{', '.join(map(self, value))}]"
        if type(value) is tuple:
            return f"({', '.join(map(self, value))}{',' if len(value) == 1 else ''})"
        if type(value) is dict:
            pairs = (f"{self(key)}: {self(each)}" for key, each in value.items())
            return f"{{{', '.join(pairs)}}}"
        if hasattr(value, "_fields") or (
            is_dataclass(value) and not isinstance(value, type)
        ):
            names = getattr(value, "_fields", None) or [
                each.name for each in fields(value) if each.init
            ]
            parts = (f"{name}={self(getattr(value, name))}" for name in names)
            return f"{self.function(type(value))}({', '.join(parts)})"
        if callable(value):
            return self.function(value)
        raise _NotWrittenError(f"an argument is a {type(value).__name__}")

    def arguments(self, call: Call) -> list[str]:
        """Write all arguments."""
        named = [f"{name}={self(each)}" for name, each in call.keywords.items()]
        return [*map(self, call.arguments), *named]

    def function(self, function: Any) -> str:
        """Import a function, or a class, by the name that it has in its module."""
        module, name = _module_and_name(function, self._library)
        module = _public(module, name, function)
        if not module:
            raise _NotWrittenError(_NO_IMPORT)
        self.imports.add(f"from {module} import {name.partition('.')[0]}")
        return name

    def array(self, value: Any) -> str:
        """Write an array or a tensor with its numbers; load it if it is large."""
        dtype = str(value.dtype)
        shape = tuple(value.shape)
        size = math.prod(shape)
        if size > LARGE:
            name = f"array_{len(self.files)}.npy"
            self.files.append((name, shape))
            loaded = f"np.load({name!r})"
            if self._library == "numpy":
                return loaded
            self.imports.add("import numpy as np")
            of_library = (
                "torch.from_numpy" if self._library == "torch" else "jnp.asarray"
            )
            return self._as_checked(f"{of_library}({loaded})", value)
        try:
            numbers = self._numbers(
                pprint.pformat(value.tolist(), width=_WIDTH, compact=True)
            )
        except Exception:  # random keys of JAX, say
            raise _NotWrittenError(f"an argument is an array of {dtype}") from None
        shaped = "" if size else f".reshape({shape})"
        if self._library == "torch":
            name = dtype if dtype.startswith("torch.") else f"torch.{dtype}"
            return self._as_checked(
                f"torch.tensor({numbers}, dtype={name}){shaped}", value
            )
        array = "jnp.array" if self._library == "jax" else "np.array"
        typed = "" if dtype in _USUAL else f", {dtype!r}"
        return f"{array}({numbers}{typed}){shaped}"

    def comments(self) -> list[str]:
        """Which files are to be saved before, where they are loaded."""
        save = "# Save your array of the shape {} first: np.save({!r}, array)"
        return [save.format(shape, name) for name, shape in self.files]

    def _as_checked(self, tensor: str, value: Any) -> str:
        """The text of a tensor that requires a gradient, if the tensor does."""
        return (
            f"{tensor}.requires_grad_()"
            if getattr(value, "requires_grad", False)
            else tensor
        )

    def _numbers(self, text: str) -> str:
        """Numbers, of which Python knows inf and nan by an import."""
        self.imports |= {
            f"from math import {name}"
            for name in ("inf", "nan")
            if re.search(rf"\b{name}", text)
        }
        return text


def _module_and_name(function: Any, library: Library) -> tuple[str, str]:
    """Where a function is defined; a class method by the class that it is called on."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):
        return owner.__module__, f"{owner.__qualname__}.{function.__name__}"
    module = getattr(function, "__module__", None) or library
    name = str(
        getattr(function, "__qualname__", None) or getattr(function, "__name__", "")
    )
    return str(module), name.rpartition(".")[2] if module == library else name


def _public(module: str, name: str, function: Any) -> str:
    """The shortest of a module and its packages that has a function.

    Nothing if none has it, or if a program has another main module.
    """
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        package = ".".join(parts[:count])
        try:
            if (
                operator.attrgetter(name)(sys.modules[package]) == function
                and package != "__main__"
            ):
                return package
        except (AttributeError, KeyError, TypeError):
            continue
    return ""


def _described(function: Any) -> str:
    """A function that a program cannot import, in words."""
    module, name = _module_and_name(function, "numpy")
    if module.startswith("secant."):
        return getattr(function, "__doc__", None) or "the function that was checked"
    if not name or module == "numpy":
        return f"the {type(function).__name__} that was checked"
    if "<lambda>" in name:
        return f"the lambda of {module} that was checked"
    return f"{name.replace('.<locals>', '')} of {module}"
