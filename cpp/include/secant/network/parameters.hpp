// The parameters in the order in which the engines walk over them.
//
// Hidden units are cut into panels of a few packs, as many as stay in registers. A unit's sums do not depend on where the
// panels are cut, so their number may follow that of the threads.
#pragma once

#include <algorithm>
#include <cmath>

#include "secant/simd/elementary.hpp"
#include "secant/platform/parallel.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t most_packs = 8;  // of 32 registers: two coefficients of each pack, and a few more
#else
constexpr std::size_t most_packs = 5;  // of 16
#endif

struct Panels {
    // With `apart` each thread has panels of its own, for weights that stay in the cache of its core. Else threads may share
    // one: they would disturb each other where panels lie side by side in the caller's arrays.
    Panels(std::size_t units, int threads, bool apart) : hidden(units) {
        constexpr std::size_t step = sizeof(HalfPack) / sizeof(double);  // so evenly are they cut
        const std::size_t steps = ceil_of(units, step);
        const auto useful = apart ? std::min(static_cast<std::size_t>(threads), steps) : 1;
        const std::size_t wanted = std::max(ceil_of(steps, most_packs * lanes / step), useful);
        most = ceil_of(steps, wanted) * step;
        count = ceil_of(units, most);
        parts = ceil_of(static_cast<std::size_t>(threads), count);
    }

    std::size_t hidden;
    std::size_t most;   // units in each panel; the last may have fewer
    std::size_t count;
    std::size_t parts;  // for threads beyond the number of panels: they share each panel's samples, or its inputs

    std::size_t first(std::size_t panel) const { return panel * most; }
    std::size_t units_in(std::size_t panel) const { return std::min(most, hidden - first(panel)); }
    std::size_t packs_in(std::size_t panel) const { return pad(units_in(panel)) / lanes; }
    // Whether half of the last pack is enough.
    bool ends_in_half(std::size_t panel) const {
        return sizeof(HalfPack) < sizeof(Pack) && pad(units_in(panel)) - units_in(panel) >= lanes / 2;
    }

    // In arrays each panel is padded to whole packs.
    std::size_t width() const { return pad(most); }
    std::size_t units() const { return count * width(); }

    // Of `size` things, where the share of a part begins.
    std::size_t begin(std::size_t part, std::size_t size) const { return part * size / parts; }

    // body(panel, part). With one part, what a thread computes of a panel it uses itself, and need not wait.
    template <class Body>
    void share(const Team& team, const Body& body) const {
        team.share(count * parts, [&](std::size_t task) { body(task / parts, task % parts); });
        if (parts > 1) team.wait();
    }
};

// Calls what.template operator()<P, Last>() for the packs of a panel, as Units has them.
template <class What>
void with_units(const Panels& panels, std::size_t panel, const What& what) {
    const bool half = panels.ends_in_half(panel);
    const auto call = [&]<int P>() {
        if constexpr (P <= most_packs)
            half ? what.template operator()<P, HalfPack>() : what.template operator()<P, Pack>();
    };
    switch (panels.packs_in(panel)) {
        case 1: return call.template operator()<1>();
        case 2: return call.template operator()<2>();
        case 3: return call.template operator()<3>();
        case 4: return call.template operator()<4>();
        case 5: return call.template operator()<5>();
        case 6: return call.template operator()<6>();
        case 7: return call.template operator()<7>();
        default: return call.template operator()<8>();
    }
}

// The weights into the units of a panel, or their gradient: a row for each input, and the bias. `columns` of them exist.
template <class T>
struct Incoming {
    T* rows;
    std::size_t stride;
    T* bias;
    std::size_t columns;
};

// Incoming weights in panels of full width, one behind the other, each with its bias as the last row.
class PackedWeights {
public:
    PackedWeights(Workspace& work, const Panels& panels, std::size_t inputs)
        : panels_(panels), inputs_(inputs), data_(work.take<double>(panels.units() * (inputs + 1))) {}

    Incoming<double> panel(std::size_t panel) const {
        const std::size_t width = panels_.width();
        double* rows = data_ + panel * width * (inputs_ + 1);
        return {rows, width, rows + inputs_ * width, panels_.packs_in(panel) * lanes};
    }

private:
    const Panels& panels_;
    std::size_t inputs_;
    double* data_;
};

// Whoever reads many samples copies the parameters once: rows are then aligned and padded with zeros. For a few samples
// the incoming weights are read where they are.
class Parameters {
public:
    Parameters(Workspace& work, const Network& net, int threads, bool packed, bool apart)
        : panels(net.hidden(), threads, apart),
          net_(net),
          packed_(packed),
          w1_(work, panels, packed ? net.inputs() : 0),
          outgoing_stride_(pad(net.outputs())),
          w2_(work.take<double>(panels.units() * outgoing_stride_)),
          b2_(work.take<double>(outgoing_stride_)),
          transposed_(work.take<double>(panels.units() * net.outputs())),
          largest_(work.take<double>(panels.count)),
          finite_(work.take<bool>(panels.count)) {
        if (!work.counting()) std::fill_n(w2_, panels.units() * outgoing_stride_, 0.0);
    }

