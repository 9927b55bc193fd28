// How many terms of the series are enough: a proven bound of the truncation error
// (docs/derivation.md).
//
// phi is analytic. If |phi| <= M on the disc |s| <= rho, then |c_m| <= M / rho^m
// (Cauchy), and with r = h max|x| of its inputs the terms above the odd order K change
// a central difference by at most
//
//     (M / h) (r / rho)^(K+2) / (1 - (r / rho)^2).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "secant/interface/constants.hpp"
#include "secant/interface/kernels.hpp"
#include "secant/network/activations.hpp"

namespace secant::SECANT_ISA {

// The largest |x| and |z1| of one sample, or of several.
struct Largest {
    double input, hidden;
};

inline Largest maximum(Largest a, Largest b) {
    return {std::max(a.input, b.input), std::max(a.hidden, b.hidden)};
}

// x = mantissa 2^exponent, as std::frexp has them.
struct Binary {
    explicit Binary(double x) : mantissa(std::frexp(x, &exponent)) {}
    int exponent = 0;  // musl does not write that of an infinity
    double mantissa;
};

// Whether the powers up to `highest` of weights up to `largest`, and small sums of
// them, are finite, and do not underflow where units change by `change`, more than 1:
// they would count next to its powers.
inline bool powers_are_normal(double largest, int highest, double change) {
    constexpr int margin = 16;
    const int exponent = Binary(largest).exponent * highest;
    return exponent <= std::numeric_limits<Real>::max_exponent - margin &&
           (change <= 1 ||
            exponent >= std::numeric_limits<Real>::min_exponent + margin);
}

// The orders of the series of hidden and of output units; 0 for none. That of outputs
// is the same, or larger where |z1| is: terms of higher orders cost little there.
struct Orders {
    int hidden, output;
};

// The third order of hidden units: over how many samples it may be summed in float32, 0
// if it may not; and whether the means that only it needs may be in float32, too.
struct ThirdOrderInFloat {
    std::size_t samples = 0;
    bool means = false;
};

class TruncationBound {
public:
    // `largest_weight` is max |w2|.
    TruncationBound(const Network& net, double h, double largest_weight)
        : net_(net), h_(h), discs_(discs_for(largest_weight)) {}

    // The smallest orders that are proven to be enough, 0 if there are none, for inputs
    // (the bias's 1 included) up to `largest`, and samples whose target weights sum to
    // at most `mass`. The truncation error is then below 1 % of the rounding error of a
    // plain loop, and below a fifth of the promised bound; with the rounding of
    // float32, two fifths.
    Orders orders(Largest largest, double mass) const {
        const auto smallest = [&](const Disc(&disc)[discs], double input,
                                  double largest_gradient) {
            const double allowed = tolerance(largest_gradient);
            int order = Limits<Real>::lowest_order;
            while (order <= Limits<Real>::highest_order &&
                   !(cut(disc, order, input, mass) <= allowed))
                order += 2;
            return order;
        };
        const int hidden =
            smallest(discs_.hidden, largest.input,
                     mass * std::max(1.0, largest.input) * discs_.largest_weight);
        const int highest =
            std::max(hidden, smallest(discs_.output, largest.hidden, mass));
        if (highest > Limits<Real>::highest_order) return {};
        if (highest > 1 &&
            !powers_are_normal(discs_.largest_weight, highest, h_ * largest.input))
            return {};
        return {is_bounded(net_.hidden_activation) ? highest : hidden, highest};
    }

    // Upper bound on the truncation error of such orders.
    double at(Orders orders, Largest largest, double mass) const {
        return std::max(cut(discs_.hidden, orders.hidden, largest.input, mass),
                        cut(discs_.output, orders.output, largest.hidden, mass));
    }

    // What of the third order of hidden units may be in float32, which has 24 bits.
    // With an input x its terms are at most third |x|^3, and their rounding errors stay
    // below the limit of the truncation error if
    //
    //     third |x|^3 (per_sum + samples + per_mean) <= 2^24 limit,
    //
    // where a sum of terms is rounded by each addition, the cube and the coefficient,
    // and a mean over classes by each addition, a product and both factors; terms may
    // have several means as factors. Not more than `most` samples, or classes, are
    // summed over before the sum is added to a double. Nothing, if these are too few to
    // gain time, or cubes of inputs may be too large for a float.
    ThirdOrderInFloat in_single(double largest_input, double mass, std::size_t most,
                                int means_in_a_term) const {
        // Of 784-50-10 x 100, dense: sums of 68 take 0.93 of the time of doubles, of
        // 38 1.02, of 22 1.11.
        constexpr double enough = 40, per_sum = 4;
        const double third = std::max(1.0, mass) * h_ * h_ * largest_third(),
                     cube = largest_input * largest_input * largest_input;
        const double allowed_roundings =
            std::ldexp(Limits<double>::truncation, 24) / third;
        const double per_mean =
            means_in_a_term * (3 + static_cast<double>(std::min(net_.outputs(), most)));
        const double samples = allowed_roundings / cube - per_sum,
                     with_means = samples - per_mean;
        if (!(largest_input <= 1e6 && samples >= enough)) return {};
        const bool means = with_means >= enough && per_mean <= allowed_roundings;
        return {static_cast<std::size_t>(
                    std::min(means ? with_means : samples, static_cast<double>(most))),
                means};
    }

