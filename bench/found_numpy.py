"""Packages for NumPy whose gradients are written by hand: see found.py."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import secant
from found_checks import FLAW, Check, normal, package

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((30, 3)), rng.standard_normal(30)
Design = np.column_stack([np.ones(30), X])


NUMERICAL = "by design: a difference quotient itself"


def gradient(what: str, f: Any, x: Any, g: Any, remark: str = "") -> Check:
    """Check the gradient of a function with a single value."""
    return Check(what, partial(secant.check_gradient, f, x, g), remark)


def pair(what: str, f: Any, x: Any, remark: str = "") -> Check:
    """Check a function that returns its value and its gradient."""
    return gradient(what, lambda x: f(x)[0], x, lambda x: f(x)[1], remark)


def elementwise(what: str, f: Any, x: Any, slope: Any, remark: str = "") -> Check:
    """Check the derivative of an elementwise function."""
    return Check(
        what,
        partial(secant.check_vjp, f, x, lambda cotangent: cotangent * slope(x)),
        remark,
    )


@package("scipy==1.17.1")
def scipy() -> Iterator[Check]:
    optimize, special, linalg, interpolate = (
        import_module(f"scipy.{part}")
        for part in ("optimize", "special", "linalg", "interpolate")
    )
    yield gradient("optimize.rosen_der", optimize.rosen, Y[:8], optimize.rosen_der)
    direction = Y[8:16]
    yield gradient(
        "optimize.rosen_hess_prod",
        lambda x: optimize.rosen_der(x) @ direction,
        Y[:8],
        lambda x: optimize.rosen_hess_prod(x, direction),
    )
    a = normal(4, 4)
    yield Check(
        "linalg.expm_frechet",
        partial(
            secant.check_jvp,
            linalg.expm,
            a,
            lambda t: linalg.expm_frechet(a, t, compute_expm=False),
        ),
    )
    z = np.linspace(0.3, 9.0, 12)
    for name in "jv", "yv", "kv", "iv":
        yield elementwise(
            f"special.{name}p, order 1.5",
            partial(getattr(special, name), 1.5),
            z,
            partial(getattr(special, name + "p"), 1.5),
        )
    yield elementwise(
        "special.legendre_p, diff_n=1",
        lambda x: special.legendre_p(5, x)[0],
        z / 10,
        lambda x: special.legendre_p(5, x, diff_n=1)[1],
    )
    yield elementwise(
        "special.polygamma(1, x) of digamma",
        special.digamma,
        z,
        partial(special.polygamma, 1),
    )
    knots, values = np.sort(np.random.default_rng(1).uniform(0, 10, 12)), normal(12)
    inside = np.linspace(knots[0] + 0.1, knots[-1] - 0.1, 9)
    for name in "CubicSpline", "PchipInterpolator", "Akima1DInterpolator":
        spline = getattr(interpolate, name)(knots, values)
        yield elementwise(
            f"interpolate.{name}.derivative", spline, inside, spline.derivative()
        )
    spline = interpolate.make_interp_spline(knots, values, k=5)
    yield elementwise(
        "interpolate.BSpline.derivative", spline, inside, spline.derivative()
    )
    surface = interpolate.RectBivariateSpline(
        np.arange(6.0), np.arange(7.0), normal(6, 7)
    )
    other = np.linspace(0.4, 5.3, 9)
    yield elementwise(
        "interpolate.RectBivariateSpline, dx=1",
        lambda x: surface.ev(x, other),
        inside / 2.1,
        lambda x: surface.ev(x, other, dx=1),
    )


@package("scikit-learn==1.9.1")
def scikit_learn() -> Iterator[Check]:
    loss = import_module("sklearn._loss.loss")
    targets = {
        "HalfSquaredError": Y, "AbsoluteError": Y, "HuberLoss": Y, "PinballLoss": Y,
        "HalfPoissonLoss": np.abs(Y), "HalfGammaLoss": np.abs(Y), "HalfTweedieLoss": np.abs(Y),
        "HalfTweedieLossIdentity": np.abs(Y), "HalfBinomialLoss": (Y > 0).astype(float),
        "ExponentialLoss": (Y > 0).astype(float),
    }  # fmt: skip
    raw = np.ascontiguousarray(X[:, 0]) * 2
    for name, target in targets.items():
        each = getattr(loss, name)()
        prediction = np.abs(raw) + 0.1 if "Identity" in name else raw
        yield elementwise(
            f"_loss.{name}",
            partial(each.loss, target),
            prediction,
            partial(each.gradient, target),
        )
    classes = np.arange(30.0) % 3
    multinomial = loss.HalfMultinomialLoss(n_classes=3)
    yield Check(
        "_loss.HalfMultinomialLoss",
        partial(
            secant.check_vjp,
            lambda x: multinomial.loss(classes, x),
            X.copy(),
            lambda cotangent: cotangent[:, None] * multinomial.gradient(classes, X),
        ),
    )

    linear = import_module("sklearn.linear_model._linear_loss").LinearModelLoss(
        multinomial, fit_intercept=True
    )
    start = normal(3, 4).ravel(order="F")
    loss_gradient = partial(linear.loss_gradient, X=X, y=classes, l2_reg_strength=0.3)
    yield pair("LinearModelLoss, multinomial with L2", loss_gradient, start)
    huber = import_module("sklearn.linear_model._huber")._huber_loss_and_gradient
    yield pair(
        "HuberRegressor",
        lambda w: huber(w, X, Y, 1.35, 0.1, np.ones(30)),
        np.r_[Y[:4], 0.8],
    )

    process = import_module("sklearn.gaussian_process")
    kernels = process.kernels

    def likelihood(what: str, model: Any, remark: str = "") -> Check:
        f = model.log_marginal_likelihood
        return gradient(
            what, f, model.kernel_.theta, lambda t: f(t, eval_gradient=True)[1], remark
        )

    periodic = process.GaussianProcessRegressor(
        kernels.ExpSineSquared(1.2, 2.3), alpha=0.3, optimizer=None
    )
    yield likelihood(
        "log_marginal_likelihood, ExpSineSquared", periodic.fit(X[:, :1], Y)
    )
    for kernel in (
        kernels.RBF([0.8, 1.1, 2.0]), kernels.Matern(1.3, nu=0.5), kernels.Matern(1.3, nu=1.5),
        kernels.Matern([1.3, 0.8, 1.0], nu=2.5), kernels.Matern(1.3, nu=0.9), kernels.RationalQuadratic(1.1, 0.7),
        kernels.DotProduct(1.1) ** 2,
        kernels.ConstantKernel(1.4) * kernels.RBF(0.9) + kernels.WhiteKernel(0.2),
        kernels.CompoundKernel([kernels.RBF(0.9)]).kernels[0] + kernels.DotProduct(0.4),
    ):  # fmt: skip
        model = process.GaussianProcessRegressor(kernel, alpha=0.3, optimizer=None).fit(
            X, Y
        )
        name = (
            "Matern nu=" + str(kernel.nu)
            if isinstance(kernel, kernels.Matern)
            else str(kernel)
        )
        yield likelihood(f"log_marginal_likelihood, {name}", model, NUMERICAL)
    classifier = process.GaussianProcessClassifier(
        kernels.RBF(1.1), optimizer=None
    ).fit(X, Y > 0)
    yield likelihood("GaussianProcessClassifier, log_marginal_likelihood", classifier)

    tsne = import_module("sklearn.manifold._t_sne")
    joint = np.random.default_rng(2).uniform(size=10 * 9 // 2)
    joint /= 2 * joint.sum()
    sparse = import_module("scipy.sparse").csr_matrix(
        import_module("scipy.spatial.distance").squareform(joint)
    )
    for size in 2, 3:
        known = {"degrees_of_freedom": size - 1, "n_samples": 10, "n_components": size}
        start = normal(10 * size)
        energy = partial(tsne._kl_divergence, P=joint, **known)
        yield pair(f"t-SNE, exact, n_components={size}", energy, start, FLAW)
        energy = partial(tsne._kl_divergence_bh, P=sparse, angle=0.0, **known)
        yield pair(
            f"t-SNE, barnes_hut, angle 0, n_components={size}",
            energy,
            start.astype(np.float32),
            FLAW,
        )
    nca = import_module("sklearn.neighbors").NeighborhoodComponentsAnalysis()
    nca.n_iter_ = 1
    same = (classes[:, None] == classes).astype(float)
    yield pair(
        "NeighborhoodComponentsAnalysis",
        lambda t: nca._loss_grad_lbfgs(t, X, same),
        Y[:6],
    )


@package("statsmodels==0.15.0")
def statsmodels() -> Iterator[Check]:
    sm = import_module("statsmodels.api")
    counts = np.random.default_rng(1).poisson(2.0, 30)
    shares = 1 / (1 + np.exp(-Y))
    discrete, counted = sm, import_module("statsmodels.discrete.count_model")
    truncated = import_module("statsmodels.discrete.truncated_model")
    ordinal = import_module("statsmodels.miscmodels.ordinal_model").OrderedModel
    beta = import_module("statsmodels.othermod.betareg").BetaModel
    conditional = import_module("statsmodels.discrete.conditional_models")
    groups = np.repeat(np.arange(6), 5)
    small = np.array([0.2, -0.1, 0.3, 0.15])
    models = {
        "Logit": (discrete.Logit(Y > 0, Design), small),
        "Probit": (discrete.Probit(Y > 0, Design), small),
        "MNLogit": (discrete.MNLogit(np.arange(30) % 3, Design), np.r_[small, -small]),
        "Poisson": (discrete.Poisson(counts, Design), small),
        "NegativeBinomial, nb2": (discrete.NegativeBinomial(counts, Design), np.r_[small, 0.6]),
        "NegativeBinomial, nb1": (discrete.NegativeBinomial(counts, Design, "nb1"), np.r_[small, 0.6]),
        "NegativeBinomial, geometric": (discrete.NegativeBinomial(counts, Design, "geometric"), small),
        "NegativeBinomialP": (discrete.NegativeBinomialP(counts, Design, p=1.5), np.r_[small, 0.6]),
        "GeneralizedPoisson": (discrete.GeneralizedPoisson(counts, Design, p=2), np.r_[small, 0.1]),
        "ZeroInflatedPoisson": (counted.ZeroInflatedPoisson(counts, Design), np.r_[-0.4, small]),
        "ZeroInflatedGeneralizedPoisson": (
            counted.ZeroInflatedGeneralizedPoisson(counts, Design), np.r_[-0.4, small, 0.1]),
        "ZeroInflatedNegativeBinomialP": (
            counted.ZeroInflatedNegativeBinomialP(counts, Design), np.r_[-0.4, small, 0.6]),
        "TruncatedLFPoisson": (truncated.TruncatedLFPoisson(counts + 1, Design), small),
        "TruncatedLFNegativeBinomialP": (
            truncated.TruncatedLFNegativeBinomialP(counts + 1, Design), np.r_[small, 0.6]),
        "TruncatedLFNegativeBinomialP, p=1": (
            truncated.TruncatedLFNegativeBinomialP(counts + 1, Design, p=1), np.r_[small, 0.6]),
        "TruncatedLFGeneralizedPoisson": (
            truncated.TruncatedLFGeneralizedPoisson(counts + 1, Design), np.r_[small, 0.1]),
        "TruncatedLFGeneralizedPoisson, p=1": (
            truncated.TruncatedLFGeneralizedPoisson(counts + 1, Design, p=1), np.r_[small, 0.1]),
        "HurdleCountModel": (truncated.HurdleCountModel(counts, Design), np.r_[-small, small]),
        "BetaModel": (beta(shares, Design), np.r_[small, 1.2]),
        "OrderedModel": (ordinal(np.arange(30) % 4, X, distr="logit"), np.r_[small[1:], -0.5, 0.1, 0.2]),
        "ConditionalLogit": (conditional.ConditionalLogit((Y > 0).astype(float), X, groups=groups), small[1:]),
        "ConditionalPoisson": (conditional.ConditionalPoisson(counts, X, groups=groups), small[1:]),
        "PHReg": (import_module("statsmodels.duration.hazard_regression").PHReg(np.abs(Y), X), small[1:]),
        "PHReg, Efron, ties": (import_module("statsmodels.duration.hazard_regression").PHReg(
            np.ceil(3 * np.abs(Y)), X, ties="efron"), small[1:]),
    }  # fmt: skip
    for name, (model, start) in models.items():
        why = FLAW if name.startswith("Truncated") else NUMERICAL
        yield gradient(f"{name}.score", model.loglike, start, model.score, why)
    families = sm.families
    for name, family in {
        "Gamma": families.Gamma(families.links.Log()), "Tweedie": families.Tweedie(var_power=1.5, eql=True),
        "InverseGaussian": families.InverseGaussian(families.links.Log()),
    }.items():  # fmt: skip
        model = sm.GLM(np.abs(Y) + 0.1, Design, family=family)
        yield gradient(
            f"GLM.score, {name}, scale=1.3",
            partial(model.loglike, scale=1.3),
            small,
            partial(model.score, scale=1.3),
        )
    yield gradient(
        "GLM.score, InverseGaussian, scale=None",
        model.loglike,
        small,
        model.score,
        "by design: the score holds the scale fixed that loglike estimates from the parameters",
    )


@package("autograd==1.9.1")
def autograd() -> Iterator[Check]:
    grad, np_, special = (
        import_module("autograd").grad,
        import_module("autograd.numpy"),
        import_module("autograd.scipy.special"),
    )
    stats, linalg, signal = (
        import_module(f"autograd.scipy.{part}")
        for part in ("stats", "linalg", "signal")
    )
    x, u = np.abs(Y[:8]) + 0.2, 1 / (1 + np.exp(-Y[:8]))

    def of(what: str, f: Any, *args: Any, remark: str = "") -> Check:
        total = lambda xs: np_.sum(np_.sin(f(*xs)))  # noqa: E731
        return gradient(
            what, total, list(args), lambda xs: list(grad(total)(list(xs))), remark
        )

    yield of("special.beta", special.beta, x, u)
    yield of("special.betainc, in x", lambda u: special.betainc(1.5, 2.5, u), u)
    for name in (
        "gamma",
        "gammaln",
        "rgamma",
        "digamma",
        "j0",
        "y0",
        "j1",
        "y1",
        "i0",
        "i1",
        "erf",
        "erfc",
    ):
        yield of(f"special.{name}", getattr(special, name), x)
    for name in "jn", "yn", "iv", "ive", "polygamma", "gammainc", "gammaincc":
        yield of(f"special.{name}", partial(getattr(special, name), 2), x)
    yield of("special.ive, negative x", partial(special.ive, 2), -x)
    for name in "erfinv", "logit", "expit":
        yield of(f"special.{name}", getattr(special, name), u)
    yield of("special.erfcinv", special.erfcinv, u)
    yield of("special.multigammaln", lambda x: special.multigammaln(x, 3), x[:1] + 3)
    yield of("special.logsumexp", lambda x: special.logsumexp(x, axis=0, b=0.3), X)
    for freedom in 3.0, 3.5:
        for name in "cdf", "pdf", "logpdf":
            yield of(
                f"stats.chi2.{name}, in x, df={freedom}",
                partial(
                    lambda x, f, df: f(x, df), f=getattr(stats.chi2, name), df=freedom
                ),
                x,
                remark=FLAW,
            )
    for name, args in {
        "norm": (0.3, 1.4),
        "t": (3.5, 0.3, 1.4),
        "gamma": (1.7,),
        "beta": (1.7, 2.2),
    }.items():
        shape = [np.full(8, arg) for arg in args]
        at = u if name == "beta" else x
        yield of(f"stats.{name}.logpdf", getattr(stats, name).logpdf, at, *shape)
        yield of(f"stats.{name}.pdf", getattr(stats, name).pdf, at, *shape)
        yield of(
            f"stats.{name}.cdf, in x",
            partial(lambda x, f, s: f(x, *s), f=getattr(stats, name).cdf, s=args),
            at,
        )
    yield of(
        "stats.t.cdf, in loc", lambda m: stats.t.cdf(x, 3.5, m, 1.4), np.full(8, 0.3)
    )
    yield of(
        "stats.norm.logcdf, logsf",
        lambda x, m, s: stats.norm.logcdf(x, m, s) + stats.norm.logsf(x, m, s),
        x,
        np.full(8, 0.3),
        np.full(8, 1.4),
    )
    a = X[:4].T @ X[:4] + np.eye(3)

    def half(a: Any) -> Any:
        return (a + np_.transpose(a)) / 2

    yield of(
        "stats.multivariate_normal.logpdf",
        lambda x, m, a: stats.multivariate_normal.logpdf(x, m, half(a)),
        X[:5].copy(),
        Y[:3],
        a,
    )
    yield of(
        "stats.multivariate_normal.entropy",
        lambda a: stats.multivariate_normal.entropy(np.zeros(3), half(a)),
        a,
    )
    yield of(
        "stats.dirichlet.logpdf, in alpha",
        lambda x: stats.dirichlet.logpdf(u[:3] / u[:3].sum(), x),
        x[:3],
    )
    yield of("linalg.sqrtm", linalg.sqrtm, a)
    yield of(
        "linalg.solve_triangular",
        lambda a, b: linalg.solve_triangular(a, b, lower=True),
        a,
        Y[:3],
    )
    yield of("linalg.solve_sylvester", linalg.solve_sylvester, a, a + 1, X[:3].copy())
    yield of(
        "numpy.linalg.eigh, projector",
        lambda a: (lambda v: v @ v.T)(np_.linalg.eigh(half(a))[1][:, :2]),
        a,
    )
    yield of(
        "numpy.linalg.svd, singular values",
        lambda a: np_.linalg.svd(a, full_matrices=False)[1],
        X[:5].copy(),
    )
    yield of("numpy.linalg.pinv", np_.linalg.pinv, X[:5].copy())
    yield of("numpy.linalg.cholesky", lambda a: np_.linalg.cholesky(half(a)), a)
    yield of(
        "numpy.linalg.norm, nuclear", lambda a: np_.linalg.norm(a, "nuc"), X[:5].copy()
    )
    yield of(
        "numpy.linalg.norm, order 3",
        lambda a: np_.linalg.norm(a, 3, axis=0),
        X[:5].copy(),
    )
    yield of("numpy.fft.rfft", lambda a: np_.abs(np_.fft.rfft(a)), Y[:8])
    yield of(
        "numpy.fft.irfftn",
        lambda a: np_.fft.irfftn(np_.fft.rfftn(a) ** 2),
        X[:6].reshape(3, 6),
    )
    yield of("signal.convolve", signal.convolve, X[:6].copy(), X[6:8].copy())
    yield of(
        "signal.convolve, mode same",
        partial(signal.convolve, mode="same"),
        X[:6].copy(),
        X[6:9].copy(),
    )
    yield of("numpy.sinc", np_.sinc, Y[:6])
    yield of("numpy.logaddexp", np_.logaddexp, Y[:6], Y[6:12])
    yield of(
        "numpy.std, numpy.var",
        lambda a: np_.std(a, axis=0, ddof=1) + np_.var(a, axis=0),
        X,
    )


@package("george==0.4.4")
def george() -> Iterator[Check]:
    kernels = import_module("george.kernels")
    points, others, weights = X[:4].copy(), X[4:9].copy(), normal(4, 5)
    metrics = {
        "one": 0.8,
        "by axes": [0.8, 1.1, 2.0],
        "a matrix": [[1.3, 0.4, 0.1], [0.4, 0.9, -0.2], [0.1, -0.2, 1.1]],
    }

    def value(kernel: Any, x: Any) -> Any:
        return np.sum(weights * kernel.get_value(x, others))

    def by_x1(kernel: Any, x: Any) -> Any:
        return np.einsum("ij,ijk->ik", weights, kernel.get_x1_gradient(x, others))

    def value_of_parameters(kernel: Any, parameters: Any) -> Any:
        kernel.set_parameter_vector(parameters)
        return value(kernel, points)

    def by_parameters(kernel: Any, parameters: Any) -> Any:
        kernel.set_parameter_vector(parameters)
        return np.einsum("ij,ijk->k", weights, kernel.get_gradient(points, others))

    for name, metric in metrics.items():
        kernel = kernels.Matern52Kernel(metric=metric, ndim=3)
        remark = FLAW if name == "a matrix" else ""
        yield gradient(
            f"Matern52Kernel, metric {name}, in x1",
            partial(value, kernel),
            points,
            partial(by_x1, kernel),
            remark,
        )
        yield Check(
            f"Matern52Kernel, metric {name}, in its parameters",
            partial(
                secant.check_gradient,
                partial(value_of_parameters, kernel),
                kernel.get_parameter_vector(),
                partial(by_parameters, kernel),
                names=list(kernel.get_parameter_names()),
            ),
            remark,
        )


@package("umap-learn==0.5.12")
def umap() -> Iterator[Check]:
    distances = import_module("umap.distances")
    shares = np.array([0.2, 0.3, 0.1, 0.4]), np.array([0.25, 0.15, 0.35, 0.25])
    five = np.array([0.5, 0.3, 1.3, 0.6, -0.3]), np.array([0.1, -0.2, 0.7, 1.1, 0.4])
    three = five[0][:3], five[1][:3]
    places = {
        "euclidean": three, "cosine": three, "canberra": three, "hyperboloid": three,
        "hellinger": shares, "spherical_gaussian_energy": three,
        "symmetric_kl": shares, "gaussian_energy": five,
    }  # fmt: skip

    def of(grad: Any, y: Any) -> Any:
        # Both are copied: some metrics write to their arguments.
        return lambda x: grad(x.copy(), y.copy())

    remarks = {
        "euclidean": "by design: an epsilon of 1e-6 avoids a division by 0",
        "symmetric_kl": FLAW,
        "gaussian_energy": FLAW,
    }
    for name, (x, y) in places.items():
        grad = getattr(distances, f"{name}_grad")
        remark = remarks.get(name, "")
        yield pair(f"distances.{name}_grad", of(grad, y), x, remark)


@package("thinc==9.1.1")
def thinc() -> Iterator[Check]:
    losses = import_module("thinc.loss")
    cosine = losses.CosineDistance()
    yield gradient(
        "CosineDistance",
        lambda x: cosine.get_loss(x, X[5:10]),
        X[:5].copy(),
        lambda x: cosine.get_grad(x, X[5:10]),
    )
    squares = losses.L2Distance()
    for n in 2, 5:
        truths = X[10 : 10 + n]
        yield gradient(
            f"L2Distance, {n} rows",
            partial(lambda x, truths: squares.get_loss(x, truths), truths=truths),
            X[:n].copy(),
            partial(lambda x, truths: squares.get_grad(x, truths), truths=truths),
            FLAW,
        )


@package("rdkit==2026.9.1")
def rdkit() -> Iterator[Check]:
    chem, helpers = (
        import_module(f"rdkit.Chem{part}") for part in ("", ".rdForceFieldHelpers")
    )
    mol = chem.AddHs(chem.MolFromSmiles("CCO"))
    import_module("rdkit.Chem.rdDistGeom").EmbedMolecule(mol, randomSeed=1)
    properties = helpers.MMFFGetMoleculeProperties(mol)
    fields: dict[str, Callable[[], Any]] = {
        "UFF": lambda: helpers.UFFGetMoleculeForceField(mol),
        "MMFF": lambda: helpers.MMFFGetMoleculeForceField(mol, properties),
    }

    def always(field: Any) -> Callable[[], Any]:
        return lambda: field

    def of(what: str, field: Callable[[], Any], remark: str = "") -> Check:
        start = np.ravel(mol.GetConformer().GetPositions())
        return gradient(
            what,
            lambda x: field().CalcEnergy(x.tolist()),
            start,
            lambda x: np.array(field().CalcGrad(x.tolist())),
            remark,
        )

    for name, new in fields.items():
        yield of(f"{name}, a new force field each time", new)
        yield of(f"{name}, one force field", always(new()), FLAW)


@package("GPy==1.15.0")
def gpy() -> Iterator[Check]:
    kern = import_module("GPy.kern")
    points, others = X[:5, :1].copy(), X[5:10, :1].copy()
    symmetric, mixed, diagonal = X[:5] @ X[:5].T, normal(5, 5), Y[:5]
    ways = {
        "full": (
            lambda kernel: np.sum(symmetric * kernel.K(points)),
            lambda kernel: kernel.update_gradients_full(symmetric, points),
        ),
        "full, with X2": (
            lambda kernel: np.sum(mixed * kernel.K(points, others)),
            lambda kernel: kernel.update_gradients_full(mixed, points, others),
        ),
        "diag": (
            lambda kernel: diagonal @ kernel.Kdiag(points),
            lambda kernel: kernel.update_gradients_diag(diagonal, points),
        ),
    }

    def of(what: str, parameter: Any, ways: Any, remark: str) -> Check:
        kernel = parameter._highest_parent_
        evaluate, update = ways

        def value(x: Any) -> Any:
            parameter[:] = x
            return evaluate(kernel)

        def derivative(x: Any) -> Any:
            parameter[:] = x
            update(kernel)
            return np.array(parameter.gradient)

        return gradient(what, value, np.array(parameter), derivative, remark)

    rbf = kern.RBF(1, variance=1.3, lengthscale=0.7)
    logistic = kern.LogisticBasisFuncKernel(1, [0.2, -0.4], 1.3, [0.8, 1.5])
    for name, way in ways.items():
        # The diagonal of this kernel does not depend on its lengthscale.
        of_rbf = rbf.variance if name == "diag" else rbf.lengthscale
        yield of(f"RBF, {name}, {of_rbf.name}", of_rbf, way, "")
        remark = "" if name == "full" else FLAW
        what = f"LogisticBasisFuncKernel, {name}, slope"
        yield of(what, logistic.slope, way, remark)
