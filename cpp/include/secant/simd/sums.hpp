// The rule for sums of float32: at most `longest_float_sum` terms are added in float, and such sums are added in double. So an error does
// not grow with the number of classes, or of samples of a block. LongSum keeps it for packs, Accumulator (contraction.hpp) for rows, and
// who sums products calls add_in_double after so many terms. Doubles are added as they come.
#pragma once

#include "secant/simd/sides.hpp"

namespace secant::SECANT_ISA {

constexpr std::size_t longest_float_sum = 112;  // of equal terms: 12 epsilon, measured

// A sum of packs, lane by lane.
#ifdef SECANT_SINGLE

class LongSum {
public:
    void add(Pack x) {
        part_ += x;
        count();
    }
    void add_product(Pack a, Pack b) {
        part_ = fma(a, b, part_);
        count();
    }
    Pack rounded() const { return any_ ? narrow(total()) : part_; }
    void store_to(double (&to)[lanes]) const {
        const WidePack all = total();
        std::memcpy(to, &all, sizeof to);
    }

private:
    void count() {
        if (++terms_ < longest_float_sum) return;
        earlier_ = total();
        part_ = Pack{};
        terms_ = 0;
        any_ = true;
    }
    WidePack total() const {
        const auto [low, high] = widen(part_);
        return {earlier_.low + low, earlier_.high + high};
    }

    Pack part_{};
    WidePack earlier_{};
    std::size_t terms_ = 0;
    bool any_ = false;
};

#else

class LongSum {
public:
    void add(Pack x) { sum_ += x; }
    void add_product(Pack a, Pack b) { sum_ = fma(a, b, sum_); }
    Pack rounded() const { return sum_; }
    void store_to(double (&to)[lanes]) const { store(to, sum_); }

private:
    Pack sum_{};
};

#endif

// The same for the two sides of a difference.
class LongSides {
public:
    void add(Sides x) {
        plus_.add(x.plus);
        minus_.add(x.minus);
    }
    void add_product(Pack a, Sides x) {
        plus_.add_product(a, x.plus);
        minus_.add_product(a, x.minus);
    }
    Sides rounded() const { return {plus_.rounded(), minus_.rounded()}; }

private:
    LongSum plus_, minus_;
};

// totals(size,) += sums, in double; or = sums, with `first`. With `last`, sums = totals; else they are to begin again.
inline void add_in_double(Real* sums, double* totals, std::size_t size, bool first, bool last) {
    for (std::size_t i = 0; i < size; ++i) {
        totals[i] = first ? sums[i] : totals[i] + sums[i];
        if (last) sums[i] = static_cast<Real>(totals[i]);
    }
}

}  // namespace secant::SECANT_ISA
