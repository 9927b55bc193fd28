// The gradient by series, of those samples of a block that have one.
#pragma once

#include "secant/differences/contraction.hpp"
#include "secant/differences/gradient_sums.hpp"
#include "secant/differences/plan.hpp"

namespace secant::SECANT_ISA {

class SeriesEngine {
public:
    SeriesEngine(Workspace& work, const Parameters& net, const Samples& samples, const TargetLists& targets,
                 const Plan& plan, GradientSums& sums, std::size_t capacity, int threads, Real h)
        : net_(net),
          samples_(samples),
          targets_(targets),
          plan_(plan),
          sums_(sums),
          capacity_(capacity),
          h_(h),
          group_size_(Series<highest_order>::size(net.outputs())),
          groups_(work.take<Real>(pad(capacity) / lanes * group_size_)),
          odd_(work.take<Real>(odd_powers<highest_order> * capacity * net.panels.total_width())),
          scratch_(work.take<Real>(static_cast<std::size_t>(threads) * block_columns * net.panels.width())),
          tables_(one_a_thread<PowerTables>(work, threads, net.panels.width())) {}

    // The series of the group of samples [n, end) at the output layer.
    void expand_output(std::size_t n, std::size_t end) {
        plan_.with_output_order([&]<int K>() { series<K>(n).expand(samples_, net_.sigmoid_output(), targets_, n, end); });
    }

    // `scale` times the gradient of W1 and b1, and the sums for W2 and b2, over the samples [0, count); with `again` they are
    // added to those of earlier blocks.
    void add(const Team& team, std::size_t count, Real scale, bool again) {
        plan_.with_order([&]<int K>() { add<K>(team, count, scale, again); });
    }

private:
    template <int K>
    Series<K> series(std::size_t n) const {
        return {net_.outputs(), groups_ + n / lanes * group_size_};
    }

    template <int K>
    void add(const Team& team, std::size_t count, Real scale, bool again) {
        const Panels& panels = net_.panels;
        const std::size_t width = panels.width(), blocks = samples_.rows.blocks(), groups = pad(count) / lanes;
        const Tile<Real> scratch{scratch_ + team.rank * block_columns * width, width};
        const auto coefficients = [&](std::size_t panel) {
            return Coefficients{{odd_ + panel * capacity_ * width, width}, capacity_ * panels.total_width(), h_};
        };
        panels.share(team, [&](std::size_t panel, std::size_t part) {
            for (std::size_t n = panels.begin(part, groups) * lanes; n < panels.begin(part + 1, groups) * lanes; n += lanes)
                expand_hidden<K>(panel, n, std::min(count, n + lanes), scale, coefficients(panel));
        });
        panels.share(team, [&](std::size_t panel, std::size_t part) {
            with_units(panels, panel, [&]<int P, class Last>() {
                for (std::size_t b = panels.begin(part, blocks); b < panels.begin(part + 1, blocks); ++b)
                    add_block<K, Units<P, Last>>(panel, b, count, again, coefficients(panel), tables_[team.rank], scratch);
                if (part == 0) add_bias<K, Units<P, Last>>(panel, count, again, coefficients(panel), scratch);
            });
            if (part == 0) plan_.with_output_order([&]<int Q>() { add_outgoing<Q>(panel, count, again); });
        });
    }

    // For the group of samples [begin, end). Those that are evaluated directly are expanded too, but not read.
    template <int K>
    void expand_hidden(std::size_t panel, std::size_t begin, std::size_t end, Real scale, const Coefficients& odd) {
        constexpr std::size_t together = std::min<std::size_t>(lanes, K > 3 ? 2 : 4);
        static_assert(lanes % together == 0);
        const std::size_t width = net_.panels.width();
        with_activation(net_.hidden_activation(), [&]<class A>() {
            for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes)
                for (std::size_t n = begin; n < end; n += together) {
                    const PanelPack units{{samples_.z1(panel, n) + j, width}, {samples_.state1(panel, n) + j, width},
                                          net_.transposed(panel).from(0, j)};
                    series<K>(n).template expand_hidden<A, together>(n, end, targets_, units, scale, odd.from(n, j));
                }
        });
    }

