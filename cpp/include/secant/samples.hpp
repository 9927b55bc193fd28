// A block of samples after the forward pass: all that the gradient engines need of them.
#pragma once

#include <cmath>

#include "forward.hpp"
#include "response.hpp"

namespace secant::SECANT_ISA {

// Hidden units are worked on in panels of two packs: wide enough that an input, once loaded, is used more than once.
constexpr std::size_t panel_packs = 2;
constexpr std::size_t panel_width = panel_packs * lanes;
constexpr std::size_t pad_panel(std::size_t n) { return (n + panel_width - 1) / panel_width * panel_width; }

// The transposed outgoing weights, w2 as (O, padded H): lanes run over hidden units. Padding is zero.
struct OutgoingWeights {
    OutgoingWeights(Workspace& work, const Network& net)
        : stride(pad_panel(net.hidden() + 1)), data(work.take<double>(net.outputs() * stride)) {
        if (work.counting()) return;
        std::fill_n(data, net.outputs() * stride, 0.0);
        for (std::size_t j = 0; j < net.hidden(); ++j)
            for (std::size_t k = 0; k < net.outputs(); ++k) {
                data[k * stride + j] = net.w2.row(j)[k];
                largest = std::max(largest, std::abs(net.w2.row(j)[k]));
            }
    }

    std::size_t stride;
    double* data;
    double largest = 0.0;  // max |w2|
};

// Rows of fixed stride, so that samples can be filled in any order by any thread.
// A bias is the weight of an input that is always 1: row n of the inputs ends with an entry (column I, value 1), and
// row n of z1 has z1 = 1 behind its H units, then zeros up to the padding.
class Samples {
public:
    Samples(Workspace& work, const Network& net, const Targets& t, std::size_t rows)
        : net_(net),
          row_stride_(entry_room(net.inputs())),
          hidden_stride_(pad_panel(net.hidden() + 1)),
          target_stride_(t.labels ? 1 : net.outputs()),
          sizes_(work.take<std::size_t>(rows)),
          largest_inputs_(work.take<double>(rows)),
          columns_(work.take<std::uint32_t>(rows * row_stride_)),
          values_(work.take<double>(rows * row_stride_)),
          z1_(work.take<double>(rows * hidden_stride_)),
          zc1_(work.take<double>(rows * hidden_stride_)),
          z2_(work.take<double>(rows * net.outputs())),
          zc2_(work.take<double>(rows * net.outputs())),
          y_(work.take<double>(rows * net.outputs())),
          target_counts_(work.take<std::size_t>(rows)),
          targets_(work.take<Target>(rows * target_stride_)) {}

    // Sample `from` of the inputs becomes row n.
    void fill(std::size_t n, const Inputs& x, const Targets& t, std::size_t from, const ForwardScratch& scratch) const {
        std::uint32_t* columns = columns_ + n * row_stride_;
        double* values = values_ + n * row_stride_;
        const std::size_t count = find_nonzeros(x, from, columns, values);
        forward(n, {columns, values, count}, scratch);
        largest_inputs_[n] = largest_of(values, count);
        columns[count] = static_cast<std::uint32_t>(net_.inputs());
        values[count] = 1.0;
        sizes_[n] = count + 1;
        find_targets(n, t, from);
    }

    double largest_input(std::size_t n) const { return largest_inputs_[n]; }
    Row row(std::size_t n) const { return {columns_ + n * row_stride_, values_ + n * row_stride_, sizes_[n]}; }
    const double* z1(std::size_t n) const { return z1_ + n * hidden_stride_; }
    const double* zc1(std::size_t n) const { return zc1_ + n * hidden_stride_; }
    OutputState output(std::size_t n) const {
        const std::size_t k = n * net_.outputs();
        return {net_.sigmoid_output, net_.outputs(), z2_ + k, zc2_ + k, y_ + k, targets_ + n * target_stride_,
                target_counts_[n]};
    }

private:
    void forward(std::size_t n, const Row& row, const ForwardScratch& scratch) const {
        const std::size_t hidden = net_.hidden(), outputs = net_.outputs();
        double* z1 = z1_ + n * hidden_stride_;
        double* zc1 = zc1_ + n * hidden_stride_;
        affine(row, net_.w1, net_.b1, scratch.a1);
        sigmoids(scratch.a1, hidden, z1, zc1);
        std::fill(z1 + hidden, z1 + hidden_stride_, 0.0);
        std::fill(zc1 + hidden, zc1 + hidden_stride_, 0.0);
        z1[hidden] = 1.0;
        affine({scratch.units, z1, hidden}, net_.w2, net_.b2, scratch.a2);
        double* y = y_ + n * outputs;
        if (!net_.sigmoid_output) return softmax_row(scratch.a2, y, outputs);
        sigmoids(scratch.a2, outputs, z2_ + n * outputs, zc2_ + n * outputs);
        softmax_row(z2_ + n * outputs, y, outputs);
    }

