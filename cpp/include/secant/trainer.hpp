// Stochastic gradient descent: many mini-batches in one call.
#pragma once

#include <cmath>

#include "gradients.hpp"

namespace secant::SECANT_ISA {

inline std::size_t train(const TrainingCall& call, void* memory) noexcept {
    GradientCall gradient = call.gradient;
    for (std::size_t i = 0; i < call.iterations; ++i) {
        gradient.batch.rows = call.indices + i * gradient.batch.size;
        Workspace work(memory);
        const GradientEngine engine(work, gradient, block_rows(gradient));
        if (work.counting()) return work.bytes();
        if (!engine.run()) break;
        call.losses[i] = engine.loss();
        *call.done = i + 1;
        if (!std::isfinite(call.losses[i])) break;
    }
    return 0;
}

}  // namespace secant::SECANT_ISA
