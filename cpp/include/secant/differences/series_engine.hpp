// The gradient by series, of those samples of a block that have one.
#pragma once

#include "secant/differences/contraction.hpp"
#include "secant/differences/gradient_sums.hpp"
#include "secant/differences/plan.hpp"

namespace secant::SECANT_ISA {

// A thread's memory for orders up to `highest`: for one panel, and for powers of one
// block of inputs.
class Scratch {
public:
    Scratch(Workspace& work, std::size_t width, std::size_t outputs,
            std::size_t most_targets, std::size_t capacity, int highest)
        : sums{work.take<Real>(block_columns * width), width},
          class_sums{work.take<Real>(sums_over_classes(most_targets, highest) *
                                     expanded_at_once * width),
                     width},
          totals(work.take<double>(
              is_single ? std::max(sums_over_classes(most_targets, highest) *
                                       expanded_at_once,
                                   block_columns) *
                              width
                        : 0)),
          powers{
              {work.take<Real>(std::max(rows_at_once, (highest - 1) * outputs) * width),
               width},
              {work.take<float>(narrow_packs && highest >= 3 ? 3 * outputs * width : 0),
               width},
              outputs},
          tables(work, capacity),
          factors_(
              work.take<Real>(sums_of_many(most_targets, highest) * factors_of_a_sum)),
          single_factors_(work.take<float>(
              narrow_packs ? sums_of_many(most_targets, 3) * factors_of_a_sum : 0)) {}

    // With many targets: the factors of a sum, for sample n of those that are expanded
    // at once. Those of the next class are `lanes` further, those of the next sum
    // factors_of_a_sum.
    static constexpr std::size_t factors_of_a_sum = expanded_at_once * rows_at_once;
    template <class Value>
    Value* factors(int number, std::size_t n) const {
        const std::size_t at =
            number * factors_of_a_sum + n / lanes * rows_at_once * lanes + n % lanes;
        if constexpr (std::is_same_v<Value, Real>)
            return factors_ + at;
        else
            return single_factors_ + at;
    }

    Tile<Real> sums;
    Tile<Real> class_sums;
    double* totals;  // of sums of floats
    Powers powers;
    PowerTables tables;

private:
    static int sums_of_many(std::size_t most_targets, int highest) {
        return most_targets > few_targets ? sums_over_targets(highest) : 0;
    }
    static int sums_over_classes(std::size_t most_targets, int highest) {
        return std::max({sums_of_many(most_targets, highest), highest, 1});
    }

    Real* factors_;
    float* single_factors_;
};

class SeriesEngine {
public:
    // For orders up to `highest`; nothing if that is 0.
    SeriesEngine(Workspace& work, const Parameters& net, const Samples& samples,
                 const TargetLists& targets, const Plan& plan, GradientSums& sums,
                 std::size_t capacity, int threads, Real h, int highest)
        : net_(net),
          samples_(samples),
          targets_(targets),
          plan_(plan),
          sums_(sums),
          capacity_(capacity),
          h_(h),
          wide_(net.panels.more_than_two_per_thread(threads)),
          highest_(highest),
          groups_(work.take<Real>(pad(capacity) / lanes * group_size())),
          single_groups_(work.take<float>(
              highest >= 3
                  ? pad(capacity) / lanes * Series::size_in_single(net.outputs())
                  : 0)),
          odd_(work.take<Real>(odd_powers(highest) * capacity *
                               net.panels.total_width())),
          single_third_(work.take<float>(
              narrow_packs && highest >= 3 ? capacity * net.panels.total_width() : 0)),
          scratch_(one_a_thread<Scratch>(work, highest > 0 ? threads : 0,
                                         net.panels.width(), net.outputs(),
                                         targets.longest(), capacity, highest)) {}

    // The series of the group of samples [n, end) at the output layer.
    void expand_output(std::size_t n, std::size_t end) {
        Plan::with_order(plan_.orders().output, [&]<int K>() {
            series(n).expand<K>(samples_, net_.sigmoid_output(), targets_, n, end,
                                plan_.single().means);
        });
    }

    // `scale` times the gradient of W1 and b1, and the sums for W2 and b2, over the
    // samples [0, count) of a block.
    void add(const Team& team, std::size_t count, Real scale) {
        if (!plan_.has_series()) return;
        const Scratch& scratch = scratch_[team.rank];
        net_.panels.run(team, phases::expand_hidden,
                        [&](std::size_t first, std::size_t last, std::size_t part) {
                            expand_panels(first, last, part, count, scale, scratch);
                        });
        net_.panels.run(team, phases::add_series,
                        [&](std::size_t first, std::size_t last, std::size_t part) {
                            contract_blocks(first, last, part, count, scratch);
                            for (std::size_t panel = first; panel < last && part == 0;
                                 ++panel) {
                                add_bias(panel, count, coefficients(panel), scratch);
                                add_outgoing(panel, count, scratch.powers.wide);
                            }
                        });
    }

private:
    std::size_t group_size() const { return Series::size(net_.outputs(), highest_); }
    Series series(std::size_t n) const {
        const std::size_t group = n / lanes;
        return {net_.outputs(), highest_, groups_ + group * group_size(),
                single_groups_ + group * Series::size_in_single(net_.outputs())};
    }

