"""Functions with exact gradients on which error bars went wrong, or may: each shape in
each setting is a family.
"""

import zlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from families import Case, in_float32


class Shape(NamedTuple):
    """A smooth function of a number, and its derivative."""

    value: Callable
    slope: Callable


SHAPES = {
    "sine": Shape(np.sin, np.cos),
    "exponential": Shape(np.exp, np.exp),
    "tanh": Shape(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "cube": Shape(lambda x: x**3, lambda x: 3 * x**2),
    "bell": Shape(lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2))),
    "logarithm": Shape(lambda x: np.log1p(x**2), lambda x: 2 * x / (1 + x**2)),
    "root": Shape(lambda x: np.sqrt(1 + x**2), lambda x: x / np.sqrt(1 + x**2)),
    "pole": Shape(lambda x: 1 / (0.3 + x**2), lambda x: -2 * x / (0.3 + x**2) ** 2),
}


def plain(shape, rng, n):
    x, c = rng.standard_normal(n), rng.uniform(0.5, 2, n)
    return Case(lambda x: float(c @ shape.value(x)), x, c * shape.slope(x))


def beside(size):
    """Entries of about 1 beside a large one."""

    def beside_a_large_entry(shape, rng, n):
        x = np.r_[size * rng.uniform(0.5, 2), rng.standard_normal(n)]
        return Case(
            lambda x: float(shape.value(x[1:]).sum() + x[0] / size),
            x,
            np.r_[1 / size, shape.slope(x[1:])],
        )

    return beside_a_large_entry


def cast_to(dtype):
    """x is rounded, and what follows is computed in float64."""

    def cast(shape, rng, n):
        x = rng.standard_normal(n)
        return Case(
            lambda x: float(shape.value(x.astype(dtype).astype(np.float64)).sum()),
            x,
            shape.slope(x),
        )

    return cast


def fine_beside_coarse(shape, rng, n):
    """A part that is rounded to some decimals, and a smooth one."""
    digits, x = int(rng.integers(5, 8)), rng.standard_normal(n)
    return Case(
        lambda x: float(np.sum(np.round(shape.value(x), digits) + x**2)),
        x,
        shape.slope(x) + 2 * x,
    )


def small_steps(shape, rng, n):
    """Jumps far apart, of which none is meant."""
    x = rng.standard_normal(n)
    return Case(
        lambda x: float(np.sum(shape.value(x) + 1e-6 * np.floor(50 * x))),
        x,
        shape.slope(x),
    )


def ripples(shape, rng, n):
    """Small and fast, and smooth: so their slope is part of the gradient."""
    size, k, x = (
        10 ** rng.uniform(-9, -7),
        10 ** rng.uniform(3, 4),
        rng.standard_normal(n),
    )
    gradient = shape.slope(x) + size * k * np.cos(k * x)
    return Case(
        lambda x: float(np.sum(shape.value(x) + size * np.sin(k * x))), x, gradient
    )


def of_any_scale(shape, rng, n):
    """Units of all sizes, in x as in f."""
    s, x = 10 ** rng.uniform(-6, 6, n), rng.standard_normal(n)
    return Case(
        lambda x: float(shape.value(s * x).sum()), x / s, s * shape.slope(s * (x / s))
    )


def near_zero(shape, rng, n):
    """x says nothing of the scale of f."""
    x = rng.standard_normal(n) * 10 ** rng.uniform(-12, -3, n)
    return Case(lambda x: float(shape.value(x + 0.7).sum()), x, shape.slope(x + 0.7))


def at_zero(shape, rng, n):
    s, x = 10 ** rng.uniform(-2, 2, n), np.zeros(n)
    return Case(
        lambda x: float(shape.value(s * x + 0.7).sum()), x, s * shape.slope(s * x + 0.7)
    )


def near_a_kink(shape, rng, n):
    x = rng.standard_normal(n)
    at = x + 10 ** rng.uniform(-6, -1, n) * rng.choice([-1, 1], n)
    return Case(
        lambda x: float(np.sum(shape.value(x) + abs(x - at))),
        x,
        shape.slope(x) + np.sign(x - at),
    )


def far_out(shape, rng, n):
    """x is large beside the scale of f: its rounding leaves few digits."""
    x = np.round(rng.standard_normal(n) * 2**10) / 2**10 + 2.0 ** rng.integers(
        10, 37, n
    )
    at = np.round(x)
    return Case(lambda x: float(shape.value(x - at).sum()), x, shape.slope(x - at))


