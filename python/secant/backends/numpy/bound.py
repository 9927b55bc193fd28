"""How far a series may be cut: a proven bound of what is left out (docs/method.md, "How many terms").

Scalar code, and each function by itself: the Numba backend compiles these very ones.
"""

import math
from collections.abc import Sequence

from secant.validation import Floats

ORDERS = (3, 5, 7, 9)
DISCS = 16


def fill_discs(table: Floats, sigmoid_output: bool, largest_weight: float, mass: float) -> None:
    """Radii rho, and bounds M of the loss change when a pre-activation of a hidden, or of an output unit moves by rho.

    The rows of ``table``, (3, 16), become rho, M of hidden units and M of output units. ``largest_weight`` is max |W2|,
    ``mass`` the largest sum over k of t_k of a sample.
    """
    rho = 3.0
    for i in range(DISCS):
        table[0, i] = rho
        for row in (1, 2):
            v = rho
            if row == 1:
                v = largest_weight * rho / (4 * math.cos(rho / 2) ** 2)
            d = v
            if sigmoid_output:
                d = v / (4 * math.cos(v / 2) ** 2) if v < math.pi else math.inf
            log_y = d - math.log(2 - math.exp(d)) if d < math.log(2) else math.inf
            table[row, i] = -mass * math.log(2 - math.exp(log_y)) if log_y < math.log(2) else math.inf
        rho *= 0.6


def largest_shift(rho: Sequence[float], loss: Sequence[float], order: int) -> float:
    """The largest r whose remainder is below 1 % of eps / h, the rounding of a plain loop, or one a little smaller.

    r / rho is held below 1/2, where the last factor of the remainder is below 4/3.
    """
    largest = 0.0
    for i in range(len(rho)):
        allowed = 0.75 * 0.01 * 2.0**-52 / max(loss[i], 1e-300)
        largest = max(largest, rho[i] * min(0.5, allowed ** (1 / (order + 2))))
    return largest


def remainder(rho: Sequence[float], loss: Sequence[float], order: int, r: float, h: float) -> float:
    """The most that is cut after an odd order K: (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2), least over the discs."""
    least = math.inf
    for i in range(len(rho)):
        ratio = r / rho[i]
        if ratio < 1:
            least = min(least, loss[i] / h * ratio ** (order + 2) / (1 - ratio**2))
    return least
