"""A function of tensors as one of arrays, with the derivatives that autograd computes
of it.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import random
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Number
from typing import Any, TypeVar

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from secant._common.interrupts import held_interrupts
from secant._common.validation import Array
from secant.checking import autodiff
from secant.checking.autodiff import Arrays
from secant.checking.candidate import CandidateGradient
from secant.checking.reproducer import Call
from secant.checking.structure import Structure, mapped, walk
from secant.errors import DTypeError, UnsupportedError, ValueRangeError

_HIGHER = dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64)
_HIGHER |= dict.fromkeys((torch.complex64, torch.complex32), torch.complex128)
# which lacks these two
_IN_NUMPY = {torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
_TENSOR: Any = torch.Tensor
_CUDA: Any = torch.cuda
_MODE: Any = TorchFunctionMode  # whose methods have no types
_OPERATOR_MODE: Any = TorchDispatchMode
_CASTS = dict.fromkeys((_TENSOR.float, _TENSOR.half, _TENSOR.bfloat16), _TENSOR.double)
_CASTS |= dict.fromkeys((_TENSOR.cfloat, _TENSOR.chalf), _TENSOR.cdouble)
_SAMPLERS = frozenset(
    (
        *("rand", "rand_like", "randn", "randn_like", "normal", "bernoulli"),
        *(
            "normal_",
            "uniform_",
            "bernoulli_",
            "exponential_",
            "log_normal_",
            "cauchy_",
        ),
        *("geometric_", "random_", "multinomial", "binomial", "poisson"),
    )
)
"""Operators that draw other numbers in other types, and whose results have no
derivative. Dropout, distributions and what else is random consist of these. Gamma's and
Dirichlet's numbers are the same in all types.
"""
_UNDEFINED = (
    "a backward function {} where gradients of its outputs are undefined: it must take"
    " None, or zeros, for such an output. check_undefined_grad=False leaves this out"
)
_ONE_CHECK = threading.RLock()
T = TypeVar("T")
Change = Callable[[Any], Any]
"""Takes a tensor, or something else; returns what stands in its place."""


class Function(autodiff.Function):
    """A function of tensors, which get other values each time, and the derivatives that
    autograd computes.

    Parameters
    ----------
    owners : iterable
        The parameters of those that are modules get other values, and their buffers are
        restored.
    function : callable
    arguments : tuple
    tensors : dict
        The tensors of the arguments, or of the module, that are checked, by name.
    of : str
        What the function is a derivative by, such as "-over-reverse"; then each of its
        outputs is one.
    undefined : bool
        Check also that undefined gradients of outputs count as 0.

    Attributes
    ----------
    skipped : list of str
        Floating-point outputs that have no gradient, where others have: they are not
        checked.
    """

    def __init__(
        self,
        owners: Iterable[Any],
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        tensors: dict[str, Any],
        of: str = "",
        undefined: bool = True,
    ) -> None:
        if torch.is_inference_mode_enabled():
            raise UnsupportedError(
                "inference mode computes no gradients: leave torch.inference_mode()"
                " first"
            )
        self._function = function
        self._arguments = arguments
        self.of = of
        self._undefined = undefined
        self._module = torch.nn.ModuleList(
            each for each in owners if isinstance(each, torch.nn.Module)
        )
        self._tensors = {
            name: tensor for name, tensor in tensors.items() if tensor.numel()
        }
        # A tensor that is not a leaf is replaced by one that shares its elements, as
        # its own graph must not change.
        found = self._tensors.values()
        self._leaves = {
            id(own): own if own.is_leaf else own.detach().requires_grad_()
            for own in found
        }
        self._begin(contextlib.nullcontext, lambda value: value)

    def _begin(self, precision: Callable[[], Any], converted: Change) -> None:
        self._precision = precision
        self._converted = converted
        self._like = [*map(converted, self._tensors.values())]
        self.inputs = structure_of("inputs", self._like, list(self._tensors))
        self.is_used = self.of != ""
        self._paths = list[str]()
        self._drawn = dict[Any, list[Any]]()
        seen = _Seen()
        with entered(seen, _Draws(self._drawn)):
            self._outputs = self._evaluated(
                self.inputs.value, lambda found: [each.detach() for each in found]
            )
        self.outputs = structure_of("outputs", self._outputs, self._paths)
        self.inside = [*map(name_of, seen.dtypes)]
        self.has_half = bool({*self.inside} - {"float32", "complex64"})

    def in_float64(self) -> Function:
        """The same function in float64."""
        other = copy.copy(self)
        drawn = self._drawn

        def precision() -> Any:
            return (
                entered(_InFloat64(), _DrawsAlike(drawn))
                if drawn
                else entered(_InFloat64())
            )

        other._begin(precision, higher)
        return other

    def call(self, x: Arrays) -> Call:
        """How a program calls it; parameters of a module are no arguments."""
        made = dict(zip(self._leaves, map(tensor_like, self._like, x), strict=True))
        tensors = [each.requires_grad_() for each in made.values()]
        parts = (("real", "imag") if each.is_complex() else ("",) for each in tensors)
        checked = [
            (each, part)
            for each, own in zip(tensors, parts, strict=True)
            for part in own
        ]
        arguments = mapped(self._arguments, lambda value: made.get(id(value), value))
        return Call(
            self._function,
            arguments,
            self.inputs.names,
            checked,
            "torch",
            outputs=self._paths,
        )

    def values(self, x: Arrays) -> Arrays:
        """Its outputs."""
        return self._evaluated(x, lambda found: [*map(as_array, found)])

    def pulled_back(
        self, x: Arrays, cotangents: Sequence[Array]
    ) -> tuple[Arrays, Arrays]:
        """Its outputs, and the gradients of the sum of products of these and
        cotangents.
        """
        incoming = self.native(cotangents)
        return self._evaluated(
            x, lambda found: ([*map(as_array, found)], self._gradients(found, incoming))
        )

    def pushed_forward(self, x: Arrays, tangents: Arrays) -> tuple[Arrays, Arrays]:
        """Its outputs, and their derivatives along tangents."""
        along = [*map(tensor_like, self._like, tangents)]
        with forward_ad.dual_level(), warnings.catch_warnings():
            # which PyTorch calls here, and calls deprecated
            warnings.filterwarnings("ignore", "`torch.jit.script")
            found = self._evaluated(
                x, lambda outputs: [*map(forward_ad.unpack_dual, outputs)], along
            )
        primals, pushed = zip(*found, strict=True)
        return [*map(as_array, primals)], self._derivatives(primals, pushed)

    def gradient(self, grad_outputs: Any, rng: int) -> Function:
        """The gradients that autograd computes, as a function of the arguments and of a
        list of cotangents.
        """
        if grad_outputs is None:
            numbers = autodiff.random_numbers(
                self.outputs, np.random.default_rng([rng, 2])
            )
            cotangents = [
                tensor.requires_grad_()
                for tensor in self.native(self.outputs.at(numbers))
            ]
        else:
            cotangents = [leaf for _, leaf in walk("", grad_outputs)]

        def gradients(*both: Any) -> Any:
            arguments = both[:-1]
            cotangents = both[-1]
            tensors = list(
                differentiable(map(str, itertools.count()), arguments).values()
            )
            outputs = self._kept(self._function(*arguments))
            grads = torch.autograd.grad(
                outputs, tensors, cotangents, create_graph=True, allow_unused=True
            )
            if not (found := [grad for grad in grads if grad is not None]):
                raise ValueRangeError(
                    "func must depend on inputs to check the gradient of that: autograd"
                    " has none"
                )
            return found

        tensors = self._tensors | differentiable(
            (f"grad_outputs[{i}]" for i in itertools.count()), cotangents
        )
        given = *self._arguments, cotangents
        return Function(
            [self._module], gradients, given, tensors, "-over-reverse", self._undefined
        )

    def fault(self, given: CandidateGradient, cotangents: Sequence[Array]) -> str:
        """What is wrong with backward functions that run again on one graph, or without
        gradients of some outputs.
        """
        incoming = self.native(cotangents)
        own = self.native(cotangents)

        def again(outputs: list[Any]) -> str:
            """The first or the second time."""
            return given.off(self._gradients(outputs, own, keep=True))

        # a graph may run once only, as those of torch.compile
        with contextlib.suppress(Exception):
            off = self._evaluated(
                self.inputs.value, lambda outputs: again(outputs) or again(outputs)
            )
            if not all(map(torch.equal, incoming, own)):
                return (
                    "the backward function overwrites the incoming gradient, which"
                    " other functions use too"
                )
            if off:
                return (
                    f"the backward function gives another gradient, by up to {off},"
                    " when it runs again on one graph"
                )
        return (
            self._fault_of_undefined(given, incoming)
            if self._undefined and len(incoming) > 1
            else ""
        )

    def native(self, cotangents: Sequence[Array]) -> list[Any]:
        """Cotangents as tensors."""
        return [*map(tensor_like, self._outputs, cotangents)]

    def _fault_of_undefined(
        self, given: CandidateGradient, cotangents: list[Any]
    ) -> str:
        """What is wrong where the gradient of one output alone is defined: all of these
        add up to the gradient.
        """

        def alone(i: int) -> Any:
            return self._evaluated(
                self.inputs.value,
                lambda found: self._gradients([found[i]], [cotangents[i]]),
            )

        try:
            off = given.off(
                [
                    sum(parts)
                    for parts in zip(*map(alone, range(len(cotangents))), strict=True)
                ]
            )
        except Exception as error:
            return _UNDEFINED.format(
                f"raises an error, {type(error).__name__}: {error},"
            )
        return (
            _UNDEFINED.format(f"gives another gradient, by up to {off},") if off else ""
        )

    def _evaluated(
        self, x: Arrays, what: Callable[[list[Any]], T], along: Sequence[Any] = ()
    ) -> T:
        """What is computed from the outputs at x, which the user's own tensors hold
        meanwhile.

        Arguments are views of these, with tangents ``along``. Other parameters hold
        copies of their values. All other tensors are replaced by copies. f may write to
        copies.
        """
        leaves = list(self._leaves.values())
        parameters = {
            id(own): own
            for own in self._module.parameters()
            if id(own) not in self._leaves
        }
        known = self._leaves | parameters

        def copied(value: Any) -> Any:
            return value.detach().to(self._converted(value.dtype), copy=True)

        def current(value: Any) -> Any:
            if isinstance(value, torch.Tensor) and id(value) not in known:
                known[id(value)] = copied(value).requires_grad_(value.requires_grad)
            return known.get(id(value), self._converted(value))

        values = list(zip(leaves, map(tensor_like, self._like, x), strict=True))
        values += [(own, copied(own)) for own in parameters.values()]
        with borrowed(self._module, values, current), torch.enable_grad():
            views = (
                [*map(forward_ad.make_dual, leaves, along)]
                if along
                else [own[...] for own in leaves]
            )
            given = dict(zip(self._leaves, views, strict=True))
            arguments = mapped(
                self._arguments, lambda value: given.get(id(value), current(value))
            )
            with self._precision():
                return what(self._kept(self._function(*arguments)))

    def _kept(self, value: Any) -> list[Any]:
        """The outputs that are checked."""
        found = floating(value)
        if not self._paths:
            self._paths = [
                path for path in found if self.of or found[path].requires_grad
            ] or list(found)
            self.skipped = [path for path in found if path not in self._paths]
        return [found[path] for path in self._paths]

    def _gradients(
        self, outputs: list[Any], cotangents: list[Any], keep: bool = False
    ) -> Arrays:
        """The gradients that autograd computes of the sum of products of outputs and
        cotangents.

        ``keep`` the graph, so that backward functions can run again.
        """
        inputs = list(self._leaves.values())
        in_graph = [output for output in outputs if output.requires_grad]
        incoming = [
            c
            for output, c in zip(outputs, cotangents, strict=True)
            if output.requires_grad
        ]
        grads = torch.autograd.grad(
            in_graph, inputs, incoming, allow_unused=True, retain_graph=keep
        )
        return self._derivatives(inputs, grads)

    def _derivatives(self, of: Sequence[Any], found: Sequence[Any]) -> Arrays:
        """What autograd computes, as arrays: 0 where it has none.

        If it has any, f depends on an argument.
        """
        self.is_used = self.is_used or any(each is not None for each in found)
        return [
            as_array(torch.zeros_like(own) if each is None else each)
            for own, each in zip(of, found, strict=True)
        ]


def differentiable(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """The tensors in named arguments that require a gradient, each once, by where they
    are.
    """
    found = dict[int, tuple[str, Any]]()
    for path, leaf in itertools.chain.from_iterable(map(walk, names, values)):
        if isinstance(leaf, torch.Tensor) and leaf.requires_grad:
            found.setdefault(id(leaf), (path, leaf))
    return dict(found.values())


def floating(value: Any) -> dict[str, Any]:
    """The tensors of floating-point numbers that a function returns, by where they
    are.
    """
    found = {}
    for path, output in walk("output", value):
        if not isinstance(output, torch.Tensor | Number | str | None):
            raise DTypeError(
                "func must return tensors, or dicts, lists, tuples or dataclasses of"
                f" them, got {type(output).__name__} as {path}: leave it out, such as"
                " by loss=lambda output: output.logits"
            )
        if isinstance(output, torch.Tensor) and (
            output.is_floating_point() or output.is_complex()
        ):
            found[path] = output
    if not found:
        has_tensors = any(
            isinstance(output, torch.Tensor) for _, output in walk("output", value)
        )
        error = autodiff.NoFloatingPointError if has_tensors else DTypeError
        raise error(
            "func must return a tensor of floating-point numbers, got no such tensor"
        )
    return found


def name_of(dtype: Any) -> str:
    """The name of a type: float32, say."""
    return str(dtype).removeprefix("torch.")


def structure_of(title: str, tensors: Sequence[Any], names: Sequence[str]) -> Structure:
    """Tensors as a structure of arrays: they must be dense."""
    for name, tensor in zip(names, tensors, strict=True):
        if tensor.layout != torch.strided:
            raise UnsupportedError(f"{name} must be dense, got {tensor.layout}")
    return Structure(
        title,
        [*map(as_array, tensors)],
        names,
        [name_of(each.dtype) for each in tensors if each.numel()],
    )


def as_array(tensor: Any) -> Array:
    """A tensor as an array."""
    tensor = tensor.detach().to_dense().clone()
    array: Array = tensor.to(_IN_NUMPY.get(tensor.dtype, tensor.dtype)).numpy(
        force=True
    )
    return array


def tensor_like(like: Any, values: Array) -> Any:
    """A new tensor of the same type, device and strides with other elements."""
    return torch.empty_like(like).copy_(torch.from_numpy(np.asarray(values)))


@contextlib.contextmanager
def put_back(restore: Callable[[], None]) -> Iterator[None]:
    """Restore what a block changes, however it ends: also where Ctrl-C comes just
    before that begins.
    """
    is_restored = False
    try:
        try:
            yield
        finally:
            with held_interrupts():
                restore()
                is_restored = True
    finally:
        if not is_restored:
            with held_interrupts():
                restore()


@contextlib.contextmanager
def entered(*modes: Any) -> Iterator[None]:
    """Enter modes of PyTorch, and leave them, however a block ends.

    Meanwhile functions that torch.compile made run as they were written: under a mode
    it would compile them never again.
    """
    stack = contextlib.ExitStack()
    with put_back(stack.close):
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        for mode in modes:
            stack.enter_context(mode)
        yield


@contextlib.contextmanager
def borrowed(
    module: Any, values: Sequence[tuple[Any, Any]], current: Change
) -> Iterator[None]:
    """Give tensors other values, and a module copies of those that it keeps; in the end
    all is as it was.
    """
    modules = list(module.modules())
    held = [
        own
        for each in modules
        for own in (vars(each), *vars(each).values())
        if type(own) in (dict, list)
    ]
    contents = [own.copy() for own in held]
    before = [(own, own.data, own.grad) for own, _ in values]

    def restore() -> None:
        torch.clear_autocast_cache()
        for own, value, grad in before:
            own.grad = None
            own.data = value
            own.grad = grad
        for own, content in zip(held, contents, strict=True):
            own.clear()  # also of what was added
            (own.update if type(own) is dict else own.extend)(content)

    with put_back(restore):
        torch.clear_autocast_cache()  # which knows tensors, not their values
        for own, value in values:
            own.grad = None
            own.data = value
        for each in modules:
            tensors = {
                name: own
                for name, own in vars(each).items()
                if isinstance(own, torch.Tensor)
            }
            vars(each).update(mapped(tensors | {"_buffers": each._buffers}, current))
        yield


@contextlib.contextmanager
def shared_state() -> Iterator[None]:
    """Wait until no other thread checks, and put back what all threads share: random
    states and the default type.

    Tensors of the user have other values meanwhile, which another check would take for
    theirs. f may set seeds.
    """
    with _ONE_CHECK:
        of_python = random.getstate()
        of_numpy = np.random.get_state()
        of_torch = torch.get_rng_state()
        of_devices = _CUDA.get_rng_state_all() if _CUDA.is_initialized() else []
        default = torch.get_default_dtype()

        def restore() -> None:
            torch.set_default_dtype(default)
            random.setstate(of_python)
            np.random.set_state(of_numpy)
            torch.set_rng_state(of_torch)
            if of_devices:
                _CUDA.set_rng_state_all(of_devices)

        with put_back(restore):
            yield


def higher(value: Any) -> Any:
    """A tensor of lower precision in float64; of a type that of higher precision;
    anything else as it is.
    """
    if isinstance(value, torch.dtype):
        return _HIGHER.get(value, value)
    return (
        value.to(_HIGHER[value.dtype])
        if isinstance(value, torch.Tensor) and value.dtype in _HIGHER
        else value
    )


class _Seen(_MODE):  # type: ignore[misc]
    """Remembers in what precision PyTorch's functions return what has a gradient, where
    it is less than float64.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dtypes = set[Any]()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        returned = func(*args, **kwargs or {})
        tensors = (
            each for _, each in walk("", returned) if isinstance(each, torch.Tensor)
        )
        self.dtypes |= {
            each.dtype
            for each in tensors
            if each.requires_grad and each.dtype in _HIGHER
        }
        return returned