def products(shape, rng, n):
    """Entries that depend on each other."""
    x, w = rng.standard_normal(n), rng.standard_normal((5, n)) / np.sqrt(n)
    return Case(lambda x: float(shape.value(w @ x).sum()), x, w.T @ shape.slope(w @ x))


def at_an_end(shape, rng, n):
    """Some entries lie where the domain of f ends."""
    x = rng.standard_normal(n)
    end = np.where(rng.random(n) < 0.5, x, -np.inf)
    return Case(
        lambda x: float(shape.value(x).sum()) if (x >= end).all() else np.nan,
        x,
        shape.slope(x),
    )


def rounded(case, rng):
    """A result that is rounded to some decimals."""
    digits = int(rng.integers(3, 9))
    return case._replace(f=lambda x: round(case.f(x), digits))


def noisy(case, rng):
    """Noise as the tolerance of an iteration leaves it."""
    level = 10 ** rng.uniform(-11, -5)
    return case._replace(
        f=lambda x: case.f(x) + level * (zlib.crc32(x.tobytes()) / 2**32 - 0.5)
    )


def on_a_constant(case, rng):
    constant = 10 ** rng.uniform(4, 9)
    return case._replace(f=lambda x: case.f(x) + constant)


def result_in(dtype):
    return lambda case, rng: case._replace(f=lambda x: dtype(case.f(x)))


def changed(setting, change):
    """The same functions, whose results are changed."""
    return lambda shape, rng, n: change(setting(shape, rng, n), rng)


SETTINGS = {
    "plain": plain,
    "at an end": at_an_end,
    "rounded at an end": changed(at_an_end, rounded),
    "beside 1e6": beside(1e6),
    "beside 1e12": beside(1e12),
    "of x in float32": cast_to(np.float32),
    "of x in float16": cast_to(np.float16),
    "in float32": changed(plain, result_in(np.float32)),
    "in float16": changed(plain, result_in(np.float16)),
    "rounded": changed(plain, rounded),
    "fine beside coarse": fine_beside_coarse,
    "small steps": small_steps,
    "ripples": ripples,
    "on a constant": changed(plain, on_a_constant),
    "of any scale": of_any_scale,
    "near 0": near_zero,
    "at 0": at_zero,
    "near a kink": near_a_kink,
    "noisy": changed(plain, noisy),
    "far out": far_out,
    "products": products,
}


def sine(frequency=1.0, size=None):
    """At x of order 1, or of a size."""

    def of_x(rng, n):
        x = rng.standard_normal(n) if size is None else size * rng.uniform(0.5, 2, n)
        return Case(
            lambda x: float(np.sin(frequency * x).sum()),
            x,
            frequency * np.cos(frequency * x),
        )

    return of_x


def cancelling_constants(rng, n):
    x = rng.standard_normal(n)
    return Case(lambda x: float(np.sum((x + 1e8) ** 2 - 1e16 - 2e8 * x)), x, 2 * x)


ALONE = {
    "sin(100 x)": sine(1e2),
    "sin(100 x) in float32": lambda rng, n: in_float32(sine(1e2)(rng, n)),
    "sin(1e4 x)": sine(1e4),
    "sin(1e6 x)": sine(1e6),
    "sin at 1e6": sine(size=1e6),
    "sin at 1e9": sine(size=1e9),
    "sin at 1e12": sine(size=1e12),
    "canceling constants": cancelling_constants,
    "constant": lambda rng, n: Case(lambda x: 3.0, rng.standard_normal(n), np.zeros(n)),
}


FUNCTIONS = ALONE | {
    f"{name}, {where}": partial(setting, shape)
    for where, setting in SETTINGS.items()
    for name, shape in SHAPES.items()
}


def curved(shape, rng, n):
    """With a Hessian, in place of a gradient."""
    x, w = rng.standard_normal(n), rng.standard_normal((5, n)) / np.sqrt(n)
    second = np.imag(shape.slope(w @ x + 1e-30j)) / 1e-30
    return Case(lambda x: float(shape.value(w @ x).sum()), x, w.T * second @ w)


def curved_beside_coarse(shape, rng, n):
    f, x, hessian = changed(curved, rounded)(shape, rng, n)
    return Case(lambda x: f(x) + x @ x, x, hessian + 2 * np.eye(n))


CURVED = {
    "plain": curved,
    "rounded": changed(curved, rounded),
    "in float32": changed(curved, result_in(np.float32)),
    "fine beside coarse": curved_beside_coarse,
    "noisy": changed(curved, noisy),
}
