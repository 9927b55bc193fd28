"""The doors for PyTorch, JAX and test-suites: wrong functions that the libraries' own
checks cannot judge or pass.
"""

import collections
import contextlib
import copy
import doctest
import functools
import importlib
import inspect
import random
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from frameworks import Jax, Torch

import secant
import secant.testing
from secant.checking.structure import walk
from secant.errors import (
    DTypeError,
    GradientMismatchError,
    ShapeError,
    UnsupportedError,
    ValueRangeError,
)


def test_the_one_weight_of_39760_that_fast_mode_passes(torch):
    shapes = (784, 50), (50,), (50, 10), (10,)
    params = [
        (0.05 * torch.randn(*shape, dtype=torch.float64)).requires_grad_()
        for shape in shapes
    ]
    assert sum(param.numel() for param in params) == 39_760
    x, t = torch.rand(20, 784, dtype=torch.float64), torch.randint(10, (20,))

    class Dense(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w, b):
            return x @ w + b

        @staticmethod
        def backward(ctx, grad):
            w = x.T @ grad
            w[318, 0] *= 100
            return w, grad.sum(0)

    def loss(w1, b1, w2, b2):
        return torch.nn.functional.cross_entropy(
            torch.sigmoid(Dense.apply(w1, b1)) @ w2 + b2, t
        )

    assert torch.autograd.gradcheck(loss, params, fast_mode=True)
    with pytest.raises(GradientMismatchError) as raised:
        secant.torch.gradcheck(loss, params)
    assert "one entry, w1[318, 0], is 100 times too large" in str(raised.value)


def scaled_sine(torch, factor):
    return Torch().function(torch.sin, lambda x, grad: factor * grad * x.cos())


def test_a_double_backward_that_forgets_the_cotangent_is_wrong(torch):
    """With a cotangent of 1, as of a function with a single value, it would pass."""

    class Forgetful(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, grad):
            ctx.save_for_backward(x)
            return grad * x.cos()

        @staticmethod
        def backward(ctx, v):
            (x,) = ctx.saved_tensors
            return -v * x.sin(), v * x.cos()

    sine = Torch().function(torch.sin, Forgetful.apply)
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(GradientMismatchError):
        secant.torch.gradgradcheck(lambda x: sine(x).sum(), x)


UNCHECKED = "check_batched_grad", "check_grad_dtypes", "masked"
NON_CONTIGUOUS = "gen_non_contig_grad_outputs"


def test_all_options_of_pytorch_are_accepted(torch):
    for name in ("gradcheck", "gradgradcheck"):
        theirs = inspect.signature(getattr(torch.autograd, name)).parameters
        assert (
            theirs.keys()
            <= inspect.signature(getattr(secant.torch, name)).parameters.keys()
        )


def test_a_constant_or_integers_are_right_with_a_warning_as_in_pytorch(torch):
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    functions = {
        "it has one value": lambda x: torch.ones(3),
        "has no such tensor|got no such tensor": lambda x: x.argmax(),
        "it has one value ": lambda x: torch.zeros(2, requires_grad=True),
    }
    for said, f in functions.items():
        assert torch.autograd.gradcheck(f, x)
        with pytest.warns(
            RuntimeWarning, match=f"^nothing is checked: .*({said.strip()})"
        ):
            assert secant.torch.gradcheck(f, x)
    assert torch.autograd.gradcheck(lambda x: (x.sin(), x.argmax()), x)
    assert secant.torch.gradcheck(lambda x: (x.sin(), x.argmax()), x)
    for check in (torch.autograd.gradcheck, secant.torch.gradcheck):  # it changes
        with pytest.raises(RuntimeError):
            check(lambda x: 2 * x.detach(), x)


def test_options_of_pytorch(torch):
    x = torch.ones(3, requires_grad=True)
    assert secant.torch.gradcheck(torch.sin, x, fast_mode=True)
    for check in (secant.torch.gradcheck, secant.torch.gradgradcheck):
        for option in (
            *UNCHECKED,
            "check_batched_forward_grad"
            if check.__name__ == "gradcheck"
            else NON_CONTIGUOUS,
        ):
            with pytest.warns(
                UserWarning, match=f"^{check.__name__} ignores {option}: "
            ) as warned:
                assert check(torch.sin, x, **{option: True})
            assert len(warned) == 1
        with pytest.warns(
            UserWarning,
            match=f"{check.__name__} ignores atol, nondet_tol: tolerances are measured",
        ):
            assert check(torch.sin, x, atol=1e-3, nondet_tol=1e-5)
        with pytest.raises(TypeError, match="'max_evals'"):
            check(torch.sin, x, max_evals=3)
    with pytest.raises(
        ValueRangeError, match="one of both modes must be checked, got neither"
    ):
        secant.torch.gradcheck(torch.sin, x, check_backward_ad=False)
    with pytest.raises(
        ValueRangeError, match="one of both modes must be checked, got neither"
    ):
        secant.torch.gradgradcheck(torch.sin, x, check_rev_over_rev=False)


