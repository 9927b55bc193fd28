"""Packages for PyTorch whose backward functions are written by hand: see found.py."""

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from found_checks import FLAW, SOLVER, Check, package, symmetric

LANCZOS = "by design: Lanczos iterations with a jitter are approximate"


def normal(
    *shape: int, scale: float = 1.0, seed: int = 0, dtype: str = "float64"
) -> Any:
    """A random tensor that requires a gradient."""
    torch = import_module("torch")
    generator = torch.Generator().manual_seed(seed)
    values = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.to(getattr(torch, dtype)).requires_grad_()


def above(least: float, *shape: int) -> Any:
    """Random numbers of at least that."""
    return (normal(*shape).detach().abs() + least).requires_grad_()


def positive(size: int, seed: int = 0) -> Any:
    """A random positive definite matrix."""
    torch = import_module("torch")
    root = normal(size, size, seed=seed).detach()
    return (
        root @ root.T + size * torch.eye(size, dtype=torch.float64)
    ).requires_grad_()


def check(
    what: str, function: Any, *tensors: Any, remark: str = "", **options: Any
) -> Check:
    gradcheck = import_module("secant.torch").gradcheck
    return Check(what, partial(gradcheck, function, tensors, **options), remark)


@package("torch==2.13.0")
def pytorch() -> Iterator[Check]:
    torch = import_module("torch")
    functional = torch.nn.functional
    x = above(0.5, 20)
    yield check("hardsigmoid", functional.hardsigmoid, normal(20), remark=FLAW)
    yield check("polygamma(1, x)", lambda x: torch.polygamma(1, x), x, remark=FLAW)
    for scale in 1.0, 1e4:
        yield check(
            f"logcumsumexp, float32, x of size {scale:g}",
            lambda x: torch.logcumsumexp(x, 0),
            normal(20, scale=scale, dtype="float32"),
            remark=FLAW,
        )
    pooled, indices = functional.max_pool3d(
        normal(1, 1, 5, 5, 5), 3, 1, return_indices=True
    )
    yield check(
        "max_unpool3d, repeated indices",
        lambda x: functional.max_unpool3d(x, indices, 3, 1),
        pooled.detach().requires_grad_(), remark="documented: repeated indices make the value nondeterministic",
    )  # fmt: skip
    yield check("ctc_loss", ctc, normal(12, 2, 5))
    yield check(
        "linalg.eigh", symmetric(lambda a: torch.linalg.eigh(a)[0]), positive(5)
    )
    yield check(
        "cdist, p = 1.5",
        lambda x, y: torch.cdist(x, y, 1.5),
        normal(4, 3),
        normal(5, 3, seed=1),
    )
    yield check(
        "igamma in x",
        lambda x: torch.special.gammainc(torch.full_like(x, 1.7).detach(), x),
        x,
    )


def ctc(logits: Any) -> Any:
    torch = import_module("torch")
    targets = torch.tensor([[1, 2, 3], [2, 2, 4]])
    lengths = torch.tensor([12, 12]), torch.tensor([3, 3])
    return torch.nn.functional.ctc_loss(logits.log_softmax(-1), targets, *lengths)


@package("entmax==1.3")
def entmax() -> Iterator[Check]:
    torch, e = import_module("torch"), import_module("entmax")
    x, target = normal(4, 8), torch.tensor([0, 3, 5, 7])
    alpha = torch.full((4, 1), 1.6, dtype=torch.float64, requires_grad=True)
    for name in (
        "sparsemax",
        "entmax15",
        "sparsemax_bisect",
        "normmax_bisect",
        "budget_bisect",
    ):
        yield check(name, getattr(e, name), x)
    yield check("entmax_bisect, in x and alpha", e.entmax_bisect, x, alpha)
    for name in (
        "sparsemax_loss",
        "entmax15_loss",
        "entmax_bisect_loss",
        "normmax_bisect_loss",
    ):
        yield check(name, lambda x, name=name: getattr(e, name)(x, target), x)
    yield check("normmax_bisect, alpha 1.5", lambda x: e.normmax_bisect(x, 1.5), x)


