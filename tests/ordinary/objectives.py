"""Objective functions as users of SciPy, PyTorch and scikit-learn write them, with their exact derivatives.

Each entry makes a new f, with fresh state, for the array that will be differentiated: some keep that array. Beside it
stands its formula as a plain function without state, whose complex step is the exact gradient.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """An objective, where it is differentiated, and its formula.

    Attributes
    ----------
    make : callable
        Takes x and returns a new f.
    x : ndarray
    formula : callable
        What f computes, without state, of a complex array too.
    args, kwargs
        Further arguments of f.
    needs : tuple of str
        Packages it cannot do without.
    rtol : float
        By how much of the largest entry a derivative at h = 1e-4 may be off.
    own_error : float
        By how much of it the derivative of what f computes differs from that of its formula: a solver's tolerance.
    is_float32 : bool
        f returns float32: a warning says so, and a check may not verify it.
    """

    make: Callable
    x: np.ndarray
    formula: Callable
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    needs: tuple = ()
    rtol: float = 1e-6
    own_error: float = 0.0
    is_float32: bool = False

    def jacobian(self, x=None):
        """The exact derivatives of all outputs, by complex steps."""
        x = self.x if x is None else x
        columns = []
        for i in range(x.size):
            shifted = x.astype(complex)
            shifted.flat[i] += 1e-30j
            columns.append(np.imag(self.formula(shifted)) / 1e-30)
        return np.moveaxis(np.array(columns), 0, -1).reshape(np.shape(columns[0]) + x.shape)

    def hessian(self):
        """The exact second derivatives, to 12 digits: differences of order 6 of complex steps."""
        h, size = 1e-3, self.x.size
        rows = np.zeros((size, size))
        for i in range(size):
            for shift, weight in ((1, 45), (-1, -45), (2, -9), (-2, 9), (3, 1), (-3, -1)):
                shifted = self.x.copy()
                shifted.flat[i] += shift * h
                rows[i] += weight * self.jacobian(shifted).reshape(-1) / (60 * h)
        return (rows + rows.T) / 2


CASES: dict[str, Case] = {}
VECTORS: dict[str, Case] = {}  # that return arrays


def objective(formula, x, table=CASES, **options: Any):
    """Put what is decorated, which makes an f, into the table under its name."""

    def enter(make):
        assert make.__name__ not in table
        table[make.__name__] = Case(make, np.array(x, dtype=np.float64), formula, **options)
        return make

    return enter


def smooth(x):
    return x @ x + np.sin(x).sum() + x[0] * x[-1]


def rosenbrock(x, a=1.0, b=100.0):
    return np.sum(b * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2)


def softplus(z):
    return np.log1p(np.exp(z))


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


HERE = [1.2, -0.7, 2.0]


# Plain functions, and what Python makes callable ---------------------------------------------------------------------


@objective(rosenbrock, [-1.2, 1.0, 0.8])
def plain_function(x):
    return rosenbrock


@objective(lambda x: rosenbrock(x, 2.0, 10.0), [0.3, 0.5, 1.5], args=(2.0,), kwargs={"b": 10.0})
def with_args_and_kwargs(x):
    return rosenbrock


# Functions that remember ---------------------------------------------------------------------------------------------


@objective(smooth, HERE)
def memo_that_keeps_x(x):
    class Objective:
        x = None

        def _update(self, x):
            if self.x is None or (x != self.x).any():
                self.x, self.value = x, smooth(x)

        def fun(self, x):
            self._update(x)
            return self.value

    return Objective().fun


@objective(smooth, HERE)
def memo_by_identity(x):
    class Objective:
        x = value = None

        def __call__(self, x):
            if x is not self.x:
                self.x, self.value = x, smooth(x)
            return self.value

    return Objective()


@objective(smooth, HERE)
def memo_by_id_in_a_dict(x):
    kept = {}

    def f(x):
        if id(x) not in kept:
            kept[id(x)] = x, smooth(x)
        return kept[id(x)][1]

    return f


@objective(smooth, HERE, needs=("scipy",))
def memoize_jac_of_scipy(x):
    from scipy.optimize._optimize import MemoizeJac

    return MemoizeJac(lambda x: (smooth(x), 2 * x + np.cos(x)))


@objective(smooth, HERE)
def lru_cache_on_bytes(x):
    @functools.cache
    def of_bytes(data):
        return smooth(np.frombuffer(data))

    return lambda x: of_bytes(x.tobytes())


@objective(smooth, HERE)
def history_of_points(x):
    history = []

    def f(x):
        history.append(x)
        return smooth(history[-1])

    return f


@objective(smooth, HERE)
def best_so_far(x):
    class Tracker:
        best_x, best = None, np.inf

        def __call__(self, x):
            value = smooth(x)
            if value < self.best:
                self.best_x, self.best = x, value
            return value

    return Tracker()


@objective(lambda x: np.log(np.linalg.det(np.eye(2) * x[0] + 0.5)) + x[1] ** 2 * x[0], [1.5, 0.4])
def factorization_kept_for_equal_hyperparameters(x):
    class Objective:
        scale = None

        def __call__(self, x):
            if self.scale is None or self.scale != x[0]:
                self.scale, self.factor = x[0], np.linalg.cholesky(np.eye(2) * x[0] + 0.5)
            return 2 * np.log(np.diag(self.factor)).sum() + x[1] ** 2 * x[0]

    return Objective()


# Functions that write ------------------------------------------------------------------------------------------------


@objective(lambda x: np.exp(x).sum(), HERE)
def buffer_for_terms(x):
    class Objective:
        buffer = np.empty(3)

        def __call__(self, x):
            np.exp(x, out=self.buffer)
            return self.buffer.sum()

    return Objective()


@objective(lambda x: np.exp(x).sum(), HERE)
def buffer_that_is_returned(x):
    total = np.empty(())

    def f(x):
        np.sum(np.exp(x), out=total)
        return total

    return f


@objective(lambda x: np.sum((x - [1.0, 2.0, 3.0]) ** 4), HERE)
def writes_to_its_argument(x):
    def f(x):
        x -= [1.0, 2.0, 3.0]
        x **= 4
        return x.sum()

    return f


@objective(smooth, HERE)
def leaves_nan_in_its_argument(x):
    def f(x):
        value = smooth(x)
        x.fill(np.nan)
        return value

    return f


@objective(smooth, HERE)
def writes_its_argument_into_the_array_itself(x):
    class Model:
        def __init__(self, theta):
            self.theta = theta

        def loss(self, theta):
            self.theta[:] = theta
            return smooth(self.theta)

    return Model(x).loss


DATA_X = np.random.default_rng(1).standard_normal((12, 2))
DATA_Y = np.random.default_rng(2).standard_normal(12)


def mlp(theta):
    w1, b1, w2 = theta[:4].reshape(2, 2), theta[4:6], theta[6:8]
    return np.mean((np.tanh(DATA_X @ w1 + b1) @ w2 - DATA_Y) ** 2)


WEIGHTS = [0.5, -0.3, 0.8, 0.2, 0.1, -0.2, 0.7, -0.9]


@objective(mlp, WEIGHTS)
def module_with_parameters(x):
    class Module:
        def __init__(self):
            self.parameters = {"w1": np.zeros((2, 2)), "b1": np.zeros(2), "w2": np.zeros(2)}

        def load(self, flat):
            start = 0
            for array in self.parameters.values():
                array[...] = flat[start : start + array.size].reshape(array.shape)
                start += array.size

        def __call__(self, flat):
            self.load(flat)
            p = self.parameters
            return np.mean((np.tanh(DATA_X @ p["w1"] + p["b1"]) @ p["w2"] - DATA_Y) ** 2)

    return Module()


@objective(mlp, WEIGHTS)
def parameters_that_are_views_of_the_argument(x):
    class Module:
        def __call__(self, flat):
            self.w1, self.b1, self.w2 = flat[:4].reshape(2, 2), flat[4:6], flat[6:8]
            return self.loss()

        def loss(self):
            return np.mean((np.tanh(DATA_X @ self.w1 + self.b1) @ self.w2 - DATA_Y) ** 2)

    return Module()


@objective(mlp, WEIGHTS)
def layers_with_buffers(x):
    hidden, out = np.empty((12, 2)), np.empty(12)

    def f(theta):
        np.matmul(DATA_X, theta[:4].reshape(2, 2), out=hidden)
        np.add(hidden, theta[4:6], out=hidden)
        np.tanh(hidden, out=hidden)
        np.matmul(hidden, theta[6:8], out=out)
        np.subtract(out, DATA_Y, out=out)
        return np.mean(np.square(out, out=out))

    return f


# Functions that compare with the array they are differentiated at ----------------------------------------------------

LOGITS = [0.4, -0.3, 0.9]


@objective(lambda x: np.exp(log_softmax(x)) @ (log_softmax(x) - log_softmax(np.array(LOGITS))) + 0.1 * x @ x, LOGITS)
def kl_and_penalty(x):
    class Policy:
        def __init__(self, logits):
            self.logits = logits

        def loss(self, logits):
            new, old = log_softmax(logits), log_softmax(self.logits)
            return np.exp(new) @ (new - old) + 0.1 * logits @ logits

    return Policy(x).loss


# What comes back -----------------------------------------------------------------------------------------------------


@objective(mlp, WEIGHTS, is_float32=True)
def computes_in_float32(x):
    data, targets = DATA_X.astype(np.float32), DATA_Y.astype(np.float32)

    def f(theta):
        theta = theta.astype(np.float32)
        w1, b1, w2 = theta[:4].reshape(2, 2), theta[4:6], theta[6:8]
        return np.mean((np.tanh(data @ w1 + b1) @ w2 - targets) ** 2)

    return f


@objective(smooth, HERE, needs=("torch",))
def returns_a_tensor(x):
    import torch

    def f(x):
        x = torch.from_numpy(x)
        return x @ x + torch.sin(x).sum() + x[0] * x[-1]

    return f


@objective(mlp, WEIGHTS, needs=("torch",))
def module_of_torch_filled_from_a_vector(x):
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1, bias=False)).double()
    data, targets = torch.from_numpy(DATA_X), torch.from_numpy(DATA_Y)

    @torch.no_grad()
    def f(theta):
        theta = torch.from_numpy(theta)
        state = {"0.weight": theta[:4].reshape(2, 2).T, "0.bias": theta[4:6], "2.weight": theta[6:8][None]}
        net.load_state_dict(state)
        return torch.nn.functional.mse_loss(net(data)[:, 0], targets).item()

    return f


# Tables and files ----------------------------------------------------------------------------------------------------

KNOTS = np.linspace(0.0, 5.0, 6)
HEIGHTS = np.array([0.0, 1.0, 4.0, 2.0, 2.5, 3.0])


@objective(lambda x: 3.0 * x[0] + (2.0 - (x[1] - 3.0) * -0.5) ** 2, [1.5, 3.5])
def interpolated_table(x):
    return lambda x: np.interp(x[0], KNOTS, HEIGHTS) + np.interp(x[1], KNOTS, HEIGHTS) ** 2 + 2.0


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


# Solvers and quadrature ----------------------------------------------------------------------------------------------


@objective(lambda x: decay(x, TIMES, VALUES), [1.8, 0.9], needs=("scipy",), rtol=1e-4, own_error=1e-4)
def ode_by_solve_ivp(x):
    from scipy.integrate import solve_ivp

    def f(x):
        solved = solve_ivp(lambda t, y: -x[1] * y, (0, 3), [x[0]], "DOP853", TIMES, rtol=1e-10, atol=1e-12)
        return np.sum((solved.y[0] - VALUES) ** 2)

    return f


def root_of_cubic(x):
    y = 1.0
    for _ in range(60):
        y = y - (y**3 + x[0] * y - x[1]) / (3 * y**2 + x[0])
    return y**2 + x[0] * x[1]


@objective(root_of_cubic, [1.5, 2.5], needs=("scipy",), rtol=1e-5, own_error=1e-6)
def root_by_brentq(x):
    from scipy.optimize import brentq

    return lambda x: brentq(lambda y: y**3 + x[0] * y - x[1], 0, 5, xtol=1e-13) ** 2 + x[0] * x[1]


@objective(root_of_cubic, [1.5, 2.5])
def newton_that_starts_where_it_ended(x):
    class Solver:
        y = 1.0

        def __call__(self, x):
            for _ in range(40):
                self.y -= (self.y**3 + x[0] * self.y - x[1]) / (3 * self.y**2 + x[0])
            return self.y**2 + x[0] * x[1]

    return Solver()


# Random numbers ------------------------------------------------------------------------------------------------------


def monte_carlo(x, z):
    return np.mean(softplus(x[0] + x[1] * z))


DRAWS = np.random.default_rng(7).standard_normal(50)


@objective(lambda x: monte_carlo(x, DRAWS), [0.3, 1.2])
def generator_seeded_inside(x):
    return lambda x: monte_carlo(x, np.random.default_rng(7).standard_normal(50))


# Statistics and machine learning -------------------------------------------------------------------------------------


POINTS = np.array([[0.0, 0.1], [1.1, 0.0], [0.4, 1.2]])


def lennard_jones(x):
    p, energy = x.reshape(3, 2), 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        inverse = 1 / ((p[i] - p[j]) ** 2).sum() ** 3
        energy = energy + 4 * (inverse**2 - inverse)
    return energy


@objective(lennard_jones, POINTS)
def energy_of_atoms_in_two_dimensions(x):
    return lennard_jones


# Functions that return arrays ----------------------------------------------------------------------------------------

array_function = functools.partial(objective, table=VECTORS)


@array_function(lambda x: x[0] * np.exp(-x[1] * TIMES) - VALUES, [1.8, 0.9])
def residuals(x):
    return lambda x: x[0] * np.exp(-x[1] * TIMES) - VALUES


@array_function(lambda x: x[0] * np.exp(-x[1] * TIMES) - VALUES, [1.8, 0.9])
def residuals_that_keep_x(x):
    class Residuals:
        x = None

        def __call__(self, x):
            if self.x is None or (x != self.x).any():
                self.x, self.r = x, x[0] * np.exp(-x[1] * TIMES) - VALUES
            return self.r

    return Residuals()


@array_function(lambda x: x[0] * np.exp(-x[1] * TIMES), [1.8, 0.9])
def one_buffer_for_all_results(x):
    out = np.empty(7)

    def f(x):
        np.multiply(x[0], np.exp(-x[1] * TIMES), out=out)
        return out

    return f


@array_function(lambda x: x, HERE)
def identity(x):
    return lambda x: x


@array_function(lambda x: x[1:] - x[:-1] ** 2, HERE)
def view_of_its_argument(x):
    def f(x):
        x[1:] -= x[:-1] ** 2
        return x[1:]

    return f


@array_function(lambda x: np.array([x[0] * x[1], np.sin(x[2]), x[0] ** 2]), HERE)
def list_of_numbers(x):
    return lambda x: [x[0] * x[1], math.sin(x[2]), float(x[0]) ** 2]


@array_function(lambda x: np.tanh(DATA_X[:4] @ x.reshape(2, 2)), [[0.5, -0.3], [0.8, 0.2]])
def layer(x):
    class Layer:
        def __init__(self, weight):
            self.weight = weight

        def forward(self, weight):
            self.weight[:] = weight
            return np.tanh(DATA_X[:4] @ self.weight)

    return Layer(x).forward


@array_function(lambda x: x * np.array(HERE) + np.exp(x), HERE)
def compares_with_the_array(x):
    return lambda new: new * x + np.exp(new)


@array_function(lambda x: log_softmax(x), LOGITS, is_float32=True)
def array_of_float32(x):
    return lambda x: log_softmax(x).astype(np.float32)
