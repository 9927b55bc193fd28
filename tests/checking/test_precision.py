"""Functions that were written for less than float64 are checked there, and their own
precision is compared.
"""

import functools

import numpy as np
import pytest
from frameworks import Jax, Torch

from secant.checking.precision import Comparison
from secant.errors import GradientMismatchError
from sweeps import grid

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import secant.torch  # noqa: E402


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


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_a_kernel_of_one_type_is_checked_there_and_the_report_says_why(mode):
    x = torch.linspace(0.1, 1, 5, requires_grad=True)
    report = secant.torch.check(OnlyFloat32.apply, x)
    assert report.verdict == "right"
    assert (
        report.note
        == "checked in float32; in float64: this kernel is for float32 alone"
    )
    for f, inputs in (
        (torch.sin, x),
        (lambda x, dtype: x.sin() if x.dtype == dtype else x, (x, torch.float32)),
    ):
        report = secant.torch.check(f, inputs, mode=mode)
        assert report.verdict == "right"
        assert report.note.startswith("checked in float64")


def test_values_that_are_others_in_float64_are_checked_as_they_are():
    x = torch.linspace(0.1, 1, 5, requires_grad=True)
    report = secant.torch.check(
        lambda x: (x if x.detach().numpy().dtype == np.float32 else 2 * x).sin(), x
    )
    assert report.verdict == "right"
    assert report.note == "checked in float32; in float64: f has other values"


def test_half_precision_of_other_values_is_not_verified():
    """Its rounding would hide nearly all errors; NumPy's random numbers are others in
    float64.
    """

    def f(x):
        dtype = np.float64 if x.dtype == torch.float64 else np.float32
        return x * torch.from_numpy(
            np.random.default_rng(0).standard_normal(20, dtype)
        ).to(x.dtype)

    report = secant.torch.check(
        f, torch.linspace(0.1, 1, 20, dtype=torch.bfloat16, requires_grad=True)
    )
    assert (
        report.arrays[0].unverified
        == "right in float64, but f has other values in bfloat16"
    )


def test_x_on_a_kink_is_moved_within_its_rounding_unless_f_jumps_there():
    x = torch.tensor([0.5, 1.0, 1.5], dtype=torch.bfloat16, requires_grad=True)
    tripled = Torch().function(lambda x: x.clone(), lambda x, c: 3 * c)
    assert secant.torch.check(lambda x: x.clamp(max=1).square(), x).verdict == "right"
    assert secant.torch.check(lambda x: tripled(x.clamp(max=1)), x).verdict == "wrong"
    assert (
        secant.torch.check(lambda x: torch.where(x == 1, tripled(x) + 1, x), x).verdict
        == "not verified"
    )
    # NaN
    assert (
        secant.torch.check(
            lambda x: torch.where(x == 1, 1, x.log() / (x - 1)), x
        ).verdict
        == "wrong"
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_has_the_precision_of_what_it_casts_to(dtype):
    torch.manual_seed(0)
    x, w = (
        torch.randn(8, 16, requires_grad=True),
        torch.randn(16, 4, requires_grad=True),
    )

    def f(x, w, factor):
        own = Torch().function(lambda x: x.clone(), lambda x, c: factor * c)
        with torch.autocast("cpu", dtype=dtype):
            return (own(x) @ w).float().square().mean()

    report = secant.torch.check(lambda x, w: f(x, w, 1.0), x, w)
    assert report.verdict == "right"
    assert str(dtype).removeprefix("torch.") in report.note
    assert secant.torch.check(lambda x, w: f(x, w, 1.01), x, w).verdict == "wrong"


def test_a_gradient_of_rounding_is_0_in_any_precision():
    x = torch.linspace(0.1, 1, 24).reshape(4, 6).requires_grad_()
    assert (
        secant.torch.check(
            lambda x: (x / x).sum() + torch.softmax(x, -1).sum(), x
        ).verdict
        == "right"
    )
    assert (
        secant.torch.check(
            torch.nn.functional.normalize, x[:, :1].detach().requires_grad_()
        ).verdict
        == "right"
    )


def test_a_gradient_of_which_rounding_hides_all_is_not_said_to_agree():
    x = torch.tensor([[0.3, 0.7]], requires_grad=True)
    with pytest.raises(
        GradientMismatchError,
        match="float32 is not compared: the gradient is too small for it",
    ):
        secant.torch.gradgradcheck(torch.corrcoef, x)  # of two samples it is 1 or -1


@pytest.mark.parametrize(
    ("f", "x"),
    [
        # another function in float64
        (lambda x: x / (x.norm() + torch.finfo(x.dtype).eps ** 0.5), [0.5, 0.7, 1.1]),
        (lambda x: torch.log(x - 1).sum(), [4.0, 5.0]),  # infinite at x / 4
    ],
)
def test_a_floor_from_elsewhere_hides_no_error(f, x):
    x = torch.tensor(x, requires_grad=True)
    assert secant.torch.check(f, x).verdict == "right"
    in_float32 = Torch().function(
        lambda x: x.clone(),
        lambda x, c: c * (1.01 if c.dtype == torch.float32 else 1.0),
    )
    assert secant.torch.check(lambda x: f(in_float32(x)), x).verdict == "wrong"


def test_f_that_raises_an_exception_beside_x_is_checked_in_float64_too():
    scaled = Torch().function(lambda x: x.clone(), lambda x, c: 1.001 * c)

    def f(x, own):
        if x[0] < 0:
            raise ValueError("the index of a box must be in [0, n)")
        return own(x).square().sum() + x[0]

    x = torch.cat([torch.zeros(1), torch.linspace(0.5, 1.5, 20)]).requires_grad_()
    assert secant.torch.check(lambda x: f(x, scaled), x).verdict == "wrong"
    report = secant.torch.check(lambda x: f(x, torch.clone), x)
    assert report.verdict == "right"
    assert report.note.startswith("checked in float64")


@pytest.mark.parametrize("mean", [1000, 3000])
def test_data_that_are_rounded_in_f_do_not_make_a_gradient_wrong(mean):
    x = mean + torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3))
    assert secant.torch.check_module(network, x).verdict == "right"


