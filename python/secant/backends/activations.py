"""What stands behind an affine layer, for NumPy and Numba: all that is known of an activation, and only here.

A shift u of a pre-activation a changes z = f(a) by F(u) = f(a + u) - f(a). With a rate k that is not 0, it solves

    F' = (p + F) (q - F)        p = k sigmoid(k a),  q = k sigmoid(-k a)

p and q are both kept: where one of them is small, k minus the other has lost all digits. With a rate of 0, F is p u, as
far as relu's kink is not reached. Each function takes arrays, and numbers where Numba compiles it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.base import HiddenActivation

_SPLIT = 2.0**27 + 1
"""The product with it leaves the upper half of a number's digits."""


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):  # exp(-x) may be inf; the sigmoid is then 0
        z: Floats = 1 / (1 + np.exp(-x))
    return z


def relu(x: Floats) -> Floats:
    """The larger of x and 0."""
    z: Floats = np.maximum(x, 0)
    return z


def identity(x: Floats) -> Floats:
    """X itself."""
    return x


class Activation(NamedTuple):
    """Its function of arrays; its rate k, 1 of a sigmoid and 2 of tanh; and whether the slope jumps at 0."""

    function: Callable[[Floats], Floats]
    rate: float
    kinked: bool = False


ACTIVATIONS: dict[HiddenActivation, Activation] = {
    "sigmoid": Activation(sigmoid, 1.0),
    "relu": Activation(relu, 0.0, kinked=True),
    "tanh": Activation(np.tanh, 2.0),
    "identity": Activation(identity, 0.0),
}


def state(rate: float, kinked: bool, a: Any) -> Any:
    """f(a), p and q."""
    lit = 1.0 * (a > 0)
    if rate == 0:
        p = np.maximum(lit, 1.0 - kinked)
        return np.maximum(a, 0.0) if kinked else a, p, p
    e = np.exp(-rate * np.abs(a))
    large, small = rate / (1 + e), rate * e / (1 + e)
    p, q = lit * large + (1 - lit) * small, lit * small + (1 - lit) * large
    return p if rate == 1 else np.tanh(a), p, q


def series(rate: float, p: Floats, q: Floats, out: Floats) -> None:
    """The series of F: ``out[m]`` is the coefficient of u^m, for m from 1 to K, and 0 for m = 0."""
    out[:] = 0
    out[1] = p * q if rate else p
    for m in range(1, len(out) - 1 if rate else 0):
        out[m + 1] = (q - p) * out[m]
        for i in range(1, m):
            out[m + 1] -= out[i] * out[m - i]
        out[m + 1] /= m + 1


def change(rate: float, p: Any, q: Any, u: Any, m: Any) -> Any:
    """F(u), given m = expm1(k |u|), which may not overflow: no kink is between."""
    if rate == 0:
        return p * u
    rises = 1.0 * (u > 0)
    return np.copysign(p * q * m / (rate + (rises * p + (1 - rises) * q) * m), u)


@np.errstate(over="ignore")  # what overflows is near
def near_kink(w1: Floats, b1: Floats, x: Floats, a1: Floats, h: float) -> NDArray[np.bool_]:
    """Which of a1 (N, H) a shift by h or by h x may take across 0, or the rounding of a1."""
    rounding = (len(w1) + 2) * 2.0**-52 * (np.abs(x).sum(axis=1) * np.abs(w1).max() + np.abs(b1).max())
    reach = h * np.maximum(1.0, np.abs(x).max(axis=1)) + rounding
    near: NDArray[np.bool_] = np.abs(a1) <= reach[:, np.newaxis]
    return near


def rounded_once(x: Floats, w: Floats, b: float) -> float:
    """The sum b + x w, as if in twice the precision (Ogita, Rump, Oishi: Accurate sum and dot product, 2005)."""
    high, low = b, 0.0
    for i in range(len(x)):
        x_high, w_high = _SPLIT * x[i], _SPLIT * w[i]
        x_high, w_high = x_high - (x_high - x[i]), w_high - (w_high - w[i])
        x_low, w_low = x[i] - x_high, w[i] - w_high
        product = x[i] * w[i]
        low += x_low * w_low - (((product - x_high * w_high) - x_low * w_high) - x_high * w_low)
        total = high + product
        part = total - high
        low += (high - (total - part)) + (product - part)
        high = total
    return high + low if np.isfinite(low) else high  # the halves of a number above 1e300 overflow


def kinked_change(a: float, u: Any) -> Any:
    """F(u) of relu, across its kink too."""
    return np.maximum(u, -a) if a > 0 else np.maximum(a + u, 0.0)


def widest(rate: float, rho: float) -> float:
    """The most that f changes on the complex disc of radius ``rho`` around any real a, relu's without its kink."""
    if rate == 0:
        return rho
    angle = rate * rho / 2
    return float(rate * rate * rho / (4 * np.cos(angle) ** 2)) if 2 * angle < np.pi else np.inf


def steepest(rate: float) -> float:
    """The largest slope."""
    return rate * rate / 4 if rate else 1.0
