"""Patterns of Jacobians: right ones are no error."""

import warnings
import zlib

import numpy as np
from outcome import Outcome

import secant
from secant.errors import ValueRangeError

RIGHT = (
    "A right sparsity pattern is no error, in at least 99.5 % of functions of up to eight rows: badly scaled, noisy, "
    "float32, with large offsets or kinks, or nearly constant."
)
SCHEMES = "central", "forward", "five-point", "auto"
STEP = 1e-4


def noise_of(values) -> float:
    return zlib.crc32(np.ascontiguousarray(values).tobytes()) / 2**32 - 0.5


KINDS = {  # of a row: of z, a weighted sum of its coordinates, of these, of x, and a number
    "linear": lambda z, own, x, p: z,
    "quadratic": lambda z, own, x, p: z + p * (own @ own),
    "sine": lambda z, own, x, p: np.sin(z),
    "fast sine": lambda z, own, x, p: np.sin(30 * p * z),
    "exponential": lambda z, own, x, p: np.exp(3 * p * z),
    "kinks": lambda z, own, x, p: np.maximum(z, 0) + np.abs(own - 1e-2 * p).sum(),
    "float32": lambda z, own, x, p: float(np.float32(np.sin(z))),
    "offset": lambda z, own, x, p: z + 10 ** (8 * p),
    "large offset": lambda z, own, x, p: 1e10 + z,
    "large": lambda z, own, x, p: 1e8 * np.sin(z),
    "small": lambda z, own, x, p: 1e-8 * np.cos(z),
    "nearly constant": lambda z, own, x, p: 1 + 1e-6 * z,
    "product": lambda z, own, x, p: np.prod(own + 2) + z,
    "noisy": lambda z, own, x, p: z * (1 + 1e-8 * noise_of(own)),
    "noise of all": lambda z, own, x, p: z * (1 + 1e-8 * noise_of(x)),
    "distances": lambda z, own, x, p: z + (x - x.mean()).sum() + np.linalg.norm(x / np.linalg.norm(x)),
}


class Rows:
    """f of rows of all kinds, with the pattern that it has."""

    def __init__(self, rng: np.random.Generator):
        m, n = int(rng.integers(2, 9)), int(rng.integers(2, 12))
        self.x = rng.normal(size=n) * (10 ** rng.uniform(-2, 2) if rng.uniform() < 0.2 else 1.0)
        self.kinds = [str(rng.choice(list(KINDS))) for _ in range(m)]
        self.own = [np.sort(rng.choice(n, min(n, int(rng.integers(1, 4))), replace=False)) for _ in range(m)]
        scaled = rng.uniform() < 0.3
        self.weights = [rng.choice([-1, 1], len(own)) * rng.uniform(0.5, 2, len(own)) for own in self.own]
        if scaled:
            self.weights = [w * 10 ** rng.uniform(-3, 3, len(w)) for w in self.weights]
        self.p = rng.uniform(0.3, 1, m)
        self.pattern = np.zeros((m, n), bool)
        for row, own in enumerate(self.own):
            self.pattern[row, own] = True

    def __call__(self, x):
        if x.ndim > 1:
            return np.array([self(point) for point in x])
        rows = zip(self.kinds, self.own, self.weights, self.p, strict=True)
        return np.array([KINDS[k](float(x[own] @ w) / (1 + np.abs(w).max()), x[own], x, p) for k, own, w, p in rows])


def right(trials: int, seed: int) -> Outcome:
    outcome, rng = Outcome(RIGHT, "patterns", allowed={"": 0.005}), np.random.default_rng(seed)
    for number in range(trials):
        f, scheme = Rows(rng), str(rng.choice(SCHEMES, p=(0.5, 0.2, 0.2, 0.1)))
        pattern = f.pattern | (rng.uniform(size=f.pattern.shape) < rng.choice([0, 0.1, 0.5]))
        vectorized, failed = bool(rng.uniform() < 0.2) and scheme != "auto", False
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                secant.numerical_jacobian(f, f.x, STEP, sparsity=pattern, scheme=scheme, vectorized=vectorized)
            except ValueRangeError:
                failed = True
        outcome.add(scheme, failed, example=f"seed {seed}, {number}, {scheme}, {f.kinds}")
        outcome.tried += 1
    return outcome