def test_what_f_writes_to_a_tensor_of_its_own_and_what_torch_func_takes_is_read_in_float64_too():
    store, weights = torch.zeros(5), torch.ones(5)

    def f(x):
        store.detach_().copy_(2 * x)
        return (store * x).sum() + torch.func.grad(lambda w: (w * x).sin().sum())(
            weights
        ).sum()

    report = secant.torch.check(f, torch.linspace(0.1, 1, 5, requires_grad=True))
    assert report.verdict == "right"
    assert report.note.startswith("checked in float64")


def test_what_a_module_caches_in_float64_is_not_left_to_it():
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


@pytest.mark.parametrize("scatter", [4, 0])
def test_roundings_scatter_or_are_small_and_errors_are_not(scatter):
    rng = np.random.default_rng(0)
    gradient = rng.standard_normal(100)
    for factor, is_wrong in ((1.0, False), (1 + 1e-4, True)):
        points = [
            gradient * (1 + scatter * 2.0**-23 * rng.uniform(-1, 1, 100))
            for _ in range(13)
        ]
        pairs = [
            (factor * exact.astype(np.float32).astype(np.float64), exact)
            for exact in points
        ]
        comparison = Comparison(*pairs[0])
        for pair in pairs[1:]:
            comparison.add(*pair)
        comparison.judge(2.0**-23, 2.0**-19 * comparison.norm)
        assert comparison.differs == is_wrong
        assert comparison.least < 1


def test_jax_is_checked_in_float32_where_an_output_stays_that(jax):
    report = secant.jax.check(
        lambda x: jax.numpy.sin(x.astype("float32")), (jax.numpy.ones(3),)
    )
    assert report.note == "checked in float32; in float64: an output stays float32"
    x = jax.numpy.ones(3, "bfloat16")  # of which float32 has more digits
    assert (
        secant.jax.check(lambda x: jax.numpy.sin(x.astype("float32")), (x,)).verdict
        == "right"
    )
    assert not jax.config.jax_enable_x64


def test_a_custom_vjp_of_another_value_is_an_error_in_float32(jax):
    square = jax.custom_vjp(lambda x: x * x)
    square.defvjp(
        lambda x: ((1 + 4e-5) * x * x, x), lambda x, cotangent: (2 * x * cotangent,)
    )
    with pytest.raises(
        GradientMismatchError, match="a custom_vjp or custom_jvp returns another value"
    ):
        secant.jax.check(square, (jax.numpy.linspace(0.1, 1, 6),))


