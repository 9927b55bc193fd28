// The unit response: how much the loss of one sample changes when one pre-activation of the network is shifted.
//
// Two losses are never computed and subtracted: that cancels half of the digits, and is all of the error of a plain
// central difference. The change is computed as such (docs/method.md), with + - * / expm1 log1p only, over any number
// type T: `Sides` evaluates it at +s and -s, `Jet` expands it around 0.
#pragma once

#include <algorithm>

#include "elementary.hpp"
#include "jet.hpp"

namespace secant::SECANT_ISA {

// The two sides of a central difference, evaluated together; each in as many lanes as a pack has.
struct Sides {
    Pack plus, minus;
};

inline Sides operator*(Pack a, Sides b) { return {a * b.plus, a * b.minus}; }
inline Sides operator*(Sides a, Sides b) { return {a.plus * b.plus, a.minus * b.minus}; }
inline Sides operator+(Sides a, Sides b) { return {a.plus + b.plus, a.minus + b.minus}; }
inline Sides operator-(Sides a, Sides b) { return {a.plus - b.plus, a.minus - b.minus}; }
inline Sides operator/(Sides a, Sides b) { return {a.plus / b.plus, a.minus / b.minus}; }
inline Sides operator+(double a, Sides b) { return {a + b.plus, a + b.minus}; }
inline Sides expm1(Sides a) { return {expm1(a.plus), expm1(a.minus)}; }
inline Sides log1p(Sides a) { return {log1p(a.plus), log1p(a.minus)}; }

// sigmoid(a + u) - sigmoid(a) = z zc m / (1 + z m), given m = expm1(u), z = sigmoid(a), zc = sigmoid(-a).
template <class T, class S>
T sigmoid_change(S z, S zc, T m) {
    return (z * zc) * m / (1.0 + z * m);
}

// exp(z2' - z2) - 1, the growth of one softmax numerator, when a2 is shifted by u.
template <class T, class S>
T numerator_growth(bool sigmoid_output, S z2, S zc2, T u) {
    const T m = expm1(u);
    return sigmoid_output ? expm1(sigmoid_change(z2, zc2, m)) : m;
}

// A class of one sample that has a target weight t: `ratio` is y / (y + 1e-7).
struct Target {
    std::size_t k;
    double weight;
    double ratio;
};

// The output layer of one sample, as the forward pass left it: z2(O,), zc2(O,), y(O,), and its targets.
struct OutputState {
    bool sigmoid_output;
    std::size_t outputs;
    const double* z2;
    const double* zc2;
    const double* y;
    const Target* targets;
    std::size_t target_count;
};

// Growth and log1p by the full functions: right for shifts of any size.
class Exact {
public:
    Exact(const OutputState& out, const double*) : out_(out) {}
    Sides growth(std::size_t k, Sides u) const {
        return numerator_growth(out_.sigmoid_output, broadcast(out_.z2[k]), broadcast(out_.zc2[k]), u);
    }
    static Sides log_growth(Sides w) { return log1p(w); }

private:
    const OutputState& out_;
};

// The same by D terms of their Taylor series, for small shifts. The series of a growth depends on the sample and the
// output only, so it is expanded once and evaluated for every weight. Relative error <= 4 |u|^D for |u| < 0.1.
template <int D>
class Taylor {
public:
    Taylor(const OutputState&, const double* coefficients) : coefficients_(coefficients) {}

    static void expand(const OutputState& out, double* coefficients) {
        for (std::size_t k = 0; k < out.outputs; ++k) {
            const auto growth =
                numerator_growth(out.sigmoid_output, out.z2[k], out.zc2[k], Jet<D>::variable());
            std::copy_n(growth.c + 1, D, coefficients + k * D);
        }
    }
    Sides growth(std::size_t k, Sides u) const {
        const double* c = coefficients_ + k * D;
        Sides sum{broadcast(c[D - 1]), broadcast(c[D - 1])};
        for (int m = D - 2; m >= 0; --m) sum = c[m] + sum * u;
        return sum * u;
    }
    static Sides log_growth(Sides w) {
        constexpr auto c = [](int m) { return (m % 2 == 0 ? -1.0 : 1.0) / m; };
        Sides sum{broadcast(c(D)), broadcast(c(D))};
        for (int m = D - 1; m >= 1; --m) sum = c(m) + sum * w;
        return sum * w;
    }

private:
    const double* coefficients_;
};

// The loss change when the softmax numerators grow by e_k, given S = sum over k of y_k e_k:
// - sum over k of t_k log1p( y_k / (y_k + 1e-7) * (e_k - S) / (1 + S) ).
template <class Method, class Growth>
Sides loss_change(const OutputState& out, Sides mean_growth, const Growth& growth) {
    const Sides one{broadcast(1.0), broadcast(1.0)};
    const Sides scale = one / (1.0 + mean_growth);
    Sides change{};
    for (std::size_t i = 0; i < out.target_count; ++i) {
        const Target& t = out.targets[i];
        const Sides w = broadcast(t.ratio) * ((growth(t.k) - mean_growth) * scale);
        change = change - broadcast(t.weight) * Method::log_growth(w);
    }
    return change;
}

// phi(s) - phi(-s) of a pack of hidden units. z1, zc1: their sigmoids; m: expm1(s) and expm1(-s); w2: their outgoing
// weights, those of output k at w2 + k * stride.
template <class Method>
Pack hidden_difference(const OutputState& out, const Method& method, Pack z1, Pack zc1, Sides m, const double* w2,
                       std::size_t stride) {
    const Sides change = sigmoid_change(z1, zc1, m);
    const auto growth = [&](std::size_t k) { return method.growth(k, load(w2 + k * stride) * change); };
    Sides mean_growth{};
    for (std::size_t k = 0; k < out.outputs; ++k) mean_growth = mean_growth + broadcast(out.y[k]) * growth(k);
    const Sides phi = loss_change<Method>(out, mean_growth, growth);
    return phi.plus - phi.minus;
}

// phi(s) - phi(-s) of output unit k, for a pack of shifts s.
template <class Method>
Pack output_difference(const OutputState& out, const Method& method, std::size_t k, Pack s) {
    const Sides own = method.growth(k, {s, -s});
    const auto growth = [&](std::size_t l) { return l == k ? own : Sides{}; };
    const Sides phi = loss_change<Method>(out, broadcast(out.y[k]) * own, growth);
    return phi.plus - phi.minus;
}

}  // namespace secant::SECANT_ISA
