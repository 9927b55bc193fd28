// The gradient by series, of those samples of a block that have one.
#pragma once

#include "secant/differences/contraction.hpp"
#include "secant/differences/gradient_sums.hpp"
#include "secant/differences/plan.hpp"

namespace secant::SECANT_ISA {

// A thread's memory for orders up to `highest`: for one panel, and for powers of one block of inputs.
struct Scratch {
    Scratch(Workspace& work, std::size_t width, std::size_t outputs, std::size_t most_targets, std::size_t capacity, int highest)
        : sums{work.take<Real>(block_columns * width), width},
          means{work.take<Real>(highest * expanded_at_once * width), width},
          totals(work.take<double>(is_single ? std::max({expanded_at_once, block_columns, pairs(highest) * lanes}) * width : 0)),
          powers{{work.take<Real>(std::max(rows_at_once, (highest - 1) * outputs) * width), width},
                 {work.take<float>(highest >= 3 ? narrow_powers * outputs * width : 0), width},
                 outputs},
          targets(work.take<HiddenTarget>(most_targets)),
          factors(work.take<Real>(most_targets > few_targets ? pairs(highest) * classes_at_once * lanes : 0)),
          target_sums{work.take<Real>(most_targets > few_targets ? pairs(highest) * lanes * width : 0), width},
          tables(work, capacity) {}
    Tile<Real> sums;
    Tile<Real> means;
    double* totals;  // of sums, or means, of floats
    Powers powers;
    HiddenTarget* targets;  // of one sample
    Real* factors;          // of many targets of a group
    Tile<Real> target_sums;
    PowerTables tables;
};

class SeriesEngine {
public:
    // For orders up to `highest`; nothing if that is 0.
    SeriesEngine(Workspace& work, const Parameters& net, const Samples& samples, const TargetLists& targets,
                 const Plan& plan, GradientSums& sums, std::size_t capacity, int threads, Real h, int highest)
        : net_(net),
          samples_(samples),
          targets_(targets),
          plan_(plan),
          sums_(sums),
          capacity_(capacity),
          h_(h),
          wide_(net.panels.many(threads)),
          highest_(highest),
          groups_(work.take<Real>(pad(capacity) / lanes * group_size())),
          single_groups_(work.take<float>(highest >= 3 ? pad(capacity) / lanes * Series::size_in_single(net.outputs()) : 0)),
          odd_(work.take<Real>(odd_powers(highest) * capacity * net.panels.total_width())),
          single_third_(work.take<float>(narrow_packs && highest >= 3 ? capacity * net.panels.total_width() : 0)),
          scratch_(one_a_thread<Scratch>(work, highest > 0 ? threads : 0, net.panels.width(), net.outputs(), targets.longest(), capacity, highest)) {}

    // The series of the group of samples [n, end) at the output layer.
    void expand_output(std::size_t n, std::size_t end) {
        plan_.with_output_order([&]<int K>() {
            series(n).expand<K>(samples_, net_.sigmoid_output(), targets_, n, end, plan_.single().means);
        });
    }

    // `scale` times the gradient of W1 and b1, and the sums for W2 and b2, over the samples [0, count); with `again` they are
    // added to those of earlier blocks.
    void add(const Team& team, std::size_t count, Real scale, bool again) {
        if (!plan_.has_series()) return;
        const Scratch& scratch = scratch_[team.rank];
        net_.panels.run(team, phases::expand_hidden, [&](std::size_t first, std::size_t last, std::size_t part) {
            expand_panels(first, last, part, count, scale, scratch);
        });
        net_.panels.run(team, phases::add_series, [&](std::size_t first, std::size_t last, std::size_t part) {
            contract_blocks(first, last, part, count, again, scratch);
            for (std::size_t panel = first; panel < last && part == 0; ++panel) {
                add_bias(panel, count, again, coefficients(panel), scratch);
                add_outgoing(panel, count, again, scratch.powers.wide);
            }
        });
    }

private:
    std::size_t group_size() const { return Series::size(net_.outputs(), targets_.longest(), highest_); }
    Series series(std::size_t n) const {
        const std::size_t group = n / lanes;
        return {net_.outputs(), targets_.longest(), highest_, groups_ + group * group_size(),
                single_groups_ + group * Series::size_in_single(net_.outputs())};
    }

    Coefficients coefficients(std::size_t panel) const {
        const std::size_t width = net_.panels.width(), first = panel * capacity_ * width;
        return {{odd_ + first, width}, capacity_ * net_.panels.total_width(), h_, {single_third_ + first, width}, plan_.single().samples};
    }