    // The largest truncation error allowed, where a gradient has about this size at
    // most. What is promised of float64 is absolute, of float32 it is a share of the
    // gradient's terms: so the limit is a share of the gradient where that is below 1.
    double tolerance(double largest_gradient) const {
        const double size = is_single ? std::min(1.0, largest_gradient) : 1.0;
        return std::min(rounding_share * std::numeric_limits<Real>::epsilon() / h_,
                        Limits<Real>::truncation * size);
    }

private:
    using Sigmoid = activations::Sigmoid;
    using Identity = activations::Identity;

    struct Disc {
        double rho, m;
    };

    struct Discs {
        std::size_t hidden_activation;
        bool sigmoid_output;
        double largest_weight;
        Disc hidden[discs], output[discs];
    };

    // Kept from call to call of a thread: rounded up to 5 bits, the largest weight
    // seldom changes in training.
    Discs discs_for(double largest_weight) const {
        thread_local Discs cached{
            0, false, -1.0, {}, {}};  // no weight is negative: there are none yet
        const Binary weight(largest_weight);
        largest_weight =
            std::ldexp(std::ceil(weight.mantissa * 32.0), weight.exponent - 5);
        if (cached.hidden_activation == net_.hidden_activation &&
            cached.sigmoid_output == net_.sigmoid_output &&
            cached.largest_weight == largest_weight)
            return cached;
        cached = {net_.hidden_activation, net_.sigmoid_output, largest_weight, {}, {}};
        with_activation(net_.hidden_activation, [&]<class A>() {
            double rho = largest_radius;
            for (int i = 0; i < discs; ++i, rho *= radius_ratio) {
                cached.hidden[i] = {
                    rho, loss_bound(largest_weight * A::largest_change(rho))};
                cached.output[i] = {rho, loss_bound(rho)};
            }
        });
        return cached;
    }

    // -log(2 - e^v) for v below log 2, else infinite: nothing is proven.
    static double log_bound(double v) {
        return v < log_bound_limit ? -std::log1p(-std::expm1(v))
                                   : std::numeric_limits<double>::infinity();
    }

    // Upper bound on the change of a loss when no a2 changes by more than v, per unit
    // of target weight.
    double loss_bound(double v) const {
        const double z2 = net_.sigmoid_output ? Sigmoid::largest_change(v) : v;
        return log_bound(z2 + log_bound(z2));
    }

    // Upper bound on |c_3| of hidden units, per unit of target weight: their series
    // with upper bounds for coefficients and all terms positive: -log1p(-growth) has
    // the absolute coefficients of log1p(growth). The loss change is the difference of
    // two logarithms.
    double largest_third() const {
        using Series = Jet<3, double>;
        const auto series = []<class A>() {
            return Series{
                {0.0, A::coefficients[1], A::coefficients[2], A::coefficients[3]}};
        };
        Series output = net_.sigmoid_output ? series.template operator()<Sigmoid>()
                                            : series.template operator()<Identity>();
        double power = 1.0;
        for (int m = 1; m <= 3; ++m) {
            power *= discs_.largest_weight;
            output.c[m] *= power;
        }
        const Series growth = expm1(output), loss = -log1p(-growth);
        return 2.0 *
               compose(loss, with_activation(net_.hidden_activation, series)).c[3];
    }

    // Upper bound on what is cut after an odd order.
    double cut(const Disc (&disc)[discs], int order, double largest_input,
               double mass) const {
        const double r = h_ * std::max(1.0, largest_input);
        double least = std::numeric_limits<double>::infinity();
        for (const Disc& d : disc) {
            const double ratio = r / d.rho, square = ratio * ratio;
            if (!(ratio < 1)) continue;
            double power = ratio;
            for (int m = 1; m < order + 2; m += 2) power *= square;
            least = std::min(least, d.m * power / (1 - square));
        }
        return mass / h_ * least;
    }

    const Network& net_;
    double h_;
    const Discs discs_;
};

}  // namespace secant::SECANT_ISA
