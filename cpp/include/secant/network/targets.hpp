// The targets of a block of samples, in groups like the arrays of the output layer: lanes run over samples.
#pragma once

#include <algorithm>
#include <limits>
#include <numeric>

#include "secant/interface/kernels.hpp"
#include "secant/network/cross_entropy.hpp"
#include "secant/network/parameters.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

// If samples of a block have more targets than these, sums over targets are products of matrices.
constexpr std::size_t few_targets = 4;

// A class of one sample that has a target weight t: `ratio` is y / (y + log_offset), `rest` is 1 - ratio. Both are
// NaN for 0 / 0.
struct Target {
    std::size_t k;
    Real weight;
    Real ratio;
    Real rest;
};

// The targets of one sample: where its lane of them begins.
struct SampleTargets {
    static constexpr std::size_t fields = 3;

    std::size_t count;
    const std::uint32_t* classes;
    const Real* first;

    Target operator[](std::size_t i) const {
        const Real* own = first + fields * i * lanes;
        return {classes[i * lanes], own[0], own[lanes], own[2 * lanes]};
    }
};

// One target of each sample of a group, a lane for each. All are zero for a sample that has none.
struct TargetPacks {
    Pack weight, ratio, rest;
};

// A class for each sample of a group, and what arrays (classes, lanes) hold of it.
class LaneClasses {
public:
    explicit LaneClasses(const std::uint32_t* k)
        : k_(k), same_(std::all_of(k, k + lanes, [k](std::uint32_t other) { return other == *k; })) {}

    Pack load(const Real* from) const {
        if (same_) return SECANT_ISA::load(from + at(0));
        Real each[lanes];
        for (std::size_t l = 0; l < lanes; ++l) each[l] = from[at(l) + l];
        return SECANT_ISA::load(each);
    }
    void store(Real* to, Pack p) const {
        if (same_) return SECANT_ISA::store(to + at(0), p);
        for (std::size_t l = 0; l < lanes; ++l) to[at(l) + l] = lane(p, l);
    }

private:
    std::size_t at(std::size_t l) const { return std::size_t{k_[l]} * lanes; }

    const std::uint32_t* k_;
    bool same_;
};

class TargetLists {
public:
    TargetLists(Workspace& work, const Targets& t, const Parameters& net, std::size_t capacity)
        : t_(t),
          log_offset_(static_cast<Real>(net.log_offset())),
          outputs_(net.outputs()),
          longest_(t.most(net.outputs())),
          counts_(work.take<std::size_t>(pad(capacity))),
          callers_(work.take<std::size_t>(pad(capacity))),
          classes_(work.take<std::uint32_t>(pad(capacity) * longest_)),
          fields_(work.take<Real>(pad(capacity) * longest_ * fields)) {}

    // The sum of the weights of sample `from`; NaN if one is negative or not finite.
    double mass(std::size_t from) const {
        if (t_.labels) return 1.0;
        constexpr std::size_t at_once = 8;  // each addition waits for the one before
        double sums[at_once] = {}, smallest[at_once] = {}, finite[at_once] = {};
        const double* weights = t_.weights + from * outputs_;
        const auto add = [&](std::size_t i, std::size_t l) {
            sums[l] += weights[i + l];
            smallest[l] = std::min(smallest[l], weights[i + l]);
            finite[l] += zero_or_nan(weights[i + l]);
        };
        std::size_t i = 0;
        for (; i + at_once <= outputs_; i += at_once)
            for (std::size_t l = 0; l < at_once; ++l) add(i, l);
        for (; i < outputs_; ++i) add(i, 0);
        const auto total = [](const double (&of)[at_once]) { return std::accumulate(of, of + at_once, 0.0); };
        return total(smallest) < 0 ? std::numeric_limits<double>::quiet_NaN() : total(sums) + total(finite);
    }