    Coefficients coefficients(std::size_t panel) const {
        const std::size_t width = net_.panels.width(),
                          first = panel * capacity_ * width;
        return {{odd_ + first, width},
                capacity_ * net_.panels.total_width(),
                h_,
                {single_third_ + first, width},
                plan_.single().samples};
    }

    // The panels [first, last), for a part of the samples.
    void expand_panels(std::size_t first, std::size_t last, std::size_t part,
                       std::size_t count, Real scale, const Scratch& scratch) {
        const Panels& panels = net_.panels;
        const bool many = plan_.orders().hidden == 1 || targets_.are_many(0);
        const std::size_t groups = pad(count) / lanes;
        const std::size_t begin = panels.begin(part, groups) * lanes,
                          end = std::min(panels.begin(part + 1, groups) * lanes, count);
        for (std::size_t panel = first; panel < last; ++panel) {
            if (plan_.orders().hidden > 1)
                scratch.powers.find(plan_.orders().hidden, net_.transposed(panel),
                                    panels.units_in(panel), plan_.single().means);
            for (std::size_t n = begin; n < end; n += expanded_at_once)
                expand_hidden(panel, n, std::min(end, n + expanded_at_once), many,
                              scale, coefficients(panel), scratch);
        }
    }

    // The panels [first, last), for a part of the inputs: all panels of a block, then
    // the next. So its inputs stay in the cache, and the rows that are written are on
    // few pages.
    void contract_blocks(std::size_t first, std::size_t last, std::size_t part,
                         std::size_t count, const Scratch& scratch) {
        const std::size_t blocks = samples_.rows.blocks();
        for (std::size_t b = net_.panels.begin(part, blocks);
             b < net_.panels.begin(part + 1, blocks); ++b) {
            if (narrow_packs && plan_.single().samples > 0)
                find_cubes(samples_.rows, b, count, scratch.tables.cubes);
            for (std::size_t panel = first; panel < last; ++panel)
                add_block(panel, b, count, coefficients(panel), scratch);
        }
    }

    // The sums over classes that a panel's units need, for the samples [begin, end), a
    // row for each. A growth is a polynomial in w f, where w is the outgoing weight of
    // a unit and f the change of its output, so S = sum over m of M_m f^m with M_m =
    // sum over k of y_k g_k,m w_k^m. With `many` targets they are those of
    // Series::find_factors. All but the first are for the third order only, if that is
    // the highest.
    void sum_over_classes(std::size_t begin, std::size_t end, bool many,
                          Tile<const Real> w2, std::size_t width,
                          const Scratch& scratch) {
        const int order = plan_.orders().hidden,
                  sums = many ? sums_over_targets(order) : order;
        const std::size_t part = even_part(net_.outputs(), rows_at_once);
        for (std::size_t k = 0; k < net_.outputs(); k += part) {
            const std::size_t count = std::min(part, net_.outputs() - k);
            const auto add = [&]<class Full, class Half>(
                                 int number, Tile<const Element<Full>> power,
                                 const auto& factors) {
                using Value = Element<Full>;
                for_strips<Full, Half>(width, [&](const auto& strip) {
                    for (std::size_t n = begin; n < end; n += tile_lanes) {
                        Real* to[tile_lanes];
                        for (std::size_t r = 0; r < tile_lanes; ++r)
                            to[r] = sum_row(
                                scratch.class_sums.from(n - begin + r, strip.at),
                                number);
                        const SideBySide<Value> terms{
                            {factors.template operator()<Value>(n), lanes}};
                        add_tile<tile_lanes, !std::is_same_v<Value, Real>>(
                            strip, terms, count, power.from(k, strip.at), to,
                            is_single || k == 0);
                    }
                });
            };
            const auto add_power = [&](int number, int m, const auto& factors) {
                if constexpr (narrow_packs)
                    if (number > 0 && plan_.single().means)
                        return add.template operator()<FloatPack, HalfFloatPack>(
                            number, scratch.powers.rows<float>(m), factors);
                add.template operator()<Pack, HalfPack>(
                    number, m == 1 ? w2 : scratch.powers.rows<Real>(m), factors);
            };
            if (many && order > 1) find_factors(begin, end, k, count, scratch);
            for (int m = 1; m <= order; ++m)
                for (int p = many && m < order ? -1 : 0; p <= (many ? order - m : 0);
                     ++p) {
                    const int number = many ? target_sum(order, p, m) : m - 1;
                    add_power(number, m,
                              [&]<class Value>(std::size_t n) -> const Value* {
                                  if (!many)
                                      return series(n).template mean<Value>(m) +
                                             k * lanes + n % lanes;
                                  if constexpr (std::is_same_v<Value, Real>)
                                      if (number == 0)
                                          return series(n).output(1, k) + n % lanes;
                                  return scratch.factors<Value>(number, n - begin);
                              });
                }
            if (is_single && part < net_.outputs())
                add_in_double(scratch.class_sums.at, scratch.totals,
                              sums * expanded_at_once * scratch.class_sums.stride,
                              k == 0, k + part >= net_.outputs());
        }
    }

