"""Functions of stacks of points that are right are not refused."""

import zlib

import numpy as np
from outcome import Outcome

import secant
from secant.errors import SecantError

APART = (
    "A function that returns the value of each point of a stack by itself is not refused with `vectorized=True`: badly "
    "scaled, noisy, kinked, float32, with large offsets, nearly constant, or at the edge of its domain."
)
SIZES = 1, 2, 3, 10, 40, 200, 1000, 5000
SCHEMES = "central", "forward", "five-point", "auto"


def noisy(rng, n):
    """Noise of 1e-8, as the tolerance of an iteration leaves it, of the same bits for the same point."""
    g = squares(rng, n)
    return lambda s: (
        g(s) * (1 + 1e-8 * np.array([zlib.crc32(np.ascontiguousarray(row).tobytes()) / 2**32 for row in s]))
    )


def squares(rng, n):
    a = 10 ** rng.uniform(-2, 2, n)
    return lambda s: (s * s * a).sum(-1)


def product(rng, n):
    """Products of matrices, whose last bits depend on the size of the stack."""
    w, u = rng.standard_normal((n, 30)), rng.standard_normal(30)
    return lambda s: np.tanh(s @ w) @ u


def kinked(rng, n):
    w, b = rng.standard_normal((n, 20)), rng.standard_normal(20)
    return lambda s: np.maximum(s @ w + b, 0).sum(-1) + s.sum(-1)


def single(rng, n):
    w, u = rng.standard_normal((n, 30)).astype(np.float32), rng.standard_normal(30).astype(np.float32)
    return lambda s: (np.tanh(s.astype(np.float32) @ w) @ u).astype(np.float64)


def logarithms(rng, n):
    return lambda s: np.log(s).sum(-1) + s.sum(-1)


def edge(rng, n):
    return lambda s: np.sqrt(1.01 - s / 4).sum(-1)


def canceling(rng, n):
    """Distances from far away, by large squares that cancel."""
    c = 1e3 * rng.standard_normal(n)
    return lambda s: (s * s).sum(-1) - 2 * s @ c + c @ c


def raising(rng, n):
    """No number outside of its domain, but an error."""

    def f(s):
        if (np.abs(s) > 4.001).any():
            raise FloatingPointError("outside")
        return np.exp(s / 2).sum(-1)

    return f


def offset(rng, n):
    g, large = product(rng, n), 10 ** rng.uniform(2, 6)
    return lambda s: g(s) + large


def slight(rng, n):
    g, small = squares(rng, n), 10 ** rng.uniform(-6, -2)
    return lambda s: 1 + small * g(s)


def last(rng, n):
    """The first coordinates do not matter: many points have the same value."""
    return lambda s: np.sin(3 * s[:, -1])


def covariance(rng, n):
    """Of each point, through einsum and a solver of small systems."""
    a = rng.standard_normal((n, 3, 3)) / np.sqrt(n)
    return lambda s: np.linalg.slogdet(np.einsum("pi,ijk->pjk", s, a) + 10 * np.eye(3))[1]


FAMILIES = {
    f.__name__: f
    for f in (squares, product, kinked, noisy, single, logarithms, edge, canceling, raising, offset, slight, last)
} | {"covariance": covariance}


def start(rng, n):
    """Positive, of 0.1 to 4, for all families; of stacks of the size n."""
    return rng.uniform(0.1, 4, n)


def apart(trials: int, seed: int) -> Outcome:
    outcome, rng = Outcome(APART, "functions"), np.random.default_rng(seed)
    for number in range(trials):
        family = list(FAMILIES)[number % len(FAMILIES)]
        n = int(rng.choice(SIZES))
        f, x = FAMILIES[family](rng, n), start(rng, n)
        scheme = _scheme(rng, family, n)
        outcome.add(family, _refused(f, x, scheme), example=f"seed {seed}, {number}: {n} coordinates, {scheme}")
        outcome.tried += 1
    return outcome


def _scheme(rng, family, n) -> str:
    """Not "auto" where it takes long, or its steps leave the domain."""
    far = n < 1000 and family not in ("edge", "raising", "logarithms")
    return str(rng.choice(SCHEMES, p=(0.6, 0.2, 0.1, 0.1) if far else (0.7, 0.2, 0.1, 0)))


def _refused(f, x, scheme) -> bool:
    with np.errstate(all="ignore"):
        try:
            secant.numerical_gradient(f, x, scheme=scheme, vectorized=True)
        except SecantError as error:
            return "the value of each point by itself" in str(error)
    return False
