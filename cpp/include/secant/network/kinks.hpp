// Units whose pre-activation is so close to the kink of its activation, at 0, that a
// central difference may step across it. They have no series, and their a1 is needed
// with all its digits: what rounding a sum of products does to it would be divided by
// h.
#pragma once

#include "secant/network/parameters.hpp"
#include "secant/network/rows.hpp"
#include "secant/simd/twice_the_digits.hpp"

namespace secant::SECANT_ISA {

class Kinks {
public:
    // For shifts up to `h` times an input. Without h nothing is found.
    Kinks(Workspace& work, const Parameters& net, const Rows& rows,
          std::size_t capacity, Real h)
        : enabled(h > 0 && with_activation(net.hidden_activation(),
                                           []<class A>() { return A::kink; })),
          net_(net),
          rows_(rows),
          capacity_(capacity),
          h_(h),
          near_(work.take<std::uint32_t>(
              enabled ? capacity * net.panels.count * net.panels.packs_in(0) : 0)),
          units_(work.take<Real>(enabled ? 2 * net.panels.total_width() : 0)),
          terms_(work.take<Real>(enabled ? capacity : 0)),
          inputs_(work.take<Real>(enabled ? capacity : 0)) {}

    // Rounding moves a1 of a unit by at most eps (m + 2) (|x_n|_2 |w_j|_2 + |b_j|), for
    // m inputs that are not zero. That does not depend on the panel, so neither does
    // what is found. First what it needs of the units of a panel, then of a row.
    void measure(std::size_t panel) {
        const Incoming<const Real> w = net_.incoming(panel);
        Real *norms = units_ + 2 * panel * net_.panels.width(),
             *biases = norms + net_.panels.width();
        for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes) {
            const std::size_t units = std::min(lanes, net_.panels.units_in(panel) - j);
            Pack squares{};
            for (std::size_t i = 0; i < net_.inputs(); ++i) {
                const Pack w_i = load_part(w.weights.row(i) + j, units);
                squares = fma(w_i, w_i, squares);
            }
            // Padding is never near.
            constexpr Real nowhere = -std::numeric_limits<Real>::infinity();
            for (std::size_t l = 0; l < lanes; ++l) {
                norms[j + l] = norm(lane(squares, l), net_.inputs());
                biases[j + l] = l < units ? std::abs(w.bias[j + l]) : nowhere;
            }
        }
    }
    void measure_row(std::size_t n) {
        std::size_t inputs = 0;
        Real squares = 0;
        for (std::size_t b = 0; b < rows_.blocks(); ++b) {
            const RowBlock row = rows_.block_alone(n, b);
            inputs += static_cast<std::size_t>(row.end - row.begin);
            squares += row.full ? squares_of_full(row) : squares_of(row);
        }
        terms_[n] =
            std::numeric_limits<Real>::epsilon() * static_cast<Real>(inputs + 2);
        inputs_[n] = norm(squares, inputs);
    }

    // Looks at a pack of units of sample n, from unit j of a panel on. Those that
    // rounding leaves in doubt are summed with twice the digits. Those that are close
    // have a1 exact to the last digit then, and the slope 0.
    template <class Activation>
    void find(std::size_t panel, std::size_t n, std::size_t j, Real* a1, Real* slope) {
        std::uint32_t& found = near_[at(panel, n) + j / lanes] = 0;
        const Pack a = load(a1), doubt = excess(panel, n, j, a, terms_[n]);
        if (!(largest_lane(doubt) >= 0))
            return;  // NaN: of lanes without a unit, or an overflow
        const Pack exact = select(doubt >= 0, pre_activations(panel, n, j), a);
        const Pack by = excess(
            panel, n, j, exact,
            terms_[n] *
                terms_[n]);  // twice the digits lose the square of what the digits lose
        const Pack slope_of_exact =
            Activation::evaluate(exact).state + zero_or_nan(exact);
        store(a1, exact);
        store(slope,
              select(by >= 0, Pack{}, select(doubt >= 0, slope_of_exact, load(slope))));
        for (std::size_t l = 0; l < lanes; ++l)
            found |= std::uint32_t{lane(by, l) >= 0} << l;
    }

