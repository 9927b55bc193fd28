// The gradient engines. Each walks over blocks of samples, twice in parallel: over the samples (forward pass), then over
// packs of hidden units, each of which owns its incoming and outgoing weights. Sums run over the samples in their order.
// So a result does not depend on the number of threads, nor on the size of a block.
#pragma once

#include "samples.hpp"

namespace secant::SECANT_ISA {

// Enough for the forward passes of a block to fill two dozen threads; fewer where a sample is so large that a block
// would keep an interrupt waiting.
inline std::size_t block_rows(const Network& net, std::size_t rows) {
    constexpr std::size_t most = 128, weights = 50'000'000;
    const std::size_t fit = weights / ((net.inputs() + net.outputs()) * net.hidden()) + 1;
    return std::min({rows, most, fit});
}

// The walk itself. Engine: prepare(n, thread) after the forward pass of row n; add(pack, rows, thread).
template <class Engine>
void over_blocks(const GradientCall& call, double scale, std::size_t block, const Samples& samples,
                 const Accumulators& sums, const ForwardScratch* scratch, const Engine& engine) {
    for (std::size_t first = 0; first < call.x.rows; first += block) {
        if (call.interrupted()) return;
        const std::size_t rows = std::min(block, call.x.rows - first);
        parallel_for(rows, call.threads, [&](std::size_t n, int thread) {
            samples.fill(n, call.x, call.t, first + n, scratch[thread]);
            engine.prepare(n, thread);
        });
        parallel_for(sums.packs(), call.threads, [&](std::size_t pack, int thread) {
            engine.add(pack, rows, thread);
            if (first + rows == call.x.rows) sums.write(pack, scale, call.out);
        });
    }
}

// ---- backpropagation: the derivative itself -------------------------------------------------------------------------

class Backpropagation {
public:
    Backpropagation(Workspace& work, const Network& net, const Samples& samples, const Accumulators& sums,
                    std::size_t rows)
        : net_(net),
          samples_(samples),
          sums_(sums),
          w2_(work, net),
          d_a1_(work.take<double>(rows * w2_.stride)),
          d_a2_(work.take<double>(rows * net.outputs())) {}

    // d loss / d a2_k = d1_k (y_k sum over l of t_l r_l - t_k r_k), r = y / (y + 1e-7), d1 = z2 zc2 (1 for an identity);
    // d loss / d a1_j = z1 zc1 sum over k of w2_jk d loss / d a2_k.
    void prepare(std::size_t n, int) const {
        const OutputState out = samples_.output(n);
        double* d_a2 = d_a2_ + n * out.outputs;
        double mass = 0.0;
        for (std::size_t i = 0; i < out.target_count; ++i) mass += out.targets[i].weight * out.targets[i].ratio;
        for (std::size_t k = 0; k < out.outputs; ++k) d_a2[k] = out.y[k] * mass;
        for (std::size_t i = 0; i < out.target_count; ++i)
            d_a2[out.targets[i].k] -= out.targets[i].weight * out.targets[i].ratio;
        if (out.sigmoid_output)
            for (std::size_t k = 0; k < out.outputs; ++k) d_a2[k] *= out.z2[k] * out.zc2[k];

        double* d_a1 = d_a1_ + n * w2_.stride;
        for (std::size_t j = 0; j < w2_.stride; j += lanes) {
            Pack sum{};
            for (std::size_t k = 0; k < out.outputs; ++k) sum += d_a2[k] * load(w2_.data + k * w2_.stride + j);
            store(d_a1 + j, load(samples_.z1(n) + j) * load(samples_.zc1(n) + j) * sum);
        }
    }