@package("zuko==1.6.0")
def zuko() -> Iterator[Check]:
    torch, utils = import_module("torch"), import_module("zuko.utils")
    a, b, c = normal(4), normal(4, seed=1), normal(4, seed=2)
    for n in 3, 16:
        yield check(
            f"gauss_legendre, n = {n}",
            lambda a, b, c, n=n: utils.gauss_legendre(lambda x: torch.exp(-(x**2) * c), a, b, n, (c,)),
            a, b, c, remark="by design: the exact derivative of what the value approximates",
        )  # fmt: skip
    yield check(
        "bisection, n = 60",
        lambda y, c: utils.bisection(lambda x: x**3 + torch.exp(c) * x, y, -10.0, 10.0, 60, (c,)),
        a, c,
    )  # fmt: skip
    yield check(
        "odeint",
        lambda x, c: utils.odeint(lambda t, x: torch.sin(c * x) + t, x, 0.0, 1.0, (c,), atol=1e-10, rtol=1e-10),
        a, c, remark=SOLVER,
    )  # fmt: skip


@package("kornia==0.9.0")
def kornia() -> Iterator[Check]:
    torch, k = import_module("torch"), import_module("kornia")
    logits, target = (
        normal(2, 4, 3, 3),
        torch.randint(4, (2, 3, 3), generator=torch.Generator().manual_seed(0)),
    )
    yield check(
        "focal_loss", lambda x: k.losses.focal_loss(x, target, 0.3, 2.0, "none"), logits
    )
    essential = import_module("kornia.geometry.epipolar.essential")
    yield check("null space of 6 points", null_space(essential), normal(2, 6, 9))
    homogeneous = normal(3, 3)
    yield check(
        "axis_angle_to_rotation_matrix",
        k.geometry.axis_angle_to_rotation_matrix,
        homogeneous,
    )
    yield check(
        "ssim_loss",
        lambda x: k.losses.ssim_loss(x.sigmoid(), torch.full_like(x, 0.4).detach(), 5),
        normal(1, 1, 8, 8),
    )


def null_space(essential: Any) -> Any:
    def projector(x: Any) -> Any:
        basis = essential._NullSpaceBasis.apply(x)[0]
        return basis @ basis.mT

    return projector


@package("gpytorch==1.15.2")
def gpytorch() -> Iterator[Check]:
    torch, functions = import_module("torch"), import_module("gpytorch.functions")
    strategy = import_module("gpytorch.variational.large_batch_variational_strategy")
    tril = import_module("gpytorch.variational.tril_natural_variational_distribution")
    natural = import_module("gpytorch.variational.natural_variational_distribution")
    z = torch.tensor(
        [-6.0, -3.0, -1.5, -0.7, -0.1, 0.05, 0.15, 0.6, 2.0],
        dtype=torch.float64,
        requires_grad=True,
    )
    yield check("log_normal_cdf", functions.log_normal_cdf, z, remark=FLAW)
    x, length = (
        normal(5, 2).detach(),
        torch.tensor([[0.8]], dtype=torch.float64, requires_grad=True),
    )
    matern = functions.MaternCovariance.apply
    for nu in 0.5, 1.5, 2.5:
        yield check(
            f"MaternCovariance, nu = {nu}",
            lambda s, nu=nu: matern(x, x, s, nu, torch.cdist),
            length,
        )
    rbf = functions.RBFCovariance.apply
    yield check(
        "RBFCovariance",
        lambda s: rbf(x, x, s, lambda a, b: torch.cdist(a, b) ** 2),
        length,
    )
    yield check(
        "QuadFormDiagonal",
        symmetric(strategy.QuadFormDiagonal.apply),
        positive(4),
        normal(4, 6),
    )
    yield check(
        "_NaturalToMuVarSqrt",
        symmetric(lambda m, v: natural._NaturalToMuVarSqrt.apply(v, -m)),
        positive(4),
        normal(4),
        remark="by design: the natural gradient",
    )
    yield check(
        "_TrilNaturalToMuVarSqrt",
        lambda v, m: tril._TrilNaturalToMuVarSqrt.apply(v, m.tril()),
        normal(4),
        positive(4),
        remark="by design: the natural gradient",
    )


