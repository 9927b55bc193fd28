// exp, expm1, log, log1p and sigmoid on packs, without branches: within 2 ulp on the
// domain that stands at each, which tests/cpp/simd.cpp and
// tests/contract/test_elementary.py measure. NaN in, NaN out.
#pragma once

#include <limits>

#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

inline Pack select(auto condition, Pack yes, Pack no) { return condition ? yes : no; }

inline Pack absolute(Pack a) {
    return std::bit_cast<Pack>(std::bit_cast<Bits>(a) &
                               (std::numeric_limits<RealBits>::max() >> 1));
}

// The lanes of a, two by two: a chain of them would be slower. The order is part of the
// results.
template <class Combine>
Real over_lanes(Pack a, const Combine& combine) {
    Real each[lanes];
    store(each, a);
    for (std::size_t half = lanes / 2; half > 0; half /= 2)
        for (std::size_t l = 0; l < half; ++l)
            each[l] = combine(each[l], each[l + half]);
    return each[0];
}

// NaN if all are NaN.
inline Real largest_lane(Pack a) {
    return over_lanes(a, [](Real b, Real c) { return c > b || b != b ? c : b; });
}

inline Real lane_sum(Pack a) {
    return over_lanes(a, [](Real b, Real c) { return b + c; });
}

// 0, or NaN where x is not finite. A sum of these is 0 only if all were finite.
template <class T>
T zero_or_nan(T x) {
    return x - x;
}

inline Pack zero_or_nan(const Real* x, std::size_t size) {
    Pack sum{};
    for (std::size_t i = 0; i < size; i += lanes)
        sum += zero_or_nan(load_part(x + i, size - i < lanes ? size - i : lanes));
    return sum;
}

// value + lost: a result, and what its rounding lost.
template <class T>
struct WithLost {
    T value, lost;
};

// a + b, exactly (Knuth's two-sum).
template <class T>
WithLost<T> two_sum(T a, T b) {
    const T sum = a + b;
    const T part = sum - a;
    return {sum, (a - (sum - part)) + (b - part)};
}

// a b, exactly. Without a fused multiply-add: Dekker's product, in halves of the
// digits.
inline WithLost<Pack> two_product(Pack a, Pack b) {
    const Pack value = a * b;
    if constexpr (fused) return {value, fma(a, b, -value)};
    const auto high = [](Pack x) {
        return x * format::splitter - (x * format::splitter - x);
    };
    const Pack p = high(a), q = high(b);
    return {value, ((p * q - value) + p * (b - q) + (a - p) * q) + (a - p) * (b - q)};
}

// x + low = k ln2 + r + r_low with |r| <= ln2 / 2.
struct Reduced {
    Pack k, r, r_low;
};

inline Reduced reduce(Pack x, Pack low) {
    const Pack k = fma(x, broadcast(static_cast<Real>(1.44269504088896338700)),
                       broadcast(format::to_integer)) -
                   format::to_integer;
    const Pack high = x - k * format::ln2_high;
    const Pack rest = k * format::ln2_low - low;
    const Pack r = high - rest;
    return {k, r, (high - r) - rest};
}

// sum over m of coefficients[m] x^m. Even and odd powers are summed apart, so that
// neither waits for the other.
template <int N>
Pack polynomial(Pack x, const Real (&coefficients)[N]) {
    static_assert(N >= 2);
    const Pack square = x * x;
    Pack even = broadcast(coefficients[(N - 1) / 2 * 2]),
         odd = broadcast(coefficients[N / 2 * 2 - 1]);
    for (int m = (N - 1) / 2 * 2 - 2; m >= 0; m -= 2)
        even = fma(even, square, broadcast(coefficients[m]));
    for (int m = N / 2 * 2 - 3; m >= 0; m -= 2)
        odd = fma(odd, square, broadcast(coefficients[m]));
    return fma(odd, x, even);
}

