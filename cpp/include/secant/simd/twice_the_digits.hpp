// Sums of products with twice as many digits as their numbers have.
#pragma once

#include "secant/simd/elementary.hpp"

namespace secant::SECANT_ISA {

#ifdef SECANT_SINGLE

// In double, where the product of two floats is exact.
class TwiceTheDigits {
public:
    explicit TwiceTheDigits(Pack first) : sum_(widen(first)) {}
    void add_product(Real x, Pack y) {
        const auto [low, high] = widen(y);
        sum_.low += low * static_cast<double>(x);
        sum_.high += high * static_cast<double>(x);
    }
    Pack rounded() const { return narrow(sum_); }

private:
    WidePack sum_;
};

#else

// Ogita, Rump, Oishi: Accurate sum and dot product (2005), Dot2.
class TwiceTheDigits {
public:
    explicit TwiceTheDigits(Pack first) : sum_(first) {}
    void add_product(Real x, Pack y) {
        const auto product = two_product(broadcast(x), y);
        const auto next = two_sum(sum_, product.value);
        sum_ = next.sum;
        lost_ += next.lost + product.lost;
    }
    // Halves of a number above 1e300 overflow: then nothing is known of what was lost.
    Pack rounded() const { return sum_ + select(zero_or_nan(lost_) == 0, lost_, Pack{}); }

private:
    Pack sum_, lost_{};
};

#endif

}  // namespace secant::SECANT_ISA
