// Constants of the method that every backend shares: tests/contract/test_constants.py compares them with those of
// secant/backends/bound.py.
#pragma once

namespace secant {

// Added to y before its logarithm is taken, as in the chapter: it keeps the loss finite where y is 0.
constexpr double log_offset = 1e-7;

// Direct takes so many terms of a growth for shifts of a2 up to a limit, and the full functions beyond the last.
constexpr int few_terms = 4, most_terms = 8;
constexpr double few_terms_limit = 1.3e-4, most_terms_limit = 8.77e-3;
// A larger shift of a sigmoid's input is evaluated from the pre-activation, a larger change of an exponent by the softmax anew.
constexpr double small_shift_limit = 1.0, exponent_limit = 600.0;

// What is cut from a series stays below this, and below this share of the rounding of a plain loop.
constexpr double truncation_limit = 2e-15, rounding_share = 0.01;
// The bound is taken on so many discs, the radius of each the same share of the one before. A bound of a logarithm is
// proven below log 2; with a margin for rounding.
constexpr int discs = 16;
constexpr double largest_radius = 3.0, radius_ratio = 0.6, log_bound_limit = 0.69;

}  // namespace secant
