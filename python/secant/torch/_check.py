"""Checks of what autograd computes: backward and forward mode, and undefined gradients of outputs."""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from secant._common.validation import Array
from secant._common.warn import warn
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.options import Options
from secant.checking.point import Direction, Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport, some
from secant.differentiation.rounding import Value
from secant.errors import DTypeError, GradientMismatchError, ShapeError, ValueRangeError
from secant.torch._tensors import (
    CheckedTensor,
    NothingToCheckError,
    Outputs,
    as_array,
    differentiable,
    leaves,
    replaced,
)


class Check:
    """A function of tensors, and the gradients that autograd computes of it.

    Parameters
    ----------
    function : callable
        Takes arguments.
    arguments : tuple
        Its tensors that require a gradient are checked; they are shifted in place, and restored.
    tensors : dict of Tensor
        These, by name.
    before : callable
        Called before each evaluation.
    is_used : bool
        Whether it is known that the function depends on them, even if autograd finds no gradient.
    of : str
        What the function is a derivative by, such as "-over-reverse"; then each of its outputs is one.
    copied : bool
        Shift copies of the tensors, which the function has to use.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        tensors: dict[str, Any],
        options: Options,
        before: Callable[[], object] = lambda: None,
        is_used: bool = False,
        of: str = "",
        copied: bool = False,
    ) -> None:
        names = options.names or list(tensors)
        if len(names) != len(tensors):
            raise ShapeError(f"names must have one name for each of {len(tensors)} tensors, got {len(names)}")
        pairs = [(name, tensor) for name, tensor in zip(names, tensors.values(), strict=True) if tensor.numel()]
        self.checked = [CheckedTensor(name, tensor, copied) for name, tensor in pairs]
        for one, other in itertools.combinations(self.checked, 2):
            if one.overlaps(other):
                raise ValueRangeError(f"{one.name} and {other.name} must share no memory to be shifted in place")
        self._of_copies: Callable[[], Check] = lambda: Check(
            function, arguments, tensors, replace(options, names=names), before, is_used, of, copied=True
        )
        self._options = options
        self._rng = options.rng
        self._before = before
        self._is_used, self._of = is_used, of
        self._function = function
        self._arguments = replaced(
            arguments,
            {id(tensor): each.tensor for (_, tensor), each in zip(pairs, self.checked, strict=True) if each.copied},
        )

    @property
    def tensors(self) -> list[Any]:
        """What the function gets of what is checked."""
        return [each.tensor for each in self.checked]

    def outputs(self) -> Outputs:
        """The function, as one that returns its tensors with a gradient."""
        rng = np.random.default_rng([self._rng, 1])
        return Outputs(lambda: self._called(self._arguments), rng, keeps_all=self._of != "")

    def reports(
        self, backward: bool = True, forward: bool = False, undefined: bool = False
    ) -> Iterator[GradientReport]:
        """Run the checks that are wanted."""
        if not self.checked:
            self.outputs()()
            raise NothingToCheckError
        if backward:
            yield self._backward()
        if forward:
            yield self._of_copies()._forward()  # where only arguments have tangents, only they are shifted
        if backward and undefined:
            self._require_undefined()

    def _backward(self) -> GradientReport:
        """Check the gradients of backward mode."""
        outputs = self.outputs()
        unused = False
        missing: list[str] = []

        def gradients(factor: float) -> list[Array]:
            nonlocal unused, missing
            self._put_back(point)
            grads = outputs.pulled_back(self.tensors, factor)
            unused = not self._is_used and all(grad is None for grad in grads)
            point.is_used = not unused
            pairs = list(zip(grads, self.checked, strict=True))
            missing = [each.name for grad, each in pairs if grad is None]
            return [_gradient(grad, each.array) for grad, each in pairs]

        point = self._point(outputs)

        def candidate() -> CandidateGradient:
            given = CandidateGradient.linear(point, gradients)
            given.remark = given.remark or self._fault_of_a_second_run(outputs, given)
            return given

        report = self._run(point, candidate, outputs, "reverse")
        if unused and point.standstill():
            copied = any(each.copied for each in self.checked)
            raise ValueRangeError(
                "func must depend on what is checked: it has one value, and no gradient"
                + ("; it must use its argument, a copy, as elements of inputs share memory" if copied else "")
            )
        if outputs.skipped:
            have = "have" if len(outputs.skipped) > 1 else "has"
            warn(f"{', '.join(outputs.skipped)} {have} no gradient: not checked")
        wrong = {array.name for array in report.arrays if not (array.passed or array.unverified)}
        if lost := [name for name in missing if name in wrong]:
            note = f"autograd has no gradient in {some(lost)}: {_LOST}"
            return replace(report, note=note)
        return report

    def _fault_of_a_second_run(self, outputs: Outputs, given: CandidateGradient) -> str:
        """What is wrong with backward functions that run twice on one graph."""
        if outputs.constant:
            return ""
        with contextlib.suppress(Exception):  # a graph may run once only, as those of torch.compile
            pull_back, is_left = outputs.on_one_graph(self.tensors)
            for _ in range(2):
                off = given.off([_gradient(g, each.array) for g, each in zip(pull_back(), self.checked, strict=True)])
                if not is_left():
                    return "the backward function overwrites the incoming gradient, which other functions use too"
                if off:
                    return (
                        f"the backward function gives another gradient, by up to {off}, when it runs again on one graph"
                    )
        return ""

    def _forward(self) -> GradientReport:
        """Check the derivatives of forward mode."""
        outputs = self.outputs()
        point = self._point(outputs)

        def along(direction: Direction) -> float:
            tangents = [each.tangent(part) for each, part in zip(self.checked, direction, strict=True)]
            pushed, is_used = self.pushed_forward(tangents)
            point.is_used = self._is_used or is_used
            return outputs.weighted(pushed).number

        return self._run(point, lambda: Candidate(point, along), outputs, "forward")

    def pushed_forward(self, tangents: list[Any]) -> tuple[list[Any], bool]:
        """The tangents of the outputs, and whether there are any: else they are 0."""
        with torch.enable_grad(), forward_ad.dual_level():  # also in a torch.no_grad() of the user's
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of what it compiles when it is called first
                duals = {
                    id(tensor): forward_ad.make_dual(tensor.detach().requires_grad_(), tangent)
                    for tensor, tangent in zip(self.tensors, tangents, strict=True)
                }
            arguments, rng = replaced(self._arguments, duals), np.random.default_rng(0)
            outputs = Outputs(lambda: self._called(arguments), rng, keeps_all=self._of != "")()
            pushed = [forward_ad.unpack_dual(output).tangent for output in outputs]
            pairs = zip(pushed, outputs, strict=True)
            found = [torch.zeros_like(o) if tangent is None else tangent for tangent, o in pairs]
            return found, any(tangent is not None for tangent in pushed)

    def _require_undefined(self) -> None:
        """Raise an error unless backward functions take outputs without a gradient for those with 0."""
        undefined = torch._C._functions.UndefinedGrad()
        outputs = self.outputs()
        count = sum(output.requires_grad for output in outputs())
        if outputs.constant:
            return
        for which in (range(count), *([i] for i in range(count) if count > 1)):
            own = [output for output in outputs() if output.requires_grad]
            found = [undefined(output) if i in which else output for i, output in enumerate(own)]
            try:
                grads = torch.autograd.grad(
                    found, self.tensors, [torch.zeros_like(o) for o in found], allow_unused=True
                )
            except Exception as error:
                raise GradientMismatchError(_UNDEFINED.format("raises an error")) from error
            if any(grad is not None and as_array(grad).any() for grad in grads):
                raise GradientMismatchError(_UNDEFINED.format("returns other gradients than 0"))

    def _called(self, arguments: tuple[Any, ...]) -> Any:
        self._before()
        return self._function(*arguments)

    def _point(self, outputs: Outputs) -> Point:
        def weighted(_: Any) -> Value:
            for each in self.checked:
                each.push()
            return outputs.weighted(outputs())

        return Point(
            weighted,
            [each.array for each in self.checked],
            inplace=True,
            names=[each.name for each in self.checked],
            scale=self._options.scale,
            bfloat16=[each.tensor.dtype == torch.bfloat16 for each in self.checked],
        )

    def _run(
        self, point: Point, candidate: Callable[[], Candidate], outputs: Outputs, direction: str
    ) -> GradientReport:
        try:
            report = run_check(point, candidate, self._options)
            cotangent = None if outputs.is_number else outputs.cotangents
            return replace(report, mode=f"{direction}{self._of} mode", cotangent=cotangent)
        finally:
            self._put_back(point)

    def _put_back(self, point: Point) -> None:
        """Let the tensors have their own elements: the function may write to them."""
        point.restore()
        for each in self.checked:
            each.push()


_LOST = "on the way to the output it is detached, or in a checkpoint with use_reentrant=True"
_UNDEFINED = (
    "a backward function {} where no gradient of its output is defined: it must take None, or zeros, for such an "
    "output. check_undefined_grad=False leaves this out"
)


def gradient_of(
    function: Callable[..., Any], arguments: tuple[Any, ...], grad_outputs: Any, rng: int
) -> tuple[Callable[..., Any], list[Any]]:
    """The gradients of a function, as a function of its arguments and a list of cotangents; and that list."""
    outputs = Outputs(lambda: function(*arguments), np.random.default_rng([rng, 2]))
    outputs()
    if outputs.constant:
        raise DTypeError("func must return a tensor with a gradient to check the gradient of that, got none")
    given = outputs.cotangents if grad_outputs is None else [leaf for _, leaf in leaves("", grad_outputs)]
    cotangents = [c.requires_grad_() for c in given] if grad_outputs is None else given

    def gradients(*both: Any) -> Any:
        arguments, cotangents = both[:-1], both[-1]
        tensors = list(differentiable("inputs", arguments).values())
        found = Outputs(lambda: function(*arguments), np.random.default_rng(0))()
        grads = torch.autograd.grad(found, tensors, cotangents, create_graph=True, allow_unused=True)
        if all(grad is None for grad in grads):
            raise ValueRangeError("func must depend on inputs to check the gradient of that: autograd has none in any")
        return [grad for grad in grads if grad is not None]

    return gradients, cotangents


@contextlib.contextmanager
def own_buffers(function: Any, inputs: Any) -> Iterator[Callable[[], None]]:
    """Give a module, or that of a method, copies of its buffers; when the context ends it has its own again.

    The context is a function that makes new copies, for each evaluation. Buffers that share memory with a parameter or
    an input are not copied, as they have to follow it.
    """
    module = getattr(function, "__self__", function)
    owners = list(module.modules()) if isinstance(module, torch.nn.Module) else []
    originals = [(owner, dict(owner._buffers.items())) for owner in owners]
    followed = [leaf for _, leaf in leaves("", inputs) if isinstance(leaf, torch.Tensor)]
    followed += [parameter for owner in owners for parameter in owner.parameters(recurse=False)]
    buffers = {id(b): b for _, own in originals for b in own.values() if b is not None}
    shared = {i: b for i, b in buffers.items() if any(torch._C._is_alias_of(b, other) for other in followed)}

    def renew() -> None:
        memo = dict(shared)  # so that buffers that share memory with each other still do
        with torch.enable_grad():  # those that are computed from others cannot be copied deeply
            memo |= {i: b.clone() for i, b in buffers.items() if i not in shared and not b.is_leaf}
        _give([(owner, copy.deepcopy(own, memo)) for owner, own in originals])

    try:
        renew()
        yield renew
    finally:
        _give(originals)


def _give(buffers: list[tuple[Any, dict[str, Any]]]) -> None:
    for owner, own in buffers:
        for name in [name for name in owner._buffers.keys() if name not in own]:  # noqa: SIM118 (TorchScript's has no others)
            del owner._buffers[name]
        for name, buffer in own.items():
            owner._buffers[name] = buffer


def _gradient(grad: Any, like: Array) -> Array:
    return np.zeros(like.shape, like.dtype) if grad is None else as_array(grad)