@package("linear_operator==0.6.1")
def linear_operator() -> Iterator[Check]:
    torch, lo = import_module("torch"), import_module("linear_operator")
    a, b = positive(6), normal(6, 2)
    yield check(
        "solve", symmetric(lambda a, b: lo.solve(lo.to_linear_operator(a), b)), a, b
    )
    yield check(
        "inv_quad",
        symmetric(lambda a, b: lo.inv_quad(lo.to_linear_operator(a), b)),
        a,
        b,
    )
    yield check(
        "inv_quad_logdet",
        symmetric(lambda a, b: lo.inv_quad_logdet(lo.to_linear_operator(a), b, True)),
        a,
        b,
    )
    yield check(
        "sqrt_inv_matmul",
        symmetric(lambda a, b: lo.sqrt_inv_matmul(lo.to_linear_operator(a), b)),
        a,
        b,
    )

    def lanczos(name: str) -> Any:
        def function(a: Any) -> Any:
            torch.manual_seed(0)  # of the start
            found = getattr(lo, name)(lo.to_linear_operator(a), method="lanczos")
            return found[0] if name == "diagonalization" else found.to_dense()

        return symmetric(function)

    yield check(
        "root_decomposition, Lanczos", lanczos("root_decomposition"), a, remark=LANCZOS
    )
    yield check(
        "pivoted_cholesky",
        symmetric(lambda a: lo.pivoted_cholesky(lo.to_linear_operator(a), 3)),
        a,
    )
    yield check(
        "diagonalization, Lanczos", lanczos("diagonalization"), a, remark=LANCZOS
    )
    toeplitz = import_module("linear_operator.operators").ToeplitzLinearOperator
    column = torch.tensor(
        [4.0, 1, 0.5, 0.2, 0.1], dtype=torch.float64, requires_grad=True
    )
    yield check(
        "ToeplitzLinearOperator @", lambda c, b: toeplitz(c) @ b, column, normal(5, 2)
    )
    interpolated = import_module("linear_operator.operators").InterpolatedLinearOperator
    index = torch.tensor([[0, 1], [1, 2], [2, 4], [3, 3]])
    yield check(
        "InterpolatedLinearOperator @",
        lambda a, v, b: interpolated(lo.to_linear_operator(a), index, v, index, v) @ b,
        a,
        normal(4, 2),
        normal(4, 2, seed=3),
    )


@package("torchdiffeq==0.2.5")
def torchdiffeq() -> Iterator[Check]:
    torch, ode = import_module("torch"), import_module("torchdiffeq")

    class Field(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, matrix: Any) -> None:
            super().__init__()
            self.matrix = matrix

        def forward(self, t: Any, x: Any) -> Any:
            return torch.tanh(self.matrix @ x) * torch.cos(t)

    matrix, x = normal(3, 3), normal(3, seed=1)
    times = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64, requires_grad=True)

    def solved(matrix: Any, x: Any, times: Any, tolerance: float = 1e-12) -> Any:
        parameters = (matrix,)
        return ode.odeint_adjoint(
            Field(matrix),
            x,
            times,
            rtol=tolerance,
            atol=tolerance,
            adjoint_params=parameters,
        )

    yield check(
        "odeint_adjoint, tolerance 1e-12", solved, matrix, x, times, remark=SOLVER
    )
    yield check(
        "odeint_adjoint, tolerance 1e-6",
        partial(solved, tolerance=1e-6),
        matrix,
        x,
        times,
        remark=SOLVER,
    )
    yield check(
        "odeint, rk4 by itself",
        lambda m, x, t: ode.odeint(Field(m), x, t, method="rk4"),
        matrix,
        x,
        times,
    )
    yield check(
        "odeint_event, time of the event",
        lambda m, x: event(ode, Field(m), x),
        matrix,
        x,
    )


