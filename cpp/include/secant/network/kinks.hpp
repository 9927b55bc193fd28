// Units whose pre-activation is so close to the kink of its activation, at 0, that a central difference may step across it. They
// have no series, and their a1 is needed with all its digits: what rounding a sum of products does to it would be divided by h.
#pragma once

#include "secant/network/parameters.hpp"
#include "secant/network/rows.hpp"

namespace secant::SECANT_ISA {

class Kinks {
public:
    // For shifts up to `h` times an input. Without h nothing is found.
    Kinks(Workspace& work, const Parameters& net, const Rows& rows, std::size_t capacity, Real h)
        : exist(h > 0 && with_activation(net.hidden_activation(), []<class A>() { return A::kink; })),
          net_(net),
          rows_(rows),
          capacity_(capacity),
          h_(h),
          found_(work.take<bool>(exist ? capacity * net.panels.count : 0)),
          units_(work.take<Real>(exist ? 2 * net.panels.total_width() : 0)),
          terms_(work.take<Real>(exist ? capacity : 0)),
          inputs_(work.take<Real>(exist ? capacity : 0)) {}

    // Rounding moves a1 of a unit by at most eps (m + 2) (sum|x_n| max_i|w_ij| + |b_j|), for m inputs that are not zero. That does not
    // depend on the panel, so neither does what is found. First what it needs of the units of a panel, then of a row.
    void measure(std::size_t panel) {
        const Incoming<const Real> w = net_.incoming(panel);
        Real *weights = units_ + 2 * panel * net_.panels.width(), *biases = weights + net_.panels.width();
        for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes) {
            const std::size_t columns = std::min(lanes, w.columns - j), units = std::min(lanes, net_.panels.units_in(panel) - j);
            Pack largest{};
            for (std::size_t i = 0; i < net_.inputs(); ++i)
                largest = maximum(largest, absolute(load_part(w.weights.row(i) + j, columns)));
            store(weights + j, largest);
            // Padding is never near.
            constexpr Real nowhere = -std::numeric_limits<Real>::infinity();
            for (std::size_t l = 0; l < lanes; ++l) biases[j + l] = l < units ? std::abs(w.bias[j + l]) : nowhere;
        }
    }
    void measure_row(std::size_t n) {
        std::size_t inputs = 0;
        Real sum = 0;
        for (std::size_t b = 0; b < rows_.blocks(); ++b) {
            const RowBlock row = rows_.block_alone(n, b);
            inputs += static_cast<std::size_t>(row.end - row.begin);
            for (const Entry* e = row.begin; e < row.end; ++e) sum += std::abs(row.values[e->value]);
        }
        terms_[n] = std::numeric_limits<Real>::epsilon() * static_cast<Real>(inputs + 2);
        inputs_[n] = std::min(sum, std::numeric_limits<Real>::max());  // a weight of 0 leaves nothing of it
    }

    // Looks at the units of sample n in a panel. Those that rounding leaves in doubt are summed with twice the digits. If one is
    // close, a1 becomes infinite for all that are not, and exact to the last digit for those that are; they have the slope 0.
    template <class Activation>
    void find(std::size_t panel, std::size_t n, Real* a1, Real* slope) {
        const std::size_t size = net_.panels.packs_in(panel) * lanes;
        found_[panel * capacity_ + n] = false;
        if (!any_near(size, [&](std::size_t j) { return excess(panel, n, j, load(a1 + j), terms_[n]); })) return;
        // What twice the digits lose is the square of what the digits lose.
        const auto exactly = [&](std::size_t j) { return excess(panel, n, j, load(a1 + j), terms_[n] * terms_[n]); };
        for (std::size_t j = 0; j < size; j += lanes) {
            const Pack doubt = excess(panel, n, j, load(a1 + j), terms_[n]);
            if (!(largest_lane(doubt) >= 0)) continue;
            const Pack exact = pre_activations(panel, n, j);
            store(a1 + j, select(doubt >= 0, exact, load(a1 + j)));
            store(slope + j, select(doubt >= 0, Activation::evaluate(exact).state + zero_or_nan(exact), load(slope + j)));
        }
        const bool any = found_[panel * capacity_ + n] = any_near(size, exactly);
        for (std::size_t j = 0; any && j < size; j += lanes) {
            const Pack by = exactly(j);
            store(a1 + j, select(by >= 0, load(a1 + j), broadcast(std::numeric_limits<Real>::infinity())));
            store(slope + j, select(by >= 0, Pack{}, load(slope + j)));
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
    // Whether by(j) is at least 0 for a unit of any pack.
    template <class By>
    static bool any_near(std::size_t size, const By& by) {
        Pack most = broadcast(-1);
        for (std::size_t j = 0; j < size; j += lanes) most = maximum(most, by(j));
        return largest_lane(most) >= 0;
    }

    // By how much a shift may reach beyond 0, for a pack of units whose a1 has lost that share of its terms.
    Pack excess(std::size_t panel, std::size_t n, std::size_t j, Pack a1, Real lost) const {
        const Real *weights = units_ + 2 * panel * net_.panels.width() + j, *biases = weights + net_.panels.width();
        const Real reach = h_ * std::max(Real{1}, rows_.largest(n)) * (1 + 4 * std::numeric_limits<Real>::epsilon());
        return reach + lost * (inputs_[n] * load(weights) + load(biases)) - absolute(a1);
    }

    // a1 of a pack of units, as if summed with twice as many digits and then rounded (Ogita, Rump, Oishi: Dot2).
    Pack pre_activations(std::size_t panel, std::size_t n, std::size_t j) const {
        const Incoming<const Real> w = net_.incoming(panel);
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
        return sum + select(zero_or_nan(lost) == 0, lost, Pack{});  // halves of a number above 1e300 overflow
    }

    const Parameters& net_;
    const Rows& rows_;
    std::size_t capacity_;
    Real h_;
    bool* found_;             // (panels, capacity)
    Real* units_;             // of a panel: the largest |w| of each of its units, then |b|
    Real *terms_, *inputs_;   // (capacity,) of a row: eps (m + 2), and the sum of |x|
};

}  // namespace secant::SECANT_ISA
