"""What a report says: names, what was checked and how to check it again."""

import importlib.util

import pytest

import secant
from secant.errors import GradientMismatchError, UnsupportedError, ValueRangeError

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")


@pytest.fixture
def torch():
    import torch

    import secant.torch  # noqa: F401

    torch.manual_seed(0)
    return torch


@pytest.fixture
def jax():
    import jax

    import secant.jax  # noqa: F401

    with jax.enable_x64(True):
        yield jax


@needs_torch
def test_a_report_of_torch(torch):
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert secant.torch.check(torch.sin, x).passed
    assert secant.torch.check(torch.sin, x, mode="fwd").passed
    wrong = secant.torch.check(lambda x: x * x.detach(), x)
    assert wrong.verdict == "wrong"
    with pytest.raises(GradientMismatchError) as raised:
        secant.torch.gradcheck(lambda x: x * x.detach(), x)
    assert raised.value.report.findings == wrong.findings
    with pytest.raises(UnsupportedError, match="mode must be 'rev' or 'fwd', got 'back'"):
        secant.torch.check(torch.sin, x, mode="back")
    with pytest.raises(ValueRangeError, match="inputs must have elements to be checked, got none"):
        secant.torch.check(torch.sin, x[:0].detach().requires_grad_())


@needs_jax
def test_a_report_of_jax(jax):
    x = jax.numpy.linspace(0.1, 1, 3)
    for mode in ("rev", "fwd"):
        assert secant.jax.check(jax.numpy.sin, (x,), mode=mode).passed
        assert secant.jax.check(lambda x: x * jax.lax.stop_gradient(x), (x,), mode=mode).verdict == "wrong"
    with pytest.raises(UnsupportedError, match="mode must be 'fwd' or 'rev', got 'back'"):
        secant.jax.check(jax.numpy.sin, (x,), mode="back")
    with pytest.raises(ValueRangeError, match="args must have elements to be checked, got none"):
        secant.jax.check(jax.numpy.sin, (x[:0],))


def names(report):
    return [array.name for array in report.arrays]


@needs_torch
def test_names_of_arguments_of_torch(torch):
    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            return x * weight

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    class New(Old):
        @staticmethod
        def forward(x, weight):
            return x * weight

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    class Module(torch.nn.Module):
        def forward(self, image, *rest):
            return image * rest[0]["a"]

    x, y = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for function in (Old, New):
        assert names(secant.torch.check(function.apply, (x, y))) == ["x", "weight"]
    assert names(secant.torch.check(Module(), (x, {"a": y}))) == ["image", "inputs[1]['a']"]
    assert names(secant.torch.check(lambda p: p["a"][0] * x, {"a": [y]})) == ["p['a'][0]"]
    assert names(secant.torch.check(torch.mul, (x, y))) == ["inputs[0]", "inputs[1]"]
    assert names(secant.torch.check(lambda x, y: x * y, (x, y), names=["p", "q"])) == ["p", "q"]


@needs_jax
def test_names_of_arguments_of_jax(jax):
    x = jax.numpy.linspace(0.1, 1, 3)

    @jax.custom_vjp
    def scaled(x, weight):
        return x * weight["w"]

    scaled.defvjp(lambda x, weight: (scaled(x, weight), None), lambda _, c: (c, {"w": c}))
    assert names(secant.jax.check(scaled, (x, {"w": x}))) == ["x", "weight['w']"]
    assert names(secant.jax.check(lambda *p: p[0] * p[1], (x, x))) == ["args[0]", "args[1]"]
