"""Packages for JAX with derivatives of their own: see found.py."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from found_checks import FLAW, SOLVER, Check, normal, package, symmetric

X = np.random.default_rng(0).standard_normal(8)
IMPLICIT = "by design: implicit reparameterization, equal to the derivative of the sampler in the mean"


def jnp() -> Any:
    import_module("jax").config.update("jax_enable_x64", True)
    return import_module("jax.numpy")


def check(
    what: str,
    function: Any,
    *args: Any,
    modes: Sequence[str] = ("rev",),
    remark: str = "",
) -> Check:
    check_grads = import_module("secant.jax").check_grads
    arrays = tuple(jnp().asarray(arg) for arg in args)
    return Check(what, partial(check_grads, function, arrays, modes=modes), remark)


def positive(size: int) -> Any:
    root = np.random.default_rng(size).standard_normal((size, size))
    return root @ root.T + size * np.eye(size)


@package("jax==0.10.2")
def jax() -> Iterator[Check]:
    np_, special, j = jnp(), import_module("jax.scipy.special"), import_module("jax")
    a, x = np.array([0.7, 1.5, 3.0, 6.0]), np.array([0.3, 1.2, 2.5, 7.0])
    yield check("gammainc, in a and x", special.gammainc, a, x)
    yield check(
        "betainc, in x",
        lambda x: special.betainc(1.5, 2.5, x),
        np.array([0.1, 0.4, 0.8]),
    )
    yield check("polygamma(1, x)", lambda x: special.polygamma(1, x), x)
    yield check("zeta(x, 1.5)", lambda x: special.zeta(2.5, x), x)
    yield check("i0e, i1e", lambda x: special.i0e(x) + special.i1e(x), X)
    yield check(
        "random.gamma in a",
        lambda a: j.random.gamma(j.random.key(0), a),
        a,
        remark=IMPLICIT,
    )
    yield check("scipy.linalg.expm", j.scipy.linalg.expm, normal(3, 3))
    yield check(
        "scipy.sparse.linalg.cg",
        symmetric(lambda a, b: j.scipy.sparse.linalg.cg(a, b, tol=1e-14)[0]),
        positive(4),
        X[:4],
    )
    yield check(
        "experimental.ode.odeint, tolerance 1e-12",
        lambda y, c: import_module("jax.experimental.ode").odeint(
            lambda y, t, c: np_.tanh(c * y) + t,
            y,
            np_.linspace(0.0, 1.0, 3),
            c,
            rtol=1e-12,
            atol=1e-12,
        ),
        X[:3],
        X[3:6],
        remark=SOLVER,
    )


@package("lineax==0.1.1")
def lineax() -> Iterator[Check]:
    lx = import_module("lineax")

    def solved(solver: Any, a: Any, b: Any, tags: Any = ()) -> Any:
        return lx.linear_solve(lx.MatrixLinearOperator(a, tags), b, solver).value

    spd = lx.positive_semidefinite_tag
    general = normal(4, 4) + 3 * np.eye(4)
    both = ("fwd", "rev")
    yield check(
        "linear_solve, LU", partial(solved, lx.LU()), general, X[:4], modes=both
    )
    yield check(
        "linear_solve, QR of 6 x 4",
        partial(solved, lx.QR()),
        normal(6, 4),
        X[:6],
        modes=both,
    )
    yield check(
        "linear_solve, SVD of 4 x 6",
        partial(solved, lx.SVD()),
        normal(4, 6),
        X[:4],
        modes=both,
    )
    yield check(
        "linear_solve, CG",
        symmetric(partial(solved, lx.CG(1e-14, 1e-14), tags=spd)),
        positive(4),
        X[:4],
    )
    yield check(
        "linear_solve, GMRES", partial(solved, lx.GMRES(1e-14, 1e-14)), general, X[:4]
    )
    norm = import_module("lineax.internal").two_norm
    yield check("two_norm", norm, X, modes=both)


@package("optimistix==0.1.0")
def optimistix() -> Iterator[Check]:
    np_, ox = jnp(), import_module("optimistix")

    def root(c: Any) -> Any:
        return ox.root_find(
            lambda y, c: y + 0.3 * np_.tanh(y) - c, ox.Newton(1e-14, 1e-14), c, args=c
        ).value

    def fitted(c: Any) -> Any:
        return ox.least_squares(
            lambda y, c: np_.concatenate([y - c, 0.1 * y**2]),
            ox.LevenbergMarquardt(1e-14, 1e-14),
            c,
            args=c,
        ).value

    def least(c: Any) -> Any:
        return ox.minimise(
            lambda y, c: np_.sum((y - c) ** 2 + 0.1 * y**4),
            ox.BFGS(1e-12, 1e-12),
            c,
            args=c,
            max_steps=500,
        ).value

    yield check("root_find", root, X[:3], modes=("fwd", "rev"))
    yield check("least_squares", fitted, X[:3])
    yield check("minimise, BFGS", least, X[:3])


@package("diffrax==0.7.2")
def diffrax() -> Iterator[Check]:
    np_, dx = jnp(), import_module("diffrax")

    def solved(adjoint: Any, tolerance: float, y: Any, c: Any) -> Any:
        term = dx.ODETerm(lambda t, y, c: np_.tanh(c * y) + t)
        controller = dx.PIDController(rtol=tolerance, atol=tolerance)
        solution = dx.diffeqsolve(
            term,
            dx.Tsit5(),
            0.0,
            1.0,
            0.05,
            y,
            c,
            stepsize_controller=controller,
            adjoint=adjoint,
        )
        return solution.ys

    def constant(y: Any, c: Any) -> Any:
        term = dx.ODETerm(lambda t, y, c: np_.tanh(c * y) + t)
        return dx.diffeqsolve(term, dx.Tsit5(), 0.0, 1.0, 0.05, y, c).ys

    recursive, back = dx.RecursiveCheckpointAdjoint(), dx.BacksolveAdjoint()
    yield check(
        "RecursiveCheckpointAdjoint, tolerance 1e-10",
        partial(solved, recursive, 1e-10),
        X[:3],
        X[3:6],
        remark="by design: the step sizes, which depend on y, are taken for constants",
    )
    yield check("RecursiveCheckpointAdjoint, constant steps", constant, X[:3], X[3:6])
    yield check(
        "BacksolveAdjoint, tolerance 1e-12", partial(solved, back, 1e-12), X[:3], X[3:6]
    )
    yield check(
        "BacksolveAdjoint, tolerance 1e-6",
        partial(solved, back, 1e-6),
        X[:3],
        X[3:6],
        remark=SOLVER,
    )


@package("jaxopt==0.8.5")
def jaxopt() -> Iterator[Check]:
    np_, jo = jnp(), import_module("jaxopt")
    projection = jo.projection
    both = ("fwd", "rev")
    yield check("projection_simplex", projection.projection_simplex, X, modes=both)
    yield check(
        "projection_sparse_simplex",
        lambda x: projection.projection_sparse_simplex(x, 3),
        X,
        modes=both,
    )
    yield check("projection_l1_ball", projection.projection_l1_ball, X)
    yield check("projection_l2_ball", projection.projection_l2_ball, X)
    yield check(
        "projection_box_section",
        lambda x, c: projection.projection_box_section(
            x, (np_.zeros(8), np_.ones(8), np_.abs(c) + 0.5, 1.5)
        ),
        X,
        X[::-1].copy(),
        remark=SOLVER,
    )

    def transported(x: Any) -> Any:
        solver = lambda fun: jo.LBFGS(fun, tol=1e-12, maxiter=2000)  # noqa: E731
        return projection.projection_transport(
            x, (np_.ones(3) / 3, np_.ones(4) / 4), make_solver=solver
        )

    yield check(
        "projection_transport, LBFGS at 1e-12",
        transported,
        0.1 * normal(3, 4),
        remark=FLAW,
    )
    yield check(
        "loss.sparsemax_loss, multiclass",
        lambda x: jo.loss.multiclass_sparsemax_loss(2, x),
        X,
    )

    data, target = normal(10, 3), normal(10)

    def ridge(weight: Any, c: Any) -> Any:
        return (
            np_.mean((data @ weight - target) ** 2)
            + np_.exp(c) * np_.sum(weight**2) / 2
        )

    def fit(c: Any) -> Any:
        return jo.LBFGS(ridge, tol=1e-12, maxiter=500).run(np_.zeros(3), c).params

    def lasso(c: Any) -> Any:
        solver = jo.ProximalGradient(
            lambda w: np_.mean((data @ w - target) ** 2),
            jo.prox.prox_lasso,
            tol=1e-12,
            maxiter=5000,
        )
        return solver.run(np_.zeros(3), hyperparams_prox=np_.exp(c)).params

    yield check("implicit differentiation, LBFGS", fit, np.array(-1.0), remark=SOLVER)
    yield check("implicit differentiation, ProximalGradient", lasso, np.array(-3.0))


@package("optax==0.2.8")
def optax() -> Iterator[Check]:
    np_, ox = jnp(), import_module("optax")
    both = ("fwd", "rev")
    yield check("projection_simplex", ox.projections.projection_simplex, X, modes=both)
    yield check("projection_l1_ball", ox.projections.projection_l1_ball, X)
    weights = np.abs(X[::-1]) / np.abs(X).sum()
    module = import_module("optax.losses._classification")
    yield check(
        "weighted_logsoftmax", module.weighted_logsoftmax, X, weights, modes=both
    )
    yield check(
        "losses.sparsemax_loss",
        lambda x: ox.losses.sparsemax_loss(x, np_.arange(8) % 2),
        X,
    )
    logits, labels = normal(2, 9, 5), np.array([[1, 2, 3], [2, 2, 4]])
    yield check(
        "losses.ctc_loss",
        lambda x: ox.losses.ctc_loss(x, np_.zeros((2, 9)), labels, np_.zeros((2, 3))),
        logits,
    )
    yield check(
        "scale_gradient(x, 0.5)",
        lambda x: ox.scale_gradient(np_.sin(x), 0.5),
        X,
        remark="by design: it is there to scale gradients",
    )
    perturbed = ox.perturbations.make_perturbed_fun(
        lambda x: import_module("jax").nn.one_hot(np_.argmax(x), 8),
        num_samples=100,
        sigma=0.5,
    )
    key = import_module("jax").random.key(0)
    yield check(
        "make_perturbed_fun of an argmax",
        lambda x: perturbed(key, x),
        X,
        remark="by design: a Monte Carlo estimate; the function itself is piecewise constant",
    )


@package("ott-jax==0.6.0")
def ott() -> Iterator[Check]:
    jnp()  # in float64
    utils, roots = (
        import_module("ott.math.utils"),
        import_module("ott.math.matrix_square_root"),
    )
    costs = import_module("ott.geometry.costs")
    both = ("fwd", "rev")
    yield check("math.utils.norm", utils.norm, X, modes=both)
    yield check(
        "math.utils.logsumexp, with b",
        lambda x, b: utils.logsumexp(x, b=b),
        X,
        np.abs(X),
        modes=both,
    )
    yield check("math.utils.softmin, in x", lambda x: utils.softmin(x, 0.3), X)
    yield check("math.utils.lambertw", utils.lambertw, np.abs(X), modes=both)
    for name in "sqrtm_only", "inv_sqrtm_only":
        root = partial(getattr(roots, name), threshold=1e-13)
        yield check(f"{name}, threshold 1e-13", symmetric(root), positive(4))
    yield check(
        "sqrtm_only, default threshold", symmetric(roots.sqrtm_only), positive(4)
    )
    pointcloud = import_module("ott.geometry.pointcloud").PointCloud
    solve = import_module("ott.solvers.linear").solve

    def sinkhorn(x: Any, y: Any) -> Any:
        return solve(
            pointcloud(x, y, epsilon=0.5), threshold=1e-12, max_iterations=5000
        ).reg_ot_cost

    def plan(x: Any, y: Any) -> Any:
        return solve(
            pointcloud(x, y, epsilon=0.5), threshold=1e-12, max_iterations=5000
        ).matrix

    def unrolled(x: Any, y: Any) -> Any:
        fixed = {"implicit_diff": None, "min_iterations": 30, "max_iterations": 30}
        return solve(pointcloud(x, y, epsilon=0.5), **fixed).matrix

    x, y = normal(4, 2), normal(5, 2)
    yield check("sinkhorn, 30 unrolled iterations", unrolled, x, y, remark=FLAW)
    yield check("sinkhorn, cost", sinkhorn, x, y)
    yield check("sinkhorn, plan by implicit differentiation", plan, x, y)
    regularizer = import_module("ott.geometry.regularizers").L1()
    yield check(
        "RegTICost.h_legendre", costs.RegTICost(regularizer, lam=0.3).h_legendre, X
    )


@package("quadax==0.3.1")
def quadax() -> Iterator[Check]:
    np_, q = jnp(), import_module("quadax")
    tight = {"epsabs": 1e-13, "epsrel": 1e-13}

    def integral(name: str, ends: Any, c: Any) -> Any:
        return getattr(q, name)(
            lambda x, c: np_.exp(-c * x) * np_.cos(x), ends, (c,), **tight
        )[0]

    for name in "quadgk", "quadcc", "quadts":
        yield check(
            f"{name}, in the ends and a parameter",
            partial(integral, name),
            np.array([0.2, 1.7]),
            np.array(0.8),
        )


@package("numpyro==0.22.0")
def numpyro() -> Iterator[Check]:
    jnp()
    dist, util = (
        import_module("numpyro.distributions"),
        import_module("numpyro.distributions.util"),
    )
    yield check("log1mexp", util.log1mexp, -np.abs(X), modes=("fwd", "rev"))
    value, low, high = np.array([1.3, 2.0, 3.7]), np.array(1.1), np.array(4.5)

    def law(name: str, alpha: float, method: str) -> Any:
        def function(x: Any, alpha: Any, low: Any, high: Any) -> Any:
            return getattr(dist.DoublyTruncatedPowerLaw(alpha, low, high), method)(x)

        what = f"DoublyTruncatedPowerLaw.{method}{name}"
        return check(
            what, function, points[method], np.array(alpha), low, high, remark=FLAW
        )

    points = {"log_prob": value, "cdf": value, "icdf": np.array([0.2, 0.5, 0.9])}
    for name, alpha in ("", -2.5), (", alpha = -1", -1.0):
        for method in points:
            yield law(name, alpha, method)
    yield check(
        "LowerTruncatedPowerLaw.log_prob",
        lambda x, a, low: dist.LowerTruncatedPowerLaw(a, low).log_prob(x),
        value,
        np.array(-2.5),
        low,
    )


@package("distrax==0.1.9")
def distrax() -> Iterator[Check]:
    jnp()
    d, module = import_module("distrax"), import_module("distrax._src.utils.math")
    yield check(
        "multiply_no_nan",
        module.multiply_no_nan,
        X,
        X[::-1].copy(),
        modes=("fwd", "rev"),
    )
    yield check(
        "power_no_nan",
        module.power_no_nan,
        np.abs(X),
        X[::-1].copy(),
        modes=("fwd", "rev"),
    )
    yield check(
        "power_no_nan, y = 0",
        module.power_no_nan,
        np.abs(X),
        np.zeros(8),
        modes=("fwd", "rev"),
    )
    for concentration in 1.7, 20.0:
        yield check(
            f"VonMises.cdf, concentration {concentration}",
            lambda x, loc, c: d.VonMises(loc, c).cdf(x),
            np.array([-1.0, -0.2, 0.4, 1.3]),
            np.array(0.1),
            np.array(concentration),
            remark="by design: the exact derivative of what the value approximates to nine digits",
        )
