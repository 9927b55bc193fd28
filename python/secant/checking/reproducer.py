"""A program without Secant that prints a wrong entry, to be pasted into an issue.

It has some ten lines: versions, imports, the array with the entry, the call of f, what
the gradient says, and one central difference. It calls f where f can be imported by its
name and takes arrays and numbers, in no containers. Any other f is a placeholder that
says what belongs there.
"""

from __future__ import annotations

import importlib.metadata
import math
import operator
import platform
import pprint
import re
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from secant.checking.report import LARGE, Finding, GradientReport
from secant.checking.structure import walk

_WIDTH = 80  # columns of numbers
_USUAL = "float64", "int64", "bool", "complex128"  # NumPy takes these for such numbers
_TYPES = (*_USUAL, "float32", "float16", "complex64", "int32", "int16", "int8", "uint8")

Library = Literal["numpy", "torch", "jax"]


class _Words(NamedTuple):
    """How a program says the same with another library.

    Attributes
    ----------
    imports : str
    array : str
        Makes an array of the library of one of NumPy.
    x : str
        Makes the one that is checked.
    pulled_back : str
        The gradient of ``value`` that the library computes.
    total : str
        The number that is checked, of the outputs y and what comes in.
    zeros : str
        Zeros like x.
    number : str
        A number of Python.
    """

    imports: str
    array: str
    x: str
    pulled_back: str
    total: str
    zeros: str
    number: str


