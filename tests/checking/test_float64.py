"""Functions that were written for less than float64 are checked there, and their own precision is compared."""

import numpy as np
import pytest

from secant.checking.precision import Comparison

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
DTYPES = "float32", "bfloat16", "float16"


class Scaled(torch.autograd.Function):
    """The identity, whose backward function multiplies by a factor; in float32 by another one."""

    @staticmethod
    def forward(ctx, x, factor, low):
        ctx.factor = low if x.dtype == torch.float32 else factor
        return x.clone()

    @staticmethod
    def backward(ctx, cotangent):
        return cotangent * ctx.factor, None, None


class OnlyFloat32(torch.autograd.Function):
    """A sine with a kernel for one type."""

    @staticmethod
    def forward(ctx, x):
        if x.dtype != torch.float32:
            raise TypeError("this kernel is for float32 alone")
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, cotangent):
        return cotangent * ctx.saved_tensors[0].cos()


def network(seed, dtype):
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    return module.to(getattr(torch, dtype)), torch.randn(16, 8).to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_a_network_with_relu_is_right_in_any_precision_and_what_is_planted_is_not(dtype, seed):
    import secant.torch

    module, x = network(seed, dtype)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    target = torch.arange(16) % 4

    def loss(y):
        return torch.nn.functional.cross_entropy(y, target)

    report = secant.torch.check_module(module, x, loss)
    assert report.verdict == "right", report
    assert report.note.startswith(f"checked in float64; {dtype} agrees with that to ")

    def with_fault(w, b, v, c):
        return loss(torch.relu(x @ w.T + b) @ v.T + Scaled.apply(c, 1.3, 1.3))

    report = secant.torch.check(with_fault, tuple(module.parameters()))
    assert [array.name for array in report.arrays if not array.passed] == ["c"]
    assert all(p.dtype == x.dtype and torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_a_kernel_of_one_type_is_checked_there_and_the_report_says_why(mode):
    import secant.torch

    x = torch.linspace(0.1, 1, 5, requires_grad=True)
    report = secant.torch.check(OnlyFloat32.apply, x)
    assert report.verdict == "right"
    assert report.note == "checked in float32, as in float64 f does not run: this kernel is for float32 alone"
    report = secant.torch.check(torch.sin, x, mode=mode)
    assert report.verdict == "right"
    assert report.note.startswith("checked in float64")


def test_what_is_wrong_in_float32_alone_is_said_so():
    import secant.torch

    x = torch.linspace(0.1, 1, 5, requires_grad=True)
    report = secant.torch.check(lambda x: Scaled.apply(x, 1.0, 1.001).sin(), x)
    assert report.diagnosis == "in float64 the gradient is right: that of float32 alone is wrong"
    assert len(report.findings) == 5
    assert all(abs(e.candidate / e.numerical - 1.001) < 1e-5 for e in report.findings)
    report = secant.torch.check(lambda x: Scaled.apply(x, 1.001, 1.0).sin(), x)
    assert report.verdict == "wrong"


def test_values_that_are_others_in_float64_are_checked_as_they_are():
    import secant.torch

    x = torch.linspace(0.1, 1, 5, requires_grad=True)
    report = secant.torch.check(lambda x: (x if x.detach().numpy().dtype == np.float32 else 2 * x).sin(), x)
    assert report.verdict == "right"
    assert report.note == "checked in float32, as in float64 f does not run: its values are others there"


def test_buffers_and_parameters_are_the_same_objects_afterwards():
    import secant.torch

    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    before = [*module.parameters(), *module.buffers()]
    values = [tensor.detach().clone() for tensor in before]
    assert secant.torch.check_module(module, torch.randn(16, 4), lambda y: y.pow(3).sum()).passed
    after = [*module.parameters(), *module.buffers()]
    assert all(a is b and torch.equal(a, v) for a, b, v in zip(after, before, values, strict=True))


def test_what_a_module_caches_in_float64_is_not_left_to_it():
    import secant.torch

    class Cached(torch.nn.Linear):
        angles = None

        def forward(self, x):
            if self.angles is None:
                self.angles = torch.linspace(0, 1, 3)
            return super().forward(x) * self.angles.cos()

    module, x = Cached(4, 3), torch.randn(8, 4)
    report = secant.torch.check_module(module, x)
    assert report.passed
    assert report.note.startswith("checked in float64")
    assert module.angles is None or module.angles.dtype == torch.float32
    assert module(x).dtype == torch.float32


def test_roundings_scatter_and_errors_do_not():
    rng = np.random.default_rng(0)
    gradient = rng.standard_normal(100)
    for factor, is_wrong in ((1.0, False), (1 + 1e-4, True)):
        comparison = Comparison()
        for _ in range(13):
            exact = gradient * (1 + 4 * 2.0**-23 * rng.uniform(-1, 1, 100))
            comparison.add([factor * exact.astype(np.float32).astype(np.float64)], [exact])
        (found,) = comparison.agreements(2.0**-23)
        assert (found.worst > 1) == is_wrong
        assert found.seen


def test_jax_is_checked_in_float64():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    import jax.numpy as jnp

    import secant.jax

    rng = np.random.default_rng(0)
    w, x = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((8, 4), (16, 8)))

    @jax.custom_vjp
    def scaled(x, factor, low):
        return x

    def backward(kept, cotangent):
        factor, low = kept
        return cotangent * (low if cotangent.dtype == jnp.float32 else factor), None, None

    scaled.defvjp(lambda x, factor, low: (x, (factor, low)), backward)

    def f(w, factor, low):
        return jnp.mean(jax.nn.relu(x @ scaled(w, factor, low)) ** 2)

    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        report = secant.jax.check(lambda w: f(w, 1, 1), (w.astype(dtype),))
        assert report.verdict == "right"
        assert report.note.startswith("checked in float64")
    assert secant.jax.check(lambda w: f(w, 1.3, 1.3), (w,)).verdict == "wrong"
    report = secant.jax.check(lambda w: f(w, 1, 1.01), (w,))
    assert report.diagnosis == "in float64 the gradient is right: that of float32 alone is wrong"
    report = secant.jax.check(lambda w: f(w.astype(jnp.float32), 1, 1), (w,))
    assert report.note == "checked in float32, as in float64 f does not run: an output stays float32"
    assert not jax.config.jax_enable_x64