// exp(r) - 1 - r + low for |r| <= ln2 / 2.
inline Pack exp_tail(Pack r, Pack low) {
    return fma(r * r, polynomial(r, format::exp_tail), low);
}

// exp(x + low), 2 ulp, for x <= highest_exponent: `low` is what rounding x lost, far
// smaller than x. Where exp(x) is 0 it may be anything.
inline Pack exp_below(Pack x, Pack low = Pack{}) {
    low = select(x > format::lowest_exponent, low, Pack{});
    const auto [k, r, r_low] =
        reduce(maximum(broadcast(format::lowest_exponent), x), low);
    const Pack sum = 1 + r;
    const Pack mantissa = sum + ((r - (sum - 1)) + exp_tail(r, r_low));
    return times_power_of_two(mantissa, k);
}

// exp(x), 2 ulp, for every x; above highest_exponent it is infinite.
inline Pack exp(Pack x) {
    return exp_below(
        select(x > format::highest_exponent, broadcast(format::highest_exponent), x));
}

// exp(x) - 1, 2 ulp, for |x| <= reversible_exponent; larger x are limited to that: the
// sigmoid of x is 0 or 1 there.
inline Pack expm1(Pack x) {
    constexpr Real most = format::reversible_exponent;
    x = select(x < -most, broadcast(-most), select(x > most, broadcast(most), x));
    const auto [k, r, r_low] = reduce(x, Pack{});
    const Pack small = r + exp_tail(r, r_low);
    const Pack scale = power_of_two(k);
    return select(k == 0, small, fma(scale, small, scale - 1));
}

// log(x), 2 ulp, for normal x > 0; NaN for NaN and infinity; no other x is allowed. As
// in fdlibm: log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), s = f / (2 + f).
inline Pack log(Pack x) {
    using namespace format;
    const Bits bits = std::bit_cast<Bits>(x);
    const Bits exponent =
        (bits - bits_of_root_of_half + (exponent_shift << fraction_bits)) >>
        fraction_bits;  // of x / sqrt(1/2)
    const Pack k = std::bit_cast<Pack>(exponent + std::bit_cast<RealBits>(to_integer)) -
                   (to_integer + static_cast<Real>(exponent_shift));
    const Pack f =
        std::bit_cast<Pack>(bits - ((exponent - exponent_shift) << fraction_bits)) - 1;
    const Pack s = f / (2 + f);
    const Pack z = s * s;
    const Pack w = z * z;
    const Pack even = w * polynomial(w, log_even);
    const Pack odd = z * polynomial(w, log_odd);
    const Pack half_square = Real{0.5} * f * f;
    const Pack rest = fma(s, half_square + (odd + even), k * ln2_low);
    const Pack value = k * ln2_high - ((half_square - rest) - f);
    return value + zero_or_nan(x);
}

// log(1 + x), 2 ulp, for x > -1: what 1 + x rounds off changes it by lost / (1 + x).
inline Pack log1p(Pack x) {
    const auto [sum, lost] = two_sum(broadcast(1), x);
    return log(sum) + lost / sum;
}

// z = sigmoid(a) and zc = sigmoid(-a) = 1 - z, 2 ulp each, for every a. Both are kept:
// for a saturated unit 1 - z would lose all digits.
struct SigmoidPair {
    Pack z, zc;
};

inline SigmoidPair sigmoid(Pack a) {
    const Pack e = exp_below(-absolute(a));
    const Pack sum = 1 + e;
    const Pack rough = rough_reciprocal(sum);
    const Pack lost = rough * (e - (sum - 1));  // what 1 + e rounded off, relative
    // A fused multiply-add also corrects the rounding of the quotient, and a product
    // replaces a second division.
    const Pack large = fused ? fma(rough, fma(-rough, sum, broadcast(1)) - lost, rough)
                             : rough - rough * lost;
    const Pack quotient = e / sum;
    const Pack small = fused ? e * large : quotient - quotient * lost;
    return {select(a > 0, large, small), select(a > 0, small, large)};
}

}  // namespace secant::SECANT_ISA
