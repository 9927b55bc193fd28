"""Checks for PyTorch: in any precision, on any device, in a hundred evaluations.

`gradcheck` takes the place of `torch.autograd.gradcheck`. What it tolerates comes from the measured noise of the
function, so that float32 and bfloat16 need no other settings than float64. Noise hides small errors: a warning says
where it hides all entries, as in float32 on kinks of ReLU. In float64 (``module.double()``) they show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.checking.candidate import CandidateGradient
from secant.checking.point import Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.errors import DTypeError, MissingExtraError, UnsupportedError

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtraError("secant.torch needs PyTorch: pip install torch") from error


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    fast_mode: bool = False,
    nondet_tol: float = 0.0,
    **options: Any,
) -> bool:
    """Check the gradients that autograd computes of a function against its values.

    Parameters
    ----------
    func : callable
        Takes tensors, and returns a tensor or a tuple of tensors. It must be deterministic.
    inputs : tensor or sequence of tensors
        Those that require a gradient are checked: float64, float32, float16 or bfloat16, on any device.
    eps, atol, rtol, fast_mode, nondet_tol
        Options of `torch.autograd.gradcheck` that are not needed, and not used: tolerances are measured.
    raise_exception : bool
        Raise an error with the report where a gradient is wrong, instead of returning False.
    **options
        ``max_evaluations``, ``confidence``, ``max_findings``, ``names``, ``scale`` and ``rng`` of
        `secant.check_gradient`.

    Returns
    -------
    bool
        Whether all gradients are right.

    Raises
    ------
    GradientMismatchError
        An AssertionError with the report.
    UnsupportedError
        If an option asks for something else that `torch.autograd.gradcheck` checks, such as ``check_forward_ad``.
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does; DTypeError too if no input requires a gradient, or one is complex.

    Examples
    --------
    >>> x = torch.linspace(0.1, 1, 5, requires_grad=True)
    >>> secant.torch.gradcheck(torch.sin, x)
    True
    """
    given = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    tensors = [tensor for tensor in given if isinstance(tensor, torch.Tensor) and tensor.requires_grad]
    if not tensors:
        raise DTypeError("inputs must have a tensor that requires a gradient, got none")
    options.pop("check_backward_ad", None)  # which is what is checked
    options = {name: value for name, value in options.items() if value or name not in _OTHERS}
    if others := options.keys() & _OTHERS:
        raise UnsupportedError(f"{min(others)} is not checked by secant.torch.gradcheck: leave it out")
    names = options.pop("names", None) or [f"inputs[{i}]" for i, t in enumerate(given) if any(t is u for u in tensors)]
    report = _checked(lambda: func(*given), tensors, names, **options)
    if raise_exception or report.passed:
        report.raise_if_failed()
    return report.passed


def check_module(module: Any, loss: Callable[[Any], Any], **options: Any) -> GradientReport:
    """Check the gradient of a loss in all parameters of a module.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters are shifted in place. When the call ends they are what they were.
    loss : callable
        Takes the module, and returns a tensor with a single element.
    **options
        ``max_evaluations``, ``confidence``, ``max_findings``, ``scale`` and ``rng`` of `secant.check_gradient`.

    Returns
    -------
    GradientReport

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does.

    Examples
    --------
    >>> module = torch.nn.Linear(4, 2)
    >>> x = torch.ones(3, 4)
    >>> secant.torch.check_module(module, lambda module: module(x).square().sum()).passed
    True
    """
    named = [(name, tensor) for name, tensor in module.named_parameters() if tensor.requires_grad]
    if not named:
        raise DTypeError("module must have a parameter that requires a gradient, got none")
    names, tensors = [name for name, _ in named], [tensor for _, tensor in named]
    return _checked(lambda: loss(module), tensors, names, **options)


def _checked(
    compute: Callable[[], Any],
    tensors: Sequence[Any],
    names: Sequence[str],
    *,
    rng: int = 0,
    scale: Any = None,
    **options: Any,
) -> GradientReport:
    """Check the gradients in tensors of what is computed from them, weighted by random cotangents."""
    for tensor, name in zip(tensors, names, strict=True):
        if tensor.dtype not in _NUMPY:
            raise DTypeError(f"{name} must be float64, float32, float16 or bfloat16, got {tensor.dtype}")
    values = [_Shared(tensor) for tensor in tensors]
    numbers = np.random.default_rng([rng, 1])
    cotangents = [_cotangent(output, numbers) for output in _outputs(compute())]

    def weighted(_: Any) -> float:
        for value in values:
            value.push()
        with torch.no_grad():
            outputs = _outputs(compute())
        return sum(float((c.double() * o.double()).sum()) for c, o in zip(cotangents, outputs, strict=True))

    def gradients() -> list[Array]:
        with torch.enable_grad():
            outputs = _outputs(compute())
            grads = torch.autograd.grad(
                outputs,
                list(tensors),
                [c.to(o.dtype) for c, o in zip(cotangents, outputs, strict=True)],
                allow_unused=True,
            )
        return [
            np.zeros(value.array.shape, value.array.dtype) if grad is None else _lasting(grad, values)
            for grad, value in zip(grads, values, strict=True)
        ]

    low = any(tensor.dtype == torch.bfloat16 for tensor in tensors)
    point = Point(
        weighted,
        [value.array for value in values],
        inplace=True,
        names=names,
        scale=scale,
        rounded=_to_bfloat16 if low else None,
        resolution=2.0**-8 if low else None,
    )
    try:
        return run_check(point, lambda: CandidateGradient.of(point, gradients()), rng=rng, **options)
    finally:
        for value in values:
            value.push()


_OTHERS = {  # options of torch.autograd.gradcheck for what else it checks
    "check_batched_forward_grad",
    "check_batched_grad",
    "check_forward_ad",
    "check_grad_dtypes",
    "check_sparse_nnz",
    "check_undefined_grad",
    "masked",
}
_NUMPY = {torch.float64: np.float64, torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: np.float32}


class _Shared:
    """A tensor, and an array that shares its memory where NumPy can; else what is in the array is to be pushed."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor.detach()
        self._shares = tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16
        self.array: Array = self._tensor.numpy() if self._shares else _array(self._tensor)

    def push(self) -> None:
        if not self._shares:
            self._tensor.copy_(torch.from_numpy(self.array))