    // The panels [first, last), for a part of the samples.
    void expand_panels(std::size_t first, std::size_t last, std::size_t part, std::size_t count, Real scale, const Scratch& scratch) {
        const Panels& panels = net_.panels;
        const std::size_t groups = pad(count) / lanes;
        const std::size_t begin = panels.begin(part, groups) * lanes, end = std::min(panels.begin(part + 1, groups) * lanes, count);
        for (std::size_t panel = first; panel < last; ++panel) {
            scratch.powers.find(plan_.orders().hidden, net_.transposed(panel), panels.units_in(panel), plan_.single().means,
                                !plan_.single().means || targets_.longest() > few_targets);
            for (std::size_t n = begin; n < end; n += expanded_at_once)
                expand_hidden(panel, n, std::min(end, n + expanded_at_once), scale, coefficients(panel), scratch);
        }
    }

    // The panels [first, last), for a part of the inputs: all panels of a block, then the next. So its inputs stay in the cache, and the
    // rows that are written are on few pages.
    void contract_blocks(std::size_t first, std::size_t last, std::size_t part, std::size_t count, bool again, const Scratch& scratch) {
        const std::size_t blocks = samples_.rows.blocks();
        for (std::size_t b = net_.panels.begin(part, blocks); b < net_.panels.begin(part + 1, blocks); ++b) {
            if (narrow_packs && plan_.single().samples > 0) find_cubes(samples_.rows, b, count, scratch.tables.cubes);
            for (std::size_t panel = first; panel < last; ++panel)
                add_block(panel, part, b, count, again, coefficients(panel), scratch);
        }
    }

    // A growth is a polynomial in w f, where w is the outgoing weight of a unit and f the change of its output, so
    // S = sum over m of M_m f^m with M_m = sum over k of y_k g_k,m w_k^m. The means of a panel's units: M_1 in a row for each of the
    // samples [begin, end), then M_2, ...
    void find_means(std::size_t begin, std::size_t end, Tile<const Real> w2, std::size_t width, const Scratch& scratch) const {
        find_mean<Pack, HalfPack>(1, begin, end, w2, width, scratch);
        for (int m = 2; m <= plan_.orders().hidden; ++m) {
            if constexpr (narrow_packs)
                if (plan_.single().means) {
                    find_mean<FloatPack, HalfFloatPack>(m, begin, end, scratch.powers.rows<float>(m), width, scratch);
                    continue;
                }
            find_mean<Pack, HalfPack>(m, begin, end, scratch.powers.rows<Real>(m), width, scratch);
        }
    }

    // M_m, given w^m. Classes are taken in blocks, whose powers stay in the L1 cache for all samples.
    template <class Full, class Half>
    void find_mean(int m, std::size_t begin, std::size_t end, Tile<const Element<Full>> power, std::size_t width,
                   const Scratch& scratch) const {
        using Value = Element<Full>;
        const Tile<Real> means{mean_row(scratch.means, m), scratch.means.stride};
        const std::size_t part = even_part(net_.outputs(), rows_at_once);
        for (std::size_t k = 0; k < net_.outputs(); k += part) {
            for_tiles<Full, Half>(width, [&]<class Row>(std::size_t j) {
                for (std::size_t n = begin; n < end; n += tile_lanes) {
                    Real* to[tile_lanes];
                    for (std::size_t r = 0; r < tile_lanes; ++r) to[r] = means.row(n - begin + r) + j;
                    const Tile<const Value> factors{series(n).mean<Value>(m) + k * lanes + n % lanes, lanes};
                    add_tile<Row, tile_lanes, !std::is_same_v<Value, Real>>(
                        SideBySide<Value>{factors}, std::min(part, net_.outputs() - k), power.from(k, j), to, is_single || k == 0);
                }
            });
            if (is_single && part < net_.outputs())
                add_in_double(means.at, scratch.totals, (end - begin) * means.stride, k == 0, k + part >= net_.outputs());
        }
    }

