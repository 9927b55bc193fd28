"""The numerical contract: what is promised of each result. docs/contract.md repeats it,
and a test compares the two.
"""

from typing import NamedTuple

import numpy as np

from secant.backends.activations import ACTIVATIONS
from secant.backends.numpy.forward import activated

EPS, EPS32 = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)
SMALLEST_32 = float(np.finfo(np.float32).smallest_subnormal)
LOST_32 = 2.0**13 * SMALLEST_32
"""What may be lost where the change of a loss is subnormal, for shifts of 2^-13 and
more: smaller ones are linear.
"""


class Promise(NamedTuple):
    """A row of the contract, as it stands in docs/contract.md."""

    quantity: str
    bound: str


CONTRACT = (
    Promise("sigmoid, softmax, log in the compiled core", "2 ulp"),
    Promise(
        "predict, loss",
        "1e-14 · max(1, value) for pre-activations of order 1; each adds eps · I · Σ abs(x w)",
    ),
    Promise(
        "direct and series, against the exact central difference D at the same h, 1e-6 to 1e-1",
        "1e-14 · max(1, max abs(x), max abs(z1)) · max(1, abs(D), m), where m is the largest sum of a sample's "
        "targets, or max abs(W2) if that is larger and h max abs(W2) > 1e-3; more where pre-activations cancel, as for "
        "predict",
    ),
    Promise(
        "direct and series, against the book's loop",
        "the loop's own rounding: 8 eps · max(1, loss) / h",
    ),
    Promise(
        "float32 parameters: predict, loss, gradients at any h",
        "16 eps32 · Σ abs(terms), and what changes if pre-activations are off by (number of terms) eps32 · Σ abs(x w)",
    ),
    Promise(
        "results of a repeated call", "bitwise reproducible, for any number of threads"
    ),
    Promise(
        "training, against the book's loop, same seed",
        "losses within 1e-9 over 20 iterations of a small net",
    ),
    Promise(
        "NaN, infinity, wrong shapes and types in what a network is given",
        "an error that names the argument; nothing is changed",
    ),
)

ELEMENTARY_ULP = 2
FORWARD = 1e-14
TRAJECTORY = 1e-9


def central_difference(
    x: np.ndarray, true: np.ndarray | float, mass: float = 1.0
) -> np.ndarray:
    """The largest error of a compiled central difference, absolute, for each component
    of the true one.

    ``mass`` is the largest sum of a sample's targets.
    """
    return (
        1e-14
        * max(1.0, float(np.abs(x).max()))
        * np.maximum(max(1.0, mass), np.abs(true))
    )


SINGLE = EPS32 / EPS
"""How much less exact float32 is: what holds of float64 elsewhere holds times this."""


def single(terms: np.ndarray | float) -> np.ndarray | float:
    """The largest error of a result of float32 parameters, given the sum of the
    absolute terms that make it up.
    """
    return 16 * EPS32 * terms