    // The factors of the classes [k, k + count), in float32 if they may be.
    void find_factors(std::size_t begin, std::size_t end, std::size_t k,
                      std::size_t count, const Scratch& scratch) const {
        for (std::size_t n = begin; n < end; n += lanes) {
            float* single = narrow_packs && plan_.single().means
                                ? scratch.factors<float>(0, n - begin)
                                : nullptr;
            Real* wide = scratch.factors<Real>(0, n - begin);
            const auto put = [=](int number, std::size_t i, Pack factor) {
                const std::size_t at = number * Scratch::factors_of_a_sum + i * lanes;
                single ? store_in_single(single + at, factor)
                       : store(wide + at, factor);
            };
            Plan::with_order(plan_.orders().hidden, [&]<int K>() {
                series(n).find_factors<K>(samples_, net_.sigmoid_output(), targets_, n,
                                          k, count, put);
            });
        }
    }

    // For the samples [begin, end), at most expanded_at_once. Those that are evaluated
    // directly are expanded too, but not read.
    void expand_hidden(std::size_t panel, std::size_t begin, std::size_t end, bool many,
                       Real scale, const Coefficients& odd, const Scratch& scratch) {
        const Tile<const Real> w2 = net_.transposed(panel);
        const std::size_t whole =
            net_.panels.packs_in(panel) *
            lanes;  // all lanes: what lies in others may be subnormal, which is slow
        sum_over_classes(begin, end, many, w2, whole, scratch);
        Plan::with_order(plan_.orders().hidden, [&]<int K>() {
            for (std::size_t n = begin; n < end; ++n) {
                const Series own = series(n);
                for (std::size_t j = 0; j < whole && K > 1;
                     j += lanes) {  // the only coefficient of order 1 is the sum
                    const Tile<Real> sums = scratch.class_sums.from(n - begin, j);
                    many ? own.find_loss_of_many<K>(n % lanes, sums)
                         : own.find_loss<K>(n % lanes, targets_.of_sample(n),
                                            w2.from(0, j), sums);
                }
                with_activation(net_.hidden_activation(), [&]<class A>() {
                    for (std::size_t j = 0; j < whole; j += lanes)
                        Series::expand_hidden<K>(
                            A::template series<K>(load(samples_.z1(panel, n) + j),
                                                  load(samples_.state1(panel, n) + j)),
                            scratch.class_sums.from(n - begin, j), scale,
                            odd.from(n, j));
                });
            }
        });
        for (std::size_t n = begin;
             n < end && narrow_packs && odd.samples_in_single > 0; ++n)
            for (std::size_t j = 0; j < whole; j += lanes)
                store_in_single(odd.single_third.row(n) + j,
                                h_ * h_ * load(odd.power(1).row(n) + j));
    }

    AddSeries row_kernel(std::size_t panel) const {
        AddSeries kernel = nullptr;
        Plan::with_order(plan_.orders().hidden, [&]<int K>() {
            kernel = with_units(net_.panels, panel, []<class Row>() -> AddSeries {
                return add_series<K, Row>;
            });
        });
        return kernel;
    }

    // Sums begin with zero, and are then put where they belong; or they are the weights
    // themselves.
    void add_block(std::size_t panel, std::size_t b, std::size_t count,
                   const Coefficients& odd, const Scratch& scratch) {
        const std::size_t columns = samples_.rows.columns(b);
        const Incoming<Real> incoming = sums_.incoming(panel);
        const Tile<Real> to = incoming.weights.from(b * block_columns, 0);
        const Tile<Real> sums = scratch.sums;
        const bool in_weights = sums_.in_weights();
        const Tile<const Real> later =
            wide_ && !in_weights ? to : Tile<Real>{nullptr, 0};
        add_series_of_block(plan_.orders().hidden, samples_.rows, b, count,
                            plan_.directly(), odd, scratch.tables, row_kernel(panel),
                            net_.panels.units_in(panel), later,
                            {{in_weights ? to.at : sums.at, sums.stride},
                             columns,
                             !in_weights,
                             scratch.totals});
        if (!in_weights)
            sums_.put_weights(sums, b * block_columns, columns,
                              {panel, 0, incoming.columns}, true);
    }