    // The sums over many targets of the group [n, end): Series::find_factors.
    template <int K>
    void find_target_sums(std::size_t n, std::size_t end, Tile<const Real> w2, std::size_t width, const Scratch& scratch) const {
        TargetsByClass by_class(targets_, n, end);
        const Tile<Real> sums = scratch.target_sums;
        const std::size_t part = even_part(net_.outputs(), classes_at_once);
        for (std::size_t k = 0; k < net_.outputs(); k += part) {
            const std::size_t count = std::min(part, net_.outputs() - k);
            series(n).find_factors<K>(by_class, k, count, part, scratch.factors);
            for (int p = 0; p < K; ++p)
                for (int m = 1; m <= K - p; ++m)
                    for_tiles<Pack, HalfPack>(width, [&]<class Row>(std::size_t j) {
                        const std::size_t pair = pair_number(K, p, m);
                        const Tile<const Real> power = m == 1 ? w2 : Tile<const Real>(scratch.powers.rows<Real>(m));
                        for (std::size_t l = 0; l < lanes; l += tile_lanes) {
                            Real* to[tile_lanes];
                            for (std::size_t r = 0; r < tile_lanes; ++r) to[r] = sums.row(pair * lanes + l + r) + j;
                            add_tile<Row, tile_lanes, false>(SideBySide<Real>{{scratch.factors + pair * part * lanes + l, lanes}}, count,
                                                             power.from(k, j), to, is_single || k == 0);
                        }
                    });
            if (is_single && part < net_.outputs())
                add_in_double(sums.at, scratch.totals, pairs(K) * lanes * sums.stride, k == 0, k + part >= net_.outputs());
        }
    }

    // For the samples [begin, end), at most expanded_at_once. Those that are evaluated directly are expanded too, but not read.
    void expand_hidden(std::size_t panel, std::size_t begin, std::size_t end, Real scale, const Coefficients& odd,
                       const Scratch& scratch) {
        const Tile<const Real> w2 = net_.transposed(panel);
        const std::size_t whole = net_.panels.packs_in(panel) * lanes;  // all lanes: what lies in others may be subnormal, which is slow
        find_means(begin, end, w2, whole, scratch);
        plan_.with_order([&]<int K>() {
            with_activation(net_.hidden_activation(), [&]<class A>() {
                bool many = false;
                for (std::size_t n = begin; n < end; ++n) {
                    const Series own = series(n);
                    if (n % lanes == 0) {
                        const std::size_t end_of_group = std::min(n + lanes, end);
                        many = targets_.largest_count(n, end_of_group) > few_targets;
                        if (many) find_target_sums<K>(n, end_of_group, w2, whole, scratch);
                    }
                    const std::size_t target_count = many ? 0 : own.hidden_targets(targets_, n, K, scratch.targets);
                    for (std::size_t j = 0; j < whole; j += lanes) {
                        const PanelPack units{samples_.z1(panel, n) + j, samples_.state1(panel, n) + j, w2.from(0, j)};
                        const Tile<const Real> means = scratch.means.from(n - begin, j);
                        if (many)
                            own.expand_hidden_of_many<K, A>(n % lanes, scratch.target_sums.from(0, j), units, means, scale, odd.from(n, j));
                        else
                            Series::expand_hidden<K, A>(scratch.targets, target_count, units, means, scale, odd.from(n, j));
                    }
                }
            });
        });
        for (std::size_t n = begin; n < end && narrow_packs && odd.samples_in_single > 0; ++n)
            for (std::size_t j = 0; j < whole; j += lanes)
                store_in_single(odd.single_third.row(n) + j, h_ * h_ * load(odd.power(1).row(n) + j));
    }

    AddSeries row_kernel(std::size_t panel) const {
        AddSeries kernel = nullptr;
        plan_.with_order([&]<int K>() {
            kernel = with_units(net_.panels, panel, []<class Row>() -> AddSeries { return add_series<K, Row>; });
        });
        return kernel;
    }

    // Sums begin with zero, and are then written or added; or they are the weights themselves.
    void add_block(std::size_t panel, std::size_t part, std::size_t b, std::size_t count, bool again, const Coefficients& odd,
                   const Scratch& scratch) {
        const std::size_t columns = samples_.rows.columns(b);
        const Incoming<Real> incoming = sums_.incoming(panel);
        const Tile<Real> to = incoming.weights.from(b * block_columns, 0);
        const Tile<Real> sums = scratch.sums;
        const bool in_weights = sums_.in_weights();
        const Tile<const Real> later = wide_ && !in_weights ? to : Tile<Real>{nullptr, 0};
        const Destination into{{in_weights ? to.at : sums.at, sums.stride}, net_.panels.units_in(panel), !in_weights, later};
        add_series_of_block(plan_.orders().hidden, samples_.rows, b, count, plan_.directly(), odd, scratch.tables, row_kernel(panel),
                            {into, columns, scratch.totals});
        Pack finite{};
        for (std::size_t i = 0; i < columns && !in_weights; ++i)
            finite += write(sums.row(i), again || sums_.in_place(), to.row(i), incoming.columns);
        sums_.record(panel, part, finite);
    }