def event(ode: Any, field: Any, x: Any) -> Any:
    torch = import_module("torch")
    start = torch.tensor(0.0, dtype=torch.float64)
    drift = lambda t, x: field(t, x) + 1  # noqa: E731
    return ode.odeint_event(
        drift, x, start, event_fn=lambda t, x: x.sum() - 3, atol=1e-12, rtol=1e-12
    )[0]


@package("xitorch==0.5.1")
def xitorch() -> Iterator[Check]:
    torch = import_module("torch")
    linalg, optimize, integrate = (
        import_module(f"xitorch.{part}") for part in ("linalg", "optimize", "integrate")
    )
    operator = import_module("xitorch").LinearOperator
    a, b = positive(5), normal(5, 2)
    yield check(
        "linalg.solve", symmetric(lambda a, b: linalg.solve(operator.m(a), b)), a, b
    )
    yield check(
        "linalg.symeig, values",
        symmetric(lambda a: linalg.symeig(operator.m(a), 3)[0]),
        a,
    )
    yield check(
        "linalg.symeig, projector",
        symmetric(lambda a: outer(linalg.symeig(operator.m(a), 2)[1])),
        a,
    )
    c, x = normal(3, seed=4), torch.zeros(3, dtype=torch.float64)
    tight = {"f_tol": 1e-14, "x_tol": 1e-14, "maxiter": 200}
    yield check(
        "optimize.rootfinder",
        lambda c: optimize.rootfinder(
            lambda y, c: y + 0.3 * torch.tanh(y) - c, x, params=(c,), **tight
        ),
        c,
    )
    yield check(
        "optimize.equilibrium",
        lambda c: optimize.equilibrium(
            lambda y, c: 0.3 * torch.tanh(y) + c, x, params=(c,), **tight
        ),
        c,
    )
    lower, upper = (
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.2, 1.7)
    )
    yield check(
        "integrate.quad",
        lambda lower, upper, c: integrate.quad(
            lambda x, c: torch.exp(-c * x), lower, upper, params=(c,)
        ),
        lower,
        upper,
        c,
    )
    times = torch.linspace(0, 1, 4, dtype=torch.float64)
    yield check(
        "integrate.solve_ivp",
        lambda c, y: integrate.solve_ivp(
            lambda t, y, c: torch.tanh(c * y) + t,
            times,
            y,
            params=(c,),
            method="rk45",
            rtol=1e-11,
            atol=1e-11,
        ),
        c,
        normal(3, seed=5),
        remark=SOLVER,
    )


def outer(vectors: Any) -> Any:
    return vectors @ vectors.mT


@package("torchsde==0.2.6")
def torchsde() -> Iterator[Check]:
    torch, sde = import_module("torch"), import_module("torchsde")

    class Field(torch.nn.Module):  # type: ignore[misc, name-defined]
        noise_type, sde_type = "diagonal", "stratonovich"

        def __init__(self, rate: Any) -> None:
            super().__init__()
            self.rate = rate

        def f(self, t: Any, y: Any) -> Any:
            return torch.sin(self.rate * y)

        def g(self, t: Any, y: Any) -> Any:
            return 0.3 * torch.cos(y)

    times = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)

    def solved(y: Any, rate: Any, adjoint: bool, steps: int = 50) -> Any:
        field = Field(rate)
        motion = sde.BrownianInterval(
            0.0, 1.0, (2, 3), dtype=torch.float64, entropy=0, tol=1e-3
        )
        more = (
            {"adjoint_params": (rate,), "adjoint_method": "midpoint"} if adjoint else {}
        )
        solve = sde.sdeint_adjoint if adjoint else sde.sdeint
        return solve(
            field, y, times, bm=motion, dt=1 / steps, method="midpoint", **more
        )

    y, rate = normal(2, 3), normal(3, seed=1)
    yield check("sdeint by itself", partial(solved, adjoint=False), y, rate)
    yield check(
        "sdeint_adjoint, 50 steps",
        partial(solved, adjoint=True),
        y,
        rate,
        remark="by design: the adjoint equation has its own discretization",
    )


