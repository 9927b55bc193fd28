// A row of units in registers: P packs, of which the last may be half a pack.
#pragma once

#include <array>

#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

// `Full` is a pack of doubles, or of floats.
template <int P, class Last, class Full = Pack>
class Units {
public:
    using Value = Element<Full>;
    static constexpr int packs = P;

    Units() : packs_{}, last_{} {}
    explicit Units(const Value* from) : last_(load<Last>(from + (P - 1) * step)) {
        for (std::size_t p = 0; p + 1 < P; ++p) packs_[p] = load<Full>(from + p * step);
    }

    void store_to(Value* to) const {
        for (std::size_t p = 0; p + 1 < P; ++p) store(to + p * step, packs_[p]);
        store(to + (P - 1) * step, last_);
    }

    // += x * the units at `from`
    void add(Full x, const Value* from) {
        for (std::size_t p = 0; p + 1 < P; ++p) packs_[p] = fma(x, load<Full>(from + p * step), packs_[p]);
        last_ = fma(low<Last>(x), load<Last>(from + (P - 1) * step), last_);
    }

    // The same, where only `last` units of the last pack exist.
    void add(Full x, const Value* from, std::size_t last) {
        for (std::size_t p = 0; p + 1 < P; ++p) packs_[p] = fma(x, load<Full>(from + p * step), packs_[p]);
        last_ = fma(low<Last>(x), load_part<Last>(from + (P - 1) * step, last), last_);
    }

    // The units at `to` += sum over m of x[m] * terms[m], the last term first.
    template <std::size_t M>
    static void add_terms(Value* to, const Full (&x)[M], const std::array<Units, M>& terms) {
        for (std::size_t p = 0; p + 1 < P; ++p, to += step) {
            Full sum = load<Full>(to);
            for (std::size_t m = M; m-- > 0;) sum = fma(x[m], terms[m].packs_[p], sum);
            store(to, sum);
        }
        Last sum = load<Last>(to);
        for (std::size_t m = M; m-- > 0;) sum = fma(low<Last>(x[m]), terms[m].last_, sum);
        store(to, sum);
    }

    // what(that pack of each of R rows, its position) for each pack.
    template <std::size_t R, class What>
    static void each(Units (&rows)[R], const What& what) {
        for (std::size_t p = 0; p + 1 < P; ++p) {
            Full* of[R];
            for (std::size_t r = 0; r < R; ++r) of[r] = &rows[r].packs_[p];
            what(of, p * step);
        }
        Last* of[R];
        for (std::size_t r = 0; r < R; ++r) of[r] = &rows[r].last_;
        what(of, (P - 1) * step);
    }

private:
    static constexpr std::size_t step = sizeof(Full) / sizeof(Value);

    Full packs_[P];  // the last one is not used
    Last last_;
};

}  // namespace secant::SECANT_ISA
