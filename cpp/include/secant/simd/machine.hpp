// The machine: what the compiler says of the instruction set that it compiles for, and
// what depends on it. A new one is a branch of the tests in this file.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "secant/simd/formats.hpp"

#if defined(__FAST_MATH__) ||                                  \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error \
    "Secant computes nothing right with -ffast-math or a part of it: take it out of CXXFLAGS."
#endif

// A pack is a GNU vector, which stays in registers where an array under `omp simd`
// would not. Without GNU vectors it is one number.
#if defined(__GNUC__) && !defined(SECANT_SCALAR)
#define SECANT_VECTORS 1
#else
#define SECANT_VECTORS 0
#endif

#if defined(__AVX512F__) && SECANT_VECTORS
#define SECANT_AVX512 1
#else
#define SECANT_AVX512 0
#endif

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace secant::SECANT_ISA {

// ---- facts

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t registers = 32;
#else
constexpr std::size_t registers = 16;
#endif

#if !SECANT_VECTORS
constexpr std::size_t pack_bytes = sizeof(Real);
#elif defined(__AVX512F__)
constexpr std::size_t pack_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t pack_bytes = 32;
#else
constexpr std::size_t pack_bytes = 16;
#endif
constexpr std::size_t lanes = pack_bytes / sizeof(Real);

// Whether a * b + c is rounded once.
#if defined(__FMA__) || defined(__aarch64__)
constexpr bool fused = true;
#else
constexpr bool fused = false;
#endif

// Whether there are half packs, and packs of float in addition to those of double.
#if SECANT_VECTORS && defined(__AVX__)
constexpr bool half_packs = true, narrow_packs = !is_single;
#else
constexpr bool half_packs = false, narrow_packs = false;
#endif

// ---- types

#if SECANT_VECTORS
template <class T, std::size_t bytes>
struct VectorOf {
    using Type __attribute__((vector_size(bytes))) = T;
};
#else
template <class T, std::size_t>
struct VectorOf {
    using Type = T;
};
#endif
using Pack = VectorOf<Real, pack_bytes>::Type;
using Bits = VectorOf<RealBits, pack_bytes>::Type;
using HalfPack = VectorOf<Real, half_packs ? pack_bytes / 2 : pack_bytes>::Type;
// Packs of float with as many bytes as a pack has, so twice as many lanes as one of
// double; and with half of that.
using FloatPack = VectorOf<float, pack_bytes>::Type;
using HalfFloatPack = VectorOf<float, pack_bytes / 2>::Type;

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

// ---- operations

#if SECANT_VECTORS
inline Real lane(const Pack& p, std::size_t i) { return p[i]; }
#else
inline Real lane(Pack p, std::size_t) { return p; }
#endif

// a * b + c, rounded once if the processor can. The compiler must not fuse by itself
// (-ffp-contract=off): it might do so in one inlined copy of a function and not in
// another, and results would depend on which one ran.
inline double fma(double a, double b, double c) {
    return fused ? std::fma(a, b, c) : a * b + c;
}
inline float fma(float a, float b, float c) {
    return fused ? std::fma(a, b, c) : a * b + c;
}

#if SECANT_VECTORS
template <class P>
P fma(P a, P b, P c) {
    [[maybe_unused]] constexpr bool single = std::is_same_v<Element<P>, float>;
#if defined(__FMA__)
    if constexpr (sizeof(P) == 64) {
        if constexpr (single)
            return _mm512_fmadd_ps(a, b, c);
        else
            return _mm512_fmadd_pd(a, b, c);
    } else if constexpr (sizeof(P) == 32) {
        if constexpr (single)
            return _mm256_fmadd_ps(a, b, c);
        else
            return _mm256_fmadd_pd(a, b, c);
    } else {
        if constexpr (single)
            return _mm_fmadd_ps(a, b, c);
        else
            return _mm_fmadd_pd(a, b, c);
    }
#elif defined(__aarch64__)
    if constexpr (single)
        return vfmaq_f32(c, a, b);
    else
        return vfmaq_f64(c, a, b);
#else
    return a * b + c;
#endif
}
#endif

// For a pack that is used more than once: GCC would load it again for each use, and
// loads are the bottleneck.
template <class P>
P in_register(P p) {
#if SECANT_VECTORS && defined(__x86_64__)
    asm("" : "+v"(p));
#endif
    return p;
}

// The first `count` lanes from memory, fewer than all, and no more; the others are
// `rest`.
template <class P>
P load_some(const Real* from, std::size_t count, Real rest) {
    P p = rest - P{};
#if SECANT_AVX512
    const auto some = (1u << count) - 1;
    if constexpr (is_single && sizeof(P) == 64)
        return _mm512_mask_loadu_ps(p, static_cast<__mmask16>(some), from);
    else if constexpr (is_single)
        return _mm256_mask_loadu_ps(p, static_cast<__mmask8>(some), from);
    else if constexpr (sizeof(P) == 64)
        return _mm512_mask_loadu_pd(p, static_cast<__mmask8>(some), from);
    else
        return _mm256_mask_loadu_pd(p, static_cast<__mmask8>(some), from);
#else
    if constexpr (sizeof(P) > sizeof(Real)) std::memcpy(&p, from, count * sizeof(Real));
    return p;
#endif
}

template <class P>
void store_some(Real* to, P p, std::size_t count) {
#if SECANT_AVX512
    const auto some = (1u << count) - 1;
    if constexpr (is_single)
        _mm512_mask_storeu_ps(to, static_cast<__mmask16>(some), p);
    else
        _mm512_mask_storeu_pd(to, static_cast<__mmask8>(some), p);
#else
    if constexpr (sizeof(P) > sizeof(Real)) std::memcpy(to, &p, count * sizeof(Real));
#endif
}

// The larger of the two, lane by lane; b where either is NaN.
template <class P>
P maximum(P a, P b) {
#if SECANT_AVX512
    if constexpr (is_single)
        return _mm512_max_ps(a, b);
    else
        return _mm512_max_pd(a, b);
#else
    return a > b ? a : b;
#endif
}

// 2^k for an integer k that is the exponent of a normal number.
inline Pack power_of_two(Pack k) {
    return std::bit_cast<Pack>(
        (std::bit_cast<Bits>(k + format::to_integer) + format::exponent_bias)
        << format::fraction_bits);
}

// x 2^k for an integer k. 2^k itself may be subnormal or overflow.
template <class P>
P times_power_of_two(P x, P k) {
#if SECANT_AVX512
    if constexpr (is_single)
        return _mm512_scalef_ps(x, k);
    else
        return _mm512_scalef_pd(x, k);
#else
    const P half = (k * Real{0.5} + format::to_integer) - format::to_integer;
    return x * power_of_two(half) * power_of_two(k - half);
#endif
}

// 1 / x for x from 1 to 2. With AVX-512 it needs no division, but has only 28 bits, or
// 14 of float: `sigmoid` corrects that.
template <class P>
P rough_reciprocal(P x) {
#if SECANT_AVX512
    if constexpr (is_single) {
        return _mm512_rcp14_ps(x);
    } else {
        const P rough = _mm512_rcp14_pd(x);
        return fma(rough, fma(-rough, x, 1 - P{}), rough);
    }
#else
    return 1 / x;
#endif
}

// The lanes I of a, followed by b.
template <std::size_t... I>
Pack shuffled(Pack a, [[maybe_unused]] Pack b) {
#if !SECANT_VECTORS
    return a;
#elif defined(__clang__)
    return __builtin_shufflevector(a, b, I...);
#else
    return __builtin_shuffle(a, b, Bits{I...});
#endif
}

// Lanes as numbers of another type.
template <class To, class From>
To converted(From p) {
#if SECANT_VECTORS
    return __builtin_convertvector(p, To);
#else
    return static_cast<To>(p);
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
    for (std::size_t i = 0; i < size + line - 1; i += line)
        __builtin_prefetch(at + i, 0, 2);
#endif
}

// find_nonzeros may write this many values and pairs more than it finds.
constexpr std::size_t nonzeros_room = 16;

// Those of x(size,), size <= 256, that are not zero: their values, and for each a pair
// of bytes, its column and the index of its value. Returns how many there are.
template <class X, class Pair, class Value>
std::size_t find_nonzeros(const X* x, std::size_t size, Pair* pairs, Value* values) {
    static_assert(sizeof(Pair) == 2);
    std::size_t count = 0;
#if SECANT_AVX512
    const __m512i numbers =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (std::size_t first = 0; first < size; first += 16) {
        const auto some =
            static_cast<__mmask16>((1u << std::min<std::size_t>(16, size - first)) - 1);
        __mmask16 found;
        if constexpr (std::is_same_v<X, double>) {
            const auto part = [&](std::size_t i) {
                return static_cast<__mmask8>(some >> i);
            };
            __m512d low, high;
            low = _mm512_maskz_loadu_pd(part(0), x + first);
            high = _mm512_maskz_loadu_pd(part(8), x + first + 8);
            const __mmask8 found_low =
                _mm512_cmp_pd_mask(low, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            const __mmask8 found_high =
                _mm512_cmp_pd_mask(high, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            found = static_cast<__mmask16>(found_low | (found_high << 8));
            if (found == 0) continue;
            _mm512_storeu_pd(values + count, _mm512_maskz_compress_pd(found_low, low));
            const int before = std::popcount(static_cast<unsigned>(found_low));
            _mm512_storeu_pd(values + count + before,
                             _mm512_maskz_compress_pd(found_high, high));
        } else {
            __m512 v;
            if constexpr (std::is_same_v<X, float>)
                v = _mm512_maskz_loadu_ps(some, x + first);
            else
                v = _mm512_cvtepi32_ps(
                    _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(some, x + first)));
            found = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
            if (found == 0) continue;
            v = _mm512_maskz_compress_ps(found, v);
            if constexpr (std::is_same_v<Value, float>) {
                _mm512_storeu_ps(values + count, v);
            } else {
                _mm512_storeu_pd(values + count,
                                 _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
                _mm512_storeu_pd(values + count + 8,
                                 _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
            }
        }
        const __m512i columns =
            _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), numbers);
        const __m512i indices =
            _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(count)), numbers);
        const __m512i both = _mm512_or_epi32(
            _mm512_maskz_compress_epi32(found, columns), _mm512_slli_epi32(indices, 8));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs + count),
                            _mm512_cvtepi32_epi16(both));
        count += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(found)));
    }
#else
    for (std::size_t i = 0; i < size;
         ++i) {  // writes first, then decides whether to keep it: no branch
        pairs[count] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(count)};
        values[count] = static_cast<Value>(x[i]);
        count += x[i] != 0;
    }
#endif
    return count;
}

}  // namespace secant::SECANT_ISA
