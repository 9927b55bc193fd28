// exp, expm1, log, log1p and sigmoid on packs, without branches. NaN in, NaN out. Errors: a few ulp; tests/cpp/simd.cpp and
// tests/contract/test_elementary.py measure them.
#pragma once

#include <limits>

#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

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

// The larger of the two, lane by lane; b where either is NaN.
inline Pack maximum(Pack a, Pack b) {
#if defined(__AVX512F__) && SECANT_VECTORS
    return _mm512_max_pd(a, b);
#else
    return a > b ? a : b;
#endif
}

inline Pack absolute(Pack a) { return a < 0.0 ? -a : a; }

inline double largest_lane(Pack a) {
    double largest = lane(a, 0);
    for (std::size_t l = 1; l < lanes; ++l) largest = lane(a, l) > largest ? lane(a, l) : largest;
    return largest;
}

inline double lane_sum(Pack a) {
    double sum = lane(a, 0);
    for (std::size_t l = 1; l < lanes; ++l) sum += lane(a, l);
    return sum;
}

// 0, or NaN where x is not finite. A sum of these is 0 only if all were finite.
template <class T>
T zero_or_nan(T x) {
    return x - x;
}

inline Pack zero_or_nan(const double* x, std::size_t size) {
    Pack sum{};
    for (std::size_t i = 0; i < size; i += lanes) sum += zero_or_nan(load_part(x + i, size - i < lanes ? size - i : lanes));
    return sum;
}

// a + b = sum + lost, exactly (Knuth's two-sum).
template <class T>
struct TwoSum {
    T sum, lost;
};

template <class T>
TwoSum<T> two_sum(T a, T b) {
    const T sum = a + b;
    const T part = sum - a;
    return {sum, (a - (sum - part)) + (b - part)};
}

// a b = value + lost, exactly. Without a fused multiply-add: Dekker's product, in halves of 26 bits.
struct TwoProduct {
    Pack value, lost;
};

inline TwoProduct two_product(Pack a, Pack b) {
    const Pack value = a * b;
    if constexpr (fused) return {value, fma(a, b, -value)};
    const auto high = [](Pack x) { return x * 134217729.0 - (x * 134217729.0 - x); };
    const Pack p = high(a), q = high(b);
    return {value, ((p * q - value) + p * (b - q) + (a - p) * q) + (a - p) * (b - q)};
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

// sum over m of coefficients[m] x^m. Even and odd powers are summed apart, so that neither waits for the other.
template <int N>
Pack polynomial(Pack x, const double (&coefficients)[N]) {
    static_assert(N >= 2);
    const Pack square = x * x;
    Pack even = broadcast(coefficients[(N - 1) / 2 * 2]), odd = broadcast(coefficients[N / 2 * 2 - 1]);
    for (int m = (N - 1) / 2 * 2 - 2; m >= 0; m -= 2) even = fma(even, square, broadcast(coefficients[m]));
    for (int m = N / 2 * 2 - 3; m >= 0; m -= 2) odd = fma(odd, square, broadcast(coefficients[m]));
    return fma(odd, x, even);
}

// exp(r) - 1 - r + low for |r| <= ln2 / 2: r^2 times a minimax polynomial (Remez, fitted again after each coefficient was
// rounded). Error below 2^-57.
inline Pack exp_tail(Pack r, Pack low) {
    constexpr double coefficients[] = {0x1.000000000000cp-1,  0x1.555555555555cp-3,  0x1.555555554fe0bp-5,  0x1.111111110e9efp-7,
                                       0x1.6c16c186053d3p-10, 0x1.a01a01b44afd9p-13, 0x1.a01995c12cadfp-16, 0x1.71ddee619014ep-19,
                                       0x1.28b0efa85fc2bp-22, 0x1.af6e9ed00abecp-26};
    return fma(r * r, polynomial(r, coefficients), low);
}

// x 2^k for an integer k. 2^k itself may be subnormal or overflow.
inline Pack times_power_of_two(Pack x, Pack k) {
#if defined(__AVX512F__) && SECANT_VECTORS
    return _mm512_scalef_pd(x, k);
#else
    const Pack half = (k * 0.5 + to_integer) - to_integer;
    return x * power_of_two(half) * power_of_two(k - half);
#endif
}

// exp(x + low) for x <= 710: `low` is what rounding x lost, far smaller than x. Where exp(x) is 0 it may be anything.
inline Pack exp_below(Pack x, Pack low = Pack{}) {
    low = select(x > -746.0, low, Pack{});
    const auto [k, r, r_low] = reduce(maximum(broadcast(-746.0), x), low);
    const Pack sum = 1.0 + r;
    const Pack mantissa = sum + ((r - (sum - 1.0)) + exp_tail(r, r_low));
    return times_power_of_two(mantissa, k);
}

inline Pack exp(Pack x) { return exp_below(select(x > 710.0, broadcast(710.0), x)); }

// exp(x) - 1, with x limited to +-709: beyond, the sigmoid of x is 0 or 1 to 300 digits.
inline Pack expm1(Pack x) {
    x = select(x < -709.0, broadcast(-709.0), select(x > 709.0, broadcast(709.0), x));
    const auto [k, r, r_low] = reduce(x, Pack{});
    const Pack small = r + exp_tail(r, r_low);
    const Pack scale = power_of_two(k);
    return select(k == 0.0, small, fma(scale, small, scale - 1.0));
}

// log(x) for normal x > 0; NaN for NaN and infinity; no other x is allowed. As fdlibm's e_log.c:
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
    return value + zero_or_nan(x);
}

// log(1 + x): what 1 + x rounds off changes it by lost / (1 + x).
inline Pack log1p(Pack x) {
    const auto [sum, lost] = two_sum(broadcast(1.0), x);
    return log(sum) + lost / sum;
}

// 1 / x for x from 1 to 2. With AVX-512 it needs no division, but has only 28 bits; `sigmoid` corrects that.
inline Pack rough_reciprocal(Pack x) {
#if defined(__AVX512F__) && SECANT_VECTORS
    const Pack rough = _mm512_rcp14_pd(x);
    return fma(rough, fma(-rough, x, broadcast(1.0)), rough);
#else
    return 1.0 / x;
#endif
}

// z = sigmoid(a) and zc = sigmoid(-a) = 1 - z. Both are kept: for a saturated unit 1 - z would lose all digits.
struct Sigmoid {
    Pack z, zc;
};

inline Sigmoid sigmoid(Pack a) {
    const Pack e = exp_below(-absolute(a));
    const Pack sum = 1.0 + e;
    const Pack rough = rough_reciprocal(sum);
    const Pack lost = rough * (e - (sum - 1.0));  // what 1 + e rounded off, relative
    // A fused multiply-add also corrects the rounding of the quotient, and a product replaces a second division.
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
