"""Checks in float64 of functions that were written for less: PyTorch's own advice is to check in double."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from secant._common.validation import Array, Floats
from secant.checking.precision import Sample, float64_first, in_both, up_to_the_first
from secant.checking.report import GradientReport
from secant.checking.structure import mapped
from secant.torch._check import Check, Subject, own_buffers
from secant.torch._tensors import as_array, leaves, pulled_back, random_like, replaced

_HIGHER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}
_CASTS = {torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16}
_DEPTH = 6  # of what a function refers to, where modules are looked for


def reports(
    subject: Subject, *, backward: bool = True, forward: bool = False, undefined: bool | None = None
) -> list[GradientReport]:
    """Check in float64 where the function runs there, and compare its own precision with that.

    The last report is the first one that is not right.
    """
    low = {tensor.dtype for tensor in subject.tensors.values()} & set(_HIGHER)
    dtype = str(max(low, key=lambda each: torch.finfo(each).eps)).removeprefix("torch.") if low else ""

    def in_own() -> Iterator[GradientReport]:
        with checking(subject) as check:
            yield from check.reports(backward, forward, undefined)

    def in_float64() -> Iterator[GradientReport]:
        with _in_float64(subject) as exact, checking(exact) as check:
            outputs = check.outputs()()
            with torch._C.DisableTorchFunction():
                if any(output.dtype in _HIGHER for output in outputs):
                    raise TypeError("an output keeps its type")
            found = up_to_the_first(check.reports(backward, forward, undefined))
        for mode, report in zip(["reverse"] * backward + ["forward"] * forward, found, strict=False):
            yield _compared(subject, report, mode, dtype)

    return float64_first(dtype, in_float64, in_own)


@contextlib.contextmanager
def checking(subject: Subject) -> Iterator[Check]:
    """The check of a subject, whose buffers are put back when the context ends."""
    with own_buffers(subject.owner, (subject.arguments, subject.tensors)) as renew:
        yield Check(subject, renew)


def _compared(subject: Subject, report: GradientReport, mode: str, dtype: str) -> GradientReport:
    """The report in float64, and how the function's own precision compares with that."""
    rng = np.random.default_rng([subject.options.rng, 3])
    with checking(subject) as check:
        outputs = check.outputs()
        eps = max(torch.finfo(each.dtype).eps for each in (*subject.tensors.values(), *outputs()))
        fixed = outputs.cotangents if mode == "reverse" else [random_like(tensor, rng) for tensor in check.tensors]

    def near(tensor: Any, beside: float) -> Any:
        own = tensor.detach().to(_HIGHER.get(tensor.dtype, tensor.dtype))
        return (own * (1 + beside * random_like(own.real, rng))).to(tensor.dtype)

    def sample(ulps: float) -> tuple[Sample, Sample]:
        with checking(subject) as check:
            there = [near(tensor, ulps * eps) for tensor in check.tensors]
            weights = fixed if outputs.is_number else [near(tensor, ulps * eps) for tensor in fixed]
            own = _sample(check, mode, there, weights)
        with _in_float64(subject) as exact, checking(exact) as check:
            return own, _sample(check, mode, there, weights)

    return in_both(report, eps, sample, dtype)


def _sample(check: Check, mode: str, there: list[Any], weights: list[Any]) -> Sample:
    """Outputs there, and what is pulled back to the tensors; or, in forward mode, pushed forward to the outputs."""
    before = [tensor.detach().clone() for tensor in check.tensors]
    try:
        for tensor, own in zip(check.tensors, there, strict=True):
            tensor.data.copy_(own)
        found = check.outputs()()
        if mode == "reverse":
            derivatives = check.arrays(pulled_back(found, check.tensors, weights))
        else:
            pushed, _ = check.pushed_forward([w.to(t) for w, t in zip(weights, check.tensors, strict=True)])
            derivatives = [*map(as_array, pushed)]
        return Sample(_numbers(map(as_array, found)), _numbers(derivatives))
    finally:
        for tensor, own in zip(check.tensors, before, strict=True):
            tensor.data.copy_(own)


def _numbers(arrays: Iterable[Array]) -> list[Floats]:
    return [array.astype(np.float64).ravel() for array in arrays]


