"""Objective functions as users of SciPy, PyTorch and scikit-learn write them, with
their exact derivatives.

Each entry makes a new f, with fresh state, for the array that will be differentiated:
some keep that array. Beside it stands its formula as a plain function without state,
whose complex step is the exact gradient.
"""

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """An objective, where it is differentiated, and its formula."""

    make: Callable  # takes x and returns a new f
    x: np.ndarray
    formula: Callable  # what f computes, without state, of a complex array too
    args: tuple = ()  # further arguments of f
    kwargs: dict = field(default_factory=dict)
    needs: tuple = ()  # packages it cannot do without
    # by how much of the largest entry a derivative at h = 1e-4 may be off
    rtol: float = 1e-6
    # by how much of it what f computes differs from its formula: a solver's tolerance
    own_error: float = 0.0
    # f returns float32: a warning says so, and a check may not verify it
    is_float32: bool = False

    def jacobian(self, x=None):
        """The exact derivatives of all outputs, by complex steps."""
        x = self.x if x is None else x
        columns = []
        for i in range(x.size):
            # float32 stays what it is
            shifted = x.astype(np.result_type(x, np.complex64))
            shifted.flat[i] += 1e-30j
            columns.append(np.imag(self.formula(shifted)) / 1e-30)
        return np.moveaxis(np.array(columns), 0, -1).reshape(
            np.shape(columns[0]) + x.shape
        )

    def hessian(self):
        """The exact second derivatives, to 12 digits: differences of order 6 of complex
        steps.
        """
        h, size = 1e-3, self.x.size
        rows = np.zeros((size, size))
        for i in range(size):
            for shift, weight in (
                (1, 45),
                (-1, -45),
                (2, -9),
                (-2, 9),
                (3, 1),
                (-3, -1),
            ):
                shifted = self.x.copy()
                shifted.flat[i] += shift * h
                rows[i] += weight * self.jacobian(shifted).reshape(-1) / (60 * h)
        return (rows + rows.T) / 2


CASES: dict[str, Case] = {}
VECTORS: dict[str, Case] = {}  # that return arrays


def enter(name, make, formula, x, table=CASES, **options: Any):
    """Put an objective into a table."""
    assert name not in table
    table[name] = Case(make, np.array(x, dtype=np.float64), formula, **options)


def plain(name, f, formula, x, **options: Any):
    """One that has no state."""
    enter(name, lambda x: f, formula, x, **options)


def objective(formula, x, **options: Any):
    """What is decorated makes an f."""
    return lambda make: enter(make.__name__, make, formula, x, **options)


def stateless(formula, x, **options: Any):
    """What is decorated is f, which has no state."""
    return lambda f: plain(f.__name__, f, formula, x, **options)


def of_class(formula, x, method=None, holds_x=False, **options: Any):
    """What is decorated is a class: each f is a new instance, or a method of it.

    Some instances hold the array.
    """

    def decorated(cls):
        def make(x):
            instance = cls(x) if holds_x else cls()
            return getattr(instance, method) if method else instance

        enter(cls.__name__, make, formula, x, **options)

    return decorated


array_function, plain_array, stateless_array = (
    functools.partial(each, table=VECTORS) for each in (objective, plain, stateless)
)


def smooth(x):
    return x @ x + np.sin(x).sum() + x[0] * x[-1]


def rosenbrock(x, a=1.0, b=100.0):
    return np.sum(b * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2)


def softplus(z):
    return np.log1p(np.exp(z))


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


HERE = [1.2, -0.7, 2.0]


# Plain functions, and what Python makes callable
# ---------------------------------------------------------------------


plain("plain_function", rosenbrock, rosenbrock, [-1.2, 1.0, 0.8])
plain(
    "with_args",
    rosenbrock,
    lambda x: rosenbrock(x, 2.0, 10.0),
    [0.3, 0.5, 1.5],
    args=(2.0, 10.0),
)
plain(
    "with_kwargs",
    rosenbrock,
    lambda x: rosenbrock(x, 2.0, 10.0),
    [0.3, 0.5, 1.5],
    kwargs={"b": 10.0, "a": 2.0},
)
plain(
    "functools_partial",
    functools.partial(rosenbrock, a=3.0, b=5.0),
    lambda x: rosenbrock(x, 3.0, 5.0),
    [0.3, 0.5, 1.5],
)


