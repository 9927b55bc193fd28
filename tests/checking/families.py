"""Functions with exact gradients, on which gradient checks went wrong once: mixed
scales, kinks, noise, float32.
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from secant.checking.point import Value


class Case(NamedTuple):
    """A function, a point, and the exact gradient there, rounded to float64."""

    f: Callable
    x: np.ndarray
    gradient: np.ndarray


def quadratic(rng, n):
    a, x = 10 ** rng.uniform(-3, 3, n), rng.standard_normal(n)
    return Case(lambda x: float(np.sum(a * x * x)) / 2, x, a * x)


def rosenbrock(rng, n, constant=0.0):
    x = rng.standard_normal(n := max(n, 2))
    d, g = x[1:] - x[:-1] ** 2, np.zeros(n)
    g[1:] += 200 * d
    g[:-1] -= 400 * d * x[:-1] + 2 * (1 - x[:-1])
    return Case(
        lambda x: (
            constant
            + float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
        ),
        x,
        g,
    )


def rosenbrock_on_a_hill(rng, n):
    return rosenbrock(rng, n, 1e6)


def logistic_regression(rng, n):
    x, y = (
        rng.standard_normal((40, n)) * 10 ** rng.uniform(-2, 2, n),
        rng.choice([-1, 1], 40),
    )
    w = rng.standard_normal(n) / np.sqrt(n) / 10 ** rng.uniform(-1, 1)
    p = np.exp(-np.logaddexp(0, y * (x @ w)))
    return Case(
        lambda w: float(np.mean(np.logaddexp(0, -y * (x @ w)))),
        w,
        -(x.T @ (y * p)) / 40,
    )


def exponentials(rng, n):
    c, x = rng.uniform(-2, 2, n), rng.standard_normal(n)
    return Case(lambda x: float(np.sum(np.exp(c * x))), x, c * np.exp(c * x))


def fast_sine(rng, n):
    k, x = 10 ** rng.uniform(0, 2), rng.standard_normal(n)
    return Case(lambda x: float(np.sum(np.sin(k * x))), x, k * np.cos(k * x))


def solver(rng, n):
    """Noise of 1e-8, as the tolerance of an iteration leaves it."""
    c, x = rng.uniform(0.5, 2, n), rng.standard_normal(n)

    def f(x):
        noise = zlib.crc32(x.tobytes()) / 2**32 - 0.5
        return float(np.sum(c * x * x) + np.sum(np.cos(x))) * (1 + 1e-8 * noise)

    return Case(f, x, 2 * c * x - np.sin(x))


def kinks(rng, n, power=1):
    """A sum of ReLUs, or of their squares."""
    m = int(rng.choice([3, 30, 300] if n <= 10_000 else [3, 30]))
    w, b, u, x = (
        rng.standard_normal((m, n)),
        rng.standard_normal(m) / 2,
        rng.standard_normal(m),
        rng.standard_normal(n),
    )
    a = np.maximum(w @ x + b, 0)
    g = w.T @ (u * (a > 0) * (1 if power == 1 else 2 * a))
    return Case(lambda x: float(u @ np.maximum(w @ x + b, 0) ** power), x, g)


def squared_kinks(rng, n):
    return kinks(rng, n, 2)


def on_a_kink(rng, n):
    """Some units are exactly at their kink; the gradient takes the slope 0 there, as
    frameworks do.
    """
    m = 20
    w, u, x = (
        rng.standard_normal((m, n)),
        rng.standard_normal(m),
        rng.standard_normal(n),
    )
    b = np.where(np.arange(m) < 4, -(w @ x), rng.standard_normal(m))
    a = w @ x + b
    a[:4] = 0

    def f(there):
        return float(u @ np.maximum(w @ (there - x) + a, 0))

    return Case(f, x, w.T @ (u * (a > 0)))


def relu_network(rng, n, kinks=False):
    """Cross entropy of a ReLU network in its parameters, of about n; with ``kinks``
    units of empty samples are at 0.

    Empty samples are those of padding: with biases of 0 the units have 0 there, and the
    gradient takes the slope 0.
    """
    inputs, outputs, samples = (
        int(rng.integers(1, 30)),
        int(rng.integers(2, 11)),
        int(rng.integers(2, 20)),
    )
    hidden = max((n - outputs) // (inputs + 1 + outputs), 1)
    shapes = (inputs, hidden), (hidden,), (hidden, outputs), (outputs,)
    data, t = rng.standard_normal((samples, inputs)), rng.integers(0, outputs, samples)
    start = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in shapes]
    if kinks:
        data[: rng.integers(1, samples + 1)] = 0
        start[1][rng.permutation(hidden)[: rng.integers(1, hidden + 1)]] = 0
    ends = np.cumsum([array.size for array in start])[:-1]

    def parts(x):
        return [
            part.reshape(shape)
            for part, shape in zip(np.split(x, ends), shapes, strict=True)
        ]

    def forward(x):
        w1, b1, w2, b2 = parts(x)
        z = np.maximum(data @ w1 + b1, 0)
        a = z @ w2 + b2
        return z, a - np.logaddexp.reduce(a, axis=1, keepdims=True)

    x, rows = np.concatenate([array.ravel() for array in start]), np.arange(samples)
    z, y = forward(x)
    d2 = np.exp(y)
    d2[rows, t] -= 1
    d2 /= samples
    d1 = d2 @ start[2].T * (z > 0)
    gradient = np.concatenate(
        [(data.T @ d1).ravel(), d1.sum(0), (z.T @ d2).ravel(), d2.sum(0)]
    )
    return Case(lambda x: -float(forward(x)[1][rows, t].mean()), x, gradient)


def in_float32(case):
    """The same function, rounded to float32."""
    return Case(lambda x: np.float32(case.f(x)), case.x, case.gradient)


FAMILIES = {
    family.__name__: family
    for family in (
        quadratic,
        rosenbrock,
        rosenbrock_on_a_hill,
        logistic_regression,
        exponentials,
        fast_sine,
        solver,
        kinks,
        squared_kinks,
    )
}


def rounded_part(rng, n):
    """A part that is rounded to some decimals, and a smooth one."""
    digits, x = int(rng.integers(5, 8)), rng.standard_normal(n)
    return Case(
        lambda x: float(np.sum(np.round(np.exp(x), digits) + x**2)),
        x,
        np.exp(x) + 2 * x,
    )


def decay_in_float64(rng, n):
    """A network in float32, and a weight decay that is added in float64."""
    hidden = max(n // 6, 1)
    w1, w2 = rng.standard_normal((5, hidden)) / 2, rng.standard_normal(hidden)
    data, decay = rng.standard_normal((10, 5)), 10 ** rng.uniform(-3, -1)
    x = np.concatenate([w1.ravel(), w2])

    def model(x, dtype):
        w1, w2 = (
            x[: 5 * hidden].reshape(5, hidden).astype(dtype),
            x[5 * hidden :].astype(dtype),
        )
        z = np.tanh(data.astype(dtype) @ w1)
        return z, w2, z @ w2

    z, w2, y = model(x, np.float64)
    slope = np.outer(y / 10, w2) * (1 - z**2)
    gradient = np.concatenate([(data.T @ slope).ravel(), z.T @ y / 10]) + 2 * decay * x
    return Case(
        lambda x: (
            float((model(x, np.float32)[2] ** 2).mean() / 2) + decay * float(x @ x)
        ),
        x,
        gradient,
    )


def terms_of_different_size(rng, n):
    """Outputs in float32, of 1 and of the size of x, that are summed in float64 as
    `check_vjp` does.
    """
    x = rng.uniform(1, 2, n) * rng.choice([-1, 1], n) * 10 ** rng.uniform(-5, -2)
    c, d = (rng.uniform(0.5, 1.5, n) * rng.choice([-1, 1], n) for _ in range(2))
    coarse, fine, slopes = [
        (np.cosh, np.sinh, lambda x: c * np.sinh(x) + d * np.cosh(x)),
        (lambda x: 1 + x, lambda x: x, lambda x: c + d),
    ][rng.integers(2)]

    def f(x):
        x = x.astype(np.float32)
        terms = np.concatenate(
            [c * coarse(x).astype(np.float64), d * fine(x).astype(np.float64)]
        )
        return Value(float(terms.sum()), 2.0**-24 * float(np.linalg.norm(terms)))

    x = x.astype(np.float32).astype(np.float64)
    return Case(f, x, slopes(x))


def badly_scaled(rng, n):
    """A quadratic in variables of all sizes."""
    s = 10 ** rng.uniform(-3, 3, n)
    x = rng.standard_normal(n) / s
    return Case(lambda x: float(np.sum((s * x) ** 2)) / 2, x, s * s * x)


def wide_array(rng, n):
    """Entries of all sizes, each of which matters as much as the others."""
    s = 10 ** rng.uniform(-6, 6, max(n, 3)) * rng.choice([-1, 1], max(n, 3))
    return Case(lambda x: float(np.sum((x / s) ** 3)), s.copy(), 3 / s)


def beside_a_large_entry(rng, n):
    x, large = rng.standard_normal(n), 10 ** rng.uniform(4, 11)
    f, slope = [
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
        (np.sin, np.cos),
        (lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2))),
    ][rng.integers(3)]
    return Case(
        lambda x: float(f(x[1:]).sum() + x[0] / large),
        np.r_[large, x],
        np.r_[1 / large, slope(x)],
    )


def near_the_end_of_a_domain(rng, n):
    """Logarithms, arcs and powers at numbers that are close to where they end; f is
    NaN, or raises.
    """
    gap = 10 ** rng.uniform(-6, -1, n)
    f, x, slope = [
        (np.log, gap, lambda x: 1 / x),
        (lambda x: np.sqrt(1 - x**2), 1 - gap, lambda x: -x / np.sqrt(1 - x**2)),
        (lambda x: x**1.5, gap, lambda x: 1.5 * x**0.5),
    ][rng.integers(3)]
    raises = rng.integers(2)

    def value(x):
        result = float(f(x).sum())
        if raises and np.isnan(result):
            raise RuntimeError("outside of the domain")
        return result

    return Case(value, x, slope(x))


def at_the_end_of_a_domain(rng, n):
    """Powers of entries of which one is 0."""
    x, power = rng.uniform(0.5, 2, n + 1), rng.choice([1.5, 2.5, 3.5])
    x[0] = 0
    return Case(lambda x: float((x**power).sum()), x, power * x ** (power - 1))


HARD = {
    family.__name__: family
    for family in (
        rounded_part,
        decay_in_float64,
        terms_of_different_size,
        badly_scaled,
        wide_array,
        beside_a_large_entry,
        near_the_end_of_a_domain,
        at_the_end_of_a_domain,
    )
}


def saturated(rng, n):
    """Sigmoids or a softmax in float32, flat to their last digit; random signs, as in
    `check_vjp`.
    """
    x, c = rng.standard_normal(n), rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n)
    if rng.integers(2):
        x = rng.uniform(8, 20, n) * rng.choice([-1, 1], n)

        def outputs(x):
            return 1 / (1 + np.exp(-x))

        def slope(y):
            return c * y * (1 - y)

    else:
        x[0] += rng.uniform(8, 25)

        def outputs(x):
            y = np.exp(x - x.max())
            return y / y.sum()

        def slope(y):
            return y * (c - c @ y)

    x = x.astype(np.float32)

    def f(x):
        terms = c * outputs(x.astype(np.float32)).astype(np.float64)
        return Value(float(terms.sum()), 2.0**-24 * float(np.linalg.norm(terms)))

    return Case(f, x.astype(np.float64), slope(outputs(x.astype(np.float64))))


def rounded_to_decimals(rng, n):
    """A function that rises in steps: its gradient is 0, or that across the steps,
    where they are small beside x.
    """
    x = rng.uniform(0.5, 1.2, n) * rng.choice([-1, 1], n)
    return Case(
        lambda x: float(np.round(np.sin(x), 3).sum()), x, np.cos(x) * rng.integers(2)
    )


def all_entries_on_kinks(rng, n):
    """ReLUs and absolute values at 0; the gradient is one of the slopes of both sides,
    or between them.
    """
    low, high, x = rng.integers(-1, 1), 1, np.zeros(n)
    shares = [rng.uniform(0, 1, n), np.zeros(n), np.ones(n)][rng.integers(3)]
    return Case(
        lambda x: float(np.where(x > 0, high * x, low * x).sum()),
        x,
        low + (high - low) * shares,
    )


def nearly_indefinite(rng, n):
    """The logarithm of the determinant of a matrix that is hardly positive definite:
    its decomposition may fail.
    """
    size = min(max(int(n**0.5), 2), 10)
    q = np.linalg.qr(rng.standard_normal((size, size)))[0]
    matrix = (q * np.r_[10 ** rng.uniform(-3, -1), rng.uniform(1, 3, size - 1)]) @ q.T

    def f(x):
        matrix = x.reshape(size, size)
        return 2 * float(
            np.log(np.diag(np.linalg.cholesky((matrix + matrix.T) / 2))).sum()
        )

    return Case(f, matrix.ravel(), np.linalg.inv((matrix + matrix.T) / 2).ravel())


FLAT = {
    family.__name__: family
    for family in (
        saturated,
        rounded_to_decimals,
        all_entries_on_kinks,
        nearly_indefinite,
    )
}
