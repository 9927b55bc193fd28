"""Checks for PyTorch: in any precision, on any device, in a hundred evaluations.

`check` returns a report; `gradcheck` and `gradgradcheck` take the place of those in
`torch.autograd`. What they tolerate comes from the measured noise of the function. A
function of float32, float16 or bfloat16 is checked in float64 first; its own precision
is then compared with that. Where it does not run in float64, noise may hide small
errors: an array of which nothing can be told is "not verified", which is not right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Any

from secant.checking import autodiff
from secant.checking.autodiff import Mode
from secant.checking.options import (
    Options,
    argument_names,
    warn_of_ignored,
    warn_of_unchecked,
)
from secant.checking.report import GradientReport
from secant.errors import DTypeError, MissingExtraError

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtraError("secant.torch needs PyTorch: pip install torch") from error

from secant.torch._function import Function, differentiable, shared_state

_UNCHECKED = {
    "check_batched_grad": "gradients under torch.vmap are not checked",
    "check_batched_forward_grad": "forward mode under torch.vmap is not checked",
    "check_grad_dtypes": "types of gradients are not compared with those of inputs",
    "gen_non_contig_grad_outputs": "incoming gradients have the strides of the outputs",
    "masked": "inputs and outputs must be dense, and all of their elements count",
}
"""What options of PyTorch's checks ask for that these do not do."""


