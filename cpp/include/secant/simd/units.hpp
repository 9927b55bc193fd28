// A row of units in registers: P packs, of which the last may be half a pack.
#pragma once

#include <array>

#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

// Rows of an array, `stride` apart.
template <class T>
struct Tile {
    T* at;
    std::size_t stride;

    T* row(std::size_t n) const { return at + n * stride; }
    Tile from(std::size_t n, std::size_t j) const {
        return {row(n) + j, stride};
    }  // from row n and column j on
    operator Tile<const T>() const { return {at, stride}; }
};

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

    // For units that are used more than once: see in_register.
    static Units once(const Value* from) {
        Units units;
        for (std::size_t p = 0; p + 1 < P; ++p)
            units.packs_[p] = in_register(load<Full>(from + p * step));
        units.last_ = in_register(load<Last>(from + (P - 1) * step));
        return units;
    }

    template <class To>
    void put(To* to, bool add) const {
        for (std::size_t p = 0; p + 1 < P; ++p)
            SECANT_ISA::put(to + p * step, packs_[p], add);
        SECANT_ISA::put(to + (P - 1) * step, last_, add);
    }

    // += x * units
    void add(Value x, const Units& units) {
        const Full factor = in_register(broadcast<Full>(x));
        for (std::size_t p = 0; p + 1 < P; ++p)
            packs_[p] = fma(factor, units.packs_[p], packs_[p]);
        last_ = fma(low<Last>(factor), units.last_, last_);
    }

    // += x * the units at `from`
    void add(Full x, const Value* from) {
        for (std::size_t p = 0; p + 1 < P; ++p)
            packs_[p] = fma(x, load<Full>(from + p * step), packs_[p]);
        last_ = fma(low<Last>(x), load<Last>(from + (P - 1) * step), last_);
    }

    // The same, where only `last` units of the last pack exist.
    void add(Full x, const Value* from, std::size_t last) {
        for (std::size_t p = 0; p + 1 < P; ++p)
            packs_[p] = fma(x, load<Full>(from + p * step), packs_[p]);
        last_ = fma(low<Last>(x), load_part<Last>(from + (P - 1) * step, last), last_);
    }

    // The units at `to` += sum over m of x[m] * terms[m], the last term first; or =
    // that, with `clear`.
    template <std::size_t M>
    static void add_terms(Value* to, const Value (&x)[M],
                          const std::array<Units, M>& terms, bool clear) {
        Full factors[M];
        for (std::size_t m = 0; m < M; ++m) factors[m] = broadcast<Full>(x[m]);
        for (std::size_t p = 0; p + 1 < P; ++p, to += step) {
            Full sum = clear ? Full{} : load<Full>(to);
            for (std::size_t m = M; m-- > 0;)
                sum = fma(factors[m], terms[m].packs_[p], sum);
            store(to, sum);
        }
        Last sum = clear ? Last{} : load<Last>(to);
        for (std::size_t m = M; m-- > 0;)
            sum = fma(low<Last>(factors[m]), terms[m].last_, sum);
        store(to, sum);
    }

private:
    static constexpr std::size_t step = lanes_of<Full>;

    Full packs_[P];  // the last one is not used
    Last last_;
};

}  // namespace secant::SECANT_ISA