    static double largest_of(const double* values, std::size_t count) {
        Pack most{};
        for (std::size_t e = 0; e < count; e += lanes) {
            const Pack v = load_part(values + e, std::min(lanes, count - e));
            most = maximum(most, maximum(v, -v));
        }
        double largest = 0.0;
        for (std::size_t l = 0; l < lanes; ++l) largest = std::max(largest, lane(most, l));
        return largest;
    }

    void find_targets(std::size_t n, const Targets& t, std::size_t from) const {
        const double* y = y_ + n * net_.outputs();
        Target* targets = targets_ + n * target_stride_;
        std::size_t count = 0;
        const auto add = [&](std::size_t k, double weight) {
            targets[count++] = {k, weight, y[k] / (y[k] + log_offset), log_offset / (y[k] + log_offset)};
        };
        if (t.labels) {
            add(static_cast<std::size_t>(t.labels[from]), 1.0);
        } else {
            const double* t_n = t.weights + from * net_.outputs();
            for (std::size_t k = 0; k < net_.outputs(); ++k)
                if (t_n[k] != 0.0) add(k, t_n[k]);
        }
        target_counts_[n] = count;
    }

    const Network& net_;
    std::size_t row_stride_, hidden_stride_, target_stride_;
    std::size_t* sizes_;
    double* largest_inputs_;
    std::uint32_t* columns_;
    double* values_;
    double *z1_, *zc1_, *z2_, *zc2_, *y_;
    std::size_t* target_counts_;
    Target* targets_;
};

// The gradient while it is summed, cut into panels of hidden units: a panel's incoming weights (I+1 rows, the bias last)
// and outgoing ones (O rows) lie together, and belong to one thread.
class Accumulators {
public:
    Accumulators(Workspace& work, const Network& net)
        : net_(net),
          w1_rows_(net.inputs() + 1),
          stride_((w1_rows_ + net.outputs()) * panel_width),
          data_(work.take<double>(panels() * stride_)) {
        if (!work.counting()) std::fill_n(data_, panels() * stride_, 0.0);
    }

    // One more than H lanes: b2 is the outgoing weight of a unit that is always 1.
    std::size_t panels() const { return pad_panel(net_.hidden() + 1) / panel_width; }
    // Where a pack's incoming or outgoing weights are: a row every panel_width.
    double* w1(std::size_t pack) const { return data_ + pack / panel_packs * stride_ + pack % panel_packs * lanes; }
    double* w2(std::size_t pack) const { return w1(pack) + w1_rows_ * panel_width; }

    // out = scale * sums, or out += scale * sums.
    void write(std::size_t panel, double scale, const Gradient& out, bool add) const {
        for (std::size_t p = 0; p < panel_packs; ++p)
            add ? write_pack<true>(panel * panel_packs + p, scale, out)
                : write_pack<false>(panel * panel_packs + p, scale, out);
    }

private:
    template <bool Add>
    void write_pack(std::size_t pack, double scale, const Gradient& out) const {
        const std::size_t first = pack * lanes, hidden = net_.hidden(), inputs = net_.inputs();
        if (first > hidden) return;
        const std::size_t count = std::min(lanes, hidden - first);
        const auto put_part = [&](double* to, const double* sums) {
            store_part(to, scale * load(sums) + (Add ? load_part(to, count) : Pack{}), count);
        };
        const auto put = [](double& to, double value) { to = Add ? to + value : value; };
        for (std::size_t i = 0; i < inputs; ++i) put_part(out.w1.row(i) + first, w1(pack) + i * panel_width);
        put_part(out.b1 + first, w1(pack) + inputs * panel_width);
        for (std::size_t k = 0; k < net_.outputs(); ++k) {
            const Pack sums = scale * load(w2(pack) + k * panel_width);
            for (std::size_t l = 0; l < count; ++l) put(out.w2.row(first + l)[k], lane(sums, l));
            if (count < lanes) put(out.b2[k], lane(sums, count));
        }
    }

    const Network& net_;
    std::size_t w1_rows_, stride_;
    double* data_;
};

}  // namespace secant::SECANT_ISA
