// A pack of doubles, one per SIMD lane, on GNU vector types: they stay in registers where arrays under `omp simd` spill.
// Without GNU vectors a pack is one double, and everything below is still right.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace secant::SECANT_ISA {

#if !defined(__GNUC__) || defined(SECANT_SCALAR)
constexpr std::size_t lanes = 1;
using Pack = double;
using Bits = std::uint64_t;
inline double lane(Pack p, std::size_t) { return p; }
#else
#if defined(__AVX512F__)
constexpr std::size_t lanes = 8;
#elif defined(__AVX__)
constexpr std::size_t lanes = 4;
#else
constexpr std::size_t lanes = 2;
#endif
using Pack __attribute__((vector_size(8 * lanes))) = double;
using Bits __attribute__((vector_size(8 * lanes))) = std::uint64_t;
inline double lane(const Pack& p, std::size_t i) { return p[i]; }
#endif

// Whether a * b + c is rounded once.
#if defined(__FMA__) || defined(__aarch64__)
constexpr bool fused = true;
#else
constexpr bool fused = false;
#endif

// x - 0 is x for every x, -0.0 and NaN included: the compiler sees a broadcast and no subtraction.
inline Pack broadcast(double x) { return x - Pack{}; }

inline Pack load(const double* from) {
    Pack p;
    std::memcpy(&p, from, sizeof p);
    return p;
}

inline void store(double* to, Pack p) { std::memcpy(to, &p, sizeof p); }

// The first `count` lanes; the others are `rest`. Never touches memory past them.
inline Pack load_part(const double* from, std::size_t count, double rest = 0.0) {
    if (count == lanes) return load(from);
    Pack p = broadcast(rest);
    std::memcpy(&p, from, count * sizeof(double));
    return p;
}

inline void store_part(double* to, Pack p, std::size_t count) {
    if (count == lanes) return store(to, p);
    std::memcpy(to, &p, count * sizeof(double));
}

constexpr std::size_t pad(std::size_t n) { return (n + lanes - 1) / lanes * lanes; }

// The lanes of x in double, exactly.
template <class X>
Pack widen(const X* x) {
    double v[lanes];
    for (std::size_t l = 0; l < lanes; ++l) v[l] = static_cast<double>(x[l]);
    return load(v);
}

// Appends the lanes of v that are not zero to `values`, and their numbers, counted from `first`, to `columns`. Returns how
// many; up to a pack more may be written behind them.
inline std::size_t append_nonzeros(Pack v, std::uint32_t first, std::uint32_t* columns, double* values) {
#if defined(__AVX512F__) && !defined(SECANT_SCALAR)
    const __mmask8 mask = _mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
    const __m256i numbers = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    store(values, _mm512_maskz_compress_pd(mask, v));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(columns), _mm256_maskz_compress_epi32(mask, numbers));
    return static_cast<std::size_t>(std::popcount(static_cast<unsigned>(mask)));
#else
    std::size_t count = 0;
    for (std::size_t l = 0; l < lanes; ++l) {  // writes first and decides later: no branch to mispredict
        columns[count] = first + static_cast<std::uint32_t>(l);
        values[count] = lane(v, l);
        count += lane(v, l) != 0.0;
    }
    return count;
#endif
}

// out[i] = function(x[i]), a pack at a time.
template <class Function>
void map(const double* x, double* out, std::size_t size, Function function) {
    std::size_t i = 0;
    for (; i + lanes <= size; i += lanes) store(out + i, function(load(x + i)));
    if (i < size) store_part(out + i, function(load_part(x + i, size - i)), size - i);
}

}  // namespace secant::SECANT_ISA