def test_functions_that_use_autograd_themselves(torch):
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

    def forces(x):
        energy = (
            (x[:, None] - x + torch.eye(4)[..., None]).square().sum(2).rsqrt().sum()
        )
        return torch.autograd.grad(energy, x, create_graph=True)[0]

    assert secant.torch.gradcheck(forces, x)

    class Residual(torch.nn.Sequential):
        def forward(self, t):
            u = super().forward(t)
            (slope,) = torch.autograd.grad(u.sum(), t, create_graph=True)
            return (slope + u).square().mean()

    module = Residual(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    assert secant.torch.check_module(
        module, torch.linspace(0, 1, 7)[:, None].requires_grad_()
    ).passed


@dataclass
class Output:
    values: object
    count: int = 3


class Pair(NamedTuple):
    first: object
    second: object


@pytest.mark.parametrize(
    "nested",
    [
        lambda y: {"a": [y]},
        lambda y: (1, (y, None)),
        Output,
        lambda y: Pair("name", {"b": (y,)}),
    ],
    ids=["dict", "tuple", "dataclass", "named tuple"],
)
def test_outputs_and_inputs_are_looked_for_in_nested_containers(torch, nested):
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    wrong = scaled_sine(torch, 100.0)
    assert secant.torch.gradcheck(lambda x: nested(x.sin()), x)
    with pytest.raises(GradientMismatchError, match="100 times too large"):
        secant.torch.gradcheck(lambda x: nested(wrong(x)), x)
    found = []

    def of_nested(value):
        (tensor,) = (
            leaf for _, leaf in walk("", value) if isinstance(leaf, torch.Tensor)
        )
        found.append(type(value))
        return wrong(tensor)

    with pytest.raises(GradientMismatchError, match="100 times too large"):
        secant.torch.gradcheck(of_nested, (nested(x),))
    assert set(found) == {type(nested(x))}


def test_outputs_that_cannot_be_checked_are_named(torch):
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(
        DTypeError, match=r"or dataclasses of them, got Normal as output\['b'\]\[0\]"
    ):
        secant.torch.gradcheck(
            lambda x: {"a": x, "b": [torch.distributions.Normal(x, 1.0)]}, x
        )
    with pytest.raises(
        UnsupportedError, match=r"^output must be dense, got torch.sparse_coo"
    ):
        secant.torch.gradcheck(lambda x: x.to_sparse(), x)
    for check in (secant.torch.check, secant.torch.gradgradcheck):
        with pytest.raises(
            DTypeError,
            match=r"must return a tensor of floating-point numbers, got no such tensor",
        ):
            check(lambda x: (x.argmax(), "it"), x)
    with pytest.raises(
        DTypeError,
        match=r"must return a tensor of floating-point numbers, got no such tensor",
    ):
        secant.torch.gradcheck(lambda x: "it", x)
    with pytest.raises(
        UnsupportedError, match=r"inputs\[0\] must be dense, got torch.sparse_coo"
    ):
        secant.torch.gradcheck(torch.sin, torch.eye(2).to_sparse().requires_grad_())
    with pytest.raises(RuntimeError, match="does not require grad"):
        secant.torch.gradgradcheck(lambda x: x.detach().sin(), x)


def test_outputs_without_a_gradient(torch):
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    with pytest.warns(
        RuntimeWarning,
        match=r"^not checked, without a gradient: output\[1\], output\[2\]",
    ):
        assert secant.torch.gradcheck(
            lambda x: (x.sin(), x.detach().cos(), x.detach()), x
        )
    with pytest.raises(GradientMismatchError, match="the gradient is 0 everywhere"):
        secant.torch.gradcheck(lambda x: x.detach().sin(), x)
    half = torch.full((4,), 0.5, dtype=torch.float64, requires_grad=True)
    # it is used, and its derivative is 0
    assert secant.torch.gradcheck(torch.floor, half, check_forward_ad=True)
    assert secant.torch.gradgradcheck(torch.floor, half)
    with pytest.raises(
        ValueRangeError, match="the function must depend on what is checked"
    ):
        secant.torch.check_module(
            torch.nn.Linear(4, 3), x.detach().float(), lambda _: x.sin().sum()
        )


@pytest.mark.parametrize(
    ("unmaterialized", "reason"),
    [
        (lambda g, h: 2 * g + 3 * h, "raises an error"),
        (lambda g, h: 1.0, "another"),
        (lambda g, h: 0.0, "another"),
    ],
)
def test_undefined_gradients_of_outputs(torch, unmaterialized, reason):
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return 2 * x, 3 * x

        @staticmethod
        def backward(ctx, g, h):
            if g is None or h is None:
                return torch.as_tensor(unmaterialized(g, h)).double().expand(4)
            return 2 * g + 3 * h

    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert secant.torch.gradcheck(lambda x: (2 * x, 3 * x), x)
    with pytest.raises(
        GradientMismatchError,
        match=f"{reason}.* check_undefined_grad=False leaves this out",
    ):
        secant.torch.gradcheck(Twice.apply, x)
    assert not secant.torch.gradcheck(Twice.apply, x, raise_exception=False)
    assert secant.torch.gradcheck(Twice.apply, x, check_undefined_grad=False)


def test_undefined_gradients_of_a_first_gradient(torch):
    """That of a product has two outputs, and its own backward function takes undefined
    gradients for ones.
    """

    class Gradients(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, c):
            ctx.save_for_backward(x, y, c)
            ctx.set_materialize_grads(False)
            return c * y, c * x

        @staticmethod
        def backward(ctx, g, h):
            x, y, c = ctx.saved_tensors
            g, h = (torch.ones_like(c) if each is None else each for each in (g, h))
            return c * h, c * g, y * g + x * h

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, c):
            return Gradients.apply(*ctx.saved_tensors, c)

    inputs = [torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in "xy"]
    assert secant.torch.gradgradcheck(torch.mul, inputs)
    with pytest.raises(
        GradientMismatchError, match=r"check_undefined_grad=False leaves this out"
    ):
        secant.torch.gradgradcheck(Product.apply, inputs)
    assert secant.torch.gradgradcheck(Product.apply, inputs, check_undefined_grad=False)


