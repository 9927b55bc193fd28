// Non-owning views of the caller's arrays, and the table of kernels. Plain data, shared by all instruction sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "secant/simd/inline.hpp"

namespace secant {

template <class T>
struct View {
    T* data;
    std::size_t rows;
    std::size_t cols;

    SECANT_INLINE T* row(std::size_t n) const { return data + n * cols; }
};

using ConstMatrix = View<const double>;
using Matrix = View<double>;

// An input that is not zero: its column, counted from the first of its block, and the index of its value in a table.
struct Entry {
    std::uint8_t column, value;
};

// Rows of inputs are cut into blocks of so many columns: the weights from them stay in the L1 cache.
constexpr std::size_t block_columns = 112;
SECANT_INLINE constexpr std::size_t blocks_of(std::size_t columns) { return ceil_of(columns, block_columns); }

// Inputs that are mostly zero, and elsewhere have one of 256 values, as images do.
struct IndexedRows {
    const Entry* entries;
    const std::size_t* starts;  // (N+1,) of each row in `entries`
    const std::uint32_t* ends;  // (N, blocks) of each block, counted from the start of its row
    const double* values;       // (256,)
    const double* largest;      // (N,) max |x| of each row
};

// The inputs x(N,I), in the type they came in: pixels are widened exactly, one row at a time.
struct Inputs {
    enum class Type { uint8, float32, float64, indexed };
    Type type;
    const void* data;  // (N,I) of that type; null where they are indexed
    std::size_t rows;
    std::size_t cols;
    IndexedRows indexed;

    SECANT_INLINE static std::size_t element_size(Type type) {
        return type == Type::uint8 ? 1 : type == Type::float32 ? 4 : 8;
    }
};

// The targets of N samples: class labels (N,), or weights (N,O), one-hot or soft. Exactly one pointer is set.
struct Targets {
    const std::int64_t* labels;
    const double* weights;

    // Those of sample n and all after it.
    SECANT_INLINE Targets from(std::size_t n, std::size_t classes) const {
        return labels ? Targets{labels + n, nullptr} : Targets{nullptr, weights + n * classes};
    }
};

// The parameters of a network I-H-O: w1(I,H), b1(H,), w2(H,O), b2(O,).
struct Network {
    ConstMatrix w1;
    const double* b1;
    ConstMatrix w2;
    const double* b2;
    bool sigmoid_output;

    SECANT_INLINE std::size_t inputs() const { return w1.rows; }
    SECANT_INLINE std::size_t hidden() const { return w1.cols; }
    SECANT_INLINE std::size_t outputs() const { return w2.cols; }
};

// A mini-batch: rows `rows[0..size)` of x and t, or the first `size` where `rows` is null.
struct Batch {
    Inputs x;
    Targets t;
    const std::int64_t* rows;
    std::size_t size;

    SECANT_INLINE std::size_t row(std::size_t n) const { return rows ? static_cast<std::size_t>(rows[n]) : n; }
};

// Arrays in the shapes of the parameters: a gradient, or the parameters themselves where they are updated.
struct Gradient {
    Matrix w1;
    double* b1;
    Matrix w2;
    double* b2;
};

// A call for the outputs y(N,O). `interrupted` is asked between slices of a long call; true means stop, and y is thrown away.
struct PredictCall {
    Network net;
    Inputs x;
    Matrix y;
    int threads;
    bool (*interrupted)();
};

// What a gradient was computed by.
struct GradientReport {
    std::size_t samples[10];  // how many had a series of this order; at 0, how many were evaluated directly
    double truncation_bound;  // the largest of them; that of the derivative, order 1, is not counted
};

// A call for a gradient. `interrupted` is asked between slices of a long call; true means stop, and what was written by
// then is thrown away. The result of `series` is thrown away too where the report counts a sample without a series. Where x,
// a parameter or a component of the gradient is not finite, the gradient of b2 is NaN.
struct GradientCall {
    enum class Method { derivative, series, automatic, direct };
    Network net;
    Batch batch;
    Method method;
    double h;
    Gradient out;
    double step;  // of a training: what the gradient is multiplied by before it is added to `out`
    GradientReport* report;
    int threads;
    bool (*interrupted)();
};

// Gradient descent: as `gradient`, once for each row of indices(iterations,batch), with `out` the parameters of `net`.
// losses(iterations,) are those of each batch after its update. Stops early at a loss that is not finite.
struct TrainingCall {
    GradientCall gradient;
    const std::int64_t* indices;
    std::size_t iterations;
    double* losses;
    std::size_t* done;  // how many iterations were completed
};

// The engines of one instruction set. Those that need scratch memory return how many bytes, and with a null block do
// nothing else.
struct Kernels {
    const char* isa;
    bool (*all_finite)(const Inputs& x, int threads) noexcept;
    void (*sigmoid)(const double* x, double* out, std::size_t size, int threads) noexcept;
    void (*softmax)(ConstMatrix x, Matrix out, int threads) noexcept;
    double (*cross_entropy)(ConstMatrix y, const Targets& t, int threads) noexcept;
    std::size_t (*predict)(const PredictCall& call, void* block) noexcept;
    std::size_t (*gradient)(const GradientCall& call, void* block) noexcept;
    std::size_t (*train)(const TrainingCall& call, void* block) noexcept;
};

}  // namespace secant