    // Which units of pack p of a panel are close to their kink for sample n: a bit for
    // each.
    std::uint32_t near(std::size_t panel, std::size_t n, std::size_t p) const {
        return near_[at(panel, n) + p];
    }
    // Whether any unit is.
    bool found(std::size_t n) const {
        std::uint32_t any = 0;
        for (std::size_t panel = 0; panel < net_.panels.count; ++panel)
            for (std::size_t p = 0; p < net_.panels.packs_in(panel); ++p)
                any |= near(panel, n, p);
        return any != 0;
    }

    const bool enabled;  // whether anything is looked for

private:
    std::size_t at(std::size_t panel, std::size_t n) const {
        return (panel * capacity_ + n) * net_.panels.packs_in(0);
    }

    // The sum of x^2. Several sums at once are faster: each addition waits for the one
    // before.
    static Real squares_of(const RowBlock& row) {
        Real sums[4] = {};
        const auto add = [&](Real& sum, const Entry& e) {
            sum += row.values[e.value] * row.values[e.value];
        };
        const Entry* e = row.begin;
        for (; row.end - e >= 4; e += 4)
            for (int k = 0; k < 4; ++k) add(sums[k], e[k]);
        for (; e < row.end; ++e) add(sums[0], *e);
        return (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
    static Real squares_of_full(const RowBlock& row) {
        const auto size = static_cast<std::size_t>(row.end - row.begin);
        Pack sums{};
        for (std::size_t i = 0; i < size; i += lanes) {
            const Pack x = load_part(row.values + i, std::min(lanes, size - i));
            sums = fma(x, x, sums);
        }
        return lane_sum(sums);
    }

    // At least the norm: of `count` squares some may have underflowed. Never infinite:
    // a weight of 0 times that would be NaN.
    static Real norm(Real squares, std::size_t count) {
        const Real most =
            squares + static_cast<Real>(count) * std::numeric_limits<Real>::min();
        return std::min(std::sqrt(most), std::numeric_limits<Real>::max());
    }

    // By how much a shift may reach beyond 0, for a pack of units whose a1 has lost
    // that share of its terms.
    Pack excess(std::size_t panel, std::size_t n, std::size_t j, Pack a1,
                Real lost) const {
        const Real *norms = units_ + 2 * panel * net_.panels.width() + j,
                   *biases = norms + net_.panels.width();
        const Real reach = h_ * std::max(Real{1}, rows_.largest(n)) *
                           (1 + 4 * std::numeric_limits<Real>::epsilon());
        return reach + lost * (inputs_[n] * load(norms) + load(biases)) - absolute(a1);
    }

    // a1 of a pack of units, as if summed with twice as many digits and then rounded.
    Pack pre_activations(std::size_t panel, std::size_t n, std::size_t j) const {
        const Incoming<const Real> w = net_.incoming(panel);
        const std::size_t columns = std::min(lanes, w.columns - j);
        TwiceTheDigits sum(load_part(w.bias + j, columns));
        for (std::size_t b = 0; b < rows_.blocks(); ++b) {
            const RowBlock row = rows_.block(n, b);
            for (const Entry* e = row.begin; e < row.end; ++e)
                sum.add_product(
                    row.values[e->value],
                    load_part(w.weights.row(b * block_columns + e->column) + j,
                              columns));
        }
        return sum.rounded();
    }

    const Parameters& net_;
    const Rows& rows_;
    std::size_t capacity_;
    Real h_;
    std::uint32_t* near_;  // (panels, capacity, packs)
    Real* units_;  // of a panel: the norm of each of its units' weights, then |b|
    Real *terms_, *inputs_;  // (capacity,) of a row: eps (m + 2), and the norm of x
};

}  // namespace secant::SECANT_ISA
