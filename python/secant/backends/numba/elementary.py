"""exp, sigmoid and softmax without a branch, so that LLVM makes vectors of loops over them."""

from typing import Any

from llvmlite import ir
from numba import types

from secant._common.validation import Floats
from secant.backends.numba.compilation import inlined, intrinsic

# ln 2 in two parts; the first has 32 significant bits, so its product with an exponent is exact (fdlibm, e_exp.c).
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
# Adding 1.5 * 2^52 rounds to an integer and leaves that integer in the low bits.
_TO_INTEGER = float.fromhex("0x1.8p52")


@intrinsic
def as_bits(typing_context: Any, x: Any) -> Any:
    """The bits of a double, as an integer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def from_bits(typing_context: Any, bits: Any) -> Any:
    """The double of which these are the bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@inlined
def exp(x: float, low: float) -> float:
    """exp(x + low), where low is far below x: what a rounded difference lost can be handed in."""
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    k = (x * 1.44269504088896338700 + _TO_INTEGER) - _TO_INTEGER
    high = x - k * _LN2_HIGH
    rest = k * _LN2_LOW - low
    r = high - rest
    r_low = (high - r) - rest
    p = 1 / 6227020800  # the Taylor series of exp(r) - 1 - r, whose remainder after r^13 is below 2^-57
    p = p * r + 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 1 / 2
    total = 1.0 + r
    mantissa = total + ((r - (total - 1.0)) + (r * r * p + r_low))
    half = (k * 0.5 + _TO_INTEGER) - _TO_INTEGER  # 2^k itself may be subnormal, or overflow
    scaled: float = mantissa * _power_of_two(half) * _power_of_two(k - half)
    return scaled


@inlined
def _power_of_two(k: float) -> float:
    power: float = from_bits((as_bits(k + _TO_INTEGER) + 1023) << 52)
    return power


@inlined
def sigmoid(a: float) -> tuple[float, float]:
    """Sigmoids of a and of -a. Both are kept: 1 - z loses everything when the unit saturates."""
    e = exp(-abs(a), 0.0)
    total = 1.0 + e
    rough = 1.0 / total
    lost = rough * (e - (total - 1.0))  # what 1 + e rounded off, relative
    large = rough - rough * lost
    small = e * large
    return (large if a > 0.0 else small), (small if a > 0.0 else large)


@inlined
def softmax_row(x: Floats, row: int, out: Floats, to: int, size: int) -> None:
    """exp(x[row]) over its sum, of so many elements. What subtracting the largest rounds off is handed to exp."""
    top = x[row, 0]
    for k in range(1, size):
        top = x[row, k] if x[row, k] > top else top
    for k in range(out.shape[1]):
        difference = x[row, k] - top
        part = difference - x[row, k]
        lost = (x[row, k] - (difference - part)) - (top + part)
        out[to, k] = exp(difference, lost if lost == lost else 0.0)
    total = 0.0
    for k in range(size):
        total += out[to, k]
    for k in range(size):
        out[to, k] /= total