def _lasting(grad: Any, values: Sequence[_Shared]) -> Array:
    """A gradient as an array: a copy only if it has to be one, since a backward function may return its inputs."""
    if grad.device.type == "cpu" and grad.dtype != torch.bfloat16:
        array: Array = grad.detach().numpy()
        if not any(np.may_share_memory(array, value.array) for value in values):
            return array
    return _array(grad)


def _array(tensor: Any) -> Array:
    return np.array(
        tensor.detach().to(device="cpu", dtype=torch.from_numpy(np.empty(0, _NUMPY[tensor.dtype])).dtype).numpy()
    )


def _to_bfloat16(array: Array) -> Array:
    return np.asarray(torch.from_numpy(array).to(torch.bfloat16).to(torch.float32).numpy(), array.dtype)


def _outputs(value: Any) -> list[Any]:
    """The differentiable tensors that were returned."""
    outputs = [value] if isinstance(value, torch.Tensor) else list(value)
    return [output for output in outputs if isinstance(output, torch.Tensor) and output.is_floating_point()]


def _cotangent(output: Any, numbers: np.random.Generator) -> Any:
    if output.numel() == 1:
        return torch.ones_like(output)
    values = numbers.uniform(0.5, 1.5, tuple(output.shape)) * numbers.choice([-1.0, 1.0], tuple(output.shape))
    return torch.from_numpy(values).to(device=output.device, dtype=output.dtype)
