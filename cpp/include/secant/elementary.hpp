// exp, expm1, log, log1p and sigmoid on packs, without a branch. NaN passes through.
// Errors are the largest seen against 50 digits by tests/contract/test_elementary.py, where the bounds are held.
#pragma once

#include <limits>

#include "simd.hpp"

namespace secant::SECANT_ISA {

// Added to y before its logarithm is taken, as in the chapter: it keeps the loss finite where y is 0.
constexpr double log_offset = 1e-7;

// ln 2 in two parts; the first has 32 significant bits, so its product with an exponent is exact (fdlibm, e_exp.c).
constexpr double ln2_high = 6.93147180369123816490e-01;
constexpr double ln2_low = 1.90821492927058770002e-10;
// Adding 1.5 * 2^52 rounds to an integer and leaves that integer in the low bits.
constexpr double to_integer = 0x1.8p52;

// 2^k for an integer k of -1022 to 1023.
inline Pack power_of_two(Pack k) {
    return std::bit_cast<Pack>((std::bit_cast<Bits>(k + to_integer) + 1023) << 52);
}

inline Pack select(auto condition, Pack yes, Pack no) { return condition ? yes : no; }

// The larger of the two, lane by lane.
inline Pack maximum(Pack a, Pack b) { return a > b ? a : b; }

inline Pack absolute(Pack a) { return a < 0.0 ? -a : a; }

inline double largest_lane(Pack a) {
    double largest = lane(a, 0);
    for (std::size_t l = 1; l < lanes; ++l) largest = lane(a, l) > largest ? lane(a, l) : largest;
    return largest;
}

// x + low = k ln2 + r + r_low with |r| <= ln2 / 2.
struct Reduced {
    Pack k, r, r_low;
};

inline Reduced reduce(Pack x, Pack low) {
    const Pack k = fma(x, broadcast(1.44269504088896338700), broadcast(to_integer)) - to_integer;
    const Pack high = x - k * ln2_high;
    const Pack rest = k * ln2_low - low;
    const Pack r = high - rest;
    return {k, r, (high - r) - rest};
}

// sum over m of coefficients[m] x^m
template <int N>
Pack polynomial(Pack x, const double (&coefficients)[N]) {
    Pack sum = broadcast(coefficients[N - 1]);
    for (int m = N - 2; m >= 0; --m) sum = fma(sum, x, broadcast(coefficients[m]));
    return sum;
}

// exp(r) - 1 - r + low for |r| <= ln2 / 2: the Taylor series, whose remainder after r^13 is below 2^-57.
inline Pack exp_tail(Pack r, Pack low) {
    constexpr double inverse_factorials[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                             1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                             1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    return fma(r * r, polynomial(r, inverse_factorials), low);
}

// x 2^k for an integer k, where 2^k itself may be subnormal or overflow.
inline Pack times_power_of_two(Pack x, Pack k) {
#if defined(__AVX512F__) && !defined(SECANT_SCALAR)
    return _mm512_scalef_pd(x, k);
#else
    const Pack half = (k * 0.5 + to_integer) - to_integer;
    return x * power_of_two(half) * power_of_two(k - half);
#endif
}

// exp(x + low), |low| far below |x|: what a rounded difference lost can be handed in. It may be large, or NaN, where exp(x)
// is 0.
inline Pack exp(Pack x, Pack low = Pack{}) {
    low = select(x > -746.0, low, Pack{});
    x = select(x < -746.0, broadcast(-746.0), select(x > 710.0, broadcast(710.0), x));
    const auto [k, r, r_low] = reduce(x, low);
    const Pack sum = 1.0 + r;
    const Pack mantissa = sum + ((r - (sum - 1.0)) + exp_tail(r, r_low));
    return times_power_of_two(mantissa, k);
}

// exp(x) - 1, with x held within +-709: beyond, the sigmoid of x is 0 or 1 to 300 digits.
inline Pack expm1(Pack x) {
    x = select(x < -709.0, broadcast(-709.0), select(x > 709.0, broadcast(709.0), x));
    const auto [k, r, r_low] = reduce(x, Pack{});
    const Pack small = r + exp_tail(r, r_low);
    const Pack scale = power_of_two(k);
    return select(k == 0.0, small, fma(scale, small, scale - 1.0));
}

// log(x) of a normal x > 0, NaN for NaN and infinity; any other x is not asked for. By fdlibm's e_log.c:
// log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), s = f / (2 + f).
inline Pack log(Pack x) {
    const Bits bits = std::bit_cast<Bits>(x);
    const Bits exponent = (bits - 0x3fe6a09e00000000u + (std::uint64_t{1024} << 52)) >> 52;  // of x / sqrt(1/2), + 1024
    const Pack k = std::bit_cast<Pack>(exponent + std::bit_cast<std::uint64_t>(to_integer)) - (to_integer + 1024);
    const Pack f = std::bit_cast<Pack>(bits - ((exponent - 1024) << 52)) - 1.0;
    const Pack s = f / (2.0 + f);
    const Pack z = s * s;
    const Pack w = z * z;
    const Pack even = w * polynomial(w, {3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01});
    const Pack odd = z * polynomial(w, {6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01,
                                        1.479819860511658591e-01});
    const Pack half_square = 0.5 * f * f;
    const Pack rest = fma(s, half_square + (odd + even), k * ln2_low);
    const Pack value = k * ln2_high - ((half_square - rest) - f);
    return value + (x - x);  // adds 0, or NaN
}

// log(1 + x): the rounding of 1 + x is found exactly (two-sum) and its effect, error / (1 + x), added.
inline Pack log1p(Pack x) {
    const Pack sum = 1.0 + x;
    const Pack part = sum - 1.0;
    const Pack error = (1.0 - (sum - part)) + (x - part);
    return log(sum) + error / sum;
}

// z = sigmoid(a) and zc = sigmoid(-a) = 1 - z. Both are kept: 1 - z loses everything when the unit saturates.
struct Sigmoid {
    Pack z, zc;
};

inline Sigmoid sigmoid(Pack a) {
    const Pack e = exp(select(a > 0.0, -a, a));
    const Pack sum = 1.0 + e;
    const Pack rough = 1.0 / sum;
    const Pack lost = rough * (e - (sum - 1.0));  // what 1 + e rounded off, relative
    // With a fused multiply-add the rounding of the quotient is mended too, and a product replaces a second division.
    const Pack large = fused ? fma(rough, fma(-rough, sum, broadcast(1.0)) - lost, rough) : rough - rough * lost;
    const Pack quotient = e / sum;
    const Pack small = fused ? e * large : quotient - quotient * lost;
    return {select(a > 0.0, large, small), select(a > 0.0, small, large)};
}

// z and zc of a(size,).
inline void sigmoids(const double* a, std::size_t size, double* z, double* zc) {
    for (std::size_t i = 0; i < size; i += lanes) {
        const std::size_t count = size - i < lanes ? size - i : lanes;
        const Sigmoid both = sigmoid(load_part(a + i, count));
        store_part(z + i, both.z, count);
        store_part(zc + i, both.zc, count);
    }
}

}  // namespace secant::SECANT_ISA
