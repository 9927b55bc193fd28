// The loss change for small shifts: D terms of the series of growths and log1p,
// relative error <= |2u|^D / (D + 1).
//
// The series of a growth depends on the sample and the output only: it is expanded
// once, and evaluated for every weight. For a hidden unit S is a polynomial in the
// change f of its output, with the coefficients sum over k of y_k g_k,m w_k^m.
#pragma once

#include <algorithm>

#include "secant/differences/response.hpp"
#include "secant/simd/jet.hpp"
#include "secant/simd/sums.hpp"

namespace secant::SECANT_ISA {

template <int D>
class Taylor {
public:
    static void expand(const OutputState& out, Real* coefficients) {
        for (std::size_t k = 0; k < out.outputs; ++k) {
            const auto growth = out.sigmoid_output
                                    ? expm1(sigmoid_series<D>(out.z2(k), out.zc2(k)))
                                    : expm1_series<D, Real>();
            std::copy_n(growth.c + 1, D, coefficients + k * D);
        }
    }

    Taylor(const OutputState& out, const Real* coefficients)
        : out_(out), coefficients_(coefficients) {}

    auto loss_change_of_hidden(Tile<const Real> w2) const {
        const Jet<D> mean = long_sum<Jet<D>>(out_.outputs, [&](Jet<D>& sum,
                                                               std::size_t k) {
            const Pack w = load(w2.row(k));
            Pack power = out_.y(k) * w;
            for (int m = 1; m <= D; ++m, power *= w)
                sum.c[m] = fma(
                    broadcast(coefficients_[k * D + static_cast<std::size_t>(m - 1)]),
                    power, sum.c[m]);
        });
        return [this, w2, mean](Sides f) {
            return loss_change_from_growths(
                polynomial(mean.c + 1, f),
                [&](std::size_t k) { return growth(k, load(w2.row(k)) * f); });
        };
    }

    Sides loss_change_of_output(std::size_t k, Sides u) const {
        const Sides own = growth(k, u);
        return loss_change_from_growths(broadcast(out_.y(k)) * own, [&](std::size_t l) {
            return l == k ? own : Sides{};
        });
    }

private:
    Sides growth(std::size_t k, Sides u) const {
        return polynomial(coefficients_ + k * D, u);
    }

    // c[0] x + c[1] x^2 + ... + c[D - 1] x^D; coefficients are numbers or packs.
    static Sides polynomial(const auto* c, Sides x) {
        Sides sum = both(c[D - 1]);
        for (int m = D - 2; m >= 0; --m) sum = fma(sum, x, both(c[m]));
        return sum * x;
    }

    template <class Growth>
    Sides loss_change_from_growths(Sides mean, const Growth& growth_of) const {
        const Sides scale = reciprocal(1 + mean);
        return long_sum<Sides>(out_.targets.count, [&](Sides& change, std::size_t i) {
            const Target t = out_.targets[i];
            const Sides w = broadcast(t.ratio) * ((growth_of(t.k) - mean) * scale);
            change = fma(broadcast(-t.weight), short_log1p(w), change);
        });
    }

    static Sides short_log1p(Sides w) {
        Real c[D];
        for (int m = 1; m <= D; ++m) c[m - 1] = fraction<Real>(m % 2 == 0 ? -m : m);
        return polynomial(c, w);
    }

    const OutputState& out_;
    const Real* coefficients_;
};

}  // namespace secant::SECANT_ISA