    void add(std::size_t pack, std::size_t rows, int) const {
        double* w1 = sums_.w1(pack);
        double* w2 = sums_.w2(pack);
        for (std::size_t n = 0; n < rows; ++n) {
            if (sums_.has_hidden(pack)) {
                const Row row = samples_.row(n);
                const Pack d = load(d_a1_ + n * w2_.stride + pack * lanes);
                for (std::size_t e = 0; e < row.size; ++e) {
                    double* to = w1 + row.columns[e] * lanes;
                    store(to, load(to) + row.values[e] * d);
                }
            }
            const Pack z = load(samples_.z1(n) + pack * lanes);
            const double* d_a2 = d_a2_ + n * net_.outputs();
            for (std::size_t k = 0; k < net_.outputs(); ++k)
                store(w2 + k * lanes, load(w2 + k * lanes) + d_a2[k] * z);
        }
    }

private:
    const Network& net_;
    const Samples& samples_;
    const Accumulators& sums_;
    OutgoingWeights w2_;
    double *d_a1_, *d_a2_;
};

inline std::size_t gradient(const GradientCall& call, void* memory) noexcept {
    const std::size_t block = block_rows(call.net, call.x.rows);
    Workspace work(memory);
    const Samples samples(work, call.net, call.t, block);
    const Accumulators sums(work, call.net);
    const auto* scratch = one_a_thread<ForwardScratch>(work, call.threads, call.net);
    const Backpropagation engine(work, call.net, samples, sums, block);
    const double scale = 1.0 / static_cast<double>(call.x.rows);
    if (!work.counting()) over_blocks(call, scale, block, samples, sums, scratch, engine);
    return work.bytes();
}

// ---- direct: the central difference, evaluated for every weight -----------------------------------------------------

// Numbers the different values of a row. Equal inputs of a sample have equal responses: one evaluation serves them all.
class DistinctValues {
public:
    DistinctValues(Workspace& work, const Network& net)
        : bits_(bits_for(net.inputs() + 1)), slots_(work.take<std::uint32_t>(std::size_t{1} << bits_)) {}

    // ids(size,): the number of each entry's value; distinct(count,): the values. Returns count.
    std::size_t number(const Row& row, std::uint32_t* ids, double* distinct) const {
        const std::size_t mask = (std::size_t{1} << bits_) - 1;
        std::fill_n(slots_, mask + 1, empty);
        std::uint32_t count = 0;
        for (std::size_t e = 0; e < row.size; ++e) {
            const auto key = std::bit_cast<std::uint64_t>(row.values[e]) * 0x9e3779b97f4a7c15u;  // Fibonacci hashing
            std::size_t slot = key >> (64 - bits_);
            while (slots_[slot] != empty && distinct[slots_[slot]] != row.values[e]) slot = (slot + 1) & mask;
            if (slots_[slot] == empty) {
                distinct[count] = row.values[e];
                slots_[slot] = count++;
            }
            ids[e] = slots_[slot];
        }
        return count;
    }

private:
    static constexpr std::uint32_t empty = 0xffffffff;
    static int bits_for(std::size_t size) { return static_cast<int>(std::bit_width(2 * size)); }  // at most half full
    int bits_;
    std::uint32_t* slots_;
};

class Direct {
public:
    Direct(Workspace& work, const Network& net, const Samples& samples, const Accumulators& sums, std::size_t rows,
           int threads, double h)
        : net_(net),
          samples_(samples),
          sums_(sums),
          h_(h),
          stride_(net.inputs() + 1),
          w2_(work, net),
          largest_weight_(work.counting() ? 0.0 : w2_.largest(net)),
          ids_(work.take<std::uint32_t>(rows * stride_)),
          counts_(work.take<std::size_t>(rows)),
          values_(work.take<double>(rows * stride_)),
          m_(work.take<double>(rows * stride_)),
          orders_(work.take<int>(rows)),
          coefficients_(work.take<double>(rows * net.outputs() * most_terms)),
          distinct_(one_a_thread<DistinctValues>(work, threads, net)),
          differences_(work.take<double>(static_cast<std::size_t>(threads) * stride_ * lanes)) {}

    // m = expm1(h |v|) for the different input values v, and the series of the outputs.
    void prepare(std::size_t n, int thread) const {
        double* values = values_ + n * stride_;
        const std::size_t count = distinct_[thread].number(samples_.row(n), ids_ + n * stride_, values);
        orders_[n] = order(values, count);
        map(values, m_ + n * stride_, count, [h = h_](Pack v) { return expm1(h * select(v < 0.0, -v, v)); });
        counts_[n] = count;
        if (orders_[n] == few_terms) Taylor<few_terms>::expand(samples_.output(n), coefficients(n));
        if (orders_[n] == most_terms) Taylor<most_terms>::expand(samples_.output(n), coefficients(n));
    }