    // In place, sums are the weights themselves; else they are cleared first, and then written or added.
    template <int K, class PanelRow>
    void add_block(std::size_t panel, std::size_t b, std::size_t count, bool again, const Coefficients& odd,
                   const PowerTables& tables, Tile<Real> scratch) {
        const std::size_t columns = samples_.rows.columns(b);
        const Incoming<Real> incoming = sums_.incoming(panel);
        const Tile<Real> to = incoming.weights.from(b * block_columns, 0);
        if (!sums_.in_place) std::fill_n(scratch.at, columns * scratch.stride, Real{0});
        add_series_of_block<K, PanelRow>(samples_.rows, b, count, plan_.directly(), odd, plan_.third_in_single(), tables,
                                         {sums_.in_place ? to.at : scratch.at, scratch.stride});
        for (std::size_t i = 0; i < columns && !sums_.in_place; ++i) write(scratch.row(i), again, to.row(i), incoming.columns);
    }

    // A bias is the weight of an input that is always 1.
    template <int K, class PanelRow>
    void add_bias(std::size_t panel, std::size_t count, bool again, const Coefficients& odd, Tile<Real> scratch) {
        constexpr Entry entry{0, 0};
        const Real one = 1;
        const Incoming<Real> to = sums_.incoming(panel);
        const Tile<Real> sums{sums_.in_place ? to.bias : scratch.at, 0};
        if (!sums_.in_place) std::fill_n(sums.at, scratch.stride, Real{0});
        for (std::size_t n = 0; n < count; ++n)
            if (!plan_.directly()[n]) add_series<K, PanelRow>({&entry, &entry + 1, &one, false}, odd, n, sums);
        if (!sums_.in_place) write(sums.at, again, to.bias, to.columns);
    }

    // to(columns,) = sums; or += that.
    static void write(const Real* sums, bool add, Real* to, std::size_t columns) {
        for (std::size_t j = 0; j < columns; j += lanes) {
            const std::size_t count = std::min(lanes, columns - j);
            store_part(to + j, add ? load_part(to + j, count) + load(sums + j) : load(sums + j), count);
        }
    }

    template <int K>
    void add_outgoing(std::size_t panel, std::size_t count, bool again) {
        const std::size_t outputs = net_.outputs();
        if (!again) sums_.clear_outgoing(panel);
        for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes) {
            const Tile<const Real> z1{samples_.z1(panel, 0) + j, net_.panels.width()};
            const Tile<Real> sums = sums_.outgoing(panel).from(0, j);
            std::size_t k = 0;
            for (; k + 5 <= outputs; k += 5) add_outgoing_pack<K, 5>(k, z1, count, sums);
            for (; k < outputs; ++k) add_outgoing_pack<K, 1>(k, z1, count, sums);
        }
        for (std::size_t k = 0; k < outputs && panel == 0; ++k)
            for (std::size_t n = 0; n < count; ++n)
                if (!plan_.directly()[n]) sums_.output_biases()[k] += output_bias_term<K>(n, k);
    }

    // The sums of C classes from k on += the series of a pack of hidden units, whose z1 has a row for each sample. Floats of a
    // block are summed apart, and then added: that loses less.
    template <int K, int C>
    void add_outgoing_pack(std::size_t k, Tile<const Real> z1, std::size_t count, Tile<Real> sums) {
        const bool* skip = plan_.directly();
        Pack sum[C];
        for (std::size_t c = 0; c < C; ++c) sum[c] = is_single ? Pack{} : load(sums.row(k + c));
        for (std::size_t n = 0; n < count; ++n) {
            if (skip[n]) continue;
            const OddPowers<K> powers(load(z1.row(n)), h_);
            const Series<K> own = series<K>(n);
            for (std::size_t c = 0; c < C; ++c) {
                Pack odd[odd_powers<K>];
                for (int m = 1; m <= K; m += 2) odd[m / 2] = broadcast(own.output(m, k + c)[n % lanes]);
                sum[c] = add_series_term<K>(sum[c], powers, odd);
            }
        }
        for (std::size_t c = 0; c < C; ++c) is_single ? add_to(sums.row(k + c), sum[c]) : store(sums.row(k + c), sum[c]);
    }

    template <int K>
    Real output_bias_term(std::size_t n, std::size_t k) const {
        Real term = 0;
        for (int m = K; m >= 1; m -= 2) term = term * (h_ * h_) + series<K>(n).output(m, k)[n % lanes];
        return term;
    }

    const Parameters& net_;
    const Samples& samples_;
    const TargetLists& targets_;
    const Plan& plan_;
    GradientSums& sums_;
    std::size_t capacity_;
    Real h_;
    std::size_t group_size_;  // doubles
    Real *groups_, *odd_, *scratch_;
    const PowerTables* tables_;
};

}  // namespace secant::SECANT_ISA
