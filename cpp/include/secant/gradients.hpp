// The gradient of a mini-batch: which method each sample gets, and the walk over the samples.
//
// Blocks of samples are walked over twice, in parallel: over the samples (forward pass), then over packs of hidden units,
// each of which owns its incoming and outgoing weights. Sums run over the samples in their order. So a result depends
// neither on the number of threads nor on the size of a block.
#pragma once

#include "bound.hpp"
#include "direct.hpp"
#include "series.hpp"

namespace secant::SECANT_ISA {

class GradientEngine {
public:
    GradientEngine(Workspace& work, const GradientCall& call, std::size_t rows)
        : call_(call),
          samples_(work, call.net, call.t, rows),
          sums_(work, call.net),
          w2_(work, call.net),
          direct_(work, call.net, samples_, sums_, w2_, rows, call.threads, call.h),
          bound_(call.net.sigmoid_output, w2_.largest, work.counting() ? 1.0 : largest_mass(), call.h),
          orders_(work.take<int>(rows)),
          series_size_(Series<most>::size(call.net.outputs())),
          series_(work.take<double>(rows * series_size_)),
          scratch_(one_a_thread<ForwardScratch>(work, call.threads, call.net)) {}

    void run(std::size_t block) const {
        for (std::size_t first = 0; first < call_.x.rows; first += block) {
            if (call_.interrupted()) return;
            const std::size_t rows = std::min(block, call_.x.rows - first);
            parallel_for(rows, call_.threads, [&](std::size_t n, int thread) { prepare(n, first + n, thread); });
            parallel_for(sums_.packs(), call_.threads, [&](std::size_t pack, int thread) {
                for (std::size_t n = 0; n < rows; ++n) add(pack, n, thread);
                if (first + rows == call_.x.rows) sums_.write(pack, 1.0 / static_cast<double>(call_.x.rows), call_.out);
            });
            for (std::size_t n = 0; n < rows; ++n) report(n);
        }
    }

private:
    static constexpr int most = 9;

    void prepare(std::size_t n, std::size_t from, int thread) const {
        samples_.fill(n, call_.x, call_.t, from, scratch_[thread]);
        orders_[n] = order(n);
        switch (orders_[n]) {
            case 1: return Series<1>(samples_.output(n), series(n)).prepare();
            case 3: return Series<3>(samples_.output(n), series(n)).prepare();
            case 5: return Series<5>(samples_.output(n), series(n)).prepare();
            case 7: return Series<7>(samples_.output(n), series(n)).prepare();
            case 9: return Series<9>(samples_.output(n), series(n)).prepare();
            default: return direct_.prepare(n, thread);
        }
    }

    void add(std::size_t pack, std::size_t n, int thread) const {
        switch (orders_[n]) {
            case 1: return add_series<1>(pack, n);
            case 3: return add_series<3>(pack, n);
            case 5: return add_series<5>(pack, n);
            case 7: return add_series<7>(pack, n);
            case 9: return add_series<9>(pack, n);
            default: return direct_.add(pack, n, thread);
        }
    }

    // The order of a sample's series; 0 where it is to be evaluated directly.
    int order(std::size_t n) const {
        switch (call_.method) {
            case GradientCall::Method::derivative: return 1;
            case GradientCall::Method::direct: return 0;
            default: return bound_.order(samples_.largest_input(n));
        }
    }

    void report(std::size_t n) const {
        const int order = orders_[n];
        ++call_.report->samples[order];
        if (order > 1) {
            double& worst = call_.report->truncation_bound;
            worst = std::max(worst, bound_.at(order, samples_.largest_input(n)));
        }
    }

    template <int K>
    void add_series(std::size_t pack, std::size_t n) const {
        const OutputState out = samples_.output(n);
        const Series<K> series_of(out, series(n));
        Pack odd[(K + 1) / 2];
        const Pack z1 = load(samples_.z1(n) + pack * lanes), zc1 = load(samples_.zc1(n) + pack * lanes);
        if (sums_.has_hidden(pack)) {
            series_of.hidden(z1, zc1, w2_.data + pack * lanes, w2_.stride, odd);
            const Row row = samples_.row(n);
            double* w1 = sums_.w1(pack);
            for (std::size_t e = 0; e < row.size; ++e) {
                const double x = row.values[e], hx = call_.h * x;
                double* to = w1 + row.columns[e] * lanes;
                store(to, load(to) + Series<K>::term(broadcast(x), broadcast(hx * hx), odd));
            }
        }
        double* w2 = sums_.w2(pack);
        const Pack hz = call_.h * z1;
        for (std::size_t k = 0; k < out.outputs; ++k) {
            series_of.output(k, odd);
            store(w2 + k * lanes, load(w2 + k * lanes) + Series<K>::term(z1, hz * hz, odd));
        }
    }

    double largest_mass() const {
        double largest = 1.0;
        if (call_.t.labels) return largest;
        for (std::size_t n = 0; n < call_.x.rows; ++n) {
            double mass = 0.0;
            for (std::size_t k = 0; k < call_.net.outputs(); ++k)
                mass += call_.t.weights[n * call_.net.outputs() + k];
            largest = std::max(largest, mass);
        }
        return largest;
    }

    double* series(std::size_t n) const { return series_ + n * series_size_; }

    const GradientCall& call_;
    Samples samples_;
    Accumulators sums_;
    OutgoingWeights w2_;
    Direct direct_;
    TruncationBound bound_;
    int* orders_;
    std::size_t series_size_;
    double* series_;
    const ForwardScratch* scratch_;
};

// Enough for the forward passes of a block to fill two dozen threads; fewer where a sample is so large that a block
// would keep an interrupt waiting.
inline std::size_t block_rows(const Network& net, std::size_t rows) {
    constexpr std::size_t most = 128, weights = 50'000'000;
    const std::size_t fit = weights / ((net.inputs() + net.outputs()) * net.hidden()) + 1;
    return std::min({rows, most, fit});
}

inline std::size_t gradient(const GradientCall& call, void* memory) noexcept {
    const std::size_t block = block_rows(call.net, call.x.rows);
    Workspace work(memory);
    const GradientEngine engine(work, call, block);
    if (!work.counting()) engine.run(block);
    return work.bytes();
}

}  // namespace secant::SECANT_ISA
