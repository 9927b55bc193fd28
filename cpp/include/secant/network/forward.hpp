// The forward pass of a block of samples: pre-activations, activations, softmax.
//
// Arrays of the hidden layer are cut into panels, each (samples, width): lanes run over
// units. In the output layer `lanes` samples form a group, whose arrays are (outputs,
// lanes): lanes run over samples.
#pragma once

#include <atomic>

#include "secant/platform/parallel.hpp"
#include "secant/network/kinks.hpp"
#include "secant/network/parameters.hpp"
#include "secant/network/rows.hpp"
#include "secant/network/softmax.hpp"
#include "secant/simd/products.hpp"

namespace secant::SECANT_ISA {

class Samples {
public:
    // Shared by so many threads. With `keep_pre_activations` there is memory for a1 and
    // a2. Units that a shift by h x_n might take across a kink are found.
    Samples(Workspace& work, const Parameters& net, const Inputs& x,
            std::size_t capacity, int threads, bool keep_pre_activations, Real h)
        : rows(work, x, capacity, net.panels.more_than_two_per_thread(threads)),
          kinks(work, net, rows, capacity, h),
          net_(net),
          capacity_(capacity),
          a1_(work.take<Real>(keep_pre_activations ? capacity * net.panels.total_width()
                                                   : 0)),
          copies_(work.take<Real>(net.reading == Reading::by_block
                                      ? static_cast<std::size_t>(threads) * copy_size()
                                      : 0)),
          z1_(work.take<Real>(capacity * net.panels.total_width())),
          state1_(work.take<Real>(capacity * net.panels.total_width())),
          largest1_(work.take<Real>(capacity * net.panels.count)),
          a2_(work.take<Real>(keep_pre_activations ? pad(capacity) * net.outputs()
                                                   : 0)),
          z2_(work.take<Real>(pad(capacity) * net.outputs())),
          zc2_(work.take<Real>(pad(capacity) * net.outputs())),
          y_(work.take<Real>(pad(capacity) * pad(net.outputs()))) {}

    // z1 and its state of the units of panels [first, last) for the samples [begin,
    // end), by a thread; with `keep` a1 too, and kinks are found. Returns NaN where a
    // weight that was copied is not finite, else 0.
    [[gnu::noinline]] Pack activate_hidden(std::size_t first, std::size_t last,
                                           std::size_t begin, std::size_t end,
                                           bool keep, std::size_t rank) {
        Pack finite{};
        // A few panels at a time: their sums stay in the L2 cache, and the inputs,
        // which may not, are read once for all of them.
        for (; first < last && begin < end; first += net_.panels.panels_per_pass()) {
            const std::size_t end_of_few =
                std::min(first + net_.panels.panels_per_pass(), last);
            for (std::size_t panel = first; panel < end_of_few; ++panel)
                begin_with_bias(panel, begin, end);
            for (std::size_t b = 0; b < rows.blocks(); ++b)
                for (std::size_t panel = first; panel < end_of_few; ++panel)
                    finite += add_inputs(panel, b, begin, end, rank);
            for (std::size_t panel = first; panel < end_of_few; ++panel)
                with_activation(net_.hidden_activation(), [&]<class A>() {
                    for (std::size_t n = begin; n < end; ++n)
                        activate<A>(panel, n, net_.panels.packs_in(panel) * lanes,
                                    keep);
                });
        }
        return finite;
    }

    // a2 of the groups of samples [begin, end), stored as z2. A tile of w2 stays in the
    // L1 cache for all of them.
    void affine_output(std::size_t begin, std::size_t end) {
        const Tile<Real> sums{
            y_, pad(net_.outputs())};  // a row for each sample, where y will be
        for (std::size_t n = begin; n < pad(end); ++n)
            std::copy_n(net_.b2(), sums.stride, sums.row(n));
        for (std::size_t panel = 0; panel < net_.panels.count; ++panel)
            for_strips<Pack, HalfPack>(sums.stride, [&](const auto& strip) {
                for (std::size_t n = begin; n < pad(end); n += tile_lanes) {
                    const Real* z[tile_lanes];
                    Real* to[tile_lanes];
                    for (std::size_t r = 0; r < tile_lanes; ++r) {
                        z[r] = z1(
                            panel,
                            std::min(
                                n + r,
                                end - 1));  // past the end the last sample is repeated
                        to[r] = sums.row(n + r) + strip.at;
                    }
                    const Tile<const Real> w2{net_.w2(panel, 0) + strip.at,
                                              sums.stride};
                    add_tile<tile_lanes, false>(strip, AlongRows<Real>{z},
                                                net_.panels.units_in(panel), w2, to);
                }
            });
        for (std::size_t n = begin; n < end; n += lanes)
            for_columns(sums.from(n, 0), lanes, net_.outputs(),
                        [&](std::size_t k, Pack a2) {
                            store(z2_ + in_group(n) + k * lanes, a2);
                        });
    }

