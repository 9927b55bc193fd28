// Non-owning views of the caller's arrays, and the table of kernels. Plain data, shared
// by all instruction sets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "secant/interface/constants.hpp"
#include "secant/base/inline.hpp"
#ifdef SECANT_ISA
#include "secant/simd/real.hpp"
#endif

namespace secant {

template <class T>
struct View {
    T* data;
    std::size_t rows;
    std::size_t cols;

    SECANT_INLINE T* row(std::size_t n) const { return data + n * cols; }
};

// An input that is not zero: its column within its block, and the index of its value in
// a table.
struct Entry {
    std::uint8_t column, value;
};

// Rows of inputs are cut into blocks of this many columns: their weights stay in the L1
// cache.
constexpr std::size_t block_columns = 112;
static_assert(block_columns % 16 == 0 && block_columns <= 256 && sizeof(Entry) == 2,
              "find_nonzeros relies on it");
SECANT_INLINE constexpr std::size_t blocks_of(std::size_t columns) {
    return ceil_of(columns, block_columns);
}

// Inputs that are mostly zero and have at most 256 different values, such as images.
struct IndexedRows {
    const Entry* entries;
    const std::size_t* starts;  // (N+1,) where each row begins in `entries`
    const std::uint32_t*
        ends;  // (N, blocks) where each block ends, counted from the start of its row
    const double* values;        // (256,)
    const float* single_values;  // (256,) the same, rounded
    const double* largest;       // (N,) max |x| of each row

    template <class Real>
    SECANT_INLINE const Real* table() const {
        if constexpr (std::is_same_v<Real, float>)
            return single_values;
        else
            return values;
    }
};

// The inputs x(N,I), in the caller's type. They are converted one row at a time, and
// exactly: engines for float take no float64. Only indexed values are rounded to float.
struct Inputs {
    enum class Type { uint8, float32, float64, indexed };
    Type type;
    const void* data;  // (N,I) of that type; null if indexed
    std::size_t rows;
    std::size_t cols;
    IndexedRows indexed;

    // read(data) of the type that they have, unless indexed.
    template <class Read>
    SECANT_INLINE auto with_data(const Read& read) const {
        switch (type) {
            case Type::uint8:
                return read(static_cast<const std::uint8_t*>(data));
            case Type::float32:
                return read(static_cast<const float*>(data));
            default:
                return read(static_cast<const double*>(data));
        }
    }
};

// The targets of N samples: class labels (N,), or weights (N,O), one-hot or soft. The
// other pointer is null. Labels index arrays: they are a copy of the caller's, which
// another thread may write to. Weights may be anything at any time.
struct Targets {
    const std::int64_t* labels;
    const double* weights;

    // How many targets a sample has at most, of so many classes.
    SECANT_INLINE std::size_t most(std::size_t classes) const {
        return labels ? 1 : classes;
    }
};

// The parameters of a network I-H-O: w1(I,H), b1(H,), w2(H,O), b2(O,). Its loss has the
// logarithm of y + log_offset.
template <class Real>
struct NetworkOf {
    View<const Real> w1;
    const Real* b1;
    View<const Real> w2;
    const Real* b2;
    std::size_t hidden_activation;  // the number of a name in Kernels::activations
    bool sigmoid_output;
    double log_offset;

    SECANT_INLINE std::size_t inputs() const { return w1.rows; }
    SECANT_INLINE std::size_t hidden() const { return w1.cols; }
    SECANT_INLINE std::size_t outputs() const { return w2.cols; }
    // The forward pass of a sample takes so many.
    SECANT_INLINE std::size_t multiplications() const {
        return hidden() * (inputs() + outputs());
    }
};

// A mini-batch: the samples `indices[0..size)` of x and t, or the first `size` if
// `indices` is null.
struct Batch {
    Inputs x;
    Targets t;
    const std::int64_t* indices;  // a copy, like labels
    std::size_t size;

