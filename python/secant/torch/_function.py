"""A function of tensors as one of arrays, with the derivatives that autograd computes of it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from secant._common.validation import Array
from secant.checking import autodiff
from secant.checking.autodiff import Arrays
from secant.checking.candidate import CandidateGradient
from secant.checking.structure import Structure, mapped, walk
from secant.errors import DTypeError, UnsupportedError, ValueRangeError

_HIGHER = dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64)
_HIGHER |= dict.fromkeys((torch.complex64, torch.complex32), torch.complex128)
_IN_NUMPY = {torch.bfloat16: torch.float32, torch.complex32: torch.complex64}  # which lacks these two
_TENSOR: Any = torch.Tensor
_CASTS = dict.fromkeys((_TENSOR.float, _TENSOR.half, _TENSOR.bfloat16), _TENSOR.double)
_CASTS |= dict.fromkeys((_TENSOR.cfloat, _TENSOR.chalf), _TENSOR.cdouble)
_UNDEFINED = (
    "a backward function {} where gradients of its outputs are undefined: it must take None, or zeros, for such an "
    "output. check_undefined_grad=False leaves this out"
)
Change = Callable[[Any], Any]
"""Takes a tensor, or something else; returns what stands in its place."""


class Function(autodiff.Function):
    """A function, which gets new tensors each time, and the derivatives that autograd computes.

    Parameters
    ----------
    owner
        A module, or one of its methods: it gets other parameters, and its buffers are put back.
    function : callable
    arguments : tuple
    tensors : dict
        The tensors of the arguments, or of the module, that are checked, by name.
    of : str
        What the function is a derivative by, such as "-over-reverse"; then each of its outputs is one.
    undefined : bool
        Check also that undefined gradients of outputs count as 0.

    Attributes
    ----------
    skipped : list of str
        Floating-point outputs that have no gradient, where others have: they are not checked.
    """

    def __init__(
        self,
        owner: Any,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        tensors: dict[str, Any],
        of: str = "",
        undefined: bool = True,
    ) -> None:
        if torch.is_inference_mode_enabled():
            raise UnsupportedError("inference mode computes no gradients: leave torch.inference_mode() first")
        self._function, self._arguments, self.of, self._undefined = function, arguments, of, undefined
        module = getattr(owner, "__self__", owner)
        self._module = module if isinstance(module, torch.nn.Module) else torch.nn.Module()
        self._tensors = {name: tensor for name, tensor in tensors.items() if tensor.numel()}
        for name, tensor in self._tensors.items():
            require_known(f"{name} must be", tensor)
        self._begin(contextlib.nullcontext, lambda value: value)

    def _begin(self, precision: Callable[[], Any], converted: Change) -> None:
        self._precision, self._converted = precision, converted
        self._like = [*map(converted, self._tensors.values())]
        self.inputs = structure_of("inputs", self._like, list(self._tensors))
        self.is_used, self._paths = self.of != "", list[str]()
        with _Seen() as seen:
            self._outputs = [each.detach() for each in self._evaluated(self._fresh(self.inputs.value), list)]
        self.outputs = structure_of("outputs", self._outputs, self._paths)
        self.inside = [*map(name_of, seen.dtypes)]
        self.has_half = bool({*self.inside} - {"float32", "complex64"})

    def in_float64(self) -> Function:
        """The same function in float64."""
        other = copy.copy(self)
        other._begin(in_float64, higher)
        return other

    def values(self, x: Arrays) -> Arrays:
        """Its outputs."""
        return [*map(as_array, self._evaluated(self._fresh(x), list))]

    def pulled_back(self, x: Arrays, cotangents: Sequence[Array]) -> tuple[Arrays, Arrays]:
        """Its outputs, and the gradients of the sum of products of these and cotangents."""
        tensors, incoming = self._fresh(x), self.native(cotangents)
        outputs, grads = self._evaluated(tensors, lambda found: (found, self._gradients(found, tensors, incoming)))
        return [*map(as_array, outputs)], grads

    def pushed_forward(self, x: Arrays, tangents: Arrays) -> tuple[Arrays, Arrays]:
        """Its outputs, and their derivatives along tangents."""
        along = [*map(tensor_like, self._like, tangents)]
        with torch.enable_grad(), forward_ad.dual_level():  # also in a torch.no_grad() of the user's
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of TorchScript, which PyTorch calls here, and calls deprecated
                duals = [*map(forward_ad.make_dual, self._fresh(x), along)]
            found = self._evaluated(duals, lambda outputs: [*map(forward_ad.unpack_dual, outputs)])
        self.is_used = self.is_used or any(each.tangent is not None for each in found)
        pushed = [torch.zeros_like(each.primal) if each.tangent is None else each.tangent for each in found]
        return [as_array(each.primal) for each in found], [*map(as_array, pushed)]

    def gradient(self, grad_outputs: Any, rng: int, undefined: bool) -> Function:
        """The gradients that autograd computes, as a function of the arguments and of a list of cotangents."""
        if grad_outputs is None:
            numbers = autodiff.random_numbers(self.outputs, np.random.default_rng([rng, 2]))
            cotangents = [tensor.requires_grad_() for tensor in self.native(self.outputs.at(numbers))]
        else:
            cotangents = [leaf for _, leaf in walk("", grad_outputs)]

        def gradients(*both: Any) -> Any:
            arguments, cotangents = both[:-1], both[-1]
            tensors = list(differentiable(map(str, itertools.count()), arguments).values())
            outputs = self._kept(self._function(*arguments))
            grads = torch.autograd.grad(outputs, tensors, cotangents, create_graph=True, allow_unused=True)
            if not (found := [grad for grad in grads if grad is not None]):
                raise ValueRangeError("func must depend on inputs to check the gradient of that: autograd has none")
            return found

        tensors = self._tensors | differentiable((f"grad_outputs[{i}]" for i in itertools.count()), cotangents)
        return Function(self._module, gradients, (*self._arguments, cotangents), tensors, "-over-reverse", undefined)

    def fault(self, given: CandidateGradient, cotangents: Sequence[Array]) -> str:
        """What is wrong with backward functions that run again on one graph, or without gradients of some outputs."""
        incoming, own = self.native(cotangents), self.native(cotangents)
        tensors = self._fresh(self.inputs.value)

        def again(outputs: list[Any]) -> str:
            """The first or the second time."""
            return given.off(self._gradients(outputs, tensors, own, keep=True))

        with contextlib.suppress(Exception):  # a graph may run once only, as those of torch.compile
            off = self._evaluated(tensors, lambda outputs: again(outputs) or again(outputs))
            if not all(map(torch.equal, incoming, own)):
                return "the backward function overwrites the incoming gradient, which other functions use too"
            if off:
                return f"the backward function gives another gradient, by up to {off}, when it runs again on one graph"
        return self._fault_of_undefined(given, incoming) if self._undefined and len(incoming) > 1 else ""

    def native(self, cotangents: Sequence[Array]) -> list[Any]:
        """Cotangents as tensors."""
        return [*map(tensor_like, self._outputs, cotangents)]

    def _fault_of_undefined(self, given: CandidateGradient, cotangents: list[Any]) -> str:
        """What is wrong where the gradient of one output alone is defined: all of these add up to the gradient."""

        def alone(i: int) -> Any:
            tensors = self._fresh(self.inputs.value)
            return self._evaluated(tensors, lambda found: self._gradients([found[i]], tensors, [cotangents[i]]))

        try:
            off = given.off([sum(parts) for parts in zip(*map(alone, range(len(cotangents))), strict=True)])
        except Exception as error:
            return _UNDEFINED.format(f"raises an error, {type(error).__name__}: {error},")
        return _UNDEFINED.format(f"gives another gradient, by up to {off},") if off else ""

    def _evaluated(self, tensors: list[Any], what: Callable[[list[Any]], Any]) -> Any:
        """What is computed from the outputs at tensors, whose values the module and the arguments have meanwhile.

        All other tensors are copies, which f may write to.
        """
        values = list(zip(self._tensors.values(), tensors, strict=True))
        fresh = {id(own): tensor for own, tensor in values}

        def copied(value: Any) -> Any:
            return value.detach().to(self._converted(value.dtype), copy=True)

        def current(value: Any) -> Any:
            if isinstance(value, torch.Tensor) and id(value) not in fresh:
                fresh[id(value)] = copied(value).requires_grad_(value.requires_grad)
            return fresh.get(id(value), self._converted(value))

        values += [(own, copied(own)) for own in self._module.parameters() if id(own) not in fresh]

        arguments = mapped(self._arguments, current)
        with borrowed(self._module, values, current), torch.enable_grad(), self._precision():
            return what(self._kept(self._function(*arguments)))

    def _kept(self, value: Any) -> list[Any]:
        """The outputs that are checked."""
        found = floating(value)
        if not self._paths:
            self._paths = list(found if self.of else with_gradient(found))
            self.skipped = [path for path in found if path not in self._paths]
        return [found[path] for path in self._paths]

    def _fresh(self, arrays: Sequence[Array]) -> list[Any]:
        """New tensors with these elements, and with the hooks of the user's, which may change gradients."""
        fresh = [tensor_like(*pair).requires_grad_() for pair in zip(self._like, arrays, strict=True)]
        for own, tensor in zip(self._tensors.values(), fresh, strict=True):
            for hook in (own._backward_hooks or {}).values():
                tensor.register_hook(hook)
        return fresh

    def _gradients(self, outputs: list[Any], tensors: list[Any], cotangents: list[Any], keep: bool = False) -> Arrays:
        """The gradients that autograd computes of the sum of products of outputs and cotangents; 0 where it has none.

        f may use new tensors and the user's own, which have the same values: their gradients add up. ``keep`` the
        graph, so that backward functions can run again.
        """
        defined = [(output, c) for output, c in zip(outputs, cotangents, strict=True) if output.requires_grad]
        both = [*tensors, *self._tensors.values()]
        grads: Sequence[Any] = [None] * len(both)
        if defined:
            own, incoming = zip(*defined, strict=True)
            grads = torch.autograd.grad(own, both, incoming, allow_unused=True, retain_graph=keep)
        self.is_used = self.is_used or any(grad is not None for grad in grads)
        gradients = list[Array]()
        for tensor, *parts in zip(tensors, grads[: len(tensors)], grads[len(tensors) :], strict=True):
            known = [part for part in parts if part is not None] or [torch.zeros_like(tensor)]
            gradients.append(as_array(sum(known[1:], known[0])))
        return gradients