    // z2, zc2 and y of a group, given a2; with `keep` that is kept too.
    [[gnu::noinline]] void activate_output(std::size_t begin, bool keep) {
        Real* a2 = z2_ + in_group(begin);
        if (keep) std::copy_n(a2, net_.outputs() * lanes, a2_ + in_group(begin));
        Pack farthest{}, finite{},
            top = broadcast(-std::numeric_limits<Real>::infinity());
        for (std::size_t k = 0; k < net_.outputs(); ++k) {
            const Pack a = load(a2 + k * lanes);
            farthest = maximum(farthest, absolute(a));
            finite += zero_or_nan(a);
            SigmoidPair unit{a, a};
            if (net_.sigmoid_output()) {
                unit = sigmoid(a);
                store(a2 + k * lanes, unit.z);
                store(zc2_ + in_group(begin) + k * lanes, unit.zc);
            }
            top = maximum(top, unit.z);
        }
        notice(farthest, finite);
        softmax_lanes(a2, y_ + y_group(begin), net_.outputs(), top);
    }

    const Real* a1(std::size_t panel, std::size_t n) const { return at(a1_, panel, n); }
    const Real* z1(std::size_t panel, std::size_t n) const { return at(z1_, panel, n); }
    const Real* state1(std::size_t panel, std::size_t n) const {
        return at(state1_, panel, n);
    }
    // max|z1|, or 1 if that is larger.
    Real largest_hidden(std::size_t n) const {
        Real largest = 1;
        for (std::size_t panel = 0; panel < net_.panels.count && !net_.bounded();
             ++panel)
            largest = std::max(largest, largest1_[panel * capacity_ + n]);
        return largest;
    }

    // The output layer of sample n: class k is at [k * lanes].
    const Real* a2(std::size_t n) const { return a2_ + in_group(n); }
    const Real* z2(std::size_t n) const { return z2_ + in_group(n); }
    const Real* zc2(std::size_t n) const { return zc2_ + in_group(n); }
    const Real* y(std::size_t n) const { return y_ + y_group(n) + n % lanes; }

    // Whether a pre-activation was not finite: such a sum may be NaN or an infinity, by
    // the order of its terms, and activations make numbers of it. Or so large that
    // float has no digits left for what shifts it.
    bool too_large() const { return too_large_; }

    Rows rows;
    Kinks kinks;

private:
    std::size_t copy_size() const { return block_columns * net_.panels.width(); }

    Real* at(Real* hidden, std::size_t panel, std::size_t n) const {
        return hidden + (panel * capacity_ + n) * net_.panels.width();
    }

    // a1 = b1, of a panel.
    void begin_with_bias(std::size_t panel, std::size_t begin, std::size_t end) {
        const Incoming<const Real> w = net_.incoming(panel);
        for (std::size_t n = begin; n < end; ++n)
            for (std::size_t j = 0; j < net_.panels.packs_in(panel) * lanes; j += lanes)
                store(at(z1_, panel, n) + j,
                      load_part(w.bias + j, std::min(lanes, w.columns - j)));
    }

    // a1 += x w, of block b of the inputs. Returns NaN where a weight that was copied
    // is not finite, else 0.
    Pack add_inputs(std::size_t panel, std::size_t b, std::size_t begin,
                    std::size_t end, std::size_t rank) {
        const Incoming<const Real> w = net_.incoming(panel);
        const bool copied = net_.reading == Reading::by_block;
        const Tile<Real> copy{copies_ + rank * copy_size(), net_.panels.width()};
        const Pack finite = copied ? net_.copy_block(panel, b, copy) : Pack{};
        const Tile<const Real> w_b =
            copied ? copy : w.weights.from(b * block_columns, 0);
        const std::size_t last =
            copied ? lanes : w.columns - (net_.panels.packs_in(panel) - 1) * lanes;
        const auto add_alone = with_units(
            net_.panels, panel, []<class Row>() { return &Samples::add_alone<Row>; });
        rows.for_runs(
            b, begin, end, nullptr,
            [&](std::size_t first, std::size_t end_of_run, const Real* const* x) {
                if (!x || last != lanes)
                    return (this->*add_alone)(panel, b, first, end_of_run, w_b, last);
                const Tile<Real> sums{at(z1_, panel, first), net_.panels.width()};
                add_rows<Pack, HalfPack>(x, end_of_run - first, rows.columns(b), w_b,
                                         sums, net_.panels.units_in(panel));
            });
        return finite;
    }

