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

    // The targets of sample n are those of the caller's sample `from`; its class k has the probability y[k * lanes].
    void fill(std::size_t n, std::size_t from, const Real* y) {
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

    // Pads a group to a rectangle, when its samples [begin, end) have been filled.
    void complete(std::size_t begin, std::size_t end) {
        for (std::size_t n = begin; n < begin + lanes; ++n)
            for (std::size_t i = n < end ? counts_[n] : 0; i < largest_count(begin, end); ++i)
                for (std::size_t f = 0; f < fields; ++f) field(n, i)[f * lanes] = 0;
    }

    // The largest number of targets of one sample.
    std::size_t largest_count(std::size_t begin, std::size_t end) const {
        return *std::max_element(counts_ + begin, counts_ + end);
    }

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

    Real* field(std::size_t n, std::size_t i) const {
        return fields_ + (n / lanes * longest_ + i) * fields * lanes + n % lanes;
    }

    const Targets& t_;
    Real log_offset_;
    std::size_t outputs_, longest_;
    std::size_t* counts_;
    Real* fields_;
};

}  // namespace secant::SECANT_ISA
