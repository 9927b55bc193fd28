// The targets of a block of samples, in groups like the arrays of the output layer:
// lanes run over samples.
#pragma once

#include <algorithm>
#include <limits>

#include "secant/interface/kernels.hpp"
#include "secant/network/cross_entropy.hpp"
#include "secant/network/parameters.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

// If a sample of a block has more targets than these, every class is a target of each
// sample, of weight 0 if need be: sums over targets are products of matrices then.
constexpr std::size_t few_targets = 4;

// A class of one sample that has a target weight t: `ratio` is y / (y + log_offset),
// `rest` is 1 - ratio. Both are NaN for 0 / 0.
struct Target {
    std::size_t k;
    Real weight;
    Real ratio;
    Real rest;
};

// The targets of one sample: where its lane of them begins. Without `classes` they are
// all, in order.
struct SampleTargets {
    static constexpr std::size_t fields = 3;

    std::size_t count;
    const std::uint32_t* classes;
    const Real* first;

    Target operator[](std::size_t i) const {
        const Real* own = first + fields * i * lanes;
        return {classes ? classes[i * lanes] : i, own[0], own[lanes], own[2 * lanes]};
    }
};

// One target of each sample of a group, a lane for each. All are zero for a sample that
// has none.
struct TargetPacks {
    Pack weight, ratio, rest;
};

// A class for each sample of a group, and what arrays (classes, lanes) hold of it.
struct LaneClasses {
    const std::uint32_t* of;

    Pack load(const Real* from) const {
        Real each[lanes];
        for (std::size_t l = 0; l < lanes; ++l) each[l] = from[of[l] * lanes + l];
        return SECANT_ISA::load(each);
    }
    void store(Real* to, Pack p) const {
        for (std::size_t l = 0; l < lanes; ++l) to[of[l] * lanes + l] = lane(p, l);
    }
};

class TargetLists {
public:
    TargetLists(Workspace& work, const Targets& t, const Parameters& net,
                std::size_t capacity)
        : t_(t),
          log_offset_(static_cast<Real>(net.log_offset())),
          outputs_(net.outputs()),
          longest_(t.most(net.outputs())),
          nonzeros_(work.take<std::size_t>(capacity)),
          counts_(work.take<std::size_t>(pad(capacity))),
          classes_(work.take<std::uint32_t>(pad(capacity) * longest_)),
          fields_(work.take<Real>(pad(capacity) * longest_ * fields)) {}

    // Sample n will be the caller's sample `from`. Returns the sum of its weights; NaN
    // if one is negative or not finite.
    double measure(std::size_t n, std::size_t from) {
        nonzeros_[n] = 1;
        if (t_.labels) return 1.0;
        const double* weights = t_.weights + from * outputs_;
        double sum = 0, invalid = 0, nonzeros = 0;
#if defined(_OPENMP) && _OPENMP >= 201307  // MSVC has OpenMP 2
#pragma omp simd reduction(+ : sum, invalid, nonzeros)
#endif
        for (std::size_t k = 0; k < outputs_; ++k) {
            sum += weights[k];
            invalid += weights[k] < 0 ? std::numeric_limits<double>::quiet_NaN()
                                      : zero_or_nan(weights[k]);
            nonzeros += weights[k] != 0 ? 1.0 : 0.0;
        }
        nonzeros_[n] = static_cast<std::size_t>(nonzeros);
        return sum + invalid;
    }

    // Whether one of the samples [0, count), which were measured, has many targets.
    bool any_has_many(std::size_t count) const {
        return *std::max_element(nonzeros_, nonzeros_ + count) > few_targets;
    }