@pytest.mark.parametrize("is_one", [True, False], ids=["tensor", "sequence"])
def test_cotangents_of_second_derivatives_are_those_that_are_given(torch, is_one):
    seen = []

    def product(x, c):
        seen.append(c.detach().clone())
        return c * x.cos()

    sine = Torch().function(torch.sin, product)
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    given = torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64, requires_grad=True)
    before = given.detach().clone()
    assert secant.torch.gradgradcheck(sine, x, given if is_one else [given])
    assert torch.equal(seen[0], before)
    assert torch.equal(given, before)
    constant = before.clone()
    # which is not differentiated by
    assert secant.torch.gradgradcheck(sine, x, constant)
    with pytest.raises(GradientMismatchError) as raised:
        secant.torch.gradgradcheck(lambda x: (x.detach() * x).sin(), x, given)
    assert [array.name for array in raised.value.report.arrays] == [
        "x",
        "grad_outputs[0]",
    ]
    with pytest.raises(GradientMismatchError) as raised:
        secant.torch.gradgradcheck(lambda x: (x.detach() * x).sin(), x, constant)
    assert [array.name for array in raised.value.report.arrays] == ["x"]


def test_arguments_need_no_tuple(torch):
    x, y = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert [
        array.name
        for array in secant.torch.check(lambda x, y: x * y.exp(), x, y).arrays
    ] == ["x", "y"]


def test_an_error_of_second_derivatives_names_the_users_argument(torch):
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(
        GradientMismatchError, match=r"(?m)^  own \(3,\) +wrong"
    ) as raised:
        secant.torch.gradgradcheck(lambda own: (own.detach() * own).sin(), x)
    assert isinstance(raised.value, RuntimeError)  # as tests of PyTorch expect


def test_what_a_module_leaves_out_by_design_is_named(torch):
    module = torch.nn.Sequential(
        torch.nn.Embedding(5, 3, padding_idx=0),
        torch.nn.Flatten(),
        torch.nn.Linear(9, 2),
    )
    report = secant.torch.check_module(
        module.double(), torch.tensor([[0, 1, 2], [3, 0, 1]])
    )
    assert report.verdict == "wrong"
    assert (
        report.note
        == "0.weight has no gradient at padding_idx=0, on which the output depends"
    )
    module = torch.nn.utils.parametrizations.spectral_norm(
        torch.nn.Linear(4, 3)
    ).double()
    report = secant.torch.check_module(module, torch.randn(5, 4, dtype=torch.float64))
    assert (
        report.note
        == "the module is in training mode, in which some layers change from call to call: check module.eval()"
    )
    assert secant.torch.check_module(
        module.eval(), torch.randn(5, 4, dtype=torch.float64)
    ).passed
    module = torch.nn.Linear(4, 3)  # in float32
    module.bias.register_hook(lambda grad: grad / 10)
    report = secant.torch.check_module(module, torch.randn(5, 4))
    assert [array.passed for array in report.arrays] == [True, False]
    assert report.diagnosis == "bias is 10 times too small"


def test_the_hooks_of_inputs_run(torch):
    x = torch.linspace(0.1, 1, 3, requires_grad=True)
    assert secant.torch.gradcheck(torch.sin, x)
    x.register_hook(lambda grad: 2 * grad)
    with pytest.raises(GradientMismatchError, match="2 times too large"):
        secant.torch.gradcheck(torch.sin, x)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_frozen_parameters_that_a_module_writes_to_are_put_back(torch, name):
    class Codebook(torch.nn.Linear):
        def forward(self, x):
            assert isinstance(self.weight, torch.nn.Parameter)
            self.state["weight"].mul_(0.9)
            return super().forward(x)

    module = Codebook(4, 3).to(getattr(torch, name))
    module.weight.requires_grad_(False)
    module.state = {"weight": module.weight}
    before = module.weight.detach().clone()
    assert (
        secant.torch.check_module(module, torch.randn(5, 4, dtype=before.dtype)).verdict
        == "right"
    )
    assert torch.equal(module.weight, before)


def test_the_same_tensor_twice_and_tensors_without_elements(torch):
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert secant.torch.gradcheck(torch.mul, (x, x), check_forward_ad=True)
    assert not secant.torch.gradcheck(
        lambda x, y: x * scaled_sine(torch, 2.0)(y), (x, x), raise_exception=False
    )
    empty = torch.ones(0, 3, requires_grad=True)
    x = x.detach().float().requires_grad_()
    assert secant.torch.gradcheck(
        lambda x, y: (x.sum() + y.sin(), y[:0]), (empty, x), check_forward_ad=True
    )
    with pytest.warns(
        RuntimeWarning,
        match=r"^nothing is checked: arguments and outputs must have elements",
    ):
        assert secant.torch.gradgradcheck(torch.sin, empty)


def test_a_sparse_gradient(torch):
    table = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    i = torch.tensor([0, 3, 3])
    assert secant.torch.gradcheck(
        lambda w: torch.nn.functional.embedding(i, w, sparse=True).sin(), table
    )


def test_several_inputs_and_outputs(torch):
    a, b = (
        torch.randn(3, 4, requires_grad=True),
        torch.randn(4, dtype=torch.float64, requires_grad=True),
    )
    count = torch.arange(3)

    def right(a, count, b, factor):
        return factor * (a.double() @ b), a.T.sin(), count, a.double() + b

    assert secant.torch.gradcheck(right, (a, count, b, 2.0))
    sine = scaled_sine(torch, 1.01)
    with pytest.raises(
        GradientMismatchError, match=r"(?m)^  b \(4,\) +wrong in all 4 entries"
    ):
        secant.torch.gradcheck(lambda a, b: (a.sin(), sine(b)), (a, b))