    // The targets of the group [begin, end) are those of the caller's samples from(l); class k has the probabilities y[k * lanes]. If
    // asked, losses(end - begin,) = sum over targets of t log(y + log_offset), for each sample.
    template <class From>
    void fill(std::size_t begin, std::size_t end, const From& from, const Real* y, double* losses) {
        std::size_t counts[lanes] = {}, callers[lanes];
        for (std::size_t l = 0; l < lanes; ++l) callers[l] = from(std::min(l, end - begin - 1));
        const auto add = [k_at = classes_ + at(begin, 0), field_at = fields_ + fields * at(begin, 0)](std::size_t l, std::size_t i,
                                                                                                    std::size_t k, double weight) {
            k_at[i * lanes + l] = static_cast<std::uint32_t>(k);
            field_at[fields * i * lanes + l] = static_cast<Real>(weight);
        };
        const Targets t = t_;  // members might be what is stored, to the compiler
        for (std::size_t i = 0, longest = longest_, outputs = outputs_, size = end - begin; i < longest; ++i)
            for (std::size_t l = 0; l < size; ++l) {
                const auto [k, weight] = t.target(callers[l], i, outputs);
                if (weight != 0.0) add(l, counts[l]++, k, weight);
            }
        std::copy_n(counts, lanes, counts_ + begin);
        std::copy_n(callers, lanes, callers_ + begin);
        const std::size_t most = largest_count(begin, end);
        double totals[lanes] = {};
        long_sum<Pack>(most, [&](Pack& sum, std::size_t i) {
            for (std::size_t l = 0; l < lanes; ++l)
                if (i >= counts[l]) add(l, i, i, 0.0);
            Real* of_group = fields_ + fields * at(begin, i);
            const Pack y_i = classes(begin, i).load(y);
            const TargetPacks with_ratio = of_weights(load(of_group), y_i);
            store(of_group + lanes, with_ratio.ratio);
            store(of_group + 2 * lanes, with_ratio.rest);
            if (losses) sum += log_terms(with_ratio.weight, y_i, log_offset_);
        }, totals);
        if (losses) std::copy_n(totals, end - begin, losses);
    }

    // The largest number of targets of one sample.
    std::size_t largest_count(std::size_t begin, std::size_t end) const {
        return *std::max_element(counts_ + begin, counts_ + end);
    }

    // Whether every class is a target of each sample.
    bool has_all(std::size_t begin, std::size_t end) const {
        return std::all_of(counts_ + begin, counts_ + end, [&](std::size_t count) { return count == outputs_; });
    }

    // The most targets that a sample can have.
    std::size_t longest() const { return longest_; }
    SampleTargets of_sample(std::size_t n) const {
        const std::size_t own = at(n, 0);
        return {counts_[n], classes_ + own, fields_ + fields * (own - n % lanes) + n % lanes};
    }

    // The i-th target of each sample of the group that begins with sample n; and its class.
    TargetPacks packs(std::size_t n, std::size_t i) const {
        const Real* from = fields_ + fields * at(n, i);
        return {load(from), load(from + lanes), load(from + 2 * lanes)};
    }
    LaneClasses classes(std::size_t n, std::size_t i) const { return LaneClasses(classes_ + at(n, i)); }

    // Class k as a target of each sample of that group, where targets are weights; y: its probabilities.
    TargetPacks of_class(std::size_t n, std::size_t k, Pack y) const {
        Real weights[lanes];
        for (std::size_t l = 0; l < lanes; ++l) weights[l] = static_cast<Real>(t_.weights[callers_[n + l] * outputs_ + k]);
        return of_weights(load(weights), y);
    }

private:
    static constexpr std::size_t fields = SampleTargets::fields;

    std::size_t at(std::size_t n, std::size_t i) const { return (n / lanes * longest_ + i) * lanes + n % lanes; }

    TargetPacks of_weights(Pack weight, Pack y) const {
        const Pack sum = y + log_offset_, none{};
        return {weight, select(weight == 0, none, y / sum), select(weight == 0, none, log_offset_ / sum)};
    }

    const Targets& t_;
    Real log_offset_;
    std::size_t outputs_, longest_;
    std::size_t *counts_, *callers_;  // the samples of the caller
    std::uint32_t* classes_;          // (groups, longest, lanes)
    Real* fields_;                    // (groups, longest, fields, lanes): weights, ratios, rests
};

}  // namespace secant::SECANT_ISA