@package("pysdtw==0.0.5")
def pysdtw() -> Iterator[Check]:
    module = import_module("pysdtw")

    def loss(x: Any, y: Any) -> Any:
        return module.SoftDTW(
            gamma=1.0, dist_func=module.distance.pairwise_l2_squared, use_cuda=False
        )(x, y)

    x, y = normal(2, 6, 3), normal(2, 5, 3, seed=1)
    yield check("SoftDTW", loss, x, y)
    yield check(
        "SoftDTW, float32",
        loss,
        x.detach().float().requires_grad_(),
        y.detach().float().requires_grad_(),
    )


@package("tslearn==0.10.0")
def tslearn() -> Iterator[Check]:
    loss = import_module("tslearn.metrics").SoftDTWLossPyTorch(gamma=0.7)
    yield check("SoftDTWLossPyTorch", loss, normal(2, 6, 3), normal(2, 5, 3, seed=1))


@package("e3nn==0.6.0")
def e3nn() -> Iterator[Check]:
    math = import_module("e3nn.math")
    yield check("soft_unit_step", math.soft_unit_step, normal(20))
    yield check(
        "soft_one_hot_linspace",
        lambda x: math.soft_one_hot_linspace(x, -2.0, 2.0, 7, "smooth_finite", True),
        normal(10),
    )


@package("torch-einops-utils==0.2.0")
def einops_utils() -> Iterator[Check]:
    module = import_module("torch_einops_utils.stable_softmax")
    x, y = normal(3, 6), normal(3, 6, seed=1)
    yield check("categorical_kl", module.categorical_kl, x, y)
    yield check(
        "soft_target_cross_entropy_from_logits, in the prediction",
        lambda x: module.soft_target_cross_entropy_from_logits(x, y.detach()),
        x,
    )
    yield check(
        "soft_target_binary_cross_entropy, in the prediction",
        lambda x: module.soft_target_binary_cross_entropy(x, y.detach()),
        x,
    )
    yield check(
        "soft_target_cross_entropy_from_logits, in the target",
        lambda y: (
            module.soft_target_cross_entropy_from_logits(x.detach(), y) + 0 * y.sum()
        ),
        y,
        remark="by design: the target is a constant",
    )


@package("POT==0.9.7.post1")
def optimal_transport() -> Iterator[Check]:
    torch, ot = import_module("torch"), import_module("ot")
    a, b = (
        torch.softmax(normal(n, seed=n).detach(), 0).requires_grad_() for n in (4, 5)
    )
    cost = above(0.5, 4, 5)

    def normalized(value: Any) -> Any:
        return lambda a, b, cost: value(a / a.sum(), b / b.sum(), cost)

    yield check("emd2", normalized(ot.emd2), a, b, cost)
    yield check(
        "sinkhorn2",
        normalized(lambda a, b, cost: ot.sinkhorn2(a, b, cost, 0.5, stopThr=1e-15)),
        a,
        b,
        cost,
    )

    def envelope(a: Any, b: Any, cost: Any, kind: str) -> Any:
        return ot.solve(
            cost,
            a,
            b,
            reg=0.5,
            reg_type=kind,
            grad="envelope",
            tol=1e-14,
            max_iter=5000,
        ).value

    for kind in "entropy", "KL":
        value = normalized(partial(envelope, kind=kind))
        yield check(
            f"solve, reg_type={kind!r}, grad='envelope'", value, a, b, cost, remark=FLAW
        )
    x, y = normal(4, 2), normal(5, 2, seed=1)
    c1, c2 = (
        torch.cdist(x, x).detach().requires_grad_(),
        torch.cdist(y, y).detach().requires_grad_(),
    )
    uniform = ot.unif(4, type_as=x), ot.unif(5, type_as=x)
    both = lambda c1, c2: ot.gromov_wasserstein2(  # noqa: E731
        (c1 + c1.T) / 2, (c2 + c2.T) / 2, *uniform, tol_rel=1e-14, tol_abs=1e-14
    )
    yield check("gromov_wasserstein2", both, c1, c2)
    yield check(
        "backend sqrtm", symmetric(ot.backend.TorchBackend().sqrtm), positive(4)
    )
    yield check(
        "sliced_wasserstein_distance",
        lambda x, y: ot.sliced_wasserstein_distance(x, y, seed=0),
        x,
        y,
    )
    yield check(
        "wasserstein_1d, p = 2", lambda x, y: ot.wasserstein_1d(x, y, p=2), x, y
    )


