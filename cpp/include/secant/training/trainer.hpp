// Stochastic gradient descent: many mini-batches in one call.
#pragma once

#include <cmath>

#include "secant/training/gradients.hpp"

namespace secant::SECANT_ISA {

inline std::size_t train(const TrainingCall& call, void* memory) noexcept {
    const GradientCall& gradient = call.gradient;
    Workspace work(memory);
    GradientEngine engine(work, gradient, block_capacity(gradient), true);
    if (work.counting()) return work.bytes();
    parallel(gradient.threads, [&](const Team& team) {
        engine.pack(team);
        Batch batch = gradient.batch, next = gradient.batch;
        for (std::size_t i = 0; i < call.iterations; ++i) {
            batch.indices = call.indices + i * batch.size;
            next.indices = batch.indices + batch.size;
            if (!engine.run(team, batch)) break;
            const double loss = engine.loss(team, batch, i + 1 < call.iterations ? &next : nullptr);
            if (team.rank == 0) {
                call.losses[i] = loss;
                *call.done = i + 1;
            }
            if (!std::isfinite(loss)) break;
        }
        engine.unpack(team);
    });
    return 0;
}

}  // namespace secant::SECANT_ISA
