"""Checks of what autograd computes: backward and forward mode, and undefined gradients of outputs."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd import forward_ad

from secant._common.validation import Array
from secant._common.warn import warn
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.options import Options, named, scales
from secant.checking.point import Direction, Point
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport, some
from secant.differentiation.rounding import Value
from secant.errors import DTypeError, ValueRangeError
from secant.torch._tensors import (
    CheckedTensor,
    NothingToCheckError,
    Outputs,
    as_array,
    differentiable,
    leaves,
    pulled_back,
    replaced,
)


class Subject(NamedTuple):
    """What is checked: a function of arguments, and the tensors of these, or of a module, by name."""

    owner: Any
    """A module, or one of its methods: its buffers are put back."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    tensors: dict[str, Any]
    options: Options
    hidden: int = 0
    """How many of these tensors, the last ones, are not the user's."""
    of: str = ""
    """What the function is a derivative by, such as "-over-reverse"; then each of its outputs is one."""


class Check:
    """A subject, and the gradients that autograd computes of it.

    Tensors are shifted in place, and restored; or, if ``copied``, copies of them, which the function has to use.
    ``before`` is called before each evaluation.
    """

    def __init__(self, subject: Subject, before: Callable[[], object], copied: bool = False) -> None:
        self.subject, self._before = subject, before
        names = named(subject.options.names, list(subject.tensors), subject.hidden)
        pairs = [(name, each) for name, each in zip(names, subject.tensors.values(), strict=True) if each.numel()]
        self.checked = [CheckedTensor(name, tensor, copied) for name, tensor in pairs]
        copies = zip(pairs, self.checked, strict=True)
        replacements = {id(tensor): each.tensor for (_, tensor), each in copies if each.copied}
        self._arguments = replaced(subject.arguments, replacements)

    @property
    def tensors(self) -> list[Any]:
        """What the function gets of what is checked."""
        return [each.tensor for each in self.checked]

    def outputs(self) -> Outputs:
        """The function, as one that returns its tensors with a gradient."""
        rng = np.random.default_rng([self.subject.options.rng, 1])
        return Outputs(lambda: self._called(self._arguments), rng, keeps_all=self.subject.of != "")

    def reports(self, backward: bool, forward: bool, undefined: bool | None) -> Iterator[GradientReport]:
        """Run the checks that are wanted.

        Where only the gradient of one of several outputs is defined, the others count as 0, unless ``undefined`` is
        False; where it is True, so do those of all.
        """
        if not self.checked:
            self.outputs()()
            raise NothingToCheckError
        if backward:
            yield self._backward(undefined)
        if forward:  # where only arguments have tangents, only they are shifted
            yield Check(self.subject, self._before, copied=True)._forward()

    def _backward(self, undefined: bool | None) -> GradientReport:
        """Check the gradients of backward mode."""
        outputs = self.outputs()
        point = self._point(outputs)
        missing: list[str] = []

        def gradients(factor: float) -> list[Array]:
            nonlocal missing
            self._put_back(point)
            grads = pulled_back(outputs(), self.tensors, [factor * cotangent for cotangent in outputs.cotangents])
            missing = [each.name for grad, each in zip(grads, self.checked, strict=True) if grad is None]
            point.is_used = self.subject.of != "" or len(missing) < len(self.checked)
            return self.arrays(grads)

        def candidate() -> CandidateGradient:
            given = CandidateGradient.linear(point, gradients)
            given.remark = given.remark or self._fault_of_a_second_run(outputs, given)
            if undefined is not False:
                given.remark = given.remark or self._fault_of_undefined(outputs, given, undefined is True)
            return given

        report = self._run(point, candidate, outputs, "reverse")
        if point.standstill():
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
            return replace(report, note=f"autograd has no gradient in {some(lost)}: {_LOST}")
        return report

    def _fault_of_a_second_run(self, outputs: Outputs, given: CandidateGradient) -> str:
        """What is wrong with backward functions that run again on one graph."""
        with contextlib.suppress(Exception):  # a graph may run once only, as those of torch.compile
            found, incoming = outputs(), [cotangent.clone() for cotangent in outputs.cotangents]
            for _ in range(2):
                off = given.off(self.arrays(pulled_back(found, self.tensors, incoming, keep=True)))
                if not all(map(torch.equal, incoming, outputs.cotangents)):
                    return "the backward function overwrites the incoming gradient, which other functions use too"
                if off:
                    return (
                        f"the backward function gives another gradient, by up to {off}, when it runs again on one graph"
                    )
        return ""

    def _fault_of_undefined(self, outputs: Outputs, given: CandidateGradient, every: bool) -> str:
        """What is wrong where gradients of outputs are undefined: of all but one, and, if ``every``, of all."""
        undefined = torch._C._functions.UndefinedGrad()
        try:
            if every:
                found: list[Any] = [undefined(output) for output in outputs()]
                grads = pulled_back(found, self.tensors, [torch.zeros_like(output) for output in found])
                if any(array.any() for array in self.arrays(grads)):
                    return _UNDEFINED.format("returns other gradients than 0")
            pairs = [(outputs()[i], cotangent) for i, cotangent in enumerate(outputs.cotangents)]
            singly = [self.arrays(pulled_back([output], self.tensors, [cotangent])) for output, cotangent in pairs]
        except Exception as error:
            return _UNDEFINED.format(f"raises an error, {type(error).__name__}: {error},") if every else ""
        off = given.off([sum(parts) for parts in zip(*singly, strict=True)]) if len(singly) > 1 else ""
        return _UNDEFINED.format(f"gives another gradient, by up to {off},") if off else ""

    def arrays(self, grads: Sequence[Any]) -> list[Array]:
        """Gradients of the tensors as arrays; None is 0."""
        pairs = zip(grads, self.checked, strict=True)
        return [np.zeros_like(each.array) if grad is None else as_array(grad) for grad, each in pairs]

    def _forward(self) -> GradientReport:
        """Check the derivatives of forward mode."""
        outputs = self.outputs()
        point = self._point(outputs)

        def along(direction: Direction) -> float:
            tangents = [each.tangent(part) for each, part in zip(self.checked, direction, strict=True)]
            pushed, is_used = self.pushed_forward(tangents)
            point.is_used = self.subject.of != "" or is_used
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
            outputs = Outputs(lambda: self._called(arguments), rng, keeps_all=self.subject.of != "")()
            pushed = [forward_ad.unpack_dual(output).tangent for output in outputs]
            pairs = zip(pushed, outputs, strict=True)
            found = [torch.zeros_like(o) if tangent is None else tangent for tangent, o in pairs]
            return found, any(tangent is not None for tangent in pushed)

    def _called(self, arguments: tuple[Any, ...]) -> Any:
        self._before()
        return self.subject.function(*arguments)

    def _point(self, outputs: Outputs) -> Point:
        def weighted(_: Any) -> Value:
            for each in self.checked:
                each.push()
            return outputs.weighted(outputs())

        arrays = [each.array for each in self.checked]
        return Point(
            weighted,
            arrays,
            inplace=True,
            names=[each.name for each in self.checked],
            scale=scales(self.subject.options.scale, arrays, self.subject.hidden),
        )

    def _run(
        self, point: Point, candidate: Callable[[], Candidate], outputs: Outputs, direction: str
    ) -> GradientReport:
        try:
            report = run_check(point, candidate, self.subject.options)
            cotangent = None if outputs.is_number else outputs.cotangents
            return replace(report, mode=f"{direction}{self.subject.of} mode", cotangent=cotangent)
        finally:
            self._put_back(point)

    def _put_back(self, point: Point) -> None:
        """Let the tensors have their own elements: the function may write to them."""
        point.restore()
        for each in self.checked:
            each.push()


_LOST = "on the way to the output it is detached, or in a checkpoint with use_reentrant=True"
_UNDEFINED = (
    "a backward function {} where gradients of its outputs are undefined: it must take None, or zeros, for such an "
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
