// Jet<K>: a Taylor series in one variable s without constant term, cut after the power
// K. Coefficients are numbers or packs. Each function solves a differential equation
// for its result, power by power.
#pragma once

#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

template <int K, class T = Pack>
struct Jet {
    T c[K + 1];  // sum over m of c[m] s^m; c[0] is not used
};

// 1 / m
template <class T>
constexpr Element<T> fraction(int m) {
    return static_cast<Element<T>>(1.0 / m);
}

template <int K, class T>
Jet<K, T> operator-(Jet<K, T> a) {
    for (T& c : a.c) c = -c;
    return a;
}

template <int K, class T>
Jet<K, T> operator*(const Jet<K, T>& a, const Jet<K, T>& b) {
    Jet<K, T> out{};
    for (int m = 2; m <= K; ++m) {
        out.c[m] = a.c[1] * b.c[m - 1];
        for (int i = 2; i < m; ++i) out.c[m] = fma(a.c[i], b.c[m - i], out.c[m]);
    }
    return out;
}

// exp(s) - 1
template <int K, class T = Pack>
Jet<K, T> expm1_series() {
    Jet<K, T> out{};
    out.c[1] = T{} + fraction<T>(1);
    for (int m = 2; m <= K; ++m) out.c[m] = out.c[m - 1] * fraction<T>(m);
    return out;
}

// p' = slope + tilt p - p^2
template <int K, class T>
Jet<K, T> logistic_series(T slope, T tilt) {
    Jet<K, T> p{};
    p.c[1] = slope;
    for (int m = 1; m < K; ++m) {
        T next = tilt * p.c[m];
        for (int i = 1; i < m; ++i) next = fma(-p.c[i], p.c[m - i], next);
        p.c[m + 1] = next * fraction<T>(m + 1);
    }
    return p;
}

// p = sigmoid(a + s) - sigmoid(a), given z = sigmoid(a) and zc = sigmoid(-a):  p' = (z
// + p)(zc - p).
template <int K, class T>
Jet<K, T> sigmoid_series(T z, T zc) {
    return logistic_series<K, T>(z * zc, zc - z);
}

// E = exp(a) - 1:  E' = (1 + E) a'.
template <int K, class T>
Jet<K, T> expm1(const Jet<K, T>& a) {
    Jet<K, T> out{};
    out.c[1] = a.c[1];
    for (int m = 2; m <= K; ++m) {
        T sum = a.c[1] * out.c[m - 1];
        for (int i = 2; i < m; ++i)
            sum = fma(static_cast<Element<T>>(i) * a.c[i], out.c[m - i], sum);
        out.c[m] = fma(sum, T{} + fraction<T>(m), a.c[m]);
    }
    return out;
}

// L = log(1 + a):  (1 + a) L' = a'.
template <int K, class T>
Jet<K, T> log1p(const Jet<K, T>& a) {
    Jet<K, T> out{};
    out.c[1] = a.c[1];
    for (int m = 2; m <= K; ++m) {
        T sum = out.c[1] * a.c[m - 1];
        for (int i = 2; i < m; ++i)
            sum = fma(static_cast<Element<T>>(i) * out.c[i], a.c[m - i], sum);
        out.c[m] = fma(sum, T{} - fraction<T>(m), a.c[m]);
    }
    return out;
}

// a(f(s))
template <int K, class T>
SECANT_INLINE Jet<K, T> compose(const Jet<K, T>& a, const Jet<K, T>& f) {
    Jet<K, T> sum{}, power = f;
    for (int i = 1; i <= K; ++i) sum.c[i] = a.c[1] * f.c[i];
    for (int m = 2; m <= K; ++m) {
        power = power * f;
        for (int i = m; i <= K; ++i) sum.c[i] = fma(a.c[m], power.c[i], sum.c[i]);
    }
    return sum;
}

}  // namespace secant::SECANT_ISA
