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

#include "views.hpp"

namespace secant::SECANT_ISA {

class TruncationBound {
public:
    // `largest_weight` is max |w2|; `mass` the largest sum over k of t_k of a sample.
    TruncationBound(bool sigmoid_output, double largest_weight, double mass, double h) : h_(h) {
        double rho = 3.0;
        for (int i = 0; i < discs; ++i, rho *= 0.6) {
            hidden_[i] = {rho, mass * loss_bound(sigmoid_output, largest_weight * sigmoid_bound(rho))};
            output_[i] = {rho, mass * loss_bound(sigmoid_output, rho)};
        }
        // A fifth of what is promised, and 1 % of a plain loop's rounding.
        const double tolerance = std::min(2e-15, 0.01 * std::numeric_limits<double>::epsilon() / h);
        for (int i = 0; i < order_count; ++i) {
            const bool proven = largest_shift(output_, orders[i], tolerance) >= h;
            largest_input_[i] = proven ? largest_shift(hidden_, orders[i], tolerance) / h : 0.0;
        }
    }

    // The smallest order that is proven for inputs up to `largest`, the bias's 1 included; 0 where none is.
    int order(double largest) const {
        for (int i = 0; i < order_count; ++i)
            if (std::max(1.0, largest) <= largest_input_[i]) return orders[i];
        return 0;
    }

    // The bound of what is cut after the odd order K, for inputs up to `largest`.
    double at(int order, double largest) const {
        return std::max(remainder(hidden_, order, h_ * std::max(1.0, largest)), remainder(output_, order, h_));
    }

private:
    static constexpr int orders[] = {3, 5, 7, 9};
    static constexpr int order_count = 4;
    static constexpr int discs = 16;
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

    // The most that a loss changes when no a2 changes by more than v, per unit of target weight.
    static double loss_bound(bool sigmoid_output, double v) {
        const double z2 = sigmoid_output ? sigmoid_bound(v) : v;
        const double log_y = z2 - std::log1p(-std::expm1(z2));  // NaN unless z2 < log 2
        const double loss = -std::log1p(-std::expm1(log_y));    // NaN unless log_y < log 2
        return loss >= 0 ? loss : std::numeric_limits<double>::infinity();
    }

    double remainder(const Disc (&disc)[discs], int order, double r) const {
        double least = std::numeric_limits<double>::infinity();
        for (const Disc& d : disc) {
            const double ratio = r / d.rho;
            if (ratio < 1) least = std::min(least, d.m / h_ * std::pow(ratio, order + 2) / (1 - ratio * ratio));
        }
        return least;
    }

    // The largest r whose remainder is at most `tolerance`, or one a little smaller: r / rho is held below 1/2, where the
    // last factor is below 4/3.
    double largest_shift(const Disc (&disc)[discs], int order, double tolerance) const {
        double largest = 0.0;
        for (const Disc& d : disc)
            largest = std::max(largest, d.rho * std::min(0.5, std::pow(0.75 * tolerance * h_ / d.m, 1.0 / (order + 2))));
        return largest;
    }

    double h_;
    Disc hidden_[discs], output_[discs];
    double largest_input_[order_count];
};

}  // namespace secant::SECANT_ISA
