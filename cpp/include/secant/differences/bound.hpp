// How far the series of a unit response may be cut: a proven bound of what is left out (docs/method.md).
//
// phi is analytic. If |phi| <= M on the disc |s| <= rho, then by Cauchy its coefficients obey |c_m| <= M / rho^m, and with
// r = h max|x| what is cut after the odd order K changes a central difference by at most
//
//     (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "secant/interface/constants.hpp"
#include "secant/simd/jet.hpp"

namespace secant::SECANT_ISA {

class TruncationBound {
public:
    TruncationBound(bool sigmoid_output, double h) : sigmoid_output_(sigmoid_output), h_(h) {
        double rho = largest_radius;
        for (int i = 0; i < discs; ++i, rho *= radius_ratio) {
            hidden_[i] = {rho, std::numeric_limits<double>::infinity()};
            output_[i] = {rho, loss_bound(rho)};
        }
    }

    // To be called before anything is asked: `largest` is max |w2|. Rounded up to 5 bits, it seldom changes in training.
    void set_weights(double largest) {
        int exponent = 0;  // what musl leaves unwritten for an infinity
        const double mantissa = std::frexp(largest, &exponent);
        largest = std::ldexp(std::ceil(mantissa * 32.0), exponent - 5);
        if (largest == largest_weight_) return;
        largest_weight_ = largest;
        for (Disc& disc : hidden_) disc.m = loss_bound(largest * sigmoid_bound(disc.rho));
    }

    // The smallest order that suffices, 0 where none is proven: for inputs up to `largest_input`, the bias's 1 included,
    // and samples whose target weights sum to at most `mass`. What is cut then stays below a hundredth of the rounding of
    // a plain loop, and below a fifth of what is promised; with what float32 rounds off, below two fifths.
    int order(double largest_input, double mass) const {
        const double tolerance = std::min(rounding_share * std::numeric_limits<double>::epsilon() / h_, truncation_limit);
        for (int order = 3; order <= 9; order += 2)
            if (at(order, largest_input, mass) <= tolerance) return order;
        return 0;
    }

    // The bound of what is cut after the odd order K.
    double at(int order, double largest_input, double mass) const {
        const double r = h_ * std::max(1.0, largest_input);
        return mass / h_ * std::max(remainder(hidden_, order, r), remainder(output_, order, h_));
    }

    // Whether the terms of order 3 of hidden units may be summed in float32, at most `samples` of them before that is added to
    // a double: what it rounds off is then no more than what may be cut. A float has 24 bits, and the
    // cube of an input above 1e13 would overflow it.
    bool third_in_single(double largest_input, double mass, std::size_t samples) const {
        const double rounding = std::ldexp(static_cast<double>(samples + 4), -24), r = h_ * largest_input;
        return largest_input <= 1e6 && rounding * std::max(1.0, mass) * largest_third() * largest_input * r * r <= truncation_limit;
    }

private:
    struct Disc {
        double rho, m;
    };

    // The most that a sigmoid changes within |s| <= rho < pi.
    static double sigmoid_bound(double rho) {
        constexpr double pi = 3.14159265358979323846;
        if (!(rho < pi)) return std::numeric_limits<double>::infinity();
        const double cosine = std::cos(rho / 2);
        return rho / (4 * cosine * cosine);
    }

    // -log(2 - e^v), infinite where it is not proven: v must be below log 2.
    static double log_bound(double v) { return v < log_bound_limit ? -std::log1p(-std::expm1(v)) : std::numeric_limits<double>::infinity(); }

    // The most that a loss changes when no a2 changes by more than v, per unit of target weight.
    double loss_bound(double v) const {
        const double z2 = sigmoid_output_ ? sigmoid_bound(v) : v;
        return log_bound(z2 + log_bound(z2));
    }

    // A bound of |c_3| of hidden units, per unit of target weight: their series taken with bounds for coefficients, all of them
    // positive, and no term that could cancel another. Those of the sigmoid are bounded by its largest derivatives.
    double largest_third() const {
        const Jet<3, double> sigmoid{{0.0, 1.0 / 4, 1.0 / 20, 1.0 / 48}};
        Jet<3, double> output = sigmoid_output_ ? sigmoid : Jet<3, double>{{0.0, 1.0, 0.0, 0.0}};
        double power = 1.0;
        for (int m = 1; m <= 3; ++m) output.c[m] *= power *= largest_weight_;
        Jet<3, double> growth = expm1(output);
        for (double& c : growth.c) c = -c;
        return -2.0 * compose(log1p(growth), sigmoid).c[3];
    }

    static double remainder(const Disc (&disc)[discs], int order, double r) {
        double least = std::numeric_limits<double>::infinity();
        for (const Disc& d : disc) {
            const double ratio = r / d.rho, square = ratio * ratio;
            if (!(ratio < 1)) continue;
            double power = ratio;
            for (int m = 1; m < order + 2; m += 2) power *= square;
            least = std::min(least, d.m * power / (1 - square));
        }
        return least;
    }

    bool sigmoid_output_;
    double h_;
    double largest_weight_ = -1.0;
    Disc hidden_[discs], output_[discs];
};

}  // namespace secant::SECANT_ISA
