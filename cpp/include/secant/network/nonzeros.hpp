// Finding the inputs that are not zero.
#pragma once

#include <algorithm>
#include <type_traits>

#include "secant/interface/kernels.hpp"
#include "secant/simd/packs.hpp"

namespace secant::SECANT_ISA {

// This many values and entries more than are found may be written after them.
constexpr std::size_t nonzeros_room = 16;

// The inputs of x(size,) that are not zero, size <= block_columns: their values, and for each an entry with its column
// and the index of its value. Returns how many there are.
template <class X, class Value>
std::size_t find_nonzeros(const X* x, std::size_t size, Entry* entries, Value* values) {
    std::size_t count = 0;
#if defined(__AVX512F__) && SECANT_VECTORS
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (std::size_t first = 0; first < size; first += 16) {
        const auto some = static_cast<__mmask16>((1u << std::min<std::size_t>(16, size - first)) - 1);
        __mmask16 found;
        if constexpr (std::is_same_v<X, double>) {
            const auto part = [&](std::size_t i) { return static_cast<__mmask8>(some >> i); };
            __m512d low, high;
            low = _mm512_maskz_loadu_pd(part(0), x + first);
            high = _mm512_maskz_loadu_pd(part(8), x + first + 8);
            const __mmask8 found_low = _mm512_cmp_pd_mask(low, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            const __mmask8 found_high = _mm512_cmp_pd_mask(high, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            found = static_cast<__mmask16>(found_low | (found_high << 8));
            if (found == 0) continue;
            store(values + count, _mm512_maskz_compress_pd(found_low, low));
            const int before = std::popcount(static_cast<unsigned>(found_low));
            store(values + count + before, _mm512_maskz_compress_pd(found_high, high));
        } else {
            __m512 v;
            if constexpr (std::is_same_v<X, float>)
                v = _mm512_maskz_loadu_ps(some, x + first);
            else
                v = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(some, x + first)));
            found = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
            if (found == 0) continue;
            v = _mm512_maskz_compress_ps(found, v);
            if constexpr (std::is_same_v<Value, float>) {
                store(values + count, v);
            } else {
                store(values + count, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
                store(values + count + 8, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
            }
        }
        const __m512i columns = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), numbers);
        const __m512i indices = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(count)), numbers);
        const __m512i both = _mm512_or_epi32(_mm512_maskz_compress_epi32(found, columns), _mm512_slli_epi32(indices, 8));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(entries + count), _mm512_cvtepi32_epi16(both));
        count += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(found)));
    }
#else
    for (std::size_t i = 0; i < size; ++i) {  // writes first, then decides whether to keep it: no branch
        entries[count] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(count)};
        values[count] = static_cast<Value>(x[i]);
        count += x[i] != 0;
    }
#endif
    return count;
}

}  // namespace secant::SECANT_ISA
