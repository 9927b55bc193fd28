// What the elementary functions know of the type of their numbers: its format, and
// polynomials for it.
#pragma once

#include "secant/simd/real.hpp"

namespace secant::SECANT_ISA::format {

// ln 2 in two parts: the product of the first with an exponent is exact (fdlibm,
// e_exp.c and e_expf.c). Adding to_integer, 1.5 times the first number without a
// fraction, rounds to an integer and leaves that integer in the low bits. exp is 0
// below lowest_exponent, infinite above highest_exponent, and its reciprocal is a
// normal number up to reversible_exponent. exp_tail is (exp(r) - 1 - r) / r^2 for |r|
// <= ln2 / 2: a minimax polynomial (Remez), fitted again after each coefficient was
// rounded. For log, as in fdlibm's e_log.c and e_logf.c: the (upper) bits of sqrt(1/2),
// and R in powers of s^4, the even ones and the odd ones.
#ifdef SECANT_SINGLE

constexpr int fraction_bits = 23;
constexpr RealBits exponent_bias = 127;
constexpr Real ln2_high = 6.9314575195e-01f,
               ln2_low = 1.4286067653e-06f;  // the first has 15 significant bits
constexpr Real to_integer = 0x1.8p23f;
constexpr Real splitter =
    4097.0f;  // its product with a number leaves the upper 12 bits
constexpr Real lowest_exponent = -104.0f, highest_exponent = 89.0f,
               reversible_exponent = 87.0f;
// Times r^2 it errs by less than 2^-33.
constexpr Real exp_tail[] = {0x1.0000000000000p-1f,  0x1.5555560000000p-3f,
                             0x1.5554e40000000p-5f,  0x1.1110020000000p-7f,
                             0x1.6d52860000000p-10f, 0x1.a247ac0000000p-13f};
constexpr RealBits bits_of_root_of_half = 0x3f3504f3;
constexpr RealBits exponent_shift =
    128;  // added to the exponent of a normal number, so that it is positive
constexpr Real log_even[] = {0xccce13.0p-25f, 0xf89e26.0p-26f},
               log_odd[] = {0xaaaaaa.0p-24f, 0x91e9ee.0p-25f};

#else

constexpr int fraction_bits = 52;
constexpr RealBits exponent_bias = 1023;
constexpr Real ln2_high = 6.93147180369123816490e-01,
               ln2_low =
                   1.90821492927058770002e-10;  // the first has 32 significant bits
constexpr Real to_integer = 0x1.8p52;
constexpr Real splitter =
    134217729.0;  // its product with a number leaves the upper 26 bits
constexpr Real lowest_exponent = -746.0, highest_exponent = 710.0,
               reversible_exponent = 709.0;
// Times r^2 it errs by less than 2^-57.
constexpr Real exp_tail[] = {0x1.000000000000cp-1,  0x1.555555555555cp-3,
                             0x1.555555554fe0bp-5,  0x1.111111110e9efp-7,
                             0x1.6c16c186053d3p-10, 0x1.a01a01b44afd9p-13,
                             0x1.a01995c12cadfp-16, 0x1.71ddee619014ep-19,
                             0x1.28b0efa85fc2bp-22, 0x1.af6e9ed00abecp-26};
constexpr RealBits bits_of_root_of_half = 0x3fe6a09e00000000;
constexpr RealBits exponent_shift =
    1024;  // added to the exponent of a normal number, so that it is positive
constexpr Real log_even[] = {3.999999999940941908e-01, 2.222219843214978396e-01,
                             1.531383769920937332e-01};
constexpr Real log_odd[] = {6.666666666666735130e-01, 2.857142874366239149e-01,
                            1.818357216161805012e-01, 1.479819860510658591e-01};

#endif

}  // namespace secant::SECANT_ISA::format
