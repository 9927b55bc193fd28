// A pack of numbers, one per SIMD lane, in memory and in registers.
#pragma once

#include "secant/base/inline.hpp"
#include "secant/simd/machine.hpp"

namespace secant::SECANT_ISA {

// x - 0 is x for every x, also -0.0 and NaN: it compiles to a broadcast without
// subtraction.
template <class P = Pack>
P broadcast(Element<P> x) {
    return x - P{};
}

template <class P = Pack>
P load(const Element<P>* from) {
    P p;
    std::memcpy(&p, from, sizeof p);
    return p;
}

// The pack, or its lower half.
template <class P, class Full>
P low(Full p) {
    if constexpr (sizeof(P) == sizeof(Full)) {
        return p;
    } else {
        P half;
        std::memcpy(&half, &p, sizeof half);
        return half;
    }
}

template <class P>
void store(Element<P>* to, P p) {
    std::memcpy(to, &p, sizeof p);
}

// to = sums; or += that, with `add`.
template <class P>
void put(Element<P>* to, P sums, bool add) {
    store(to, add ? load<P>(to) + sums : sums);
}

#ifndef SECANT_SINGLE
// to = sums in double; or += that, with `add`.
template <class P>
    requires std::is_same_v<Element<P>, float>
void put(double* to, P sums, bool add) {
    sums = in_register(
        sums);  // its halves are taken from memory: else it would be there all the time
    for (std::size_t part = 0; part < sizeof(P) / sizeof(HalfFloatPack);
         ++part, to += lanes) {
        HalfFloatPack half;
        std::memcpy(&half,
                    reinterpret_cast<const std::byte*>(&sums) + part * sizeof half,
                    sizeof half);
        const Pack wide = converted<Pack>(half);
        store(to, add ? load(to) + wide : wide);
    }
}
#endif

// A pack in float32.
inline void store_in_single(float* to, Pack p) {
    store(to, converted<VectorOf<float, lanes * sizeof(float)>::Type>(p));
}

// The first `count` lanes from memory, and no more; the others are `rest`.
template <class P = Pack>
P load_part(const Real* from, std::size_t count, Real rest = 0) {
    return count == lanes_of<P> ? load<P>(from) : load_some<P>(from, count, rest);
}

inline void store_part(Real* to, Pack p, std::size_t count) {
    count == lanes ? store(to, p) : store_some(to, p, count);
}

constexpr std::size_t pad(std::size_t n) { return ceil_of(n, lanes) * lanes; }

// body(i, count) for each pack of so many numbers: `count` of them, from number i on.
// Whole packs are a loop of their own, with a constant count: in a loop that may copy a
// part of a pack, gcc keeps sums in memory, and a gradient of 784-512-10 in float32
// took 1.1 of the time.
template <class Body>
SECANT_INLINE void for_packs(std::size_t size, const Body& body) {
    std::size_t i = 0;
    for (; i + lanes <= size; i += lanes) body(i, lanes);
    if (i < size) body(i, size - i);
}

// out[i] = function(x[i]), a pack at a time.
template <class Function>
void map(const Real* x, Real* out, std::size_t size, Function function) {
    for_packs(size, [&](std::size_t i, std::size_t count) {
        store_part(out + i, function(load_part(x + i, count)), count);
    });
}

}  // namespace secant::SECANT_ISA
