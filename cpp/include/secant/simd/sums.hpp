// The rule for sums over samples, of which there may be millions: the samples of a
// block (network/forward.hpp) are added one by one, and the sums of blocks by
// add_compensated. So the error does not grow with the number of blocks.
//
// The rule for sums of float32: at most `longest_float_sum` terms are added in float,
// and such sums are added in double. So an error does not grow with the number of
// classes, or of samples of a block. long_sum keeps it for packs, Accumulator
// (contraction.hpp) for rows, and who sums products calls add_in_double after so many
// terms. Doubles are added as they come.
#pragma once

#include <iterator>
#include <limits>

#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

constexpr std::size_t longest_float_sum = 112;  // of equal terms: 12 epsilon, measured

// totals(size,) += sums, in double; or = sums, with `first`. With `last`, sums =
// totals; else they are to begin again.
inline void add_in_double(Real* sums, double* totals, std::size_t size, bool first,
                          bool last) {
    for (std::size_t i = 0; i < size; ++i) {
        totals[i] = first ? sums[i] : totals[i] + sums[i];
        if (last) sums[i] = static_cast<Real>(totals[i]);
    }
}

// The same for sums that are packs; returns them.
template <class Sum>
[[gnu::noinline]] Sum added_in_double(Sum sum, double* totals, bool first, bool last) {
    Real each[sizeof sum / sizeof(Real)];
    std::memcpy(each, &sum, sizeof sum);
    add_in_double(each, totals, std::size(each), first, last);
    std::memcpy(&sum, each, sizeof sum);
    return sum;
}

// The sum of so many terms, lane by lane: add(sum, i) adds term i. A Sum is packs. If
// asked, `totals` become the sums in double, if there are any terms.
template <class Sum, class Add>
Sum long_sum(std::size_t terms, const Add& add, double* totals = nullptr) {
    constexpr std::size_t longest =
        is_single ? longest_float_sum : std::numeric_limits<std::size_t>::max();
    double own_totals[sizeof(Sum) / sizeof(Real)];
    Sum sum{};
    for (std::size_t first = 0, end; first < terms; first = end) {
        end = first + std::min(longest, terms - first);
        sum = Sum{};
        for (std::size_t i = first; i < end; ++i) add(sum, i);
        if (terms > longest || totals)
            sum = added_in_double(sum, totals ? totals : own_totals, first == 0,
                                  end == terms);
    }
    return sum;
}

// sum += term; `lost` is what rounding has added to `sum` so far, 0 at first. The error
// of a sum of any number of terms is about one rounding (Kahan's compensated summation:
// Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.3). An
// infinity stays one.
template <class Value>
void add_compensated(Value& sum, Value& lost, Value term) {
    const Value corrected = term - lost, next = sum + corrected,
                rounding = (next - sum) - corrected;
    lost = next - next == 0 ? rounding : Value{};
    sum = next;
}

struct SumOfBlocks {
    double value = 0.0, lost = 0.0;
    void add(double term) { add_compensated(value, lost, term); }
};

}  // namespace secant::SECANT_ISA
