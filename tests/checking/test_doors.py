"""The doors for PyTorch, JAX and test-suites: wrong functions that the libraries' own checks cannot judge or pass."""

import importlib.util
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import secant
import secant.testing
from secant.errors import DTypeError, GradientMismatchError, ShapeError, UnsupportedError, ValueRangeError

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")


@pytest.fixture
def torch():
    import torch

    import secant.torch  # noqa: F401

    torch.manual_seed(0)
    return torch


def silu(torch, factor):
    """x times its sigmoid; a term of the backward pass is multiplied by ``factor``: 1 is right."""

    class Silu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            s = torch.sigmoid(x)
            return grad * (s + factor * x * s * (1 - s))

    return Silu.apply


def torch_says(torch, function, x, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "not a double precision floating point": see below
        return torch.autograd.gradcheck(function, x, raise_exception=False, **options)


@needs_torch
def test_float32_that_torch_cannot_judge(torch):
    x = torch.randn(50, requires_grad=True)
    right, wrong = silu(torch, 1.0), silu(torch, 0.99)
    for fast in (True, False):
        # By default both are wrong, and with the tolerances that float32 is said to need both are right.
        looser = {"eps": 1e-3, "atol": 1e-2, "rtol": 1e-2}
        assert [torch_says(torch, f, x, fast_mode=fast) for f in (right, wrong)] == [False, False]
        assert [torch_says(torch, f, x, fast_mode=fast, **looser) for f in (right, wrong)] == [True, True]
    assert secant.torch.gradcheck(right, x)
    with pytest.raises(GradientMismatchError, match=r"WRONG\n  inputs\[0\] \(50,\)  wrong in at least 1[0-2] entries"):
        secant.torch.gradcheck(wrong, x)
    assert not secant.torch.gradcheck(wrong, (x,), raise_exception=False)


@needs_torch
def test_the_one_weight_of_39760_that_fast_mode_passes(torch):
    shapes = (784, 50), (50,), (50, 10), (10,)
    params = [(0.05 * torch.randn(*shape, dtype=torch.float64)).requires_grad_() for shape in shapes]
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
        return torch.nn.functional.cross_entropy(torch.sigmoid(Dense.apply(w1, b1)) @ w2 + b2, t)

    assert torch.autograd.gradcheck(loss, params, fast_mode=True)
    with pytest.raises(GradientMismatchError) as raised:
        secant.torch.gradcheck(loss, params)
    assert "one entry, inputs[0][318, 0], is 100 times too large" in str(raised.value)


def scaled_sine(torch, factor):
    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, grad):
            return factor * grad * ctx.saved_tensors[0].cos()

    return Sine.apply


@needs_torch
@pytest.mark.filterwarnings("ignore:f is too noisy:RuntimeWarning")  # of 8 or 11 bits
@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_every_precision(torch, name):
    x = torch.randn(40).to(getattr(torch, name)).requires_grad_()
    before = x.detach().clone()
    for right in (torch.tanh, scaled_sine(torch, 1.0), lambda x: (x * x.sigmoid()).sum(), lambda x: (2 * x, x.exp())):
        assert secant.torch.gradcheck(right, x)
    assert not secant.torch.gradcheck(scaled_sine(torch, 1.5), x, raise_exception=False)
    assert not secant.torch.gradcheck(scaled_sine(torch, -1.0), x, raise_exception=False)
    assert torch.equal(x.detach(), before)


@needs_torch
def test_options_of_pytorch_for_what_else_it_checks(torch):
    x = torch.ones(3, requires_grad=True)
    assert secant.torch.gradcheck(
        torch.sin, x, check_undefined_grad=False, check_forward_ad=False, check_backward_ad=True
    )
    with pytest.raises(UnsupportedError, match=r"check_forward_ad is not checked by secant.torch.gradcheck"):
        secant.torch.gradcheck(torch.sin, x, check_forward_ad=True)


@needs_torch
def test_several_inputs_and_outputs(torch):
    a, b = torch.randn(3, 4, requires_grad=True), torch.randn(4, dtype=torch.float64, requires_grad=True)
    count = torch.arange(3)

    def right(a, count, b, factor):
        return factor * (a.double() @ b), a.T.sin(), count, a.double() + b

    assert secant.torch.gradcheck(right, (a, count, b, 2.0))
    sine = scaled_sine(torch, 1.01)
    with pytest.raises(GradientMismatchError, match=r"(?m)^  inputs\[1\] \(4,\) +wrong in all 4 entries"):
        secant.torch.gradcheck(lambda a, b: (a.sin(), sine(b)), (a, b))
    with pytest.raises(GradientMismatchError, match=r"(?m)^  bias \(4,\) +wrong in all 4 entries"):
        secant.torch.gradcheck(lambda a, b: (a.sin(), sine(b)), (a, b), names=["weight", "bias"])


