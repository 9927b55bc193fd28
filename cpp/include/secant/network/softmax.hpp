// Softmax, to 2 ulp whatever the range of its input.
#pragma once

#include <algorithm>

#include "secant/simd/elementary.hpp"
#include "secant/interface/kernels.hpp"

namespace secant::SECANT_ISA {

// sum + lost, as a divisor.
class CompensatedDivisor {
public:
    CompensatedDivisor(Pack sum, Pack lost)
        : sum_(sum + lost), lost_(lost - (sum_ - sum)), inverse_(1 / sum_) {}

    // x divided by it, rounded as if only once.
    Pack divide(Pack x) const {
        const Pack quotient = x * inverse_;
        return quotient + inverse_ * (remainder(x, quotient) - quotient * lost_);
    }

private:
    // x - quotient sum, exactly.
    Pack remainder(Pack x, Pack quotient) const {
        if constexpr (fused) return fma(-quotient, sum_, x);
        const auto [product, lost] = two_product(quotient, sum_);
        return (x - product) - lost;
    }

    Pack sum_, lost_, inverse_;
};

// The sum of packs, and apart from it the sum of what each addition rounded off.
class CompensatedSum {
public:
    void add(Pack x) {
        const auto [sum, lost] = two_sum(sum_, x);
        sum_ = sum;
        lost_ += lost;
    }
    // The sum of each lane; the sum of all lanes.
    CompensatedDivisor lane_totals() const { return CompensatedDivisor(sum_, lost_); }
    CompensatedDivisor total() const {
        Real sum = 0, lost = 0;
        for (std::size_t i = 0; i < lanes; ++i) {
            const auto next = two_sum(sum, lane(sum_, i));
            sum = next.value;
            lost += next.lost + lane(lost_, i);
        }
        return CompensatedDivisor(broadcast(sum), broadcast(lost));
    }

private:
    Pack sum_{}, lost_{};
};

// exp(v - top), with what the difference rounds off.
inline Pack exp_difference(Pack v, Pack top) {
    const auto [difference, lost] = two_sum(v, -top);
    return exp_below(difference, lost);
}

// out_k = exp(x_k - max x) / sum, of one row: lanes run along it.
inline void softmax_row(const Real* x, Real* out, std::size_t size) {
    const Real top = *std::max_element(x, x + size);
    CompensatedSum sum;
    for (std::size_t k = 0; k < size; k += lanes) {
        const std::size_t count = std::min(lanes, size - k);
        store_part(out + k,
                   exp_difference(load_part(x + k, count, top), broadcast(top)), count);
        sum.add(load_part(out + k, count));
    }
    const CompensatedDivisor total = sum.total();
    map(out, out, size, [&](Pack e) { return total.divide(e); });
}

// The same for as many rows as a pack has lanes, one lane each: x_k of all rows is at x
// + k * lanes. top: max x.
inline void softmax_lanes(const Real* x, Real* out, std::size_t size, Pack top) {
    CompensatedSum sum;
    for (std::size_t k = 0; k < size; ++k) {
        const Pack e = exp_difference(load(x + k * lanes), top);
        sum.add(e);
        store(out + k * lanes, e);
    }
    const CompensatedDivisor total = sum.lane_totals();
    for (std::size_t k = 0; k < size; ++k)
        store(out + k * lanes, total.divide(load(out + k * lanes)));
}

// out(N,O) = softmax of each row of x.  2 ulp.
inline void softmax(ConstMatrix x, Matrix out) {
    constexpr std::size_t few = 4 * lanes;  // too few to fill packs along a row
    std::size_t n = 0;
    for (; 0 < x.cols && x.cols < few && n + lanes <= x.rows; n += lanes) {
        Real turned[few * lanes];  // element by element: packs of the last row would
                                   // end past it
        for (std::size_t k = 0; k < x.cols; ++k)
            for (std::size_t l = 0; l < lanes; ++l)
                turned[k * lanes + l] = x.row(n + l)[k];
        Pack top = load(turned);
        for (std::size_t k = 1; k < x.cols; ++k)
            top = maximum(top, load(turned + k * lanes));
        softmax_lanes(turned, turned, x.cols, top);
        for (std::size_t k = 0; k < x.cols; ++k)
            for (std::size_t l = 0; l < lanes; ++l)
                out.row(n + l)[k] = turned[k * lanes + l];
    }
    for (; n < x.rows; ++n) softmax_row(x.row(n), out.row(n), x.cols);
}

}  // namespace secant::SECANT_ISA
