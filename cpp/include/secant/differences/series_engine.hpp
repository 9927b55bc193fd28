// The gradient by series, of those samples of a block that have one.
#pragma once

#include "secant/differences/contraction.hpp"
#include "secant/differences/gradient_sums.hpp"
#include "secant/differences/plan.hpp"

namespace secant::SECANT_ISA {

class SeriesEngine {
public:
    SeriesEngine(Workspace& work, const Parameters& net, const Samples& samples, const TargetLists& targets,
                 const Plan& plan, const GradientSums& sums, std::size_t most, int threads, double h)
        : net_(net),
          samples_(samples),
          targets_(targets),
          plan_(plan),
          sums_(sums),
          most_(most),
          h_(h),
          size_(Series<9>::size(net.outputs())),
          memory_(work.take<double>(pad(most) / lanes * size_)),
          odd_(work.take<double>(odd_powers<9> * most * net.panels.units())),
          scratch_(work.take<double>(static_cast<std::size_t>(threads) * block_columns * net.panels.width())),
          tables_(one_a_thread<PowerTables>(work, threads, net.panels.width())) {}

    // The output layer of the group of samples [n, end).
    void expand_output(std::size_t n, std::size_t end) const {
        plan_.with_order([&]<int K>() { series<K>(n).expand(samples_, net_.sigmoid_output(), targets_, n, end); });
    }

    // `scale` times the gradient of W1 and b1, and the sums for W2 and b2, over the samples [0, rows); with `again` it is
    // added to what is there.
    void add(const Team& team, std::size_t rows, double scale, bool again) const {
        plan_.with_order([&]<int K>() { add<K>(team, rows, scale, again); });
    }

private:
    template <int K>
    Series<K> series(std::size_t n) const {
        return {net_.outputs(), memory_ + n / lanes * size_};
    }

    template <int K>
    void add(const Team& team, std::size_t rows, double scale, bool again) const {
        const Panels& panels = net_.panels;
        const std::size_t width = panels.width(), blocks = samples_.rows.blocks(), groups = pad(rows) / lanes;
        double* scratch = scratch_ + team.rank * block_columns * width;
        const auto coefficients = [&](std::size_t panel) {
            return Coefficients{odd_ + panel * most_ * width, width, most_ * panels.units(), h_};
        };
        panels.share(team, [&](std::size_t panel, std::size_t part) {
            for (std::size_t n = panels.begin(part, groups) * lanes; n < panels.begin(part + 1, groups) * lanes; n += lanes)
                expand_hidden<K>(panel, n, std::min(rows, n + lanes), scale, coefficients(panel));
        });
        panels.share(team, [&](std::size_t panel, std::size_t part) {
            with_units(panels, panel, [&]<int P, class Last>() {
                for (std::size_t b = panels.begin(part, blocks); b < panels.begin(part + 1, blocks); ++b)
                    add_block<K, Units<P, Last>>(panel, b, rows, again, coefficients(panel), tables_[team.rank], scratch);
                if (part == 0) add_bias<K, Units<P, Last>>(panel, rows, again, coefficients(panel), scratch);
            });
            if (part == 0) add_outgoing<K>(panel, rows, again);
        });
    }

    // Of the group of samples [begin, end). Those that are evaluated directly are not left out, but nobody reads theirs.
    template <int K>
    void expand_hidden(std::size_t panel, std::size_t begin, std::size_t end, double scale, const Coefficients& odd) const {
        constexpr std::size_t together = std::min<std::size_t>(lanes, K > 3 ? 2 : 4);
        for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes)
            for (std::size_t n = begin; n < end; n += together)
                series<K>(n).template expand_hidden<together>(n, end, targets_, samples_.z1(panel, n) + j,
                                                              samples_.zc1(panel, n) + j, net_.panels.width(),
                                                              net_.transposed(panel) + j,
                                                              net_.panels.units(), scale, odd.of(n) + j, odd.stride);
    }

    // In place, sums are the weights themselves; else they are cleared first, and then written or added.
    template <int K, class Row>
    void add_block(std::size_t panel, std::size_t b, std::size_t rows, bool again, const Coefficients& odd,
                   const PowerTables& tables, double* scratch) const {
        const std::size_t width = net_.panels.width(), columns = samples_.rows.columns(b);
        const Incoming<double> to = sums_.incoming(panel);
        double* first = to.rows + b * block_columns * to.stride;
        if (!sums_.in_place) std::fill_n(scratch, columns * width, 0.0);
        add_series_of_block<K, Row>(samples_.rows, b, rows, plan_.directly(), odd, plan_.third_in_single(), tables,
                                    sums_.in_place ? first : scratch, width);
        for (std::size_t i = 0; i < columns && !sums_.in_place; ++i)
            write(scratch + i * width, again, first + i * to.stride, to.columns);
    }

    // A bias is the weight of an input that is always 1.
    template <int K, class Row>
    void add_bias(std::size_t panel, std::size_t rows, bool again, const Coefficients& odd, double* scratch) const {
        constexpr Entry entry{0, 0};
        const double one = 1.0;
        const Incoming<double> to = sums_.incoming(panel);
        double* sums = sums_.in_place ? to.bias : scratch;
        if (!sums_.in_place) std::fill_n(sums, net_.panels.width(), 0.0);
        for (std::size_t n = 0; n < rows; ++n)
            if (!plan_.directly()[n])
                SECANT_ISA::add_series<K, Row>({&entry, &entry + 1, &one, false}, odd, n, sums, 0);
        if (!sums_.in_place) write(sums, again, to.bias, to.columns);
    }

    // to(columns,) = sums; or += that.
    static void write(const double* sums, bool add, double* to, std::size_t columns) {
        for (std::size_t j = 0; j < columns; j += lanes) {
            const std::size_t count = std::min(lanes, columns - j);
            store_part(to + j, add ? load_part(to + j, count) + load(sums + j) : load(sums + j), count);
        }
    }

    template <int K>
    void add_outgoing(std::size_t panel, std::size_t rows, bool again) const {
        const std::size_t width = net_.panels.width(), units = net_.panels.units(), outputs = net_.outputs();
        if (!again) sums_.clear_outgoing(panel);
        for (std::size_t p = 0; p < net_.panels.packs_in(panel); ++p) {
            const auto add = [&]<int C>(std::size_t k) {
                add_outgoing_series<K, C>(memory_, size_, outputs, k, samples_.z1(panel, 0) + p * lanes, width, rows,
                                          plan_.directly(), h_, sums_.outgoing(panel) + k * units + p * lanes, units);
            };
            std::size_t k = 0;
            for (; k + 5 <= outputs; k += 5) add.template operator()<5>(k);
            for (; k < outputs; ++k) add.template operator()<1>(k);
        }
        for (std::size_t k = 0; k < outputs && panel == 0; ++k)
            for (std::size_t n = 0; n < rows; ++n)
                if (!plan_.directly()[n]) sums_.output_biases()[k] += output_bias_term<K>(n, k);
    }

    template <int K>
    double output_bias_term(std::size_t n, std::size_t k) const {
        double term = 0.0;
        for (int m = K; m >= 1; m -= 2) term = term * (h_ * h_) + series<K>(n).output(m, k)[n % lanes];
        return term;
    }

    const Parameters& net_;
    const Samples& samples_;
    const TargetLists& targets_;
    const Plan& plan_;
    const GradientSums& sums_;
    std::size_t most_;
    double h_;
    std::size_t size_;
    double *memory_, *odd_, *scratch_;
    const PowerTables* tables_;
};

}  // namespace secant::SECANT_ISA
