// The engines of one instruction set: compiled for each, once for networks of double
// and, with SECANT_SINGLE, once for networks of float. SECANT_ISA names the namespace.
#include <atomic>

#include "secant/differences/pointwise.hpp"
#include "secant/training/trainer.hpp"

namespace secant::SECANT_ISA {

#ifdef SECANT_SINGLE

extern const EnginesOf<float> engines;
const EnginesOf<float> engines{predict, gradient, train};

#else

namespace {

constexpr std::size_t chunk = 8192;  // elements a task: 64 KB

bool all_finite(const Inputs& x, int threads) noexcept {
    if (x.type == Inputs::Type::uint8) return true;
    const std::size_t size = x.rows * x.cols;
    std::atomic<bool> finite{true};
    x.with_data([&](const auto* data) {
        parallel_for(ceil_of(size, chunk), threads, [&](std::size_t task) {
            const std::size_t end = std::min(size, (task + 1) * chunk);
            auto sum = zero_or_nan(data[0]);
#if defined(_OPENMP) && _OPENMP >= 201307  // MSVC has OpenMP 2
#pragma omp simd reduction(+ : sum)
#endif
            for (std::size_t i = task * chunk; i < end; ++i)
                sum += zero_or_nan(data[i]);
            if (!(sum == 0)) finite.store(false, std::memory_order_relaxed);
        });
    });
    return finite;
}

void sigmoid_array(const double* x, double* out, std::size_t size,
                   int threads) noexcept {
    parallel_for(ceil_of(size, chunk), threads, [&](std::size_t task) {
        const std::size_t first = task * chunk;
        map(x + first, out + first, std::min(chunk, size - first),
            [](Pack a) { return sigmoid(a).z; });
    });
}

void softmax_array(ConstMatrix x, Matrix out, int threads) noexcept {
    const std::size_t rows_a_task = chunk / std::max<std::size_t>(x.cols, 1) + 1;
    parallel_for(ceil_of(x.rows, rows_a_task), threads, [&](std::size_t task) {
        const std::size_t first = task * rows_a_task,
                          count = std::min(rows_a_task, x.rows - first);
        softmax(ConstMatrix{x.row(first), count, x.cols},
                Matrix{out.row(first), count, x.cols});
    });
}

}  // namespace

#define SECANT_TEXT_(name) #name
#define SECANT_TEXT(name) SECANT_TEXT_(name)

extern const Kernels kernels;
const Kernels kernels{SECANT_TEXT(SECANT_ISA),
                      Activations::names,
                      all_finite,
                      sigmoid_array,
                      softmax_array,
                      cross_entropy,
                      difference,
                      {predict, gradient, train}};

#endif

}  // namespace secant::SECANT_ISA
