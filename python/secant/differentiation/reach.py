"""Whether a function can look at an array by another way than its argument."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

_MOST = 1000  # objects that are looked at: where there are more, f may do anything
_ATOMS = {bool, bytes, complex, float, int, str, type(None), type, BuiltinFunctionType, ModuleType, np.ufunc, np.dtype}


def can_reach(f: Any, x: Any) -> bool:
    """Whether f may look at x elsewhere: in its closure, its globals, its defaults, or what these refer to.

    Modules and classes are not searched.
    """
    found = [f]
    seen = {id(f)}
    references: Iterable[Any]
    for value in found:
        kind = type(value)
        if kind is FunctionType:
            references = _of_function(value)
        elif value is x:
            return True
        elif issubclass(kind, np.ndarray):  # not isinstance, for which proxies would load what they stand for
            if isinstance(x, np.ndarray) and np.may_share_memory(value, x):
                return True
            references = value.tolist() if value.dtype == object and value.size < _MOST else ()
        else:
            references = gc.get_referents(value)
            call = kind.__dict__.get("__call__")
            if type(call) is FunctionType:
                references = [*references, call]
        for each in references:
            kind = type(each)
            if kind not in _ATOMS and id(each) not in seen and not issubclass(kind, (type, ModuleType)):
                seen.add(id(each))
                found.append(each)
        if len(found) > _MOST:
            return True
    return False


def _of_function(f: FunctionType) -> list[Any]:
    known, found = f.__globals__, [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    codes = [f.__code__]
    for code in codes:
        found += [known[name] for name in code.co_names if name in known]
        codes += [each for each in code.co_consts if type(each) is CodeType]
    for cell in f.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # it is empty
            continue
    return found
