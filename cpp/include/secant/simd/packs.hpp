// A pack of numbers, one per SIMD lane. It is a GNU vector, which stays in registers where an array under `omp simd` would
// not. Without GNU vectors a pack is one number.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "secant/simd/inline.hpp"
#include "secant/simd/real.hpp"

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(__ASSOCIATIVE_MATH__) || \
    defined(__RECIPROCAL_MATH__)
#error "Secant computes nothing right with -ffast-math or a part of it: take it out of CXXFLAGS."
#endif

#if defined(__GNUC__) && !defined(SECANT_SCALAR)
#define SECANT_VECTORS 1
#else
#define SECANT_VECTORS 0
#endif

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace secant::SECANT_ISA {

#if !SECANT_VECTORS
constexpr std::size_t lanes = 1;
using Pack = Real;
using Bits = RealBits;
inline Real lane(Pack p, std::size_t) { return p; }
#else
#if defined(__AVX512F__)
constexpr std::size_t pack_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t pack_bytes = 32;
#else
constexpr std::size_t pack_bytes = 16;
#endif
constexpr std::size_t lanes = pack_bytes / sizeof(Real);
using Pack __attribute__((vector_size(pack_bytes))) = Real;
using Bits __attribute__((vector_size(pack_bytes))) = RealBits;
inline Real lane(const Pack& p, std::size_t i) { return p[i]; }
#if defined(__AVX__)
#define SECANT_HALF_PACKS 1
using HalfPack __attribute__((vector_size(pack_bytes / 2))) = Real;
#ifndef SECANT_SINGLE
#define SECANT_NARROW_PACKS 1
using FloatPack __attribute__((vector_size(pack_bytes))) = float;  // twice as many lanes
using HalfFloatPack __attribute__((vector_size(pack_bytes / 2))) = float;
#endif
#endif
#endif

#ifndef SECANT_HALF_PACKS
using HalfPack = Pack;
#endif
#ifdef SECANT_NARROW_PACKS
constexpr bool narrow_packs = true;  // of float beside packs of double
#else
constexpr bool narrow_packs = false;
#endif

// The type of a pack's lanes, or of a number.
template <class P>
struct ElementOf {
    using Type = std::remove_cvref_t<decltype(std::declval<P&>()[0])>;
};
template <class P>
    requires std::is_arithmetic_v<P>
struct ElementOf<P> {
    using Type = P;
};
template <class P>
using Element = typename ElementOf<P>::Type;

template <class P>
constexpr std::size_t lanes_of = sizeof(P) / sizeof(Element<P>);

// a * b + c, rounded once if the processor can. The compiler must not fuse by itself (-ffp-contract=off): it might do so in
// one inlined copy of a function and not in another, and results would depend on which one ran.
#if defined(__FMA__) || defined(__aarch64__)
constexpr bool fused = true;
#else
constexpr bool fused = false;
#endif

inline double fma(double a, double b, double c) { return fused ? std::fma(a, b, c) : a * b + c; }
inline float fma(float a, float b, float c) { return fused ? std::fma(a, b, c) : a * b + c; }

#if SECANT_VECTORS
template <class P>
P fma(P a, P b, P c) {
    [[maybe_unused]] constexpr bool single = std::is_same_v<Element<P>, float>;
#if defined(__FMA__)
    if constexpr (sizeof(P) == 64) {
        if constexpr (single) return _mm512_fmadd_ps(a, b, c);
        else return _mm512_fmadd_pd(a, b, c);
    } else if constexpr (sizeof(P) == 32) {
        if constexpr (single) return _mm256_fmadd_ps(a, b, c);
        else return _mm256_fmadd_pd(a, b, c);
    } else {
        if constexpr (single) return _mm_fmadd_ps(a, b, c);
        else return _mm_fmadd_pd(a, b, c);
    }
#elif defined(__aarch64__)
    if constexpr (single) return vfmaq_f32(c, a, b);
    else return vfmaq_f64(c, a, b);
#else
    return a * b + c;
#endif
}
#endif

// x - 0 is x for every x, also -0.0 and NaN: it compiles to a broadcast without subtraction.
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

// For a pack that is used more than once: GCC would load it again for each use, and loads are the bottleneck.
template <class P>
P in_register(P p) {
#if SECANT_VECTORS && defined(__x86_64__)
    asm("" : "+v"(p));
#endif
    return p;
}

template <class P = Pack>
P load_once(const Element<P>* from) {
    return in_register(load<P>(from));
}

template <class P>
void store(Element<P>* to, P p) {
    std::memcpy(to, &p, sizeof p);
}

#ifdef SECANT_SINGLE
// A pack in double, in two halves: compilers keep a vector of twice the size in memory.
struct WidePack {
#if SECANT_VECTORS
    using Half __attribute__((vector_size(pack_bytes))) = double;
#else
    using Half = double;  // the second one is not used
#endif
    Half low, high;
};

#if SECANT_VECTORS
inline WidePack widen(Pack p) {
    using Part __attribute__((vector_size(pack_bytes / 2))) = float;
    Part parts[2];
    std::memcpy(parts, &p, sizeof p);
    return {__builtin_convertvector(parts[0], WidePack::Half), __builtin_convertvector(parts[1], WidePack::Half)};
}
inline Pack narrow(const WidePack& p) {
    using Part __attribute__((vector_size(pack_bytes / 2))) = float;
    const Part parts[] = {__builtin_convertvector(p.low, Part), __builtin_convertvector(p.high, Part)};
    Pack both;
    std::memcpy(&both, parts, sizeof both);
    return both;
}
#else
inline WidePack widen(Pack p) { return {p, 0}; }
inline Pack narrow(const WidePack& p) { return static_cast<Pack>(p.low); }
#endif
#endif

#ifdef SECANT_NARROW_PACKS
inline HalfFloatPack narrow(Pack p) { return __builtin_convertvector(p, HalfFloatPack); }

// to = sums; or += that, with `add`.
template <class P>
    requires std::is_same_v<Element<P>, float>
void put(double* to, P sums, bool add) {
    sums = in_register(sums);  // its halves are taken from memory: else it would be there all the time
    for (std::size_t part = 0; part < sizeof(P) / sizeof(HalfFloatPack); ++part, to += lanes) {
        HalfFloatPack half;
        std::memcpy(&half, reinterpret_cast<const std::byte*>(&sums) + part * sizeof half, sizeof half);
        const Pack wide = __builtin_convertvector(half, Pack);
        store(to, add ? load(to) + wide : wide);
    }
}
#endif

template <class P>
void put(Element<P>* to, P sums, bool add) {
    store(to, add ? load<P>(to) + sums : sums);
}

// The first `count` lanes from memory, and no more; the others are `rest`.
template <class P = Pack>
P load_part(const Real* from, std::size_t count, Real rest = 0) {
    if (count == lanes_of<P>) return load<P>(from);
#if defined(__AVX512F__) && SECANT_VECTORS && defined(SECANT_SINGLE)
    const auto some = static_cast<__mmask16>((1u << count) - 1);
    if constexpr (sizeof(P) == 64)
        return _mm512_mask_loadu_ps(broadcast(rest), some, from);
    else
        return _mm256_mask_loadu_ps(broadcast<P>(rest), static_cast<__mmask8>(some), from);
#elif defined(__AVX512F__) && SECANT_VECTORS
    const auto some = static_cast<__mmask8>((1u << count) - 1);
    if constexpr (sizeof(P) == 64)
        return _mm512_mask_loadu_pd(broadcast(rest), some, from);
    else
        return _mm256_mask_loadu_pd(broadcast<P>(rest), some, from);
#else
    P p = broadcast<P>(rest);
    std::memcpy(&p, from, count * sizeof(Real));
    return p;
#endif
}

inline void store_part(Real* to, Pack p, std::size_t count) {
    if (count == lanes) return store(to, p);
#if defined(__AVX512F__) && SECANT_VECTORS && defined(SECANT_SINGLE)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), p);
#elif defined(__AVX512F__) && SECANT_VECTORS
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), p);
#else
    std::memcpy(to, &p, count * sizeof(Real));
#endif
}

inline void prefetch([[maybe_unused]] const void* at) {
#if defined(__GNUC__)
    __builtin_prefetch(at);
#endif
}

// To the L2 cache, `size` > 0 elements.
template <class T>
void prefetch_later([[maybe_unused]] const T* at, [[maybe_unused]] std::size_t size) {
#if defined(__GNUC__)
    constexpr std::size_t line = 64 / sizeof(T);
    for (std::size_t i = 0; i < size + line - 1; i += line) __builtin_prefetch(at + i, 0, 2);
#endif
}

constexpr std::size_t pad(std::size_t n) { return ceil_of(n, lanes) * lanes; }

// out[i] = function(x[i]), a pack at a time.
template <class Function>
void map(const Real* x, Real* out, std::size_t size, Function function) {
    std::size_t i = 0;
    for (; i + lanes <= size; i += lanes) store(out + i, function(load(x + i)));
    if (i < size) store_part(out + i, function(load_part(x + i, size - i)), size - i);
}

}  // namespace secant::SECANT_ISA
