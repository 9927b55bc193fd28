"""Whether a function can look at an array by another way than its argument."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from opcode import opmap
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from secant.differentiation.evaluators import numba_jit

_MOST = 1000  # objects that are looked at: where there are more, f may do anything
_ATOMS = {bool, bytes, complex, float, int, str, type(None), np.ufunc, np.dtype, np.float64, type(np.sum)}
_STANDARD_LIBRARY = os.path.dirname(os.__file__)
_LIBRARIES = {"numpy", "scipy"}  # which have functions to differentiate, but no state of the user's
_IMPORT = opmap["IMPORT_NAME"]
_HEAP_TYPE = 1 << 9  # the flag of a class that is not static


def can_reach(f: Any, x: Any) -> bool:
    """Whether f may look at x elsewhere: in its closure, its globals, its defaults, or what these refer to.

    Of modules and classes, values are looked at, and functions whose names occur in code that is. Of those that are
    installed, only what is named so, and the values that such a function names.
    """
    waiting, seen = [f], {id(f)}
    names: set[str] = set()  # that occur in code
    spaces: list[tuple[Mapping[str, Any], bool]] = []  # of modules and classes; whether they are installed
    own = None  # the package of f
    while waiting:
        references: list[Any] = []
        for value in waiting:
            kind = type(value)
            if kind is FunctionType:
                its_names, found = _of_function(value)
                if own is None:
                    own = _package(value.__globals__)
                elif _is_installed(value.__globals__, own):
                    its_names = frozenset()
                    found = [each for each in found if not issubclass(type(each), (type, ModuleType))]
                names |= its_names
                references += found
            elif value is x:
                return True
            elif issubclass(kind, np.ndarray):  # not isinstance, for which proxies would load what they stand for
                if isinstance(x, np.ndarray) and np.may_share_memory(value, x):
                    return True
                if value.dtype == object:
                    if value.size > _MOST:
                        return True
                    references += value.reshape(-1).tolist()
            elif issubclass(kind, (type, ModuleType)):
                for space, is_installed in _spaces(value, own):
                    spaces.append((space, is_installed))
                    if not is_installed:
                        references += _values(each for name, each in list(space.items()) if not name.startswith("__"))
            elif numba_jit.is_numba_function(value):
                references.append(value.py_func)
            else:
                references += gc.get_referents(value)
                call = kind.__dict__.get("__call__")
                if type(call) is FunctionType:
                    references.append(call)
        if not references and not spaces:
            return False
        for space, is_installed in spaces:
            for name in names & space.keys():
                value = space[name]
                if is_installed and type(value) is FunctionType and id(value) not in seen:
                    seen.add(id(value))
                    references += _values(_of_function(value)[1])
                else:
                    references.append(value)
        waiting = []
        for each in references:
            kind = type(each)
            if kind in _ATOMS:
                continue
            if kind is BuiltinFunctionType:
                each = each.__self__  # of a method; that of a function is its module
                if each is None or type(each) is ModuleType:
                    continue
            if id(each) not in seen:
                seen.add(id(each))
                waiting.append(each)
        if len(seen) > _MOST:
            return True
    return False


def _spaces(value: Any, own: str | None) -> list[tuple[Mapping[str, Any], bool]]:
    """What a module, or a class with its bases and metaclass, holds by name, and whether that is installed."""
    if isinstance(value, ModuleType):
        return [(vars(value), _is_installed(vars(value), own))]
    classes = [each for each in (*value.__mro__, *type(value).__mro__) if each.__flags__ & _HEAP_TYPE]
    modules = [sys.modules.get(each.__module__) for each in classes]
    return [
        (vars(each), module is not None and _is_installed(vars(module), own))
        for each, module in zip(classes, modules, strict=True)
    ]


def _values(objects: Iterable[Any]) -> list[Any]:
    """Those that are neither functions nor classes nor modules."""
    others = FunctionType, BuiltinFunctionType
    return [each for each in objects if type(each) not in others and not issubclass(type(each), (type, ModuleType))]


def _of_function(f: FunctionType) -> tuple[frozenset[str], list[Any]]:
    """The names in the code of f, and the objects that it refers to."""
    known, modules = f.__globals__, sys.modules
    names, texts, imports = _named_in(f.__code__)
    found: list[Any] = []
    for name in names:
        if name in known:
            found.append(known[name])
        elif name in modules and (imports or name in texts):
            found.append(modules[name])
    if f.__closure__:
        for cell in f.__closure__:
            try:
                found.append(cell.cell_contents)
            except ValueError:  # it is empty
                continue
    if f.__defaults__:
        found += f.__defaults__
    if f.__kwdefaults__:
        found += f.__kwdefaults__.values()
    if f.__dict__:
        found += f.__dict__.values()
    return names, found


@lru_cache(maxsize=256)
def _named_in(code: CodeType) -> tuple[frozenset[str], set[str], bool]:
    """The names in code, those that are texts in it, and whether it imports something."""
    names, codes, texts = set(code.co_names), [code], set[str]()
    for each in codes:
        for value in each.co_consts:
            kind = type(value)
            if kind is CodeType:
                codes.append(value)
                names.update(value.co_names)
            elif kind is str:  # getattr(module, "x"), import_module("module")
                texts.add(value)
    imports = any(_IMPORT in each.co_code[::2] for each in codes)  # else a method may have the name of a module
    return frozenset(names | texts), texts, imports


def _package(known: Mapping[str, Any]) -> str:
    return str(known.get("__name__", "")).partition(".")[0]


def _is_installed(known: Mapping[str, Any], own: str | None) -> bool:
    """Whether a module is of Python's or of an installed package, other than that of f."""
    if _package(known) == own and own not in _LIBRARIES:
        return False
    file = known.get("__file__")
    if not isinstance(file, str):
        return known.get("__name__") in sys.builtin_module_names
    return file.startswith(_STANDARD_LIBRARY) or "site-packages" in file or "dist-packages" in file
