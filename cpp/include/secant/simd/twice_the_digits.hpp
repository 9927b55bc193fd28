// Sums of products with twice as many digits as their numbers have.
#pragma once

#include "secant/simd/elementary.hpp"

namespace secant::SECANT_ISA {

#ifdef SECANT_SINGLE

// In double, where the product of two floats is exact.
class TwiceTheDigits {
public:
    explicit TwiceTheDigits(Pack first) {
        for (std::size_t l = 0; l < lanes; ++l) sums_[l] = lane(first, l);
    }
    void add_product(Real x, Pack y) {
        for (std::size_t l = 0; l < lanes; ++l) sums_[l] += static_cast<double>(x) * lane(y, l);
    }
    Pack rounded() const {
        Real each[lanes];
        for (std::size_t l = 0; l < lanes; ++l) each[l] = static_cast<Real>(sums_[l]);
        return load(each);
    }

private:
    double sums_[lanes];
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