    void add(std::size_t pack, std::size_t rows, int thread) const {
        for (std::size_t n = 0; n < rows; ++n) {
            switch (orders_[n]) {
                case few_terms: add_sample<Taylor<few_terms>>(pack, n, thread); break;
                case most_terms: add_sample<Taylor<most_terms>>(pack, n, thread); break;
                default: add_sample<Exact>(pack, n, thread); break;
            }
        }
    }

private:
    static constexpr int few_terms = 4, most_terms = 8;

    double* coefficients(std::size_t n) const { return coefficients_ + n * net_.outputs() * most_terms; }

    // The terms that a sample needs, 0 for the full functions. A sigmoid is nowhere steeper than 1/4, so no a2 is shifted
    // by more than u = max(h, h max|x_n| max|w2| / 4), and D terms err by 4 u^D, relative: here at most 1e-15.
    int order(const double* values, std::size_t count) const {
        double largest = 0.0;
        for (std::size_t v = 0; v < count; ++v) largest = std::max(largest, std::abs(values[v]));
        const double u = h_ * std::max(1.0, largest * largest_weight_ / 4.0);
        return u <= 1.25e-4 ? few_terms : u <= 1.1e-2 ? most_terms : 0;
    }

    template <class Method>
    void add_sample(std::size_t pack, std::size_t n, int thread) const {
        const OutputState out = samples_.output(n);
        const Method method(out, coefficients(n));
        if (sums_.has_hidden(pack))
            add_incoming(pack, n, method, differences_ + static_cast<std::size_t>(thread) * stride_ * lanes);
        add_outgoing(pack, n, method);
    }

    // Evaluate each distinct input of the sample once, then hand the result to the weights of all inputs that equal it.
    template <class Method>
    void add_incoming(std::size_t pack, std::size_t n, const Method& method, double* differences) const {
        const Pack z1 = load(samples_.z1(n) + pack * lanes), zc1 = load(samples_.zc1(n) + pack * lanes);
        for (std::size_t v = 0; v < counts_[n]; ++v) {
            const Pack difference = hidden_difference(method, z1, zc1, broadcast(m_[n * stride_ + v]),
                                                      w2_.data + pack * lanes, w2_.stride);
            store(differences + v * lanes, values_[n * stride_ + v] < 0.0 ? -difference : difference);
        }
        const Row row = samples_.row(n);
        double* w1 = sums_.w1(pack);
        for (std::size_t e = 0; e < row.size; ++e) {
            double* to = w1 + row.columns[e] * lanes;
            store(to, load(to) + load(differences + ids_[n * stride_ + e] * lanes));
        }
    }

    template <class Method>
    void add_outgoing(std::size_t pack, std::size_t n, const Method& method) const {
        const Pack shift = h_ * load(samples_.z1(n) + pack * lanes);
        double* w2 = sums_.w2(pack);
        for (std::size_t k = 0; k < net_.outputs(); ++k)
            store(w2 + k * lanes, load(w2 + k * lanes) + output_difference(method, k, shift));
    }

    const Network& net_;
    const Samples& samples_;
    const Accumulators& sums_;
    double h_;
    std::size_t stride_;
    OutgoingWeights w2_;
    double largest_weight_;
    std::uint32_t* ids_;
    std::size_t* counts_;
    double *values_, *m_;
    int* orders_;
    double* coefficients_;
    const DistinctValues* distinct_;
    double* differences_;
};

inline std::size_t direct(const GradientCall& call, double h, void* memory) noexcept {
    const std::size_t block = block_rows(call.net, call.x.rows);
    Workspace work(memory);
    const Samples samples(work, call.net, call.t, block);
    const Accumulators sums(work, call.net);
    const auto* scratch = one_a_thread<ForwardScratch>(work, call.threads, call.net);
    const Direct engine(work, call.net, samples, sums, block, call.threads, h);
    const double scale = 1.0 / (2.0 * h * static_cast<double>(call.x.rows));
    if (!work.counting()) over_blocks(call, scale, block, samples, sums, scratch, engine);
    return work.bytes();
}

}  // namespace secant::SECANT_ISA