_WORDS: Mapping[Library, _Words] = {
    "numpy": _Words(
        "import numpy as np",
        array="{}",
        x="{}",
        pulled_back="",
        total="np.vdot(c, {y}).real",
        zeros="np.zeros_like(x)",
        number="float({})",
    ),
    "torch": _Words(
        "import numpy as np\nimport torch",
        array="torch.tensor({})",
        x="torch.tensor({}, requires_grad=True)",
        pulled_back="torch.autograd.grad(value(x), x)[0]",
        total="(c.conj() * {y}).real.sum()",
        zeros="torch.zeros_like(x)",
        number="float({}.detach())",
    ),
    "jax": _Words(
        "import jax\nimport jax.numpy as jnp\nimport numpy as np\n\n"
        'jax.config.update("jax_enable_x64", True)',
        array="jnp.array({})",
        x="jnp.array({})",
        pulled_back="jax.grad(value)(x).conj()",
        total="jnp.vdot(c, {y}).real",
        zeros="np.zeros_like(x)",
        number="float({})",
    ),
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
        Where the outputs are in what the function returns: ``output['a']``, or
        ``output`` if it returns one array.
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


class _Called(NamedTuple):
    """What a program has of f, or of the placeholder of f.

    Attributes
    ----------
    definitions : list of str
        Lines before ``value``.
    returned : str
        What ``value`` returns.
    gradient : str
        Computes the gradient by x; empty if a program cannot.
    imports : set of str
    files : list of str
        Comments: which arrays are to be saved before.
    """

    definitions: list[str]
    returned: str
    gradient: str = ""
    imports: Set[str] = frozenset()
    files: Sequence[str] = ()


def _program(call: Call, entry: Finding, noise: float, own: Mapping[str, str]) -> str:
    """Write the program."""
    words = _WORDS[call.library]
    x, part = call.checked[call.names.index(entry.array)]
    files = list[str]()
    x_is = words.x.format(_array(x, files))
    try:
        f = _called(call, x, files)
    except _NotWrittenError as error:
        f = _placeholder(call, entry, str(error), files[: "np.load" in x_is])

    # The entry, what the gradient says of it, and how far it is moved.
    place = f"[{', '.join(map(str, entry.index))}]" if entry.index else "[()]"
    of_part = f".{part}" if part else ""
    gradient = repr(entry.gradient)
    if f.gradient:
        gradient = f"float({f.gradient}{place}{of_part})"
    h = _step_of(getattr(x, part) if part else x, entry, noise)
    lines = [
        "",
        f"x = {x_is}",
        *f.definitions,
        "",
        "",
        "def value(x):",
        f"    return {f.returned}",
        "",
        "",
        f"step = {words.zeros}",
        f"step{place} = {h:g}{'j' if part == 'imag' else ''}",
        "difference = value(x + step) - value(x - step)",
        f'print("gradient: ", {gradient})  # {entry.name}',
        f'print("numerical:", {words.number.format("difference")} / {2 * h:g})',
    ]
    numbers = {
        f"from math import {name}"
        for name in ("inf", "nan")
        if re.search(rf"\b{name}\b", "\n".join(lines))
    }
    above = [
        "# " + ", ".join(f"{name} {version}" for name, version in own.items()),
        *f.files,
        words.imports,
        *sorted(f.imports | numbers),
    ]
    return "\n".join([*above, *lines]) + "\n"


def _called(call: Call, x: Any, files: list[str]) -> _Called:
    """Call f with x, and with other arrays and numbers."""
    imports = set[str]()
    arguments = _arguments(call, x, files)
    f = f"{_imported(call.function, call.library, imports)}({arguments})"
    gradient = _computed_gradient(call, x, arguments, imports)
    if not call.incoming:
        return _Called([], f, gradient, imports, files)
    if list(call.outputs) != ["output"]:
        raise _NotWrittenError("it returns several arrays, or a container")
    words = _WORDS[call.library]
    c = words.array.format(_array(call.incoming[0], files))
    definitions = [f"c = {c}  # the output is multiplied by it"]
    return _Called(definitions, words.total.format(y=f), gradient, imports, files)


def _placeholder(call: Call, entry: Finding, why: str, files: Sequence[str]) -> _Called:
    """A function of x alone that says what is to be put in its place."""
    put_here = f"put here {_described(call.function)}, as a function of x"
    if entry.array != "x":
        put_here += f", which is {entry.array}"
    if call.incoming:
        put_here += ": the sum of its outputs times report.cotangent"
    refused = f"raise NotImplementedError({f'{put_here} ({why})'!r})"
    return _Called(["", "", "def f(x):", f"    {refused}"], "f(x)", files=files)


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


def _computed_gradient(call: Call, x: Any, arguments: str, imports: set[str]) -> str:
    """How a program computes the gradient by x; nothing if it cannot."""
    if call.is_pulled_back:
        return _WORDS[call.library].pulled_back
    if call.gradient is None or call.arguments[0] is not x:
        return ""
    try:
        return f"{_imported(call.gradient, call.library, imports)}({arguments})"
    except _NotWrittenError:
        return ""


class _NotWrittenError(Exception):
    """What a program cannot have: the message says what it is."""


def _arguments(call: Call, x: Any, files: list[str]) -> str:
    """Write the arguments of f: x, other arrays, numbers and strings."""
    if call.reads_x_itself:
        raise _NotWrittenError("it reads x itself")
    if _dtype(x) not in _TYPES:
        raise _NotWrittenError(f"x is {_dtype(x)}, which NumPy lacks")

    def written(value: Any) -> str:
        if value is x:
            return "x"
        if type(value) in (bool, int, float, str, type(None)):
            return repr(value)
        if not (hasattr(value, "dtype") and _dtype(value) in _TYPES):
            raise _NotWrittenError(f"an argument is a {type(value).__name__}")
        return _WORDS[call.library].array.format(_array(value, files))

    named = [f"{name}={written(each)}" for name, each in call.keywords.items()]
    return ", ".join([*map(written, call.arguments), *named])


def _imported(function: Any, library: Library, imports: set[str]) -> str:
    """Import a function by the name that it has in its module."""
    module, name = _module_and_name(function, library)
    module = _public(module, name, function)
    if not module:
        raise _NotWrittenError("no program can import it")
    imports.add(f"from {module} import {name.partition('.')[0]}")
    return name


def _array(value: Any, files: list[str]) -> str:
    """Write an array of NumPy with the numbers of one of any library; load it if it is
    large.
    """
    shape = tuple(value.shape)
    size = math.prod(shape)
    if size > LARGE:
        name = f"array_{len(files)}.npy"
        save = f"np.save({name!r}, array)"
        files.append(f"# Save your array of the shape {shape} first: {save}")
        return f"np.load({name!r})"
    numbers = pprint.pformat(value.tolist(), width=_WIDTH, compact=True)
    dtype = _type_of(value)
    typed = "" if dtype in _USUAL and size else f", {dtype!r}"
    shaped = "" if size else f".reshape({shape})"
    return f"np.array({numbers}{typed}){shaped}"


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _type_of(value: Any) -> str:
    """The type of an array in a program: float64 where NumPy lacks it."""
    dtype = _dtype(value)
    return dtype if dtype in _TYPES else "float64"


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
