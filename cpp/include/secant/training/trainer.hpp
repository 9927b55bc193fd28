// Stochastic gradient descent: many mini-batches in one call.
#pragma once

#include <cmath>

#include "secant/differences/gradient_engine.hpp"

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
            const Batch* prefetched = i + 1 < call.iterations ? &next : nullptr;
            double loss = 0.0;
            if (!(call.before ? engine.run(team, batch, &loss, prefetched)
                              : engine.run(team, batch)))
                break;
            if (!call.before) loss = engine.loss(team, batch, prefetched);
            if (team.rank == 0) {
                call.losses[i] = loss;
                *call.done = i + 1;
            }
            if (!std::isfinite(loss)) break;
        }
        team.run_once(phases::report, [&] { gradient.report->valid = engine.valid(); });
        engine.unpack(team);
    });
    return 0;
}

}  // namespace secant::SECANT_ISA
