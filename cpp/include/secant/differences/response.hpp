// The unit response phi: how much the loss of one sample changes when one pre-activation of the network is shifted.
//
// Two losses are never computed and subtracted: that cancels half of the digits, and is all of the error of a plain
// central difference. The change is computed as such (docs/method.md), here at +s and at -s.
#pragma once

#include <algorithm>

#include "secant/network/forward.hpp"
#include "secant/simd/jet.hpp"
#include "secant/network/targets.hpp"

namespace secant::SECANT_ISA {

// The two sides of a central difference, evaluated together; each in as many lanes as a pack has.
struct Sides {
    Pack plus, minus;
};

inline Sides operator*(Pack a, Sides b) { return {a * b.plus, a * b.minus}; }
inline Sides operator*(Sides a, Sides b) { return {a.plus * b.plus, a.minus * b.minus}; }
inline Sides operator+(Sides a, Sides b) { return {a.plus + b.plus, a.minus + b.minus}; }
inline Sides operator-(Sides a) { return {-a.plus, -a.minus}; }
inline Sides operator-(Sides a, Sides b) { return {a.plus - b.plus, a.minus - b.minus}; }
inline Sides operator+(double a, Sides b) { return {a + b.plus, a + b.minus}; }
inline Sides fma(Sides a, Sides b, Sides c) { return {fma(a.plus, b.plus, c.plus), fma(a.minus, b.minus, c.minus)}; }
inline Sides both(double a) { return {broadcast(a), broadcast(a)}; }
#if SECANT_VECTORS
inline Sides both(Pack a) { return {a, a}; }
#endif
inline Sides reciprocal(Sides a) { return {1.0 / a.plus, 1.0 / a.minus}; }
inline Sides exp(Sides a) { return {exp(a.plus), exp(a.minus)}; }
inline Sides expm1(Sides a) { return {expm1(a.plus), expm1(a.minus)}; }
inline Sides log(Sides a) { return {log(a.plus), log(a.minus)}; }
inline Sides log1p(Sides a) { return {log1p(a.plus), log1p(a.minus)}; }

// A unit before it is shifted: a, z = sigmoid(a), zc = sigmoid(-a).
struct Unshifted {
    Pack a, z, zc;
};

// For small shifts sigmoid(a + u) - sigmoid(a) = z zc m / (1 + z m), with m = expm1(u).
// For u < 0 that denominator cancels, so packs take the mirrored form there: - z zc m / (1 + zc m), with m = expm1(-u).

// By u and by -u, a small shift u > 0, m = expm1(u).
inline Sides small_sigmoid_changes(const Unshifted& unit, Pack m) {
    const auto [a, z, zc] = unit;
    return {(z * zc) * m / fma(z, m, broadcast(1.0)), -((z * zc) * m / fma(zc, m, broadcast(1.0)))};
}

// By a shift u that is not small: two sigmoids are then too far from each other for their difference to cancel. Where z or zc
// has underflowed, a knows how far u is from lifting it.
inline Pack large_sigmoid_change(const Unshifted& unit, Pack u) {
    const Pack shifted = unit.a + u;
    const auto [z, zc] = sigmoid(shifted);
    return select(unit.a + shifted > 0.0, unit.zc - zc, z - unit.z);
}

// By any shift.
inline Pack sigmoid_change(const Unshifted& unit, Pack u) {
    const Pack size = absolute(u);
    const Sides small = small_sigmoid_changes(unit, expm1(size));
    const Pack change = select(u > 0.0, small.plus, small.minus);
    if (!(largest_lane(size) > small_shift_limit)) return change;
    return select(size > small_shift_limit, large_sigmoid_change(unit, u), change);
}

// The output layer of one sample, as the forward pass left it, and its targets.
class OutputState {
public:
    OutputState(const Parameters& net, const Samples& samples, const TargetLists& targets, std::size_t n)
        : sigmoid_output(net.sigmoid_output()),
          outputs(net.outputs()),
          target_count(targets.count(n)),
          targets_(targets),
          n_(n),
          a2_(samples.a2(n)),
          z2_(samples.z2(n)),
          zc2_(samples.zc2(n)),
          y_(samples.y(n)) {}

    double a2(std::size_t k) const { return a2_[k * lanes]; }
    double z2(std::size_t k) const { return z2_[k * lanes]; }
    double zc2(std::size_t k) const { return zc2_[k * lanes]; }
    double y(std::size_t k) const { return y_[k * lanes]; }
    Target target(std::size_t i) const { return targets_.target(n_, i); }

    std::size_t most_probable() const {
        std::size_t most = 0;
        for (std::size_t k = 1; k < outputs; ++k) most = y(k) > y(most) ? k : most;
        return most;
    }

