// Units whose pre-activation is so close to the kink of its activation, at 0, that a central difference may step across it. They
// have no series, and their a1 is needed with all its digits: what rounding a sum of products does to it would be divided by h.
#pragma once

#include "secant/network/parameters.hpp"
#include "secant/network/rows.hpp"

namespace secant::SECANT_ISA {

class Kinks {
public:
    // For shifts up to `h` times an input. Without h nothing is found.
    Kinks(Workspace& work, const Parameters& net, const Rows& rows, std::size_t capacity, double h)
        : exist(h > 0.0 && with_activation(net.hidden_activation(), []<class A>() { return A::kink; })),
          net_(net),
          rows_(rows),
          capacity_(capacity),
          h_(h),
          found_(work.take<bool>(exist ? capacity * net.panels.count : 0)),
          rounding_(work.take<double>(exist ? 2 * net.panels.total_width() : 0)) {}

    // For each unit of a panel, how far rounding moves its a1: by at most eps (I + 2) (I max|x_n| max_i|w_ij| + |b_j|). That does
    // not depend on the panel, so neither does what is found.
    void measure(std::size_t panel) {
        const Incoming<const double> w = net_.incoming(panel);
        const auto inputs = static_cast<double>(net_.inputs());
        const double eps = std::numeric_limits<double>::epsilon() * (inputs + 2.0);
        double *of_inputs = rounding_ + 2 * panel * net_.panels.width(), *of_bias = of_inputs + net_.panels.width();
        for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes) {
            const std::size_t columns = std::min(lanes, w.columns - j), units = std::min(lanes, net_.panels.units_in(panel) - j);
            Pack largest{};
            for (std::size_t i = 0; i < net_.inputs(); ++i)
                largest = maximum(largest, absolute(load_part(w.weights.row(i) + j, columns)));
            store(of_inputs + j, eps * inputs * largest);
            // Padding is never near.
            constexpr double nowhere = -std::numeric_limits<double>::infinity();
            for (std::size_t l = 0; l < lanes; ++l) of_bias[j + l] = l < units ? eps * std::abs(w.bias[j + l]) : nowhere;
        }
    }

    // Looks at the units of sample n in a panel. If one is close, a1 becomes infinite for all that are not, and exact to the last
    // digit for those that are; they have the slope 0.
    void find(std::size_t panel, std::size_t n, double* a1, double* slope) {
        const std::size_t size = net_.panels.packs_in(panel) * lanes;
        Pack most = broadcast(-1.0);
        for (std::size_t j = 0; j < size; j += lanes) most = maximum(most, excess(panel, n, j, load(a1 + j)));
        const bool any = found_[panel * capacity_ + n] = largest_lane(most) >= 0.0;
        for (std::size_t j = 0; any && j < size; j += lanes) {
            const Pack by = excess(panel, n, j, load(a1 + j));
            const Pack exact = largest_lane(by) >= 0.0 ? pre_activations(panel, n, j) : Pack{};
            store(a1 + j, select(by >= 0.0, exact, broadcast(std::numeric_limits<double>::infinity())));
            store(slope + j, select(by >= 0.0, Pack{}, load(slope + j)));
        }
    }

    bool found(std::size_t panel, std::size_t n) const { return found_[panel * capacity_ + n]; }
    bool found(std::size_t n) const {
        bool any = false;
        for (std::size_t panel = 0; panel < net_.panels.count; ++panel) any = any || found(panel, n);
        return any;
    }

    const bool exist;  // whether anything is looked for

private:
    // By how much a shift may reach beyond 0, for a pack of units.
    Pack excess(std::size_t panel, std::size_t n, std::size_t j, Pack a1) const {
        const double x = rows_.largest(n), *of_inputs = rounding_ + 2 * panel * net_.panels.width() + j;
        const double reach = h_ * std::max(1.0, x) * (1.0 + 4.0 * std::numeric_limits<double>::epsilon());
        return reach + x * load(of_inputs) + load(of_inputs + net_.panels.width()) - absolute(a1);
    }

    // a1 of a pack of units, as if summed with twice as many digits and then rounded (Ogita, Rump, Oishi: Dot2).
    Pack pre_activations(std::size_t panel, std::size_t n, std::size_t j) const {
        const Incoming<const double> w = net_.incoming(panel);
        const std::size_t columns = std::min(lanes, w.columns - j);
        Pack sum = load_part(w.bias + j, columns), lost{};
        for (std::size_t b = 0; b < rows_.blocks(); ++b) {
            const RowBlock row = rows_.block(n, b);
            for (const Entry* e = row.begin; e < row.end; ++e) {
                const Pack weight = load_part(w.weights.row(b * block_columns + e->column) + j, columns);
                const auto product = two_product(broadcast(row.values[e->value]), weight);
                const auto next = two_sum(sum, product.value);
                sum = next.sum;
                lost += next.lost + product.lost;
            }
        }
        return sum + select(zero_or_nan(lost) == 0.0, lost, Pack{});  // halves of a number above 1e300 overflow
    }

    const Parameters& net_;
    const Rows& rows_;
    std::size_t capacity_;
    double h_;
    bool* found_;       // (panels, capacity)
    double* rounding_;  // of a panel: what inputs of 1 do to each of its units, then what the bias does
};

}  // namespace secant::SECANT_ISA
