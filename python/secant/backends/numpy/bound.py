"""How far a series may be cut: a proven bound of what is left out (docs/method.md, "How many terms").

Scalar code, and each function by itself: the Numba backend compiles these very ones.
"""

import math

from secant._common.validation import Floats

ORDERS = (3, 5, 7, 9)
DISCS = 16


def fill_discs(discs: Floats, sigmoid_output: bool, largest_weight: float) -> None:
    """Radii rho, and bounds M of the loss change when a pre-activation of a hidden, or of an output unit moves by rho.

    The rows of ``discs``, (3, 16), become rho, M of hidden units and M of output units, each for a target weight of 1.
    """
    mantissa, exponent = math.frexp(largest_weight)  # of max |W2|; with 5 bits, it seldom changes in training
    largest_weight = math.ldexp(math.ceil(mantissa * 32), exponent - 5)
    rho = 3.0
    for i in range(DISCS):
        discs[0, i] = rho
        for layer in (1, 2):
            v = largest_weight * rho / (4 * math.cos(rho / 2) ** 2) if layer == 1 else rho
            if sigmoid_output:
                v = v / (4 * math.cos(v / 2) ** 2) if v < math.pi else math.inf
            log_y = v - math.log1p(-math.expm1(v)) if v < 0.69 else math.inf  # proven for v < log 2 only
            discs[layer, i] = -math.log1p(-math.expm1(log_y)) if log_y < 0.69 else math.inf
        rho *= 0.6


def proven_order(discs: Floats, h: float, largest_input: float, mass: float) -> tuple[int, float]:
    """The smallest order that suffices, 0 where none is proven; and the bound of what is cut after it.

    It, (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2), is below 1 % of the rounding of a plain loop, and a fifth of what
    is promised. ``mass`` is the largest sum of a sample's target weights.
    """
    tolerance = min(0.01 * 2.0**-52 / h, 2e-15)
    for order in ORDERS:
        worst = 0.0
        for layer in (1, 2):
            r = h * max(1.0, largest_input) if layer == 1 else h  # the bias is the weight of an input of 1
            least = math.inf
            for i in range(DISCS):
                power = r / discs[0, i]
                if power < 1 and discs[layer, i] < math.inf:
                    square = power * power
                    for _ in range(order // 2 + 1):
                        power *= square
                    least = min(least, discs[layer, i] * power / (1 - square))
            worst = max(worst, mass / h * least)
        if worst <= tolerance:
            return order, worst
    return 0, 0.0
