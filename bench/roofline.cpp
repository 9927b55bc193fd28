// What one core can do: each function repeats one operation, on vectors of 32 or of 64 bytes. roofline.py times them.
//
// The sparse operations are those of a layer of H units: for each non-zero input x of a sample, a row of H weights is
// gathered (forward pass), or read, modified and written (gradient). Rows are padded to whole vectors. Inputs are taken in
// blocks, within which the weights stay in the L1 cache.
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t H = 50;

template <int Bytes, class Value = double>
struct Pack {
    typedef Value type __attribute__((vector_size(Bytes), aligned(Bytes)));
    static constexpr std::size_t lanes = Bytes / sizeof(Value);
    static constexpr std::size_t row = (H + lanes - 1) / lanes;  // packs
};

template <class Value>
void keep(Value& value) {
    asm volatile("" : "+m"(value) : : "memory");
}

struct Sparse {  // the inputs of N samples, of one block after the other
    std::size_t samples, blocks;
    const std::int64_t* starts;   // (blocks N + 1,)
    const std::int32_t* columns;  // (non-zeros,)
    const double* values;         // (non-zeros,)
    double* weights;              // I padded rows
    double* coefficients;         // 2 N padded rows
};

// 12 chains of a b + c, `count` times. Flops: 2 * 12 * lanes * count.
template <int Bytes, class Value>
void fma(std::size_t count) {
    typename Pack<Bytes, Value>::type chain[12] = {}, a = {}, c = {};
    keep(a), keep(c);
    for (std::size_t i = 0; i < count; ++i) {
#pragma GCC unroll 12
        for (auto& value : chain) value = value * a + c;
    }
    keep(chain);
}

// The sum of an array, whole, `count` times.
template <int Bytes>
void read(std::size_t count, const double* array, std::size_t size) {
    using P = typename Pack<Bytes>::type;
    P sums[8] = {};
    for (std::size_t i = 0; i < count; ++i) {
        auto* p = reinterpret_cast<const P*>(array);
        for (auto* end = p + size / Pack<Bytes>::lanes; p < end; p += 8) {
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j) sums[j] += p[j];
        }
        keep(sums);
    }
}

// out(N,H) += x w.  One multiply-add a pack and non-zero, sums in registers.
template <int Bytes>
void gather(const Sparse& x) {
    using P = typename Pack<Bytes>::type;
    constexpr std::size_t row = Pack<Bytes>::row;
    auto* weights = reinterpret_cast<const P*>(x.weights);
    for (std::size_t task = 0; task < x.blocks * x.samples; ++task) {
        P* out = reinterpret_cast<P*>(x.coefficients) + task % x.samples * row;
        P sums[row];
        for (std::size_t j = 0; j < row; ++j) sums[j] = out[j];
        for (auto i = x.starts[task]; i < x.starts[task + 1]; ++i) {
            const P* w = weights + static_cast<std::size_t>(x.columns[i]) * row;
#pragma GCC unroll 16
            for (std::size_t j = 0; j < row; ++j) sums[j] += x.values[i] * w[j];
        }
        for (std::size_t j = 0; j < row; ++j) out[j] = sums[j];
    }
}

// w(I,H) += x^T c of `Orders` coefficients: c1, or c1 + x^2 c3.
template <int Bytes, int Orders>
void modify(const Sparse& x) {
    using P = typename Pack<Bytes>::type;
    constexpr std::size_t row = Pack<Bytes>::row;
    auto* weights = reinterpret_cast<P*>(x.weights);
    for (std::size_t task = 0; task < x.blocks * x.samples; ++task) {
        P c[Orders][row];
        for (int order = 0; order < Orders; ++order)
            for (std::size_t j = 0; j < row; ++j)
                c[order][j] = reinterpret_cast<const P*>(x.coefficients)[(task % x.samples * 2 + order) * row + j];
        for (auto i = x.starts[task]; i < x.starts[task + 1]; ++i) {
            P* w = weights + static_cast<std::size_t>(x.columns[i]) * row;
            const double value = x.values[i], cube = value * value * value;
#pragma GCC unroll 16
            for (std::size_t j = 0; j < row; ++j) {
                P sum = w[j] + value * c[0][j];
                if constexpr (Orders == 2) sum += cube * c[1][j];
                w[j] = sum;
            }
        }
    }
}

// 13 multiply-adds and a division for each element: about an exp or a sigmoid.
template <int Bytes>
void elementary(std::size_t count, double* array, std::size_t size) {
    using P = typename Pack<Bytes>::type;
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < size / Pack<Bytes>::lanes; j += 2) {
            P* p = reinterpret_cast<P*>(array) + j;
            P x[2] = {p[0], p[1]}, y[2] = {1 + x[0], 1 + x[1]};
#pragma GCC unroll 13
            for (int term = 0; term < 13; ++term) {
                y[0] = y[0] * x[0] + 1;
                y[1] = y[1] * x[1] + 1;
            }
            p[0] = 1 / y[0], p[1] = 1 / y[1];
        }
    }
}

}  // namespace

#define SPARSE                                                                                                 \
    std::size_t n, std::size_t blocks, const std::int64_t *starts, const std::int32_t *columns,                \
        const double *values, double *w, double *c
#define DEFINE(BYTES)                                                                                          \
    void fma_##BYTES(std::size_t count) { fma<BYTES, double>(count); }                                         \
    void fma_single_##BYTES(std::size_t count) { fma<BYTES, float>(count); }                                   \
    void read_##BYTES(std::size_t count, const double* a, std::size_t size) { read<BYTES>(count, a, size); }   \
    void gather_##BYTES(SPARSE) { gather<BYTES>({n, blocks, starts, columns, values, w, c}); }                         \
    void modify1_##BYTES(SPARSE) { modify<BYTES, 1>({n, blocks, starts, columns, values, w, c}); }                     \
    void modify2_##BYTES(SPARSE) { modify<BYTES, 2>({n, blocks, starts, columns, values, w, c}); }                     \
    void elementary_##BYTES(std::size_t count, double* a, std::size_t size) { elementary<BYTES>(count, a, size); }

extern "C" {
DEFINE(32)
DEFINE(64)

// A chain of additions, each of which waits for the one before: one cycle each.
void cycles(std::size_t count) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < 16; ++j) asm volatile("add $1, %0" : "+r"(sum));
    }
}
}