    // A bias is the weight of an input that is always 1.
    void add_bias(std::size_t panel, std::size_t count, const Coefficients& odd,
                  const Scratch& scratch) {
        constexpr Entry entry{0, 0};
        const Real one = 1;
        const Incoming<Real> to = sums_.incoming(panel);
        const bool in_weights = sums_.in_weights();
        Accumulator into({in_weights ? to.bias : scratch.sums.at, scratch.sums.stride},
                         1, !in_weights, scratch.totals);
        const AddSeries add_row = row_kernel(panel);
        for (std::size_t n = 0; n < count; ++n) {
            if (plan_.directly()[n]) continue;
            into.flush_if_full();
            add_row({&entry, &entry + 1, &one, false}, odd, n, into.sums,
                    into.stores());
        }
        into.finish();
        if (!in_weights) sums_.put_biases(into.sums.at, {panel, 0, to.columns}, true);
    }

    // The sums of the outgoing weights of a panel, a row for each class.
    void add_outgoing(std::size_t panel, std::size_t count, Tile<Real> powers) {
        bool clear = true;  // whether there are no sums yet
        if (panel == 0) sums_.clear_output_biases();
        for (std::size_t n = 0, end; n < count; n = end) {
            end = n + 1;
            if (plan_.directly()[n]) continue;
            for (const std::size_t last = n + even_part(count - n, rows_at_once);
                 end < last && !plan_.directly()[end];)
                ++end;
            add_outgoing_of(panel, n, end, powers, clear);
            if (panel == 0) add_output_biases(n, end);
            clear = false;
        }
        if (clear) sums_.clear_outgoing(panel);
    }

    // += the series of the samples [begin, end), or = that, with `clear`: a product for
    // each power of z1, the highest first.
    void add_outgoing_of(std::size_t panel, std::size_t begin, std::size_t end,
                         Tile<Real> powers, bool clear) {
        const Tile<const Real> z1{samples_.z1(panel, begin), net_.panels.width()};
        const std::size_t width = net_.panels.units_in(panel);
        const int most = odd_powers(plan_.orders().output) - 1;
        for (int m = most; m >= 0; --m) {
            const Real* odd[rows_at_once];
            for (std::size_t n = begin; n < end; ++n) {
                odd[n - begin] = series(n).output(2 * m + 1, 0) + n % lanes;
                if (m > 0)
                    store_odd_power(m, z1.row(n - begin), pad(width), h_,
                                    powers.row(n - begin));
            }
            add_products<Pack, HalfPack, lanes, Real>(
                odd, end - begin, m > 0 ? powers : z1, net_.outputs(),
                {sums_.outgoing(panel), width, clear && m == most});
        }
    }

    // The same for the biases of the outputs. Of whole groups of samples, each lane is
    // summed apart.
    void add_output_biases(std::size_t begin, std::size_t end) {
        constexpr std::size_t at_once = 32;  // outputs, whose sums stay in the L1 cache
        const int order = plan_.orders().output;
        const Real square = h_ * h_;
        for (std::size_t first = 0; first < net_.outputs(); first += at_once) {
            const std::size_t count = std::min(at_once, net_.outputs() - first);
            double *biases = sums_.output_biases() + first, sums[at_once][lanes] = {};
            for (std::size_t group = begin / lanes * lanes; group < end;
                 group += lanes) {
                const Series own = series(group);
                const std::size_t from = std::max(begin, group) - group,
                                  to = std::min(end - group, lanes);
                for (std::size_t k = 0; k < count; ++k) {
                    Pack term = load(own.output(order, first + k));
                    for (int m = order - 2; m >= 1; m -= 2)
                        term = term * square + load(own.output(m, first + k));
                    Real each[lanes];
                    store(each, term);
                    if (to - from == lanes)  // a loop that the compiler unrolls
                        for (std::size_t l = 0; l < lanes; ++l) sums[k][l] += each[l];
                    else
                        for (std::size_t l = from; l < to; ++l) biases[k] += each[l];
                }
            }
            for (std::size_t k = 0; k < count; ++k)
                for (const double sum : sums[k]) biases[k] += sum;
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