def test_on_kinks_rounding_changes_gradients_which_is_no_error():
    torch.manual_seed(0)
    image = torch.randn(1, 1, 7, 7)
    grid = torch.nn.functional.affine_grid(
        torch.eye(2, 3)[None], (1, 1, 7, 7), align_corners=False
    )

    def sampled(grid):
        return torch.nn.functional.grid_sample(image, grid, align_corners=False)

    report = secant.torch.check(sampled, grid.requires_grad_())
    assert report.verdict == "not verified"
    assert "float32 has another gradient" in report.note


def test_parameters_that_are_0_move_where_precisions_are_compared():
    torch.manual_seed(4)
    x = torch.randn(30, 2)
    y = torch.sin(x[:, 0]) + 0.1 * torch.randn(30)
    squares = ((x[:, None] - x) ** 2).sum(-1)

    def gaussian_process(p):
        kernel = torch.exp(p[0] - squares / 2 / torch.exp(2 * p[1])) + np.exp(
            -7
        ) * torch.eye(30, dtype=p.dtype)
        factor = torch.linalg.cholesky(kernel)
        solved = torch.cholesky_solve(y[:, None], factor)[:, 0]
        return 0.5 * y @ solved + torch.log(torch.diagonal(factor)).sum()

    assert (
        secant.torch.check(gaussian_process, torch.zeros(2, requires_grad=True)).verdict
        == "right"
    )


