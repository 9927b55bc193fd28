// The proven bound of the truncation error: no series errs by more, and orders are the
// smallest that are proven. From the root:
//
//     g++ -std=c++20 -O1 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/bound.cpp -o bound && ./bound
#include "driver.hpp"
#include "secant/differences/bound.hpp"

using namespace driver;

namespace {

constexpr int terms = 40;   // far more than any series has
constexpr int beyond = 41;  // an order after which nothing is left to cut

// To 5 bits, as the bound takes weights.
double rounded_up(double weight) {
    int exponent = 0;
    const double mantissa = std::frexp(weight, &exponent);
    return std::ldexp(std::ceil(mantissa * 32), exponent - 5);
}

// The odd coefficients of the loss change of label 0 when the pre-activation of one
// sigmoid unit is shifted: two classes with the weights w and -w, whose activations are
// equal.
struct Case {
    double w, a;

    Jet<terms, double> response() const {
        const double z = 1 / (1 + std::exp(-a));
        Jet<terms, double> unit = sigmoid_series<terms, double>(z, 1 - z), up = unit,
                           down = unit;
        for (int m = 1; m <= terms; ++m) {
            up.c[m] *= w;
            down.c[m] *= -w;
        }
        const Jet<terms, double> e = expm1(up), f = expm1(down);
        Jet<terms, double> mean{};
        for (int m = 1; m <= terms; ++m) mean.c[m] = (e.c[m] + f.c[m]) / 2;
        Jet<terms, double> loss = log1p(mean);  // log(sum) - log(own)
        for (int m = 1; m <= terms; ++m) loss.c[m] -= up.c[m];
        return loss;
    }
};

}  // namespace

int main() {
    require(powers_are_normal(1, 9, 1) &&
                !powers_are_normal(std::sqrt(std::numeric_limits<Real>::max()), 3, 1),
            "powers of weights");
    const double tiny_weight = std::sqrt(std::numeric_limits<Real>::min());
    require(
        powers_are_normal(tiny_weight, 4, 1) && !powers_are_normal(tiny_weight, 4, 2),
        "powers of small weights");
    SmallNetwork small{1, 1, 2};
    for (const double h : {1e-6, 2e-5, 1e-4, 1e-3, 1e-2, 3e-2})
        for (const double w : {1e-5, 0.125, 0.875, 3.0})
            for (const double x : {0.5, 1.0, 8.0}) {
                small.w2 = {static_cast<Real>(w), static_cast<Real>(-w)};
                const Network net = small.view();
                const TruncationBound bound(net, h, w);
                const Largest largest{x, 1.0};
                const Orders orders = bound.orders(largest, 1);
                // Of float32 it is a share of the gradient, which is about as large as
                // an input times a weight.
                const auto tolerance = [&](double gradient) {
                    const double size = is_single ? std::min(1.0, gradient) : 1.0;
                    return std::min(
                        rounding_share * std::numeric_limits<Real>::epsilon() / h,
                        Limits<Real>::truncation * size);
                };
                const auto of_hidden = [&](int order) {
                    return bound.at({order, beyond}, largest, 1);
                };
                const auto of_output = [&](int order) {
                    return bound.at({beyond, order}, largest, 1);
                };
                const double gradient = std::max(1.0, x) * rounded_up(w);
                if (orders.hidden == 0) continue;
                require(orders.hidden % 2 == 1 && orders.hidden <= orders.output &&
                            orders.output <= Limits<Real>::highest_order,
                        "an order");
                require(of_hidden(orders.hidden) <= tolerance(gradient),
                        "the bound of the order of hidden units");
                require(of_output(orders.output) <= tolerance(1),
                        "the bound of the order of output units");
                if (orders.hidden - 2 >= Limits<Real>::lowest_order)
                    require(of_hidden(orders.hidden - 2) > tolerance(gradient) ||
                                of_output(orders.output - 2) > tolerance(1),
                            "orders are the smallest that are proven");
                // -log(2 - e^(w f)) = w f + (w f)^2 + (w f)^3 + ..., of f = s / 4 + s^2
                // / 20 + s^3 / 48; twice, for two logarithms.
                const double third = 2 * (w / 48 + w * w / 40 + w * w * w / 64),
                             terms_in_single = h * h * third * x * x * x;
                const double room = std::ldexp(Limits<double>::truncation, 24) /
                                    terms_in_single;  // roundings of such a term
                const ThirdOrderInFloat single = bound.in_single(x, 1, rows_at_once, 1);
                const double used = static_cast<double>(single.samples) + 4 +
                                    (single.means ? 3 + 2 : 0);
                require(single.samples == 0 || used <= room, "roundings in float32");
                require(single.samples == rows_at_once ||
                            used + (single.samples > 0 ? 1 : 40) > room,
                        "no more than needed");
                require(bound.orders({x / 2, 1.0}, 1).hidden <= orders.hidden,
                        "smaller inputs need no more terms");
                require(close(bound.at(orders, largest, 2),
                              2 * Exact{bound.at(orders, largest, 1)},
                              bound.at(orders, largest, 2), 4),
                        "the bound is proportional to the weights of targets");
                for (const double a : {-1.0, 0.0, 0.7}) {
                    const Jet<terms, double> phi = Case{w, a}.response();
                    const Exact s = std::max(1.0, x) * h;
                    Exact cut = 0;
                    for (int m = orders.hidden + 2; m < terms; m += 2)
                        cut += phi.c[m] * std::pow(s, m);
                    require(std::abs(cut) / h <= bound.at(orders, largest, 1),
                            "what is cut is within the bound");
                }
            }
    const Network net = small.view();
    require(TruncationBound(net, 1e-4, 3.0)
                    .orders({std::numeric_limits<double>::infinity(), 1}, 1)
                    .hidden == 0,
            "nothing is proven for infinite inputs");
    require(TruncationBound(net, 100.0, 3.0).orders({1, 1}, 1).hidden == 0,
            "nor for large steps");
    return verdict("bound");
}
