// A pack of doubles, one per SIMD lane, on GNU vector types: they stay in registers where arrays under `omp simd` spill.
// Without GNU vectors a pack is one double, and everything below is still right.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

// out[i] = function(x[i]), a pack at a time.
template <class Function>
void map(const double* x, double* out, std::size_t size, Function function) {
    std::size_t i = 0;
    for (; i + lanes <= size; i += lanes) store(out + i, function(load(x + i)));
    if (i < size) store_part(out + i, function(load_part(x + i, size - i)), size - i);
}

}  // namespace secant::SECANT_ISA
