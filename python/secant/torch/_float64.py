"""Checks in float64 of functions that were written for less: PyTorch's own advice is to check in double."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from secant.checking.options import Options
from secant.checking.precision import Sample, in_both
from secant.checking.report import GradientReport
from secant.errors import GradientMismatchError
from secant.torch._check import Check, own_buffers
from secant.torch._tensors import Outputs, leaves, real, replaced

_HIGHER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}
_CASTS = {torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16}
_DEPTH = 6  # of what a function refers to, where modules are looked for


class Subject(NamedTuple):
    """What is checked: a function of arguments, and the tensors of these, or of a module, by name."""

    owner: Any
    """Of which buffers are put back: a module, or one of its methods."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    tensors: dict[str, Any]
    options: Options
    of: str = ""

    def check(self, renew: Callable[[], None]) -> Check:
        """Return the check of it."""
        is_used = self.of != ""
        return Check(self.function, self.arguments, self.tensors, self.options, renew, is_used=is_used, of=self.of)

    def reports(self, backward: bool, forward: bool, undefined: bool) -> list[GradientReport]:
        """Check in the precision of the tensors, up to the first report that is not right."""
        found = []
        with own_buffers(self.owner, (self.arguments, self.tensors)) as renew:
            for report in self.check(renew).reports(backward, forward, undefined):
                found.append(report)
                if not report.passed:
                    break
        return found


def reports(
    subject: Subject, *, backward: bool = True, forward: bool = False, undefined: bool = False
) -> list[GradientReport]:
    """Check in float64 where the function runs there, and compare its own precision with that.

    The last report is the first one that is not right. Where the function does not run in float64, or is another one
    there, it is checked in its own precision, and the report says why.
    """
    low = {tensor.dtype for tensor in subject.tensors.values()} & set(_HIGHER)
    if not low:
        return subject.reports(backward, forward, undefined)
    dtype = str(max(low, key=lambda each: torch.finfo(each).eps)).removeprefix("torch.")
    try:
        return _in_both(subject, dtype, backward, forward, undefined)
    except GradientMismatchError:
        raise
    except Exception as error:
        why = str(error).partition("\n")[0][:100] or type(error).__name__
    note = f"checked in {dtype}, as in float64 f does not run: {why}"
    found = subject.reports(backward, forward, undefined)
    return [replace(report, note=report.note or note) for report in found]


def _in_both(subject: Subject, dtype: str, backward: bool, forward: bool, undefined: bool) -> list[GradientReport]:
    with _in_float64(subject) as exact:
        with own_buffers(exact.owner, (exact.arguments, exact.tensors)) as renew:
            outputs = exact.check(renew).outputs()()
        with torch._C.DisableTorchFunction():
            if any(output.dtype in _HIGHER for output in outputs):
                raise TypeError("an output keeps its type")
        found = exact.reports(backward, forward, undefined)
    modes, done = ["reverse"] * backward + ["forward"] * forward, list[GradientReport]()
    for mode, report in zip(modes, found, strict=False):
        done.append(_compared(subject, report, mode, dtype))
        if not done[-1].passed:
            break
    return done


def _compared(subject: Subject, report: GradientReport, mode: str, dtype: str) -> GradientReport:
    """The report in float64, and how the function's own precision compares with that."""
    rng = np.random.default_rng([subject.options.rng, 3])
    with own_buffers(subject.owner, (subject.arguments, subject.tensors)) as renew:
        outputs = subject.check(renew).outputs()
        types = [each.dtype for each in (*subject.tensors.values(), *outputs())]
        eps = max(torch.finfo(each).eps for each in types)

    def sampled(subject: Subject, point: _Point | None, ulps: float) -> tuple[Sample, _Point]:
        with own_buffers(subject.owner, (subject.arguments, subject.tensors)) as renew:
            check = subject.check(renew)
            there = point or _point(check, outputs, mode, rng, ulps * eps)
            return _sample(check, mode, there), there

    def sample(ulps: float) -> tuple[Sample, Sample]:
        own, point = sampled(subject, None, ulps)
        with _in_float64(subject) as exact:
            return own, sampled(exact, point, ulps)[0]

    return in_both(report, eps, sample, dtype)


class _Point(NamedTuple):
    """Values of the tensors, in their own precision, and what is pulled back or pushed forward there."""

    tensors: list[Any]
    weights: list[Any]


def _point(check: Check, outputs: Outputs, mode: str, rng: np.random.Generator, beside: float) -> _Point:
    """Values beside those of the tensors, by that share of them."""

    def random(tensor: Any) -> Any:
        return torch.from_numpy(np.asarray(rng.uniform(-1, 1, tuple(tensor.shape)))).to(tensor.device)

    def near(tensor: Any) -> Any:
        own = tensor.detach()
        return (own.to(_HIGHER.get(own.dtype, own.dtype)) * (1 + beside * random(own))).to(own.dtype)

    if mode == "forward":
        weights = [random(tensor).to(tensor) for tensor in check.tensors]
    else:
        weights = outputs.cotangents if outputs.is_number else list(map(near, outputs.cotangents))
    return _Point(list(map(near, check.tensors)), weights)


def _sample(check: Check, mode: str, point: _Point) -> Sample:
    """Outputs there, and what is pulled back to the tensors; or, in forward mode, pushed forward to the outputs."""
    before = [tensor.detach().clone() for tensor in check.tensors]
    try:
        for tensor, there in zip(check.tensors, point.tensors, strict=True):
            tensor.data.copy_(there)
        found = check.outputs()()
        if mode == "reverse":
            derivatives = _pulled_back(found, check.tensors, point.weights)
        else:
            derivatives, _ = check.pushed_forward([w.to(t) for w, t in zip(point.weights, check.tensors, strict=True)])
        return Sample(_numbers(found), _numbers(derivatives))
    finally:
        for tensor, own in zip(check.tensors, before, strict=True):
            tensor.data.copy_(own)


def _pulled_back(outputs: list[Any], tensors: list[Any], cotangents: list[Any]) -> list[Any]:
    pairs = [(o, c.to(o.dtype)) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    if not pairs:
        return [torch.zeros_like(tensor) for tensor in tensors]
    grads = torch.autograd.grad([o for o, _ in pairs], tensors, [c for _, c in pairs], allow_unused=True)
    return [torch.zeros_like(t) if grad is None else grad for grad, t in zip(grads, tensors, strict=True)]


def _numbers(tensors: list[Any]) -> list[Any]:
    return [real(tensor).to(torch.float64).cpu().numpy().ravel().copy() for tensor in tensors]


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
        return func(*_mapped(self.higher, args), **_mapped(self.higher, kwargs or {}))


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(change, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        parts = [_mapped(change, inner) for inner in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return parts if isinstance(value, list) else tuple(parts)
    return change(value)


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