@objective(lambda x: rosenbrock(x, 1.5), [0.3, 0.5, 1.5])
def bound_method(x):
    class Problem:
        def __init__(self, a):
            self.a = a

        def cost(self, x):
            return rosenbrock(x, self.a)

    return Problem(1.5).cost


@objective(smooth, HERE)
def generator_that_is_sent_points(x):
    def run():
        value = None
        while True:
            value = smooth((yield value))

    process = run()
    next(process)
    return process.send


# Functions that remember
# ---------------------------------------------------------------------------------------------


@of_class(smooth, HERE, method="fun")
class MemoThatKeepsX:
    x = None

    def _update(self, x):
        if self.x is None or (x != self.x).any():
            self.x, self.value = x, smooth(x)

    def fun(self, x):
        self._update(x)
        return self.value


@objective(smooth, HERE, needs=("scipy",))
def memoize_jac_of_scipy(x):
    from scipy.optimize._optimize import MemoizeJac

    return MemoizeJac(lambda x: (smooth(x), 2 * x + np.cos(x)))


# Functions that write
# ------------------------------------------------------------------------------------------------


@objective(lambda x: np.exp(x).sum(), HERE)
def buffer_that_is_returned(x):
    total = np.empty(())

    def f(x):
        np.sum(np.exp(x), out=total)
        return total

    return f


@stateless(lambda x: np.sum((x - [1.0, 2.0, 3.0]) ** 4), HERE)
def writes_to_its_argument(x):
    x -= [1.0, 2.0, 3.0]
    x **= 4
    return x.sum()


@of_class(smooth, HERE, method="loss")
class WritesItsArgumentIntoAModel:
    def __init__(self):
        self.theta = np.zeros(3)

    def loss(self, theta):
        self.theta[:] = theta
        return smooth(self.theta)


@of_class(smooth, HERE, method="loss", holds_x=True)
class WritesItsArgumentIntoTheArrayItself:
    def __init__(self, theta):
        self.theta = theta

    def loss(self, theta):
        self.theta[:] = theta
        return smooth(self.theta)


DATA_X = np.random.default_rng(1).standard_normal((12, 2))
DATA_Y = np.random.default_rng(2).standard_normal(12)
LABELS = np.where(DATA_Y > 0, 1.0, -1.0)


def mlp(theta):
    w1, b1, w2 = theta[:4].reshape(2, 2), theta[4:6], theta[6:8]
    return np.mean((np.tanh(DATA_X @ w1 + b1) @ w2 - DATA_Y) ** 2)


WEIGHTS = [0.5, -0.3, 0.8, 0.2, 0.1, -0.2, 0.7, -0.9]


@of_class(mlp, WEIGHTS)
class ParametersThatAreViewsOfTheArgument:
    def __call__(self, flat):
        self.w1, self.b1, self.w2 = flat[:4].reshape(2, 2), flat[4:6], flat[6:8]
        return self.loss()

    def loss(self):
        return np.mean((np.tanh(DATA_X @ self.w1 + self.b1) @ self.w2 - DATA_Y) ** 2)


# Functions that compare with the array they are differentiated at
# ----------------------------------------------------

LOGITS = [0.4, -0.3, 0.9]


@of_class(
    lambda x: (
        np.exp(log_softmax(x)) @ (log_softmax(x) - log_softmax(np.array(LOGITS)))
        + 0.1 * x @ x
    ),
    LOGITS,
    method="loss",
    holds_x=True,
)
class KlAndPenalty:
    def __init__(self, logits):
        self.logits = logits

    def loss(self, logits):
        new, old = log_softmax(logits), log_softmax(self.logits)
        return np.exp(new) @ (new - old) + 0.1 * logits @ logits


# What comes back
# -----------------------------------------------------------------------------------------------------