@package("cvxpylayers==1.2.0")
def cvxpylayers() -> Iterator[Check]:
    cp, layers = import_module("cvxpy"), import_module("cvxpylayers.torch")
    x, a, b = cp.Variable(3), cp.Parameter((5, 3)), cp.Parameter(5)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(a @ x - b) + 0.1 * cp.sum_squares(x)), [x >= 0]
    )
    layer = layers.CvxpyLayer(problem, parameters=[a, b], variables=[x])
    tight = {"eps": 1e-13, "max_iters": 100000}
    yield check(
        "CvxpyLayer, SCS at 1e-13",
        lambda a, b: layer(a, b, solver_args=tight)[0],
        normal(5, 3),
        normal(5),
        remark=SOLVER,
    )


@package("torchopt==0.7.3")
def torchopt() -> Iterator[Check]:
    torch, to = import_module("torch"), import_module("torchopt")
    data, target = normal(10, 3).detach(), normal(10, seed=1).detach()
    eye = torch.eye(3, dtype=torch.float64)

    def stationary(weight: Any, c: Any) -> Any:
        return 2 * data.T @ (data @ weight - target) + torch.exp(c) * weight

    def solution(start: Any, c: Any) -> Any:
        return torch.linalg.solve(
            2 * data.T @ data + torch.exp(c) * eye, 2 * data.T @ target
        )

    solver = to.linear_solve.solve_normal_cg(rtol=1e-14, atol=1e-14)
    ridge = to.diff.implicit.custom_root(stationary, argnums=1, solve=solver)(solution)
    yield check(
        "implicit.custom_root of a ridge regression",
        lambda c: ridge(torch.zeros(3, dtype=torch.float64), c),
        normal(1),
    )


@package("torch-geometric==2.8.1")
def geometric() -> Iterator[Check]:
    torch, module = (
        import_module("torch"),
        import_module("torch_geometric.utils.cross_entropy"),
    )
    index = torch.tensor([[0, 0, 1, 2, 2], [1, 3, 2, 0, 3]])
    weight = torch.tensor([1.0, -2.5, 0.7, 1.3, -0.4], dtype=torch.float64)
    yield check(
        "sparse_cross_entropy",
        lambda x: module.sparse_cross_entropy(x, index),
        normal(3, 4),
    )
    yield check(
        "sparse_cross_entropy, positive and negative weights",
        lambda x: module.sparse_cross_entropy(x, index, weight),
        normal(3, 4),
    )


@package("monai==1.6.1")
def monai() -> Iterator[Check]:
    swish = import_module("monai.networks.blocks.activation").SwishImplementation.apply
    yield check("SwishImplementation", swish, normal(20))
    yield check(
        "SwishImplementation, second derivative", gradient_of(swish), normal(20)
    )


def gradient_of(function: Any) -> Any:
    torch = import_module("torch")
    return lambda x: torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]


