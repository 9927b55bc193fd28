// The parameters in the order in which the engines walk over them.
//
// Hidden units are cut into panels of a few packs. The sums of a unit do not depend on
// its panel, so the number of panels may depend on that of the threads.
#pragma once

#include <algorithm>
#include <atomic>

#include "secant/interface/kernels.hpp"
#include "secant/network/activations.hpp"
#include "secant/platform/parallel.hpp"
#include "secant/platform/workspace.hpp"
#include "secant/simd/elementary.hpp"
#include "secant/simd/products.hpp"
#include "secant/simd/transpose.hpp"

namespace secant::SECANT_ISA {

// The most packs of a panel: with 32 registers two coefficients of each fill these.
// With 16 most are loaded again for each input, but what is done for an input once a
// panel takes longer: with AVX2 50 units of 784-50-10 are a single panel, and a
// gradient of MNIST takes 0.8 to 0.9 of the time that it took with 6 packs.
constexpr std::size_t most_packs = 13;

struct Panels {
    // With `apart` each thread has its own panels, whose weights stay in the cache of
    // its core. Otherwise threads may share a panel: in the caller's arrays panels lie
    // side by side, and threads that write to neighbors slow each other down.
    Panels(std::size_t hidden_units, int threads, bool apart) : hidden(hidden_units) {
        const auto all = static_cast<std::size_t>(threads);
        // Units come in half packs. As many panels as registers want,
        const std::size_t halves = ceil_of(hidden, lanes_of<HalfPack>),
                          most_halves = most_packs * lanes / lanes_of<HalfPack>;
        std::size_t wanted = ceil_of(halves, most_halves);
        // and as many for each thread, where it has its own,
        if (apart || wanted > all)
            wanted = std::min(ceil_of(wanted, all) * all, halves);
        // of the same size, in whole half packs,
        size = ceil_of(halves, wanted) * lanes_of<HalfPack>;
        // or in whole packs, where a thread has several: only the last panel then has
        // lanes that do nothing,
        if (wanted > all) size = pad(size);
        // which may need fewer panels than that. Threads that have none share those of
        // others.
        count = ceil_of(hidden, size);
        parts = ceil_of(static_cast<std::size_t>(threads), count);
    }

    std::size_t hidden;
    std::size_t size;  // units in a panel; the last may have fewer
    std::size_t count;
    std::size_t parts;  // if there are more threads than panels, they share the samples
                        // or the inputs of each

    std::size_t first(std::size_t panel) const { return panel * size; }
    std::size_t units_in(std::size_t panel) const {
        return std::min(size, hidden - first(panel));
    }
    std::size_t packs_in(std::size_t panel) const {
        return pad(units_in(panel)) / lanes;
    }
    // Whether each of so many threads has several: then it reads the same inputs again
    // for each.
    bool more_than_two_per_thread(int threads) const {
        return count > 2 * static_cast<std::size_t>(threads);
    }
    // How many panels are taken together: their sums, for a block of samples, stay in
    // the L2 cache.
    std::size_t panels_per_pass() const { return std::max<std::size_t>(256 / size, 1); }

    // In arrays each row of a panel is padded to whole packs. Rows of 512 bytes would
    // have the same pack of all rows in an eighth of the sets of the L1 cache: they get
    // one more.
    std::size_t width() const {
        return pad(size) + (pad(size) * sizeof(Real) % 512 == 0 ? lanes : 0);
    }
    std::size_t total_width() const { return count * width(); }

    // Where the share of a part begins, of so many things.
    std::size_t begin(std::size_t part, std::size_t things) const {
        return part * things / parts;
    }

    // A phase that parts of panels share: body(begin, end, part) for panels [begin,
    // end).
    template <class Body>
    void run(const Team& team, const Phase& phase, const Body& body) const {
        team.begin(phase, parts == 1 ? Sharing::panels : phase.shared_by,
                   count * parts);
        if (parts == 1)
            team.share_range(count, [&](std::size_t begin, std::size_t end) {
                body(begin, end, 0);
            });
        else
            team.share(count * parts, [&](std::size_t task) {
                body(task / parts, task / parts + 1, task % parts);
            });
        team.end(phase, parts > 1);
    }
};

// what.template operator()<Row>() for the row of units in registers that a panel has:
// it returns a kernel for such rows.
template <class What>
auto with_units(const Panels& panels, std::size_t panel, const What& what) {
    const bool half = units_in_half<Pack, HalfPack>(panels.units_in(panel)) > 0;
    return with_number<1, most_packs>(panels.packs_in(panel), [&]<int P>() {
        return half ? what.template operator()<Units<P, HalfPack>>()
                    : what.template operator()<Units<P, Pack>>();
    });
}

// The weights into the units of a panel, or their gradient: a row for each input, and
// the bias. `columns` of them exist.
template <class T>
struct Incoming {
    Tile<T> weights;
    T* bias;
    std::size_t columns;

