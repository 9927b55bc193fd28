// Constants of the method. tests/core/test_constants.py reads this file, and compares
// it with secant/backends/bound.py.
#pragma once

namespace secant {

// Direct takes this many terms of a growth for shifts of a2 up to a limit of each;
// above the last limit, the full functions.
constexpr int few_terms = 4, most_terms = 8;
// For a larger shift of a pre-activation its sigmoid is computed again.
constexpr double small_shift_limit = 1.0;

// What depends on the type of the parameters: the orders that a series may have; its
// truncation error, 9 epsilon, which stays below this share of the rounding error of a
// plain loop too; the shifts up to which so many terms are enough; the change of an
// exponent beyond which the softmax is computed again; the offset below which a
// probability that has underflowed counts where it comes back within that; and the
// shifts up to which the loss is taken to be linear: a float has no digits for the
// rest, and what smaller shifts change might be subnormal. Doubles have enough range.
constexpr double rounding_share = 0.01;
template <class Real>
struct Limits {
    static constexpr int lowest_order = 3, highest_order = 9;
    static constexpr double truncation = 2e-15, few_terms_limit = 1.3e-4,
                            most_terms_limit = 8.77e-3, exponent = 600.0, linear = 0.0,
                            small_offset = 1e-40;
};
template <>
struct Limits<float> {
    static constexpr int lowest_order = 1, highest_order = 5;
    static constexpr double truncation = 0x1p29 * 2e-15, few_terms_limit = 0.02,
                            most_terms_limit = 0.1, exponent = 70.0, linear = 0x1p-13,
                            small_offset = 9e-8;
};
// The bound is computed on this many discs, each smaller than the last by the same
// ratio. A bound of a logarithm needs an argument below log 2; the limit leaves a
// margin for rounding.
constexpr int discs = 16;
constexpr double largest_radius = 3.0, radius_ratio = 0.6, log_bound_limit = 0.69;

}  // namespace secant