def test_what_torch_inputs_may_not_be(torch):
    with pytest.raises(
        DTypeError, match="inputs must have a tensor that requires a gradient, got none"
    ):
        secant.torch.gradcheck(torch.sin, torch.ones(3))
    with pytest.raises(TypeError, match="Float8_e5m2"):
        secant.torch.gradcheck(
            torch.abs, torch.ones(3).to(torch.float8_e5m2).requires_grad_()
        )
    with pytest.raises(ValueRangeError, match=r"f must be deterministic, .*dropout"):
        secant.torch.gradcheck(
            lambda x: torch.nn.functional.dropout(x, 0.5),
            torch.ones(30, requires_grad=True),
        )
    inputs = (torch.ones(4, requires_grad=True), torch.ones(0, requires_grad=True))
    with pytest.raises(
        ValueRangeError, match="must depend on what is checked: it has one value"
    ):
        secant.torch.check(lambda x, empty: empty.sum() + 3, inputs)
    with pytest.raises(
        DTypeError,
        match="module must have a parameter that requires a gradient, got none",
    ):
        secant.torch.check_module(torch.nn.ReLU(), torch.ones(3))
    with pytest.raises(DTypeError, match="floating point"):
        secant.torch.check(torch.sum, torch.arange(3))


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_a_module_is_what_it_was(torch, name):
    dtype = getattr(torch, name)
    module = torch.nn.Sequential(
        torch.nn.ReLU(inplace=True), torch.nn.Linear(6, 5), torch.nn.Linear(5, 3)
    ).to(dtype)
    x, t = torch.randn(8, 6).to(dtype), torch.randint(3, (8,))
    before = [own.detach().clone() for own in (x, *module.parameters())]

    def loss(y):
        return torch.nn.functional.cross_entropy(y, t)

    report = secant.torch.check_module(module, x, loss)
    assert report.verdict == "right", report
    assert [array.name for array in report.arrays] == [
        "1.weight",
        "1.bias",
        "2.weight",
        "2.bias",
    ]
    calls = 0

    def fails(y):
        nonlocal calls
        calls += 1
        if calls > 20:
            raise KeyboardInterrupt
        return loss(y)

    with pytest.raises(KeyboardInterrupt):
        secant.torch.check_module(module, x, fails)
    assert all(
        torch.equal(a, b)
        for a, b in zip((x, *module.parameters()), before, strict=True)
    )
    assert all(param.grad is None for param in module.parameters())


def test_checks_of_one_module_at_once_are_right_and_leave_it_as_it_was(torch):
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    )
    x, reports, count = torch.randn(8, 6), [], 4
    start = threading.Barrier(count)
    before = copy.deepcopy(module.state_dict())

    def run():
        start.wait()
        reports.append(secant.torch.check_module(module, x))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.verdict for report in reports] == ["right"] * count
    assert torch.get_default_dtype() == torch.float32
    for name, own in module.state_dict().items():
        assert own.dtype == torch.float32
        assert torch.equal(own, before[name])


@pytest.mark.parametrize("fails", [False, True])
def test_random_states_the_default_type_and_what_a_module_has_are_left_as_they_were(
    torch, fails
):
    calls = 0

    class Noisy(torch.nn.Linear):
        def forward(self, x):
            nonlocal calls
            calls += 1
            for seed in (torch.manual_seed, random.seed, np.random.seed):
                seed(7)
            self.training = False
            if fails and calls > 20:
                raise KeyboardInterrupt
            return (
                super().forward(x) * torch.rand(3) * random.random() * np.random.rand()
            )

    module, x = Noisy(4, 3), torch.randn(5, 4)
    module.weight.grad = torch.ones(3, 4)
    grad = module.weight.grad

    def states():
        return (
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),
        )

    before = states()
    with pytest.raises(KeyboardInterrupt) if fails else contextlib.nullcontext():
        assert secant.torch.check_module(module, x).passed
    assert states() == before
    assert torch.get_default_dtype() == module.weight.dtype == torch.float32
    assert module.training
    assert module.weight.grad is grad
    assert grad.dtype == torch.float32


def test_a_loss_that_is_a_module_is_what_it_was(torch):
    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.seen, self.sums = [], {}

        def forward(self, y):
            self.mean += y.detach().mean(0)
            self.seen.append(float(y.detach().sum()))
            self.sums["last"] = self.seen[-1]
            return (y**2).mean()

    loss = Loss()
    mean = loss.mean
    assert secant.torch.check_module(
        torch.nn.Linear(4, 3), torch.randn(5, 4), loss
    ).passed
    assert loss.mean is mean
    assert torch.equal(mean, torch.zeros(3))
    assert (loss.seen, loss.sums) == ([], {})


def test_the_inputs_keep_what_is_in_their_grad(torch):
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    x.grad = grad = torch.ones(3, dtype=torch.float64)
    for check in (
        secant.torch.gradcheck,
        secant.torch.gradgradcheck,
        secant.torch.check,
    ):
        assert check(torch.sin, x)
        assert x.grad is grad
        assert torch.equal(grad, torch.ones(3))