    // A bias is the weight of an input that is always 1.
    void add_bias(std::size_t panel, std::size_t count, bool again, const Coefficients& odd, const Scratch& scratch) {
        constexpr Entry entry{0, 0};
        const Real one = 1;
        const Incoming<Real> to = sums_.incoming(panel);
        const bool in_weights = sums_.in_weights();
        const Tile<Real> sums{in_weights ? to.bias : scratch.sums.at, 0};
        ShortSums alone(sums.at, scratch.totals, scratch.sums.stride);
        const AddSeries add_row = row_kernel(panel);
        bool clear = !in_weights;
        for (std::size_t n = 0; n < count; ++n) {
            if (plan_.directly()[n]) continue;
            clear |= alone.begin_again();
            add_row({&entry, &entry + 1, &one, false}, odd, n, sums, clear);
            clear = false;
        }
        if (alone.finish(clear)) std::fill_n(sums.at, scratch.sums.stride, Real{0});
        if (!in_weights) sums_.record(panel, 0, write(sums.at, again || sums_.in_place(), to.bias, to.columns));
    }

    // to(columns,) = sums; or += that. Returns 0, or NaN where it is not finite.
    static Pack write(const Real* sums, bool add, Real* to, std::size_t columns) {
        Pack finite{};
        for (std::size_t j = 0; j < columns; j += lanes) {
            const std::size_t count = std::min(lanes, columns - j);
            const Pack own = load_part(sums + j, count), sum = add ? load_part(to + j, count) + own : own;
            finite += zero_or_nan(sum);
            store_part(to + j, sum, count);
        }
        return finite;
    }

    // The sums of the outgoing weights of a panel, a row for each class.
    void add_outgoing(std::size_t panel, std::size_t count, bool again, Tile<Real> powers) {
        bool clear = !again;  // whether there are no sums yet
        if (panel == 0 && clear) sums_.clear_output_biases();
        const bool* skip = plan_.directly();
        std::size_t n = 0;
        while (n < count) {
            if (skip[n]) {
                ++n;
                continue;
            }
            const std::size_t last = n + even_part(count - n, rows_at_once);
            std::size_t end = n;
            while (end < last && !skip[end]) ++end;
            add_outgoing_of(panel, n, end, powers, clear);
            clear = false;
            if (panel == 0) add_output_biases(n, end);
            n = end;
        }
        if (clear) sums_.clear_outgoing(panel);
    }

    // += the series of the samples [begin, end), or = that, with `clear`: a product for each power of z1, the highest first.
    void add_outgoing_of(std::size_t panel, std::size_t begin, std::size_t end, Tile<Real> powers, bool clear) {
        const Tile<const Real> z1{samples_.z1(panel, begin), net_.panels.width()};
        const std::size_t width = net_.panels.units_in(panel);
        const int most = odd_powers(plan_.orders().output) - 1;
        for (int m = most; m >= 0; --m) {
            const Real* odd[rows_at_once];
            for (std::size_t n = begin; n < end; ++n) {
                odd[n - begin] = series(n).output(2 * m + 1, 0) + n % lanes;
                if (m > 0) store_odd_power(m, z1.row(n - begin), pad(width), h_, powers.row(n - begin));
            }
            const Tile<const Real> units = m > 0 ? powers : z1;
            add_products<Pack, HalfPack, lanes, Real>(odd, end - begin, units, net_.outputs(),
                                                      {sums_.outgoing(panel), width, clear && m == most});
        }
    }

    // The same for the biases of the outputs, a pack of classes at a time.
    void add_output_biases(std::size_t begin, std::size_t end) {
        for (std::size_t group = begin / lanes * lanes; group < end; group += lanes) {
            const Series own = series(group);
            for (std::size_t k = 0; k < net_.outputs(); k += lanes) {
                Real terms[lanes][lanes] = {};  // a row for each class
                for (std::size_t r = 0; r < std::min(lanes, net_.outputs() - k); ++r) {
                    Pack term{};
                    for (int m = plan_.orders().output; m >= 1; m -= 2) term = term * (h_ * h_) + load(own.output(m, k + r));
                    store(terms[r], term);
                }
                double* sums = sums_.output_biases() + k;
                for_columns({terms[0], lanes}, lanes, lanes, [&](std::size_t l, Pack of_sample) {
                    if (group + l < begin || group + l >= end) return;
                    Real each[lanes];
                    store(each, of_sample);
                    for (std::size_t r = 0; r < lanes; ++r) sums[r] += each[r];
                });
            }
        }
    }

    const Parameters& net_;
    const Samples& samples_;
    const TargetLists& targets_;
    const Plan& plan_;
    GradientSums& sums_;
    std::size_t capacity_;
    Real h_;
    bool wide_;  // then the gradient of W1 is not in the cache when it is written
    int highest_;
    Real* groups_;
    float* single_groups_;
    Real* odd_;
    float* single_third_;
    const Scratch* scratch_;
};

}  // namespace secant::SECANT_ISA