def absolute_terms(net, x: np.ndarray, t: np.ndarray) -> dict:
    """The sums of absolute terms of a gradient, by backpropagation in which none
    cancels another.
    """
    params = {key: param.astype(np.float64) for key, param in net.params.items()}
    x, t = x.astype(np.float64), np.eye(net.params["b2"].size)[t] if t.ndim == 1 else t
    a1 = x @ params["W1"] + params["b1"]
    activation = ACTIVATIONS[net.hidden_activation]
    z1 = activation.function(a1)
    slope1 = (
        1.0 * (a1 > -1e-3)
        if activation.kinked
        else activated(activation, a1).series(1)[1]
    )
    a2 = z1 @ params["W2"] + params["b2"]
    z2 = 1 / (1 + np.exp(-a2)) if net.output_activation == "sigmoid" else a2
    slope2 = z2 * (1 - z2) if net.output_activation == "sigmoid" else 1.0
    y = np.exp(z2 - z2.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    outputs = slope2 * (t.sum(axis=1, keepdims=True) * y + t) / len(x)
    hidden = slope1 * (outputs @ np.abs(params["W2"]).T)
    return {
        "W1": np.abs(x).T @ hidden,
        "b1": hidden.sum(axis=0),
        "W2": np.abs(z1).T @ outputs,
        "b2": outputs.sum(axis=0),
    }


def single_at_any_scale(net, x: np.ndarray, t: np.ndarray, h: float) -> dict:
    """The largest errors of a gradient of float32 parameters, of any size; with an h of
    0, of the derivative.

    A result is that of pre-activations that are off by what rounding their sums does:
    by so many eps32 of the sum of absolute terms, however much of it cancels. To what
    that does, at most, come 16 eps32 of the absolute terms of the difference itself,
    and what is lost where products are subnormal.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return {
            key: np.nan_to_num(bound, nan=np.inf)
            for key, bound in _at_any_scale(net, x, t, h).items()
        }


def _at_any_scale(net, x: np.ndarray, t: np.ndarray, h: float) -> dict:
    params = {key: param.astype(np.float64) for key, param in net.params.items()}
    w2 = np.abs(params["W2"])
    x, t = x.astype(np.float64), np.eye(len(params["b2"]))[t] if t.ndim == 1 else t
    inputs = np.abs(np.append(x, np.ones((len(x), 1)), axis=1))
    w1 = np.abs(np.vstack([params["W1"], params["b1"]]))
    inner = _Units(
        net.hidden_activation, x @ params["W1"] + params["b1"], inputs @ w1, len(w1)
    )
    z1 = np.append(inner.z, np.ones((len(x), 1)), axis=1)
    z1_off = np.append(inner.z_off, np.zeros((len(x), 1)), axis=1)
    terms = np.abs(z1) @ np.vstack([w2, np.abs(params["b2"])])
    a2 = inner.z @ params["W2"] + params["b2"]
    outer = _Units(net.output_activation, a2, terms, len(w2) + 1, inner.z_off @ w2)
    y = np.exp(outer.z - outer.z.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    mass = t.sum(axis=1, keepdims=True)
    log_y_off = 2 * outer.z_off.max(axis=1, keepdims=True)

    def slopes(moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the loss in each a2 (N, ..., O), its terms and its error, where those are
        shifted by up to ``moved``.
        """
        more = 2 * outer.change(outer.off_like(moved), moved).max(
            axis=-1, keepdims=True
        )
        of_class = [
            np.expand_dims(a, tuple(range(1, moved.ndim - 1)))
            for a in (y, t, mass, log_y_off)
        ]
        p, weight, total, off = of_class
        largest = np.minimum(p * np.exp(more), 1.0)
        slope, slope_off = outer.largest_slope(moved), outer.slope_off(moved)
        terms = total * largest + weight
        error = total * np.minimum(largest * np.expm1(off), 1.0) + weight * np.minimum(
            np.expm1(off), 1.0
        )
        return slope * terms, slope * error + slope_off * terms + SMALLEST_32 * total

    x_h, z_h = h * inputs[:, :, np.newaxis], h * np.abs(z1)[:, :, np.newaxis]
    moved = inner.change(inner.off_like(x_h), x_h)  # (N, I + 1, H)
    rate = inner.largest_slope(x_h * np.ones(w2.shape[0])) * inputs[:, :, np.newaxis]
    terms, error = slopes(moved[..., np.newaxis] * w2)  # (N, I + 1, H, O)
    hidden, hidden_off = ((part * w2).sum(axis=-1) for part in (terms, error))
    rate_off = inner.slope_off(x_h * np.ones(w2.shape[0])) * inputs[:, :, np.newaxis]
    lost = LOST_32 * (
        1
        + inputs[:, :, np.newaxis] * (1 + w2.sum(axis=1))
        + rate * (1 + w2.sum(axis=1))
    )
    w1_bound = (
        rate * (single(hidden) + hidden_off) + rate_off * (hidden + hidden_off) + lost
    ).mean(axis=0)

    # (O, N, H + 1, O), one output at a time
    moved = z_h * np.eye(w2.shape[1])[:, np.newaxis, np.newaxis]
    one_by_one = [slopes(only) for only in moved]
    terms, error = (
        np.stack([part[i][..., k] for k, part in enumerate(one_by_one)], axis=-1)
        for i in (0, 1)
    )
    size, off = np.abs(z1)[:, :, np.newaxis], z1_off[:, :, np.newaxis]
    w2_bound = (
        size * (single(terms) + error) + off * (terms + error) + LOST_32 * (1 + size)
    ).mean(axis=0)
    return {
        "W1": w1_bound[:-1],
        "b1": w1_bound[-1],
        "W2": w2_bound[:-1],
        "b2": w2_bound[-1],
    }


RATES_AND_SLOPES = {
    "sigmoid": (1.0, 0.25),
    "tanh": (2.0, 1.0),
    "relu": (0.0, 1.0),
    "identity": (0.0, 1.0),
}


class _Units:
    """A layer of units with pre-activations ``a`` that are off by rounding sums of
    ``count`` terms, and by ``more``.
    """

    def __init__(
        self,
        name: str,
        a: np.ndarray,
        terms: np.ndarray,
        count: int,
        more: np.ndarray | float = 0.0,
    ):
        self.rate, self.steepest = RATES_AND_SLOPES[name]
        self.off = (count + 1) * (EPS32 * terms + SMALLEST_32) + more
        self.kinked, self.a = name == "relu", a
        small = np.exp(-self.rate * np.abs(a))
        self.log_slope = (
            np.log(4 * self.steepest) - self.rate * np.abs(a) - 2 * np.log1p(small)
            if self.rate
            else 0 * a
        )
        sigmoid = np.where(a > 0, 1, small) / (1 + small)
        self.z = {
            "sigmoid": sigmoid,
            "tanh": np.tanh(a),
            "relu": np.maximum(a, 0),
            "identity": a,
        }[name]
        self.z_off = self.change(0 * a, self.off) + 4 * EPS32 * np.abs(self.z)

    def _wide(self, units: np.ndarray, like: np.ndarray) -> np.ndarray:
        """The array (N, units) with axes between these, as ``like`` has."""
        return np.expand_dims(units, tuple(range(1, like.ndim - 1)))

    def off_like(self, like: np.ndarray) -> np.ndarray:
        """How far a is off, with the axes of ``like``."""
        return self._wide(self.off, like)

    def largest_slope(self, shift: np.ndarray) -> np.ndarray:
        """Of the secants between a and a shifted by up to so much, at most."""
        if self.kinked:
            return 1.0 * (self._wide(self.a + self.off, shift) + shift >= 0)
        return np.minimum(
            np.exp(
                np.minimum(self._wide(self.log_slope, shift) + self.rate * shift, 1)
            ),
            self.steepest,
        )

    def change(self, off: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """The most that z changes when a, which is off by so much, is shifted."""
        return np.minimum(self.largest_slope(off + shift) * shift, self.rate or np.inf)

    def slope_off(self, shift: np.ndarray) -> np.ndarray:
        """How far such a slope is off.

        A derivative at a kink may be that of its other side; differences cross it.
        """
        if not self.rate:
            return 1.0 * (
                self.kinked
                & (shift == 0)
                & (self._wide(np.abs(self.a) - self.off, shift) <= 0)
            )
        off = self.off_like(shift)
        by_little = self.largest_slope(shift) * np.expm1(np.minimum(self.rate * off, 1))
        return np.where(self.rate * off < 1, by_little, self.largest_slope(shift + off))


def plain_loop(loss: float, h: float) -> float:
    """The rounding error of two losses subtracted and divided by 2h: what the plain
    loop itself is good for.
    """
    return 8 * EPS * max(1.0, loss) / h


def wide_range(x: np.ndarray, z1: np.ndarray, w2: np.ndarray, true: float) -> float:
    """The bound of one component for inputs and weights up to 1e6, steps 1e-9 to 10,
    pre-activations up to 1e4.

    The outputs z1 of hidden units are the inputs of the next layer; with relu or the
    identity they may be large, too. To it comes what the rounding of pre-activations
    does, which depends on the network: reliability/sweep.py tries that out.
    """
    largest = max(1.0, float(np.abs(x).max()), float(np.abs(z1).max()))
    return 1e-14 * largest * max(1.0, float(np.abs(w2).max()), abs(true))
