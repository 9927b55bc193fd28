"""The activations after an affine layer: all that Python knows of them stands here.

To add a hidden activation, write its entry in `ACTIVATIONS` and its name in
`HiddenActivation`; and for the compiled core its policy in ``network/activations.hpp``.
If neither family fits, write one here. Tests go over all entries. Until
``numba/kernels.py`` has the family too, the method "direct" is slow there.

A shift u of a pre-activation a changes z = f(a) by F(u) = f(a + u) - f(a). Two numbers
p and q, kept from the forward pass, determine F.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats

HiddenActivation = Literal["sigmoid", "relu", "tanh", "identity"]
OutputActivation = Literal["sigmoid", "identity"]


class Family(NamedTuple):
    """How functions of one kind change, given the rate of one of them.

    These take arrays.
    """

    state: Callable[[float, bool, Any], tuple[Any, Any, Any]]
    """Of the rate, of whether it is kinked, and of a: f(a), p and q.

    The slope is 0 where p is.
    """
    series: Callable[[float, Any, Any, Floats], None]
    """Of rate, p, q and out: ``out[m]`` becomes the coefficient of u^m in F, for m from
    1 to K, and 0 for m = 0.
    """
    change: Callable[[float, Any, Any, Any, Any], Any]
    """F(u) of rate, p, q, u and m = expm1(rate |u|), which may not overflow: no kink is
    between.
    """


class Activation(NamedTuple):
    """A function f."""

    formula: str
    """f(a), for people, and for the oracle of the tests, which evaluates it in 50
    digits.
    """
    in_words: str
    """What then stands between the layers."""
    function: Callable[[Floats], Floats]
    """f of arrays."""
    family: Family
    rate: float
    steepest: float
    """The largest slope."""
    largest_change: Callable[[float], float]
    """The most that f changes on the complex disc of radius rho around any real a,
    relu's without its kink.
    """
    bounded: bool = False
    """Whether |f| <= 1."""
    kinked: bool = False
    """Whether it is relu, whose slope jumps at 0: see `near_kink`."""


# ---- sigmoids of rate k:  F' = (p + F) (q - F),  p = k sigmoid(k a),  q = k sigmoid(-k
# a) p and q are both kept: where one of them is small, k minus the other has lost all
# digits.


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):  # exp(-x) may be inf; the sigmoid is then 0
        z: Floats = 1 / (1 + np.exp(-x))
    return z


def _logistic_state(rate: float, _: bool, a: Any) -> tuple[Any, Any, Any]:
    e = np.exp(-rate * np.abs(a))
    large, small = rate / (1 + e), rate * e / (1 + e)
    p, q = np.where(a > 0, large, small), np.where(a > 0, small, large)
    return p if rate == 1 else np.tanh(a), p, q


def _logistic_series(rate: float, p: Any, q: Any, out: Floats) -> None:
    out[:] = 0
    out[1] = p * q
    for m in range(1, len(out) - 1):
        out[m + 1] = (q - p) * out[m]
        for i in range(1, m):
            out[m + 1] -= out[i] * out[m - i]
        out[m + 1] /= m + 1


def _logistic_change(rate: float, p: Any, q: Any, u: Any, m: Any) -> Any:
    return np.copysign(p * q * m / (rate + np.where(u > 0, p, q) * m), u)


def _largest_logistic_change(rate: float) -> Callable[[float], float]:
    def largest_change(rho: float) -> float:
        angle = rate * rho / 2
        return (
            float(rate * rate * rho / (4 * np.cos(angle) ** 2))
            if 2 * angle < np.pi
            else np.inf
        )

    return largest_change


LOGISTIC = Family(_logistic_state, _logistic_series, _logistic_change)


# ---- linear, as far as relu's kink is not reached:  F = p u --------------------------


def relu(x: Floats) -> Floats:
    """The larger of x and 0."""
    z: Floats = np.maximum(x, 0)
    return z


def _itself(x: Any) -> Any:
    return x


def _linear_state(rate: float, kinked: bool, a: Any) -> tuple[Any, Any, Any]:
    p = np.maximum(1.0 * (a > 0), 1.0 - kinked)
    return np.maximum(a, 0.0) if kinked else a, p, p


def _linear_series(rate: float, p: Any, _: Any, out: Floats) -> None:
    out[:] = 0
    out[1] = p


def _linear_change(rate: float, p: Any, q: Any, u: Any, _: Any) -> Any:
    return p * u


LINEAR = Family(_linear_state, _linear_series, _linear_change)


ACTIVATIONS: dict[HiddenActivation, Activation] = {
    "sigmoid": Activation(
        "1 / (1 + exp(-a))",
        "sigmoid",
        sigmoid,
        LOGISTIC,
        1.0,
        1 / 4,
        _largest_logistic_change(1.0),
        bounded=True,
    ),
    "relu": Activation(
        "max(a, 0)", "ReLU", relu, LINEAR, 0.0, 1.0, _itself, kinked=True
    ),
    "tanh": Activation(
        "tanh(a)",
        "tanh",
        np.tanh,
        LOGISTIC,
        2.0,
        1.0,
        _largest_logistic_change(2.0),
        bounded=True,
    ),
    "identity": Activation("a", "nothing", _itself, LINEAR, 0.0, 1.0, _itself),
}
IN_WORDS = " or ".join(
    ", ".join(entry.in_words for entry in ACTIVATIONS.values()).rsplit(", ", 1)
)


@np.errstate(over="ignore")  # what overflows is near
def near_kink(
    w1: Floats, b1: Floats, x: Floats, a1: Floats, h: float
) -> NDArray[np.bool_]:
    """Find the a1 (N, H) that a shift may take across 0.

    A shift is by h or h x; the rounding of a1 is added to it.
    """
    rounding = (
        (len(w1) + 2)
        * 2.0**-52
        * (np.abs(x).sum(axis=1) * np.abs(w1).max() + np.abs(b1).max())
    )
    reach = h * np.maximum(1.0, np.abs(x).max(axis=1)) + rounding
    near: NDArray[np.bool_] = (np.abs(a1) <= reach[:, np.newaxis]) & np.isfinite(a1)
    return near


def rounded_once(x: Floats, w: Floats, b: float) -> float:
    """The sum b + x w, rounded only once."""
    return float(
        sum(
            (
                Fraction(x_i) * Fraction(w_i)
                for x_i, w_i in zip(x, w, strict=True)
                if x_i
            ),
            Fraction(b),
        )
    )