    // To be called for each panel before anything is read; `look`: whether finite() will be asked.
    void pack(std::size_t panel, bool look) const {
        const Incoming<const double> from = user_panel(net_.w1.data, net_.b1, panel);
        const Incoming<double> to = w1_.panel(panel);
        Pack finite{};
        const auto take = [&](const double* weights, std::size_t count, double* copy) {
            for (std::size_t j = 0; j < count; j += lanes) {
                const Pack w = load_part(weights + j, std::min(lanes, count - j));
                finite += zero_or_nan(w);
                if (copy) store(copy + j, w);
            }
        };
        for (std::size_t i = 0; i < net_.inputs() && (packed_ || look); ++i)
            take(from.rows + i * from.stride, from.columns, packed_ ? to.rows + i * to.stride : nullptr);
        take(from.bias, from.columns, packed_ ? to.bias : nullptr);
        for (std::size_t j = 0; j < panels.units_in(panel); ++j)
            take(net_.w2.row(panels.first(panel) + j), net_.outputs(), w2(panel, j));
        if (panel == 0) take(net_.b2, net_.outputs(), b2_);
        transpose(panel);
        finite_[panel] = lane_sum(finite) == 0.0;
    }

    // Back to the caller's arrays.
    void unpack(std::size_t panel, const Gradient& out) const {
        const Incoming<double> from = w1_.panel(panel), to = user_panel(out.w1.data, out.b1, panel);
        for (std::size_t i = 0; i < net_.inputs(); ++i)
            std::copy_n(from.rows + i * from.stride, to.columns, to.rows + i * to.stride);
        std::copy_n(from.bias, to.columns, to.bias);
        for (std::size_t j = 0; j < panels.units_in(panel); ++j)
            std::copy_n(w2(panel, j), net_.outputs(), out.w2.row(panels.first(panel) + j));
        if (panel == 0) std::copy_n(b2_, net_.outputs(), out.b2);
    }

    // To be called after w2 of the panel has changed.
    void transpose(std::size_t panel) const {
        Pack largest{};
        for (std::size_t j = 0; j < panels.width(); j += lanes)
            for (std::size_t k = 0; k < net_.outputs(); ++k) {
                double* to = transposed(panel) + k * panels.units() + j;
                for (std::size_t l = 0; l < lanes; ++l) to[l] = w2(panel, j + l)[k];
                largest = maximum(largest, absolute(load(to)));
            }
        largest_[panel] = largest_lane(largest);
    }

    // The caller's weights into a panel, or an array of their shape.
    template <class T>
    Incoming<T> user_panel(T* w1, T* b1, std::size_t panel) const {
        return {w1 + panels.first(panel), net_.hidden(), b1 + panels.first(panel), panels.units_in(panel)};
    }

    Incoming<const double> incoming(std::size_t panel) const {
        if (!packed_) return user_panel(net_.w1.data, net_.b1, panel);
        const Incoming<double> own = w1_.panel(panel);
        return {own.rows, own.stride, own.bias, own.columns};
    }

    Incoming<double> packed(std::size_t panel) const { return w1_.panel(panel); }
    // Those out of unit j of a panel. Padded with zeros, also past the last unit; so is b2.
    double* w2(std::size_t panel, std::size_t j) const { return w2_ + (panel * panels.width() + j) * outgoing_stride_; }
    double* b2() const { return b2_; }
    // Those out of the units of a panel, to class k at [k * panels.units()].
    double* transposed(std::size_t panel) const { return transposed_ + panel * panels.width(); }
    double largest_outgoing() const { return *std::max_element(largest_, largest_ + panels.count); }

    // Whether neither NaN nor an infinity was among them when they were packed.
    bool finite() const { return std::all_of(finite_, finite_ + panels.count, [](bool finite) { return finite; }); }

    std::size_t inputs() const { return net_.inputs(); }
    std::size_t hidden() const { return net_.hidden(); }
    std::size_t outputs() const { return net_.outputs(); }
    bool sigmoid_output() const { return net_.sigmoid_output; }

    const Panels panels;

private:
    const Network& net_;
    bool packed_;
    PackedWeights w1_;
    std::size_t outgoing_stride_;
    double *w2_, *b2_, *transposed_, *largest_;
    bool* finite_;
};

}  // namespace secant::SECANT_ISA