@needs_torch
def test_what_torch_inputs_may_not_be(torch):
    with pytest.raises(DTypeError, match="inputs must have a tensor that requires a gradient, got none"):
        secant.torch.gradcheck(torch.sin, torch.ones(3))
    with pytest.raises(DTypeError, match=r"inputs\[0\] must be float64, .* got torch.complex64"):
        secant.torch.gradcheck(torch.abs, torch.ones(3, dtype=torch.complex64, requires_grad=True))
    with pytest.raises(ValueRangeError, match=r"f must be deterministic, .*dropout"):
        secant.torch.gradcheck(lambda x: torch.nn.functional.dropout(x, 0.5), torch.ones(30, requires_grad=True))
    with pytest.raises(DTypeError, match="module must have a parameter that requires a gradient, got none"):
        secant.torch.check_module(torch.nn.ReLU(), lambda module: module(torch.ones(3)).sum())


@needs_torch
@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_a_module_is_what_it_was(torch, name):
    dtype = getattr(torch, name)
    module = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).to(dtype)
    x, t = torch.randn(8, 6).to(dtype), torch.randint(3, (8,))
    before = [param.detach().clone() for param in module.parameters()]

    def loss(module):
        return torch.nn.functional.cross_entropy(module(x), t)

    report = secant.torch.check_module(module, loss)
    assert report.passed, report
    assert [array.name for array in report.arrays] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    calls = 0

    def fails(module):
        nonlocal calls
        calls += 1
        if calls > 20:
            raise KeyboardInterrupt
        return loss(module)

    with pytest.raises(KeyboardInterrupt):
        secant.torch.check_module(module, fails)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))
    assert all(param.grad is None for param in module.parameters())


@pytest.fixture
def jax():
    import jax

    import secant.jax  # noqa: F401

    return jax


def mean_square_sine(jax, factor):
    """The mean of squared sines; its gradient is multiplied by ``factor``: 1 is right."""

    @jax.custom_vjp
    def loss(x):
        return jax.numpy.mean(jax.numpy.sin(x) ** 2)

    def backward(x, cotangent):
        return (factor * cotangent * 2 * jax.numpy.sin(x) * jax.numpy.cos(x) / x.size,)

    loss.defvjp(lambda x: (loss(x), x), backward)
    return loss


@needs_jax
@pytest.mark.parametrize("n", [1000, 40_000])
def test_a_gradient_wrong_by_half_that_jax_passes(jax, n):
    from jax.test_util import check_grads

    x = jax.numpy.asarray(np.random.default_rng(0).standard_normal(n), np.float32)
    wrong = mean_square_sine(jax, 0.5)
    check_grads(wrong, (x,), order=1, modes=["rev"])  # raises nothing
    with pytest.raises(GradientMismatchError, match="WRONG"):
        secant.jax.check_grads(wrong, (x,), modes=["rev"])
    secant.jax.check_grads(mean_square_sine(jax, 1.0), (x,), modes=["rev"])


@needs_jax
def test_the_diagnosis_of_a_custom_vjp(jax):
    x = jax.numpy.linspace(0.1, 1, 50)
    with pytest.raises(GradientMismatchError, match="looks like: the gradient is 2 times too small"):
        secant.jax.check_grads(mean_square_sine(jax, 0.5), (x,), modes=["rev"])


@needs_jax
def test_a_custom_jvp(jax):
    @jax.custom_jvp
    def f(x):
        return jax.numpy.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), 1.01 * jax.numpy.cos(primals[0]) * tangents[0]))
    x = jax.numpy.linspace(0, 1, 7)
    secant.jax.check_grads(jax.numpy.sin, (x,))
    with pytest.raises(GradientMismatchError):
        secant.jax.check_grads(f, (x,), modes=["fwd"])


@needs_jax
@pytest.mark.filterwarnings("ignore:f is too noisy:RuntimeWarning")  # of 8 or 11 bits
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_trees_of_jax(jax, dtype):
    rng = np.random.default_rng(0)
    params = {"w": jax.numpy.asarray(rng.standard_normal((4, 3)), dtype), "b": jax.numpy.ones(3, dtype)}
    x = jax.numpy.asarray(rng.standard_normal(4), dtype)

    def f(params, x):
        return {"y": jax.numpy.tanh(x @ params["w"] + params["b"]), "size": (params["w"] ** 2).sum()}

    secant.jax.check_grads(f, (params, x))

    @jax.custom_vjp
    def negated(x):
        return x

    negated.defvjp(lambda x: (x, None), lambda _, cotangent: (-cotangent,))
    with pytest.raises(GradientMismatchError, match=r"args\[0\]\['b'\] \(3,\) +\d? ?wrong"):
        secant.jax.check_grads(lambda p, x: f(p | {"b": negated(p["b"])}, x), (params, x), modes=["rev"])


