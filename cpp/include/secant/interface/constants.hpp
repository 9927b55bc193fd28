// Constants of the method, the same in every backend: tests/contract/test_constants.py compares them with
// secant/backends/bound.py.
#pragma once

namespace secant {

// Direct takes this many terms of a growth for shifts of a2 up to a limit; above the last limit, the full functions.
constexpr int few_terms = 4, most_terms = 8;
constexpr double few_terms_limit = 1.3e-4, most_terms_limit = 8.77e-3;
// For a larger shift of a pre-activation its sigmoid is computed again; for a larger change of an exponent, the softmax.
constexpr double small_shift_limit = 1.0, exponent_limit = 600.0;

// The truncation error of a series stays below this limit, and below this share of the rounding error of a plain loop.
constexpr double truncation_limit = 2e-15, rounding_share = 0.01;
// The bound is computed on this many discs, each smaller than the last by the same ratio. A bound of a logarithm needs an
// argument below log 2; the limit leaves a margin for rounding.
constexpr int discs = 16;
constexpr double largest_radius = 3.0, radius_ratio = 0.6, log_bound_limit = 0.69;

}  // namespace secant
