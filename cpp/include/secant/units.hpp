// A row of hidden units in registers: packs, of which the last may be half a pack.
#pragma once

#include <array>

#include "simd.hpp"

namespace secant::SECANT_ISA {

template <int P, class Last>
class Units {
public:
    explicit Units(const double* from) : last_(load<Last>(from + (P - 1) * lanes)) {
        for (std::size_t p = 0; p + 1 < P; ++p) packs_[p] = load(from + p * lanes);
    }

    void store_to(double* to) const {
        for (std::size_t p = 0; p + 1 < P; ++p) store(to + p * lanes, packs_[p]);
        store(to + (P - 1) * lanes, last_);
    }

    // += x * the units at `from`
    void add(Pack x, const double* from) {
        for (std::size_t p = 0; p + 1 < P; ++p) packs_[p] = fma(x, load(from + p * lanes), packs_[p]);
        last_ = fma(low<Last>(x), load<Last>(from + (P - 1) * lanes), last_);
    }

    // The same, where the last pack has only so many of them.
    void add(Pack x, const double* from, std::size_t last) {
        for (std::size_t p = 0; p + 1 < P; ++p) packs_[p] = fma(x, load(from + p * lanes), packs_[p]);
        last_ = fma(low<Last>(x), load_part<Last>(from + (P - 1) * lanes, last), last_);
    }

    // The units at `to` += sum over m of x[m] * terms[m], the last first.
    template <std::size_t M>
    static void add_terms(double* to, const Pack (&x)[M], const std::array<Units, M>& terms) {
        for (std::size_t p = 0; p + 1 < P; ++p, to += lanes) {
            Pack sum = load(to);
            for (std::size_t m = M; m-- > 0;) sum = fma(x[m], terms[m].packs_[p], sum);
            store(to, sum);
        }
        Last sum = load<Last>(to);
        for (std::size_t m = M; m-- > 0;) sum = fma(low<Last>(x[m]), terms[m].last_, sum);
        store(to, sum);
    }

    // what(pack or half pack of each row..., where it is), for as many rows at once as there are.
    template <std::size_t R, class What>
    static void each(Units (&rows)[R], const What& what) {
        for (std::size_t p = 0; p + 1 < P; ++p) {
            Pack* of[R];
            for (std::size_t r = 0; r < R; ++r) of[r] = &rows[r].packs_[p];
            what(of, p * lanes);
        }
        Last* of[R];
        for (std::size_t r = 0; r < R; ++r) of[r] = &rows[r].last_;
        what(of, (P - 1) * lanes);
    }

private:
    Pack packs_[P];  // the last one is not used
    Last last_;
};

}  // namespace secant::SECANT_ISA