    // The targets of the group [begin, end) are those of the caller's samples from(l),
    // with `many` all classes; class k has the probabilities y[k * lanes]. If asked,
    // losses(end - begin,) = sum over targets of t log(y + log_offset), for each
    // sample.
    template <class From>
    void fill(std::size_t begin, std::size_t end, bool many, const From& from,
              const Real* y, double* losses) {
        const std::size_t size = end - begin;
        Real* field_at = fields_ + fields * at(begin, 0);
        for (std::size_t l = 0; l < lanes; ++l)
            counts_[begin + l] = many ? outputs_ : l < size ? nonzeros_[begin + l] : 0;
        const std::size_t most = largest_count(begin, end);
        if (many) {
            const double* weights[lanes];
            for (std::size_t l = 0; l < lanes; ++l)
                weights[l] = t_.weights + from(std::min(l, size - 1)) * outputs_;
            for (std::size_t k = 0; k < outputs_; k += lanes) {
                const std::size_t some = std::min(lanes, outputs_ - k);
                Pack square[lanes];
                for (std::size_t l = 0; l < lanes; ++l)
                    square[l] = rounded(weights[l] + k, some);
                transpose(square);
                for (std::size_t c = 0; c < some; ++c)
                    store(field_at + fields * (k + c) * lanes, square[c]);
            }
        } else {
            for (std::size_t l = 0; l < lanes; ++l) {
                std::size_t i = 0;
                const auto add = [&](std::size_t k, double weight) {
                    classes_[at(begin, i) + l] = static_cast<std::uint32_t>(k);
                    field_at[fields * i++ * lanes + l] = static_cast<Real>(weight);
                };
                if (t_.labels && l < size)
                    add(static_cast<std::size_t>(t_.labels[from(l)]), 1.0);
                for (std::size_t k = 0; k < outputs_ && i < counts_[begin + l]; ++k)
                    if (const double weight = t_.weights[from(l) * outputs_ + k];
                        weight != 0.0)
                        add(k, weight);
                while (i < most) add(i, 0.0);
            }
        }
        double totals[lanes] = {};
        long_sum<Pack>(
            most,
            [&](Pack& sum, std::size_t i) {
                Real* of_group = field_at + fields * i * lanes;
                const Pack weight = load(of_group),
                           y_i = many ? load(y + i * lanes) : classes(begin, i).load(y),
                           divisor = y_i + log_offset_;
                store(of_group + lanes, select(weight == 0, Pack{}, y_i / divisor));
                store(of_group + 2 * lanes,
                      select(weight == 0, Pack{}, log_offset_ / divisor));
                if (losses) sum += log_terms(weight, y_i, log_offset_);
            },
            totals);
        for (std::size_t l = 0; l < size && losses; ++l) losses[l] = totals[l];
    }

    // The largest number of targets of one sample.
    std::size_t largest_count(std::size_t begin, std::size_t end) const {
        return *std::max_element(counts_ + begin, counts_ + end);
    }

    // Whether every class is a target of sample n, and of each of its block: then the
    // i-th one is class i.
    bool are_many(std::size_t n) const { return counts_[n] > few_targets; }

    // The most targets that a sample can have.
    std::size_t longest() const { return longest_; }
    SampleTargets of_sample(std::size_t n) const {
        const std::size_t own = at(n, 0);
        return {counts_[n], are_many(n) ? nullptr : classes_ + own,
                fields_ + fields * (own - n % lanes) + n % lanes};
    }

    // The i-th target of each sample of the group that begins with sample n; and its
    // class.
    TargetPacks packs(std::size_t n, std::size_t i) const {
        const Real* from = fields_ + fields * at(n, i);
        return {load(from), load(from + lanes), load(from + 2 * lanes)};
    }
    LaneClasses classes(std::size_t n, std::size_t i) const {
        return {classes_ + at(n, i)};
    }

private:
    static constexpr std::size_t fields = SampleTargets::fields;

    std::size_t at(std::size_t n, std::size_t i) const {
        return (n / lanes * longest_ + i) * lanes + n % lanes;
    }

    // The first `count` lanes from doubles.
    template <class T>
    static Pack rounded(const T* x, std::size_t count) {
        if constexpr (std::is_same_v<T, Real>) return load_part(x, count);
        Real each[lanes] = {};
        for (std::size_t i = 0; i < count; ++i) each[i] = static_cast<Real>(x[i]);
        return load(each);
    }

    const Targets& t_;
    Real log_offset_;
    std::size_t outputs_, longest_;
    std::size_t *nonzeros_, *counts_;  // of a sample, and of its list
    std::uint32_t* classes_;           // (groups, longest, lanes)
    Real* fields_;  // (groups, longest, fields, lanes): weights, ratios, rests
};

}  // namespace secant::SECANT_ISA