    const bool sigmoid_output;
    const std::size_t outputs;
    const std::size_t target_count;

private:
    const TargetLists& targets_;
    std::size_t n_;
    const double *a2_, *z2_, *zc2_, *y_;
};

// A method gives the loss change when one a2_k is shifted by u, and its Unit that for a pack of hidden units with the
// outgoing weights w2[k * stride], whose sigmoids change by f: each a2_k is shifted by w_k f.
// With growth e_k = exp(z2'_k - z2_k) - 1 of the softmax numerators, and S = sum over k of y_k e_k, it is
// - sum over k of t_k log1p( y_k / (y_k + 1e-7) * (e_k - S) / (1 + S) ).

// For small shifts: growths and log1p by D terms of their series, relative error <= |2u|^D / (D + 1). The series of
// a growth depends on the sample and the output only, so it is expanded once and evaluated for every weight. For a hidden
// unit S is a polynomial in the change f of its sigmoid, with the coefficients sum over k of y_k g_k,m w_k^m.
template <int D>
class Taylor {
public:
    class Unit {
    public:
        Unit(const Taylor& method, const double* w2, std::size_t stride) : method_(method), w2_(w2), stride_(stride) {
            for (std::size_t k = 0; k < method.out_.outputs; ++k) {
                const Pack w = load(w2 + k * stride);
                Pack power = method.out_.y(k) * w;
                for (int m = 0; m < D; ++m, power *= w)
                    mean_[m] = fma(broadcast(method.coefficients_[k * D + static_cast<std::size_t>(m)]), power, mean_[m]);
            }
        }

        Sides loss_change(Sides f) const {
            return method_.loss_change(polynomial(mean_, f), [&](std::size_t k) {
                return method_.growth(k, load(w2_ + k * stride_) * f);
            });
        }

    private:
        const Taylor& method_;
        const double* w2_;
        std::size_t stride_;
        Pack mean_[D] = {};
    };

    static void expand(const OutputState& out, double* coefficients) {
        for (std::size_t k = 0; k < out.outputs; ++k) {
            const auto growth = out.sigmoid_output ? expm1(sigmoid_series<D>(out.z2(k), out.zc2(k)))
                                                   : expm1_series<D, double>();
            std::copy_n(growth.c + 1, D, coefficients + k * D);
        }
    }

    Taylor(const OutputState& out, const double* coefficients) : out_(out), coefficients_(coefficients) {}

    Sides loss_change(std::size_t k, Sides u) const {
        const Sides own = growth(k, u);
        return loss_change(broadcast(out_.y(k)) * own, [&](std::size_t l) { return l == k ? own : Sides{}; });
    }

private:
    Sides growth(std::size_t k, Sides u) const { return polynomial(coefficients_ + k * D, u); }

    // c[0] x + c[1] x^2 + ... + c[D - 1] x^D, for coefficients that are numbers or packs.
    static Sides polynomial(const auto* c, Sides x) {
        Sides sum = both(c[D - 1]);
        for (int m = D - 2; m >= 0; --m) sum = fma(sum, x, both(c[m]));
        return sum * x;
    }

    template <class Growth>
    Sides loss_change(Sides mean, const Growth& growth_of) const {
        const Sides scale = reciprocal(1.0 + mean);
        Sides change{};
        for (std::size_t i = 0; i < out_.target_count; ++i) {
            const Target t = out_.target(i);
            const Sides w = broadcast(t.ratio) * ((growth_of(t.k) - mean) * scale);
            change = fma(both(-t.weight), short_log1p(w), change);
        }
        return change;
    }

    static Sides short_log1p(Sides w) {
        double c[D];
        for (int m = 1; m <= D; ++m) c[m - 1] = (m % 2 == 0 ? -1.0 : 1.0) / m;
        return polynomial(c, w);
    }

    const OutputState& out_;
    const double* coefficients_;
};

// For shifts of any size: the full functions. Softmax does not see a common factor of its numerators, so growths are taken
// relative to one that is large enough for 1 + S not to cancel.
class Exact {
public:
    class Unit {
    public:
        Unit(const Exact& method, const double* w2, std::size_t stride) : method_(method), w2_(w2), stride_(stride) {}

        Sides loss_change(Sides f) const {
            return method_.loss_change([&](std::size_t k) { return load(w2_ + k * stride_) * f; });
        }

    private:
        const Exact& method_;
        const double* w2_;
        std::size_t stride_;
    };

    Exact(const OutputState& out, const double*)
        : out_(out), top_(out.most_probable()) {}

    // Relative to the most probable class: 1 + S >= 1 / O.
    template <class Shift>
    Sides loss_change(const Shift& shift) const {
        const Sides top = exponent(top_, shift(top_));
        const auto relative = [&](std::size_t k) { return exponent(k, shift(k)) - top; };
        Sides mean{}, farthest{};
        for (std::size_t k = 0; k < out_.outputs; ++k) {
            const Sides q = relative(k);
            mean = mean + broadcast(out_.y(k)) * expm1(q);
            farthest = larger(farthest, q);
        }
        const Sides change = loss_change(1.0 + mean, [&](std::size_t k) {
            const Sides q = relative(k);
            return Growth{exp(q), expm1(q) - mean};
        });
        return or_anew(change, farthest, [&](std::size_t k) { return exponent(k, shift(k)); });
    }