    // z1 of a sample in a panel holds a1 before.
    template <class Activation>
    void activate(std::size_t panel, std::size_t n, std::size_t size, bool keep) {
        Real *z1 = at(z1_, panel, n), *state = at(state1_, panel, n),
             *a1 = at(a1_, panel, n);
        if (keep) std::copy_n(z1, size, a1);
        Pack largest{}, farthest{}, finite{};
        for (std::size_t j = 0; j < size; j += lanes) {
            const Pack a = load(z1 + j);
            const Activated unit = Activation::evaluate(a);
            farthest = maximum(farthest, absolute(a));
            finite += zero_or_nan(a);
            store(z1 + j, unit.z);
            store(state + j, unit.state);
            if constexpr (!Activation::bounded)
                largest = maximum(largest, absolute(unit.z));
        }
        notice(farthest, finite);
        if constexpr (!Activation::bounded)
            largest1_[panel * capacity_ + n] = largest_lane(largest);
        if constexpr (Activation::kink)
            for (std::size_t j = 0; j < size && keep && kinks.enabled; j += lanes)
                kinks.find<Activation>(panel, n, j, a1 + j, state + j);
    }

    // The largest pre-activations of some units and samples, in absolute value; and 0,
    // or NaN where one is not finite.
    void notice(Pack farthest, Pack finite) {
        constexpr Real most_of_float = 1e12F;
        const bool small =
            sizeof(Real) == sizeof(double) || largest_lane(farthest) <= most_of_float;
        if (!small || lane_sum(finite) != 0) too_large_ = true;
    }

    std::size_t y_group(std::size_t n) const {
        return n / lanes * lanes * pad(net_.outputs());
    }
    std::size_t in_group(std::size_t n) const {
        return n / lanes * lanes * net_.outputs() + n % lanes;
    }

    // a1 += x w, of block b of the samples [n, end), one by one. w: the weights of that
    // block, whose last pack has `last` columns. |error| <= (I + 1) eps (|x_n| |w| +
    // |b|)
    template <class Row>
    void add_alone(std::size_t panel, std::size_t b, std::size_t n, std::size_t end,
                   Tile<const Real> w, std::size_t last) {
        for (; n < end; ++n) {
            const RowBlock row = rows.block(n, b);
            Row sum(at(z1_, panel, n));
            if (last == lanes)
                for (const Entry* e = row.begin; e < row.end; ++e)
                    sum.add(broadcast(row.values[e->value]), w.row(e->column));
            else
                for (const Entry* e = row.begin; e < row.end; ++e)
                    sum.add(broadcast(row.values[e->value]), w.row(e->column), last);
            sum.put(at(z1_, panel, n), false);
        }
    }

    const Parameters& net_;
    std::size_t capacity_;
    Real *a1_, *copies_, *z1_, *state1_, *largest1_, *a2_, *z2_, *zc2_, *y_;
    std::atomic<bool> too_large_{false};
};

// How many samples a block has room for: enough to reuse what is loaded, but so few
// that interrupts, which are polled between blocks, need not wait. A sample costs as
// much as `passes` forward passes.
inline std::size_t block_capacity(const Network& net, std::size_t samples,
                                  std::size_t passes) {
    constexpr std::size_t slice = 600'000'000;
    return std::min({samples, enough_samples(net.hidden()),
                     slice / (net.multiplications() * passes) + 1});
}

inline std::size_t predict(const PredictCall& call, void* memory) noexcept {
    const Inputs& x = call.x;
    const std::size_t share =
        pad(ceil_of(x.rows, static_cast<std::size_t>(
                                call.threads)));  // of a thread, in whole groups
    const std::size_t capacity = std::min(share, block_capacity(call.net, x.rows, 1)),
                      tasks = ceil_of(x.rows, capacity);
    Workspace work(memory);
    Parameters net(work, call.net, 1, reading_for(x.rows, capacity), false);
    Samples* pieces =
        one_a_thread<Samples>(work, call.threads, net, x, capacity, 1, false, Real{0});
    if (work.counting()) return work.bytes();
    std::atomic<std::size_t> next{0};  // a slow thread takes fewer tasks
    std::atomic<bool> all_finite{true};
    parallel(call.threads, [&](const Team& team) {
        net.pack(team);
        Pack finite{};  // 0, or NaN where a weight, an input or a result is not
        Samples& own = pieces[team.rank];
        for (std::size_t task; (task = next++) < tasks;) {
            const std::size_t first = task * capacity,
                              size = std::min(capacity, x.rows - first);
            for (std::size_t n = 0; n < size; ++n) own.rows.gather(n, first + n);
            finite += own.activate_hidden(0, net.panels.count, 0, size, false, 0);
            own.affine_output(0, size);
            for (std::size_t n = 0; n < size; n += lanes) own.activate_output(n, false);
            for (std::size_t n = 0; n < size; ++n) {
                Real* y = call.y.row(first + n);
                for (std::size_t k = 0; k < net.outputs(); ++k)
                    y[k] = own.y(n)[k * lanes];
                finite += zero_or_nan(broadcast(own.rows.largest(n))) +
                          zero_or_nan(y, net.outputs());
            }
            if (team.rank == 0 && call.interrupted()) next = tasks;
        }
        if (lane_sum(finite) != 0 || own.too_large()) all_finite = false;
    });
    *call.finite = all_finite && net.finite();
    return 0;
}

}  // namespace secant::SECANT_ISA
