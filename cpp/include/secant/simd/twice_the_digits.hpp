// Sums of products with twice as many digits as their numbers have.
#pragma once

#include "secant/simd/elementary.hpp"

namespace secant::SECANT_ISA {

// Ogita, Rump, Oishi: Accurate sum and dot product (2005), Dot2.
class TwiceTheDigits {
public:
    explicit TwiceTheDigits(Pack first) : sum_(first) {}
    void add_product(Real x, Pack y) {
        const auto product = two_product(broadcast(x), y),
                   next = two_sum(sum_, product.value);
        sum_ = next.value;
        lost_ += next.lost + product.lost;
    }
    // Halves of a number near the largest overflow: then nothing is known of what was
    // lost.
    Pack rounded() const {
        return sum_ + select(zero_or_nan(lost_) == 0, lost_, Pack{});
    }

private:
    Pack sum_, lost_{};
};

}  // namespace secant::SECANT_ISA
