// The gradient of a mini-batch: which method each sample gets, and the walk over the samples.
//
// Blocks of samples are walked over twice, in parallel: over the samples (forward pass), then over panels of hidden units,
// each of which owns its incoming and outgoing weights. Sums have a fixed order, whoever computes them: a result does not
// depend on the number of threads.
#pragma once

#include "bound.hpp"
#include "direct.hpp"
#include "series.hpp"

namespace secant::SECANT_ISA {

class GradientEngine {
public:
    GradientEngine(Workspace& work, const GradientCall& call, std::size_t rows)
        : call_(call),
          block_(rows),
          samples_(work, call.net, call.batch.t, rows),
          sums_(work, call.net),
          w2_(work, call.net),
          direct_(work, call.net, samples_, sums_, w2_, rows, call.threads, call.h),
          bound_(call.net.sigmoid_output, w2_.largest, work.counting() ? 1.0 : largest_mass(), call.h),
          orders_(work.take<int>(rows)),
          series_size_(Series<most>::size(call.net.outputs())),
          series_(work.take<double>(rows * series_size_)),
          squares_(work.take<double>(rows * entry_room(call.net.inputs()))),
          scratch_(one_a_thread<ForwardScratch>(work, call.threads, call.net)),
          panel_scratch_(one_a_thread<PanelScratch>(work, call.threads, rows)),
          y_(work.take<double>(rows * call.net.outputs())),
          losses_(work.take<double>(rows)) {}

    // Whether it came to the end.
    bool run() const {
        const std::size_t size = call_.batch.size;
        const double scale = (call_.step == 0.0 ? 1.0 : call_.step) / static_cast<double>(size);
        double largest[most + 1] = {};  // input of the samples of each order
        for (std::size_t first = 0; first < size; first += block_) {
            if (call_.interrupted()) return false;
            const std::size_t rows = std::min(block_, size - first);
            parallel_for(rows, call_.threads, [&](std::size_t n, int thread) { prepare(n, first + n, thread); });
            parallel_for(sums_.panels(), call_.threads, [&](std::size_t panel, int thread) {
                add(panel, rows, panel_scratch_[thread]);
                add_directly(panel, rows, thread);
                if (first + rows == size) sums_.write(panel, scale, call_.out, call_.step != 0.0);
            });
            for (std::size_t n = 0; n < rows; ++n) {
                ++call_.report->samples[orders_[n]];
                largest[orders_[n]] = std::max(largest[orders_[n]], samples_.largest_input(n));
            }
        }
        for (int order = 3; order <= most; order += 2)
            if (call_.report->samples[order] > 0)
                call_.report->truncation_bound =
                    std::max(call_.report->truncation_bound, bound_.at(order, largest[order]));
        return true;
    }

    // The loss of the batch with the parameters as they are now.
    double loss() const {
        const std::size_t size = call_.batch.size, outputs = call_.net.outputs();
        double total = 0.0;
        for (std::size_t first = 0; first < size; first += block_) {
            const std::size_t rows = std::min(block_, size - first);
            parallel_for(rows, call_.threads, [&](std::size_t n, int thread) {
                const ForwardScratch& own = scratch_[thread];
                const std::size_t from = call_.batch.row(first + n);
                Row row = samples_.row(n);
                --row.size;         // without the bias
                if (size > block_)  // else they are still here
                    row = {own.columns, own.values, find_nonzeros(call_.batch.x, from, own.columns, own.values)};
                forward_row(call_.net, row, own, y_ + n * outputs);
                losses_[n] = log_sum({y_ + n * outputs, 1, outputs}, call_.batch.t.from(from, outputs), 0, 1);
            });
            for (std::size_t n = 0; n < rows; ++n) total -= losses_[n];
        }
        return total / static_cast<double>(size);
    }

private:
    static constexpr int most = 9;
    static constexpr std::size_t inputs_a_turn = 192;  // a panel's weights of so many inputs stay in the L1 cache

    // For the samples of a block, while a thread has a panel of hidden units.
    struct PanelScratch {
        PanelScratch(Workspace& work, std::size_t rows)
            : odd(work.take<double>(rows * panel_width * (most + 1) / 2)), entries(work.take<std::size_t>(rows)) {}
        double* odd;           // the odd coefficients of the panel's units
        std::size_t* entries;  // how many entries of the row have been used
    };

    // Calls what.template operator()<K>() for the order K of sample n; nothing for a sample that is evaluated directly.
    template <class What>
    void with_order(std::size_t n, const What& what) const {
        switch (orders_[n]) {
            case 1: return what.template operator()<1>();
            case 3: return what.template operator()<3>();
            case 5: return what.template operator()<5>();
            case 7: return what.template operator()<7>();
            case 9: return what.template operator()<9>();
            default: return;
        }
    }

    void prepare(std::size_t n, std::size_t from, int thread) const {
        samples_.fill(n, call_.batch.x, call_.batch.t, call_.batch.row(from), scratch_[thread]);
        orders_[n] = order(n);
        if (orders_[n] == 0) return direct_.prepare(n, thread);
        with_order(n, [&]<int K>() { Series<K>(samples_.output(n), series(n)).prepare(); });
        const Row row = samples_.row(n);
        map(row.values, squares(n), row.size, [h = call_.h](Pack x) { return (h * x) * (h * x); });
    }

    // The order of a sample's series; 0 where it is to be evaluated directly.
    int order(std::size_t n) const {
        switch (call_.method) {
            case GradientCall::Method::derivative: return 1;
            case GradientCall::Method::direct: return 0;
            default: return bound_.order(samples_.largest_input(n));
        }
    }

