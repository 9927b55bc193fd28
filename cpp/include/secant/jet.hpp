// Jet<K>: a Taylor series in one variable, cut after the power K. A function template that is run on a jet instead of a
// number returns its own Taylor coefficients.
#pragma once

namespace secant::SECANT_ISA {

template <int K>
struct Jet {
    double c[K + 1];  // sum over m of c[m] s^m

    static Jet variable() {
        Jet s{};
        s.c[1] = 1.0;
        return s;
    }
};

template <int K>
Jet<K> operator*(double scale, const Jet<K>& a) {
    Jet<K> out;
    for (int m = 0; m <= K; ++m) out.c[m] = scale * a.c[m];
    return out;
}

template <int K>
Jet<K> operator+(double constant, const Jet<K>& a) {
    Jet<K> out = a;
    out.c[0] += constant;
    return out;
}

// q b = a, solved for one coefficient of q after the other.
template <int K>
Jet<K> operator/(const Jet<K>& a, const Jet<K>& b) {
    Jet<K> q;
    for (int m = 0; m <= K; ++m) {
        double rest = a.c[m];
        for (int i = 1; i <= m; ++i) rest -= b.c[i] * q.c[m - i];
        q.c[m] = rest / b.c[0];
    }
    return q;
}

// E = exp(a) - 1 of a series without constant term: E' = (1 + E) a', power by power.
template <int K>
Jet<K> expm1(const Jet<K>& a) {
    Jet<K> out;
    out.c[0] = 0.0;
    for (int m = 1; m <= K; ++m) {
        double sum = m * a.c[m];
        for (int i = 1; i < m; ++i) sum += i * a.c[i] * out.c[m - i];
        out.c[m] = sum / m;
    }
    return out;
}

}  // namespace secant::SECANT_ISA