@pytest.mark.slow
def test_ctrl_c_at_any_line_that_changes_or_restores_leaves_a_module_as_it_was(torch):
    """Each of these lines in turn, at one of the calls in the middle of a check."""
    file = sys.modules["secant.torch._function"].__file__
    functions = (
        "put_back",
        "entered",
        "borrowed",
        "shared_state",
        "restore",
        "__enter__",
        "__exit__",
        "_evaluated",
    )
    module, x = torch.nn.Linear(4, 3), torch.randn(5, 4)
    module.register_buffer("ones", torch.ones(3))
    before = copy.deepcopy(module.state_dict())
    tensors = {
        name: (own, own.data_ptr())
        for name, own in module.state_dict(keep_vars=True).items()
    }

    def checked(at_line):
        """Call a function at each line of the file; return whether Ctrl-C ended the
        check.
        """

        def trace(frame, event, _):
            if (
                frame.f_code.co_filename != file
                or frame.f_code.co_name not in functions
            ):
                return None
            if event == "line":
                at_line(frame.f_lineno)
            return trace

        tracing = sys.gettrace()
        sys.settrace(trace)
        try:
            secant.torch.check_module(module, x)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(tracing)
        return False

    counts = collections.Counter()
    assert not checked(lambda line: counts.update([line]))
    assert len(counts) > 30
    for line, count in counts.items():
        calls = collections.Counter()

        def interrupt(here, line=line, count=count, calls=calls):
            calls[here] += 1
            if here == line and calls[here] == (count + 1) // 2:
                signal.raise_signal(signal.SIGINT)

        assert checked(interrupt), line
        assert torch.get_default_dtype() == torch.float32, line
        assert torch.ones(2).dtype == torch.float32, line
        for name, own in module.state_dict(keep_vars=True).items():
            kept, pointer = tensors[name]
            assert own is kept, (line, name)
            assert own.data_ptr() == pointer, (line, name)
            assert torch.equal(own, before[name]), (line, name)
            assert own.grad is None


@pytest.mark.parametrize("name", ["float64", "float32"])
def test_a_parameter_of_a_set_that_was_made_before_counts(torch, name):
    module = torch.nn.Linear(4, 3, dtype=getattr(torch, name))
    x, made_before = torch.randn(5, 4, dtype=module.bias.dtype), {module.weight}

    def loss(used):
        return lambda y: (
            y.sum()
            + sum(
                used(own).square().sum()
                for own in module.parameters()
                if own in made_before
            )
        )

    assert secant.torch.check_module(module, x, loss(lambda own: own)).passed
    assert [
        array.passed
        for array in secant.torch.check_module(module, x, loss(torch.detach)).arrays
    ] == [False, True]
    assert secant.torch.gradcheck(
        lambda weight: (weight * module.weight).sin(), module.weight
    )


def test_tensors_have_the_strides_of_the_users(torch):
    f = Torch().function(
        lambda x: torch.as_strided(x, x.shape, (5, 1)).sin(), lambda x, c: c * x.cos()
    )
    x = torch.randn(5, 5, dtype=torch.float64).requires_grad_()
    assert secant.torch.check(f, x).passed
    assert secant.torch.check(f, x.detach().t().requires_grad_()).verdict == "wrong"


def test_second_derivatives_where_the_user_disabled_gradients(torch):
    x = torch.rand(3, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        assert secant.torch.gradcheck(torch.exp, x, check_forward_ad=True)
        assert secant.torch.gradgradcheck(torch.exp, x, check_fwd_over_rev=True)
    for over in ("rev", "fwd"):
        with pytest.raises(ValueRangeError, match="func must depend on inputs"):
            secant.torch.gradgradcheck(
                lambda _: x.exp(),
                x.detach().requires_grad_(),
                **{f"check_{over}_over_rev": True},
            )


@pytest.mark.parametrize("name", ["float64", "bfloat16"])
def test_a_graph_that_the_user_built_before_a_check_is_still_valid(torch, name):
    x = torch.randn(8, 3, dtype=getattr(torch, name), requires_grad=True)
    norm = torch.nn.BatchNorm1d(3, dtype=torch.float64).eval()
    loss = x.sin().sum() + norm(x.double()).square().sum()
    secant.torch.check(torch.sin, x)
    norm.train()
    secant.torch.gradcheck(norm, x.detach().double().requires_grad_())
    loss.backward()


class OfBuffers:
    """Modules that take x, use a parameter, and change their buffers in each call."""

    def cache(self, x):
        self.b[1] = self.w * x  # in the graph
        return self.b.sin().sum()

    def lazy(self, x):
        if self.unset is None:
            self.unset = 0 * x.detach() + 2
            self.register_buffer("new", 0 * x.detach())
        return (self.w * x * self.unset).sum()

    def shared(self, x):
        self.b += 1
        assert self.same is self.b
        return (self.w * x * self.b[0]).sum()

    def others(self, x):
        self.kept.append(x)
        self.plain[:] = self.w * x
        return self.plain.sin().sum()

    def computed(self, x):
        self.b = self.b.detach() + self.w * x
        return self.b.square().sum()


@pytest.mark.parametrize("name", ["cache", "lazy", "shared", "others", "computed"])
def test_what_a_module_keeps_is_the_same_after_a_check(torch, name):
    class Module(torch.nn.Module):
        forward = getattr(OfBuffers, name)

        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.rand(3, dtype=torch.float64))
            self.register_buffer("b", torch.ones(2, 3, dtype=torch.float64))
            self.register_buffer("same", self.b)
            self.register_buffer("unset", None)
            self.kept, self.plain = [], torch.zeros(3, dtype=torch.float64)

    module = Module()
    before, version = dict(module._buffers), module.b._version
    x = torch.rand(3, dtype=torch.float64, requires_grad=True)
    assert secant.torch.check_module(module, x.detach()).passed
    assert secant.torch.gradcheck(module, x)
    assert secant.torch.gradgradcheck(module, x)
    assert list(module._buffers) == list(before)
    assert all(module._buffers[name] is buffer for name, buffer in before.items())
    assert torch.equal(module.b, torch.ones(2, 3, dtype=torch.float64))
    assert module.b._version == version
    assert not module.kept
    assert not module.plain.any()
    assert not module.b.requires_grad


