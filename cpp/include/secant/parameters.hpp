// The parameters in the order in which the engines walk over them.
//
// Hidden units are cut into panels of a few packs, as many as stay in registers. A unit's sums do not depend on where the
// panels are cut, so their number may follow that of the threads.
#pragma once

#include <algorithm>
#include <cmath>

#include "elementary.hpp"
#include "workspace.hpp"

namespace secant::SECANT_ISA {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t most_packs = 8;  // of 32 registers: two coefficients of each pack, and a few more
#else
constexpr std::size_t most_packs = 5;  // of 16
#endif

struct Panels {
    Panels(std::size_t hidden, int threads) : total(pad(hidden) / lanes) {
        const auto useful = std::min(static_cast<std::size_t>(threads), total);
        const std::size_t wanted = std::max((total + most_packs - 1) / most_packs, useful);
        packs = (total + wanted - 1) / wanted;
        count = (total + packs - 1) / packs;
    }

    std::size_t total;  // packs
    std::size_t packs;  // in each panel; the last may have fewer
    std::size_t count;

    std::size_t packs_in(std::size_t panel) const { return std::min(packs, total - panel * packs); }
    std::size_t width() const { return packs * lanes; }
    std::size_t units() const { return count * width(); }  // H, padded
};

// Calls what.template operator()<P>() for P packs.
template <class What>
void with_packs(std::size_t packs, const What& what) {
    const auto call = [&]<int P>() {
        if constexpr (P <= most_packs) what.template operator()<P>();
    };
    switch (packs) {
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
    Parameters(Workspace& work, const Network& net, int threads, bool packed)
        : panels(net.hidden(), threads),
          net_(net),
          packed_(packed),
          w1_(work, panels, packed ? net.inputs() : 0),
          outgoing_stride_(pad(net.outputs())),
          w2_(work.take<double>(panels.units() * outgoing_stride_)),
          b2_(work.take<double>(outgoing_stride_)),
          transposed_(work.take<double>(panels.units() * net.outputs())),
          largest_(work.take<double>(panels.count)) {}

    // To be called for each panel before anything is read.
    void pack(std::size_t panel) const {
        if (packed_) copy_incoming(user_panel(net_.w1.data, net_.b1, panel), w1_.panel(panel));
        const std::size_t first = panel * panels.width(), outputs = net_.outputs();
        for (std::size_t j = first; j < first + panels.width(); ++j)
            for (std::size_t k = 0; k < outgoing_stride_; ++k)
                w2_[j * outgoing_stride_ + k] = j < net_.hidden() && k < outputs ? net_.w2.row(j)[k] : 0.0;
        transpose(panel);
        if (panel == 0) std::fill(std::copy_n(net_.b2, outputs, b2_), b2_ + outgoing_stride_, 0.0);
    }

    // Back to the caller's arrays.
    void unpack(std::size_t panel, const Gradient& out) const {
        copy_incoming(w1_.panel(panel), user_panel(out.w1.data, out.b1, panel));
        for (std::size_t j = panel * panels.width(); j < std::min(net_.hidden(), (panel + 1) * panels.width()); ++j)
            std::copy_n(w2(j), net_.outputs(), out.w2.row(j));
        if (panel == 0) std::copy_n(b2_, net_.outputs(), out.b2);
    }

    // To be called after w2(j) of the panel has changed.
    void transpose(std::size_t panel) const {
        Pack largest{};
        for (std::size_t j = panel * panels.width(); j < (panel + 1) * panels.width(); j += lanes)
            for (std::size_t k = 0; k < net_.outputs(); ++k) {
                double* to = transposed(k) + j;
                for (std::size_t l = 0; l < lanes; ++l) to[l] = w2(j + l)[k];
                largest = maximum(largest, absolute(load(to)));
            }
        largest_[panel] = largest_lane(largest);
    }

    // The caller's weights into a panel, or an array of their shape.
    template <class T>
    Incoming<T> user_panel(T* w1, T* b1, std::size_t panel) const {
        const std::size_t first = panel * panels.width();
        return {w1 + first, net_.hidden(), b1 + first, std::min(panels.width(), net_.hidden() - first)};
    }

    Incoming<const double> incoming(std::size_t panel) const {
        if (!packed_) return user_panel(net_.w1.data, net_.b1, panel);
        const Incoming<double> own = w1_.panel(panel);
        return {own.rows, own.stride, own.bias, own.columns};
    }

    Incoming<double> packed(std::size_t panel) const { return w1_.panel(panel); }
    double* w2(std::size_t unit) const { return w2_ + unit * outgoing_stride_; }  // padded with zeros, also past H
    double* b2() const { return b2_; }                                           // padded with zeros
    double* transposed(std::size_t k) const { return transposed_ + k * panels.units(); }
    double largest_outgoing() const { return *std::max_element(largest_, largest_ + panels.count); }

    std::size_t inputs() const { return net_.inputs(); }
    std::size_t hidden() const { return net_.hidden(); }
    std::size_t outputs() const { return net_.outputs(); }
    bool sigmoid_output() const { return net_.sigmoid_output; }

    const Panels panels;

private:
    template <class T>
    void copy_incoming(const Incoming<T>& from, const Incoming<double>& to) const {
        const auto copy_row = [&](const double* a, double* b) {
            std::fill(std::copy_n(a, std::min(from.columns, to.columns), b), b + to.columns, 0.0);
        };
        for (std::size_t i = 0; i < net_.inputs(); ++i) copy_row(from.rows + i * from.stride, to.rows + i * to.stride);
        copy_row(from.bias, to.bias);
    }

    const Network& net_;
    bool packed_;
    PackedWeights w1_;
    std::size_t outgoing_stride_;
    double *w2_, *b2_, *transposed_, *largest_;
};

}  // namespace secant::SECANT_ISA
