"""Checks in float64 of functions that were written for less: PyTorch's own advice is to check in double."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from secant._common.validation import Array, Floats
from secant.checking.precision import Sample, float64_first, in_both, up_to_the_first
from secant.checking.report import GradientReport
from secant.checking.structure import mapped
from secant.errors import ValueRangeError
from secant.torch._check import Check, Subject, own_buffers
from secant.torch._tensors import as_array, pulled_back, random_like

_HIGHER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}
_CASTS = {torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16}


def reports(
    subject: Subject, *, backward: bool = True, forward: bool = False, undefined: bool | None = None
) -> list[GradientReport]:
    """Check in float64 where the function runs there, and compare its own precision with that.

    The last report is the first one that is not right.
    """
    if not backward and not forward:
        raise ValueRangeError("one of both modes must be checked, got neither")
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
        self._twins: dict[int, tuple[Any, Any]] = {}  # the tensor itself too, so that its id stays its own

    def higher(self, value: Any) -> Any:
        """The twin of a tensor; of a type that of higher precision."""
        with torch._C.DisableTorchFunction():
            if isinstance(value, torch.dtype):
                return _HIGHER.get(value, value)
            if not isinstance(value, torch.Tensor) or value.dtype not in _HIGHER:
                return value
            if id(value) not in self._twins:
                twin = value.to(_HIGHER[value.dtype])
                if not value.is_leaf or torch._C._functorch.peek_interpreter_stack() is not None:
                    return twin
                twin = twin.detach().requires_grad_(value.requires_grad)
                if isinstance(value, torch.nn.Parameter):
                    twin = torch.nn.Parameter(twin, value.requires_grad)
                self._twins[id(value)] = value, twin
            return self._twins[id(value)][1]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = torch.Tensor.double if func in _CASTS else func
        return func(*mapped(args, self.higher), **mapped(kwargs or {}, self.higher))


@contextlib.contextmanager
def _in_float64(subject: Subject) -> Iterator[Subject]:
    """The module that owns the function in float64, and all other tensors as they are met: the subject there."""
    mode, default = _Float64(), torch.get_default_dtype()
    module = getattr(subject.owner, "__self__", subject.owner)
    owners = list(module.modules()) if isinstance(module, torch.nn.Module) else []
    originals = [dict(vars(owner)) for owner in owners]
    try:
        for owner in owners:
            if isinstance(owner, torch.jit.ScriptModule):
                raise TypeError("TorchScript keeps its types")
            parameters, buffers = (mapped(part, mode.higher) for part in (owner._parameters, owner._buffers))
            vars(owner).update(_parameters=parameters, _buffers=buffers)
        tensors = {name: mode.higher(tensor) for name, tensor in subject.tensors.items()}
        arguments = mapped(subject.arguments, mode.higher)
        torch.set_default_dtype(torch.float64)
        with mode:  # even the type that a tensor says it has is that of its twin now
            yield subject._replace(arguments=arguments, tensors=tensors)
    finally:
        torch.set_default_dtype(default)
        for owner, attributes in zip(owners, originals, strict=True):
            vars(owner).clear()  # also of what it has cached, in float64
            vars(owner).update(attributes)