def test_a_second_derivative_that_is_detached_is_wrong(torch):
    class Cubes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x**3 + y**3

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            return (3 * grad * x**2).detach(), 3 * grad * y**2

    x, y = (torch.rand(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    with pytest.raises(
        GradientMismatchError, match=r"x \(4,\) +wrong in all 4 entries"
    ):
        secant.torch.gradgradcheck(Cubes.apply, (x, y))
    assert secant.torch.gradgradcheck(lambda x, y: 3 * x + y.floor() + y**3, (x, y))


def test_a_checkpoint_that_autograd_does_not_see_through_is_wrong(torch):
    from torch.utils.checkpoint import checkpoint

    x = torch.rand(2, 4, dtype=torch.float64, requires_grad=True)

    class Checkpointed(torch.nn.Sequential):
        def forward(self, use_reentrant):
            return checkpoint(super().forward, x, use_reentrant=use_reentrant).sin()

    module = Checkpointed(torch.nn.Linear(4, 3)).double()
    assert (
        secant.torch.check_module(module, (True,)).diagnosis
        == "the gradient is 0 everywhere"
    )
    assert secant.torch.check_module(module, (False,)).passed


def test_tensors_of_types_that_numpy_does_not_have(torch):
    x = torch.rand(6)
    with pytest.raises(TypeError, match="Float8_e4m3fn"):
        secant.torch.gradcheck(
            lambda x: x.to(torch.float8_e4m3fn), x.clone().requires_grad_()
        )
    assert secant.torch.gradgradcheck(torch.Tensor.cfloat, x.clone().requires_grad_())
    low = x.bfloat16()
    both = low[:3].requires_grad_(), low[3:].requires_grad_()
    assert (
        secant.torch.check(
            lambda a, b: (a.float() ** 2).sum() + (b.float() ** 3).sum(), both
        ).verdict
        != "wrong"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_trees_of_jax(jax, dtype):
    rng = np.random.default_rng(0)
    params = {
        "w": jax.numpy.asarray(rng.standard_normal((4, 3)), dtype),
        "b": jax.numpy.ones(3, dtype),
    }
    x = jax.numpy.asarray(rng.standard_normal(4), dtype)

    def f(params, x):
        return {
            "y": jax.numpy.tanh(x @ params["w"] + params["b"]),
            "size": (params["w"] ** 2).sum(),
        }

    assert secant.jax.check_grads(f, (params, x)) is None

    negated = Jax().function(lambda x: x, lambda _, cotangent: -cotangent)
    with pytest.raises(GradientMismatchError, match=r"p\['b'\] \(3,\) +\d? ?wrong"):
        secant.jax.check_grads(
            lambda p, x: f(p | {"b": negated(p["b"])}, x), (params, x), modes=["rev"]
        )


def test_derivatives_of_functions_that_return_arrays_of_jax(jax):
    with pytest.warns(
        RuntimeWarning, match="^f returns float32 and round-off dominates"
    ):
        assert secant.numerical_diff(
            lambda x: jax.numpy.asarray([x, 2 * x]), 0.5
        ).round(1).tolist() == [1, 2]
    with pytest.warns(
        RuntimeWarning, match="^f returns float32 and round-off dominates"
    ):
        gradient = secant.numerical_gradient(
            lambda x: jax.numpy.sum(x), np.array([0.25, 0.5])
        )
    assert gradient.round(1).tolist() == [1, 1]
    # in float64
    assert secant.numerical_diff(lambda x: 2 * x, jax.numpy.ones(2)).round(
        9
    ).tolist() == [2, 2]


def chain(jax, factor):
    """A sine, whose third derivative is multiplied by a factor."""
    sine, cosine, minus_sine = (
        jax.custom_jvp(jax.numpy.sin),
        jax.custom_jvp(jax.numpy.cos),
        jax.custom_jvp(_minus_sine),
    )
    sine.defjvp(lambda x, t: (sine(*x), cosine(*x) * t[0]))
    cosine.defjvp(lambda x, t: (cosine(*x), minus_sine(*x) * t[0]))
    minus_sine.defjvp(lambda x, t: (minus_sine(*x), -factor * cosine(*x) * t[0]))
    return sine


def _minus_sine(x):
    return -importlib.import_module("jax").numpy.sin(x)


@pytest.mark.parametrize(
    "modes",
    ["fwd", "rev", pytest.param(("fwd", "rev"), marks=pytest.mark.slow)],
    ids=str,
)
def test_an_order_is_the_highest_that_is_checked(jax, modes):
    x = (jax.numpy.linspace(0.1, 1, 4),)
    secant.jax.check_grads(chain(jax, 1.0), x, order=3, modes=modes)
    secant.jax.check_grads(chain(jax, 1.5), x, order=2, modes=modes)
    with pytest.raises(
        GradientMismatchError, match=r"^(gradient|derivative) .*-over-.*-over-"
    ):
        secant.jax.check_grads(chain(jax, 1.5), x, order=3, modes=modes)


def test_both_modes_are_checked_unless_one_is_named(jax):
    """A derivative whose transpose is wrong: its reverse mode alone."""
    from jax.custom_derivatives import linear_call

    sine = jax.custom_jvp(jax.numpy.sin)

    def push(point, tangent):
        along = linear_call(
            lambda x, t: jax.numpy.cos(x) * t,
            lambda x, c: 2 * jax.numpy.cos(x) * c,
            *point,
            *tangent,
        )
        return sine(*point), along

    sine.defjvp(push)
    x = (jax.numpy.linspace(0.1, 1, 4),)
    secant.jax.check_grads(sine, x, modes="fwd")
    for options in (
        {},
        {"modes": "rev"},
        {"modes": ["rev"]},
        {"modes": ("fwd", "rev")},
    ):
        with pytest.raises(GradientMismatchError, match="2 times too large"):
            secant.jax.check_grads(sine, x, **options)


def test_a_custom_vjp_has_no_forward_mode(jax):
    with pytest.raises(
        UnsupportedError,
        match='f has a custom_vjp, which has no forward mode: pass modes="rev"',
    ):
        secant.jax.check_grads(
            Jax().function(jax.numpy.sin, lambda x, c: c),
            (jax.numpy.linspace(0.1, 1, 5),),
        )


def test_what_is_no_array_of_numbers_for_jax(jax):
    x = jax.numpy.linspace(0.1, 1, 5)
    secant.jax.check_grads(
        lambda x: {"name": "sine", "y": jax.numpy.sin(x), "at": x.argmax()}, (x,)
    )
    secant.jax.check_grads(
        lambda key, x: x * jax.random.normal(key, x.shape), (jax.random.key(0), x)
    )
    secant.jax.check_grads(lambda x, empty: x * x + empty.sum(), (x, x[:0]))
    with pytest.raises(
        DTypeError,
        match="args must be a tuple or a list of the arguments of f, got ArrayImpl",
    ):
        secant.jax.check_grads(jax.numpy.sin, x)
    with pytest.raises(
        ValueRangeError, match=r"^y must be finite, got NaN or infinity"
    ):
        secant.jax.check_grads(lambda x, y: x * y, (x, x / 0))
    with pytest.raises(
        DTypeError,
        match="f must return an array of floating-point or complex numbers, got none",
    ):
        secant.jax.check_grads(lambda x: x.argmax(), (x,))


def test_arguments_of_jax(jax):
    x = jax.numpy.linspace(0.1, 1, 5)
    key = jax.random.key(0)

    def f(params, key, i, flag):
        return (
            OrderedDict(b=params["a"][i], a=params["c"] * jax.random.normal(key))
            if flag
            else x
        )

    for params in ({"a": x, "c": 2.0}, {"c": 2.0, "a": x}, OrderedDict(c=2.0, a=x)):
        secant.jax.check_grads(f, (params, key, jax.numpy.array([0, 3]), True))
    # which JAX makes float32
    secant.jax.check_grads(jax.numpy.sin, (np.linspace(0, 1, 5),))
    with pytest.warns(
        RuntimeWarning,
        match=r"^nothing is checked: arguments and outputs must have elements",
    ):
        secant.jax.check_grads(jax.numpy.sin, (x[:0],))
    with pytest.warns(
        UserWarning, match="^check_grads ignores atol, eps: tolerances are measured"
    ):
        secant.jax.check_grads(jax.numpy.sin, (x,), modes="rev", atol=1e-2, eps=1e-3)


def test_arguments_that_a_compiled_function_gives_up_are_left_to_the_user(jax):
    import jax.numpy as jnp

    x = jnp.linspace(0.5, 1.5, 4, dtype=jnp.float32)
    secant.jax.check_grads(jax.jit(lambda x: jnp.sin(x) * x, donate_argnums=0), (x,))
    assert not x.is_deleted()


@pytest.mark.parametrize("call", [1, 2, 5, 20, 70])
def test_ctrl_c_in_a_callback_of_jax_ends_the_check(jax, call):
    calls = 0

    def sine(x):
        nonlocal calls
        calls += 1
        if calls == call:
            signal.raise_signal(signal.SIGINT)
        return np.sin(x)

    f = Jax().function(
        lambda x: jax.pure_callback(sine, x, x), lambda x, c: c * jax.numpy.cos(x)
    )
    with pytest.raises(KeyboardInterrupt):
        secant.jax.check(f, (jax.numpy.linspace(0.1, 1, 5),))
    assert calls == call


def test_what_a_function_of_jax_keeps_is_no_tracer(jax):
    nodes = functools.lru_cache(lambda count: jax.numpy.linspace(0, 1, count))
    f = lambda x: (x * nodes(3)).sum()  # noqa: E731
    assert secant.jax.check(f, (jax.numpy.ones(3),)).passed
    assert f(jax.numpy.ones(3)) == 1.5


def test_a_value_that_only_rounding_makes_other_than_0_is_no_other_value(jax):
    with secant.jax._enable_x64(True):
        v = jax.numpy.asarray(np.random.default_rng(1).normal(size=8))
        report = secant.jax.check(
            lambda a: 1 - a @ v / jax.numpy.sqrt((a @ a) * (v @ v)), (v,)
        )
    assert report.verdict != "wrong"


def test_what_jax_arguments_and_outputs_may_be(jax):
    x = jax.numpy.ones(3)
    secant.jax.check_grads(
        lambda x: (jax.numpy.sin(x), x[:0]), (x,), order=2, modes=iter(("rev", "fwd"))
    )
    with pytest.raises(ValueRangeError, match="order must be at least 1, got 0"):
        secant.jax.check_grads(jax.numpy.sin, (x,), 0)
    with pytest.raises(
        UnsupportedError, match="mode must be 'rev' or 'fwd', got 'back'"
    ):
        secant.jax.check_grads(jax.numpy.sin, (x,), modes=["back"])
    with pytest.raises(
        ValueRangeError, match="one of both modes must be checked, got neither"
    ):
        secant.jax.check_grads(jax.numpy.sin, (x,), modes=[])
    with pytest.raises(
        DTypeError,
        match="args must have an array of floating-point or complex numbers, got none",
    ):
        secant.jax.check_grads(lambda x: 1.0 * x, (x.astype(int),), modes=["rev"])
    with pytest.raises(
        DTypeError,
        match="f must return an array of floating-point or complex numbers, got none",
    ):
        secant.jax.check_grads(jax.numpy.argmax, (x,), modes="rev")
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'mode'"):
        secant.jax.check_grads(jax.numpy.sin, (x,), mode="rev")


def test_a_function_of_torch_that_writes_to_its_argument(torch):
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()

    def f(x):
        x.data.mul_(2)
        return x.square()

    # autograd does not see the factor 2
    assert secant.torch.check(f, x).verdict == "wrong"
    assert torch.equal(x, before)


def test_every_check_has_the_options(torch, jax):
    numpy = [
        getattr(secant, f"check_{of}")
        for of in ("gradient", "vjp", "jvp", "derivative", "network")
    ]
    doors = [
        getattr(secant.torch, name)
        for name in ("check", "check_module", "gradcheck", "gradgradcheck")
    ]
    for check in [
        *numpy,
        secant.testing.assert_gradient,
        *doors,
        secant.jax.check,
        secant.jax.check_grads,
    ]:
        assert tuple(inspect.signature(check).parameters)[-2:] == ("progress", "rng"), (
            check
        )


def test_assert_gradient():
    x = np.array([3.0, 4.0])
    secant.testing.assert_gradient(lambda x: np.sum(x**2), x, lambda x: 2 * x)
    with pytest.raises(AssertionError, match=r"x\[1\] +8.1"):
        secant.testing.assert_gradient(lambda x: np.sum(x**2), x, np.array([6.0, 8.1]))
    with pytest.raises(ShapeError):
        secant.testing.assert_gradient(np.sum, x, np.ones(3))


MEMORY = r"""
import re, torch, secant.torch

def status(key):  # of this program alone: what getrusage calls a peak may be that of the process before it
    return 1024 * int(re.search(key + r":\s+(\d+)", open("/proc/self/status").read())[1])

torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(1000, 9900), torch.nn.Tanh(), torch.nn.Linear(9900, 10))
x, t = torch.randn(4, 1000), torch.randint(10, (4,))
report = secant.torch.check_module(torch.nn.Linear(10, 10), x[:, :10])
before = status("VmRSS")
report = secant.torch.check_module(module, x, lambda y: torch.nn.functional.cross_entropy(y, t))
extra, size = status("VmHWM") - before, 4 * sum(param.numel() for param in module.parameters())
print(report.passed, report.evaluations, extra, size)
"""


# Dynamo looks at the gradient of each argument, also of one that can have none.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_a_compiled_function_the_compiled_gradient_is_checked(torch, dtype):
    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    runs = []

    def compiled_by(factor):
        def compiler(graph, _):
            def run(*arguments):
                runs.append(factor)
                found = graph(*arguments)
                return [each * factor for each in found]

            return make_boxed_func(run)

        return compiler

    x = torch.linspace(0.1, 2, 5, dtype=getattr(torch, dtype), requires_grad=True)
    for factor, verdict in ((1.0, "right"), (1.01, "wrong")):
        backward = compiled_by(factor)
        backend = aot_autograd(fw_compiler=compiled_by(1), bw_compiler=backward)
        f = torch.compile(lambda x: (x.sin() ** 2).sum(), backend=backend)
        assert secant.torch.check(f, (x,)).verdict == verdict
        runs.clear()
        f(x).backward()
        assert runs == [1, factor]  # the function is still compiled


@pytest.mark.slow
@pytest.mark.usefixtures("torch")
@pytest.mark.skipif(
    sys.platform != "linux", reason="the peak of memory as Linux counts it"
)
def test_ten_million_parameters_in_few_evaluations_and_not_too_much_memory():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True
    )
    passed, evaluations, extra, size = done.stdout.split() or [done.stderr] * 4
    assert passed == "True", passed
    assert int(evaluations) < 150
    assert int(size) > 40e6
    assert int(extra) < 32 * int(size)  # of float32, and what is compared is float64


@pytest.mark.parametrize(
    ("library", "name"),
    [
        *(("torch", name) for name in ("gradcheck", "gradgradcheck", "check_module")),
        ("jax", "check_grads"),
    ],
)
def test_the_examples_of_docstrings(library, name):
    names = {
        "secant": secant,
        library: pytest.importorskip(library, reason=f"{library} is not installed"),
    }
    text = inspect.getdoc(getattr(importlib.import_module(f"secant.{library}"), name))
    example, output = (
        doctest.DocTestParser().get_doctest(text, names, name, None, None),
        [],
    )
    assert example.examples
    failed, _ = doctest.DocTestRunner().run(example, out=output.append)
    assert not failed, "".join(output)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "jax", "sklearn"])
def test_what_needs_another_package_is_found_after_import_secant(name):
    missing = f"import sys; sys.modules[{name!r}] = None; import secant; assert not hasattr(secant, {name!r})"
    subprocess.run([sys.executable, "-c", missing], check=True)
    pytest.importorskip(name, reason=f"{name} is not installed")
    subprocess.run(
        [sys.executable, "-c", f"import secant; secant.{name}.__doc__"], check=True
    )