    operator Incoming<const T>() const { return {weights, bias, columns}; }
};

// Incoming weights, one panel of full width after the other, each with its bias as the
// last row.
class PackedWeights {
public:
    PackedWeights(Workspace& work, const Panels& panels, std::size_t inputs)
        : panels_(panels),
          inputs_(inputs),
          data_(work.take<Real>(panels.total_width() * (inputs + 1))) {}

    Incoming<Real> panel(std::size_t panel) const {
        const std::size_t width = panels_.width();
        const Tile<Real> weights{data_ + panel * width * (inputs_ + 1), width};
        return {weights, weights.row(inputs_), panels_.packs_in(panel) * lanes};
    }

private:
    const Panels& panels_;
    std::size_t inputs_;
    Real* data_;
};

// Where the weights into the hidden layer are read: from a copy of all, whose rows are
// aligned and padded with zeros; from such a copy of one block of inputs, made where it
// is needed, which is then in the L1 cache; or where the caller has them.
enum class Reading { packed, by_block, in_place };

// Samples are taken in blocks: a few copies, one for each block, cost less than one of
// all weights. A gradient of 784-50-10 takes 0.93 of the time that it takes with that
// one, and 0.9 for MNIST. From 8 samples on a copy pays: dense, 8 take 76 us with it,
// and 7 take 85 without.
constexpr Reading reading_for(std::size_t samples, std::size_t block) {
    constexpr std::size_t enough_to_copy = 8, few_blocks = 4;
    if (samples > few_blocks * block) return Reading::packed;
    return std::min(samples, block) >= enough_to_copy ? Reading::by_block
                                                      : Reading::in_place;
}

// The samples of a block: as many as can reuse what is loaded. A wide layer is read,
// and its gradient written, once for each block: there long blocks pay: 784-2048-10
// takes 0.83 of the time that it took with blocks of 44. In a narrow one the inputs of
// a block should stay in the L2 cache.
constexpr std::size_t enough_samples(std::size_t hidden) {
    return hidden > 128 ? 256 : 128;
}

class Parameters {
public:
    Parameters(Workspace& work, const Network& net, int threads, Reading weights,
               bool apart)
        : panels(net.hidden(), threads, apart),
          reading(weights),
          net_(net),
          w1_(work, panels, packed() ? net.inputs() : 0),
          outgoing_{work.take<Real>(panels.total_width() * pad(net.outputs())),
                    pad(net.outputs())},
          b2_(work.take<Real>(pad(net.outputs()))),
          transposed_(work.take<Real>(panels.total_width() * net.outputs())),
          largest_(work.take<Real>(panels.count)) {}

    // Called before anything is read.
    void pack(const Team& team) {
        // A row of the weights lies in one piece, that of a panel in many.
        team.run(phases::pack_rows, reading == Reading::by_block ? 0 : row_tasks(),
                 [&](std::size_t task) { pack_rows(task); });
        team.run(phases::pack_rest, panels.count,
                 [&](std::size_t panel) { pack_rest(panel); });
    }

    // to = block b of the weights into a panel. Returns 0, or NaN where one is not
    // finite.
    Pack copy_block(std::size_t panel, std::size_t b, Tile<Real> to) const {
        const Incoming<const Real> from = incoming(panel);
        Pack finite{};
        for (std::size_t i = b * block_columns;
             i < std::min(net_.inputs(), (b + 1) * block_columns); ++i)
            finite += copy_checked(from.weights.row(i), from.columns,
                                   to.row(i - b * block_columns));
        return finite;
    }

    // Takes 0, or NaN where what was packed or copied was not finite.
    void record(Pack finite) {
        if (lane_sum(finite) != 0) finite_ = false;
    }

    // Back to the caller's arrays.
    void unpack(std::size_t panel, const Gradient& out) const {
        const Incoming<const Real> from = w1_.panel(panel);
        const Incoming<Real> to = user_panel(out.w1.data, out.b1, panel);
        for (std::size_t i = 0; i < net_.inputs(); ++i)
            std::copy_n(from.weights.row(i), to.columns, to.weights.row(i));
        std::copy_n(from.bias, to.columns, to.bias);
        for (std::size_t j = 0; j < panels.units_in(panel); ++j)
            std::copy_n(w2(panel, j), net_.outputs(),
                        out.w2.row(panels.first(panel) + j));
        if (panel == 0) std::copy_n(b2_, net_.outputs(), out.b2);
    }