@pytest.mark.parametrize("fault", ["nan", "not linear"])
def test_a_constant_in_float32_excuses_nothing_else(fault):
    def backward(ctx, cotangent):
        x, y = ctx.saved_tensors
        if fault == "not linear":
            cotangent = torch.ones_like(cotangent)
        in_y = cotangent * y.cos()
        if fault == "nan":
            in_y[1] = np.nan
        return cotangent * x.cos() * (1 + 2e-8), in_y

    class Sines(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x.sin().sum() + y.sin().sum()

    Sines.backward = staticmethod(backward)
    x, y = (torch.linspace(low, 1, 5, requires_grad=True) for low in (0.1, 0.2))
    for both in ((x, y), (y, x)):
        assert secant.torch.check(Sines.apply, both).verdict == "wrong"


# ---- random numbers ------------------------------------------------------------------

SAMPLERS = {
    "randn_like": lambda x, _: torch.randn_like(x),
    "rand_like": lambda x, _: torch.rand_like(x),
    "randn": lambda x, _: torch.randn(x.shape, dtype=x.dtype),
    "rand": lambda x, generator: torch.rand(
        *x.shape, dtype=x.dtype, generator=generator
    ),
    "default type": lambda x, _: torch.randn(x.shape),
    "several types": lambda x, _: (
        torch.randn(x.shape).mul(torch.randn_like(x)).mul(torch.randn(x.shape).double())
    ),
    "normal": lambda x, generator: torch.normal(
        torch.zeros_like(x), 1.0, generator=generator
    ),
    "normal of a size": lambda x, _: torch.normal(0.0, 1.0, x.shape, dtype=x.dtype),
    "normal_": lambda x, generator: torch.empty_like(x).normal_(generator=generator),
    "uniform_": lambda x, _: torch.empty_like(x).uniform_(-1, 1),
    "uniform_ of a part": lambda x, _: torch.empty(*x.shape, 2, dtype=x.dtype)[
        ..., 0
    ].uniform_(),
    "exponential_": lambda x, _: torch.empty_like(x).exponential_(),
    "bernoulli_": lambda x, _: torch.empty_like(x).bernoulli_(0.7),
    "bernoulli": lambda x, _: torch.bernoulli(torch.full_like(x, 0.7)),
    "out": lambda x, _: torch.randn(x.shape, out=torch.empty_like(x)),
    "Normal": lambda x, _: torch.distributions.Normal(
        torch.zeros_like(x), 1.0
    ).rsample(),
    "Gamma": lambda x, _: torch.distributions.Gamma(torch.ones(x.shape), 1.0).rsample(),
    "dropout": lambda x, _: torch.nn.functional.dropout(torch.ones_like(x), 0.3),
    "gumbel_softmax": lambda x, _: torch.nn.functional.gumbel_softmax(
        torch.zeros_like(x)
    ),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    grid(
        lambda _, dtype: dtype == torch.bfloat16,
        SAMPLERS,
        [torch.float32, torch.bfloat16],
    ),
)
def test_random_numbers_of_a_seed_are_those_of_the_users_type(name, dtype):
    def f(x, factor=1.0):
        torch.manual_seed(0)
        own = Torch().function(
            lambda x: x.clone(), lambda x, c: factor * c, lambda x, t: factor * t
        )
        return own(x) * SAMPLERS[name](x.detach(), torch.Generator().manual_seed(0))

    x = torch.linspace(0.5, 1.5, 60).reshape(20, 3).to(dtype).requires_grad_()
    for mode in ("rev", "fwd"):
        report = secant.torch.check(f, x, mode=mode)
        assert report.verdict == "right", report
        assert report.note.startswith("checked in float64")
    assert secant.torch.check(lambda x: f(x, 1.2), x).verdict == "wrong"


def test_random_numbers_that_hardly_change_the_value_are_the_same_in_float64():
    def f(x):
        torch.manual_seed(0)
        return (x + 0.005 * torch.randn_like(x)).square().mean()

    x = torch.rand(100_000, generator=torch.Generator().manual_seed(1)).requires_grad_()
    report = secant.torch.check(f, x)
    assert report.verdict == "right"
    assert report.note.startswith("checked in float64")


class Autoencoder(torch.nn.Module):
    """A variational one, whose noise has a seed."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = torch.nn.Linear(16, 8), torch.nn.Linear(4, 16)
        self.mean, self.log_variance = torch.nn.Linear(8, 4), torch.nn.Linear(8, 4)

    def forward(self, x):
        torch.manual_seed(0)
        hidden = self.hidden(x).tanh()
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = (1 + log_variance - mean**2 - log_variance.exp()).mean()
        return (self.out(z) - x).square().mean() - divergence / 2


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str
)
@pytest.mark.parametrize("seed", range(3))
def test_a_variational_autoencoder_is_right_in_any_precision(seed, dtype):
    torch.manual_seed(seed)
    module, x = Autoencoder().to(dtype), torch.randn(64, 16).to(dtype)
    report = secant.torch.check_module(module, x)
    assert report.verdict == "right", report
    assert report.note.startswith("checked in float64")


def test_what_a_checkpoint_draws_again_has_the_type_that_it_had():
    from torch.utils.checkpoint import checkpoint

    def noisy(x):
        return (x * torch.randn_like(x)).sin() * torch.rand_like(x)

    def f(x):
        torch.manual_seed(0)
        return checkpoint(
            noisy, checkpoint(noisy, x, use_reentrant=False), use_reentrant=False
        )

    x = torch.linspace(0.5, 1.5, 20, dtype=torch.bfloat16, requires_grad=True)
    report = secant.torch.check(f, x)
    assert report.verdict == "right"
    assert report.note.startswith("checked in float64")


def jax_samplers(jax):
    """Functions that draw random numbers, of a key and x."""
    random, np = jax.random, jax.numpy
    compiled = jax.jit(lambda key, x: x * random.normal(key, x.shape, x.dtype))

    def dropout(key, x):
        return np.where(random.bernoulli(key, 0.9, x.shape), x / 0.9, 0)

    def scanned(key, x):
        return jax.lax.scan(
            lambda x, key: (dropout(key, x), None), x, random.split(key, 3)
        )[0]

    return {
        "normal": lambda key, x: x * random.normal(key, x.shape, x.dtype),
        "default type": lambda key, x: x + 0.005 * random.normal(key, x.shape),
        "old key": lambda _, x: x * random.normal(random.PRNGKey(3), x.shape, x.dtype),
        "uniform": lambda key, x: (
            x * random.uniform(key, x.shape, x.dtype, minval=-1, maxval=2)
        ),
        "bounds that depend on x": lambda key, x: random.uniform(
            key, x.shape, x.dtype, minval=x / 2, maxval=x
        ),
        "probabilities that depend on x": lambda key, x: (
            x * random.bernoulli(key, x / 2)
        ),
        "several types": lambda key, x: (
            x * random.normal(key, x.shape) * random.uniform(key, x.shape, x.dtype)
        ),
        "gumbel": lambda key, x: x * random.gumbel(key, x.shape, x.dtype),
        "truncated normal": lambda key, x: (
            x * random.truncated_normal(key, -2, 2, x.shape, x.dtype)
        ),
        "gamma": lambda key, x: x * random.gamma(key, 2.0, x.shape, x.dtype),
        "integers": lambda key, x: (
            x * random.randint(key, x.shape, 0, 9) * (1 + random.bits(key, x.shape) % 3)
        ),
        "dropout": dropout,
        "compiled": lambda key, x: (
            compiled(key, x) + compiled(random.fold_in(key, 1), x)
        ),
        "scan": scanned,
        "branch": lambda key, x: jax.lax.cond(
            x.sum() > 0, dropout, lambda _, x: x, key, x
        ),
        "loop": lambda key, x: jax.lax.fori_loop(
            0, 2, lambda i, x: dropout(random.fold_in(key, i), x), x
        ),
        "mapped": lambda key, x: jax.vmap(dropout)(random.split(key, x.size), x),
    }


JAX_SAMPLERS = (
    *(
        "normal",
        "default type",
        "old key",
        "uniform",
        "bounds that depend on x",
        "probabilities that depend on x",
    ),
    *(
        "several types",
        "gumbel",
        "truncated normal",
        "gamma",
        "integers",
        "dropout",
        "compiled",
        "scan",
        "branch",
    ),
    *("loop", "mapped"),
)
FEW_SAMPLERS = (
    "normal",
    "default type",
    "bounds that depend on x",
    "dropout",
    "compiled",
    "scan",
)


@pytest.mark.parametrize(
    ("name", "dtype", "mode"),
    grid(
        lambda name, dtype, mode: (
            name in FEW_SAMPLERS and dtype == "bfloat16" and mode == "rev"
        ),
        JAX_SAMPLERS,
        ["float32", "bfloat16"],
        ["rev", "fwd"],
    ),
)
def test_random_numbers_of_jax_are_those_of_the_users_type(jax, name, dtype, mode):
    f, key = jax_samplers(jax)[name], jax.random.key(0)
    x = jax.numpy.linspace(0.5, 1.5, 60, dtype=dtype)
    report = secant.jax.check(lambda x: f(key, x), (x,), mode=mode)
    assert report.verdict == "right", report
    assert report.note.startswith("checked in float64")
    if mode == "fwd":
        return
    scaled = Jax().function(lambda x: 1 * x, lambda x, c: (1.2 * c).astype(c.dtype))
    assert (
        secant.jax.check(lambda key, x: f(key, scaled(x)), (key, x)).verdict == "wrong"
    )


def test_a_function_of_jax_that_draws_random_numbers_draws_its_own_ones_after_a_check(
    jax,
):
    f = jax.jit(lambda x: x * jax.random.normal(jax.random.key(0), x.shape, x.dtype))
    x = jax.numpy.linspace(0.5, 1.5, 20)
    with secant.jax._enable_x64(True):
        before = f(jax.numpy.asarray(np.asarray(x), float))
    jax.clear_caches()
    assert secant.jax.check(f, (x,)).note.startswith("checked in float64")
    with secant.jax._enable_x64(True):
        assert (f(jax.numpy.asarray(np.asarray(x), float)) == before).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_operands_that_a_function_of_jax_closes_over_are_raised_too(jax, dtype):
    weights = jax.random.normal(jax.random.key(0), (4, 2, 3), dtype)
    x = jax.random.normal(jax.random.key(1), (2, 2, 9), dtype)

    def convolved(x, weights, factor=1.0):
        scaled = Jax().function(
            lambda x: 1 * x, lambda x, c: (factor * c).astype(c.dtype)
        )
        return jax.nn.relu(jax.lax.conv(scaled(x), weights, (1,), "SAME"))

    def closes_over(x):
        return convolved(x, weights)

    def has_a_default(x, weights=weights):
        return convolved(x, weights)

    def reads_a_tree(x, params=({"w": weights},)):
        return closes_over(x) + convolved(x, params[0]["w"])

    partial = functools.partial(convolved, weights=weights)
    for f in (closes_over, has_a_default, reads_a_tree, partial, jax.jit(closes_over)):
        report = secant.jax.check(f, (x,))
        assert report.verdict == "right", report
        assert report.note.startswith("checked in float64")
    assert weights.dtype == dtype
    assert (
        secant.jax.check(functools.partial(partial, factor=1.2), (x,)).verdict
        == "wrong"
    )
