"""Tensors as arrays of real numbers: those that are checked, and those that a function returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from secant._common.validation import Array
from secant.checking.autodiff import Kind
from secant.checking.structure import walk
from secant.errors import DTypeError, UnsupportedError

_REAL = torch.float64, torch.float32, torch.float16, torch.bfloat16
_COMPLEX = torch.complex128, torch.complex64, torch.complex32
_TYPES = "float64, float32, float16, bfloat16 or complex"


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in nested dicts, lists, tuples and dataclasses, and where."""
    return walk(path, value, lambda key: f"[{key!r}]")


def differentiable(path: str, value: Any) -> dict[str, Any]:
    """The tensors in a structure that require a gradient, each once, by where they are."""
    found = {path: leaf for path, leaf in leaves(path, value) if isinstance(leaf, torch.Tensor) and leaf.requires_grad}
    first = {id(tensor): path for path, tensor in reversed(found.items())}
    return {path: tensor for path, tensor in found.items() if first[id(tensor)] == path}


def require_known(wanted: str, tensor: Any, where: str = "") -> None:
    """Raise an error unless a tensor is dense, and of a type that is checked."""
    if tensor.layout != torch.strided:
        raise UnsupportedError(f"{wanted} dense, got {tensor.layout}{where}")
    if tensor.dtype not in (*_REAL, *_COMPLEX):
        raise DTypeError(f"{wanted} {_TYPES}, got {tensor.dtype}{where}")


def floating(value: Any) -> dict[str, Any]:
    """The tensors of floating-point numbers that a function returns, by where they are."""
    found = {}
    for path, output in leaves("output", value):
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
        got = [str(v.dtype) if isinstance(v, torch.Tensor) else type(v).__name__ for _, v in leaves("", value)]
        raise DTypeError(f"func must return a tensor of floating-point numbers, got {', '.join(got) or 'nothing'}")
    return found


def with_gradient(found: dict[str, Any]) -> dict[str, Any]:
    """Those that have a gradient; or all, if none has."""
    return {path: output for path, output in found.items() if output.requires_grad} or found


def kind_of(tensor: Any) -> Kind:
    """What a tensor is as an array of real numbers."""
    shape = (*tensor.shape, 2) if tensor.is_complex() else tuple(tensor.shape)
    return Kind(shape, str(tensor.dtype).removeprefix("torch."), torch.finfo(tensor.dtype).eps)


def as_array(tensor: Any) -> Array:
    """A tensor as an array of real numbers: of real and imaginary parts, in a last axis, if it is complex."""
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.resolve_conj().resolve_neg()
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    if tensor._is_zerotensor():
        tensor = tensor.clone()
    dtype = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
    array: Array = tensor.to(device="cpu", dtype=dtype).numpy()
    return array


def tensor_like(like: Any, values: Array) -> Any:
    """A new tensor of the same type and device with other elements."""
    tensor = torch.from_numpy(np.asarray(values))
    tensor = torch.complex(*tensor.to(torch.float64).unbind(-1)) if like.is_complex() else tensor
    return tensor.to(device=like.device, dtype=like.dtype, copy=True)


def pulled_back(outputs: list[Any], tensors: list[Any], cotangents: list[Any], keep: bool = False) -> list[Any]:
    """The gradients that autograd computes of the sum of products of outputs and cotangents; None where it has none.

    ``keep`` the graph, so that backward functions can run again.
    """
    pairs = [(output, c) for output, c in zip(outputs, cotangents, strict=True) if output.requires_grad]
    if not pairs:
        return [None] * len(tensors)
    own, incoming = zip(*pairs, strict=True)
    return list(torch.autograd.grad(own, tensors, incoming, allow_unused=True, retain_graph=keep))


Change = Callable[[Any], Any]
"""Takes a tensor, or something else; returns what stands in its place."""
