"""Patterns of Jacobians: wrong ones are an error or a warning, and right ones are neither."""

import warnings
import zlib

import numpy as np
from outcome import Outcome

import secant
from secant.errors import SecantError

WRONG = (
    "A sparsity pattern that leaves out an entry is an error, or a warning that names a row which cannot be told, "
    "whatever other rows are. An entry that is lost in the rounding of its row in the dense Jacobian does not count."
)
RIGHT = (
    "A right sparsity pattern is no error: of rows that are badly scaled, noisy, kinked, float32, with large offsets "
    "or nearly constant. Nor is there a warning, except for noise that depends on all of x."
)
SCHEMES = "central", "forward", "five-point", "auto"
STEP = 1e-4
EPS = float(np.finfo(float).eps)


def noise_of(values) -> float:
    return zlib.crc32(np.ascontiguousarray(values).tobytes()) / 2**32 - 0.5


class Kind:
    """A row: how it is made of z, a weighted sum of its coordinates, and of them; and its noise as a share of it."""

    def __init__(self, value, noise=0.0):
        self.value, self.noise = value, noise


KINDS = {
    "linear": Kind(lambda z, own, x, p: z),
    "quadratic": Kind(lambda z, own, x, p: z + p * (own @ own)),
    "sine": Kind(lambda z, own, x, p: np.sin(z)),
    "fast sine": Kind(lambda z, own, x, p: np.sin(300 * p * z)),
    "exponential": Kind(lambda z, own, x, p: np.exp(3 * p * z)),
    "pole": Kind(lambda z, own, x, p: 1 / (z + 0.003 * p)),
    "kinks": Kind(lambda z, own, x, p: np.maximum(z, 0) + np.abs(own - 1e-4 * p).sum()),
    "kinks at x": Kind(lambda z, own, x, p: np.abs(own - np.round(own, 2)).sum() + z),
    "steps": Kind(lambda z, own, x, p: np.floor(50 * z) + z),
    "float32": Kind(lambda z, own, x, p: float(np.float32(np.sin(z))), 2.0**-24),
    "offset": Kind(lambda z, own, x, p: z + 10 ** (8 * p)),
    "large offset": Kind(lambda z, own, x, p: 1e10 + z),
    "large": Kind(lambda z, own, x, p: 1e8 * np.sin(z)),
    "small": Kind(lambda z, own, x, p: 1e-8 * np.cos(z)),
    "nearly constant": Kind(lambda z, own, x, p: 1 + 1e-6 * z),
    "product": Kind(lambda z, own, x, p: np.prod(own + 2) + z),
    "noisy": Kind(lambda z, own, x, p: z * (1 + 1e-8 * noise_of(own)), 1e-8),
    "noise of all": Kind(lambda z, own, x, p: z * (1 + 1e-8 * noise_of(x)), 1e-8),
    "much noise of all": Kind(lambda z, own, x, p: z + 0.1 * noise_of(x), 1e-1),
    "distances": Kind(lambda z, own, x, p: z + (x - x.mean()).sum() + np.linalg.norm(x / np.linalg.norm(x)), 4 * EPS),
}
TELLS = tuple(name for name in KINDS if name != "much noise of all")


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
        return np.array(
            [KINDS[k].value(float(x[own] @ w) / (1 + np.abs(w).max()), x[own], x, p) for k, own, w, p in rows]
        )


def called(f, pattern, scheme, vectorized):
    """What is returned, or None if there was an error; and whether a warning said that a row cannot be told."""
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            found = secant.numerical_jacobian(f, f.x, STEP, sparsity=pattern, scheme=scheme, vectorized=vectorized)
        except SecantError as error:
            if "sparsity must not have 0" not in str(error):
                raise
            return None, False
    return found, any("sparsity" in str(warning.message) for warning in said)


def wrong(trials: int, seed: int) -> Outcome:
    outcome, rng = Outcome(WRONG, "patterns"), np.random.default_rng(seed)
    while outcome.tried < trials:
        f, scheme = Rows(rng), str(rng.choice(SCHEMES, p=(0.5, 0.2, 0.2, 0.1)))
        row = int(rng.integers(len(f.kinds)))
        column = int(rng.choice(f.own[row]))
        pattern = f.pattern.copy()
        pattern[row, column] = False
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # h may be larger than a row allows
            dense = secant.numerical_jacobian(f, f.x, STEP, scheme="central" if scheme == "auto" else scheme)
            size = float(np.abs(f(f.x)[row]))
        kind = f.kinds[row]
        lost = 100 * max(KINDS[kind].noise, EPS) * max(size, 1.0) / STEP
        if not abs(dense[row, column]) > lost:
            continue
        vectorized = bool(rng.uniform() < 0.2) and scheme != "auto"
        found, said = called(f, pattern, scheme, vectorized)
        outcome.add(
            f"row that is wrong: {kind}",
            found is not None and not said,
            example=f"seed {seed}, {outcome.tried}, {scheme}, {f.kinds}, {row}",
        )
        outcome.tried += 1
    return outcome


def right(trials: int, seed: int) -> Outcome:
    outcome, rng = Outcome(RIGHT, "patterns"), np.random.default_rng(seed)
    for number in range(trials):
        f, scheme = Rows(rng), str(rng.choice(SCHEMES, p=(0.5, 0.2, 0.2, 0.1)))
        pattern = f.pattern | (rng.uniform(size=f.pattern.shape) < rng.choice([0, 0.1, 0.5]))
        found, said = called(f, pattern, scheme, bool(rng.uniform() < 0.2) and scheme != "auto")
        failed = found is None or (said and set(f.kinds) <= set(TELLS) - {"noise of all"})
        outcome.add(scheme, failed, example=f"seed {seed}, {number}, {scheme}, {f.kinds}")
        outcome.tried += 1
    return outcome