def differentiable(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """The tensors in named arguments that require a gradient, each once, by where they are."""
    found = dict[int, tuple[str, Any]]()
    for path, leaf in itertools.chain.from_iterable(map(walk, names, values)):
        if isinstance(leaf, torch.Tensor) and leaf.requires_grad:
            found.setdefault(id(leaf), (path, leaf))
    return dict(found.values())


def require_known(wanted: str, tensor: Any, where: str = "") -> None:
    """Raise an error unless a tensor is dense, and of a type that is checked."""
    if tensor.layout != torch.strided:
        raise UnsupportedError(f"{wanted} dense, got {tensor.layout}{where}")
    if tensor.dtype not in (*_HIGHER, *_HIGHER.values()):
        raise DTypeError(f"{wanted} float64, float32, float16, bfloat16 or complex, got {tensor.dtype}{where}")


def floating(value: Any) -> dict[str, Any]:
    """The tensors of floating-point numbers that a function returns, by where they are."""
    found = {}
    for path, output in walk("output", value):
        if isinstance(output, torch.Tensor):
            if output.is_floating_point() or output.is_complex():
                require_known("outputs of func must be", output, f" as {path}")
                found[path] = output
        elif not (output is None or isinstance(output, bool | int | float | complex | str | np.generic)):
            raise DTypeError(
                "func must return tensors, or dicts, lists, tuples or dataclasses of them, got "
                f"{type(output).__name__} as {path}"
            )
    if not found:
        raise DTypeError("func must return a tensor of floating-point numbers, got none")
    return found


def with_gradient(found: dict[str, Any]) -> dict[str, Any]:
    """Those that have a gradient; or all, if none has."""
    return {path: output for path, output in found.items() if output.requires_grad} or found


def name_of(dtype: Any) -> str:
    """The name of a type: float32, say."""
    return str(dtype).removeprefix("torch.")


def structure_of(title: str, tensors: Sequence[Any], names: Sequence[str]) -> Structure:
    """Tensors as a structure of arrays."""
    return Structure(title, [*map(as_array, tensors)], names, [name_of(each.dtype) for each in tensors if each.numel()])


def as_array(tensor: Any) -> Array:
    """A tensor as an array."""
    tensor = tensor.detach().to_dense().clone()
    array: Array = tensor.to(_IN_NUMPY.get(tensor.dtype, tensor.dtype)).numpy(force=True)
    return array


def tensor_like(like: Any, values: Array) -> Any:
    """A new tensor of the same type, device and strides with other elements."""
    return torch.empty_like(like).copy_(torch.from_numpy(np.asarray(values)))


@contextlib.contextmanager
def borrowed(module: Any, values: Sequence[tuple[Any, Any]], current: Change) -> Iterator[None]:
    """Give tensors other values, and a module copies of those that it keeps; in the end all is as it was."""
    modules = list(module.modules())
    attributes = [dict(vars(each)) for each in modules]
    held = [own for each in attributes for own in each.values() if type(own) in (dict, list)]
    contents = [own.copy() for own in held]
    before = [(own, own.data, own.grad if own.is_leaf or own.retains_grad else None) for own, _ in values]

    def copied(value: Any) -> Any:
        is_own = not isinstance(value, torch.Tensor) or isinstance(value, torch.nn.Parameter)
        return value if is_own else current(value)

    try:
        torch.clear_autocast_cache()  # which knows tensors, not their values
        for own, value in values:
            own.grad, own.data = None, value
        for each in modules:
            vars(each).update({name: copied(value) for name, value in vars(each).items()})
            vars(each).update(_buffers=mapped(each._buffers, current))
        yield
    finally:
        torch.clear_autocast_cache()
        for own, value, grad in before:
            own.grad, own.data = None, value
            own.grad = grad
        for own, content in zip(held, contents, strict=True):
            own.clear()
            (own.update if type(own) is dict else own.extend)(content)
        for each, attribute in zip(modules, attributes, strict=True):
            vars(each).clear()  # also of what it has added
            vars(each).update(attribute)


def higher(value: Any) -> Any:
    """A tensor of lower precision in float64; of a type that of higher precision; anything else as it is."""
    if isinstance(value, torch.dtype):
        return _HIGHER.get(value, value)
    return value.to(_HIGHER[value.dtype]) if isinstance(value, torch.Tensor) and value.dtype in _HIGHER else value


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """While the context lasts, PyTorch's functions compute in float64, and what is new is in float64, too."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Float64():
            yield
    finally:
        torch.set_default_dtype(default)


class _Seen(TorchFunctionMode):  # type: ignore[misc]
    """Remembers in what precision PyTorch's functions return what has a gradient, where it is less than float64."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes = set[Any]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **kwargs or {})
        tensors = (each for _, each in walk("", returned) if isinstance(each, torch.Tensor))
        self.dtypes |= {each.dtype for each in tensors if each.requires_grad and each.dtype in _HIGHER}
        return returned


class _Float64(TorchFunctionMode):  # type: ignore[misc]
    """Gives PyTorch's functions a twin in float64 of each tensor of lower precision, which f may write to."""

    def __init__(self) -> None:
        super().__init__()
        self._twins = dict[int, tuple[Any, Any]]()  # the tensor itself too, so that its id stays its own

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _CASTS.get(func, func)(*mapped(args, self._twin), **mapped(kwargs or {}, self._twin))

    def _twin(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype not in _HIGHER:
            return higher(value)
        if id(value) not in self._twins:
            self._twins[id(value)] = value, higher(value)
        return self._twins[id(value)][1]