    SECANT_INLINE std::size_t sample(std::size_t n) const {
        return indices ? static_cast<std::size_t>(indices[n]) : n;
    }
};

// Arrays in the shapes of the parameters: a gradient, or the parameters to be updated.
template <class Real>
struct GradientOf {
    View<Real> w1;
    Real* b1;
    View<Real> w2;
    Real* b2;
};

// Compute the outputs y(N,O). `interrupted` is polled during a long call; true means
// stop: y is then incomplete. `finite` becomes whether x, the parameters, the
// pre-activations and y are.
template <class Real>
struct PredictCallOf {
    NetworkOf<Real> net;
    Inputs x;
    View<Real> y;
    int threads;
    bool (*interrupted)();
    bool* finite;
};

// How a gradient was computed.
struct GradientReport {
    // How many samples had a series of each order; at 0: how many were evaluated
    // directly.
    std::size_t samples[Limits<double>::highest_order + 1];
    double
        truncation_bound;  // the largest of any sample; 0 for the derivative (order 1)
    double loss;           // of the batch; if it is not wanted, at least as much
    bool valid;  // whether x and the parameters are finite, and weights of targets also
                 // not negative
    bool finite;  // whether they are valid, no pre-activation was too large and the
                  // gradient is finite
};

enum class GradientMethod { derivative, series, automatic, direct };
constexpr const char* gradient_methods[] = {"derivative", "series", "auto", "direct",
                                            nullptr};
// About how many forward passes the direct method takes for each output.
constexpr std::size_t passes_an_output = 3;

// Compute a gradient. `interrupted` is polled during a long call; true means stop: the
// result is then incomplete. So is that of the method `series` if the report counts a
// sample at order 0.
template <class Real>
struct GradientCallOf {
    NetworkOf<Real> net;
    Batch batch;
    GradientMethod method;
    double h;
    GradientOf<Real> out;
    double step;  // in training: the gradient times this is added to `out`
    GradientReport* report;
    int threads;
    bool (*interrupted)();
    bool with_loss =
        true;  // whether it is wanted: many targets need as many logarithms
};

// Gradient descent: `gradient` once for each row of indices(iterations,batch); its
// `out` are the parameters of its `net`. losses(iterations,): of each batch, before or
// after its update; NaN where a pre-activation is too large. Stops early if it is
// interrupted, a loss is not finite, or x or t is not valid. In the report `loss` and
// `finite` are not written.
template <class Real>
struct TrainingCallOf {
    GradientCallOf<Real> gradient;
    const std::int64_t* indices;
    std::size_t iterations;
    double* losses;
    bool before;
    std::size_t* done;  // completed iterations
};

// Compute out(end - begin,): difference quotients of f at x(size,), of the coordinates
// begin to end - 1. `interrupted` is polled between coordinates; true means stop: the
// result is then incomplete.
struct DifferenceCall {
    enum class Scheme { central, forward, five_point };
    static constexpr const char* schemes[] = {"central", "forward", "five-point",
                                              nullptr};
    double (*f)(const double* x, std::intptr_t n, void* data);
    void* data;
    const double* x;
    std::size_t size;
    std::size_t begin, end;
    Scheme scheme;
    double h;
    double* out;
    int threads;
    bool (*interrupted)();
};

// The engines of one instruction set, for networks of float or double. They take a
// block of scratch memory and return the bytes they need; if it is null they do nothing
// else. A gradient needs room for the highest order that a series may have: with many
// classes that is two and a half times what orders 1 and 3 touch (784-50-100,000: 0.8
// and 0.3 GB).
template <class Real>
struct EnginesOf {
    std::size_t (*predict)(const PredictCallOf<Real>& call, void* block) noexcept;
    std::size_t (*gradient)(const GradientCallOf<Real>& call, void* block) noexcept;
    std::size_t (*train)(const TrainingCallOf<Real>& call, void* block) noexcept;
};

// The kernels that exist for double only, and the engines for double.
struct Kernels {
    const char* isa;
    const char* const* activations;  // names; null at the end
    bool (*all_finite)(const Inputs& x, int threads) noexcept;
    void (*sigmoid)(const double* x, double* out, std::size_t size,
                    int threads) noexcept;
    void (*softmax)(View<const double> x, View<double> out, int threads) noexcept;
    double (*cross_entropy)(View<const double> y, const Targets& t, double log_offset,
                            int threads) noexcept;
    std::size_t (*difference)(const DifferenceCall& call, void* block) noexcept;
    EnginesOf<double> engines;
};

#ifdef SECANT_ISA
namespace SECANT_ISA {

// The same for the type that is compiled for.
using ConstMatrix = View<const Real>;
using Matrix = View<Real>;
using Network = NetworkOf<Real>;
using Gradient = GradientOf<Real>;
using PredictCall = PredictCallOf<Real>;
using GradientCall = GradientCallOf<Real>;
using TrainingCall = TrainingCallOf<Real>;

}  // namespace SECANT_ISA
#endif

}  // namespace secant
