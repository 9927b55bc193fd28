// The central difference, evaluated: phi(h x) - phi(-h x) for every weight and every input that is not zero.
#pragma once

#include "samples.hpp"

namespace secant::SECANT_ISA {

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
    Direct(Workspace& work, const Network& net, const Samples& samples, const Accumulators& sums,
           const OutgoingWeights& w2, std::size_t rows, int threads, double h)
        : net_(net),
          samples_(samples),
          sums_(sums),
          h_(h),
          stride_(net.inputs() + 1),
          w2_(w2),
          ids_(work.take<std::uint32_t>(rows * stride_)),
          counts_(work.take<std::size_t>(rows)),
          values_(work.take<double>(rows * stride_)),
          m_(work.take<double>(rows * stride_)),
          terms_(work.take<int>(rows)),
          coefficients_(work.take<double>(rows * net.outputs() * most_terms)),
          distinct_(one_a_thread<DistinctValues>(work, threads, net)),
          differences_(work.take<double>(static_cast<std::size_t>(threads) * stride_ * lanes)) {}

    // m = expm1(h |v|) for the different input values v, and the series of the outputs.
    void prepare(std::size_t n, int thread) const {
        double* values = values_ + n * stride_;
        const std::size_t count = distinct_[thread].number(samples_.row(n), ids_ + n * stride_, values);
        terms_[n] = terms_needed(n);
        map(values, m_ + n * stride_, count, [h = h_](Pack v) { return expm1(h * select(v < 0.0, -v, v)); });
        counts_[n] = count;
        if (terms_[n] == few_terms) Taylor<few_terms>::expand(samples_.output(n), coefficients(n));
        if (terms_[n] == most_terms) Taylor<most_terms>::expand(samples_.output(n), coefficients(n));
    }

    void add(std::size_t pack, std::size_t n, int thread) const {
        switch (terms_[n]) {
            case few_terms: return add_by<Taylor<few_terms>>(pack, n, thread);
            case most_terms: return add_by<Taylor<most_terms>>(pack, n, thread);
            default: return add_by<Exact>(pack, n, thread);
        }
    }

private:
    static constexpr int few_terms = 4, most_terms = 8;

    double* coefficients(std::size_t n) const { return coefficients_ + n * net_.outputs() * most_terms; }

    // The terms that a sample needs, 0 for the full functions. A sigmoid is nowhere steeper than 1/4, so no a2 is shifted
    // by more than u = h max(1, max(1, |x_n|) max|w2| / 4), and D terms err by (2u)^D / (D + 1): here at most 1e-15.
    int terms_needed(std::size_t n) const {
        const double u = h_ * std::max(1.0, std::max(1.0, samples_.largest_input(n)) * w2_.largest / 4.0);
        return u <= 1.3e-4 ? few_terms : u <= 8.8e-3 ? most_terms : 0;
    }

    template <class Method>
    void add_by(std::size_t pack, std::size_t n, int thread) const {
        const OutputState out = samples_.output(n);
        const Method method(out, coefficients(n));
        if (pack * lanes < net_.hidden())
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
            store(differences + v * lanes, std::copysign(1.0 / (2.0 * h_), values_[n * stride_ + v]) * difference);
        }
        const Row row = samples_.row(n);
        double* w1 = sums_.w1(pack);
        for (std::size_t e = 0; e < row.size; ++e) {
            double* to = w1 + row.columns[e] * panel_width;
            store(to, load(to) + load(differences + ids_[n * stride_ + e] * lanes));
        }
    }

    template <class Method>
    void add_outgoing(std::size_t pack, std::size_t n, const Method& method) const {
        const Pack shift = h_ * load(samples_.z1(n) + pack * lanes);
        double* w2 = sums_.w2(pack);
        for (std::size_t k = 0; k < net_.outputs(); ++k)
            store(w2 + k * panel_width, load(w2 + k * panel_width) + 1.0 / (2.0 * h_) * output_difference(method, k, shift));
    }

    const Network& net_;
    const Samples& samples_;
    const Accumulators& sums_;
    double h_;
    std::size_t stride_;
    const OutgoingWeights& w2_;
    std::uint32_t* ids_;
    std::size_t* counts_;
    double *values_, *m_;
    int* terms_;
    double* coefficients_;
    const DistinctValues* distinct_;
    double* differences_;
};

}  // namespace secant::SECANT_ISA
