"""Tensors as arrays of real numbers: those that are checked, and those that a function returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from secant._common.validation import Array
from secant.checking.structure import mapped, walk
from secant.checking.vector import random_weights, weighted
from secant.differentiation.rounding import Value
from secant.errors import DTypeError, ShapeError, UnsupportedError, ValueRangeError

REAL = {torch.float64: np.float64, torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: np.float32}
"""The types of tensors that are checked, and those of the arrays that hold their elements."""
_COMPLEX = torch.complex128, torch.complex64, torch.complex32
_TYPES = "float64, float32, float16, bfloat16 or complex"


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in nested dicts, lists, tuples and dataclasses, and where."""
    return walk(path, value, lambda key: f"[{key!r}]")


def replaced(value: Any, replacements: Mapping[int, Any]) -> Any:
    """The same structure, in which tensors with these ids are replaced."""
    return mapped(value, lambda leaf: replacements.get(id(leaf), leaf)) if replacements else value


def differentiable(path: str, value: Any) -> dict[str, Any]:
    """The tensors in a structure that require a gradient, each once, by where they are."""
    found = {path: leaf for path, leaf in leaves(path, value) if isinstance(leaf, torch.Tensor) and leaf.requires_grad}
    first = {id(tensor): path for path, tensor in reversed(found.items())}
    return {path: tensor for path, tensor in found.items() if first[id(tensor)] == path}


class CheckedTensor:
    """A tensor, and an array of its elements: of real and imaginary parts, if it is complex.

    Attributes
    ----------
    name : str
    tensor : Tensor
        What the function gets: the user's own, but a copy where that cannot be shifted element by element.
    copied : bool
    array : ndarray
        Shares the memory of the tensor where NumPy can; else `push` copies it.
    """

    def __init__(self, name: str, tensor: Any, copied: bool = False) -> None:
        if tensor.layout != torch.strided:
            raise UnsupportedError(f"{name} must be a dense tensor, got {tensor.layout}")
        _require_known_type(f"{name} must be {_TYPES}", tensor)
        expanded = any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
        plain = tensor.dtype != torch.bfloat16 and not tensor.is_conj() and not tensor.is_neg()
        self._shares = tensor.device.type == "cpu" and plain
        in_a_graph = tensor._is_view() and tensor._base.requires_grad  # where autograd minds what is written
        self.copied = copied or expanded or tensor._is_zerotensor() or (in_a_graph and not self._shares)
        if self.copied:
            tensor = tensor.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        self.name = f"view_as_real({name})" if tensor.is_complex() else name
        self.tensor, self.array = tensor, as_array(tensor)

    def push(self) -> None:
        """Let the tensor have the elements of the array."""
        if not self._shares:
            self.tensor.data.copy_(self.tangent(self.array))  # a graph that the user built with it stays valid

    def tangent(self, values: Array) -> Any:
        """A tensor like this one of other elements."""
        found = torch.from_numpy(values.reshape(self.array.shape))
        found = torch.complex(*found.unbind(-1)) if self.tensor.is_complex() else found
        return found.to(device=self.tensor.device, dtype=self.tensor.dtype)


def as_array(tensor: Any) -> Array:
    """A tensor as an array of real numbers, which shares its memory where NumPy can."""
    tensor = real(tensor)
    if tensor._is_zerotensor():
        tensor = tensor.clone()
    dtype = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
    array: Array = tensor.to(device="cpu", dtype=dtype).numpy()
    return array


def real(tensor: Any) -> Any:
    """A dense tensor of real numbers: of real and imaginary parts, in a last axis of 2, if it is complex."""
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.resolve_conj().resolve_neg()
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


class NothingToCheckError(ValueRangeError):
    """Inputs or outputs have no elements."""

    def __init__(self) -> None:
        super().__init__("inputs and outputs must have elements to be checked, got none")


