"""A function of tensors as one of arrays, with the derivatives that autograd computes of it."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from secant._common.validation import Array
from secant.checking import autodiff
from secant.checking.autodiff import Arrays
from secant.checking.candidate import CandidateGradient
from secant.checking.options import Options
from secant.checking.structure import mapped
from secant.checking.vector import random_weights
from secant.errors import DTypeError, ShapeError, ValueRangeError
from secant.torch._tensors import (
    Change,
    as_array,
    differentiable,
    floating,
    kind_of,
    leaves,
    pulled_back,
    require_known,
    tensor_like,
    with_gradient,
)

_HIGHER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}
_CASTS = {torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16}
_UNDEFINED = (
    "a backward function {} where gradients of its outputs are undefined: it must take None, or zeros, for such an "
    "output. check_undefined_grad=False leaves this out"
)


class Subject(NamedTuple):
    """What is checked: a function of arguments, and the tensors of these, or of a module, by name.

    Attributes
    ----------
    owner
        A module, or one of its methods: it gets other parameters, and its buffers are put back.
    of : str
        What the function is a derivative by, such as "-over-reverse"; then each of its outputs is one.
    undefined : bool, optional
        Where only the gradient of one of several outputs is defined, the others count as 0, unless this is False;
        where it is True, so do those of all.
    """

    owner: Any
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    tensors: dict[str, Any]
    options: Options
    of: str = ""
    undefined: bool | None = None


class Function(autodiff.Function):
    """A function, which gets new tensors each time, and the derivatives that autograd computes.

    Attributes
    ----------
    skipped : list of str
        Floating-point outputs that have no gradient, where others have: they are not checked.
    """

    def __init__(self, subject: Subject, in_float64: bool = False) -> None:
        self._subject, self._mode = subject, _Float64() if in_float64 else None
        self._higher: Change = self._mode.higher if self._mode else lambda value: value
        given = {name: each for name, each in subject.tensors.items() if each.numel()}
        for name, tensor in given.items():
            require_known(f"{name} must be", tensor)
        self._given = list(given.values())
        self._like = [*map(self._higher, self._given)]
        self.names = [f"view_as_real({name})" if each.is_complex() else name for name, each in given.items()]
        self.arrays, self.arguments = [*map(as_array, self._like)], [*map(kind_of, self._like)]
        self.of, self.is_used = subject.of, subject.of != ""
        self._paths: dict[str, Any] = {}
        self._outputs = [each.detach() for each in self._evaluated(self._fresh(self.arrays), list)]
        self.outputs = [*map(kind_of, self._outputs)]

    def values(self, arrays: Sequence[Array]) -> Arrays:
        """Its outputs."""
        return [*map(as_array, self._evaluated(self._fresh(arrays), list))]

    def pulled_back(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> tuple[Arrays, Arrays]:
        """Its outputs, and the gradients of the sum of products of these and cotangents."""
        tensors, incoming = self._fresh(arrays), self._incoming(cotangents)
        outputs, grads = self._evaluated(tensors, lambda found: (found, pulled_back(found, tensors, incoming)))
        self.is_used |= any(grad is not None for grad in grads)
        return [*map(as_array, outputs)], self._numbers(grads)

    def pushed_forward(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> tuple[Arrays, Arrays]:
        """Its outputs, and their derivatives along tangents."""
        along = [*map(tensor_like, self._like, tangents)]
        with torch.enable_grad(), forward_ad.dual_level():  # also in a torch.no_grad() of the user's
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of what it compiles when it is called first
                duals = [*map(forward_ad.make_dual, self._fresh(arrays), along)]
            found = self._evaluated(duals, lambda outputs: [*map(forward_ad.unpack_dual, outputs)])
        self.is_used |= any(each.tangent is not None for each in found)
        pushed = [torch.zeros_like(each.primal) if each.tangent is None else each.tangent for each in found]
        return [as_array(each.primal) for each in found], [*map(as_array, pushed)]

    def fault(self, given: CandidateGradient, cotangents: Sequence[Array]) -> str:
        """What is wrong with backward functions that run again, or without the gradients of some outputs."""
        incoming = self._incoming(cotangents)
        return self._fault_of_a_second_run(given, incoming) or self._fault_of_undefined(given, incoming)

    def told(self, cotangents: Arrays) -> Any:
        """Cotangents as tensors."""
        return self._incoming(cotangents)

    def _fault_of_a_second_run(self, given: CandidateGradient, cotangents: list[Any]) -> str:
        """What is wrong with backward functions that run again on one graph."""
        tensors, incoming = self._fresh(self.arrays), [cotangent.clone() for cotangent in cotangents]

        def fault(outputs: list[Any]) -> str:
            for _ in range(2):
                off = given.off(self._numbers(pulled_back(outputs, tensors, incoming, keep=True)))
                if not all(map(torch.equal, incoming, cotangents)):
                    return "the backward function overwrites the incoming gradient, which other functions use too"
                if off:
                    return (
                        f"the backward function gives another gradient, by up to {off}, when it runs again on one graph"
                    )
            return ""

        with contextlib.suppress(Exception):  # a graph may run once only, as those of torch.compile
            return str(self._evaluated(tensors, fault))
        return ""

    def _fault_of_undefined(self, given: CandidateGradient, cotangents: list[Any]) -> str:
        """What is wrong where gradients of outputs are undefined: of all but one, and, if that is wanted, of all."""
        every, tensors = self._subject.undefined, self._fresh(self.arrays)
        if every is False:
            return ""

        def alone(i: int, outputs: list[Any]) -> Arrays:
            return self._numbers(pulled_back([outputs[i]], tensors, [cotangents[i]]))

        def of_none(outputs: list[Any]) -> Arrays:
            undefined = [torch._C._functions.UndefinedGrad()(output) for output in outputs]
            return self._numbers(pulled_back(undefined, tensors, [torch.zeros_like(output) for output in outputs]))

        try:
            if every and any(array.any() for array in self._evaluated(tensors, of_none)):
                return _UNDEFINED.format("returns other gradients than 0")
            singly = [self._evaluated(tensors, functools.partial(alone, i)) for i in range(len(cotangents))]
        except Exception as error:
            return _UNDEFINED.format(f"raises an error, {type(error).__name__}: {error},") if every else ""
        off = given.off([sum(parts) for parts in zip(*singly, strict=True)]) if len(singly) > 1 else ""
        return _UNDEFINED.format(f"gives another gradient, by up to {off},") if off else ""

    def _evaluated(self, tensors: list[Any], what: Callable[[list[Any]], Any]) -> Any:
        """What is computed from the outputs at tensors, which the module and the arguments have meanwhile."""
        fresh = {id(own): each for own, each in zip(self._given, tensors, strict=True)}

        def current(value: Any) -> Any:
            return fresh[id(value)] if id(value) in fresh else self._higher(value)

        arguments = mapped(self._subject.arguments, current)
        precision = self._mode.active() if self._mode else contextlib.nullcontext()
        # In float64, even the type that a tensor says it has is that of its twin.
        with substituted(self._subject.owner, current), torch.enable_grad(), precision:
            return what(self._kept(self._subject.function(*arguments)))

    def _kept(self, value: Any) -> list[Any]:
        """The outputs that are checked."""
        found = floating(value)
        if not self._paths:
            kept = found if self.of else with_gradient(found)
            self._paths = {path: tuple(output.shape) for path, output in kept.items()}
            self.skipped = [path for path in found if path not in kept]
        shapes = {path: tuple(found[path].shape) for path in self._paths if path in found}
        if shapes != self._paths:
            raise ShapeError(f"func must always return the same shapes, {self._paths}, got {shapes}")
        return [found[path] for path in self._paths]

    def _fresh(self, arrays: Sequence[Array]) -> list[Any]:
        """New tensors with these elements."""
        found = [*map(tensor_like, self._like, arrays)]
        pairs = zip(found, self._given, strict=True)
        return [
            torch.nn.Parameter(new) if isinstance(own, torch.nn.Parameter) else new.requires_grad_()
            for new, own in pairs
        ]

    def _incoming(self, cotangents: Sequence[Array]) -> list[Any]:
        return [*map(tensor_like, self._outputs, cotangents)]

    def _numbers(self, grads: Sequence[Any]) -> Arrays:
        """Gradients as arrays; None is 0."""
        pairs = zip(grads, self.arrays, strict=True)
        return [np.zeros_like(array) if grad is None else as_array(grad) for grad, array in pairs]


def gradient_of(
    function: Callable[..., Any], arguments: tuple[Any, ...], grad_outputs: Any, rng: int
) -> tuple[Callable[..., Any], list[Any]]:
    """The gradients of a function, as a function of its arguments and a list of cotangents; and that list."""

    def outputs(arguments: tuple[Any, ...]) -> list[Any]:
        return list(with_gradient(floating(function(*arguments))).values())

    with substituted(function, lambda value: value), torch.enable_grad():
        found, numbers = outputs(arguments), np.random.default_rng([rng, 2])
    if not any(output.requires_grad for output in found):
        raise DTypeError("func must return a tensor with a gradient to check the gradient of that, got none")
    if grad_outputs is None:
        cotangents = [tensor_like(o, random_weights(kind_of(o).shape, numbers)).requires_grad_() for o in found]
    else:
        cotangents = [leaf for _, leaf in leaves("", grad_outputs)]

    def gradients(*both: Any) -> Any:
        arguments, cotangents = both[:-1], both[-1]
        tensors = list(differentiable("inputs", arguments).values())
        grads = torch.autograd.grad(outputs(arguments), tensors, cotangents, create_graph=True, allow_unused=True)
        if all(grad is None for grad in grads):
            raise ValueRangeError("func must depend on inputs to check the gradient of that: autograd has none in any")
        return [grad for grad in grads if grad is not None]

    return gradients, cotangents


@contextlib.contextmanager
def substituted(owner: Any, current: Change) -> Iterator[None]:
    """Give a module, or that of a method, other tensors, and copies of its buffers; then it has all it had again."""
    module = getattr(owner, "__self__", owner)
    owners = list(module.modules()) if isinstance(module, torch.nn.Module) else []
    owners = [each for each in owners if not isinstance(each, torch.jit.ScriptModule)]
    originals, copies = [dict(vars(each)) for each in owners], dict[int, Any]()

    def copied(buffer: Any) -> Any:
        if isinstance(buffer, torch.Tensor) and id(buffer) not in copies:
            copies[id(buffer)] = current(buffer).detach().clone()
        return copies.get(id(buffer), buffer)

    try:
        for each in owners:
            parameters, buffers = mapped(each._parameters, current), mapped(each._buffers, copied)
            vars(each).update(_parameters=parameters, _buffers=buffers)
        yield
    finally:
        for each, attributes in zip(owners, originals, strict=True):
            vars(each).clear()  # also of what it has cached
            vars(each).update(attributes)


class _Float64(TorchFunctionMode):  # type: ignore[misc]
    """Gives PyTorch's functions a twin in float64 of each tensor of lower precision, as they are met."""

    def __init__(self) -> None:
        super().__init__()
        self._twins: dict[int, tuple[Any, Any]] = {}  # the tensor itself too, so that its id stays its own

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """While the context lasts, what is new is in float64, too."""
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with self:
                yield
        finally:
            torch.set_default_dtype(default)

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