class _Float64(TorchFunctionMode):  # type: ignore[misc]
    """Gives PyTorch's functions a twin in float64 of each tensor of lower precision, as they are met."""

    def __init__(self) -> None:
        super().__init__()
        self.twins: dict[int, tuple[Any, Any]] = {}  # the tensor itself too, so that its id stays its own

    def higher(self, value: Any) -> Any:
        """The twin of a tensor; of a type that of higher precision."""
        with torch._C.DisableTorchFunction():
            if isinstance(value, torch.dtype):
                return _HIGHER.get(value, value)
            if not isinstance(value, torch.Tensor) or value.dtype not in _HIGHER:
                return value
            if id(value) not in self.twins:
                twin = value.to(_HIGHER[value.dtype])
                if not value.is_leaf or torch._C._functorch.peek_interpreter_stack() is not None:
                    return twin
                self.keep(value, twin.detach().requires_grad_(value.requires_grad))
            return self.twins[id(value)][1]

    def keep(self, value: Any, twin: Any) -> None:
        """Use this twin of a tensor from now on."""
        self.twins[id(value)] = value, twin

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = torch.Tensor.double if func in _CASTS else func
        return func(*mapped(args, self.higher), **mapped(kwargs or {}, self.higher))


@contextlib.contextmanager
def _in_float64(subject: Subject) -> Iterator[Subject]:
    """Modules that the function refers to in float64, and all other tensors as they are met: the subject there."""
    mode, default = _Float64(), torch.get_default_dtype()
    found = _modules((subject.owner, subject.function, subject.arguments), set())
    owners = {id(owner): owner for module in found for owner in module.modules()}
    own = [
        (owner, dict(owner._parameters), dict(owner._buffers.items()), dict(vars(owner))) for owner in owners.values()
    ]
    try:
        for owner, parameters, buffers, _ in own:
            if isinstance(owner, torch.jit.ScriptModule):
                raise TypeError("TorchScript keeps its types")
            for name, parameter in parameters.items():
                if parameter is not None and parameter.dtype in _HIGHER:
                    if id(parameter) not in mode.twins:
                        twin = parameter.detach().to(_HIGHER[parameter.dtype])
                        mode.keep(parameter, torch.nn.Parameter(twin, parameter.requires_grad))
                    owner._parameters[name] = mode.higher(parameter)
            for name, buffer in buffers.items():
                owner._buffers[name] = mode.higher(buffer)
        tensors = {name: mode.higher(tensor) for name, tensor in subject.tensors.items()}
        given = [leaf for _, leaf in leaves("", subject.arguments) if isinstance(leaf, torch.Tensor)]
        arguments = replaced(subject.arguments, {id(leaf): mode.higher(leaf) for leaf in given})
        torch.set_default_dtype(torch.float64)
        with mode:  # even the type that a tensor says it has is that of its twin now
            yield subject._replace(arguments=arguments, tensors=tensors)
    finally:
        torch.set_default_dtype(default)
        for owner, parameters, buffers, attributes in own:
            for name in set(vars(owner)) - set(attributes):  # such as what it caches, in float64
                delattr(owner, name)
            vars(owner).update(attributes)
            owner._parameters.update(parameters)
            owner._buffers.update(buffers)


def _modules(value: Any, seen: set[int], depth: int = 0) -> Iterator[Any]:
    """Modules that a function refers to: its owner, and what is in closures, defaults, partials and named globals."""
    if id(value) in seen or depth > _DEPTH:
        return
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        yield value
        return
    parts: list[Any] = []
    if isinstance(value, types.MethodType):
        parts = [value.__self__, value.__func__]
    elif isinstance(value, functools.partial):
        parts = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty one
                parts.append(cell.cell_contents)
        known = (value.__globals__.get(name) for name in _names(value.__code__))
        parts += [*(value.__defaults__ or ()), *(each for each in known if not isinstance(each, type(torch) | type))]
    elif isinstance(value, list | tuple | dict):
        parts = list(value.values() if isinstance(value, dict) else value)[:100]
    elif hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType | torch.Tensor):
        parts = list(vars(value).values())[:100]
    for part in parts:
        yield from _modules(part, seen, depth + 1)


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))