class Outputs:
    """What a function returns: its tensors with a gradient, and a random cotangent for each.

    Attributes
    ----------
    skipped : list of str
        Floating-point outputs that have no gradient, where others have: they are not checked. With ``keeps_all`` there
        are none: they have to be constant.
    constant : bool
        Whether none has one. Then all of them are looked at: the gradient is 0.
    is_number : bool
        Whether it is a single real number: then its cotangent is 1.
    cotangents : list of Tensor
        Made when the function is called first, as all of these are.
    """

    def __init__(self, function: Callable[[], Any], rng: np.random.Generator, keeps_all: bool = False) -> None:
        self._function, self._rng, self._keeps_all = function, rng, keeps_all
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.skipped: list[str] = []
        self.constant = self.is_number = False
        self.cotangents: list[Any] = []
        self._weights: list[Array] = []  # these, in float64

    def __call__(self) -> list[Any]:
        """The tensors that are checked."""
        with torch.enable_grad():  # also where only values are needed: f may use autograd itself
            value = self._function()
        found = dict(self._tensors(value))
        if not self._shapes:
            self._begin(found, value)
        shapes = {path: tuple(found[path].shape) for path in self._shapes if path in found}
        if shapes != self._shapes:
            raise ShapeError(f"func must always return the same shapes, {self._shapes}, got {shapes}")
        return [found[path] for path in self._shapes]

    def _begin(self, found: dict[str, Any], value: Any) -> None:
        if not found:
            raise DTypeError(f"func must return a tensor of floating-point numbers, got {_types(value)}")
        with_gradient = [path for path, output in found.items() if output.requires_grad]
        self.constant = not with_gradient
        kept = list(found) if self._keeps_all else with_gradient or list(found)
        self.skipped = [path for path in found if path not in kept]
        outputs = [found[path] for path in kept]
        if not any(output.numel() for output in outputs):
            raise NothingToCheckError
        self.is_number = len(outputs) == 1 and outputs[0].numel() == 1 and not outputs[0].is_complex()
        self.cotangents = [torch.ones_like(o) if self.is_number else random_like(o, self._rng) for o in outputs]
        self._weights = [as_array(cotangent).astype(np.float64) for cotangent in self.cotangents]
        self._shapes = {path: tuple(found[path].shape) for path in kept}

    def _tensors(self, value: Any) -> Iterator[tuple[str, Any]]:
        for path, output in leaves("output", value):
            if isinstance(output, torch.Tensor):
                if output.is_floating_point() or output.is_complex():
                    if output.layout != torch.strided:
                        raise UnsupportedError(f"func must return dense tensors, got {output.layout} as {path}")
                    _require_known_type(f"func must return {_TYPES}", output, f" as {path}")
                    yield path, output
            elif not (output is None or isinstance(output, bool | int | float | complex | str | np.generic)):
                raise DTypeError(
                    "func must return tensors, or dicts, lists, tuples or dataclasses of them, got "
                    f"{type(output).__name__} as {path}"
                )

    def weighted(self, tensors: Sequence[Any]) -> Value:
        """The sum of products of cotangents and tensors like the outputs."""
        return weighted(self._weights, [*map(as_array, tensors)], [torch.finfo(each.dtype).eps for each in tensors])


def pulled_back(outputs: Sequence[Any], tensors: Sequence[Any], cotangents: Sequence[Any], keep: bool = False) -> Any:
    """The gradients that autograd computes of the sum of products of outputs and cotangents; None where it has none.

    ``keep`` the graph, so that backward functions can run again.
    """
    pairs = [
        (output, c.to(output.dtype)) for output, c in zip(outputs, cotangents, strict=True) if output.requires_grad
    ]
    if not pairs:
        return [None] * len(tensors)
    own, incoming = zip(*pairs, strict=True)
    return torch.autograd.grad(own, tensors, incoming, allow_unused=True, retain_graph=keep)


def _require_known_type(wanted: str, tensor: Any, where: str = "") -> None:
    if tensor.dtype not in REAL and tensor.dtype not in _COMPLEX:
        raise DTypeError(f"{wanted}, got {tensor.dtype}{where}")


def _types(value: Any) -> str:
    got = [str(v.dtype) if isinstance(v, torch.Tensor) else type(v).__name__ for _, v in leaves("", value)]
    return ", ".join(got) or "nothing"


def random_like(tensor: Any, rng: np.random.Generator) -> Any:
    """A tensor of random numbers, of which none is small."""
    values = torch.from_numpy(random_weights(tuple(real(tensor).shape), rng))
    values = torch.complex(*values.unbind(-1)) if tensor.is_complex() else values
    return values.to(device=tensor.device, dtype=tensor.dtype)