    // Called when w2 of the panel has changed.
    void transpose(std::size_t panel) {
        Pack largest{};
        for (std::size_t j = 0; j < panels.width(); j += lanes)
            for_columns({w2(panel, j), outgoing_.stride}, lanes, net_.outputs(),
                        [&](std::size_t k, Pack column) {
                            store(transposed_ + panel * panels.width() +
                                      k * panels.total_width() + j,
                                  column);
                            largest = maximum(largest, absolute(column));
                        });
        largest_[panel] = largest_lane(largest);
    }

    // The caller's weights into a panel, or an array of their shape.
    template <class T>
    Incoming<T> user_panel(T* w1, T* b1, std::size_t panel) const {
        return {{w1 + panels.first(panel), net_.hidden()},
                b1 + panels.first(panel),
                panels.units_in(panel)};
    }

    Incoming<const Real> incoming(std::size_t panel) const {
        return packed() ? Incoming<const Real>(w1_.panel(panel))
                        : user_panel(net_.w1.data, net_.b1, panel);
    }
    Incoming<Real> packed(std::size_t panel) { return w1_.panel(panel); }

    // The weights out of unit j of a panel. Padded with zeros, also past the last unit;
    // so is b2.
    Real* w2(std::size_t panel, std::size_t j) const {
        return outgoing_.row(panel * panels.width() + j);
    }
    Real* b2() const { return b2_; }
    // The weights out of the units of a panel: a row for each class.
    Tile<const Real> transposed(std::size_t panel) const {
        return {transposed_ + panel * panels.width(), panels.total_width()};
    }
    Real largest_outgoing() const {
        return *std::max_element(largest_, largest_ + panels.count);
    }

    // Whether those that were packed or copied were finite.
    bool finite() const { return finite_; }

    std::size_t inputs() const { return net_.inputs(); }
    std::size_t outputs() const { return net_.outputs(); }
    std::size_t hidden_activation() const { return net_.hidden_activation; }
    bool bounded() const { return is_bounded(net_.hidden_activation); }
    bool sigmoid_output() const { return net_.sigmoid_output; }
    double log_offset() const { return net_.log_offset; }

    const Panels panels;
    const Reading reading;

private:
    static constexpr std::size_t rows_a_task = 32;
    std::size_t row_tasks() const { return ceil_of(net_.inputs(), rows_a_task); }
    bool packed() const { return reading == Reading::packed; }

    // Looks at weights, and copies them, if wanted, to whole packs. Returns 0, or NaN
    // where one is not finite.
    static Pack copy_checked(const Real* weights, std::size_t count, Real* copy) {
        Pack finite{};
        for_packs(count, [&](std::size_t j, std::size_t some) {
            const Pack w = load_part(weights + j, some);
            finite += zero_or_nan(w);
            if (copy) store(copy + j, w);
        });
        return finite;
    }

    void pack_rows(std::size_t task) {
        Pack finite{};
        const std::size_t end = std::min(net_.inputs(), (task + 1) * rows_a_task);
        for (std::size_t panel = 0; panel < panels.count; ++panel) {
            const Incoming<const Real> from = user_panel(net_.w1.data, net_.b1, panel);
            const Tile<Real> to = packed(panel).weights;
            for (std::size_t i = task * rows_a_task; i < end; ++i)
                finite += copy_checked(from.weights.row(i), from.columns,
                                       packed() ? to.row(i) : nullptr);
        }
        record(finite);
    }

    void pack_rest(std::size_t panel) {
        const Incoming<const Real> from = user_panel(net_.w1.data, net_.b1, panel);
        Pack finite = copy_checked(from.bias, from.columns,
                                   packed() ? packed(panel).bias : nullptr);
        const std::size_t units = panels.units_in(panel);
        for (std::size_t j = 0; j < units; ++j)
            finite += copy_checked(net_.w2.row(panels.first(panel) + j), net_.outputs(),
                                   w2(panel, j));
        std::fill_n(w2(panel, units), (panels.width() - units) * outgoing_.stride,
                    Real{0});
        if (panel == 0) finite += copy_checked(net_.b2, net_.outputs(), b2_);
        transpose(panel);
        record(finite);
    }

    const Network& net_;
    PackedWeights w1_;
    Tile<Real> outgoing_;
    Real *b2_, *transposed_, *largest_;
    std::atomic<bool> finite_{true};
};

}  // namespace secant::SECANT_ISA