@needs_jax
def test_derivatives_of_functions_that_return_arrays_of_jax(jax):
    with pytest.warns(RuntimeWarning, match="^f returns float32 and round-off dominates"):
        assert secant.numerical_diff(lambda x: jax.numpy.asarray([x, 2 * x]), 0.5).round(1).tolist() == [1, 2]
    with pytest.warns(RuntimeWarning, match="^f returns float32 and round-off dominates"):
        gradient = secant.numerical_gradient(lambda x: jax.numpy.sum(x), np.array([0.25, 0.5]))
    assert gradient.round(1).tolist() == [1, 1]
    with pytest.raises(DTypeError, match="x must be float64, got float32: h is lost in its rounding"):
        secant.numerical_diff(lambda x: x, jax.numpy.ones(2))


@needs_jax
def test_what_jax_arguments_may_not_be(jax):
    x = jax.numpy.ones(3)
    with pytest.raises(UnsupportedError, match="order must be 1, got 2"):
        secant.jax.check_grads(jax.numpy.sin, (x,), 2)
    with pytest.raises(UnsupportedError, match="modes must be of 'fwd' and 'rev', got 'back'"):
        secant.jax.check_grads(jax.numpy.sin, (x,), modes=["back"])
    with pytest.raises(DTypeError, match=r"x\[0\] must be an array of float64, .* got an array of int32"):
        secant.jax.check_grads(lambda x: 1.0 * x, (x.astype(int),), modes=["rev"])


@needs_torch
@pytest.mark.parametrize("name", ["float64", "float32"])
def test_a_backward_function_of_torch_may_write_to_its_argument(torch, name):
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return grad.mul_(2)

    x = torch.randn(4, dtype=getattr(torch, name), requires_grad=True)
    assert secant.torch.gradcheck(Doubled.apply, x)


@needs_torch
def test_a_function_of_torch_that_writes_to_its_argument_is_refused(torch):
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()

    def f(x):
        x.data.mul_(2)
        return x.square()

    with pytest.raises(ValueRangeError, match=r"f must leave its argument as it is, but it changes inputs\[0\]"):
        secant.torch.gradcheck(f, x)
    assert torch.equal(x, before)


@needs_torch
def test_tensors_whose_elements_share_memory_are_refused(torch):
    x = torch.ones(1, dtype=torch.float64).expand(3).requires_grad_()
    with pytest.raises(ValueRangeError, match=r"inputs\[0\] must have elements that share no memory"):
        secant.torch.gradcheck(torch.sin, x)


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
report = secant.torch.check_module(
    torch.nn.Sequential(torch.nn.Linear(10, 10)), lambda net: net(x[:, :10]).square().sum()
)
before = status("VmRSS")
report = secant.torch.check_module(module, lambda net: torch.nn.functional.cross_entropy(net(x), t))
extra, size = status("VmHWM") - before, 4 * sum(param.numel() for param in module.parameters())
print(report.passed, report.evaluations, extra, size)
"""


@needs_torch
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory as Linux counts it")
def test_ten_million_parameters_in_few_evaluations_and_little_memory():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True)
    passed, evaluations, extra, size = done.stdout.split() or [done.stderr] * 4
    assert passed == "True", passed
    assert int(evaluations) < 100
    assert int(size) > 40e6
    assert int(extra) < 3 * int(size) + 32e6  # x as it was, the gradient, a direction; and blocks that are worked on


@pytest.mark.parametrize(
    "name", ["network", pytest.param("torch", marks=needs_torch), pytest.param("jax", marks=needs_jax)]
)
def test_an_example(name, capsys):
    examples = Path(__file__).parents[2] / "examples"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own check warns of float32
        runpy.run_path(str(examples / f"check_{name}.py"))
    assert capsys.readouterr().out


@pytest.mark.parametrize("name", ["torch", "jax", "sklearn"])
def test_what_needs_another_package_is_found_after_import_secant(name):
    missing = f"import sys; sys.modules[{name!r}] = None; import secant; assert not hasattr(secant, {name!r})"
    subprocess.run([sys.executable, "-c", missing], check=True)
    pytest.importorskip(name, reason=f"{name} is not installed")
    subprocess.run([sys.executable, "-c", f"import secant; secant.{name}.__doc__"], check=True)