@package("pyro-ppl==1.9.2")
def pyro() -> Iterator[Check]:
    torch, special = import_module("torch"), import_module("pyro.ops.special")
    distributions = import_module("pyro.distributions")
    yield check("ops.special.safe_log", special.safe_log, above(0.1, 8))

    def seeded(name: str) -> Any:
        def sample(loc: Any, scale: Any) -> Any:
            torch.manual_seed(0)
            return getattr(distributions, name)(loc, torch.tril(scale)).rsample()

        return sample

    yield check(
        "OMTMultivariateNormal.rsample",
        seeded("OMTMultivariateNormal"),
        normal(3),
        positive(3),
        remark="by design: another reparameterization than that of the sampler, equal in the mean",
    )
    yield check("ops.special.log_I1", lambda x: special.log_I1(3, x), above(0.1, 4))


@package("snntorch==1.0.0")
def snntorch() -> Iterator[Check]:
    surrogate = import_module("snntorch.surrogate")
    why = "by design: a surrogate gradient of a step"
    yield check(
        "surrogate.fast_sigmoid", surrogate.fast_sigmoid(), normal(20), remark=why
    )
    yield check("surrogate.atan", surrogate.atan(), normal(20), remark=why)


@package("brevitas==0.13.4")
def brevitas() -> Iterator[Check]:
    ops = import_module("brevitas.ops.autograd_ste_ops")
    why = "by design: a straight-through estimator"
    yield check("RoundSteFn", ops.RoundSteFn.apply, normal(20), remark=why)
    yield check(
        "ScalarClampSteFn",
        lambda x: ops.ScalarClampSteFn.apply(x, -0.5, 0.5),
        normal(20),
        remark=why,
    )
    yield check("AbsBinarySignGradFn", ops.AbsBinarySignGradFn.apply, normal(20))


@package("sparsemax==0.1.9")
def sparsemax() -> Iterator[Check]:
    function = import_module("sparsemax").Sparsemax(dim=-1)
    yield check("Sparsemax", function, normal(4, 8))
    yield check(
        "Sparsemax, dim = 1 of 3",
        import_module("sparsemax").Sparsemax(dim=1),
        normal(2, 5, 3),
    )


@package("normflows==1.7.3")
def normflows() -> Iterator[Check]:
    torch, flows = import_module("torch"), import_module("normflows")
    residual = import_module("normflows.flows.residual")
    torch.manual_seed(0)
    numpy = import_module("numpy")
    net = flows.nets.LipschitzMLP(
        [2, 8, 2], init_zeros=False, lipschitz_const=0.9
    ).double()

    def logdet(x: Any, neumann: bool, same: bool) -> Any:
        block = residual.iResBlock(
            net, n_exact_terms=8, neumann_grad=neumann, grad_in_forward=True
        ).double()
        torch.manual_seed(0)
        numpy.random.seed(0)
        value, change = block(x, torch.zeros(3, 1, dtype=torch.float64))
        return value, change.sum() if same else change

    yield check(
        "iResBlock, summed over samples",
        partial(logdet, neumann=False, same=True),
        normal(3, 2),
    )
    yield check(
        "iResBlock, not summed",
        partial(logdet, neumann=False, same=False),
        normal(3, 2),
        remark=FLAW,
    )
    yield check(
        "iResBlock, summed over samples, neumann_grad",
        partial(logdet, neumann=True, same=True),
        normal(3, 2),
        remark="by design: another estimator of the gradient than that of the value, equal in the mean",
    )


@package("reformer-pytorch==1.4.4")
def reformer() -> Iterator[Check]:
    torch = import_module("torch")
    reversible = import_module("reformer_pytorch.reversible")
    torch.manual_seed(0)
    blocks = [
        torch.nn.ModuleList(
            [
                torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())
                for _ in range(2)
            ]
        )
        for _ in range(2)
    ]
    sequence = reversible.ReversibleSequence(torch.nn.ModuleList(blocks)).double()
    yield check("ReversibleSequence", lambda x: sequence(x), normal(2, 3, 8))