def check(
    func: Callable[..., Any],
    inputs: Any,
    *more: Any,
    mode: Mode = "rev",
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check the gradients that autograd computes of a function, and return the report.

    Parameters
    ----------
    func, inputs
        As for `gradcheck`.
    *more
        Further arguments of ``func``: ``check(f, x, y)`` is ``check(f, (x, y))``.
    mode : {"rev", "fwd"}
        Backward functions, or forward mode.
    progress, rng
        As for `secant.check_gradient`.

    Returns
    -------
    GradientReport
        Its ``cotangent`` is the incoming gradient, a list of tensors: what the outputs
        were multiplied by.

    Raises
    ------
    UnsupportedError, DTypeError, ShapeError, ValueRangeError
        As `gradcheck` does; ValueRangeError too if inputs or outputs have no elements.

    Warns
    -----
    RuntimeWarning
        Names outputs that have no gradient.

    Examples
    --------
    >>> x = torch.linspace(0.1, 1, 5, requires_grad=True)
    >>> secant.torch.check(torch.sin, x).passed
    True
    """
    with shared_state():
        function = _function(func, (inputs, *more) if more else inputs)
        return autodiff.first_failed(Options(progress, rng), function, [mode])


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    progress: bool = False,
    rng: int = 0,
) -> bool:
    """Check the gradients that autograd computes of a function against its values.

    Parameters
    ----------
    func : callable
        Takes tensors, and returns tensors in nested tuples, lists, dicts or
        dataclasses. It must be deterministic. It is called with gradients enabled, so
        that it may use autograd itself. A module is put back after each call if
        ``func`` is the module or its method, not if a lambda calls it.
    inputs : tensor or sequence of tensors
        Arguments of ``func``. Those that require a gradient are checked, also in nested
        containers: real or complex, of 16 to 64 bits a number, on any device. ``func``
        gets views of them, which are not leaves and have no ``.grad``. Where it takes
        these tensors from elsewhere, they must be leaves: they have the same values
        there, but no tangents in forward mode. What is computed from them must be
        computed in ``func``, or detached.
    eps, atol, rtol, nondet_tol
        Options of `torch.autograd.gradcheck` that are ignored, with a warning:
        tolerances are measured.
    raise_exception : bool
        Raise an error with the report unless all gradients are right, instead of
        returning False.
    check_undefined_grad : bool
        Where there are several outputs, check also each one alone: a backward function
        must take the undefined gradients of the others for 0.
    check_forward_ad, check_backward_ad : bool
        The modes that are checked.
    fast_mode : bool
        Ignored: every check is fast.
    check_grad_dtypes, check_batched_grad, check_batched_forward_grad, masked
        Options of `torch.autograd.gradcheck` that are ignored; a warning says what is
        not checked.
    progress, rng
        As for `secant.check_gradient`.

    Returns
    -------
    bool
        Whether all gradients are right. Those that cannot be verified are not.

    Raises
    ------
    GradientMismatchError
        An AssertionError with the report: a gradient is wrong, or not verified.
    UnsupportedError
        If a tensor is sparse, or inference mode is on.
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does; DTypeError too if no input requires a gradient,
        or an output is no tensor.

    Warns
    -----
    RuntimeWarning
        Names outputs that have no gradient, next to others that have one: they are not
        checked. Says that inputs or outputs have no elements, that all outputs are
        integers, or that ``func`` has one value and the gradient 0: then the result is
        True, as that of `torch.autograd.gradcheck`.

    Notes
    -----
    A complex tensor is checked as two, its real and its imaginary part. Tensors of less
    than float64 have new gradient accumulators afterwards: see `check_module`.

    Examples
    --------
    >>> x = torch.linspace(0.1, 1, 5, requires_grad=True)
    >>> secant.torch.gradcheck(torch.sin, x)
    True
    >>> z = torch.tensor([1 + 2j, 3j], requires_grad=True)
    >>> secant.torch.gradcheck(torch.exp, z, check_forward_ad=True)
    True
    """
    __tracebackhide__ = True
    options = Options(progress, rng)
    warn_of_ignored(
        "gradcheck", {"eps": eps, "atol": atol, "rtol": rtol, "nondet_tol": nondet_tol}
    )
    unchecked = {
        "check_grad_dtypes": check_grad_dtypes,
        "check_batched_grad": check_batched_grad,
        "check_batched_forward_grad": check_batched_forward_grad,
        "masked": masked,
    }
    warn_of_unchecked("gradcheck", unchecked, _UNCHECKED)
    modes = ["rev"] * check_backward_ad + ["fwd"] * check_forward_ad

    def functions() -> Iterator[Function]:
        # fails if it returns integers alone, which is right
        yield _function(func, inputs, check_undefined_grad)

    with shared_state():
        return autodiff.are_right(options, functions(), modes, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
    progress: bool = False,
    rng: int = 0,
) -> bool:
    """Check second derivatives: the gradients of the gradients that autograd computes
    of a function.

    Parameters
    ----------
    func, inputs
        As for `gradcheck`, but ``func`` must take the inputs from its arguments.
    grad_outputs : tensor or sequence of tensors, optional
        Incoming gradients of the outputs, which are arguments of the first gradient; by
        default random ones.
    eps, atol, rtol, raise_exception, nondet_tol, check_undefined_grad, fast_mode
        As for `gradcheck`.
    gen_non_contig_grad_outputs, check_grad_dtypes, check_batched_grad, masked
        Options of `torch.autograd.gradgradcheck` that are ignored; a warning says what
        is not checked.
    check_fwd_over_rev, check_rev_over_rev : bool
        The modes that the first gradient is differentiated in.
    progress, rng
        As for `secant.check_gradient`.

    Returns
    -------
    bool
        Whether all second derivatives are right. Those that cannot be verified are not.

    Raises
    ------
    GradientMismatchError, UnsupportedError, DTypeError, ShapeError, ValueRangeError
        As `gradcheck` does.

    Examples
    --------
    >>> x = torch.linspace(0.1, 1, 5, requires_grad=True)
    >>> secant.torch.gradgradcheck(torch.sin, x)
    True
    """
    __tracebackhide__ = True
    options = Options(progress, rng)
    warn_of_ignored(
        "gradgradcheck",
        {"eps": eps, "atol": atol, "rtol": rtol, "nondet_tol": nondet_tol},
    )
    unchecked = {
        "gen_non_contig_grad_outputs": gen_non_contig_grad_outputs,
        "check_grad_dtypes": check_grad_dtypes,
        "check_batched_grad": check_batched_grad,
        "masked": masked,
    }
    warn_of_unchecked("gradgradcheck", unchecked, _UNCHECKED)
    modes = ["rev"] * check_rev_over_rev + ["fwd"] * check_fwd_over_rev
    with shared_state():
        function = _function(func, inputs, check_undefined_grad).gradient(
            grad_outputs, rng
        )
        return autodiff.are_right(options, [function], modes, raise_exception)


def check_module(
    module: Any,
    inputs: Any,
    loss: Callable[[Any], Any] | None = None,
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check the gradient of a loss in all parameters of a module, and in inputs that
    require one.

    Parameters
    ----------
    module : torch.nn.Module
        For each evaluation its parameters get other values, and buffers and other
        tensors among its attributes are copies. Afterwards these, its lists and its
        dicts are as they were, and those of a ``loss`` that is a module. Not put back
        are buffers of TorchScript, and what else the module or the loss changes. What
        they use of values that depend on parameters, such as views, they must compute
        themselves; or it must be detached.
    inputs : tensor or sequence of arguments
        What the module takes. It gets copies, which it may write to.
    loss : callable, optional
        Takes what the module returns, and returns what is checked. By default that is
        what the module returns. Several numbers are checked as a sum of products of
        these and random numbers.
    progress, rng
        As for `secant.check_gradient`.

    Returns
    -------
    GradientReport

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does; ValueRangeError too if the loss does not depend
        on the module.
    UnsupportedError
        In inference mode.

    Notes
    -----
    Parameters of less than float64 are converted and put back, as by
    ``module.double()``: they have new gradient accumulators then. Wrap a module in
    DistributedDataParallel after the check. A graph that was built before it still runs
    ``backward()``, but `torch.autograd.grad` does not find the parameters in it.

    Examples
    --------
    >>> module = torch.nn.Linear(4, 2)
    >>> x, t = torch.ones(3, 4), torch.zeros(3, 2)
    >>> secant.torch.check_module(module, x).passed
    True
    >>> secant.torch.check_module(
    ...     module, x, lambda y: torch.nn.functional.mse_loss(y, t)
    ... ).passed
    True
    """
    options = Options(progress, rng)
    given = _tuple(inputs)
    parameters = {
        name: tensor
        for name, tensor in module.named_parameters()
        if tensor.requires_grad
    }
    names = argument_names(module.forward, "inputs", len(given))
    names = [f"inputs.{name}" if name in parameters else name for name in names]
    tensors = differentiable([*parameters, *names], [*parameters.values(), *given])
    if not any(tensor.numel() for tensor in tensors.values()):
        raise DTypeError(
            "module must have a parameter that requires a gradient, got none"
        )

    def function(*arguments: Any) -> Any:
        """the loss of the module with these parameters"""  # noqa: D400, D403 (programs that reproduce say it)
        outputs = module(*arguments)
        return outputs if loss is None else loss(outputs)

    with shared_state():
        report = autodiff.first_failed(
            options, Function([module, loss], function, given, tensors), ["rev"]
        )
    return replace(
        report, note="; ".join(filter(None, [report.note, *_causes(module, report)]))
    )


def _causes(module: Any, report: GradientReport) -> Iterator[str]:
    """What in a module may make its gradient another one than that of its values."""
    wrong = {
        array.name for array in report.arrays if not (array.passed or array.unverified)
    }
    named = (
        (f"{name}.weight".removeprefix("."), each)
        for name, each in module.named_modules()
    )
    padded = {
        weight: each.padding_idx
        for weight, each in named
        if isinstance(each, torch.nn.Embedding)
    }
    for weight in (
        sorted(wrong) if all(padded.get(each) is not None for each in wrong) else ()
    ):
        yield (
            f"{weight} has no gradient at padding_idx={padded[weight]}, on which the"
            " output depends"
        )
    if wrong and module.training and any(True for _ in module.buffers()):
        yield (
            "the module is in training mode, in which some layers change from call to"
            " call: check module.eval()"
        )


def _tuple(inputs: Any) -> tuple[Any, ...]:
    is_one = (
        isinstance(inputs, torch.Tensor | Mapping)
        or is_dataclass(inputs)
        or hasattr(inputs, "_fields")
    )
    return (inputs,) if is_one else tuple(inputs)


def _function(func: Any, inputs: Any, undefined: bool = True) -> Function:
    given = _tuple(inputs)
    owner = getattr(func, "__self__", func)
    # The signature that names them is that of forward, of a module or a Function.
    forward = getattr(owner if isinstance(owner, type) else func, "forward", func)
    tensors = differentiable(argument_names(forward, "inputs", len(given)), given)
    if not tensors:
        raise DTypeError(
            "inputs must have a tensor that requires a gradient, got none: call"
            " requires_grad_(); of integers, after double(), as only floating point has"
            " gradients"
        )
    return Function([owner], func, given, tensors, undefined=undefined)