    void add_directly(std::size_t panel, std::size_t rows, int thread) const {
        for (std::size_t n = 0; n < rows; ++n)
            for (std::size_t p = 0; orders_[n] == 0 && p < panel_packs; ++p)
                direct_.add(panel * panel_packs + p, n, thread);
    }

    void add(std::size_t panel, std::size_t rows, const PanelScratch& scratch) const {
        const std::size_t first = panel * panel_width, hidden = call_.net.hidden();
        for (std::size_t n = 0; n < rows; ++n)
            with_order(n, [&]<int K>() { add_outgoing<K>(panel, n, odd(scratch, n)); });
        std::fill_n(scratch.entries, rows, std::size_t{0});
        for (std::size_t end = inputs_a_turn; first < hidden; end += inputs_a_turn) {
            for (std::size_t n = 0; n < rows; ++n)
                with_order(n, [&]<int K>() {
                    if (first + lanes < hidden)
                        add_incoming<K, 2>(panel, n, end, odd(scratch, n), scratch.entries[n]);
                    else
                        add_incoming<K, 1>(panel, n, end, odd(scratch, n), scratch.entries[n]);
                });
            if (end > call_.net.inputs()) break;
        }
    }

    double* odd(const PanelScratch& scratch, std::size_t n) const {
        return scratch.odd + n * panel_width * (most + 1) / 2;
    }

    // The weights out of the panel's units; keeps the odd coefficients for those into them.
    template <int K>
    void add_outgoing(std::size_t panel, std::size_t n, double* odd) const {
        const OutputState out = samples_.output(n);
        const Series<K> series_of(out, series(n));
        Pack coefficients[(K + 1) / 2];
        for (std::size_t p = 0; p < panel_packs; ++p) {
            const std::size_t pack = panel * panel_packs + p, j = pack * lanes;
            const Pack z1 = load(samples_.z1(n) + j), hz = call_.h * z1;
            double* w2 = sums_.w2(pack);
            for (std::size_t k = 0; k < out.outputs; ++k, w2 += panel_width) {
                series_of.output(k, coefficients);
                store(w2, load(w2) + Series<K>::term(z1, hz * hz, coefficients));
            }
            series_of.hidden(z1, load(samples_.zc1(n) + j), w2_.data + j, w2_.stride, coefficients);
            for (std::size_t m = 0; m < (K + 1) / 2; ++m) store(odd + m * panel_width + p * lanes, coefficients[m]);
        }
    }

    // The weights into the panel's first P packs, from the inputs before column `end` that were not used yet.
    template <int K, std::size_t P>
    void add_incoming(std::size_t panel, std::size_t n, std::size_t end, const double* odd, std::size_t& entry) const {
        Pack coefficients[P][(K + 1) / 2];
        for (std::size_t p = 0; p < P; ++p)
            for (std::size_t m = 0; m < (K + 1) / 2; ++m)
                coefficients[p][m] = load(odd + m * panel_width + p * lanes);
        const Row row = samples_.row(n);
        const double* squares_n = squares(n);
        double* w1 = sums_.w1(panel * panel_packs);
        std::size_t e = entry;
        for (; e < row.size && row.columns[e] < end; ++e) {
            const Pack x = broadcast(row.values[e]), square = broadcast(squares_n[e]);
            double* to = w1 + row.columns[e] * panel_width;
            for (std::size_t p = 0; p < P; ++p)
                store(to + p * lanes, load(to + p * lanes) + Series<K>::term(x, square, coefficients[p]));
        }
        entry = e;
    }

    double largest_mass() const {
        double largest = 1.0;
        const std::size_t outputs = call_.net.outputs();
        if (call_.batch.t.labels) return largest;
        for (std::size_t n = 0; n < call_.batch.size; ++n) {
            const double* t_n = call_.batch.t.from(call_.batch.row(n), outputs).weights;
            double mass = 0.0;
            for (std::size_t k = 0; k < outputs; ++k) mass += t_n[k];
            largest = std::max(largest, mass);
        }
        return largest;
    }

    double* series(std::size_t n) const { return series_ + n * series_size_; }
    double* squares(std::size_t n) const { return squares_ + n * entry_room(call_.net.inputs()); }

    const GradientCall& call_;
    std::size_t block_;
    Samples samples_;
    Accumulators sums_;
    OutgoingWeights w2_;
    Direct direct_;
    TruncationBound bound_;
    int* orders_;
    std::size_t series_size_;
    double* series_;
    double* squares_;  // (h x)^2 for each entry of a row
    const ForwardScratch* scratch_;
    const PanelScratch* panel_scratch_;
    double *y_, *losses_;
};

// Enough for the forward passes of a block to fill two dozen threads; fewer where a sample is so large that a block
// would keep an interrupt waiting.
inline std::size_t block_rows(const GradientCall& call) {
    constexpr std::size_t most = 128, slice = 100'000'000;
    const Network& net = call.net;
    const std::size_t series = slice / ((net.inputs() + net.outputs()) * net.hidden()) + 1;
    const std::size_t direct = series / net.outputs() + 1;
    return std::min({call.batch.size, most, call.method == GradientCall::Method::direct ? direct : series});
}

inline std::size_t gradient(const GradientCall& call, void* memory) noexcept {
    Workspace work(memory);
    const GradientEngine engine(work, call, block_rows(call));
    if (!work.counting()) engine.run();
    return work.bytes();
}

}  // namespace secant::SECANT_ISA
