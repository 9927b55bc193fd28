// The two sides of a central difference, evaluated together.
#pragma once

#include "secant/simd/elementary.hpp"

namespace secant::SECANT_ISA {

struct Sides {
    Pack plus, minus;
};

inline Sides operator*(Pack a, Sides b) { return {a * b.plus, a * b.minus}; }
inline Sides operator*(Sides a, Sides b) {
    return {a.plus * b.plus, a.minus * b.minus};
}
inline Sides operator+(Sides a, Sides b) {
    return {a.plus + b.plus, a.minus + b.minus};
}
inline Sides operator-(Sides a) { return {-a.plus, -a.minus}; }
inline Sides operator-(Sides a, Sides b) {
    return {a.plus - b.plus, a.minus - b.minus};
}
inline Sides operator+(Real a, Sides b) { return {a + b.plus, a + b.minus}; }
inline Sides fma(Sides a, Sides b, Sides c) {
    return {fma(a.plus, b.plus, c.plus), fma(a.minus, b.minus, c.minus)};
}
inline Sides fma(Pack a, Sides b, Sides c) {
    return {fma(a, b.plus, c.plus), fma(a, b.minus, c.minus)};
}
inline Sides both(auto a) {
    return {a - Pack{}, a - Pack{}};
}  // a number or a pack; see broadcast
inline Sides reciprocal(Sides a) { return {1 / a.plus, 1 / a.minus}; }
inline Sides exp(Sides a) { return {exp(a.plus), exp(a.minus)}; }
inline Sides expm1(Sides a) { return {expm1(a.plus), expm1(a.minus)}; }
inline Sides log(Sides a) { return {log(a.plus), log(a.minus)}; }
inline Sides log1p(Sides a) { return {log1p(a.plus), log1p(a.minus)}; }

}  // namespace secant::SECANT_ISA