plain(
    "returns_a_python_float",
    lambda x: math.fsum([*(x * x), *np.sin(x), x[0] * x[-1]]),
    smooth,
    HERE,
)
plain("returns_a_0d_array", lambda x: np.array(smooth(x)), smooth, HERE)


@objective(lambda x: np.exp(x[0]) * np.sin(x[1]), [0.5, 0.7], needs=("sympy",))
def lambdified_by_sympy(x):
    import sympy

    a, b = sympy.symbols("a b")
    compiled = sympy.lambdify([a, b], sympy.exp(a) * sympy.sin(b), "numpy")
    return lambda x: compiled(*x)


plain(
    "returns_a_float32", lambda x: np.float32(smooth(x)), smooth, HERE, is_float32=True
)


@objective(mlp, WEIGHTS, is_float32=True)
def computes_in_float32(x):
    data, targets = DATA_X.astype(np.float32), DATA_Y.astype(np.float32)

    def f(theta):
        theta = theta.astype(np.float32)
        w1, b1, w2 = theta[:4].reshape(2, 2), theta[4:6], theta[6:8]
        return np.mean((np.tanh(data @ w1 + b1) @ w2 - targets) ** 2)

    return f


@stateless(smooth, HERE, needs=("torch",))
def returns_a_tensor(x):
    import torch

    x = torch.from_numpy(x)
    return x @ x + torch.sin(x).sum() + x[0] * x[-1]


@objective(mlp, WEIGHTS, needs=("torch",))
def module_of_torch_filled_from_a_vector(x):
    import torch

    net = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1, bias=False)
    ).double()
    data, targets = torch.from_numpy(DATA_X), torch.from_numpy(DATA_Y)

    @torch.no_grad()
    def f(theta):
        theta = torch.from_numpy(theta)
        state = {
            "0.weight": theta[:4].reshape(2, 2).T,
            "0.bias": theta[4:6],
            "2.weight": theta[6:8][None],
        }
        net.load_state_dict(state)
        return torch.nn.functional.mse_loss(net(data)[:, 0], targets).item()

    return f


# Tables
# --------------------------------------------------------------------------------------------------------------

KNOTS = np.linspace(0.0, 5.0, 6)
HEIGHTS = np.array([0.0, 1.0, 4.0, 2.0, 2.5, 3.0])


@stateless(lambda x: 3.0 * x[0] + (2.0 - (x[1] - 3.0) * -0.5) ** 2, [1.5, 3.5])
def interpolated_table(x):
    return np.interp(x[0], KNOTS, HEIGHTS) + np.interp(x[1], KNOTS, HEIGHTS) ** 2 + 2.0


def cubic(x):
    return np.sum(0.5 * x**3 - x**2 + 2 * x)


@objective(cubic, [1.3, 2.7], needs=("scipy",))
def spline_of_a_table(x):
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(KNOTS, 0.5 * KNOTS**3 - KNOTS**2 + 2 * KNOTS)
    return lambda x: spline(x).sum()


def decay(x, times, values):
    return np.sum((x[0] * np.exp(-x[1] * times) - values) ** 2)


TIMES = np.linspace(0.0, 3.0, 7)
VALUES = 2.1 * np.exp(-0.7 * TIMES) + 0.05 * np.cos(5 * TIMES)


@objective(lambda x: decay(x, TIMES, VALUES), [1.8, 0.9], needs=("pandas",))
def columns_of_a_data_frame(x):
    import pandas as pd

    frame = pd.DataFrame({"time": TIMES, "value": VALUES})

    def f(x):
        frame["model"] = x[0] * np.exp(-x[1] * frame["time"])
        return ((frame["model"] - frame["value"]) ** 2).sum()

    return f


@stateless(lambda x: decay(x, TIMES, VALUES), [1.8, 0.9], needs=("pandas",))
def parameters_in_a_series(x):
    import pandas as pd

    p = pd.Series(x, index=["amplitude", "rate"])
    return np.sum((p.amplitude * np.exp(-p["rate"] * TIMES) - VALUES) ** 2)