    // Relative to the larger of e^q and 1, the numerators of k and of the others: 1 + S is a sum of positive terms, and
    // e_k - S = (1 - y_k) (e^q - 1).
    Sides loss_change(std::size_t k, Sides u) const {
        double others = 0.0;  // 1 - y_k would cancel
        for (std::size_t l = 0; l < out_.outputs; ++l) others += l == k ? 0.0 : out_.y(l);
        const Sides q = exponent(k, u), down = not_above_0(q), up = not_above_0(-q);
        const Sides own = exp(down), other = exp(up);
        const Sides rise = expm1(down) - expm1(up);  // own - other; one of them is 1
        const Pack y = broadcast(out_.y(k)), rest = broadcast(others);
        const Sides change = loss_change(rest * other + y * own, [&](std::size_t l) {
            return l == k ? Growth{own, rest * rise} : Growth{other, -y * rise};
        });
        return or_anew(change, larger(Sides{}, q), [&](std::size_t l) { return l == k ? q : Sides{}; });
    }

private:
    // Of a numerator: its factor, and that factor less 1 + S.
    struct Growth {
        Sides factor, excess;
    };

    // z2'_k - z2_k
    Sides exponent(std::size_t k, Sides u) const {
        if (!out_.sigmoid_output) return u;
        const Unshifted unit{broadcast(out_.a2(k)), broadcast(out_.z2(k)), broadcast(out_.zc2(k))};
        return {sigmoid_change(unit, u.plus), sigmoid_change(unit, u.minus)};
    }

    static Sides not_above_0(Sides q) { return {select(q.plus < 0.0, q.plus, Pack{}), select(q.minus < 0.0, q.minus, Pack{})}; }
    static Sides larger(Sides a, Sides b) { return {maximum(absolute(b.plus), a.plus), maximum(absolute(b.minus), a.minus)}; }

    // Given 1 + S.
    template <class GrowthOf>
    Sides loss_change(Sides sum, const GrowthOf& growth_of) const {
        const Sides scale = reciprocal(sum);
        Sides change{};
        for (std::size_t i = 0; i < out_.target_count; ++i) {
            const Target t = out_.target(i);
            const double y = out_.y(t.k);
            const Growth growth = growth_of(t.k);
            const Sides w = broadcast(t.ratio) * (growth.excess * scale);
            // Where the probability has all but vanished 1 + w cancels, and it is computed as a probability.
            const Sides near = log1p(w);
            const Sides far = log_ratio(y, broadcast(y) * (growth.factor * scale));
            change = change - broadcast(t.weight) * Sides{select(w.plus < -0.5, far.plus, near.plus),
                                                          select(w.minus < -0.5, far.minus, near.minus)};
        }
        return change;
    }

    // `change` where exponents are so small that growths are finite, and lift nothing of a probability that has underflowed;
    // elsewhere the softmax is computed anew.
    template <class ExponentOf>
    Sides or_anew(Sides change, Sides farthest, const ExponentOf& exponent_of) const {
        if (!(largest_lane(maximum(farthest.plus, farthest.minus)) > exponent_limit)) return change;
        const auto logit = [&](std::size_t k) {
            return both(out_.sigmoid_output ? out_.z2(k) : out_.a2(k)) + exponent_of(k);
        };
        Sides top = logit(0), sum{}, anew{};
        for (std::size_t k = 1; k < out_.outputs; ++k)
            top = {maximum(top.plus, logit(k).plus), maximum(top.minus, logit(k).minus)};
        for (std::size_t k = 0; k < out_.outputs; ++k) sum = sum + exp(logit(k) - top);
        const Sides scale = reciprocal(sum);
        for (std::size_t i = 0; i < out_.target_count; ++i) {
            const Target t = out_.target(i);
            anew = anew - broadcast(t.weight) * log_ratio(out_.y(t.k), exp(logit(t.k) - top) * scale);
        }
        return {select(farthest.plus > exponent_limit, anew.plus, change.plus),
                select(farthest.minus > exponent_limit, anew.minus, change.minus)};
    }

    // log((shifted + 1e-7) / (y + 1e-7))
    static Sides log_ratio(double y, Sides shifted) {
        return log(broadcast(1.0 / (y + log_offset)) * (log_offset + shifted));
    }

    const OutputState& out_;
    std::size_t top_;
};

// phi(s) - phi(-s) of a pack of hidden units, whose sigmoids change by f.
template <class Unit>
Pack hidden_difference(const Unit& unit, Sides f) {
    const Sides phi = unit.loss_change(f);
    return phi.plus - phi.minus;
}

// phi(s) - phi(-s) of output unit k, for a pack of shifts s.
template <class Method>
Pack output_difference(const Method& method, std::size_t k, Pack s) {
    const Sides phi = method.loss_change(k, Sides{s, -s});
    return phi.plus - phi.minus;
}

}  // namespace secant::SECANT_ISA