class _InFloat64(_MODE):  # type: ignore[misc]
    """While it lasts, PyTorch's functions compute in float64, and what is new is in
    float64, too.

    They get a twin in float64 of each tensor of lower precision, which f may write to.
    """

    def __init__(self) -> None:
        super().__init__()
        # the tensor itself too, so that its id stays its own
        self._twins = dict[int, tuple[Any, Any]]()
        self._default = torch.get_default_dtype()

    def __enter__(self) -> Any:
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        torch.set_default_dtype(self._default)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _CASTS.get(func, func)(
            *mapped(args, self._twin), **mapped(kwargs or {}, self._twin)
        )

    def _twin(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype not in _HIGHER:
            return higher(value)
        if id(value) not in self._twins:
            self._twins[id(value)] = value, higher(value)
        return self._twins[id(value)][1]


class _Draws(_OPERATOR_MODE):  # type: ignore[misc]
    """Notes in what types random numbers are drawn.

    They are the types of the tensors that a call takes, and the type of what it
    returns.
    """

    def __init__(self, drawn: dict[Any, list[Any]]) -> None:
        super().__init__()
        self._drawn = drawn

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        returned = func(*args, **kwargs or {})
        if _is_sampler(func):
            taken = [each.dtype for each in args if isinstance(each, torch.Tensor)]
            self._drawn.setdefault(_call(func, args), []).append(
                (taken, returned.dtype)
            )
        return returned


class _DrawsAlike(_OPERATOR_MODE):  # type: ignore[misc]
    """While it lasts, random numbers are drawn in the types that were noted, and then
    converted: they are the same.

    Calls of an operator for one size take turns. So what a checkpoint draws again
    during a backward pass has its type, unless such calls have several types.
    """

    def __init__(self, drawn: dict[Any, list[Any]]) -> None:
        super().__init__()
        self._turns = {call: itertools.cycle(noted) for call, noted in drawn.items()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not _is_sampler(func):
            return func(*args, **kwargs)
        call = _call(func, args)
        if call not in self._turns:
            raise TypeError("f draws other random numbers in float64")
        taken, returned = next(self._turns[call])
        of_tensors = iter(taken)
        lowered = [
            (
                _with_type(each, next(of_tensors))
                if isinstance(each, torch.Tensor)
                else each
            )
            for each in args
        ]
        if "dtype" in {argument.name for argument in func._schema.arguments}:
            kwargs["dtype"] = returned
        if "out" in kwargs:
            written = kwargs["out"]
            kwargs["out"] = _with_type(kwargs["out"], returned)
        else:
            written = args[0] if func._schema.is_mutable else None
        found = func(*lowered, **kwargs)
        return higher(found) if written is None else written.copy_(found)


def _call(func: Any, args: Any) -> Any:
    """The operator and the sizes of a call."""
    sizes = (each.shape if isinstance(each, torch.Tensor) else each for each in args)
    return func, *(tuple(each) for each in sizes if isinstance(each, Sequence))


def _with_type(tensor: Any, dtype: Any) -> Any:
    """A tensor of another type with the same strides: the order of random numbers
    depends on these.
    """
    if tensor.dtype == dtype:
        return tensor
    other = torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=dtype, device=tensor.device
    )
    return other.copy_(tensor)


def _is_sampler(func: Any) -> bool:
    return func.overloadpacket.__name__ in _SAMPLERS
