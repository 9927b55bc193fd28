// The targets of a block of samples, in groups like the arrays of the output layer: lanes run over samples.
#pragma once

#include <algorithm>
#include <limits>

#include "secant/interface/kernels.hpp"
#include "secant/network/parameters.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

// A class of one sample that has a target weight t: `ratio` is y / (y + log_offset), `rest` is 1 - ratio. Both are
// NaN for 0 / 0.
struct Target {
    std::size_t k;
    Real weight;
    Real ratio;
    Real rest;
};

// The i-th target of each sample of a group, as one pack for each field. All are zero for a sample that has no i-th target.
struct TargetPacks {
    Pack k, weight, ratio, rest;
};

class TargetLists {
public:
    TargetLists(Workspace& work, const Targets& t, const Parameters& net, std::size_t capacity)
        : t_(t),
          log_offset_(static_cast<Real>(net.log_offset())),
          outputs_(net.outputs()),
          longest_(t.most(net.outputs())),
          counts_(work.take<std::size_t>(pad(capacity))),
          fields_(work.take<Real>(pad(capacity) * longest_ * fields)) {}

    // The sum of the weights of sample `from`; NaN if one is negative or not finite.
    double mass(std::size_t from) const {
        double sum = 0.0;
        bool valid = true;
        for (std::size_t i = 0; i < longest_; ++i) {
            const double weight = t_.target(from, i, outputs_).weight;
            sum += weight;
            valid &= weight >= 0 && weight <= std::numeric_limits<double>::max();
        }
        return valid ? sum : std::numeric_limits<double>::quiet_NaN();
    }

    // The targets of the group [begin, end) are those of the caller's samples from(l); class k has the probabilities y[k * lanes].
    template <class From>
    void fill(std::size_t begin, std::size_t end, const From& from, const Real* y) {
        bool all = longest_ > 1;  // whether every class is a target of each
        for (std::size_t l = 0; l < end - begin && all; ++l) {
            const double* weights = t_.weights + from(l) * outputs_;
            all = std::find(weights, weights + outputs_, 0.0) == weights + outputs_;
        }
        if (all) return fill_with_all(begin, end, from, y);
        for (std::size_t l = 0; l < end - begin; ++l) fill_one(begin + l, from(l), y + l);
        complete(begin, end);
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
    std::size_t count(std::size_t n) const { return counts_[n]; }
    Target target(std::size_t n, std::size_t i) const {
        const Real* from = field(n, i);
        return {static_cast<std::size_t>(from[0]), from[lanes], from[2 * lanes], from[3 * lanes]};
    }
    TargetPacks packs(std::size_t begin, std::size_t i) const {
        const Real* from = field(begin, i);
        return {load(from), load(from + lanes), load(from + 2 * lanes), load(from + 3 * lanes)};
    }

private:
    static constexpr std::size_t fields = 4;

    void fill_one(std::size_t n, std::size_t from, const Real* y) {
        counts_[n] = 0;
        for (std::size_t i = 0; i < longest_; ++i) {
            const auto [k, weight] = t_.target(from, i, outputs_);
            if (weight == 0.0) continue;
            const Real sum = y[k * lanes] + log_offset_;
            Real* to = field(n, counts_[n]++);
            to[0] = static_cast<Real>(k);
            to[lanes] = static_cast<Real>(weight);
            to[2 * lanes] = y[k * lanes] / sum;
            to[3 * lanes] = log_offset_ / sum;
        }
    }

    // Pads a group to a rectangle.
    void complete(std::size_t begin, std::size_t end) {
        for (std::size_t n = begin; n < begin + lanes; ++n)
            for (std::size_t i = n < end ? counts_[n] : 0; i < largest_count(begin, end); ++i)
                for (std::size_t f = 0; f < fields; ++f) field(n, i)[f * lanes] = 0;
    }

    // The same where every weight counts: lanes run over samples.
    template <class From>
    void fill_with_all(std::size_t begin, std::size_t end, const From& from, const Real* y) {
        for (std::size_t n = begin; n < begin + lanes; ++n) counts_[n] = n < end ? outputs_ : 0;
        const double* rows[lanes] = {};
        for (std::size_t l = 0; l < end - begin; ++l) rows[l] = t_.weights + from(l) * outputs_;
        for (std::size_t k = 0; k < outputs_; ++k) {
            Real weights[lanes] = {};
            for (std::size_t l = 0; l < end - begin; ++l) weights[l] = static_cast<Real>(rows[l][k]);
            const Pack y_k = load(y + k * lanes), sum = y_k + log_offset_, none{};
            const Pack used = load(weights);
            Real* to = field(begin, k);
            store(to, broadcast(static_cast<Real>(k)));
            store(to + lanes, used);
            store(to + 2 * lanes, select(used == 0, none, y_k / sum));
            store(to + 3 * lanes, select(used == 0, none, log_offset_ / sum));
        }
    }

    Real* field(std::size_t n, std::size_t i) const {
        return fields_ + (n / lanes * longest_ + i) * fields * lanes + n % lanes;
    }

    const Targets& t_;
    Real log_offset_;
    std::size_t outputs_, longest_;
    std::size_t* counts_;
    Real* fields_;
};

// The targets of a group of samples [begin, end), class by class: the list of a sample is in the order of its classes.
class TargetsByClass {
public:
    TargetsByClass(const TargetLists& lists, std::size_t begin, std::size_t end)
        : all(lists.has_all(begin, end)), lists_(lists), begin_(begin), count_(end - begin) {}

    // Whether every class is a target of each sample: the k-th one.
    const bool all;

    // Of the classes in their order: zeros for samples of which k is no target; `any` becomes whether it is one. Unless `all`, calls
    // what(l, i) for each sample begin + l of which k is the i-th target.
    template <class What>
    TargetPacks take(std::size_t k, bool& any, const What& what) {
        any = all;
        if (all) return lists_.packs(begin_, k);
        Real weight[lanes] = {}, ratio[lanes] = {}, rest[lanes] = {};
        for (std::size_t l = 0; l < count_; ++l) {
            if (next_[l] == lists_.count(begin_ + l)) continue;
            const Target t = lists_.target(begin_ + l, next_[l]);
            if (t.k != k) continue;
            weight[l] = t.weight;
            ratio[l] = t.ratio;
            rest[l] = t.rest;
            what(l, next_[l]++);
            any = true;
        }
        return {broadcast(static_cast<Real>(k)), load(weight), load(ratio), load(rest)};
    }

private:
    const TargetLists& lists_;
    std::size_t begin_, count_;
    std::size_t next_[lanes] = {};
};

}  // namespace secant::SECANT_ISA