# Solvers and quadrature
# ----------------------------------------------------------------------------------------------


@stateless(
    lambda x: decay(x, TIMES, VALUES),
    [1.8, 0.9],
    needs=("scipy",),
    rtol=1e-4,
    own_error=1e-4,
)
def ode_by_solve_ivp(x):
    from scipy.integrate import solve_ivp

    solved = solve_ivp(
        lambda t, y: -x[1] * y, (0, 3), [x[0]], "DOP853", TIMES, rtol=1e-10, atol=1e-12
    )
    return np.sum((solved.y[0] - VALUES) ** 2)


@objective(
    lambda x: x[0] * (np.exp(x[1]) - 1) / x[1],
    [1.5, 0.8],
    needs=("scipy",),
    rtol=1e-6,
    own_error=1e-10,
)
def integral_by_quad(x):
    from scipy.integrate import quad

    return lambda x: quad(lambda t: x[0] * np.exp(x[1] * t), 0, 1)[0]


def root_of_cubic(x):
    y = 1.0
    for _ in range(60):
        y = y - (y**3 + x[0] * y - x[1]) / (3 * y**2 + x[0])
    return y**2 + x[0] * x[1]


@objective(root_of_cubic, [1.5, 2.5], needs=("scipy",), rtol=1e-5, own_error=1e-6)
def root_by_brentq(x):
    from scipy.optimize import brentq

    return lambda x: (
        brentq(lambda y: y**3 + x[0] * y - x[1], 0, 5, xtol=1e-13) ** 2 + x[0] * x[1]
    )


@of_class(root_of_cubic, [1.5, 2.5])
class NewtonThatStartsWhereItEnded:
    y = 1.0

    def __call__(self, x):
        for _ in range(40):
            self.y -= (self.y**3 + x[0] * self.y - x[1]) / (3 * self.y**2 + x[0])
        return self.y**2 + x[0] * x[1]


# Random numbers
# ------------------------------------------------------------------------------------------------------


def monte_carlo(x, z):
    return np.mean(softplus(x[0] + x[1] * z))


@stateless(
    lambda x: monte_carlo(x, np.random.RandomState(0).standard_normal(50)), [0.3, 1.2]
)
def global_seed_inside(x):
    np.random.seed(0)
    return monte_carlo(x, np.random.standard_normal(50))


# Statistics and machine learning
# -------------------------------------------------------------------------------------


@stateless(
    lambda w: (
        np.sum((1 - LABELS * (DATA_X @ w)) ** 2 * (LABELS * (DATA_X @ w) < 1)) + w @ w
    ),
    [0.3, -0.2],
)
def squared_hinge(w):
    return np.sum(np.maximum(0, 1 - LABELS * (DATA_X @ w)) ** 2) + w @ w


def squared_distances():
    return ((DATA_X[:, None] - DATA_X) ** 2).sum(axis=2)


def marginal_likelihood(x):
    k = np.exp(2 * x[1] - squared_distances() / (2 * np.exp(2 * x[0]))) + np.exp(
        2 * x[2]
    ) * np.eye(12)
    return (
        0.5 * DATA_Y @ np.linalg.solve(k, DATA_Y)
        + 0.5 * np.log(np.linalg.det(k))
        + 6 * np.log(2 * np.pi)
    )


@of_class(
    marginal_likelihood, [-0.3, 0.2, -0.8], method="negative_log_marginal_likelihood"
)
class GaussianProcess:
    def __init__(self):
        self.gram = np.empty((12, 12))

    def negative_log_marginal_likelihood(self, theta):
        length, amplitude, noise = np.exp(theta)
        np.multiply(squared_distances(), -0.5 / length**2, out=self.gram)
        np.exp(self.gram, out=self.gram)
        self.gram *= amplitude**2
        self.gram.flat[::13] += noise**2
        self.factor = np.linalg.cholesky(self.gram)
        self.alpha = np.linalg.solve(
            self.factor.T, np.linalg.solve(self.factor, DATA_Y)
        )
        return (
            0.5 * DATA_Y @ self.alpha
            + np.log(np.diag(self.factor)).sum()
            + 6 * np.log(2 * np.pi)
        )


POINTS = np.array([[0.0, 0.1], [1.1, 0.0], [0.4, 1.2]])


def lennard_jones(x):
    p, energy = x.reshape(3, 2), 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        inverse = 1 / ((p[i] - p[j]) ** 2).sum() ** 3
        energy = energy + 4 * (inverse**2 - inverse)
    return energy


plain("energy_of_atoms_in_two_dimensions", lennard_jones, lennard_jones, POINTS)


@stateless(
    lambda x: (
        np.sum((x[0] + x[1] * DATA_X[:, 0] - DATA_Y) ** 2)
        - 1e-2 * (np.log(x[0]) + np.log(2 - x[1]))
    ),
    [0.4, 0.6],
)
def barrier(x):
    with np.errstate(all="ignore"):
        return np.sum((x[0] + x[1] * DATA_X[:, 0] - DATA_Y) ** 2) - 1e-2 * (
            np.log(x[0]) + np.log(2 - x[1])
        )


@objective(lambda x: np.sum(np.exp(0.3 * x) * x), HERE)
def terms_by_a_pool_of_threads(x):
    pool = ThreadPoolExecutor(2)
    return lambda x: sum(pool.map(lambda v: math.exp(0.3 * v) * v, x))


# Functions that return arrays
# ----------------------------------------------------------------------------------------


@stateless_array(
    lambda x: x[0] * np.exp(-x[1] * TIMES) - VALUES, [1.8, 0.9], args=(TIMES, VALUES)
)
def residuals_with_args(x, times, values):
    return x[0] * np.exp(-x[1] * times) - values


@of_class(lambda x: x[0] * np.exp(-x[1] * TIMES) - VALUES, [1.8, 0.9], table=VECTORS)
class ResidualsThatKeepX:
    x = None

    def __call__(self, x):
        if self.x is None or (x != self.x).any():
            self.x, self.r = x, x[0] * np.exp(-x[1] * TIMES) - VALUES
        return self.r


@array_function(lambda x: x[0] * np.exp(-x[1] * TIMES), [1.8, 0.9])
def one_buffer_for_all_results(x):
    out = np.empty(7)

    def f(x):
        np.multiply(x[0], np.exp(-x[1] * TIMES), out=out)
        return out

    return f


plain_array("identity", lambda x: x, lambda x: x, HERE)


@stateless_array(lambda x: np.array([x[0] * x[1], np.sin(x[2]), x[0] ** 2]), HERE)
def list_of_numbers(x):
    return [x[0] * x[1], math.sin(x[2]), float(x[0]) ** 2]


@array_function(
    lambda x: np.array([x[0] * x[1], np.sin(x[2])]), HERE, needs=("pandas",)
)
def series(x):
    import pandas as pd

    return lambda x: pd.Series({"product": x[0] * x[1], "sine": np.sin(x[2])})


@stateless_array(
    lambda x: x[0] * np.exp(-x[1] * TIMES[1:]),
    [1.8, 0.9],
    needs=("scipy",),
    rtol=1e-5,
    own_error=1e-5,
)
def trajectory(x):
    from scipy.integrate import solve_ivp

    solved = solve_ivp(
        lambda t, y: -x[1] * y,
        (0, 3),
        [x[0]],
        "DOP853",
        TIMES[1:],
        rtol=1e-10,
        atol=1e-12,
    )
    return solved.y[0]


@array_function(lambda x: x * np.array(HERE) + np.exp(x), HERE)
def compares_with_the_array(x):
    return lambda new: new * x + np.exp(new)


plain_array(
    "array_of_float32",
    lambda x: log_softmax(x).astype(np.float32),
    lambda x: log_softmax(x),
    LOGITS,
    is_float32=True,
)


@stateless_array(lambda x: x[1:] - x[:-1] ** 2, HERE)
def view_of_its_argument(x):
    x[1:] -= x[:-1] ** 2
    return x[1:]
